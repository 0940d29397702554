"""How well are the tokens of chunks known that hold several, where a server counts only at the end?

Without arguments: streams of the simulated front ends of `tests.judge.joined_tokens`, whose tokens are as long as in
real text. `--reads FILE.times.jsonl …`: captured streams of a token a read, joined here. `--recording FOLDER`: the
arrivals of a recorded lane; how many tokens each chunk held is taken from its gap, and its text is made up from that.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from tests.judge.joined_tokens import Joined, Made, live, made, recorded, row_of, sent
from tui.judge.itl import ChunkGaps, TokenGaps
from tui.judge.token_counts import Ints, spread_counts
from tui.recording.reader import open_session
from tui.simulator.requests import token_lengths

LOADS = ((1.0, 16), (1.5, 64), (2.8, 256), (8.0, 64))
FRONT_ENDS: tuple[Joined, ...] = ("late", "cycle", "speculation", "interval")
SECONDS = 40.0
HEADER = f"{'':34} {'tokens/s within 2 %':>22} {'ITL p50':>18} {'ITL p99':>18}"


def simulated() -> None:
    """Every front end at every load."""
    for joined in FRONT_ENDS:
        for a_chunk, streams in LOADS:
            show(
                f"{joined}, {a_chunk:g} a chunk, {streams} streams", made(joined, a_chunk, streams, SECONDS), streams
            )


def show(what: str, given: Made, streams: int) -> None:
    """One line: after the fact / live / as counted before, each against the truth."""
    chunks, ends = recorded(given)
    known, mine = given.ended, given.of_ended(chunks.request)
    true = Made(given.request[known], given.t_ns[known], given.tokens[known], given.text_bytes[known], given.rows)
    shown = live(given, streams)
    ended = given.of_ended(shown.request)
    answer_ns = max((row.t_last_ns or 0) - (row.t_first_ns or 0) for row in given.rows)
    begun_ns, over_ns = int(given.t_ns[0] + 2.1 * answer_ns), int(given.t_ns[-1] - answer_ns)
    ways = (
        (chunks.request[mine], chunks.t_ns[mine], spread_counts(chunks, ends)[mine]),
        (shown.request[ended], shown.t_ns[ended], shown.tokens[ended]),
        (chunks.request[mine], chunks.t_ns[mine], chunks.tokens[mine]),
    )
    span = (begun_ns, over_ns) if over_ns - begun_ns > 4 * 10**9 else (int(given.t_ns[0]), int(given.t_ns[-1]))
    seconds = " / ".join(f"{_within(true.times, way, span):4.0%}" for way in ways)
    real = _itl(*true.times, span)
    errors = [
        " / ".join(f"{(_itl(*way, span).percentile(p) or 0) / (real.percentile(p) or 1) - 1:+.0%}" for way in ways)
        for p in (0.5, 0.99)
    ]
    print(f"{what:34} {seconds:>22} {errors[0]:>18} {errors[1]:>18}")


def _within(true: Iterable[Ints], way: Iterable[Ints], span: tuple[int, int]) -> float:
    """The share of the seconds whose tokens are within 2 %."""
    counts = []
    for _, t_ns, tokens in (tuple(true), tuple(way)):
        inside = (t_ns >= span[0]) & (t_ns < span[1])
        counts.append(np.bincount((t_ns[inside] - span[0]) // 10**9, weights=tokens[inside], minlength=1))
    whole = (span[1] - span[0]) // 10**9
    expected, shown = (np.pad(count, (0, max(whole - count.size, 0)))[:whole] for count in counts)
    return float(np.mean(np.abs(shown - expected) <= 0.02 * expected))


def _itl(request: Ints, t_ns: Ints, tokens: Ints, span: tuple[int, int]) -> TokenGaps:
    inside = (t_ns >= span[0]) & (t_ns < span[1])
    return TokenGaps.of(ChunkGaps().feed_columns(request[inside], t_ns[inside], tokens[inside]))


def captured(files: list[str]) -> None:
    """Streams of a token a read, joined as a front end that is late would."""
    reads = [[json.loads(line) for line in Path(file).read_text().splitlines()] for file in files]
    for a_chunk, _ in LOADS[1:]:
        rng, columns, rows = np.random.default_rng(1), [], []
        for number, stream in enumerate(reads):
            chunks = stream[:-3]  # then: finish, usage, end mark
            frame = min(read["bytes"] for read in chunks) - 1
            text = np.array([read["bytes"] - frame for read in chunks])
            emitted = np.array([round(read["ms"] * 1e6) for read in chunks]) + number * 10**10
            times_ns, steps = sent("late", emitted, a_chunk, rng)
            joined = np.add.reduceat(text, np.cumsum(steps) - steps)
            columns.append(np.stack((np.full(steps.size, number), times_ns, steps, joined)))
            rows.append(row_of(number, times_ns, int(steps.sum()), int(joined.sum())))
        request, t_ns, tokens, texts = np.concatenate(columns, axis=1)
        show(f"captured, {a_chunk:g} a chunk", Made(request, t_ns, tokens, texts, rows), 1)


def of_recording(folder: str, lane: str) -> None:
    """Real arrivals, by setting."""
    session = open_session(folder)
    of_lane = pl.col("lane") == lane
    ok = session.scan("requests").filter(of_lane, pl.col("outcome") == "ok").collect()
    chunks = session.scan("chunks").filter(of_lane).select("request", "t_ns").collect()
    seconds = session.scan("seconds").filter(of_lane).collect()
    lengths = token_lengths(random.Random(1))
    for (segment,), requests in ok.group_by("segment", maintain_order=True):
        times = chunks.join(requests.select("request"), on="request").unique(maintain_order=True)
        columns, rows = [], []
        for row in requests.sort("t_end_ns").iter_rows(named=True):
            t_ns = times.filter(pl.col("request") == row["request"])["t_ns"].sort().to_numpy()
            held = _by_gaps(t_ns, row["output_tokens"])
            text = np.array([sum(islice(lengths, n)) for n in held.tolist()])
            columns.append(np.stack((np.full(t_ns.size, row["request"]), t_ns, held, text)))
            rows.append(row_of(row["request"], t_ns, int(held.sum()), int(text.sum())))
        request, t_ns, held, text = np.concatenate(columns, axis=1)
        order, t0_ns = np.argsort(t_ns, kind="stable"), int(t_ns.min()) // 10**9 * 10**9
        rows = [msgspec.structs.replace(row, **{name: getattr(row, name) - t0_ns for name in TIMES}) for row in rows]
        given = Made(request[order], t_ns[order] - t0_ns, held[order], text[order], rows)
        streams = int(str(seconds.filter(pl.col("segment") == segment)["concurrency"].max()))
        show(f"lane {lane.upper()}, {held.mean():.2f} a chunk, {streams} streams", given, streams)


def _by_gaps(t_ns: Ints, tokens: int) -> Ints:
    """Tokens of an answer's chunks in whole numbers, as their gaps have them."""
    more = tokens - t_ns.size
    gaps = np.diff(t_ns, prepend=t_ns[0]).astype(float)
    share = np.maximum(np.minimum(gaps / max(gaps.mean(), 1), 4) * tokens / t_ns.size - 1, 1e-9)
    share *= more / share.sum()
    held = 1 + np.floor(share).astype(np.int64)
    held[np.argsort(np.floor(share) - share)[: tokens - int(held.sum())]] += 1
    return np.asarray(held)


TIMES = ("t_first_ns", "t_last_ns", "t_end_ns")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.analysis.token_counts")
    parser.add_argument("--reads", nargs="+", default=[], metavar="FILE")
    parser.add_argument("--recording", metavar="FOLDER")
    parser.add_argument("--lane", choices=("a", "b"), default="b")
    args = parser.parse_args()
    print(HEADER)
    print(f"{'each: after the fact / live / as before':34}")
    if args.reads:
        captured(args.reads)
    elif args.recording:
        of_recording(args.recording, args.lane)
    else:
        simulated()
