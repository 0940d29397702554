"""The whole view: both lanes, the dials' marks on the charts, the segment that a verdict may use."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from msgspec.structs import replace

from tui.analysis.crossover import crossover
from tui.records.dials import DIAL
from tui.records.rows import EventRow, Lane
from tui.records.units import NS_PER_S
from tui.session.beside import Beside
from tui.session.fold.state import SessionState
from tui.session.shown.lane import lane_view
from tui.session.view import LaneView, VerdictView, View


def make_view(state: SessionState, beside: Beside, window_s: int) -> View:
    """What a screen shows of `state`, over the last `window_s` seconds."""
    now_ns, dials = state.t_ns, beside.dials
    lanes = {lane: lane_view(lane, state.lanes[lane], beside, now_ns, window_s) for lane in dials}
    if beside.profile.mode == "together" and _share_a_gpu(beside, lanes):
        lanes = {lane: replace(shown, tokens_per_joule=None) for lane, shown in lanes.items()}
    lanes = {lane: replace(shown, limits_met=state.standing.limits_met(lane) or "") for lane, shown in lanes.items()}
    segment = state.standing.segment
    ledger, ledger_now = state.standing.ledger.rows(segment, state.standing.delta, state.incomparable)
    return View(
        second=max(0, (now_ns - state.t0_ns) // NS_PER_S),
        window_s=window_s,
        title=beside.profile.name,
        mode=beside.profile.mode,
        simulated=any(info.simulated for info in beside.infos.values()),
        lanes=lanes,
        dial_marks=[((e.t_ns - state.t0_ns) // NS_PER_S, _mark(e)) for e in state.dial_events],
        events=list(state.events),
        t0_ns=state.t0_ns,
        wall_ns=beside.wall_ns,
        settling_s=segment.settling_s(now_ns, state.slow_ms),
        incomparable=state.incomparable,
        segment_tps=_segment_tps(state, list(dials)),
        verdicts=_verdicts(state, beside, lanes),
        delta=state.standing.delta,
        ledger=ledger,
        ledger_now=ledger_now,
        crossover=crossover(ledger),
        delta_from=beside.profile.delta_from,
    )


def _share_a_gpu(beside: Beside, lanes: Mapping[Lane, LaneView]) -> bool:
    """Whether the lanes' engines run on one GPU, whose energy nobody can then tell apart."""
    servers = {"a": beside.profile.a, "b": beside.profile.b}
    dcgm = {lane: server.dcgm for lane, server in servers.items() if server is not None}
    hosts = {dcgm.get(lane) or urlsplit(info.url).hostname for lane, info in beside.infos.items()}
    indices = [{gpu.index for gpu in shown.gpus} for shown in lanes.values()]
    return len(indices) == 2 and len(hosts) == 1 and bool(indices[0] & indices[1])


def _mark(event: EventRow) -> str:
    label = DIAL[event.name].label if event.name in DIAL else event.name
    return f"{label} {event.old}→{event.new}" + (f" {event.lane.upper()}" if event.lane else "")


def _segment_tps(state: SessionState, lanes: list[Lane]) -> dict[Lane, list[float]]:
    """Output tokens of the settled seconds that count, paired in time; of lanes in turns, the n-th with the n-th."""
    counted = {lane: list(state.standing.segment.lanes[lane].tps) for lane in lanes}
    shortest = min(map(len, counted.values()))
    return {lane: seconds[:shortest] for lane, seconds in counted.items()}


def _verdicts(state: SessionState, beside: Beside, lanes: Mapping[Lane, LaneView]) -> dict[str, VerdictView]:
    """The words of this second; where something forbids a word, that instead of each."""
    told = state.standing.told
    if why := _obstacle(state, beside, lanes):
        return {figure: VerdictView("not comparable", reason=why) for figure in {"output_tps", *told}}
    settling_s = state.standing.segment.settling_s(state.t_ns, state.slow_ms)
    if state.standing.segment.settled_ns is None:
        return {"output_tps": VerdictView("undecided", need_s=settling_s, reason="settling")}
    return dict(told)


def _obstacle(state: SessionState, beside: Beside, lanes: Mapping[Lane, LaneView]) -> str:
    """What forbids a comparison, the gravest first; empty when nothing does."""
    if len(lanes) < 2:
        return "there is one lane"
    down = [lane.upper() for lane, shown in lanes.items() if shown.state == "down"]
    models = {PurePosixPath(info.model).name.casefold() for info in beside.infos.values()}
    reasons = (
        (state.incomparable, bool(state.incomparable)),
        (f"{' and '.join(down)} down", bool(down)),
        ("different models", len(models) > 1 and "model" not in beside.profile.waive),
        ("dials apart", len(set(beside.dials.values())) > 1),
        ("the load is stopped", all(shown.state == "stopped" for shown in lanes.values())),
    )
    return next((text for text, holds in reasons if holds), "") or state.standing.obstacle()
