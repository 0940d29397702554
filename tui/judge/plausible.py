"""Whether the answers of a lane support the figures that are derived from them: one list of reasons for doubt.

Each is decided once an answer. A figure is unknown for a lane when the same doubt holds for most of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from tui.model.rows import AT_ONCE_NS, RequestRow, TokensFrom

if TYPE_CHECKING:
    import polars as pl

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

GAP_FIGURES: Final = ("tpot", "itl")
TOKEN_FIGURES: Final = (*GAP_FIGURES, "tokens_a_chunk", "output_tps", "total_tps")
FEW_READS: Final = 4  # from so many on, the time from the first to the last is that of the tokens
MIN_CHUNKS: Final = 4
MORE_TOKENS_THAN_CHUNKS: Final = 1.25
SHORT_TOKEN_BYTES: Final = 2.0  # text holds more bytes a token on average, in any script


@dataclass(frozen=True, slots=True)
class Answers:
    """What was seen of answers, as columns (n,); -1 where a recording of an older version does not say."""

    chunks: Ints
    reads: Ints  # that brought output
    tokens: Ints  # by the server's usage; without any, its chunks
    shown: Ints  # of these, those that were sent as output
    prompt_tokens: Ints
    text_bytes: Ints
    stream_ns: Ints  # from the first output to the last
    tokens_from: NDArray[np.object_]

    @classmethod
    def from_columns(cls, columns: Sequence[Sequence[int]] | Ints, tokens_from: Sequence[TokensFrom]) -> Self:
        """From chunks, reads, tokens, hidden and prompt tokens, text bytes and ns, and how tokens were counted."""
        chunks, reads, tokens, hidden, prompt, text, stream = np.array(columns, dtype=np.int64).reshape(7, -1)
        ways = np.array(tokens_from, dtype=object)
        return cls(chunks, reads, tokens, tokens - hidden, prompt, text, stream, ways)

    @classmethod
    def from_rows(cls, rows: Sequence[RequestRow]) -> Self:
        columns = np.array([_columns(row) for row in rows], dtype=np.int64).reshape(-1, 7).T
        return cls.from_columns(columns, [row.tokens_from for row in rows])

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """From rows of the table `requests`."""
        names = ("chunks", "reads", "output_tokens", "hidden_tokens", "prompt_tokens", "text_bytes")
        columns = [frame[name].fill_null(0 if name == "hidden_tokens" else -1).to_numpy() for name in names]
        stream_ns = (frame["t_last_ns"] - frame["t_first_ns"]).fill_null(-1).to_numpy()
        return cls.from_columns(np.array([*columns, stream_ns], dtype=np.int64), frame["tokens_from"].to_list())

    @property
    def has_usage(self) -> Bools:
        """Whether the tokens are those that the server counted."""
        counted: Bools = (self.tokens_from != "chunks") & (self.tokens_from != "chunks, not usage")
        return counted


def _columns(row: RequestRow) -> tuple[int, ...]:
    stream_ns = -1 if row.t_first_ns is None or row.t_last_ns is None else row.t_last_ns - row.t_first_ns
    reads, prompt, text = (-1 if seen is None else seen for seen in (row.reads, row.prompt_tokens, row.text_bytes))
    return row.chunks, reads, row.output_tokens, row.hidden_tokens, prompt, text, stream_ns


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason why figures of an answer are not supported by what was seen."""

    sentence: str  # after "lane A"
    figures: Collection[str]
    holds: Callable[[Answers], Bools]


def _one_piece(seen: Answers) -> Bools:
    at_once = (seen.chunks >= MIN_CHUNKS) & (seen.stream_ns < seen.chunks * AT_ONCE_NS)
    holds: Bools = (seen.shown > 1) & (seen.stream_ns >= 0) & ((seen.stream_ns == 0) | at_once)
    return holds


def _few_pieces(seen: Answers) -> Bools:
    few: Bools = (seen.reads > 1) & (seen.reads < FEW_READS) & (seen.chunks >= 3 * seen.reads)
    few &= ~_one_piece(seen)
    return few


def _includes_prompt(seen: Answers) -> Bools:
    counted = seen.has_usage & (seen.prompt_tokens >= MIN_CHUNKS) & (seen.tokens == seen.prompt_tokens + seen.chunks)
    holds: Bools = counted & (seen.text_bytes > 0) & (seen.text_bytes < SHORT_TOKEN_BYTES * seen.tokens)
    return holds


def _more_than_text(seen: Answers) -> Bools:
    more: Bools = seen.has_usage & (seen.shown > MORE_TOKENS_THAN_CHUNKS * seen.chunks)
    more &= (seen.text_bytes > 0) & (seen.shown > seen.text_bytes) & ~_includes_prompt(seen)
    return more


def _fewer_than_chunks(seen: Answers) -> Bools:
    refuted: Bools = seen.tokens_from == "chunks, not usage"
    return refuted


DOUBTS: Final = (
    Doubt("does not stream: the answer came in one piece", GAP_FIGURES, _one_piece),
    Doubt("does not stream token by token: most of an answer came at once", GAP_FIGURES, _few_pieces),
    Doubt("counts the prompt as output in its usage", TOKEN_FIGURES, _includes_prompt),
    Doubt(
        "counts more tokens in its usage than its text can hold: hidden reasoning, or a wrong count",
        TOKEN_FIGURES,
        _more_than_text,
    ),
    Doubt(
        "counts fewer tokens in its usage than chunks came, so each chunk counts as one token",
        ("itl", "tokens_a_chunk"),
        _fewer_than_chunks,
    ),
)


def doubts_of(answers: Answers) -> Ints:
    """The doubts about each answer (n,) as bits, in the order of `DOUBTS`."""
    bits = np.zeros(answers.chunks.size, dtype=np.int64)
    for place, one in enumerate(DOUBTS):
        bits |= one.holds(answers).astype(np.int64) << place
    return bits


def doubts_of_most(bits: Ints) -> list[Doubt]:
    """The doubts that hold for most of these answers (n,)."""
    return [one for place, one in enumerate(DOUBTS) if 2 * int(np.sum(bits >> place & 1)) > bits.size]


def unknown_of(requests: pl.DataFrame) -> Mapping[str, str]:
    """The figures that are unknown of a lane with these rows of the table `requests`, each with the reason."""
    good = requests.filter(requests["outcome"] == "ok")
    return unknown_figures(doubts_of_most(doubts_of(Answers.from_frame(good))))


def unknown_figures(doubts: Collection[Doubt]) -> Mapping[str, str]:
    """The figures that are unknown under these doubts, each with the first sentence that says why."""
    return {figure: one.sentence for one in reversed(list(doubts)) for figure in one.figures}
