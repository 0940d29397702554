"""The line that compares the lanes by the metric that the operator chose, of this second or of a replay's window.

Also what stays on the terminal when the screen has gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tui.judge.sentence import AHEAD, Part, Sentence, Setup, lane_names, settings_named, verdict_sentence
from tui.model.rows import LANES, Lane
from tui.model.text import sanitize
from tui.session.schedule import BLOCK_S
from tui.session.source import WindowView
from tui.session.view import LaneView, Percentiles, View
from tui.stats.verdict import DELTA, LONG_ENOUGH_S, USUAL_MARGIN, Margin, Verdict, holm
from tui.ui.widgets import numbers

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow

LANE_AHEAD: Mapping[str, str] = AHEAD
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
    """A verdict in words, and the figures under it."""

    verdict: Verdict
    sentence: Sentence
    label: str = ""  # of the metric compared

    @property
    def lead(self) -> str:
        """The lane that is ahead, or nothing."""
        return self.sentence.ahead


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


def compare_window(window: WindowView, objective: Objective, view: View) -> Comparison:
    """The comparison over a replay's window of the session in `view`."""
    verdict = window.verdicts.get(objective.kind) or replace(UNDECIDED, metric=objective.kind)
    setup = Setup(
        names=names_in(view),
        delta=view.delta,
        ratio_so_far=window_ratio(window, objective.kind),
        turn_s=BLOCK_S if view.mode == "alternate" else 0.0,
        others=window.verdicts,
        scope=f"this window of {window.end_s - window.start_s:.0f} s",
        over=True,
    )
    return Comparison(verdict, verdict_sentence(verdict, setup), objective.label)


def compare(view: View, objective: Objective, *, dials_differ: bool) -> Comparison:
    """The comparison of this second."""
    if len(view.lanes) < 2:
        return Comparison(UNDECIDED, Sentence("cannot_tell", [Part("one lane alone: nothing to compare", "muted")]))
    unreached = [lane.lane.upper() for lane in view.lanes.values() if lane.state == "connecting"]
    if unreached:
        return Comparison(
            UNDECIDED, Sentence("settling", [Part(f"connecting to {' and '.join(unreached)}", "muted")])
        )
    verdict = view.verdicts.get(objective.kind) or _missing(view, objective)
    row = _all_visits(view, objective, verdict)
    verdict = verdict if row is None else row.verdict
    significant = ledger_holds(view.ledger)
    judged_alone = objective.kind != "output_tps" or not 0 <= view.ledger_now < len(view.ledger)
    setup = Setup(
        names=names_in(view),
        delta=view.delta,
        ratio_so_far=ratio_so_far(view, objective.kind),
        turn_s=BLOCK_S if view.mode == "alternate" else 0.0,
        others=view.verdicts,
        warning=_warning(view, dials_differ=dials_differ),
        down=[lane.lane for lane in view.lanes.values() if lane.state == "down"],
        visits=1 if row is None else row.visits,
        among=1 if judged_alone else sum(one.verdict.ratio is not None for one in view.ledger),
        holds=judged_alone or significant[view.ledger_now],
    )
    return Comparison(verdict, verdict_sentence(verdict, setup), objective.label)


def verdict_help(delta: float | None, source: str) -> str:
    """What the words of the verdict mean, and the margin with its source."""
    margin = Margin(delta or DELTA, source or USUAL_MARGIN)
    return (
        f"Level means within {margin.text}. The interval holds however often one looks; an early look has its own "
        f"level. Undecided: {LONG_ENOUGH_S // 60} settled minutes have not told."
    )


def names_in(view: View) -> dict[Lane, str]:
    return lane_names({lane: shown.info for lane, shown in view.lanes.items()})


def ledger_holds(ledger: Sequence[LedgerRow]) -> list[bool]:
    """For each setting whether its word holds among all that are judged."""
    return holm([row.verdict for row in ledger])


def ratio_so_far(view: View, kind: str) -> float | None:
    """A over B of the settled seconds of this setting; of a latency over the window."""
    if kind != "output_tps":
        return view_ratio(view, kind)
    a, b = (sum(view.segment_tps.get(lane, ())) for lane in LANES)
    return a / b if a and b else None


def _missing(view: View, objective: Objective) -> Verdict:
    """In place of a verdict that does not exist yet: nothing is settled, or there are no limits for goodput."""
    throughput = view.verdicts.get("output_tps")
    if throughput is not None and (throughput.word == "not comparable" or throughput.state == "settling"):
        return throughput
    return replace(UNDECIDED, metric=objective.kind)


def _all_visits(view: View, objective: Objective, verdict: Verdict) -> LedgerRow | None:
    """The setting in force, where all visits to it together are decided and this one is not yet."""
    if verdict.word != "undecided" or objective.kind != "output_tps" or not 0 <= view.ledger_now < len(view.ledger):
        return None
    row = view.ledger[view.ledger_now]
    return row if row.visits > 1 and row.verdict.state == "decided" else None


def _warning(view: View, *, dials_differ: bool) -> str:
    """What makes the figures doubtful, the most serious first."""
    bound = [lane.lane.upper() for lane in view.lanes.values() if lane.bound]
    if bound:
        return f"client-bound in {' and '.join(bound)}"
    return "dials differ" if dials_differ else ""


MAX_SETTINGS: Final = 8


def summary_lines(view: View) -> list[str]:
    """A line for each lane, one for each setting, and where it is recorded."""
    if not view.second:
        return []
    lines = [f"after {numbers.clock(view.second)}:"]
    lines += [_lane_summary(lane) for lane in view.lanes.values()]
    if len(view.lanes) > 1:
        lines += _ledger_summary(view)
    if view.recording:
        lines.append(f"recorded: {sanitize(view.recording)}")
    return lines


def _ledger_summary(view: View) -> list[str]:
    """The settings in words, the newest where they are many."""
    rows = [row for row in view.ledger if row.settled_s]
    if not rows:
        return [sanitize(compare(view, OBJECTIVES[0], dials_differ=False).sentence.text)]
    shown = settings_named(rows, names_in(view), view.delta)[-MAX_SETTINGS:]
    lines = [sanitize(f"{setting}: {sentence.text}") for setting, sentence in shown]
    return [*lines, f"+{len(rows) - len(shown)} in the report"] if len(rows) > len(shown) else lines


def _lane_summary(lane: LaneView) -> str:
    title = "not reached"
    if lane.info:
        title = f"{sanitize(lane.info.title, 40)}{' SIMULATED' if lane.info.simulated else ''}"
    return (
        f"{lane.lane.upper()} {title}: {numbers.whole(lane.output_tps)} tok/s out over {lane.over_s} s, "
        f"{numbers.whole(lane.done)} done, {numbers.whole(lane.failed)} failed, "
        f"TTFT p50 {numbers.figure(latency_value(lane.latencies, 'ttft_p50'))} ms"
    )
