"""Rows of seconds for a session that was not watched second by second."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from tui.records.frame import Chunks
from tui.records.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.records.rows import RequestRow, SecondRow

SECOND_NS = 1_000_000_000
_PERCENTS = (50, 95, 99)
_LATENCIES: dict[str, Callable[[RequestRow], float | None]] = {"ttft": ttft_ms, "tpot": tpot_ms, "e2e": e2e_ms}


def second_rows(requests: Sequence[RequestRow], chunks: Chunks, t0_ns: int, concurrency: int) -> list[SecondRow]:
    """A row for each second from `t0_ns` to the last end, of one lane. Without ITL, client figures and faults."""
    if not requests:
        return []
    ended: dict[int, list[RequestRow]] = defaultdict(list)
    for row in requests:
        ended[(row.t_end_ns - t0_ns) // SECOND_NS].append(row)
    size = max(ended) + 1
    sent = _per_second([row.t_send_ns for row in requests if row.t_send_ns is not None], t0_ns, size)
    first = [row for row in requests if row.t_first_ns is not None]
    prompt = _per_second([row.t_first_ns for row in first], t0_ns, size, [row.prompt_tokens or 0 for row in first])
    t_ns, tokens = np.frombuffer(chunks.t_ns, "<i8"), np.frombuffer(chunks.tokens, "<i4")
    output = _per_second(t_ns, t0_ns, size, tokens)
    gone = _per_second([row.t_end_ns for row in requests], t0_ns, size)
    in_flight = np.cumsum(sent - gone)
    rows = [
        SecondRow(
            lane=requests[0].lane,
            t_ns=t0_ns + at * SECOND_NS,
            segment=0,
            concurrency=concurrency,
            in_flight=int(in_flight[at]),
            started=int(sent[at]),
            finished=sum(row.outcome == "ok" for row in ended[at]),
            failed=sum(row.outcome == "failed" for row in ended[at]),
            output_tokens=int(output[at]),
            prompt_tokens=int(prompt[at]),
        )
        for at in range(size)
    ]
    return [msgspec.structs.replace(row, **_latencies(ended[at])) for at, row in enumerate(rows)]


def _per_second(
    moments: object, t0_ns: int, size: int, weights: object = None
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    at = (np.asarray(moments, dtype=np.int64) - t0_ns) // SECOND_NS
    heavy = None if weights is None else np.asarray(weights, dtype=np.float64)
    return np.bincount(at, heavy, size)[:size].astype(np.int64)


def _latencies(rows: list[RequestRow]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, of in _LATENCIES.items():
        values = [value for row in rows if row.outcome == "ok" and (value := of(row)) is not None]
        if values:
            found |= {
                f"{name}_p{at}_ms": float(v)
                for at, v in zip(_PERCENTS, np.percentile(values, _PERCENTS), strict=True)
            }
    return found
