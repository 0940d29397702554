"""A session without a screen: what it does, how it ends, and the rows that its summary is made of."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.cli.console import Interruption, print_notice, until_one_ends
from tui.judge.itl import ChunkGaps
from tui.model.profile import Profile, Step
from tui.model.rows import LANES, Batch, EventRow, Lane, RequestRow, SecondRow
from tui.model.session import SessionInfo
from tui.session.state import LatencyHistogram
from tui.session.view import View

if TYPE_CHECKING:
    from tui.session.live import LiveSession, Record


@dataclass(frozen=True, slots=True)
class Work:
    """Hold each of `steps`, or the profile's load for `for_s` when there are none."""

    for_s: float
    steps: Sequence[Step] = ()
    sweep: bool = False  # the steps are the first pass of a sweep: only settled time counts
    refined: bool = False  # further passes of the sweep follow

    async def run(self, session: LiveSession) -> None:
        if not self.steps:
            await session.elapsed(self.for_s)
            return
        await session.started()
        passes = SweepPasses(self.steps) if self.refined else None
        session.start_plan(
            self.steps,
            lambda step: passes.next_steps(step, session.view(1)) if passes is not None else [],
            settled_only=self.sweep,
        )
        await session.plan_over()


async def measure(
    profile: Profile, work: Work, interruption: Interruption, listener: CollectedRows, record: Record | None = None
) -> LiveSession:
    """Run a session until its work is done or interrupted; returns it stopped. Raises the error that ended it."""
    from tui.session.live import LiveSession

    session = LiveSession(profile, record=record)
    session.listen(listener)
    try:
        for lane, info in (await session.reach()).items():
            for sentence in info.adapted:
                print_notice(f"lane {lane.upper()}: {sentence}")
        await session.start(lambda: None)
        await until_one_ends(session.ended(), work.run(session), interruption.event.wait())
    finally:
        number = interruption.signal
        await session.stop(f"signal {signal.Signals(number).name}" if number else "done")
    return session


class SweepPasses:
    """A refined sweep: after a pass, the middles of the steps around each lane's knee are the next."""

    def __init__(self, first_pass: Sequence[Step]) -> None:
        (self._dial,) = first_pass[0].dials
        self._planned = {int(step.dials[self._dial]) for step in first_pass}
        self._held: set[int] = set()

    def next_steps(self, step: Step, view: View) -> list[Step]:
        """The next pass if `step`, which ends, completes this one and the settings are not fine enough yet."""
        from tui.judge.sweep import curve, halving, knee

        self._held.add(int(step.dials[self._dial]))
        if self._planned - self._held:
            return []
        measured = curve(view.ledger, self._dial)
        lines = [] if measured is None else measured.lines.values()
        settings = halving(self._held, {at for line in lines if (at := knee(line)) is not None})
        self._planned.update(settings)
        return [Step(dials={self._dial: setting}, for_s=step.for_s) for setting in settings]


class CollectedRows:
    """A listener that keeps what a summary needs; the recording is not read back.

    `on_second` is given the rows of each complete second, one a lane.
    """

    def __init__(self, on_second: Callable[[list[SecondRow]], None] | None = None) -> None:
        self._on_second = on_second
        self._requests: list[RequestRow] = []
        self._seconds: list[SecondRow] = []
        self._events: list[EventRow] = []
        self._gaps: dict[Lane, ChunkGaps] = {lane: ChunkGaps() for lane in LANES}
        self._itl: dict[Lane, LatencyHistogram] = {lane: LatencyHistogram() for lane in LANES}

    def __call__(self, batch: Batch) -> None:
        self._requests += batch.requests
        self._events += batch.events
        for lane, chunks in batch.chunks:
            gaps = self._gaps[lane].feed(chunks)
            self._itl[lane].add(gaps.itl_ms, gaps.tokens)
        for lane in LANES:
            self._gaps[lane].forget([r.request for r in batch.requests if r.lane == lane])
        self._seconds += batch.seconds
        if batch.seconds and self._on_second is not None:
            self._on_second(batch.seconds)

    def down(self) -> list[Lane]:
        """The lanes whose server no longer answered as the run ended."""
        last = {row.lane: row for row in self._seconds}
        return [lane for lane, row in last.items() if not row.up]

    def summary(self, info: SessionInfo) -> dict[str, Any]:
        """The object of `run --json`."""
        from tui.recording.schema import frame_of_rows
        from tui.report.summary import summary

        requests, seconds = frame_of_rows("requests", self._requests), frame_of_rows("seconds", self._seconds)
        return summary(info, requests, seconds, self._itl, self._events)
