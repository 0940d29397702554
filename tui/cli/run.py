"""`dragstrip run`: the head-to-head without a terminal, for scripts and CI.

A session without a screen: what it does, how it ends, and the rows that its summary is made of.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tui.cli.calibrate import with_noise_floor
from tui.cli.console import Interruption, print_blocks, print_notice, print_result, until_one_ends
from tui.cli.options import (
    ask_before_load,
    duration_s,
    limits_of_load,
    profile_from,
    recorder_from,
    recording_flags,
    session_argument,
    target_flags,
    yes_flag,
)
from tui.cli.progress import RunProgress, time_text
from tui.judge.itl import ChunkGaps
from tui.model.profile import Profile, Step
from tui.model.rows import LANES, Batch, EventRow, Lane, RequestRow, SecondRow
from tui.model.session import LaneInfo, SessionInfo
from tui.model.text import UserError
from tui.profile.reading import MAX_REPEATS, lane_dials
from tui.session.plan import StepEnd
from tui.session.state import LatencyHistogram
from tui.session.view import View

if TYPE_CHECKING:
    from tui.judge.tables import Tables
    from tui.session.live import LiveSession, Record


@dataclass(frozen=True, slots=True)
class Work:
    """Hold each of `steps`, or the profile's load for `for_s` when there are none."""

    for_s: float
    steps: Sequence[Step] = ()
    step_end: StepEnd = "time"
    refined: bool = False  # the steps are the first pass of a sweep, and others follow
    announced: Sequence[str] = ()  # said before it begins
    said: Sequence[str] = ()  # what was said of the servers already

    async def run(self, session: LiveSession) -> None:
        if not self.steps:
            await until_one_ends(session.elapsed(self.for_s), session.played())
            return
        await session.started()
        passes = SweepPasses(self.steps) if self.refined else None
        session.start_plan(
            self.steps,
            lambda step: passes.next_steps(step, session.view(1)) if passes is not None else [],
            self.step_end,
        )
        await session.plan_over()


async def measure(
    profile: Profile, work: Work, interruption: Interruption, listener: CollectedRows, record: Record | None = None
) -> LiveSession:
    """Run a session until its work is done or interrupted; returns it stopped. Raises the error that ended it."""
    from tui.session.live import LiveSession

    session = LiveSession(profile, record=record)
    session.listen(listener)
    session.limit(limits_of_load())
    session.watched = work.step_end == "verdict"  # it ends when it shows what one waits for
    progress = RunProgress(work.for_s, until_decided=work.step_end == "verdict")
    try:
        adapted = _adapted(await session.reach())
        for line in (*(line for line in adapted if line not in work.said), *work.announced):
            print_notice(line)
        await session.start(lambda: progress.second(session))
        await until_one_ends(session.ended(), work.run(session), interruption.event.wait())
    finally:
        progress.clear()
        number = interruption.signal
        await session.stop(f"signal {signal.Signals(number).name}" if number else "done")
    return session


def _adapted(infos: Mapping[Any, LaneInfo]) -> list[str]:
    """What is done otherwise for each server, a line each."""
    return [f"lane {lane.upper()}: {sentence}" for lane, info in infos.items() for sentence in info.adapted]


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
    """A listener that keeps what a summary needs; the recording is not read back."""

    def __init__(self) -> None:
        self._requests: list[RequestRow] = []
        self._seconds: list[SecondRow] = []
        self._events: list[EventRow] = []
        self._gaps: dict[Lane, ChunkGaps] = {lane: ChunkGaps() for lane in LANES}
        self._itl = _histograms()
        self._steps_itl: list[dict[Lane, LatencyHistogram]] = []  # each from when it was settled

    def __call__(self, batch: Batch) -> None:
        self._requests += batch.requests
        self._events += batch.events
        for event in batch.events:
            if event.kind == "plan" and event.name == "step":
                self._steps_itl.append(_histograms())
            elif event.kind == "settled" and self._steps_itl:
                self._steps_itl[-1] = _histograms()
        for lane, chunks in batch.chunks:
            gaps = self._gaps[lane].feed(chunks)
            for histograms in (self._itl, *self._steps_itl[-1:]):
                histograms[lane].add(gaps.itl_ms, gaps.tokens)
        for lane in LANES:
            self._gaps[lane].forget([r.request for r in batch.requests if r.lane == lane])
        self._seconds += batch.seconds

    def down(self) -> list[Lane]:
        """The lanes whose server no longer answered as the run ended."""
        last = {row.lane: row for row in self._seconds}
        return [lane for lane, row in last.items() if not row.up]

    def summary(self, info: SessionInfo) -> dict[str, Any]:
        """The object of `run --json`."""
        from tui.report.summary import summary

        return summary(self.tables(info), self._itl, self._steps_itl)

    def tables(self, info: SessionInfo) -> Tables:
        """What a ledger is made of."""
        from tui.judge.tables import Tables
        from tui.recording.schema import frame_of_rows

        requests, seconds = frame_of_rows("requests", self._requests), frame_of_rows("seconds", self._seconds)
        return Tables(info, requests, seconds, self._events)


def _histograms() -> dict[Lane, LatencyHistogram]:
    return {lane: LatencyHistogram() for lane in LANES}


HELP = "measure without a terminal; --json prints one JSON object"
DEFAULT_TIME = "60s"
SWEEP_STEP_TIME = "100s"  # of which at least `MIN_SETTLED_S` are settled
AT_MOST = "10m"
MIN_TURNS = 4  # of each lane, before lanes that take turns have a verdict
WARM_S = 60.0
WARM_STEP_S = 10.0  # of each of several settings: what a server compiles or caches for one is there after an answer
FAILURES_SHOWN = 3  # of a lane, on stderr


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    yes_flag(parser)
    recording_flags(parser)
    time_help = f"duration: 30s, 10m, 1h (default {DEFAULT_TIME}; each step of a sweep {SWEEP_STEP_TIME})"
    parser.add_argument("--for", dest="duration", metavar="TIME", help=time_help)
    parser.add_argument(
        "--until-decided", action="store_true", help="hold the load, or each step, until its verdict has fallen"
    )
    parser.add_argument(
        "--at-most", metavar="TIME", help=f"the longest that --until-decided waits (default {AT_MOST})"
    )
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
    if profile.data.file and not (profile.data.repeat or args.duration or args.plan or args.sweep):
        profile = msgspec.structs.replace(profile, data=msgspec.structs.replace(profile.data, repeat="stop"))
    if args.sweep or args.repeat:
        profile = msgspec.structs.replace(profile, repeat=args.repeat or 1)
    if args.until_decided and len(profile.lanes) < 2:
        raise UserError("--until-decided needs two servers: one alone has no verdict")
    work = _work(args, profile)
    limits_of_load().check(msgspec.structs.replace(profile, plan=list(work.steps)))
    ask_before_load(profile, yes=args.yes)
    return asyncio.run(_run(args, profile, replace(work, announced=announcement(work, profile))))


def _check_flags(args: argparse.Namespace) -> None:
    from tui.judge.sweep import is_refined

    if args.until_decided and args.duration:
        raise UserError("give --for or --until-decided, not both: --at-most limits how long a step may take")
    if args.at_most and not args.until_decided:
        raise UserError("--at-most needs --until-decided")
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

    until = args.until_decided
    for_s = duration_s(args.duration or (SWEEP_STEP_TIME if args.sweep else DEFAULT_TIME))
    if until:
        for_s = duration_s(args.at_most or AT_MOST)
    dials = {lane: lane_dials(profile, server) for lane, server in profile.lanes.items()}
    if args.sweep:
        steps = checked(sweep_plan(args.sweep, for_s), dials)
        return Work(for_s, steps, "verdict" if until else "settled", refined=is_refined(args.sweep))
    if args.plan:
        longest = [msgspec.structs.replace(step, for_s=for_s) if step.for_s else step for step in profile.plan]
        return Work(for_s, checked(longest if until else profile.plan, dials), "verdict" if until else "time")
    if until:
        return Work(for_s, [Step(for_s=for_s)], "verdict")
    return Work(math.inf if profile.data.repeat == "stop" and not args.duration else for_s)


def announcement(work: Work, profile: Profile) -> list[str]:
    """How long the work takes, and whether that is too short for what it is to show."""
    from tui.session.schedule import BLOCK_S
    from tui.stats.verdict import MIN_SETTLED_S

    in_turns = profile.mode == "alternate" and profile.b is not None
    needed_s = BLOCK_S * MIN_TURNS if in_turns else MIN_SETTLED_S
    timed_s = [step.for_s for step in work.steps if step.for_s] if work.steps else [work.for_s]
    lines = [_total_text(work, profile.repeat, 2 if in_turns else 1)]
    if profile.b is not None and timed_s and min(timed_s) < needed_s:
        lines.append(
            f"dragstrip: {min(timed_s):g} s are too short for a verdict, which takes at least {needed_s:g} settled "
            "seconds: give --for more time, or --until-decided"
        )
    return lines


def _total_text(work: Work, repeat: int, turns: int) -> str:
    """`6 steps: 8:24 and the time to settle`."""
    if not work.steps:
        return (
            "measuring to the end of the traffic file"
            if math.isinf(work.for_s)
            else f"measuring for {time_text(work.for_s)}"
        )
    count = len(work.steps) * repeat
    steps = f"{count} step{'s' if count > 1 else ''}" + (", more around the knee" if work.refined else "")
    most = "at most " if work.step_end == "verdict" else ""
    time_s = sum(step.for_s or 0 for step in work.steps) * repeat * turns
    requests = sum(step.requests or 0 for step in work.steps) * repeat
    parts = [f"{most}{time_text(time_s)}"] if time_s else []
    parts += [f"{requests} requests a lane"] if requests else []
    settling = "" if work.step_end == "time" else " and the time to settle"
    return f"{steps}: {' and '.join(parts)}{settling}"


async def _run(args: argparse.Namespace, profile: Profile, work: Work) -> int:
    record = recorder_from(args, profile)
    interruption = Interruption()
    if args.warm_up:
        once = msgspec.structs.replace(profile, repeat=1)
        warm = await measure(once, warm_up_of(work), interruption, CollectedRows())
        work = announced_after(warm, work)
        if interruption.signal:
            print_notice("dragstrip: interrupted during warm-up: nothing was measured")
            return 128 + interruption.signal
    rows = CollectedRows()
    session = await measure(profile, work, interruption, rows, record)
    if interruption.signal:
        recorded = "; the measurement so far is recorded" if session.recorder else ""
        print_notice(f"dragstrip: interrupted{recorded}")
        return 128 + interruption.signal
    return _print_summary(args, session, rows, by_step=bool(work.steps))


def warm_up_of(work: Work) -> Work:
    shortened = msgspec.structs.replace
    steps = [shortened(step, requests=None, for_s=min(step.for_s or WARM_STEP_S, WARM_STEP_S)) for step in work.steps]
    announced = [*work.announced, "warming up: not recorded, not counted"]
    return Work(min(work.for_s, WARM_S), steps, announced=announced)


def announced_after(warm: LiveSession, work: Work) -> Work:
    """The same work after a warm-up, which has said what there is to say."""
    return replace(work, announced=(), said=_adapted(warm.info.lanes if warm.info is not None else {}))


def _print_summary(args: argparse.Namespace, session: LiveSession, rows: CollectedRows, *, by_step: bool) -> int:
    assert session.info is not None
    summary = rows.summary(session.info)
    for lane, count in session.data.items():
        traffic = {name: session.info.traffic[name] for name in ("name", "form")}
        rows_read = session.info.traffic["conversations"]
        summary["lanes"][lane]["data"] = {**traffic, "rows": rows_read, **dataclasses.asdict(count)}
    path = None if session.recorder is None else str(session.recorder.directory)
    if args.json:
        print_result(json.dumps({**summary, "session_path": path}, allow_nan=False))
    else:
        if by_step:
            _print_ledger(rows, session.info)
        else:
            _print_lanes(summary)
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


def _print_lanes(summary: Mapping[str, Any]) -> None:
    for name, lane in summary["lanes"].items():
        print_result(_lane_text(name, lane))
    if summary["verdict"]:
        print_result(_verdict_text(summary["verdict"]))


def _print_ledger(rows: CollectedRows, info: SessionInfo) -> None:
    """Every setting with its verdict, and where the lead changes hands: a mean over settings says nothing."""
    from tui.judge.ledger import ledger
    from tui.judge.sweep import crossover
    from tui.report.document import SIMULATED, Paragraph
    from tui.report.session import ledger_blocks

    tables = rows.tables(info)
    held = ledger(tables)
    lines = [SIMULATED] if info.simulated else []
    lines += [f"{sentence}."] if (sentence := crossover(held)) else []
    print_blocks([*ledger_blocks(tables, held), *(Paragraph(line, strong=True) for line in lines)])


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
