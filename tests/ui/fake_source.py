"""A source without a session: every view is made from its second alone, so that the screen is known exactly."""

import asyncio
import math
from collections.abc import Callable

from tests.session.virtual_clock import VirtualClock
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Limits, Profile
from tui.model.rows import LANES, EventRow, Lane
from tui.model.session import LaneInfo
from tui.session.clock import Clock
from tui.session.dial_board import DialBoard
from tui.session.source import Board
from tui.session.view import Curve, GpuView, LaneView, Percentiles, ServerView, View, blank_view
from tui.stats.verdict import Verdict

NS = 1_000_000_000
T0_NS = 1_000 * NS
DIALS = Dials(concurrency=32)
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
SO_FAR = Verdict("output_tps", "undecided", 1.14, 0.98, 1.33, 2, need_s=38.0, measured_s=45)
LEVEL = {"a": 2481.0, "b": 2172.0}
INFO = {
    "a": LaneInfo(url="http://127.0.0.1:8000", engine="vllm", title="vLLM", version="0.32.0", model=MODEL),
    "b": LaneInfo(url="http://127.0.0.1:30000", engine="sglang", title="SGLang", version="0.5.23", model=MODEL),
}


class FakeSource:
    """Made-up seconds under real dials. `advance` completes one; while `playing`, each real second does."""

    replay = False

    def __init__(
        self,
        *,
        second: int = 0,
        lanes: str = "ab",
        change: Callable[[View], View] | None = None,
        clock: Clock | None = None,
    ) -> None:
        urls = {"a": "http://127.0.0.1:8000", "b": "http://127.0.0.1:30000"}
        self.profile = Profile(
            name="vllm-vs-sglang",
            a=LaneProfile(url=urls["a"]),
            b=LaneProfile(url=urls["b"]) if "b" in lanes else None,
        )
        self.clock = clock or VirtualClock()
        self.dial_board = DialBoard(dict.fromkeys(LANES, DIALS), asyncio.Queue(), self.clock)
        self.board: Board = self.dial_board
        self.second = second
        self.marks: list[str] = []
        self.stopped: list[str] = []
        self.started = False
        self._lanes: list[Lane] = ["a", "b"] if "b" in lanes else ["a"]
        self._change = change
        self._on_second: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self.playing = False

    async def start(self, on_second: Callable[[], None]) -> None:
        assert not self.started, "a source is started once"
        self._on_second = on_second
        self.started = True
        if self.playing:
            self._task = asyncio.create_task(self._play())

    async def ended(self) -> None:
        await asyncio.Event().wait()

    async def _play(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.advance()

    def advance(self, seconds: int = 1) -> None:
        self.second += seconds
        self._on_second()

    def view(self, window_s: int) -> View:
        made = fake_view(self.second, window_s, self._lanes, self.board)
        return self._change(made) if self._change else made

    def toggle_plan(self) -> str:
        return "the profile has no [[plan]]"

    def set_limits(self, limits: Limits) -> str:
        self.limits = limits
        return ""

    def mark(self, text: str) -> None:
        self.marks.append(text)

    async def stop(self, why: str) -> None:
        self.stopped.append(why)
        if self._task is not None:
            self._task.cancel()


def fake_view(second: int, window_s: int, lanes: list[Lane], board: Board) -> View:
    """The view at `second`; at 0 nothing is known yet."""
    if second == 0:
        profile = Profile(name="vllm-vs-sglang", a=LaneProfile(url="http://127.0.0.1:8000"))
        return blank_view(profile, {lane: board.in_force(lane) for lane in lanes}, window_s)
    return View(
        second=second,
        window_s=window_s,
        title="vllm-vs-sglang",
        mode="together",
        simulated=False,
        lanes={lane: fake_lane(lane, second, window_s, board.in_force(lane)) for lane in lanes},
        dial_marks=[(s, t) for s, t in ((40, "conc 8→16"), (75, "conc 16→32")) if s < second],
        events=fake_events(second),
        verdicts={"output_tps": SO_FAR} if len(lanes) > 1 else {},
        t0_ns=T0_NS,
        wall_ns=1_795_000_000 * NS,
        recording="2026-11-23_140207_vllm-vs-sglang",
        durable_age_s=0.4,
        recorded_bytes=2_400 * second,
        history=fake_history(second),
        segment_starts=[s for s in (40, 75) if s < second],
    )


def tokens(lane: Lane, second: int) -> float:
    """Output tokens of one second: rises with each turn of the dial, with a ripple that differs by lane."""
    level = LEVEL[lane] * (0.42 if second < 40 else 0.72 if second < 75 else 1.0)
    warm = min(1.0, (second + 3) / 12)
    return level * warm * (1 + 0.05 * math.sin(second / (3 if lane == "a" else 5)) + 0.02 * math.sin(second * 1.7))


def fake_lane(lane: Lane, second: int, window_s: int, dials: Dials) -> LaneView:
    curve = [tokens(lane, s) for s in range(second)][-1200:]
    recent = curve[-window_s:]
    tps = sum(recent) / len(recent)
    slow = 1.0 if lane == "a" else 0.85
    wave = 1 + 0.03 * math.sin(second / 2)
    n = min(second, window_s) * 19
    return LaneView(
        lane=lane,
        info=INFO[lane],
        state="up",
        state_text="",
        dials=dials,
        output_tps=tps,
        total_tps=tps * 5,
        request_rate=tps / 128,
        curve=curve,
        latencies={
            "ttft": percentiles(84.1 * slow * wave, 160.3 * slow * wave, 241.7 * slow * wave, n),
            "tpot": percentiles(13.2 / slow, 15.1 / slow * wave, 16.4 / slow, n),
            "itl": percentiles(13.9 / slow, 16.0 / slow * wave, 22.4 / slow * wave, n * 128),
            "e2e": percentiles(1910 / slow, 2660 / slow * wave, 3310 / slow, n),
        },
        in_flight=32,
        done=19 * second,
        failed=3 if lane == "b" and second > 90 else 0,
        causes={"read timeout": 3} if lane == "b" and second > 90 else {},
        last_error="no byte from the server for 60 s" if lane == "b" and second > 90 else "",
        tokens_from_chunks=False,
        prompt_tokens_seen=512.0,
        output_tokens_seen=127.4,
        goodput=None,
        server=ServerView(
            32 if lane == "a" else 30,
            0 if lane == "a" else 2,
            0.38,
            0.31,
            0,
            0.6,
            kv_preallocated=True,
            kv_pool_bytes=(44.0 if lane == "a" else 47.6) * 2**30,
            weights_bytes=15.0 * 2**30,
            kv_curve=[min(0.1 + s / 400, 0.38) for s in range(max(second - 120, 0), second)],
        ),
        gpus=[fake_gpu(lane, second)],
        gpu_note="",
        client_cpu=0.12,
        loop_lag_ms=1.2,
        bound=False,
        stamp="kernel",
        tokens_per_joule=tps / 600,
        curves={
            name: Curve([19 * latency_ms(name, slow, s) for s in range(second)], [19] * second)
            for name in ("ttft", "tpot", "e2e")
        },
        itl_curve=[13.9 / slow] * second,
    )


def latency_ms(name: str, slow: float, second: int) -> float:
    """The mean of one second's requests."""
    base = {"ttft": 84.1 * slow, "tpot": 13.2 / slow, "e2e": 1910 / slow}[name]
    return base * (0.6 if second < 40 else 0.8 if second < 75 else 1.0) * (1 + 0.1 * math.sin(second / 9))


def fake_history(second: int) -> list[dict[str, Verdict]]:
    """What was said of each second: a ratio from 30 s after the last turn of a dial on, ever surer."""
    said = []
    for at in range(1, second + 1):
        since = at - max([0, *(turn for turn in (40, 75) if turn < at)])
        verdict = Verdict("output_tps", "undecided", reason="settling")
        if since >= 30:
            half = 12.0 / since
            verdict = Verdict("output_tps", "undecided", 1.14, 1.14 - half, 1.14 + half)
        said.append({"output_tps": verdict})
    return said


def percentiles(p50: float, p95: float, p99: float, n: int) -> Percentiles:
    return Percentiles({"p50": p50, "p95": p95 if n >= 72 else None, "p99": p99 if n >= 368 else None}, n)


def fake_gpu(lane: Lane, second: int) -> GpuView:
    seconds = range(max(second - 120, 0), second)
    used = (61.2 if lane == "a" else 64.8) * 2**30
    return GpuView(
        index=0 if lane == "a" else 1,
        memory_used_bytes=used,
        memory_total_bytes=79.6 * 2**30,
        memory_engine_bytes=used,
        utilization_pct=97.0 - second % 3,
        power_w=612.0 + 8 * math.sin(second),
        age_s=0.5,
        utilization_curve=[90 + 8 * math.sin(s / 9) if s >= 40 else 60 for s in seconds],
        power_curve=[540 + 80 * math.sin(s / 7) for s in seconds],
        memory_curve=[used * min(1, 0.6 + s / 100) for s in seconds],
    )


def fake_events(second: int) -> list[EventRow]:
    rows = [
        (0, EventRow("a", T0_NS, "start", text="vLLM 0.32.0 at 127.0.0.1:8000")),
        (0, EventRow("b", T0_NS, "start", text="SGLang 0.5.23 at 127.0.0.1:30000")),
        (40, EventRow("", T0_NS + 40 * NS, "dial", "concurrency", "8", "16")),
        (75, EventRow("", T0_NS + 75 * NS, "dial", "concurrency", "16", "32")),
        (91, EventRow("b", T0_NS + 91 * NS, "fault", "load", text="read timeout ×3")),
        (102, EventRow("", T0_NS + 102 * NS, "mark", text="after warm-up")),
    ]
    return [row for at, row in rows if at <= second]
