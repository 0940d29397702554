"""Rows of made-up sessions, with every number chosen."""

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from tui.model.dials import Dials
from tui.model.rows import EventRow, Lane, RequestRow, SecondRow
from tui.model.session import LaneInfo, SessionInfo
from tui.recording.schema import frame_of_rows

NS = 1_000_000_000
MS = 1_000_000
T0 = 1000 * NS


def second(lane: Lane, index: int, tokens: int, **more: Any) -> SecondRow:
    """Second `index` of the session in one lane."""
    given = {"segment": 0, "concurrency": 8, "in_flight": 8, "started": 1, "finished": 1, "failed": 0, **more}
    return SecondRow(lane=lane, t_ns=T0 + index * NS, output_tokens=tokens, **{"prompt_tokens": 0, **given})


def request(lane: Lane, number: int, *, at_s: float = 0.0, ttft_ms: float = 100.0, e2e_ms: float = 1100.0,
            **more: Any) -> RequestRow:  # fmt: skip
    """A request due and sent `at_s` seconds into the session that brought 11 tokens, unless told otherwise."""
    send_ns = T0 + int(at_s * NS)
    last_ns = send_ns + int(e2e_ms * MS)
    given: dict[str, Any] = {
        "segment": 0, "t_sched_ns": send_ns, "t_send_ns": send_ns, "t_first_ns": send_ns + int(ttft_ms * MS),
        "t_last_ns": last_ns, "t_end_ns": last_ns, "connect_ms": None, "prompt_tokens_asked": 50, "prompt_tokens": 50,
        "cached_tokens": 0, "output_tokens_asked": 11, "output_tokens": 11, "tokens_from": "usage", "chunks": 11,
        "k_first": 1, "finish_reason": "length", "outcome": "ok", "http_status": 200, "cause": "", "detail": "",
        "stamp": "kernel",
    }  # fmt: skip
    return RequestRow(lane, number, **{**given, **more})


def failed(lane: Lane, number: int, cause: str = "http 5xx", **more: Any) -> RequestRow:
    """A request that brought nothing."""
    return request(lane, number, t_first_ns=None, t_last_ns=None, output_tokens=0, chunks=0, outcome="failed",
                   cause=cause, **more)  # fmt: skip


def requests_frame(rows: list[RequestRow]) -> pl.DataFrame:
    """The table as it is recorded."""
    return frame_of_rows("requests", rows)


def seconds_frame(rows: list[SecondRow]) -> pl.DataFrame:
    """The table as it is recorded."""
    return frame_of_rows("seconds", rows)


def session(duration_s: float = 10.0, load: Mapping[str, Any] | None = None, lanes: str = "ab") -> SessionInfo:
    """A session of two simulated engines."""
    infos = {lane: LaneInfo(url=f"http://{lane}", engine=engine, title=engine, model="m", simulated=True)
             for lane, engine in zip("ab", ("vllm", "sglang"), strict=True) if lane in lanes}  # fmt: skip
    profile = {"load": {**msgspec.to_builtins(Dials()), **(load or {})}, "a": {"dials": {}}, "b": {"dials": {}}}
    return SessionInfo(name="made", profile=profile, lanes=infos, t0_ns=T0, wall_ns=0, host={}, version="0",
                       duration_s=duration_s)  # fmt: skip


def turned(index: int, name: str, new: str, lane: str = "") -> EventRow:
    """A dial that moved in second `index`."""
    return EventRow(lane, T0 + index * NS + NS // 2, "dial", name, "", new)  # type: ignore[arg-type]
