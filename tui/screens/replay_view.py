"""What a replay adds to the picture: the marks beside the recording, and the verdict of a window."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tui.records.rows import EventRow
from tui.screens.headline import OBJECTIVES, Objective
from tui.session.transport import Moment, WindowView
from tui.session.view import VerdictView, View
from tui.widgets.verdict_line import Headline

NS: Final = 1_000_000_000


def with_marks(view: View, moments: Iterable[Moment]) -> View:
    """The view with the marks beside the recording among its events, those that lie ahead left out."""
    beside = [
        EventRow(moment.lane, view.t0_ns + round(moment.t_s * NS), "note" if moment.kind == "note" else "mark",
                 text=moment.text if moment.text != moment.kind else "")
        for moment in moments
        if moment.beside and moment.t_s <= view.second
    ]  # fmt: skip
    known = [event for event in view.events if event not in beside]
    return replace(view, events=sorted([*known, *beside], key=lambda event: event.t_ns)) if beside else view


def window_headline(window: WindowView, objective: Objective) -> Headline:
    """The verdict on a window by the figure that the operator chose."""
    found = window.verdicts.get(objective.kind) or VerdictView("undecided")
    forbidden = found.word == "not comparable"
    others = ((o.label, _ratio(window, o)) for o in OBJECTIVES if o != objective)
    return Headline(
        found.word,
        objective.label,
        _ratio(window, objective),
        found.low,
        found.high,
        note=f"this window of {window.end_s - window.start_s:.0f} s",
        beside=tuple((label, ratio) for label, ratio in others if ratio is not None),
        warning=found.reason if forbidden else "",
    )


def _ratio(window: WindowView, objective: Objective) -> float | None:
    told = window.verdicts.get(objective.kind)
    if told is not None and told.ratio is not None:
        return told.ratio
    if objective.kind == "output_tps":
        a, b = window.output_tps.get("a"), window.output_tps.get("b")
        return a / b if a is not None and b else None
    name, _, share = objective.kind.partition("_")
    values = [
        getattr(window.latencies[lane][name], share, None) if name in window.latencies.get(lane, {}) else None
        for lane in ("a", "b")
    ]
    return values[0] / values[1] if values[0] is not None and values[1] else None
