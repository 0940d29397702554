"""`dragstrip run`: the head-to-head without a terminal, for scripts and CI.

Keep the rows of a run that has no screen, for its summary; what is recorded is not read back.

A sweep of one dial: doubling first, then the middle of the steps around each lane's knee. Or just a list.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tui.cli import noise_store
from tui.cli import options as target
from tui.cli.console import print_notice, print_result
from tui.model.profile import Profile, Step
from tui.model.rows import LANES, Batch, EventRow, Lane, RequestRow, SecondRow
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.profile.reading import MOST_REPEATS, lane_dials
from tui.session.seconds import ChunkGaps
from tui.session.state import LatencyHistogram
from tui.session.view import View

if TYPE_CHECKING:
    from tui.session.live import LiveSession, Record


HELP = "the same head-to-head without a terminal; --json prints one object"
USUALLY = "60s"
SWEPT = "100s"  # a verdict needs 80 settled seconds
WARM_S = 60.0
WARM_STEP_S = 10.0  # of each of several settings: what a server compiles or caches for one is there after an answer
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Targets, dials, how long, in which form."""
    target.arguments(parser)
    how_long = f"how long: 30s, 10m, 1h ({USUALLY}; a step of a sweep {SWEPT})"
    parser.add_argument("--for", dest="duration", metavar="TIME", help=how_long)
    parser.add_argument("--plan", action="store_true", help="run the profile's plan to its end, instead of --for")
    again = "the plan, or the settings of a sweep, so many times, every other time backwards"
    parser.add_argument("--repeat", type=int, metavar="N", help=again)
    parser.add_argument(
        "--sweep",
        metavar="DIAL=LOW..HIGH",
        help="double a dial, then refine, or DIAL=1,8,64 just these; each --for so long once it is settled",
    )
    warm = f"each step for {WARM_STEP_S:.0f} s, or the load for {WARM_S:.0f} s at most"
    parser.add_argument("--warm-up", action="store_true", help=f"first {warm}, neither recorded nor counted")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def call(args: argparse.Namespace) -> int:
    """Run, record, print the summary."""
    _check_flags(args)
    profile = noise_store.with_floor(target.profile_of(args))
    if not (args.plan or args.sweep) and profile.load.arrival == "closed" and not profile.load.concurrency:
        raise UserError("concurrency is 0, so there is no load to measure: give --max-concurrency 1 or more")
    if args.sweep or args.repeat:
        profile = msgspec.structs.replace(profile, repeat=args.repeat or 1)
    for_s = seconds(args.duration or (SWEPT if args.sweep else USUALLY))
    return asyncio.run(_run(args, profile, for_s, _steps(args, profile, for_s)))


def _check_flags(args: argparse.Namespace) -> None:
    from tui.judge.sweep import is_refined

    if args.plan and args.sweep:
        raise UserError("give --plan or --sweep, not both")
    if args.repeat is not None and not args.plan and (not args.sweep or is_refined(args.sweep)):
        raise UserError("--repeat goes with --plan, or with a --sweep that lists its settings: concurrency=1,8,64")
    if args.repeat is not None and not 1 <= args.repeat <= MOST_REPEATS:
        raise UserError(f"--repeat must lie between 1 and {MOST_REPEATS}, not {args.repeat}")


def _steps(args: argparse.Namespace, profile: Profile, for_s: float) -> list[Step]:
    """The plan to run, or the first pass of the sweep. UserError here leaves no empty session behind."""
    if not args.plan and not args.sweep:
        return []
    from tui.session.plan import checked

    dials = {lane: lane_dials(profile, server) for lane, server in profile.lanes.items()}
    return checked(first_pass(args.sweep, for_s) if args.sweep else profile.plan, dials)


def seconds(text: str) -> float:
    """A duration as seconds. UserError when it is none."""
    if not (match := _DURATION.fullmatch(text.strip())) or float(match[1]) <= 0:
        raise UserError(f"{text} is no length of time: write it like 30s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


async def _run(args: argparse.Namespace, profile: Profile, for_s: float, steps: Sequence[Step]) -> int:
    from tui.cli.recording import recorder_for

    record = recorder_for(args, profile)
    stop = Stop()
    if args.warm_up:
        print_notice("warming up: what the servers now do is neither recorded nor counted")
        once = msgspec.structs.replace(profile, repeat=1)
        short = [
            msgspec.structs.replace(step, requests=None, for_s=min(step.for_s or WARM_STEP_S, WARM_STEP_S))
            for step in steps
        ]
        await _measured(once, partial(_complete, for_s=min(for_s, WARM_S), steps=short), None, stop, quiet=True)
        if stop.signal:
            print_notice("dragstrip: interrupted while it warmed up: nothing was measured")
            return 128 + stop.signal
    whole = partial(_complete, for_s=for_s, steps=steps, sweep=args.sweep or "")
    session, collected = await _measured(profile, whole, record, stop, quiet=args.json)
    if stop.signal:
        print_notice(
            "dragstrip: interrupted; what was measured is recorded" if session.recording else "dragstrip: interrupted"
        )
        return 128 + stop.signal
    return _tell(args, session, collected)


class Stop:
    """Set by the first signal that asks for an end, which it keeps."""

    def __init__(self) -> None:
        self.signal = 0
        self.asked = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._ask, number)

    def _ask(self, number: int) -> None:
        self.signal = self.signal or number
        self.asked.set()


async def _measured(
    profile: Profile,
    whole: Callable[[LiveSession], Coroutine[None, None, None]],
    record: Record | None,
    stop: Stop,
    *,
    quiet: bool,
) -> tuple[LiveSession, Collected]:
    """A session from its start to its end, and what it was."""
    from tui.cli.simulate import SimulatedLanes
    from tui.session.live import LiveSession

    simulated = SimulatedLanes()
    session = LiveSession(profile, prepare=simulated.prepare, record=record, release=simulated.stop)
    collected = Collected()
    session.listen(collected)
    try:
        await session.reach()
        await session.start(lambda: None)
        await _until(session, whole(session), stop.asked, collected, quiet=quiet)
    finally:
        await session.stop(f"signal {signal.Signals(stop.signal).name}" if stop.signal else "done")
    return session, collected


async def _complete(session: LiveSession, *, for_s: float, steps: Sequence[Step], sweep: str = "") -> None:
    """Until the time is up; with steps, until the last one has been held."""
    if not steps:
        await session.elapsed(for_s)
        return
    await session.started()
    if sweep:
        from tui.judge.sweep import is_refined

        swept = Sweep.of(steps, for_s, refines=is_refined(sweep))
        session.start_plan(steps, lambda step: swept.measured(step, session.view(1)), settled_only=True)
    else:
        session.start_plan(steps)
    await session.plan_over()


async def _until(
    session: LiveSession,
    whole: Coroutine[None, None, None],
    stop: asyncio.Event,
    collected: Collected,
    *,
    quiet: bool,
) -> None:
    """Until the time is up, the operator interrupts, or the session ends in an error, which is raised."""
    ended = asyncio.create_task(session.ended())
    interrupted = asyncio.create_task(stop.wait())
    started = asyncio.create_task(session.started())
    complete = asyncio.create_task(whole)
    try:
        await asyncio.wait({ended, interrupted, started}, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            if not quiet:
                collected.on_second = print_notice
            await asyncio.wait({ended, interrupted, complete}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()
        if complete.done():
            complete.result()
    finally:
        for task in (ended, interrupted, started, complete):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])


def _tell(args: argparse.Namespace, session: LiveSession, collected: Collected) -> int:
    from tui.cli.recording import naming

    assert session.info is not None
    found = collected.summary(session.info)
    if args.json:
        print_result(json.dumps(found, allow_nan=False))
    else:
        for line in lines(found):
            print_result(line)
        if sentence := session.view(1).crossover:
            print_result(f"{sentence}.")
        if session.recording is not None:
            told = naming(args, session.profile)(session.info.name)
            print_result(f"recorded as {told}: `dragstrip report {told}`, `dragstrip replay {told}`")
    failed = {lane: why for lane, figures in found["lanes"].items() if (why := _failed(figures))}
    failed |= dict.fromkeys(collected.down(), "is down")
    for lane, why in failed.items():
        print_notice(f"dragstrip: lane {lane.upper()} {why}")
    if session.incomparable:
        print_notice(f"dragstrip: {session.incomparable}; accept a difference with --waive KEY")
    return 1 if failed or session.incomparable else 0


def _failed(figures: Mapping[str, Any]) -> str:
    """Why a script may not trust the lane's figures; empty when it may."""
    from tui.judge.obstacles import failed_too_often

    ok, failed = figures["requests"], figures["failed"]
    if not ok:
        return "finished no request"
    return f"failed {failed} of {ok + failed} requests" if failed_too_often(ok, failed) else ""


class Collected:
    """A listener of a session. `on_second` is given a line of text for each complete second."""

    def __init__(self) -> None:
        self.on_second: Callable[[str], None] | None = None
        self._requests: list[RequestRow] = []
        self._seconds: list[SecondRow] = []
        self._events: list[EventRow] = []
        self._gaps: dict[Lane, ChunkGaps] = {lane: ChunkGaps() for lane in LANES}
        self._itl: dict[Lane, LatencyHistogram] = {lane: LatencyHistogram() for lane in LANES}

    def __call__(self, batch: Batch) -> None:
        """Take a batch in."""
        self._requests += batch.requests
        self._events += batch.events
        for lane, chunks in batch.chunks:
            gaps = self._gaps[lane].feed(chunks)
            self._itl[lane].add(gaps.itl_ms, gaps.tokens)
        for lane in LANES:
            self._gaps[lane].forget([r.request for r in batch.requests if r.lane == lane])
        self._seconds += batch.seconds
        if batch.seconds and self.on_second is not None:
            self.on_second("   ".join(map(second_text, batch.seconds)))

    def down(self) -> list[Lane]:
        """The lanes whose server did not answer any more as the run ended."""
        last = {row.lane: row for row in self._seconds}
        return [lane for lane, row in last.items() if not row.up]

    def summary(self, info: SessionInfo) -> dict[str, Any]:
        """The object of `run --json`."""
        from tui.recording.schema import frame_of_rows
        from tui.report.summary import summary

        return summary(
            info,
            frame_of_rows("requests", self._requests),
            frame_of_rows("seconds", self._seconds),
            self._itl,
            self._events,
        )


def second_text(row: SecondRow) -> str:
    """One second of one lane, for people."""
    failed = f" {row.failed} failed" if row.failed else ""
    state = " down" if not row.up else " resting" if row.resting else ""
    return f"{row.lane.upper()} {row.output_tokens:6d} tok/s {row.in_flight:4d} in flight{failed}{state}"


def lines(found: dict[str, Any]) -> list[str]:
    """The summary for people, one line a lane and one for the verdict."""
    told = []
    for lane, figures in found["lanes"].items():
        simulated = " SIMULATED" if figures["simulated"] else ""
        ttft, tpot = figures["ttft_ms"]["p50"], figures["tpot_ms"]["p50"]
        told.append(
            f"{lane.upper()} {figures['engine']} {figures['model']}{simulated}: "
            f"{figures['output_tps']:.0f} tok/s out, "
            f"{figures['requests']} requests, {figures['failed']} failed, "
            f"TTFT p50 {_ms(ttft)}, TPOT p50 {_ms(tpot)}"
        )
    return [*told, _verdict(found["verdict"])] if found["verdict"] else told


def _verdict(told: dict[str, Any]) -> str:
    from tui.report.format import verdict_sentence
    from tui.stats.verdict import Margin, Verdict

    fields = {name: value for name, value in told.items() if name in Verdict.__dataclass_fields__}
    margin = Margin(told["delta"], told["delta_from"])
    return f"{verdict_sentence(Verdict(**fields), 'Output tok/s')} Level is within {margin.text}."


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def first_pass(text: str, for_s: float) -> list[Step]:
    """The steps of `concurrency=1..256` or `concurrency=1,8,64`. UserError that says how a sweep is written."""
    from tui.judge.sweep import sweep_plan

    return [Step(dials=dict(step.dials), for_s=step.for_s) for step in sweep_plan(text, for_s)]


@dataclass(slots=True)
class Sweep:
    """Which settings were held, and from what the ledger says of them those that follow."""

    dial: str
    for_s: float
    left: set[int]  # settings planned and not held yet
    refines: bool = True
    held: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, steps: Sequence[Step], for_s: float, *, refines: bool = True) -> Sweep:
        """Before the first step."""
        (dial,) = steps[0].dials
        return cls(dial, for_s, {int(step.dials[dial]) for step in steps}, refines)

    def measured(self, step: Step, view: View) -> list[Step]:
        """Take the step that ends; gives the next pass once this one is complete, empty when it is fine enough."""
        from tui.judge.sweep import curve, halving, knee

        setting = int(step.dials[self.dial])
        self.left.discard(setting)
        self.held.add(setting)
        if self.left or not self.refines:
            return []
        found = curve(view.ledger, self.dial)
        lines = [] if found is None else found.lines.values()
        knees = {at for line in lines if (at := knee(line)) is not None}
        wanted = halving(self.held, knees)
        self.left = set(wanted)
        return [Step(dials={self.dial: value}, for_s=self.for_s) for value in wanted]
