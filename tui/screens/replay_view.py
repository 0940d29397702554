"""What a replay adds to the picture: the marks beside the recording, and the verdict of a window."""

from collections.abc import Iterable

from msgspec import structs

from tui.records.rows import EventRow
from tui.records.units import NS_PER_S
from tui.screens.headline import OBJECTIVES, Objective
from tui.session.transport import Moment, WindowView
from tui.session.view import VerdictView, View
from tui.widgets.verdict_line import Headline
from tui.widgets.window_table import ratio_of


def with_marks(view: View, moments: Iterable[Moment]) -> View:
    """The view with the marks beside the recording among its events, those that lie ahead left out."""
    beside = [
        EventRow(moment.lane, view.t0_ns + round(moment.t_s * NS_PER_S), "note" if moment.kind == "note" else "mark",
                 text=moment.text if moment.text != moment.kind else "")
        for moment in moments
        if moment.beside and moment.t_s <= view.second
    ]  # fmt: skip
    known = [event for event in view.events if event not in beside]
    return structs.replace(view, events=sorted([*known, *beside], key=lambda event: event.t_ns)) if beside else view


def window_headline(window: WindowView, objective: Objective) -> Headline:
    """The verdict on a window by the figure that the operator chose."""
    found = window.verdicts.get(objective.kind) or VerdictView("undecided")
    forbidden = found.word == "not comparable"
    others = ((o.label, ratio_of(window, o.kind)) for o in OBJECTIVES if o != objective)
    return Headline(
        found.word,
        objective.label,
        ratio_of(window, objective.kind),
        found.low,
        found.high,
        note=f"this window of {window.end_s - window.start_s:.0f} s",
        beside=tuple((label, ratio) for label, ratio in others if ratio is not None),
        warning=found.reason if forbidden else "",
    )
