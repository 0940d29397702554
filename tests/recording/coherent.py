"""A made-up session whose requests and chunks tell the same story, for formulas that need both."""

import random
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any

import numpy as np

from tests.recording import synthetic
from tui.model.rows import LANES, Batch, Chunks, EventRow, Lane, RequestRow, SecondRow
from tui.recording.reader import RecordedSession, open_session
from tui.recording.recorder import Recorder

MS = 1_000_000
EACH = 60


def request(lane: Lane, number: int, chance: random.Random) -> tuple[RequestRow, list[int]]:
    """One request, and when its chunks arrived. Some fail, some are cancelled, some answer in one token."""
    sched = synthetic.T0_NS + number * 130 * MS
    send = sched + chance.randrange(1, 3 * MS)
    tokens = 1 if number % 12 == 1 else chance.randrange(2, 40)
    first = send + chance.randrange(20 * MS, 400 * MS)
    times = list(accumulate((chance.randrange(5 * MS, 60 * MS) for _ in range(tokens - 1)), initial=first))
    failed, cancelled = number % 10 == 9, number % 15 == 7
    if failed or cancelled:
        times = times[: len(times) // 2] if cancelled else []
    row = RequestRow(
        lane=lane,
        request=number,
        segment=0,
        t_sched_ns=sched,
        t_send_ns=send,
        t_first_ns=times[0] if times else None,
        t_last_ns=times[-1] if times else None,
        t_end_ns=(times[-1] if times else send + 50 * MS) + chance.randrange(1, 2 * MS),
        connect_ms=1.5 if number % 4 == 0 else None,
        prompt_tokens_asked=100,
        prompt_tokens=None if failed or cancelled else 101,
        cached_tokens=None if failed or cancelled else 16,
        output_tokens_asked=40,
        output_tokens=len(times),
        tokens_from="usage",
        chunks=len(times),
        k_first=1 if times else 0,
        finish_reason="" if failed or cancelled else "length",
        outcome="failed" if failed else "cancelled" if cancelled else "ok",
        http_status=503 if failed else 200,
        cause="http 5xx" if failed else "cancelled" if cancelled else "",
        detail="no capacity" if failed else "",
        stamp="kernel",
    )
    return row, times


def record(directory: Path, **about: Any) -> RecordedSession:
    """Record both lanes and open the session."""
    chance = random.Random(3)
    about.setdefault("profile", {"name": "coherent", "load": {"arrival": "closed", "concurrency": 8}})
    recorder = Recorder(directory, synthetic.info(**about))
    end_ns = synthetic.T0_NS
    for lane in LANES:
        rows: list[RequestRow] = []
        chunks: list[tuple[int, int]] = []
        for number in range(EACH):
            row, times = request(lane, number, chance)
            rows.append(row)
            chunks += zip(repeat(number), times)
        chunks.sort(key=lambda chunk: chunk[1])
        end_ns = max(end_ns, *(row.t_end_ns for row in rows))
        packed = Chunks(
            np.array([number for number, _ in chunks], "<i8").tobytes(),
            np.array([at for _, at in chunks], "<i8").tobytes(),
            np.ones(len(chunks), "<i4").tobytes(),
        )
        seconds = [second(lane, at) for at in range((end_ns - synthetic.T0_NS) // synthetic.SECOND_NS)]
        recorder(Batch(end_ns, requests=rows, chunks=[(lane, packed)], seconds=seconds))
    recorder(Batch(end_ns, events=[EventRow("", synthetic.T0_NS - 1, "dial", "concurrency", "8", "12")]))
    recorder.close("done", (end_ns - synthetic.T0_NS) / 1e9)
    return open_session(directory)


def second(lane: Lane, number: int) -> SecondRow:
    """A second in which nothing is said of the requests."""
    return SecondRow(
        lane=lane, t_ns=synthetic.T0_NS + number * synthetic.SECOND_NS, segment=0, concurrency=12, in_flight=1,
        started=1, finished=1, failed=0, output_tokens=10, prompt_tokens=100,
    )  # fmt: skip
