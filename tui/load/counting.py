"""How often a server is asked how many tokens it has sent, by what its answers have shown."""

from dataclasses import dataclass
from typing import Literal

from tui.engines.base import Usage

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
