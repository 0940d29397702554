"""A window marked on the timeline: its own percentiles and verdicts, judged once, so with the t interval.

The seconds and requests that count are chosen by the code that chooses them live, from whole columns, because a
window may be as long as the session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from tui.judge.itl import ChunkGaps
from tui.judge.ledger import VisitedSetting
from tui.judge.obstacles import Circumstances, obstacle, work_note
from tui.judge.plausible import unknown_of
from tui.judge.segments import (
    MAX_SETTLING_S,
    LaneSegment,
    Segment,
    common_seconds,
    dial_texts,
    settled_at,
    settling_s,
)
from tui.judge.tables import LATENCY, Requests, for_lane
from tui.model.metrics import NS_PER_S
from tui.model.profile import Profile, limits_from_text
from tui.model.rows import LANES, Lane, SecondRow
from tui.recording.tape import Tape
from tui.session.make_view import of_histogram, of_values
from tui.session.source import WindowView
from tui.session.state import LatencyHistogram
from tui.session.timeline import dials_after, first_dials
from tui.session.verdicts import TIMED_FIGURES
from tui.session.view import Percentiles
from tui.stats.distributions import percentile
from tui.stats.verdict import DELTA, Verdict, not_comparable

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
    first, last = sorted(min(max(0, int(at)), length_s) for at in (start_s, end_s))
    window = _Window(tape, profile, tape.t0_ns + first * NS_PER_S, tape.t0_ns + last * NS_PER_S)
    if first == last:
        return WindowView(float(first), float(last), note="the window holds no whole second")
    requests = tape.frame("requests", window.start_ns, window.end_ns)
    rows = tape.second_rows(window.start_ns, window.end_ns)
    verdicts, note = _verdicts(window)
    by_lane = {lane: for_lane(requests, lane) for lane in window.lanes}
    return WindowView(
        start_s=float(first),
        end_s=float(last),
        output_tps={
            lane: tps
            for lane in window.lanes
            if (tps := _tps(rows, lane)) is not None and "output_tps" not in unknown_of(by_lane[lane])
        },
        requests={lane: int((ended["outcome"] == "ok").sum()) for lane, ended in by_lane.items()},
        failed={lane: int((ended["outcome"] == "failed").sum()) for lane, ended in by_lane.items()},
        latencies=_percentiles(window, by_lane),
        verdicts=verdicts,
        note=note,
    )


def _tps(rows: list[SecondRow], lane: Lane) -> float | None:
    """Over the seconds in which the lane was up and had its turn; None when there is none."""
    counted = [row.output_tokens for row in rows if row.lane == lane and row.up and not row.resting]
    return sum(counted) / len(counted) if counted else None


def _percentiles(window: _Window, requests: Mapping[Lane, pl.DataFrame]) -> dict[Lane, dict[str, Percentiles]]:
    percentiles: dict[Lane, dict[str, Percentiles]] = {}
    gaps = _gaps(window)
    for lane, ended in requests.items():
        good = ended.filter(pl.col("outcome") == "ok").select(**{name: LATENCY[name] for name in TIMES})
        percentiles[lane] = {name: of_values(good[name].drop_nulls().to_numpy()) for name in TIMES}
        percentiles[lane]["itl"] = of_histogram(gaps[lane])
        unknown = unknown_of(ended)
        percentiles[lane] |= {name: Percentiles() for name in ("tpot", "itl") if name in unknown}
    return percentiles


def _gaps(window: _Window) -> dict[Lane, LatencyHistogram]:
    """The inter-token latencies, read piece by piece: an hour of chunks does not fit into memory."""
    streams = {lane: ChunkGaps() for lane in LANES}
    histograms = {lane: LatencyHistogram() for lane in LANES}
    for start_ns in range(window.start_ns, window.end_ns, AT_ONCE_S * NS_PER_S):
        end_ns = min(start_ns + AT_ONCE_S * NS_PER_S, window.end_ns)
        ended = window.tape.frame("requests", start_ns, end_ns)
        for lane, chunks in window.tape.chunk_columns(start_ns, end_ns).items():
            gaps = streams[lane].feed_columns(chunks.request, chunks.t_ns, chunks.tokens)
            histograms[lane].add(gaps.itl_ms, gaps.tokens)
            streams[lane].forget(for_lane(ended, lane)["request"].to_list())
    return histograms


def _verdicts(window: _Window) -> tuple[dict[str, Verdict], str]:
    """By figure, and what must be known of them."""
    before = [event for event in window.tape.events if event.t_ns < window.end_ns]
    set_limits = [limits_from_text(event.new) for event in before if event.kind == "limits"]
    limits = set_limits[-1] if set_limits else window.profile.slo
    dials = dials_after(first_dials(window.profile), before)
    segment = _segment(window)
    setting = VisitedSetting({lane: dial_texts(lane_dials) for lane, lane_dials in dials.items()}, [segment])
    figures = ("output_tps", *TIMED_FIGURES, *(["goodput"] if limits.by_metric else []))
    at = _circumstances(window, setting)
    if why := obstacle(at):
        return {figure: not_comparable(figure, why) for figure in figures}, why
    verdicts = {
        figure: not_comparable(figure, why)
        if (why := obstacle(at, figure))
        else replace(setting.verdict(figure, delta=window.delta, frozen=True, limits=limits), note=work_note(at))
        for figure in figures
    }
    settled_ns = segment.settled_ns or window.start_ns
    left_out = (
        ((min(settled_ns, window.end_ns) - window.start_ns) // NS_PER_S, "settling"),
        (segment.bound_s, "client-bound"),
        (segment.down_s, "with a lane down"),
    )
    texts = ", ".join(f"{count} s {what}" for count, what in left_out if count)
    return verdicts, f"{texts} left out" if texts else ""


def _segment(window: _Window) -> Segment:
    """What counts in the window: the part of the segment that was settled."""
    tape, start_ns, end_ns = window.tape, window.start_ns, window.end_ns
    requests = tape.frame("requests", start_ns, end_ns + int(MAX_SETTLING_S) * NS_PER_S)
    seconds, _ = common_seconds(tape.frame("seconds", start_ns, end_ns))
    turned_ns = max(
        (event.t_ns for event in tape.events if event.kind == "dial" and event.t_ns < start_ns), default=0
    )
    estimate_ns = turned_ns + int(settling_s(_slow_ms(window, requests)) * NS_PER_S)
    settled_ns = settled_at(
        [event.t_ns for event in tape.events if event.kind == "settled"],
        turned_ns,
        end_ns,
        estimate_ns,
        in_turns=any(bool(lane.resting.any()) for lane in seconds.values()),
    )
    segment = Segment(start_ns, max(start_ns, settled_ns), lanes={lane: LaneSegment() for lane in window.lanes})
    if len(seconds) == len(window.lanes):
        segment.add_seconds(seconds)
        for lane in seconds:
            segment.add_requests(lane, Requests.from_frame(for_lane(requests, lane)))
    return segment


def _circumstances(window: _Window, setting: VisitedSetting) -> Circumstances:
    """What decides whether the lanes may be compared in the window."""
    infos = window.tape.info.lanes
    before = [event for event in window.tape.events if event.t_ns < window.end_ns]
    session = Circumstances(
        lanes=window.lanes,
        incomparable=next((event.text for event in reversed(before) if event.kind == "incomparable"), ""),
        models=[infos[lane].model for lane in window.lanes if lane in infos],
        waived=window.profile.waive,
        dials_moved=any(event.kind == "dial" and event.t_ns >= window.start_ns for event in before),
    )
    return setting.circumstances(session)


def _slow_ms(window: _Window, requests: pl.DataFrame) -> float:
    """The p95 of E2E in the slower lane."""
    ok = requests.filter(pl.col("outcome") == "ok")
    values = [for_lane(ok, lane).select(LATENCY["e2e"]).drop_nulls().to_series() for lane in window.lanes]
    return max((percentile(ms.to_numpy(), 0.95) or 0.0 for ms in values), default=0.0)
