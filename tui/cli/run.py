"""`dragstrip run`: the head-to-head without a terminal, for scripts and CI.

A session without a screen: what it does, how it ends, and the rows that its summary is made of.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tui.cli.calibrate import with_noise_floor
from tui.cli.console import Interruption, print_notice, print_result, until_one_ends
from tui.cli.options import profile_from, recorder_from, recording_flags, session_argument, target_flags
from tui.judge.itl import ChunkGaps
from tui.model.profile import Profile, Step
from tui.model.rows import LANES, Batch, EventRow, Lane, RequestRow, SecondRow
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.profile.reading import MAX_REPEATS, lane_dials
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


HELP = "measure without a terminal; --json prints one JSON object"
DEFAULT_TIME = "60s"
SWEEP_STEP_TIME = "100s"  # a verdict needs 80 settled seconds
WARM_S = 60.0
WARM_STEP_S = 10.0  # of each of several settings: what a server compiles or caches for one is there after an answer
FAILURES_SHOWN = 3  # of a lane, on stderr
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    recording_flags(parser)
    time_help = f"duration: 30s, 10m, 1h (default {DEFAULT_TIME}; each step of a sweep {SWEEP_STEP_TIME})"
    parser.add_argument("--for", dest="duration", metavar="TIME", help=time_help)
    parser.add_argument("--plan", action="store_true", help="run the profile's plan to its end, instead of --for")
    repeat_help = "run the plan or the listed sweep N times, every second time backwards"
    parser.add_argument("--repeat", type=int, metavar="N", help=repeat_help)
    parser.add_argument(
        "--sweep",
        metavar="DIAL=LOW..HIGH",
        help="double a dial, then refine around the knee; DIAL=1,8,64 visits just these; each for --for once settled",
    )
    warm = f"each step for {WARM_STEP_S:.0f} s, or the load for at most {WARM_S:.0f} s"
    parser.add_argument("--warm-up", action="store_true", help=f"first run {warm}, without recording or counting it")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def call(args: argparse.Namespace) -> int:
    _check_flags(args)
    profile = with_noise_floor(profile_from(args))
    if not (args.plan or args.sweep) and profile.load.arrival == "closed" and not profile.load.concurrency:
        raise UserError("concurrency is 0, so there is no load to measure: give --max-concurrency 1 or more")
    if args.sweep or args.repeat:
        profile = msgspec.structs.replace(profile, repeat=args.repeat or 1)
    return asyncio.run(_run(args, profile, _work(args, profile)))


def _check_flags(args: argparse.Namespace) -> None:
    from tui.judge.sweep import is_refined

    if args.plan and args.sweep:
        raise UserError("give --plan or --sweep, not both")
    if args.repeat is not None and not args.plan and (not args.sweep or is_refined(args.sweep)):
        raise UserError("--repeat needs --plan, or a --sweep with listed settings: concurrency=1,8,64")
    if args.repeat is not None and not 1 <= args.repeat <= MAX_REPEATS:
        raise UserError(f"--repeat must lie between 1 and {MAX_REPEATS}, not {args.repeat}")


def _work(args: argparse.Namespace, profile: Profile) -> Work:
    """UserError here, before the session begins, leaves no empty recording behind."""
    from tui.judge.sweep import is_refined, sweep_plan
    from tui.session.plan import checked

    for_s = duration_s(args.duration or (SWEEP_STEP_TIME if args.sweep else DEFAULT_TIME))
    if not args.plan and not args.sweep:
        return Work(for_s)
    dials = {lane: lane_dials(profile, server) for lane, server in profile.lanes.items()}
    if args.plan:
        return Work(for_s, checked(profile.plan, dials))
    return Work(for_s, checked(sweep_plan(args.sweep, for_s), dials), sweep=True, refined=is_refined(args.sweep))


def duration_s(text: str) -> float:
    """A duration in seconds. UserError when it is none."""
    if not (match := _DURATION.fullmatch(text.strip())) or float(match[1]) <= 0:
        raise UserError(f"{text} is not a duration: write it like 30s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


async def _run(args: argparse.Namespace, profile: Profile, work: Work) -> int:
    record = recorder_from(args, profile)
    interruption = Interruption()
    if args.warm_up:
        print_notice("warming up: not recorded, not counted")
        once = msgspec.structs.replace(profile, repeat=1)
        await measure(once, _warm_up(work), interruption, CollectedRows())
        if interruption.signal:
            print_notice("dragstrip: interrupted during warm-up: nothing was measured")
            return 128 + interruption.signal
    rows = CollectedRows(None if args.json else _print_second)
    session = await measure(profile, work, interruption, rows, record)
    if interruption.signal:
        recorded = "; the measurement so far is recorded" if session.recorder else ""
        print_notice(f"dragstrip: interrupted{recorded}")
        return 128 + interruption.signal
    return _print_summary(args, session, rows)


def _warm_up(work: Work) -> Work:
    replace = msgspec.structs.replace
    steps = [replace(step, requests=None, for_s=min(step.for_s or WARM_STEP_S, WARM_STEP_S)) for step in work.steps]
    return Work(min(work.for_s, WARM_S), steps)


def _print_second(rows: list[SecondRow]) -> None:
    print_notice("   ".join(map(_second_text, rows)))


def _second_text(row: SecondRow) -> str:
    failed = f" {row.failed} failed" if row.failed else ""
    state = " down" if not row.up else " resting" if row.resting else ""
    return f"{row.lane.upper()} {row.output_tokens:6d} tok/s {row.in_flight:4d} in flight{failed}{state}"


def _print_summary(args: argparse.Namespace, session: LiveSession, rows: CollectedRows) -> int:
    assert session.info is not None
    summary = rows.summary(session.info)
    if args.json:
        print_result(json.dumps(summary, allow_nan=False))
    else:
        for name, lane in summary["lanes"].items():
            print_result(_lane_text(name, lane))
        if summary["verdict"]:
            print_result(_verdict_text(summary["verdict"]))
        if sentence := session.view(1).crossover:
            print_result(f"{sentence}.")
        if session.recorder is not None:
            name = session_argument(args, session.profile, session.info.name)
            print_result(f"recorded as {name}: `dragstrip report {name}`, `dragstrip replay {name}`")
    failed = {name: why for name, lane in summary["lanes"].items() if (why := _failure(lane))}
    failed |= dict.fromkeys(rows.down(), "is down")
    for name, why in failed.items():
        print_notice(f"dragstrip: lane {name.upper()} {why}")
    _print_doubts(summary["lanes"])
    if session.incomparable:
        print_notice(f"dragstrip: {session.incomparable}; accept a difference with --waive KEY")
    return 1 if failed or session.incomparable else 0


def _print_doubts(lanes: Mapping[str, Mapping[str, Any]]) -> None:
    from tui.report.summary import unknown_sentences

    for name, lane in lanes.items():
        for line in _failure_lines(lane):
            print_notice(f"dragstrip: lane {name.upper()}: {line}")
    for sentence in unknown_sentences(lanes):
        print_notice(f"dragstrip: {sentence[0].lower()}{sentence[1:]}")


def _failure(lane: Mapping[str, Any]) -> str:
    """Why a script may not trust the lane's figures; empty when it may."""
    from tui.judge.obstacles import failed_too_often

    ok, failed = lane["requests"], lane["failed"]
    if not ok:
        return "finished no request"
    return f"failed {failed} of {ok + failed} requests" if failed_too_often(ok, failed) else ""


def _failure_lines(lane: Mapping[str, Any]) -> list[str]:
    """What failed requests said, the most frequent first."""
    failures = lane["failures"]
    lines = [
        f"{each['count']} × {each['cause']}" + (f": {each['words']}" if each["words"] else "")
        for each in failures[:FAILURES_SHOWN]
    ]
    more = len(failures) - FAILURES_SHOWN
    return [*lines, f"and failures with {more} other words"] if more > 0 else lines


def _lane_text(name: str, lane: Mapping[str, Any]) -> str:
    simulated = " SIMULATED" if lane["simulated"] else ""
    refused = f"{lane['refused']} refused, " if lane["refused"] else ""
    return (
        f"{name.upper()} {lane['engine']} {lane['model']}{simulated}: {_tps(lane)}, "
        f"{lane['requests']} requests, {lane['failed']} failed, {refused}"
        f"TTFT p50 {_ms(lane['ttft_ms']['p50'])}, TPOT p50 {_ms(lane['tpot_ms']['p50'])}"
    )


def _tps(lane: Mapping[str, Any]) -> str:
    if lane["output_tps"] is None:
        return "– tok/s out"
    if next(iter(lane["client"]["tokens_from"]), "").startswith("chunks"):  # of most answers
        return f"≈ {lane['output_tps']:.0f} tok/s out (a chunk counts as a token)"
    return f"{lane['output_tps']:.0f} tok/s out"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _verdict_text(verdict: Mapping[str, Any]) -> str:
    from tui.stats.verdict import Margin

    margin = Margin(verdict["delta"], verdict["delta_from"])
    return f"{verdict['sentence']}. The margin for level is {margin.text}."
