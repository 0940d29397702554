"""What the verdict on throughput promises, under every kind of noise and every seed that was tried.

    python -m tests.bench.analysis.verdicts [--against CHECKOUT] [--runs 1000] [--seeds 1,2] [--jobs 2]
    python -m tests.bench.analysis.verdicts --narrower [SESSION ...]

Each run is two lanes of 720 seconds, looked at whenever the answer can change. Printed, in per cent of runs: how
often equal lanes get a winner within ten minutes, and from an early look; how often the interval holds at every look
of ten minutes; how often that of one look holds, at 80, 180 or 600 s, where it holds least; how often a lead is
named in time: 70 % within 30 s and 25 % within 60 s, 10 % within 2, 3 and 5 minutes, 5 % within 3, 6 and 12. A number
for each seed, but means for leads. `recorded` is noise from settled seconds of recordings, resampled in blocks of
30 s, both lanes together. `--against` does the same runs with the rules of another checkout. `--narrower` prints by
how much a balance narrows the interval of each step of recordings.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Make = Callable[[np.random.Generator, int, int], tuple[Floats, ...]]

SECONDS, TEN_MINUTES = 720, 600
LOOKS_S = (20, 30, 40, 60, *range(80, SECONDS + 1, 20))
FROZEN_S = (80, 180, 600)
BORDER = math.log(1.03)
NOISE, BLOCK_S = 0.08, 30
LEADS = ((0.70, 30), (0.25, 60), (0.10, 120), (0.10, 180), (0.10, 300), (0.05, 180), (0.05, 360), (0.05, 720))
SHIPPED = ("profiles/sessions/h100-sweep", "tests/data/h100-sweep-other-host", "profiles/sessions/h100-concurrent")


def autoregression(rng: np.random.Generator, runs: int, seconds: int, phi: float) -> Floats:
    """AR(1) of deviation 1 (runs, seconds)."""
    shocks = rng.standard_normal((seconds, runs))
    for second in range(1, seconds):
        shocks[second] = phi * shocks[second - 1] + math.sqrt(1 - phi**2) * shocks[second]
    return np.ascontiguousarray(shocks.T)


def normal(phi: float, noise: float = NOISE) -> Make:
    def lanes(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
        return tuple(1 + noise * autoregression(rng, runs, seconds, phi) for _ in range(2))

    return lanes


def second_reading(phi: float) -> Make:
    """Half of the noise is also in another count of the same tokens: (a, b, the count of a, that of b)."""

    def lanes(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
        shared, rest = (
            [math.sqrt(0.5) * NOISE * autoregression(rng, runs, seconds, phi) for _ in "ab"] for _ in "ab"
        )
        tokens = [1 + one + other for one, other in zip(shared, rest, strict=True)]
        return (*tokens, *(1 + one for one in shared))

    return lanes


def unequal(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
    return (
        1 + 0.02 * autoregression(rng, runs, seconds, 0.3),
        1 + 0.12 * autoregression(rng, runs, seconds, 0.7),
    )


def heavy(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
    """Shocks of Student's t with three degrees of freedom, correlated by 0.5."""
    lanes = []
    for _ in range(2):
        shocks = rng.standard_t(3, (seconds, runs)) / math.sqrt(3)
        for second in range(1, seconds):
            shocks[second] = 0.5 * shocks[second - 1] + math.sqrt(0.75) * shocks[second]
        lanes.append(np.maximum(1 + NOISE * shocks.T, 0))
    return tuple(lanes)


def bursts(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
    """Every 40 s on average half of the tokens are missing, for 5 s on average."""
    lanes = []
    for _ in range(2):
        steady = 1 + 0.04 * autoregression(rng, runs, seconds, 0.3)
        left = np.zeros(runs)
        for second in range(seconds):
            left = np.where(rng.random(runs) < 1 / 40, rng.geometric(1 / 5, runs), left - 1)
            steady[:, second] *= np.where(left > 0, 0.5, 1.0)
        lanes.append(steady)
    return tuple(lanes)


def wandering(level: float, time_s: float) -> Make:
    """Noise of 6 % a second about a level that wanders by `level`, correlated over `time_s`."""

    def lanes(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
        slow = [level * autoregression(rng, runs, seconds, math.exp(-1 / time_s)) for _ in range(2)]
        return tuple(1 + one + 0.06 * rng.standard_normal((runs, seconds)) for one in slow)

    return lanes


def together(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
    """All streams prefill together, for 2 s of every 11 s in A and 13 s in B, more or less: nothing comes then."""
    return tuple(_in_step(rng, runs, seconds, period_s) for period_s in (11.0, 13.0))


def _in_step(rng: np.random.Generator, runs: int, seconds: int, period_s: float, parts: int = 8) -> Floats:
    count = int(seconds / period_s * 1.6) + 8
    begin = np.cumsum(period_s * np.exp(0.15 * rng.standard_normal((runs, count))), axis=1)
    begin -= rng.random((runs, 1)) * period_s * 2
    change = np.zeros((runs, seconds * parts + 1))
    rows = np.repeat(np.arange(runs)[:, None], count, axis=1)
    for moments, step in ((begin, 1), (begin + 2, -1)):
        np.add.at(change, (rows, np.clip(np.round(moments * parts).astype(int), 0, seconds * parts)), step)
    flows: Floats = (np.cumsum(change, axis=1)[:, :-1] <= 0).reshape(runs, seconds, parts).mean(axis=2)
    return flows * (1 + 0.05 * rng.standard_normal((runs, seconds)))


def resampled(recorded: Floats) -> Make:
    """Blocks of the seconds (2, n) of both lanes, each lane relative to its mean; the record goes round."""

    def lanes(rng: np.random.Generator, runs: int, seconds: int) -> tuple[Floats, ...]:
        relative = recorded / recorded.mean(axis=1, keepdims=True)
        starts = rng.integers(0, recorded.shape[1], (runs, seconds // BLOCK_S + 1, 1))
        places = (starts + np.arange(BLOCK_S)).reshape(runs, -1)[:, :seconds] % recorded.shape[1]
        return relative[0][places], relative[1][places]

    return lanes


KINDS: dict[str, Make] = {
    "normal, correlation 0": normal(0.0),
    "normal, correlation 0.5": normal(0.5),
    "normal, correlation 0.8": normal(0.8),
    "normal, correlation 0.9": normal(0.9),
    "second reading, 0": second_reading(0.0),
    "second reading, 0.5": second_reading(0.5),
    "second reading, 0.8": second_reading(0.8),
    "lanes unequal (2 and 12 %)": unequal,
    "heavy tails, 0.5": heavy,
    "bursts": bursts,
    "level wanders 0.7 %, 20 s": wandering(0.007, 20),
    "level wanders 1 %, 20 s": wandering(0.01, 20),
    "level wanders 1.5 %, 30 s": wandering(0.015, 30),
    "streams prefill together": together,
}


def measured(make: Make, runs: int, seed: Sequence[int]) -> dict[str, list[float]]:
    """The shares of one kind and seed, by the rules on the path."""
    batches = _rules()
    rng = np.random.default_rng(seed)
    a, b, *counts = make(rng, runs, SECONDS)
    a, b = a / _mean_of(make, 0), b / _mean_of(make, 1)
    has_balances = hasattr(batches, "Balance") and counts

    def look(seconds: int, *, frozen: bool = False) -> Any:
        cut = slice(0, seconds)
        if not has_balances:
            return batches.log_ratio(a[:, cut], b[:, cut], frozen=frozen)
        balance = batches.Balance((counts[0][:, cut], a[:, cut]), (counts[1][:, cut], b[:, cut]))
        return batches.log_ratio(a[:, cut], b[:, cut], frozen=frozen, balances=[balance])

    seen = [look(seconds) for seconds in LOOKS_S]
    means, widths = np.array([one.mean for one in seen]), np.array([one.half_width for one in seen])
    looks = np.array(LOOKS_S)

    def named(until_s: int, lead: float = 0.0, sign: int = 1) -> NDArray[np.bool_]:
        shifted = (means + math.log1p(lead)) * sign
        return np.asarray(((shifted > widths) & (shifted > BORDER))[looks <= until_s].any(axis=0))

    once = [look(seconds, frozen=True) for seconds in FROZEN_S]
    return {
        "false": [float((named(TEN_MINUTES) | named(TEN_MINUTES, sign=-1)).mean())],
        "early": [float((named(60) | named(60, sign=-1)).mean())],
        "covered": [1 - float((np.abs(means) > widths)[looks <= TEN_MINUTES].any(axis=0).mean())],
        "frozen": [float((np.abs(one.mean) <= one.half_width).mean()) for one in once],
        "named": [float(named(within_s, lead).mean()) for lead, within_s in LEADS],
    }


def _rules() -> ModuleType:
    """The module of the checkout on the path; older ones keep it elsewhere."""
    try:
        return importlib.import_module("tui.stats.batches")
    except ModuleNotFoundError:
        return importlib.import_module("tui.analysis.intervals.batches")


def _mean_of(make: Make, lane: int) -> float:
    """The true mean of a lane, which noise of one sign moves."""
    if make in (bursts, together, heavy):
        return float(make(np.random.default_rng(0), 400, 3000)[lane][:, 300:].mean())
    return 1.0


@dataclass(frozen=True)
class Job:
    kind: str
    seed: int
    runs: int
    recorded: Floats | None


def done(job: Job) -> tuple[str, int, dict[str, list[float]]]:
    kinds = list(KINDS)
    make = KINDS[job.kind] if job.recorded is None else resampled(job.recorded)
    place = kinds.index(job.kind) if job.recorded is None else len(kinds)
    return job.kind, job.seed, measured(make, job.runs, [job.seed, place])


def results(runs: int, seeds: Sequence[int], jobs: int, records: dict[str, Floats]) -> list[Any]:
    work = [Job(kind, seed, runs, None) for kind in KINDS for seed in seeds]
    work += [Job(name, seed, runs, seconds) for name, seconds in records.items() for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(done, work, chunksize=1))


def recorded_seconds(sessions: Sequence[str]) -> dict[str, Floats]:
    """The settled seconds (2, n) of both lanes at each step of recordings of at least 80 s."""
    by_step = {}
    for session, steps in _steps(sessions):
        for step in steps:
            if len(step.dials) == 2 and step.settled_s >= 80:
                name = f"recorded: {Path(session).name}, {step.dials['a'].get('concurrency', '?')} streams"
                lanes = [np.array(step.tps(lane), dtype=float) for lane in ("a", "b")]
                by_step[name] = np.array([lane[: step.settled_s] for lane in lanes])
    return by_step


def _steps(sessions: Sequence[str]) -> list[tuple[str, list[Any]]]:
    from tui.judge.ledger import visited
    from tui.recording.reader import open_session
    from tui.recording.tape import tables_of

    return [(session, visited(tables_of(open_session(Path(session))))) for session in sessions]


def narrower(sessions: Sequence[str]) -> None:
    """Print the interval of each step without and with its balances."""
    from tui.stats.verdict import Verdict, throughput_verdict

    def width(verdict: Verdict) -> float:
        return math.log(verdict.high / verdict.low) / 2 if verdict.high and verdict.low else math.nan

    print(
        "| recording | streams | s | half width, % | with a balance, % | times as wide |\n|:--|--:|--:|--:|--:|--:|"
    )
    for session, steps in _steps(sessions):
        for step in steps:
            if len(step.dials) < 2 or step.settled_s < 80:
                continue
            a, b = (step.tps(lane)[: step.settled_s] for lane in ("a", "b"))
            bare = width(throughput_verdict(a, b, frozen=True))
            with_one = width(step.verdict("output_tps", delta=0.03, frozen=True))
            streams = step.dials["a"].get("concurrency", "?")
            print(
                f"| {Path(session).name} | {streams} | {step.settled_s} | {100 * bare:.2f} | {100 * with_one:.2f} "
                f"| {with_one / bare:.2f} |"
            )


def table(these: list[Any], other: list[Any]) -> str:
    """Both as one table in Markdown, a number for each seed."""
    head = ("noise", "rules", "false winners", "early", "interval holds", "one look", "70, 25 %", "10 %", "5 %")
    lines = [f"| {' | '.join(head)} |", "|:--|:--|" + "--:|" * (len(head) - 2)]
    for kind in dict.fromkeys(name for name, _, _ in these):
        for rules, rows in (("these", these), ("before", other)):
            of_kind = [values for name, _, values in rows if name == kind]
            if of_kind:
                lines.append(f"| {kind if rows is these else ''} | {rules} | {' | '.join(_cells(of_kind))} |")
    return "\n".join(lines)


def _cells(seeds: list[dict[str, list[float]]]) -> list[str]:
    def shares(values: Sequence[float], digits: int = 1) -> str:
        return ", ".join(f"{100 * value:.{digits}f}" for value in values)

    single = [shares([one[name][0] for one in seeds], 2 if name == "early" else 1) for name in ("false", "early")]
    covered = shares([one["covered"][0] for one in seeds])
    frozen = shares([min(one["frozen"]) for one in seeds])
    means = np.mean([one["named"] for one in seeds], axis=0)
    return [*single, covered, frozen, shares(means[:2]), shares(means[2:5]), shares(means[5:])]


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="CHECKOUT")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--narrower", nargs="*", metavar="SESSION")
    parser.add_argument("--recorded", nargs="*", metavar="SESSION", default=list(SHIPPED))
    parser.add_argument("--seconds", metavar="FILE", help="recorded seconds as .npz: read, or written if not there")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.narrower is not None:
        narrower(asked.narrower or asked.recorded)
        return
    if asked.seconds and Path(asked.seconds).exists():
        with np.load(asked.seconds) as file:
            records = {name: file[name] for name in file.files}
    else:
        records = recorded_seconds(asked.recorded)
        if asked.seconds:
            np.savez_compressed(asked.seconds, **records)  # type: ignore[arg-type]
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    these = results(asked.runs, seeds, asked.jobs, records)
    if asked.json:
        print(json.dumps(these))
        return
    print(table(these, _by_other(asked, records) if asked.against else []))


def _by_other(asked: argparse.Namespace, records: dict[str, Floats]) -> list[Any]:
    """The same runs by the rules of another checkout, in a process of its own."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        seconds = Path(folder, "seconds.npz")
        np.savez_compressed(seconds, **records)  # type: ignore[arg-type]
        paths = [str(Path(asked.against).resolve()), *os.environ.get("PYTHONPATH", "").split(os.pathsep)[1:]]
        command = [sys.executable, __file__, "--json", "--seconds", str(seconds), "--runs", str(asked.runs)]
        command += ["--seeds", asked.seeds, "--jobs", str(asked.jobs)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
        printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=folder)
    result: list[Any] = json.loads(printed.stdout)
    return result


if __name__ == "__main__":
    main()
