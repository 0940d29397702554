"""From what is known to what is shown: one lane's view and its curves.

Tokens per joule: what a lane's GPUs drew from the wall in the seconds whose tokens are counted.

The whole view: both lanes, the dials' marks on the charts, the segment that a verdict may use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Reversible, Sequence
from dataclasses import replace as replace_fields
from itertools import pairwise, takewhile
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import numpy as np
from msgspec.structs import replace

from tui.engines.base import Engine
from tui.engines.readings import missing_gauges
from tui.engines.registry import ENGINES
from tui.judge.obstacles import Circumstances, obstacle, work_note
from tui.judge.plausible import doubts_of_most, unknown_figures
from tui.judge.segments import dial_texts
from tui.judge.sweep import crossover
from tui.judge.tables import queueing
from tui.model import gauges as g
from tui.model.dials import DIAL, Dials
from tui.model.metrics import NS_PER_S, PERCENTILES, SHOWN_PERCENTILES
from tui.model.profile import Limits
from tui.model.rows import EventRow, Lane, SecondRow
from tui.model.session import LaneInfo
from tui.session.seconds import Floats, ViewContext
from tui.session.state import LONGEST_WINDOW_S, LaneState, LatencyHistogram, SecondDetail, SessionState
from tui.session.verdicts import LiveVerdicts
from tui.session.view import Curve, GpuView, Judgement, LaneView, Percentiles, ServerView, Turn, View
from tui.stats.distributions import percentile
from tui.stats.verdict import DELTA, SETTLING, Verdict, not_comparable

Reading = tuple[int, float]  # when, in ns, and the value
Readings = Mapping[tuple[str, str], Sequence[Reading]]


def tokens_per_joule(seconds: Sequence[SecondRow], readings: Readings) -> float | None:
    """Output tokens of these seconds over the energy of all the lane's GPUs in the same seconds.

    A second counts when every GPU was read before its start and after its end: the energy at both is interpolated
    between the readings around them. None: no such second, or no energy. A GPU without an energy counter (older than
    Volta, or an exporter that does not show it) has its power integrated by the trapezoid rule instead.
    """
    gpus = {source for source, _ in readings if source.startswith("gpu")}
    since_ns = seconds[0].t_ns if seconds else 0
    curves = [curve for gpu in gpus if (curve := _energy(readings, gpu, since_ns)) is not None]
    if not curves or len(curves) < len(gpus) or not seconds:
        return None
    starts = np.array([row.t_ns for row in seconds], dtype=np.int64)
    tokens = np.array([row.output_tokens for row in seconds], dtype=np.int64)
    read = np.all([(t_ns[0] <= starts) & (starts + NS_PER_S <= t_ns[-1]) for t_ns, _ in curves], axis=0)
    joules = sum(
        float((np.interp(starts[read] + NS_PER_S, t_ns, total_j) - np.interp(starts[read], t_ns, total_j)).sum())
        for t_ns, total_j in curves
    )
    return float(tokens[read].sum()) / joules if joules > 0 else None


def _energy(readings: Readings, gpu: str, since_ns: int) -> tuple[Floats, Floats] | None:
    """When a GPU was read, in ns, and the joules it had drawn from the first of these on.

    From the last reading before `since_ns` on; None before it was read twice.
    """
    counted, power = (_read_since(readings.get((gpu, name), ()), since_ns) for name in (g.GPU_ENERGY, g.GPU_POWER))
    if len(counted) < 2 and len(power) < 2:
        return None
    t_ns, values = np.array(counted if len(counted) >= 2 else power, dtype=float).T
    if len(counted) >= 2:
        drawn = np.maximum(np.diff(values), 0.0)  # a driver that was loaded again counts from 0
    else:
        drawn = (values[1:] + values[:-1]) / 2 * np.diff(t_ns) / NS_PER_S
    return t_ns, np.concatenate(([0.0], np.cumsum(drawn)))


def of_values(ms: Floats) -> Percentiles:
    """Those of values (n,) in ms."""
    return _shown(len(ms), lambda share: percentile(ms, share))


def of_histogram(histogram: LatencyHistogram) -> Percentiles:
    """Those of counted values."""
    return _shown(histogram.n, histogram.percentile)


def _shown(n: int, percentile_at: Callable[[float], float | None]) -> Percentiles:
    """A median of few values is shown, a tail of few is not."""
    known = {name: PERCENTILES[name] for name in SHOWN_PERCENTILES}
    return Percentiles(
        {name: percentile_at(of.share) for name, of in known.items() if n and (name == "p50" or n >= of.samples)}, n
    )


FRESH_S = 90.0  # a reading older than this is not shown as now; a DCGM exporter reads every 30 s by default
GAUGE_CURVE_S = 120
HELD_S = 35  # a curve of a gauge bridges so long between two readings: some exporters read every 30 s
NO_TOTAL = (0.0, 0)
MIN_READINGS = 8  # of a gauge, for a mean of it
GAUGES_LATE_S = 2  # a turned dial, or a load that begins, shows in the gauges so much later
MIN_IN_FLIGHT = 8  # requests
LaneStatus = Literal["connecting", "up", "down", "stopped"]
Row = TypeVar("Row", SecondRow, SecondDetail)


def lane_view(lane: Lane, state: LaneState, context: ViewContext, now_ns: int, window_s: int) -> LaneView:
    """One lane as shown at `now_ns`, over those of the last `window_s` seconds in which its dials were in force.

    Of requests those that also began under these dials; tokens and their gaps are counted as they arrive.
    """
    info, dials = context.infos.get(lane), context.dials[lane]
    rows = _since(state.seconds, now_ns - window_s * NS_PER_S)
    last = state.seconds[-1] if state.seconds else None
    live = counted_seconds(state, now_ns, window_s, in_turns=context.profile.mode == "alternate")
    counted = {r.t_ns for r in live}
    details = [d for d in _since(state.details, live[0].t_ns if live else now_ns) if d.t_ns in counted]
    unknown = unknown_figures(
        doubts_of_most(np.concatenate([d.doubts[d.in_segment] for d in details] or [np.empty(0, int)]))
    )
    return LaneView(
        lane=lane,
        info=info,
        state=_state(state, info, dials),
        state_text=state.down.text if state.down else "",
        dials=dials,
        output_tps=None if "output_tps" in unknown else _rate(live, lambda r: r.output_tokens),
        total_tps=None if "total_tps" in unknown else _rate(live, lambda r: r.output_tokens + r.prompt_tokens),
        request_rate=_rate(live, lambda r: r.finished),
        curve=[r.output_tokens if r.up and not r.resting else None for r in state.seconds],
        latencies=_latencies(details, unknown, open_loop=dials.arrival != "closed"),
        in_flight=last.in_flight if last else 0,
        done=state.done,
        failed=state.failed,
        causes=dict(state.causes),
        last_error=state.last_error,
        tokens_from_chunks=state.tokens_from_chunks,
        prompt_tokens_seen=_mean([d.prompt_tokens for d in details]),
        output_tokens_seen=_mean([d.output_tokens for d in details]),
        goodput=_goodput(details, context.profile.slo, len(live)),
        inside_share=_inside_share(details, context.profile.slo),
        server=_server(state, info, live, now_ns, window_s),
        gpus=_gpus(state, now_ns),
        gpu_note=state.fault.get("gpu", ""),
        client_cpu=float(np.mean([r.client_cpu_s for r in rows])) if rows else 0.0,
        loop_lag_ms=max((r.loop_lag_ms for r in rows), default=0.0),
        bound=any(r.bound for r in rows[-3:]),
        stamp=state.stamp,
        merged_share=min(_share(sum(r.merged_reads for r in rows), sum(r.reads for r in rows)), 1.0),
        turn=_turn(reversed(state.seconds), dials) if context.profile.mode == "alternate" else "",
        tokens_per_joule=tokens_per_joule(live, state.gauges),
        unknown=unknown,
        over_s=len(live),
        curves=_curves(state, context.profile.slo, unknown),
        itl_curve=[] if "itl" in unknown else [row.itl_p50_ms for row in state.seconds],
    )


def _turn(seconds: Iterable[SecondRow], dials: Dials) -> Turn:
    """What a lane that takes turns does: a turn that counts or not yet, the rest of its last one, or nothing.

    `seconds`: newest first. Requests that began in the second after one that counts are still of that turn.
    """
    is_stopped = dials.arrival == "closed" and not dials.concurrency
    newer: SecondRow | None = None
    began = False
    for row in seconds:
        if not row.resting:
            return "measured" if newer is None else "ramp" if began else "drains"
        if not row.in_flight and not row.started:
            return "waits" if newer is None else "ramp"
        if is_stopped:
            return "drains"
        began = began or (newer is not None and newer.started > 0)
        newer = row
    return "" if newer is None else "ramp"


def _state(state: LaneState, info: LaneInfo | None, dials: Dials) -> LaneStatus:
    last = state.seconds[-1] if state.seconds else None
    if state.down:
        return "down"
    if info is None or last is None:
        return "connecting"
    stopped = dials.concurrency == 0 and dials.arrival == "closed" and last.in_flight == 0
    return "stopped" if stopped else "up"


def _since(rows: Reversible[Row], t_ns: int) -> list[Row]:
    """The rows, which are in order of time, from a moment on; of ten minutes only those are looked at."""
    newest = list(takewhile(lambda row: row.t_ns >= t_ns, reversed(rows)))
    newest.reverse()
    return newest


def _read_since(readings: Reversible[Reading], t_ns: int) -> list[Reading]:
    """The readings from a moment on, and the one before it."""
    newest: list[Reading] = []
    for reading in reversed(readings):
        newest.append(reading)
        if reading[0] < t_ns:
            break
    newest.reverse()
    return newest


def counted_seconds(state: LaneState, now_ns: int, window_s: int, *, in_turns: bool) -> list[SecondRow]:
    """The seconds of the window in which the lane was up, under the dials now in force.

    Of a lane that takes turns the last ones of its turns: they lie further back than the window is long, but no
    further than the values behind seconds are kept.
    """
    segment = state.seconds[-1].segment if state.seconds else 0
    kept = _since(state.seconds, now_ns - (LONGEST_WINDOW_S if in_turns else window_s) * NS_PER_S)
    return [r for r in kept if r.up and not r.resting and r.segment == segment][-window_s:]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _rate(rows: list[SecondRow], count: Callable[[SecondRow], int]) -> float | None:
    return sum(map(count, rows)) / len(rows) if rows else None


def _mean(arrays: list[Floats]) -> float | None:
    joined = np.concatenate(arrays) if arrays else np.empty(0)
    return float(joined.mean()) if len(joined) else None


def _latencies(details: list[SecondDetail], unknown: Mapping[str, str], *, open_loop: bool) -> dict[str, Percentiles]:
    names = ["ttft", "tpot", "e2e"] + (["ttft_sched"] if open_loop else [])
    percentiles = {}
    for name in names:
        ms = np.concatenate([d.latencies[name][d.in_segment] for d in details] or [np.empty(0)])
        percentiles[name] = of_values(ms[~np.isnan(ms)])
    itl = LatencyHistogram()
    for detail in details:
        itl.merge(detail.itl)
    percentiles["itl"] = of_histogram(itl)
    return percentiles | {name: Percentiles() for name in ("tpot", "itl") if name in unknown}


def _goodput(details: list[SecondDetail], limits: Limits, seconds: int) -> float | None:
    """Requests a second within every limit; None where there is no limit."""
    if not seconds or not limits.by_metric:
        return None
    return sum(detail.good(limits) for detail in details) / seconds


def _inside_share(details: list[SecondDetail], limits: Limits) -> float | None:
    """Of the requests, those within every limit; None where there is no limit, or no request."""
    total = sum(int(detail.in_segment.sum()) for detail in details) if limits.by_metric else 0
    return sum(detail.good(limits) for detail in details) / total if total else None


def _curves(state: LaneState, limits: Limits, unknown: Mapping[str, str]) -> dict[str, Curve]:
    """The latencies of the requests that ended in each second, and how many of these were good."""
    names = [name for name in ("ttft", "tpot", "e2e") if name not in unknown]
    totals = {name: [detail.totals.get(name, NO_TOTAL) for detail in state.details] for name in names}
    curves = {name: Curve([total for total, _ in each], [n for _, n in each]) for name, each in totals.items()}
    if limits.by_metric:
        good = [float(detail.good(limits)) for detail in state.details]
        curves["goodput"] = Curve(good, [1] * len(good))
    return curves


def _server(state: LaneState, info: LaneInfo | None, live: list[SecondRow], now_ns: int, window_s: int) -> ServerView:
    def now(name: str) -> float | None:
        readings = state.gauges.get((g.SERVER, name))
        return readings[-1][1] if readings and now_ns - readings[-1][0] < FRESH_S * NS_PER_S else None

    engine = ENGINES.get(info.engine) if info is not None else None
    late = engine is not None and (engine.refresh_s > 0 or engine.refresh_at_end)  # its gauges are of some time ago
    newest = max((r[-1][0] for (source, _), r in state.gauges.items() if source == g.SERVER and r), default=None)
    return ServerView(
        running=now(g.RUNNING),
        waiting=now(g.WAITING),
        unscheduled=None if late else _unscheduled(state, live),
        kv_usage=now(g.KV_USAGE),
        kv_curve=gauge_curve(state.gauges.get((g.SERVER, g.KV_USAGE), ()), now_ns),
        prefix_hit_rate=_hit_rate(state, now_ns - window_s * NS_PER_S),
        preemptions=_risen(state.gauges.get((g.SERVER, g.PREEMPTIONS)), now_ns - window_s * NS_PER_S),
        age_s=None if newest is None else max((now_ns - newest) / NS_PER_S, 0.0),
        note=state.fault.get(g.SERVER, "") or (_missing(engine, state) if engine is not None else ""),
        kv_preallocated=engine is not None and engine.kv_preallocated,
        kv_pool_tokens=now(g.KV_POOL_TOKENS),
        kv_pool_bytes=now(g.KV_BYTES),
        weights_bytes=now(g.WEIGHTS_BYTES),
        refresh_s=engine.refresh_s if engine is not None else 0.0,
        refresh_at_end=engine is not None and engine.refresh_at_end,
    )


def _unscheduled(state: LaneState, live: list[SecondRow]) -> float | None:
    """Share of the requests in flight that the server counts as neither running nor queued; None: not known.

    So few requests that one on its way is a large share say nothing.
    """
    rows = live[GAUGES_LATE_S:]
    if not rows:
        return None
    starts_ns, in_flight = np.array([(row.t_ns, row.in_flight) for row in rows], dtype=np.int64).T
    readings = (_read_since(state.gauges.get((g.SERVER, n), ()), rows[0].t_ns) for n in (g.RUNNING, g.WAITING))
    queue = queueing(starts_ns, in_flight, *readings)
    if queue is None or queue.seconds < MIN_READINGS or queue.in_flight < MIN_IN_FLIGHT:
        return None
    return None if queue.unscheduled is None else queue.unscheduled / queue.in_flight


def _missing(engine: Engine, state: LaneState) -> str:
    """Which gauges the server does not report although requests have ended."""
    read = {
        name: readings[-1][1] for (source, name), readings in state.gauges.items() if source == g.SERVER and readings
    }
    ended = any(read.get(name) for name in (g.REQUESTS_FINISHED, g.GENERATION_TOKENS_FINISHED, g.GENERATION_TOKENS))
    return missing_gauges(engine, read) if ended else ""


def _hit_rate(state: LaneState, since_ns: int) -> float | None:
    """Prefix tokens that hit the cache over those looked up, between the first and last reading of the window."""
    hits, queries = (_risen(state.gauges.get((g.SERVER, n)), since_ns) for n in (g.PREFIX_HITS, g.PREFIX_QUERIES))
    return hits / queries if hits is not None and queries else None


def _risen(readings: Sequence[Reading] | None, since_ns: int) -> float | None:
    """How far a counter rose since; None when it was not read twice, or fell, because the server restarted."""
    window = [value for t_ns, value in _read_since(readings or (), since_ns) if t_ns >= since_ns]
    return window[-1] - window[0] if len(window) > 1 and window[-1] >= window[0] else None


def _gpus(state: LaneState, now_ns: int) -> list[GpuView]:
    sources = sorted({source for source, _ in state.gauges if source.startswith("gpu")}, key=lambda s: int(s[3:]))
    return [_gpu(state, source, now_ns) for source in sources]


def _gpu(state: LaneState, source: str, now_ns: int) -> GpuView:
    def now(name: str) -> float | None:
        readings = state.gauges.get((source, name))
        return readings[-1][1] if readings and now_ns - readings[-1][0] < FRESH_S * NS_PER_S else None

    def curve(name: str) -> list[float | None]:
        return gauge_curve(state.gauges.get((source, name), ()), now_ns)

    newest = max((r[-1][0] for (s, _), r in state.gauges.items() if s == source and r), default=now_ns)
    throttled = now(g.GPU_THROTTLED)
    return GpuView(
        index=int(source[3:]),
        memory_used_bytes=now(g.GPU_MEMORY_USED),
        memory_total_bytes=now(g.GPU_MEMORY_TOTAL),
        memory_engine_bytes=now(g.GPU_MEMORY_ENGINE),
        utilization_pct=now(g.GPU_UTILIZATION),
        power_w=now(g.GPU_POWER),
        age_s=max((now_ns - newest) / NS_PER_S, 0.0),
        utilization_curve=curve(g.GPU_UTILIZATION),
        power_curve=curve(g.GPU_POWER),
        memory_curve=curve(g.GPU_MEMORY_USED),
        temperature_c=now(g.GPU_TEMPERATURE),
        throttled=None if throttled is None else throttled > 0,
    )


def gauge_curve(readings: Reversible[tuple[int, float]], now_ns: int) -> list[float | None]:
    """The last minutes of a gauge, a value a second: each reading until the next one, if that came soon."""
    first = now_ns // NS_PER_S - GAUGE_CURVE_S
    curve: list[float | None] = [None] * GAUGE_CURVE_S
    newer = GAUGE_CURVE_S + HELD_S + 1
    for t_ns, value in reversed(readings):
        at = t_ns // NS_PER_S - first
        begin, end = max(at, 0), min(newer if newer - at <= HELD_S else at + 1, GAUGE_CURVE_S)
        if begin < end:
            curve[begin:end] = [value] * (end - begin)
        if at <= 0:
            break
        newer = at
    return curve


def judgement(state: SessionState, context: ViewContext) -> Judgement:
    """What is said of the lanes at this second, of a state that judges them."""
    assert state.live_verdicts is not None
    segment = state.live_verdicts.segment
    session = session_circumstances(state, context)
    ledger, ledger_now = state.live_verdicts.ledger.rows(segment, state.live_verdicts.delta, session)
    return Judgement(
        verdicts=_verdicts(state, state.live_verdicts, context),
        settling_s=segment.settling_s(state.t_ns, state.slow_ms),
        segment_tps=_segment_tps(state.live_verdicts, list(context.dials)),
        ledger=ledger,
        ledger_now=ledger_now,
        crossover=crossover(ledger),
        limits_met={lane: state.live_verdicts.limits_met(lane) or "" for lane in context.dials},
    )


def unknown_judgement(state: SessionState, context: ViewContext, why: str) -> Judgement:
    """What is said while the verdicts are not known yet: only what forbids them anyway."""
    if forbids := obstacle(session_circumstances(state, context)):
        return Judgement({"output_tps": not_comparable("output_tps", forbids)})
    return Judgement({"output_tps": Verdict("output_tps", "undecided", reason=why)})


def make_view(state: SessionState, context: ViewContext, window_s: int, judged: Judgement | None = None) -> View:
    """What a screen shows of `state`, over the last `window_s` seconds. `judged`: where the state judges no lanes."""
    if state.limits is not None:
        context = replace(context, profile=replace(context.profile, slo=state.limits))
    now_ns, dials = state.t_ns, context.dials
    judged = judged or judgement(state, context)
    lanes = {lane: lane_view(lane, state.lanes[lane], context, now_ns, window_s) for lane in dials}
    if context.profile.mode == "together" and _share_a_gpu(context, lanes):
        lanes = {lane: replace(shown, tokens_per_joule=None) for lane, shown in lanes.items()}
    lanes = {lane: replace(shown, limits_met=judged.limits_met.get(lane, "")) for lane, shown in lanes.items()}
    return View(
        second=max(0, (now_ns - state.t0_ns) // NS_PER_S),
        window_s=window_s,
        title=context.profile.name,
        limits=context.profile.slo.by_metric,
        mode=context.profile.mode,
        simulated=any(info.simulated for info in context.infos.values()),
        lanes=lanes,
        dial_marks=[((e.t_ns - state.t0_ns) // NS_PER_S, _mark(e)) for e in state.dial_events],
        events=list(state.events),
        t0_ns=state.t0_ns,
        wall_ns=context.wall_ns,
        settling_s=judged.settling_s,
        incomparable=state.incomparable,
        segment_tps=judged.segment_tps,
        verdicts=judged.verdicts,
        delta=context.profile.delta or DELTA,
        ledger=judged.ledger,
        ledger_now=judged.ledger_now,
        crossover=judged.crossover,
        history=judged.history,
        segment_starts=_segment_starts(state, next(iter(dials))),
        delta_from=context.profile.delta_from,
    )


def _segment_starts(state: SessionState, lane: Lane) -> list[int]:
    rows = state.lanes[lane].seconds
    turned = [row.t_ns for before, row in pairwise(rows) if row.segment != before.segment]
    return [(t_ns - state.t0_ns) // NS_PER_S for t_ns in turned]


def _share_a_gpu(context: ViewContext, lanes: Mapping[Lane, LaneView]) -> bool:
    """Whether the lanes' engines run on one GPU, whose energy cannot be split between them."""
    dcgm = {lane: server.dcgm for lane, server in context.profile.lanes.items()}
    hosts = {dcgm.get(lane) or urlsplit(info.url).hostname for lane, info in context.infos.items()}
    indices = [{gpu.index for gpu in shown.gpus} for shown in lanes.values()]
    return len(indices) == 2 and len(hosts) == 1 and bool(indices[0] & indices[1])


def _mark(event: EventRow) -> str:
    label = DIAL[event.name].label if event.name in DIAL else event.name
    return f"{label} {event.old}→{event.new}" + (f" {event.lane.upper()}" if event.lane else "")


def _segment_tps(live: LiveVerdicts, lanes: list[Lane]) -> dict[Lane, list[float]]:
    """Output tokens of the settled seconds that count, paired in time; of lanes in turns, the n-th with the n-th."""
    counted = {lane: list(live.segment.lane(lane).tps) for lane in lanes}
    shortest = min(map(len, counted.values()))
    return {lane: seconds[:shortest] for lane, seconds in counted.items()}


def _verdicts(state: SessionState, live: LiveVerdicts, context: ViewContext) -> dict[str, Verdict]:
    """The words of this second; where something forbids a word, that instead of each."""
    at = _circumstances(state, live, context)
    if why := obstacle(at):
        return {figure: not_comparable(figure, why) for figure in {"output_tps", *live.verdicts}}
    settling_s = live.segment.settling_s(state.t_ns, state.slow_ms)
    if live.segment.settled_ns is None:
        waited_s = max((state.t_ns - live.segment.start_ns) // NS_PER_S, 0)
        settling = Verdict("output_tps", "undecided", need_s=settling_s, reason=SETTLING, measured_s=waited_s)
        return {"output_tps": settling}
    note = work_note(at)
    return {
        figure: not_comparable(figure, why) if (why := obstacle(at, figure)) else replace_fields(verdict, note=note)
        for figure, verdict in live.verdicts.items()
    }


def session_circumstances(state: SessionState, context: ViewContext) -> Circumstances:
    """What of the whole session decides whether its lanes may be compared."""
    models = [info.model for info in context.infos.values()]
    lanes, waived = list(context.dials), context.profile.waive
    return Circumstances(lanes=lanes, incomparable=state.incomparable, models=models, waived=waived)


def _circumstances(state: SessionState, live: LiveVerdicts, context: ViewContext) -> Circumstances:
    status = {
        lane: _state(state.lanes[lane], context.infos.get(lane), dials) for lane, dials in context.dials.items()
    }
    return replace_fields(
        live.circumstances(session_circumstances(state, context)),
        down=[lane for lane, each in status.items() if each == "down"],
        is_stopped=all(each == "stopped" for each in status.values()),
        dials={lane: dial_texts(dials) for lane, dials in context.dials.items()},
    )
