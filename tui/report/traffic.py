"""What a traffic file is, before anything is sent: lengths, arrivals, shared prefixes, conversations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.stats.distributions import percentiles
from tui.traffic.forms import FORM
from tui.traffic.index import Index, columns_of, conversations
from tui.traffic.records import open_file
from tui.traffic.row import Conversation, Turn

Floats = NDArray[np.float64]

SHARES: Final = (0.05, 0.5, 0.9, 0.99)
TEXT_BLOCK_BYTES: Final = 256  # about 64 tokens: of texts, how finely a shared prefix is seen
BAR: Final = 40  # cells
LEVELS: Final = "▁▂▃▄▅▆▇█"
MAX_PREFIX_ROWS: Final = 200_000


class Lengths(msgspec.Struct, frozen=True):
    """Tokens of prompts or answers: percentiles, and how many lie from each power of two to the next."""

    mean: float
    percentiles: dict[str, int]
    largest: int
    buckets: dict[int, int]

    @classmethod
    def from_values(cls, values: NDArray[Any]) -> Lengths:
        ranks = zip(SHARES, percentiles(values, SHARES), strict=True)
        named = {f"p{share * 100:.0f}": int(value or 0) for share, value in ranks}
        powers = Counter((1 << max(value.bit_length() - 1, 0)) for value in values.tolist())
        return cls(float(values.mean()), named, int(values.max()), dict(sorted(powers.items())))


class TrafficSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All that `dragstrip data` says of a file."""

    index: Index
    prompts: Lengths
    answers: Lengths | None  # None where the file does not tell
    turns: Lengths
    prompt_tokens: int  # of all requests
    output_tokens: int
    cached_share: float  # of the prompt tokens that a perfect prefix cache saves, of the first `cached_rows`
    cached_rows: int
    arrivals_per_s: list[float]  # over equal parts of the file, as it is played
    over_context: int | None  # requests longer than the context that was asked about


def summarize_traffic(index: Index, context: int = 0) -> TrafficSummary:
    """Read the file once more. `context`: count requests whose prompt and answer are longer together."""
    cache = PrefixCache()
    prompts: list[int] = []
    answers: list[int] = []
    for conversation in _conversations(index):
        for turn in conversation.turns:
            prompts.append(turn.prompt_tokens)
            answers.append(turn.output_tokens)
        if cache.rows < MAX_PREFIX_ROWS:
            cache.take(conversation)
    prompt, answer = np.array(prompts), np.array(answers)
    entries = columns_of(Path(index.index_path))
    return TrafficSummary(
        index=index,
        prompts=Lengths.from_values(prompt),
        answers=Lengths.from_values(answer[answer > 0]) if (answer > 0).any() else None,
        turns=Lengths.from_values(np.array(entries["turns"])),
        prompt_tokens=int(prompt.sum()),
        output_tokens=int(answer.sum()),
        cached_share=cache.share,
        cached_rows=cache.rows,
        arrivals_per_s=_arrivals(np.array(entries["due_s"]), index.duration_s) if index.has_times else [],
        over_context=int((prompt + answer > context).sum()) if context else None,
    )


def _conversations(index: Index) -> Iterator[Conversation]:
    with open_file(Path(index.path)) as file:
        for _, _, conversation in conversations(file, index.layout, FORM[index.form], Counter()):
            if conversation is not None:
                yield conversation


def _arrivals(due_s: Floats, duration_s: float, parts: int = 60) -> list[float]:
    edges = np.linspace(0.0, max(duration_s, 1.0), parts + 1)
    counts, _ = np.histogram(due_s, edges)
    return [float(count) for count in counts / np.diff(edges)]


class PrefixCache:
    """A cache that forgets nothing: how many prompt tokens of the file it would have seen before."""

    def __init__(self) -> None:
        self.rows = 0
        self._seen: set[int] = set()
        self._tokens = self._cached = 0.0

    @property
    def share(self) -> float:
        return self._cached / self._tokens if self._tokens else 0.0

    def take(self, conversation: Conversation) -> None:
        for turn in conversation.turns:
            self.rows += 1
            self._tokens += turn.prompt_tokens
            self._cached += min(self._cached_tokens(conversation, turn), turn.prompt_tokens)

    def _cached_tokens(self, conversation: Conversation, turn: Turn) -> float:
        blocks, tokens_a_block = _blocks_of(conversation, turn)
        hits = 0
        missed = False
        for block in blocks:
            missed = missed or block not in self._seen
            hits += not missed
            self._seen.add(block)
        return hits * tokens_a_block


def _blocks_of(conversation: Conversation, turn: Turn) -> tuple[Sequence[int], float]:
    """Numbers that are equal where prompts are equal from their start to there; the tokens each stands for."""
    if turn.blocks:
        return turn.blocks, conversation.block_tokens
    if turn.messages:
        said = (conversation.fields, *conversation.messages[: turn.messages])
        data = b"".join(msgspec.msgpack.encode(each) for each in said)
    elif turn.ids:
        data = np.array(turn.ids, dtype=np.uint32).tobytes()
    else:
        data = turn.text.encode()
    chain, numbers = 0, []
    for start in range(0, len(data) - TEXT_BLOCK_BYTES + 1, TEXT_BLOCK_BYTES):
        chain = hash((chain, data[start : start + TEXT_BLOCK_BYTES]))
        numbers.append(chain)
    return numbers, turn.prompt_tokens * TEXT_BLOCK_BYTES / max(len(data), 1)


def traffic_lines(summary: TrafficSummary, context: int = 0) -> list[str]:
    """The summary as lines of text of at most 100 cells."""
    index = summary.index
    about = "" if index.form in ("mooncake", "bailian", "burstgpt", "azure", "token-trace") else "about "
    lines = [
        f"{index.name}: {index.title}, {index.file_bytes:,} bytes, SHA-256 {index.sha256[:16]}…",
        f"{_amount(index)}{_pace(index)}",
    ]
    lines += [f"  {sentence}" for sentence in index.sentence.split("; ") if sentence]
    lines += ["", f"prompt tokens ({about or 'as recorded'}{'4 bytes a token' if about else ''})"]
    lines += _length_lines(summary.prompts)
    if summary.answers is None:
        lines += ["", "answer tokens: the file does not tell; answers end by themselves, or as long as the dial says"]
    else:
        lines += ["", "answer tokens", *_length_lines(summary.answers)]
    if index.max_turns > 1:
        ranks = ", ".join(f"{name} {value:,}" for name, value in summary.turns.percentiles.items())
        lines += ["", f"requests a conversation: {ranks}, largest {summary.turns.largest:,}"]
    if summary.arrivals_per_s:
        lines += ["", *_arrival_lines(summary)]
    part = "" if summary.cached_rows >= index.requests else f", of the first {summary.cached_rows:,} requests"
    lines += ["", f"a prefix cache that forgets nothing saves {summary.cached_share:.1%} of the prompt tokens{part}"]
    if summary.over_context is not None:
        lines.append(f"{summary.over_context:,} requests do not fit into a context of {context:,} tokens")
    lines.append(_cost(summary))
    return lines


def _amount(index: Index) -> str:
    requests = f"{index.requests:,} requests"
    return f"{index.conversations:,} conversations, {requests}" if index.max_turns > 1 else requests


def _pace(index: Index) -> str:
    if not index.has_times:
        return ", without times: a closed loop or a rate plays them"
    rate = index.conversations / max(index.duration_s, 1e-9)
    return f" over {_duration(index.duration_s)}, {rate:.2f} a second"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if not hours and not minutes:
        return f"{rest} s"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _length_lines(lengths: Lengths) -> list[str]:
    ranks = "  ".join(f"{name} {value:,}" for name, value in lengths.percentiles.items())
    most = max(lengths.buckets.values())
    bars = [
        f"  {_bucket(power):>21}  {'█' * max(round(count / most * BAR), 1):<{BAR}}  {count:,}"
        for power, count in lengths.buckets.items()
    ]
    return [f"  mean {lengths.mean:,.0f}  {ranks}  largest {lengths.largest:,}", *bars]


def _bucket(power: int) -> str:
    return f"{power:,} to {2 * power - 1:,}" if power > 1 else "1"


def _arrival_lines(summary: TrafficSummary) -> list[str]:
    rates = summary.arrivals_per_s
    most = max(rates) or 1.0
    curve = "".join(LEVELS[min(int(rate / most * len(LEVELS)), len(LEVELS) - 1)] for rate in rates)
    return [
        f"arrivals a second, 0 to {most:.1f}, each cell {_duration(summary.index.duration_s / len(rates))}",
        f"  {curve}",
    ]


def _cost(summary: TrafficSummary) -> str:
    index = summary.index
    tokens = f"{summary.prompt_tokens:,} prompt and {summary.output_tokens:,} answer tokens"
    if not index.has_times:
        return f"the whole file: {tokens} for each lane"
    seconds = max(index.duration_s, 1.0)
    rates = (
        f"{summary.prompt_tokens / seconds:,.0f} prompt and {summary.output_tokens / seconds:,.0f} answer tokens/s"
    )
    return f"at ×1 the whole file takes {_duration(seconds)} and asks {rates} of each lane ({tokens})"
