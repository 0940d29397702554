"""How often a server is asked how many tokens it has sent, by what its answers have shown."""

from dataclasses import dataclass
from typing import Literal

from tui.engines.base import Usage

SEVERAL = 1.25  # tokens a chunk from which on each chunk's own count is worth what it costs
KEPT = 15 / 16  # of what was known before, at each answer: some 16 answers are remembered


@dataclass(slots=True)
class Counting:
    """With each chunk until an answer has ended; from then on only where chunks hold several tokens.

    A count in each chunk is work of the server's front end that no user asks for: at 256 streams on an H100 it cost
    vLLM 0.26.0 3 % of its tokens/s and SGLang 0.5.16 9 %. Without it a chunk counts as one token, and what it held
    beyond that counts with the answer's last one. Where chunks hold several as a rule (speculative decoding, a stream
    interval), rates and inter-token latencies would be off by as much until then.
    """

    asked: Literal["", "each", "end"]  # by the operator, who is followed
    can: Usage  # the most that the engine does
    _tokens: float = 0.0
    _chunks: float = 0.0

    @property
    def usage(self) -> Usage:
        """What the next request asks for."""
        if self.asked:
            return self.asked
        return "each" if self.can == "each" and self._tokens >= SEVERAL * self._chunks else "end"

    def learn(self, tokens: int, chunks: int) -> None:
        """An answer has ended that brought so many tokens in so many chunks."""
        self._tokens = KEPT * self._tokens + tokens
        self._chunks = KEPT * self._chunks + chunks
