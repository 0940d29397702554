"""From a request's number to the bytes that are sent: a prompt of the right length, in the engine's own body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from tui.engines.base import Request, Usage
from tui.engines.registry import get_engine
from tui.load.pipe import LanePlan
from tui.load.prompts import PromptLength, RequestList, RequestSpec
from tui.model.dials import Dials
from tui.model.profile import PATHS
from tui.model.rows import RequestRow
from tui.net.ending import FINISH_REASONS
from tui.net.exchange import request_head

# Below the first, a count in each chunk is not worth its cost. From the second on it is again: that is more than a
# slow front end joins for a while.
MIN_TOKENS_A_CHUNK_TO_KEEP, MIN_TOKENS_A_CHUNK_TO_RESUME = 1.25, 1.5
DECAY = 15 / 16  # of earlier answers at each new one: about 16 are remembered

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class UsageMode:
    """Asks for token usage with each chunk at first; later only where chunks hold several tokens.

    Usage in each chunk is work for the server's front end that no user asks for: it cost vLLM 0.26.0 and SGLang
    0.5.16 several per cent of their tokens/s at 256 streams on an H100. Without it a chunk counts as one token, and
    any excess is added to the answer's last chunk. Where chunks usually hold several tokens (speculative decoding, a
    stream interval), rates and inter-token latencies would be off by that factor until then.
    """

    requested: Literal["", "each", "end"]  # by the operator, and then final
    supported: Usage  # the most that the engine can do
    _tokens: float = 0.0
    _chunks: float = 0.0
    _each: bool = True

    @property
    def usage(self) -> Usage:
        """What the next request asks for."""
        if self.requested:
            return self.requested
        return "each" if self.supported == "each" and self._each else "end"

    def learn(self, tokens: int, chunks: int) -> None:
        self._tokens = DECAY * self._tokens + tokens
        self._chunks = DECAY * self._chunks + chunks
        least = MIN_TOKENS_A_CHUNK_TO_KEEP if self._each else MIN_TOKENS_A_CHUNK_TO_RESUME
        self._each = self._tokens >= least * self._chunks


class RequestBuilder:
    """Builds the requests of one lane. Learns from its answers how long prompts were and how tokens are chunked."""

    def __init__(self, plan: LanePlan) -> None:
        self._plan = plan
        self._engine = get_engine(plan.engine)
        self._token_pool = plan.token_pool if plan.prompt_form == "ids" else []
        self._list = RequestList(
            seed=plan.seed, salt=plan.salt, output_jitter=plan.output_jitter, token_pool=self._token_pool
        )
        self._prompt_length = PromptLength()
        self._usage_mode = UsageMode(plan.usage, self._engine.usage)
        self._head = request_head(plan.url, plan.path or PATHS[plan.endpoint], plan.headers)
        self.finish_reasons = self._engine.finish_reasons | FINISH_REASONS

    @property
    def count_empty_chunks(self) -> bool:
        """Whether the engine sends an event at each of its steps: those that can count tokens per chunk do."""
        return self._engine.usage == "each"

    def spec(self, number: int, dials: Dials) -> RequestSpec:
        if self._token_pool:
            return self._list.ids(number, dials)
        return self._list.text(number, dials, *self._prompt_length.words_for(dials.prompt_tokens))

    def http_request(self, spec: RequestSpec, dials: Dials) -> bytes:
        request = Request(
            endpoint=self._plan.endpoint,
            model=self._plan.model,
            prompt=spec.prompt,
            output_tokens=spec.output_tokens,
            temperature=dials.temperature,
            seed=spec.seed,
            usage=self._usage_mode.usage,
        )
        body = _encode(self._plan.changes.apply(self._engine.body(request)))
        return b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)

    def learn(self, spec: RequestSpec, row: RequestRow) -> None:
        """Take in a complete answer: its prompt count brings the next text prompts closer to their length."""
        self._usage_mode.learn(row.output_tokens, row.chunks)
        if row.prompt_tokens and not self._token_pool:
            self._prompt_length.learn(spec.words, spec.fillers, row.prompt_tokens)
