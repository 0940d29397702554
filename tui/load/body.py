"""From a request of the list to the bytes that are sent: a prompt of the asked length, in the engine's own body.

How often a server is asked how many tokens it has sent, by what its answers have shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tui.engines.base import Ask, Usage
from tui.engines.registry import engine
from tui.load.pipe import LanePlan
from tui.load.prompts import Fitting, RequestList, Wanted
from tui.model.dials import Dials
from tui.model.profile import PATHS
from tui.model.rows import RequestRow

FEW = 1.25  # tokens a chunk under which each chunk's own count is not worth what it costs
SEVERAL = 1.5  # and from which on it is again: above what a late front end joins for a while
KEPT = 15 / 16  # of what was known before, at each answer: some 16 answers are remembered


@dataclass(slots=True)
class Counting:
    """With each chunk until the first answers have ended; from then on only where chunks hold several tokens.

    A count in each chunk is work of the server's front end that no user asks for: it cost vLLM 0.26.0 and SGLang
    0.5.16 several per cent of their tokens/s at 256 streams on an H100. Without it a chunk counts as one token, and
    what it held beyond that counts with the answer's last one. Where chunks hold several as a rule (speculative
    decoding, a stream interval), rates and inter-token latencies would be off by as much until then.
    """

    asked: Literal["", "each", "end"]  # by the operator, who is followed
    can: Usage  # the most that the engine does
    _tokens: float = 0.0
    _chunks: float = 0.0
    _each: bool = True

    @property
    def usage(self) -> Usage:
        """What the next request asks for."""
        if self.asked:
            return self.asked
        return "each" if self.can == "each" and self._each else "end"

    def learn(self, tokens: int, chunks: int) -> None:
        """An answer has ended that brought so many tokens in so many chunks."""
        self._tokens = KEPT * self._tokens + tokens
        self._chunks = KEPT * self._chunks + chunks
        self._each = self._tokens >= (FEW if self._each else SEVERAL) * self._chunks


_encode = msgspec.json.Encoder().encode


class Composer:
    """Composes requests for one lane, and learns from its answers how long a prompt was and how tokens came."""

    def __init__(self, plan: LanePlan) -> None:
        self._plan = plan
        self._engine = engine(plan.engine)
        self._list = RequestList(
            seed=plan.seed,
            salt=plan.salt,
            output_jitter=plan.output_jitter,
            token_pool=plan.token_pool if plan.prompt_form == "ids" else [],
        )
        self._ids = plan.prompt_form == "ids" and bool(plan.token_pool)
        self._fitting = Fitting()
        self._counting = Counting(plan.usage, self._engine.usage)
        self._head = _head(plan)

    @property
    def steps(self) -> bool:
        """Whether the engine sends an event at each of its steps: those that can count their tokens there do."""
        return self._engine.usage == "each"

    def wanted(self, number: int, dials: Dials) -> Wanted:
        """Request `number` under these dials."""
        if self._ids:
            return self._list.ids(number, dials)
        return self._list.text(number, dials, *self._fitting.fit(dials.prompt_tokens))

    def request(self, wanted: Wanted, dials: Dials) -> bytes:
        """The HTTP request."""
        ask = Ask(
            endpoint=self._plan.endpoint,
            model=self._plan.model,
            prompt=wanted.prompt,
            output_tokens=wanted.output_tokens,
            temperature=dials.temperature,
            seed=wanted.seed,
            usage=self._counting.usage,
        )
        body = _encode(self._engine.body(ask) | self._plan.extra_body)
        return b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)

    def learn(self, wanted: Wanted, row: RequestRow) -> None:
        """An answer is whole: by what it counted the next text prompt comes closer to the length asked for."""
        self._counting.learn(row.output_tokens, row.chunks)
        if row.prompt_tokens and not self._ids:
            self._fitting.learn(wanted.words, wanted.fillers, row.prompt_tokens)


def _head(plan: LanePlan) -> bytes:
    """Request line and headers, but for the length."""
    where = urlsplit(plan.url)
    path = where.path.rstrip("/") + PATHS[plan.endpoint]
    headers = {
        "Host": where.netloc.rpartition("@")[2],
        "User-Agent": "dragstrip",
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        **plan.headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")
