"""From a view to the line that compares the lanes, by the figure that the operator chose."""

from dataclasses import dataclass
from typing import Literal

from tui.records.rows import Lane
from tui.session.view import LaneView, Percentiles, View
from tui.widgets.verdict_line import Headline

Kind = Literal["output_tps", "ttft_p95", "itl_p95", "goodput"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure that lanes can be compared by."""

    kind: Kind
    label: str


OBJECTIVES: tuple[Objective, ...] = (
    Objective("output_tps", "output tok/s"),
    Objective("ttft_p95", "TTFT p95"),
    Objective("itl_p95", "ITL p95"),
    Objective("goodput", "goodput req/s"),
)


def value_of(lane: LaneView, kind: Kind) -> float | None:
    """The lane's figure over the window."""
    if kind == "output_tps":
        return lane.output_tps
    if kind == "goodput":
        return lane.goodput
    return lane.latencies.get(kind.removesuffix("_p95"), Percentiles()).p95


def ratio_of(view: View, kind: Kind) -> float | None:
    """A over B, None when one of them is missing or nothing."""
    if len(view.lanes) < 2:
        return None
    a, b = (value_of(view.lanes[lane], kind) for lane in ("a", "b"))
    return a / b if a is not None and b else None


def headline_of(view: View, objective: Objective, *, linked: bool) -> Headline:
    """The plain ratio over the window; the word stays `undecided`, because a ratio alone decides nothing."""
    if len(view.lanes) < 2:
        return Headline("undecided", "", note="one lane alone: there is nothing to compare")
    beside = tuple((o.label, ratio_of(view, o.kind)) for o in OBJECTIVES if o != objective)
    shown = tuple((label, ratio) for label, ratio in beside if ratio is not None)
    return Headline(
        "undecided",
        objective.label,
        ratio_of(view, objective.kind),
        note=_note(view),
        beside=shown,
        warning=_warning(view, linked=linked),
    )


def _note(view: View) -> str:
    if view.settling_s > 0 and view.second:
        return f"{view.window_s} s window, settling"
    return f"{view.window_s} s window"


def _warning(view: View, *, linked: bool) -> str:
    """What forbids a comparison, the gravest first."""
    if view.incomparable:
        return view.incomparable
    lanes: dict[Lane, LaneView] = dict(view.lanes)
    down = [lane.upper() for lane, found in lanes.items() if found.state == "down"]
    if down:
        return f"{' and '.join(down)} down"
    bound = [lane.upper() for lane, found in lanes.items() if found.bound]
    if bound:
        return f"client-bound in {' and '.join(bound)}"
    models = {found.info.model for found in lanes.values() if found.info}
    if len(models) > 1:
        return "different models"
    return "" if linked else "dials apart"
