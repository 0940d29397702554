"""The demo's tour: each step waits for what it is about, its numbers are the session's, and any key ends it."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import swept
from tui.model.rows import Lane
from tui.session.view import View
from tui.stats.verdict import Verdict
from tui.ui.app import DragstripApp
from tui.ui.live_screen import LiveScreen
from tui.ui.tour import CaptionRow, Tour

SETTLES_S, DECIDES_S = 3, 8
SIZE = (130, 16)  # few rows are drawn sooner


class Servers:
    """Two simulated servers as a session sees them, and what the tour did to them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_up = True
        self.source = FakeSource(second=1, change=self.view)
        self._turned_at, self._streams = 0, 32

    async def stop(self, lane: Lane) -> None:
        self.calls.append(f"stop {lane}")
        self.is_up = False

    async def start(self, lane: Lane) -> None:
        self.calls.append(f"start {lane}")
        self.is_up = True

    def view(self, view: View) -> View:
        dials = self.source.board.shown("a")
        if dials.concurrency != self._streams:
            self._turned_at, self._streams = view.second, dials.concurrency
        since_s = view.second - self._turned_at
        lanes = {
            lane: replace(
                shown,
                dials=dials,
                in_flight=dials.concurrency if since_s > 1 else 1,
                state="up" if self.is_up or lane == "a" else "down",
            )
            for lane, shown in view.lanes.items()
        }
        settled_s = max(since_s - SETTLES_S, 0)
        verdict = Verdict("output_tps", "undecided", reason="settling")
        if settled_s:
            word = "A ahead" if since_s >= DECIDES_S else "undecided"
            verdict = Verdict("output_tps", word, 1.2, 1.1, 1.3, measured_s=settled_s)  # type: ignore[arg-type]
        return replace(
            swept()(view),
            lanes=lanes,
            verdicts={"output_tps": verdict},
            settling_s=max(SETTLES_S - since_s, 0),
            segment_tps=dict.fromkeys(lanes, [1.0] * settled_s),
        )


@pytest.fixture
def servers() -> Servers:
    return Servers()


def on_tour(servers: Servers) -> tuple[DragstripApp, LiveScreen]:
    app = DragstripApp(servers.source)
    assert isinstance(app.main_screen, LiveScreen)
    app.main_screen.tour = Tour(servers.stop, servers.start)
    return app, app.main_screen


async def go_on(pilot: Pilot[int], servers: Servers, until: Callable[[], bool]) -> list[str]:
    """Complete seconds until this holds; returns the captions on the way, each once."""
    said: list[str] = []
    for _ in range(120):
        servers.source.advance()
        await pilot.pause()
        caption = pilot.app.screen.query_one(CaptionRow).plain.strip()
        if caption not in said:
            said.append(caption)
        if until():
            return said
    raise AssertionError(said[-1])


async def test_it_shows_everything_and_says_what_was_measured(servers: Servers) -> None:
    app, screen = on_tour(servers)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        tour = screen.tour
        assert tour is not None
        said = "\n".join(await go_on(pilot, servers, lambda: not tour.runs))
        for sentence in (
            "Nothing counts until the load has settled, in about 1 s.",
            "Settled after 4 s: now each second counts.",
            "A verdict, 8 s after the load began.",
            "`}` turns concurrency to 64 in both lanes.",
            "64 streams in both lanes, 3 s after the turn.",
            "16 streams in both lanes, 3 s after the turn.",
            "`k`: throughput against latency, 1 to 128 streams.",
            "  A vLLM 100 to 2.2k tok/s, B SGLang 90 to 2.0k tok/s.",
            "B SGLang was killed.",
            "B SGLang is down, seen after 1 s.",
            "B SGLang is back after 8 s, by itself.",
            "`e` exports figures and pictures",
            "That was the tour: the dials are yours.",
        ):
            assert sentence in said
        assert servers.calls == ["stop b", "start b"]
        assert not screen.query_one(CaptionRow).display
        assert screen.middle == "lanes"


async def test_a_step_waits_for_its_event(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.ui.test_tour.DECIDES_S", 1000)
    app, screen = on_tour(servers)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        said = await go_on(pilot, servers, lambda: servers.source.second == 30)
        assert "the verdict falls once it is sure" in said[-1]
        assert screen.source.board.shown("a").concurrency == 32


async def test_any_key_takes_over_and_a_stopped_server_comes_back(servers: Servers) -> None:
    app, screen = on_tour(servers)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await go_on(pilot, servers, lambda: servers.calls == ["stop b"])
        await pilot.press("w")
        await pilot.pause()
        assert servers.calls == ["stop b", "start b"]
        assert screen.window_s == 60  # the key did what it does
        assert not screen.query_one(CaptionRow).display
        assert "the dials are yours" in screen.message
        before = screen.source.board.shown("a")
        servers.source.advance(100)
        await pilot.pause()
        assert screen.source.board.shown("a") == before


async def test_without_a_tour_there_is_no_row_for_it(servers: Servers) -> None:
    app = DragstripApp(servers.source)
    async with app.run_test(size=(80, 24)):
        assert not app.screen.query(CaptionRow)
