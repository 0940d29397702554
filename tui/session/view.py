"""What a screen shows at one moment: plain numbers, made once a tick, the same live and replayed.

The view of a session of which nothing is known yet: what the first paint shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from tui.model.dials import Dials
from tui.model.profile import Profile
from tui.model.rows import EventRow, Lane
from tui.model.session import LaneInfo
from tui.stats.verdict import Verdict

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow


Turn = Literal["", "measured", "ramp", "drains", "waits"]

HISTORY_S = 600  # of curves, gauge readings and verdicts
WINDOWS_S: tuple[int, ...] = (10, 30, 60, 300)


class Percentiles(msgspec.Struct, frozen=True):
    """Of one latency over the window, in ms, by name; none of too few values (`model.metrics.PERCENTILES`)."""

    ms: Mapping[str, float | None] = {}
    n: int = 0


class Curve(msgspec.Struct, frozen=True):
    """A figure over time, a second each, oldest first. A count of 0: nothing was measured in that second.

    The mean over several seconds is the sum of their totals over the sum of their counts.
    """

    totals: Sequence[float] = ()
    counts: Sequence[int] = ()


class GpuView(msgspec.Struct, frozen=True):
    """One GPU of a lane now, with its last minutes at one value a second (None: no reading)."""

    index: int
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    memory_engine_bytes: float | None
    utilization_pct: float | None
    power_w: float | None
    age_s: float
    utilization_curve: Sequence[float | None] = ()
    power_curve: Sequence[float | None] = ()
    memory_curve: Sequence[float | None] = ()
    temperature_c: float | None = None
    throttled: bool | None = None  # the clocks are held down against the load, by heat or by a power limit


class ServerView(msgspec.Struct, frozen=True):
    """What the server says of itself. None: it does not say, or not lately."""

    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None  # 0..1
    prefix_hit_rate: float | None = None  # 0..1, over the window
    preemptions: float | None = None  # in the window
    age_s: float | None = None  # of the newest reading
    note: str = ""  # why there are no readings
    kv_preallocated: bool = False  # the pool is taken at the start: used memory stays flat whatever the load
    kv_pool_tokens: float | None = None
    kv_pool_bytes: float | None = None  # on each GPU
    weights_bytes: float | None = None  # on each GPU
    unscheduled: float | None = None  # share of the window's requests in flight that neither run nor wait, 0..1
    refresh_s: float = 0.0  # what was read may be older still by this: the server renews it only so often
    refresh_at_end: bool = False  # what was read is as old as the last request that ended
    kv_curve: Sequence[float | None] = ()  # of `kv_usage`, a value a second (None: no reading)


class LaneView(msgspec.Struct, frozen=True):
    """One lane at one moment. Rates and percentiles are over `over_s`."""

    lane: Lane
    info: LaneInfo | None  # None: not reached yet
    state: Literal["connecting", "up", "down", "stopped"]
    state_text: str  # why, and since when
    dials: Dials
    output_tps: float | None
    total_tps: float | None
    request_rate: float | None
    curve: Sequence[float | None]  # output tokens of each second, oldest first; None: no reading
    latencies: Mapping[str, Percentiles]  # ttft tpot itl e2e, and ttft_sched under an arrival rate
    in_flight: int
    done: int
    failed: int
    causes: Mapping[str, int]  # failed by cause
    last_error: str
    tokens_from_chunks: bool  # the server gives no usage: tokens are counted as chunks
    prompt_tokens_seen: float | None  # mean prompt length as the server counted it, over the window
    output_tokens_seen: float | None
    goodput: float | None  # requests a second within every limit of [slo]; None: no limits
    server: ServerView
    gpus: Sequence[GpuView]
    gpu_note: str  # one line that says why there is no GPU
    client_cpu: float  # share of a core
    loop_lag_ms: float
    bound: bool
    stamp: str
    merged_share: float = 0.0  # of the reads: they joined several tokens, and only the last one's stamp is known
    inside_share: float | None = None  # of the window's requests, those within every limit; None: no limits
    limits_met: str = ""  # by 99 % of the segment's requests: met, not met, undecided; empty: there are no limits
    turn: Turn = ""  # of lanes that take turns
    tokens_per_joule: float | None = None  # output tokens over its GPUs' energy; None: not read, or not its own alone
    unknown: Mapping[str, str] = {}  # figures that most answers in the window do not support, and why
    over_s: int = 0  # seconds of the window that rates and percentiles are of: up, its turn, under the dials in force
    curves: Mapping[str, Curve] = {}  # ttft tpot e2e in ms, goodput where there are limits; they end as `curve` does
    itl_curve: Sequence[float | None] = ()  # the median ITL of each second, in ms


class Judgement(msgspec.Struct, frozen=True):
    """What is said of the lanes compared at one second. A replay keeps one for every second of a recording."""

    verdicts: Mapping[str, Verdict]  # by figure: output_tps, ttft_p95, …, goodput
    settling_s: float = 0.0  # above 0: the dials moved and streams of the old setting still run
    segment_tps: Mapping[Lane, Sequence[float]] = {}  # settled whole seconds of this segment
    ledger: Sequence[LedgerRow] = ()  # every setting visited, in order of the first visit
    ledger_now: int = -1  # which of them is in force
    crossover: str = ""  # where the lead changes hands as one dial is turned
    history: Sequence[Mapping[str, Verdict]] = ()  # `verdicts` of each of the last seconds, this one last
    limits_met: Mapping[Lane, str] = {}


class View(msgspec.Struct, frozen=True):
    """The whole screen's numbers at second `second` of the session."""

    second: int
    window_s: int
    title: str
    mode: str  # together or alternate
    simulated: bool
    lanes: Mapping[Lane, LaneView]
    dial_marks: Sequence[tuple[int, str]]  # (second of the session, "conc 16→32"), for the charts
    events: Sequence[EventRow]  # newest last
    t0_ns: int
    wall_ns: int
    settling_s: float = 0.0  # above 0: the dials moved and streams of the old setting still run
    segment_tps: Mapping[Lane, Sequence[float]] = msgspec.field(
        default_factory=dict
    )  # settled whole seconds of this segment
    incomparable: str = ""  # why no verdict may be given, whatever the figures say
    verdicts: Mapping[str, Verdict] = msgspec.field(
        default_factory=dict
    )  # by figure: output_tps, ttft_p95, …, goodput
    delta: float = 0.03  # closer than this is level
    limits: Mapping[str, float] = msgspec.field(default_factory=dict)  # of goodput, in ms, by latency
    ledger: Sequence[LedgerRow] = ()  # every setting visited, in order of the first visit
    ledger_now: int = -1  # which of them is in force
    crossover: str = ""  # where the lead changes hands as one dial is turned
    history: Sequence[Mapping[str, Verdict]] = ()  # `verdicts` of each of the last seconds, this one last
    segment_starts: Sequence[
        int
    ] = ()  # the seconds of the charts from which other dials, or another engine, are in force
    delta_from: str = ""  # empty: the usual one; else where it was measured
    plan: str = ""  # the step that runs and what is left; empty: no plan runs
    recording: str = ""  # empty: not recorded; else where
    recording_note: str = ""  # why recording is paused; of a replay, what the recording lacks
    durable_age_s: float | None = None  # since the newest row that is safe on the disk
    recorded_bytes: int = 0


def blank_view(profile: Profile, dials: Mapping[Lane, Dials], window_s: int) -> View:
    """Both lanes connecting, no number anywhere."""
    return View(
        second=0,
        window_s=window_s,
        title=profile.name,
        mode=profile.mode,
        simulated=False,
        lanes={lane: _blank_lane(lane, dials[lane]) for lane in dials},
        dial_marks=[],
        events=[],
        t0_ns=0,
        wall_ns=0,
    )


def _blank_lane(lane: Lane, dials: Dials) -> LaneView:
    return LaneView(
        lane=lane,
        info=None,
        state="connecting",
        state_text="",
        dials=dials,
        output_tps=None,
        total_tps=None,
        request_rate=None,
        curve=[],
        latencies={},
        in_flight=0,
        done=0,
        failed=0,
        causes={},
        last_error="",
        tokens_from_chunks=False,
        prompt_tokens_seen=None,
        output_tokens_seen=None,
        goodput=None,
        server=ServerView(),
        gpus=[],
        gpu_note="",
        client_cpu=0.0,
        loop_lag_ms=0.0,
        bound=False,
        stamp="",
    )
