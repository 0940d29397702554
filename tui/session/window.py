"""A window marked on the timeline: its own percentiles and verdicts, looked at once, so with the t interval.

The seconds that count are chosen by the code that chooses them live; latencies come from whole columns, because a
window may be as long as the session.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import polars as pl

from tui.judge.goodput import Limits, good_in, goodput_verdict
from tui.judge.latency import Latencies, latencies_of, latency_turns_verdict, latency_verdict
from tui.judge.obstacles import Circumstances, obstacle
from tui.judge.segments import dial_texts
from tui.judge.tables import LATENCY, for_lane
from tui.model.profile import Profile
from tui.model.rows import LANES, Lane, SecondRow
from tui.model.units import NS_PER_S
from tui.recording.tape import Tape
from tui.session.make_view import of_histogram, of_values
from tui.session.seconds import ChunkGaps
from tui.session.source import WindowView
from tui.session.state import LatencyHistogram
from tui.session.timeline import dials_after, first_dials
from tui.session.verdicts import TIMED_FIGURES, SegmentSoFar, settling_s, shown
from tui.session.view import Percentiles, VerdictView
from tui.stats.quantiles import percentile
from tui.stats.verdict import DELTA, Verdict, throughput_verdict, turns_verdict

AT_ONCE_S: Final = 30  # of chunks in memory
TIMES: Final = ("ttft", "tpot", "e2e")


@dataclass(frozen=True, slots=True)
class _Window:
    """Whole seconds from `start_ns` until before `end_ns`."""

    tape: Tape
    profile: Profile
    start_ns: int
    end_ns: int

    @property
    def lanes(self) -> list[Lane]:
        return list(first_dials(self.profile))

    @property
    def delta(self) -> float:
        return self.profile.delta or DELTA


def window_of(tape: Tape, profile: Profile, start_s: float, end_s: float) -> WindowView:
    """The percentiles and verdicts of the whole seconds from `start_s` to `end_s`, cut to the recording's ends."""
    length_s = (tape.t_end_ns - tape.t0_ns) // NS_PER_S
    first, past = sorted(min(max(0, int(at)), length_s) for at in (start_s, end_s))
    window = _Window(tape, profile, tape.t0_ns + first * NS_PER_S, tape.t0_ns + past * NS_PER_S)
    if first == past:
        return WindowView(float(first), float(past), note="the window holds no whole second")
    requests = tape.frame("requests", window.start_ns, window.end_ns)
    rows = tape.second_rows(window.start_ns, window.end_ns)
    verdicts, note = _verdicts(window, requests, rows)
    of = {lane: for_lane(requests, lane) for lane in window.lanes}
    return WindowView(
        start_s=float(first),
        end_s=float(past),
        output_tps={lane: tps for lane in window.lanes if (tps := _tps(rows, lane)) is not None},
        requests={lane: int((own["outcome"] == "ok").sum()) for lane, own in of.items()},
        failed={lane: int((own["outcome"] == "failed").sum()) for lane, own in of.items()},
        latencies=_percentiles(window, of),
        verdicts=verdicts,
        note=note,
    )


def _tps(rows: list[SecondRow], lane: Lane) -> float | None:
    """Over the seconds in which the lane was up and had its turn; None when there is none."""
    counted = [row.output_tokens for row in rows if row.lane == lane and row.up and not row.resting]
    return sum(counted) / len(counted) if counted else None


def _percentiles(window: _Window, requests: Mapping[Lane, pl.DataFrame]) -> dict[Lane, dict[str, Percentiles]]:
    found: dict[Lane, dict[str, Percentiles]] = {}
    gaps = _gaps(window)
    for lane, own in requests.items():
        good = own.filter(pl.col("outcome") == "ok").select(**{name: LATENCY[name] for name in TIMES})
        found[lane] = {name: of_values(good[name].drop_nulls().to_numpy()) for name in TIMES}
        found[lane]["itl"] = of_histogram(gaps[lane])
    return found


def _gaps(window: _Window) -> dict[Lane, LatencyHistogram]:
    """The inter-token latencies, read piece by piece: an hour of chunks does not fit into memory."""
    streams = {lane: ChunkGaps() for lane in LANES}
    found = {lane: LatencyHistogram() for lane in LANES}
    for start_ns in range(window.start_ns, window.end_ns, AT_ONCE_S * NS_PER_S):
        end_ns = min(start_ns + AT_ONCE_S * NS_PER_S, window.end_ns)
        ended = window.tape.frame("requests", start_ns, end_ns)
        for lane, chunks in window.tape.chunk_columns(start_ns, end_ns).items():
            gaps = streams[lane].feed_columns(chunks.request, chunks.t_ns, chunks.tokens)
            found[lane].add(gaps.itl_ms, gaps.tokens)
            streams[lane].forget(for_lane(ended, lane)["request"].to_list())
    return found


def _verdicts(window: _Window, requests: pl.DataFrame, rows: list[SecondRow]) -> tuple[dict[str, VerdictView], str]:
    """By figure, and what must be known of them."""
    slow_ms = _slow_ms(window, requests)
    turned_ns = [event.t_ns for event in window.tape.events if event.kind == "dial"]
    settled_ns = max(
        [window.start_ns, *(t + int(settling_s(slow_ms) * NS_PER_S) for t in turned_ns if t < window.start_ns)]
    )
    segment = SegmentSoFar(window.start_ns, settled_ns)
    for own in _by_second(rows):
        if own[0].t_ns >= settled_ns:
            segment.take({row.lane: row for row in own}, (), slow_ms, window.profile.slo)
    sent = _at_work(requests.filter(pl.col("t_send_ns") >= settled_ns), rows, window.start_ns)
    if why := obstacle(_circumstances(window, segment, sent, turned_ns)):
        figures = ("output_tps", *TIMED_FIGURES, *(["goodput"] if _limits(window).any else []))
        return {figure: VerdictView("not comparable", reason=why) for figure in figures}, why
    found = {figure: shown(verdict.word, verdict) for figure, verdict in _compared(window, segment, sent)}
    left_out = (
        ((min(settled_ns, window.end_ns) - window.start_ns) // NS_PER_S, "settling"),
        (segment.bound_s, "client-bound"),
        (segment.down_s, "with a lane down"),
    )
    told = ", ".join(f"{count} s {what}" for count, what in left_out if count)
    return found, f"{told} left out" if told else ""


def _compared(window: _Window, segment: SegmentSoFar, sent: pl.DataFrame) -> Iterator[tuple[str, Verdict]]:
    delta, pairs = window.delta, segment.pairs()
    a, b = (segment.lanes[lane].tps for lane in LANES)
    if pairs is None:
        yield "output_tps", throughput_verdict(a, b, delta=delta, frozen=True)
    else:
        yield "output_tps", turns_verdict(a, b, pairs, delta=delta, frozen=True)
    for figure in TIMED_FIGURES:
        one, other = (_latencies(sent, lane, figure) for lane in LANES)
        if pairs is None:
            yield figure, latency_verdict(figure, one, other, delta=delta, frozen=True)
        else:
            yield figure, latency_turns_verdict(figure, (one, other), pairs, delta=delta, frozen=True)
    if (limits := _limits(window)).any:
        good = [good_in(for_lane(sent, lane), limits, segment.lanes[lane].at_s) for lane in LANES]
        yield "goodput", goodput_verdict(good[0], good[1], delta=delta, frozen=True, pairs=pairs)


def _latencies(sent: pl.DataFrame, lane: Lane, figure: str) -> Latencies:
    return latencies_of(for_lane(sent, lane), figure.partition("_")[0])


def _limits(window: _Window) -> Limits:
    slo = window.profile.slo
    return Limits(slo.ttft_ms, slo.tpot_ms, slo.e2e_ms)


def _circumstances(window: _Window, segment: SegmentSoFar, sent: pl.DataFrame, turned_ns: list[int]) -> Circumstances:
    """What decides whether the lanes may be compared in the window."""
    infos = window.tape.info.lanes
    before = [event for event in window.tape.events if event.t_ns < window.end_ns]
    dials = dials_after(first_dials(window.profile), before)
    outcomes = {lane: for_lane(sent, lane)["outcome"] for lane in window.lanes}
    return Circumstances(
        lanes=window.lanes,
        incomparable=next((event.text for event in reversed(before) if event.kind == "incomparable"), ""),
        models=[infos[lane].model for lane in window.lanes if lane in infos],
        waived=window.profile.waive,
        dials={lane: dial_texts(of) for lane, of in dials.items()},
        dials_moved=any(window.start_ns <= t < window.end_ns for t in turned_ns),
        settled_s=min(len(lane.tps) for lane in segment.lanes.values()),
        bound_s=segment.bound_s,
        down_s=segment.down_s,
        ok={lane: int((own == "ok").sum()) for lane, own in outcomes.items()},
        failed={lane: int((own == "failed").sum()) for lane, own in outcomes.items()},
    )


def _slow_ms(window: _Window, requests: pl.DataFrame) -> float:
    """The p95 of E2E in the slower lane."""
    values = [latencies_of(for_lane(requests, lane), "e2e").ms for lane in window.lanes]
    return max((percentile(ms, 0.95) or 0.0 for ms in values), default=0.0)


def _by_second(rows: list[SecondRow]) -> Iterator[list[SecondRow]]:
    return (list(own) for _, own in groupby(rows, key=lambda row: row.t_ns))


def _at_work(requests: pl.DataFrame, rows: list[SecondRow], t0_ns: int) -> pl.DataFrame:
    """The requests that did not end in a second in which their lane rested."""
    resting = [(row.lane, (row.t_ns - t0_ns) // NS_PER_S) for row in rows if row.resting]
    at_rest = pl.DataFrame(resting, schema={"lane": pl.String, "second": pl.Int64}, orient="row")
    second = (pl.col("t_end_ns") - t0_ns) // NS_PER_S
    return requests.with_columns(second=second).join(
        at_rest, on=["lane", "second"], how="anti", maintain_order="left"
    )
