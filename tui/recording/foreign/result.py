"""Reads one result of `vllm bench serve` or of SGLang's benchmark as requests and chunks of ours."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tui.records.errors import UserError
from tui.records.frame import Chunks
from tui.records.rows import RequestRow
from tui.records.text import clean

NS = 1_000_000_000
LONGEST_S = 7 * 86_400  # a session has a row a second: a time that was never set must not become months of them
_TITLES = {"vllm": "vLLM", "sglang": "SGLang"}


class Lists(msgspec.Struct, frozen=True):
    """What both tools write of each request, in their order."""

    input_lens: list[int]
    output_lens: list[int]
    ttfts: list[float]
    itls: list[list[float]]
    errors: list[str]
    start_times: list[float] | None = None


@dataclass(frozen=True, slots=True)
class ForeignResult:
    """What one result tells."""

    tool: str
    engine: str
    model: str
    version: str  # of the server, where the tool asked for it
    simulated: bool
    duration_s: float
    wall_ns: int | None
    concurrency: int
    load: dict[str, Any]
    starts_s: list[float]
    lists: Lists
    not_known: tuple[str, ...]

    @property
    def title(self) -> str:
        """The server as people write it."""
        return _TITLES.get(self.engine, "unknown server")

    def rows(self) -> tuple[list[RequestRow], Chunks]:
        """The requests in order of their ends, and all their chunks in order of time."""
        rows: list[RequestRow] = []
        times: list[tuple[int, int, int]] = []
        for number, start_s in enumerate(self.starts_s):
            row, chunks = self._request(number, round(start_s * NS))
            rows.append(row)
            times += ((at, number, tokens) for at, tokens in chunks)
        columns = np.array(sorted(times), dtype=np.int64).reshape(-1, 3).T
        packed = Chunks(
            columns[1].astype("<i8").tobytes(), columns[0].astype("<i8").tobytes(), columns[2].astype("<i4").tobytes()
        )
        return sorted(rows, key=lambda row: row.t_end_ns), packed

    def _request(self, number: int, send_ns: int) -> tuple[RequestRow, list[tuple[int, int]]]:
        prompt, n = self.lists.input_lens[number], self.lists.output_lens[number]
        ttft_s, gaps_s, error = self.lists.ttfts[number], self.lists.itls[number], self.lists.errors[number]
        ok = not error
        moments = accumulate((round(gap * NS) for gap in gaps_s), initial=send_ns + round(ttft_s * NS))
        times = list(moments) if ok and n else []
        tokens = _spread(n, len(times))
        last_ns = times[-1] if times else None
        row = RequestRow(
            lane="a",
            request=number,
            segment=0,
            t_sched_ns=send_ns,
            t_send_ns=send_ns,
            t_first_ns=times[0] if times else None,
            t_last_ns=last_ns,
            t_end_ns=send_ns if last_ns is None else last_ns,
            connect_ms=None,
            prompt_tokens_asked=prompt,
            prompt_tokens=prompt if ok else None,
            cached_tokens=None,
            output_tokens_asked=n,
            output_tokens=n if ok else 0,
            tokens_from="usage at end",
            chunks=len(times),
            k_first=tokens[0] if tokens else 0,
            finish_reason="",
            outcome="ok" if ok else "failed",
            http_status=None,
            cause="" if ok else "bad answer",
            detail=clean(error.strip().splitlines()[-1] if error.strip() else ""),
            stamp="user",
        )
        return row, list(zip(times, tokens, strict=True))


def read_result(raw: dict[str, Any], path: Path) -> ForeignResult:
    """Recognise a result by its keys. Raises UserError when it is none, or has no details."""
    sglang = "mean_e2e_latency_ms" in raw
    if not sglang and not {"total_token_throughput", "num_prompts"} <= raw.keys():
        raise UserError(f"{path} is no result of `vllm bench serve` or of SGLang's benchmark: name one of those")
    missing = [name for name in ("ttfts", "itls", "errors") if name not in raw]
    if missing:
        option = "--output-details" if sglang else "--save-detailed"
        raise UserError(f"{path} has no details of each request (no {missing[0]}): run it again with {option}")
    try:
        lists = msgspec.convert(raw, Lists, strict=False)
        duration_s, _ = float(raw["duration"]), int(raw.get("max_concurrency") or 0)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): import another file") from error
    if not all(map(math.isfinite, chain((duration_s,), lists.ttfts, lists.start_times or (), *lists.itls))):
        raise UserError(f"{path} is damaged: a time in it is no number")
    if min(chain((duration_s,), lists.ttfts, lists.input_lens, lists.output_lens, *lists.itls)) < 0:
        raise UserError(f"{path} is damaged: a length in it is below 0")
    if max(lists.start_times or (0.0,)) - min(lists.start_times or (0.0,)) > LONGEST_S:
        raise UserError(f"{path} is damaged: its requests start more than {LONGEST_S} s apart")
    lengths = {len(values) for name in Lists.__struct_fields__ if (values := getattr(lists, name)) is not None}
    if len(lengths) != 1:
        raise UserError(f"{path} is damaged: its lists of requests differ in length")
    return _sglang(raw, lists) if sglang else _vllm(raw, lists)


def _vllm(raw: dict[str, Any], lists: Lists) -> ForeignResult:
    starts_s = lists.start_times
    unknown = ["the server: its tool names only the client's kind"] if _engine(raw) == "openai" else []
    if starts_s is None:
        starts_s = _laid_out(raw, lists)
        unknown.append("when each request was sent: they are laid out anew, so curves over time are not real")
    first_s = min(starts_s, default=0.0)
    return _result("vllm bench serve", raw, lists, [start - first_s for start in starts_s], unknown)


def _sglang(raw: dict[str, Any], lists: Lists) -> ForeignResult:
    unknown = [
        "when each request was sent: they are laid out anew, so curves over time are not real",
        "how many requests failed without a trace in its figures",
    ]
    return _result("SGLang's benchmark", raw, lists, _laid_out(raw, lists), unknown)


def _result(tool: str, raw: dict[str, Any], lists: Lists, starts_s: list[float], unknown: list[str]) -> ForeignResult:
    if any(
        n != len(gaps) + 1
        for n, gaps, error in zip(lists.output_lens, lists.itls, lists.errors, strict=True)
        if n and not error
    ):
        unknown.append("how many tokens each chunk brought: they are spread evenly over the chunks")
    rate, concurrency = _rate(raw), int(raw.get("max_concurrency") or 0)
    load: dict[str, Any] = {"arrival": "closed", "concurrency": concurrency}
    if rate is not None:
        load = {"arrival": "poisson", "request_rate": rate}
    told = raw.get("server_info")
    about = told if isinstance(told, dict) else {}
    return ForeignResult(
        tool=tool,
        engine=_engine(raw),
        model=clean(raw.get("model_id") or about.get("model_path") or ""),
        version=clean(about.get("version") or ""),
        simulated=raw.get("simulated") is True or about.get("simulated") is True,
        duration_s=float(raw["duration"]),
        wall_ns=_wall_ns(raw.get("date")),
        concurrency=concurrency if rate is None else 0,
        load=load,
        starts_s=starts_s,
        lists=lists,
        not_known=tuple(unknown),
    )


def _rate(raw: dict[str, Any]) -> float | None:
    """Requests a second; None where all were due at once: vLLM writes "inf" then, and SGLang Infinity."""
    rate = raw.get("request_rate")
    return rate if isinstance(rate, int | float) and 0 < rate < math.inf else None


def _engine(raw: dict[str, Any]) -> str:
    own = raw.get("dragstrip")
    if isinstance(own, dict):
        return str(own.get("engine", "openai"))
    backend = str(raw.get("backend", ""))
    return next((kind for kind in _TITLES if backend.startswith(kind)), "openai")


def _wall_ns(date: object) -> int | None:
    """The tool writes its local time without a zone: it is taken as UTC."""
    try:
        when = datetime.strptime(str(date), "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(when.timestamp()) * NS


def _laid_out(raw: dict[str, Any], lists: Lists) -> list[float]:
    """Times of sending that fit the load: one after the other on each stream, or evenly at the rate."""
    size = len(lists.errors)
    if rate := _rate(raw):
        return [at / rate for at in range(size)]
    free_s = [0.0] * min(int(raw.get("max_concurrency") or size) or 1, max(size, 1))
    starts_s = []
    for ttft_s, gaps_s in zip(lists.ttfts, lists.itls, strict=True):
        stream = min(range(len(free_s)), key=free_s.__getitem__)
        starts_s.append(free_s[stream])
        free_s[stream] += ttft_s + sum(gaps_s)
    return starts_s


def _spread(tokens: int, chunks: int) -> list[int]:
    """Tokens over chunks as evenly as whole numbers allow, the larger ones first."""
    if not chunks:
        return []
    each, more = divmod(tokens, chunks)
    return [each + (at < more) for at in range(chunks)]
