"""The whole view: both lanes, the dials' marks on the charts, the segment that a verdict may use."""

import numpy as np

from tui.records.dials import DIAL
from tui.records.rows import EventRow, Lane
from tui.session.beside import Beside
from tui.session.compose import NS, lane_view
from tui.session.state import SessionState
from tui.session.view import View

LEAST_SETTLING_S = 5.0
MOST_SETTLING_S = 60.0


def make_view(state: SessionState, beside: Beside, window_s: int) -> View:
    """What a screen shows of `state`, over the last `window_s` seconds."""
    now_ns, dials = state.t_ns, beside.dials
    lanes = {lane: lane_view(lane, state.lanes[lane], beside, now_ns, window_s) for lane in dials}
    settled_ns = state.segment_ns + int(_settling_s(state) * NS)
    return View(
        second=max(0, (now_ns - state.t0_ns) // NS),
        window_s=window_s,
        title=beside.profile.name,
        mode=beside.profile.mode,
        simulated=any(info.simulated for info in beside.infos.values()),
        lanes=lanes,
        dial_marks=[((e.t_ns - state.t0_ns) // NS, _mark(e)) for e in state.dial_events],
        events=list(state.events),
        t0_ns=state.t0_ns,
        wall_ns=beside.wall_ns,
        settling_s=max(0.0, (settled_ns - now_ns) / NS),
        segment_age_s=(now_ns - state.segment_ns) / NS,
        incomparable=state.incomparable,
        segment_tps=_segment_tps(state, settled_ns, list(dials)),
        segment_bound=any(row.bound for lane in dials for row in state.lanes[lane].seconds if row.t_ns >= settled_ns),
    )


def _mark(event: EventRow) -> str:
    label = DIAL[event.name].label if event.name in DIAL else event.name
    return f"{label} {event.old}→{event.new}" + (f" {event.lane.upper()}" if event.lane else "")


def _settling_s(state: SessionState) -> float:
    """How long after a turn of a dial the figures still mix two settings: twice the p95 of E2E, within limits."""
    slowest_ms = 0.0
    for lane in state.lanes.values():
        recent = [d.latencies["e2e"] for d in list(lane.details)[-60:]]
        values = np.concatenate(recent) if recent else np.empty(0)
        if len(values):
            slowest_ms = max(slowest_ms, float(np.percentile(values, 95)))
    return min(max(LEAST_SETTLING_S, 2 * slowest_ms / 1000), MOST_SETTLING_S)


def _segment_tps(state: SessionState, since_ns: int, lanes: list[Lane]) -> dict[Lane, list[float]]:
    """Output tokens of the settled whole seconds that every lane has: up, and not held back by the client."""
    by_lane = {
        lane: {
            r.t_ns: float(r.output_tokens)
            for r in state.lanes[lane].seconds
            if r.t_ns >= since_ns and r.up and not r.bound and not r.resting
        }
        for lane in lanes
    }
    if any(row.resting for lane in lanes for row in state.lanes[lane].seconds):  # in turns: the n-th with the n-th
        shortest = min(map(len, by_lane.values()))
        return {lane: list(seconds.values())[:shortest] for lane, seconds in by_lane.items()}
    common = sorted(set.intersection(*(set(seconds) for seconds in by_lane.values())))
    return {lane: [by_lane[lane][t_ns] for t_ns in common] for lane in lanes}
