"""A move of the dials as events."""

from collections.abc import Mapping

from tui.records.dials import DIALS, Dials, dial_text
from tui.records.rows import EventRow, Lane


def dial_events(old: Mapping[Lane, Dials], new: Mapping[Lane, Dials], t_ns: int) -> list[EventRow]:
    """An event for each dial that moved; one for both lanes where both moved alike."""
    events: list[EventRow] = []
    for spec in DIALS:
        moves = {
            lane: (dial_text(spec, getattr(old[lane], spec.name)), dial_text(spec, getattr(new[lane], spec.name)))
            for lane in new
            if getattr(old[lane], spec.name) != getattr(new[lane], spec.name)
        }
        if len(moves) == len(new) > 1 and len(set(moves.values())) == 1:
            events.append(EventRow("", t_ns, "dial", spec.name, *moves["a"]))
        else:
            events += [EventRow(lane, t_ns, "dial", spec.name, *moved) for lane, moved in moves.items()]
    return events
