"""What of a recording is worth a jump."""

from collections.abc import Sequence
from typing import Final

from tui.records.dials import DIAL
from tui.records.rows import EventRow
from tui.records.units import NS_PER_S
from tui.session.transport import Moment, MomentKind

KINDS: Final[dict[str, MomentKind]] = {
    "dial": "dial",
    "fault": "fault",
    "bound": "fault",
    "incomparable": "fault",
    "mark": "mark",
    "note": "note",
    "down": "down",
    "up": "up",
    "end": "end",
}


def moments_of(events: Sequence[EventRow], t0_ns: int, end_s: float, beside: Sequence[EventRow] = ()) -> list[Moment]:
    """The moments of a recording's events and of the marks beside it, in order of time, within its length.

    A fault that is over, and a client that is no limit any more, are no moments.
    """
    rows = [(row, False) for row in events] + [(row, True) for row in beside]
    found = []
    for row, is_beside in rows:
        over = (row.kind in ("fault", "incomparable") and not row.text) or (row.kind == "bound" and row.new == "off")
        if row.kind in KINDS and not over:
            t_s = min(max(0.0, (row.t_ns - t0_ns) / NS_PER_S), end_s)
            found.append(Moment(t_s, KINDS[row.kind], _text(row), row.lane, is_beside))
    return sorted(found, key=lambda moment: moment.t_s)


def _text(row: EventRow) -> str:
    if row.kind == "dial":
        label = DIAL[row.name].label if row.name in DIAL else row.name
        return f"{label} {row.old}→{row.new}"
    if row.kind == "bound":
        return f"client-bound {row.text}".strip()
    return row.text or row.kind
