"""From a view to the line that compares the lanes, by the figure that the operator chose.

What is left on the terminal when the screen has gone: six lines at most.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from tui.model.text import sanitize
from tui.session.schedule import BLOCK_S
from tui.session.view import LaneView, Percentiles, VerdictView, View
from tui.ui.widgets import numbers
from tui.ui.widgets.header import Headline, ratio_text

FORBIDDEN = "not comparable because "  # the word stands before it already
Kind = Literal["output_tps", "ttft_p50", "ttft_p95", "ttft_p99", "tpot_p95", "e2e_p95", "goodput"]


class Objective(msgspec.Struct, frozen=True):
    """A figure that lanes can be compared by."""

    kind: Kind
    label: str


OBJECTIVES: tuple[Objective, ...] = (
    Objective("output_tps", "output tok/s"),
    Objective("ttft_p95", "TTFT p95"),
    Objective("tpot_p95", "TPOT p95"),
    Objective("e2e_p95", "E2E p95"),
    Objective("ttft_p50", "TTFT p50"),
    Objective("ttft_p99", "TTFT p99"),
    Objective("goodput", "goodput req/s"),
)


def value_of(lane: LaneView, kind: Kind) -> float | None:
    """The lane's figure over the window."""
    if kind == "output_tps":
        return lane.output_tps
    if kind == "goodput":
        return lane.goodput
    name, _, percentile = kind.partition("_")
    found: float | None = getattr(lane.latencies.get(name, Percentiles()), percentile)
    return found


def ratio_of(view: View, kind: Kind) -> float | None:
    """A over B, None when one of them is missing or nothing."""
    if len(view.lanes) < 2:
        return None
    a, b = (value_of(view.lanes[lane], kind) for lane in ("a", "b"))
    return a / b if a is not None and b else None


def headline_of(view: View, objective: Objective, *, linked: bool) -> Headline:
    """The verdict of this second; while it has no ratio, the plain one over the window stands beside the word."""
    if len(view.lanes) < 2:
        return Headline("undecided", "", note="one lane alone: there is nothing to compare")
    beside = tuple((o.label, ratio_of(view, o.kind)) for o in OBJECTIVES if o != objective)
    found = view.verdicts.get(objective.kind) or _missing(view)
    forbidden = found.word == "not comparable"
    return Headline(
        found.word,
        objective.label,
        ratio_of(view, objective.kind) if found.ratio is None else found.ratio,
        found.low,
        found.high,
        note="" if forbidden else _all_visits(view, objective, found) or _note(view, found),
        beside=tuple((label, ratio) for label, ratio in beside if ratio is not None),
        warning=found.reason.removeprefix(FORBIDDEN) if forbidden else _warning(view, linked=linked),
    )


def _missing(view: View) -> VerdictView:
    """No verdict on this figure yet: nothing is settled, or nobody set limits for goodput."""
    of_tokens = view.verdicts.get("output_tps")
    if of_tokens is not None and (of_tokens.word == "not comparable" or of_tokens.reason == "settling"):
        return of_tokens
    return VerdictView("undecided")


def _all_visits(view: View, objective: Objective, found: VerdictView) -> str:
    """Where this visit to the setting has no word yet, what all of them together say; empty when that is nothing."""
    if found.word != "undecided" or objective.kind != "output_tps" or not 0 <= view.ledger_now < len(view.ledger):
        return ""
    row = view.ledger[view.ledger_now]
    if row.visits < 2 or row.verdict.ratio is None or row.verdict.word in {"undecided", "not comparable"}:
        return ""
    return f"in this visit; all {row.visits}: {row.verdict.word} {row.verdict.ratio:.2f}, see t"


def _note(view: View, found: VerdictView) -> str:
    """What the word stands on, or what it still needs."""
    counted_s = [lane.over_s for lane in view.lanes.values() if lane.over_s]
    window = f"over {min(counted_s)} s" if counted_s else f"{view.window_s} s window"
    if found.reason == "settling":
        return f"{window}, settling" if counted_s else "settling"
    if found.word == "undecided":
        if found.need_s is not None:
            return _needs(found, found.need_s, in_turns=view.mode == "alternate")
        return found.reason or window
    settled_s = min(map(len, view.segment_tps.values()), default=0)
    known = f", {view.delta_from}" if view.delta_from else ""
    return f"{settled_s} s settled, level within {view.delta:.1%}{known}"


def _needs(found: VerdictView, need_s: float, *, in_turns: bool) -> str:
    """Lanes that take turns are compared by turns: too few are told as the verdict does, more as about how many."""
    if not in_turns:
        return f"needs about {need_s:.0f} s more"
    if found.reason.startswith("needs"):
        return found.reason
    turns = max(math.ceil(need_s / (2 * BLOCK_S)), 1)
    return f"needs about {turns} more turn{'' if turns == 1 else 's'} each"


def _warning(view: View, *, linked: bool) -> str:
    """What makes the figures doubtful, the gravest first."""
    down = [lane.upper() for lane, found in view.lanes.items() if found.state == "down"]
    if down:
        return f"{' and '.join(down)} down"
    bound = [lane.upper() for lane, found in view.lanes.items() if found.bound]
    if bound:
        return f"client-bound in {' and '.join(bound)}"
    return "" if linked else "dials apart"


def summary_lines(view: View) -> list[str]:
    """One line a lane, the plain ratio, where it is recorded."""
    if not view.second:
        return []
    lines = [f"after {numbers.clock(view.second)}:"]
    lines += [_lane(lane) for lane in view.lanes.values()]
    if len(view.lanes) > 1:
        lines.append(_compared(view))
    if view.recording:
        lines.append(f"recorded: {sanitize(view.recording)}")
    return lines


def _compared(view: View) -> str:
    """The last verdict on throughput; without one, the plain ratio over the window."""
    found = view.verdicts.get("output_tps") or VerdictView("undecided")
    a, b = view.lanes["a"].output_tps, view.lanes["b"].output_tps
    plain = a / b if a is not None and b else None
    between = f" [{found.low:.2f} … {found.high:.2f}]" if found.low is not None and found.high is not None else ""
    why = sanitize(found.reason.removeprefix(FORBIDDEN)) if found.word == "not comparable" else ""
    ratio = ratio_text(plain if found.ratio is None else found.ratio)
    return f"A/B output tok/s {ratio}{between}, {found.word}{': ' if why else ''}{why}"


def _lane(lane: LaneView) -> str:
    title = (
        f"{sanitize(lane.info.title, 40)}{' SIMULATED' if lane.info.simulated else ''}"
        if lane.info
        else "not reached"
    )
    ttft = lane.latencies.get("ttft", Percentiles()).p50
    rate = f"{numbers.whole(lane.output_tps)} tok/s out over {lane.over_s} s"
    return (
        f"{lane.lane.upper()} {title}: {rate}, {numbers.whole(lane.done)} done, "
        f"{numbers.whole(lane.failed)} failed, TTFT p50 {numbers.figure(ttft)} ms"
    )
