"""The line that compares the lanes by the metric that the operator chose, of this second or of a replay's window.

Also what stays on the terminal when the screen has gone: six lines at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from tui.model.rows import LANES
from tui.model.text import sanitize
from tui.session.schedule import BLOCK_S
from tui.session.source import WindowView
from tui.session.view import LaneView, Percentiles, View
from tui.stats.verdict import Verdict
from tui.ui.widgets import numbers

FORBIDDEN = "not comparable because "  # the word says it already
LANE_AHEAD = {"A ahead": "a", "B ahead": "b"}
UNDECIDED = Verdict("output_tps", "undecided")
Kind = Literal["output_tps", "ttft_p50", "ttft_p95", "ttft_p99", "tpot_p95", "e2e_p95", "goodput"]


class Objective(msgspec.Struct, frozen=True):
    """A metric that the lanes can be compared by."""

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


class Comparison(msgspec.Struct, frozen=True):
    """A verdict with what is shown around it."""

    verdict: Verdict
    label: str = ""  # of the metric compared
    ratio: float | None = None  # the verdict's, else the plain one over the window
    note: str = ""  # what the word rests on, or why there is none
    other_ratios: tuple[tuple[str, float], ...] = ()  # label and plain ratio of further metrics
    warning: str = ""  # what makes the lanes incomparable

    @property
    def lead(self) -> str:
        """The lane that is ahead, or nothing."""
        return LANE_AHEAD.get(self.verdict.word, "")


def latency_value(latencies: Mapping[str, Percentiles], kind: str) -> float | None:
    """A percentile such as `ttft_p95`."""
    name, _, percentile = kind.partition("_")
    return latencies.get(name, Percentiles()).ms.get(percentile)


def lane_value(lane: LaneView, kind: str) -> float | None:
    """The lane's figure over the window of the view."""
    if kind in {"output_tps", "goodput"}:
        value: float | None = getattr(lane, kind)
        return value
    return latency_value(lane.latencies, kind)


def view_ratio(view: View, kind: str) -> float | None:
    """A over B, None when one of them is missing or nothing."""
    if len(view.lanes) < 2:
        return None
    a, b = (lane_value(view.lanes[lane], kind) for lane in LANES)
    return a / b if a is not None and b else None


def window_values(window: WindowView, kind: str) -> tuple[float | None, ...]:
    """Both lanes' figures of a marked window; None for a metric that a window does not have."""
    if kind == "output_tps":
        return tuple(map(window.output_tps.get, LANES))
    return tuple(latency_value(window.latencies.get(lane, {}), kind) for lane in LANES)


def window_ratio(window: WindowView, kind: str) -> float | None:
    """A over B as its verdict has it, else the plain one."""
    verdict = window.verdicts.get(kind)
    if verdict is not None and verdict.ratio is not None:
        return verdict.ratio
    a, b = window_values(window, kind)
    return a / b if a is not None and b else None


def _known(ratios: Iterable[tuple[str, float | None]]) -> tuple[tuple[str, float], ...]:
    return tuple((label, ratio) for label, ratio in ratios if ratio is not None)


def compare_window(window: WindowView, objective: Objective) -> Comparison:
    """The comparison over a replay's window."""
    verdict = window.verdicts.get(objective.kind) or UNDECIDED
    return Comparison(
        verdict,
        objective.label,
        window_ratio(window, objective.kind),
        note=f"this window of {window.end_s - window.start_s:.0f} s",
        other_ratios=_known((o.label, window_ratio(window, o.kind)) for o in OBJECTIVES if o != objective),
        warning=verdict.reason if verdict.word == "not comparable" else verdict.note,
    )


def compare(view: View, objective: Objective, *, dials_differ: bool) -> Comparison:
    """The comparison of this second; while the verdict has no ratio, the plain one over the window is shown."""
    if len(view.lanes) < 2:
        return Comparison(UNDECIDED, note="one lane alone: there is nothing to compare")
    verdict = view.verdicts.get(objective.kind) or _missing(view)
    forbidden = verdict.word == "not comparable"
    return Comparison(
        verdict,
        objective.label,
        view_ratio(view, objective.kind) if verdict.ratio is None else verdict.ratio,
        note="" if forbidden else _all_visits(view, objective, verdict) or _note(view, verdict),
        other_ratios=_known((o.label, view_ratio(view, o.kind)) for o in OBJECTIVES if o != objective),
        warning=verdict.reason.removeprefix(FORBIDDEN)
        if forbidden
        else _warning(view, dials_differ=dials_differ) or verdict.note,
    )


def _missing(view: View) -> Verdict:
    """In place of a verdict that does not exist yet: nothing is settled, or there are no limits for goodput."""
    throughput = view.verdicts.get("output_tps")
    if throughput is not None and (throughput.word == "not comparable" or throughput.state == "settling"):
        return throughput
    return UNDECIDED


def _all_visits(view: View, objective: Objective, verdict: Verdict) -> str:
    """While this visit to the setting is undecided: the verdict over all visits to it, if they have one."""
    if verdict.word != "undecided" or objective.kind != "output_tps" or not 0 <= view.ledger_now < len(view.ledger):
        return ""
    row = view.ledger[view.ledger_now]
    if row.visits < 2 or row.verdict.ratio is None or row.verdict.word in {"undecided", "not comparable"}:
        return ""
    return f"this visit; all {row.visits} visits: {row.verdict.word} {row.verdict.ratio:.2f}, press t"


def _note(view: View, verdict: Verdict) -> str:
    """What the word rests on, or what it still needs."""
    counted_s = [lane.over_s for lane in view.lanes.values() if lane.over_s]
    window = f"over {min(counted_s)} s" if counted_s else f"{view.window_s} s window"
    if verdict.state == "settling":
        return f"{window}, settling" if counted_s else "settling"
    if verdict.word == "undecided":
        if verdict.need_s is not None:
            return _needs(verdict, verdict.need_s, in_turns=view.mode == "alternate")
        return verdict.reason or window
    settled_s = min(map(len, view.segment_tps.values()), default=0)
    measured = f", {view.delta_from}" if view.delta_from else ""
    return f"{settled_s} s settled, level within {view.delta:.1%}{measured}"


def _needs(verdict: Verdict, need_s: float, *, in_turns: bool) -> str:
    """Alternating lanes are compared by turns: the verdict says that there are too few, else about how many more."""
    if not in_turns:
        return f"needs about {need_s:.0f} s more"
    if verdict.reason.startswith("needs"):
        return verdict.reason
    turns = max(math.ceil(need_s / (2 * BLOCK_S)), 1)
    return f"needs about {turns} more turn{'' if turns == 1 else 's'} each"


def _warning(view: View, *, dials_differ: bool) -> str:
    """What makes the figures doubtful, the most serious first."""
    down = [lane.lane.upper() for lane in view.lanes.values() if lane.state == "down"]
    if down:
        return f"{' and '.join(down)} down"
    bound = [lane.lane.upper() for lane in view.lanes.values() if lane.bound]
    if bound:
        return f"client-bound in {' and '.join(bound)}"
    return "dials differ" if dials_differ else ""


def summary_lines(view: View) -> list[str]:
    """A line for each lane, the verdict on throughput, where it is recorded."""
    if not view.second:
        return []
    lines = [f"after {numbers.clock(view.second)}:"]
    lines += [_lane_summary(lane) for lane in view.lanes.values()]
    if len(view.lanes) > 1:
        lines.append(_verdict_summary(view))
    if view.recording:
        lines.append(f"recorded: {sanitize(view.recording)}")
    return lines


def _verdict_summary(view: View) -> str:
    verdict = view.verdicts.get("output_tps") or UNDECIDED
    ratio = numbers.ratio(view_ratio(view, "output_tps") if verdict.ratio is None else verdict.ratio)
    interval = numbers.interval(verdict.low, verdict.high)
    line = f"A/B output tok/s {ratio}{f' [{interval}]' if interval else ''}, {verdict.word}"
    if verdict.word == "not comparable":
        return f"{line}: {sanitize(verdict.reason.removeprefix(FORBIDDEN))}"
    return f"{line}; {sanitize(verdict.note)}" if verdict.note else line


def _lane_summary(lane: LaneView) -> str:
    title = "not reached"
    if lane.info:
        title = f"{sanitize(lane.info.title, 40)}{' SIMULATED' if lane.info.simulated else ''}"
    return (
        f"{lane.lane.upper()} {title}: {numbers.whole(lane.output_tps)} tok/s out over {lane.over_s} s, "
        f"{numbers.whole(lane.done)} done, {numbers.whole(lane.failed)} failed, "
        f"TTFT p50 {numbers.figure(latency_value(lane.latencies, 'ttft_p50'))} ms"
    )
