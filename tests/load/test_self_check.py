"""The instrument watches itself: starved, limited by the host, or with a stepped clock, it says so."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.load.faulty_server import GOOD, always, serving
from tests.load.test_driver import plan
from tui.load import self_check
from tui.load.driver import Driver, Setting
from tui.load.lane import LaneLoad
from tui.load.self_check import HEARTBEAT_S, SelfCheck
from tui.model.dials import Dials
from tui.model.text import UserError

HOG = "while True: pass"


async def test_a_driver_that_shares_its_core_with_busy_loops_says_that_it_is_the_limit() -> None:
    core = {max(os.sched_getaffinity(0))}
    # A driver is a scheduling group of its own where the kernel groups by session, and so is each hog.
    hogs = [subprocess.Popen([sys.executable, "-c", HOG], start_new_session=True) for _ in range(4)]
    try:
        for hog in hogs:
            os.sched_setaffinity(hog.pid, core)
        async with serving(always(GOOD)) as port:
            driver = await Driver.start(plan(f"http://127.0.0.1:{port}"), Setting(1, Dials(concurrency=64)))
            os.sched_setaffinity(driver.pid, core)
            bound = ""
            async for frame in driver.frames():
                bound = bound or frame.bound
                if bound:
                    break
            await driver.stop()
    finally:
        for hog in hogs:
            hog.send_signal(signal.SIGKILL)
            hog.wait()
    assert "core" in bound or "late" in bound


def limits(soft: int, hard: int) -> object:
    return lambda _: (soft, hard)


@pytest.mark.parametrize(
    ("soft", "hard", "streams"),
    [(256, 1024, 960), (256, 1 << 20, 4096), (256, resource.RLIM_INFINITY, 4096), (80, 80, 16)],
)
def test_a_low_limit_of_open_files_is_raised_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, streams: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", limits(soft, hard))
    assert self_check.max_streams() == streams
    assert self_check.too_many_streams(streams) == ""
    if streams < 4096:
        assert f"at most {streams} of {streams + 1} streams" in self_check.too_many_streams(streams + 1)


async def test_more_streams_than_the_host_allows_are_refused_or_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", limits(66, 66))
    asked = Setting(1, Dials(concurrency=5))
    async with serving(always(GOOD)) as port:
        lane = plan(f"http://127.0.0.1:{port}")
        with pytest.raises(UserError, match="at most 2 of 5 streams run: allow 69 with `ulimit -n`"):
            await Driver.start(lane, asked)
        load = LaneLoad(lane, asked)
        assert load.in_flight == 2
        load.housekeeping()
        assert "at most 2 of 5 streams" in load.self_check.next_frame()[2]
        load.close()


class Hands:
    """A loop whose time is turned by hand: it calls back what is due, as late as the hand was."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, call: Callable[[], None]) -> None:
        self._due.append((when_s, call))

    def turn(self, by_s: float) -> None:
        self.now_s += by_s
        due, self._due = [c for c in self._due if c[0] <= self.now_s], [c for c in self._due if c[0] > self.now_s]
        for _, call in due:
            call()


def bound_after(*lags_ms: float, has_work: bool = True) -> str:
    """What is said after frames with these lags."""
    hands = Hands()
    watch, said = SelfCheck(hands), ""  # type: ignore[arg-type]
    for lag_ms in lags_ms:
        hands.turn(HEARTBEAT_S + lag_ms / 1000)
        said = watch.next_frame(has_work=has_work)[2]
    return said


def test_one_hiccup_of_the_host_is_no_limit_and_time_lost_again_or_for_long_is() -> None:
    assert bound_after(*[40.0] * 20) == ""
    assert bound_after(300.0) == ""
    assert "event loop ran late" in bound_after(300.0, 10.0, 200.0)
    assert "event loop ran late" in bound_after(600.0)
    assert bound_after(600.0, *[10.0] * 10) == ""  # it is over
    assert bound_after(600.0, has_work=False) == ""
