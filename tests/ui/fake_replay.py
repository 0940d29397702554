"""A recording in memory: the made-up seconds of `fake_source`, moved in by the contract of a replay."""

import asyncio
import math
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tests.ui.fake_source import DIALS, FakeSource, percentiles
from tui.model.rows import LANES
from tui.session.replay import ReplayBoard
from tui.session.source import SPEEDS, Moment, WindowView
from tui.session.view import Percentiles, View
from tui.stats.verdict import Verdict

WALL_NS = 1_795_442_587 * 1_000_000_000  # 2026-11-23 14:03:07 UTC
DURATION_S = 588.0
MOMENTS = (
    Moment(39.4, "dial", "conc 8→16"),
    Moment(74.2, "dial", "conc 16→32"),
    Moment(90.9, "fault", "read timeout ×3", "b"),
    Moment(101.5, "mark", "after warm-up"),
    Moment(240.0, "down", "connection refused", "b"),
    Moment(260.5, "up", "up", "b"),
    Moment(420.2, "note", "fans loud"),
    Moment(588.0, "end", "done"),
)


class FakeReplay(FakeSource):
    """Stands at a second. `seeks` are those that were asked for, in order."""

    replay = True

    def __init__(
        self, *, second: int = 150, duration_s: float = DURATION_S, follow: bool = False,
        change: Callable[[View], View] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(second=second, change=change)
        self.board = ReplayBoard(dict.fromkeys(LANES, DIALS))
        self.duration_s = duration_s
        self.speed = 1.0
        self.playing = False
        self.following = follow
        self.seeks: list[float] = []
        self.windows: list[tuple[float, float]] = []
        self.annotations: list[Moment] = []
        self.hold = asyncio.Event()  # a seek waits for it
        self.hold.set()

    @property
    def position_s(self) -> float:
        return float(self.second)

    async def start(self, on_second: Callable[[], None]) -> None:
        assert not self.started, "a source is started once"
        self._on_second = on_second
        self.started = True

    def view(self, window_s: int) -> View:
        made = replace(super().view(window_s), wall_ns=WALL_NS, recorded_bytes=0)
        return self._change(made) if self._change else made

    def toggle(self) -> None:
        self.playing = not self.playing

    def set_speed(self, speed: float) -> None:
        assert speed in SPEEDS
        self.speed = speed

    async def seek(self, t_s: float) -> None:
        self.seeks.append(t_s)
        await self.hold.wait()
        self.second = int(min(max(t_s, 0.0), self.duration_s))
        self._on_second()

    def moments(self) -> Sequence[Moment]:
        return sorted([*MOMENTS, *self.annotations], key=lambda moment: moment.t_s)

    def mark(self, text: str) -> None:
        super().mark(text)
        kind, words = ("note", text.removeprefix("note: ")) if text.startswith("note: ") else ("mark", text)
        self.annotations.append(Moment(float(self.second), kind, words or kind, is_annotation=True))  # type: ignore[arg-type]

    async def window(self, start_s: float, end_s: float) -> WindowView:
        self.windows.append((start_s, end_s))
        return made_up_window(start_s, end_s)


def made_up_window(start_s: float, end_s: float) -> WindowView:
    """A window in which A brings 14 % more tokens and B's first token comes sooner."""
    a = {
        "ttft": percentiles(84.1, 160.3, 241.7, 600), "tpot": percentiles(13.2, 15.1, 16.4, 600),
        "itl": percentiles(13.9, 16.0, 22.4, 60_000), "e2e": percentiles(1910.0, 2660.0, 0.0, 360),
    }  # fmt: skip
    b = {
        name: Percentiles({"p50": (latency.ms["p50"] or 0) * 0.8, "p95": (latency.ms["p95"] or 0) * 0.82}, 360)
        for name, latency in a.items()
    }
    return WindowView(
        start_s=start_s,
        end_s=end_s,
        output_tps={"a": 2481.0, "b": 2172.0},
        requests={"a": 600, "b": 540},
        failed={"a": 0, "b": 3},
        latencies={"a": a, "b": b},
        verdicts={
            "output_tps": Verdict("output_tps", "A ahead", 1.142, 1.098, 1.187),
            "ttft_p95": Verdict("ttft_p95", "B ahead", 1.22, 1.1, 1.34),
            "e2e_p95": Verdict("e2e_p95", "undecided", 1.01, 0.9, 1.12, need_s=math.inf),
        },
        note="3 s settling left out",
    )
