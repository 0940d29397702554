"""Readings keep to their schedule."""

import asyncio

import pytest

from tui.model.rows import GaugeRow
from tui.telemetry.server import ReadingError, poll


async def test_beats_keep_their_schedule_and_skip_what_a_slow_reading_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    started: list[float] = []
    took = iter((0.3, 2.4, 0.1, 1.0, 0.0))

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def read() -> list[GaugeRow]:
        nonlocal now
        started.append(now)
        now += next(took)
        if len(started) == 5:
            raise asyncio.CancelledError
        raise ReadingError("nothing")

    monkeypatch.setattr("tui.telemetry.server.time.monotonic", lambda: now)
    monkeypatch.setattr("tui.telemetry.server.asyncio.sleep", sleep)
    faults: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        await poll(read, lambda _: None, faults.append, 1.0)
    assert started == [100, 101, 104, 105, 106]
    assert faults == ["nothing"]
