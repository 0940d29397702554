"""Tokens of chunks that hold several, where the server counts only at the end of an answer.

Three things say how many tokens a chunk brought: the bytes of its text, though a token's length varies by more than
half; the time since the stream's chunk before, where a slow front end joins what the engine made meanwhile; and how
much text all streams brought in that time, which stands still where the engine did. Speculation makes the last two
worthless, a full front end makes them exact, so their worth is learnt from the chunks themselves: text is noisy but
right on average, hence the regression of text on the two gaps is that of the tokens.

Here the count of an answer is laid over its own chunks after the fact; `live_counts` estimates while they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Standard deviation of a token's bytes over their mean: 0.4 to 0.8 in answers of LMDeploy, 0.58 in English text.
LENGTH_DEVIATION: Final = 0.58
NEIGHBOURS: Final = 64  # chunks whose common departure from what their gaps say is believed to be of the engine
MOST_GAPS: Final = 4.0  # of the mean gap: a longer one was a stall, which brought no tokens
AT_ONCE: Final = 1_000_000  # chunks
ROUNDING: Final = 1 / 12  # variance of a number that is rounded to a whole one


@dataclass(frozen=True, slots=True)
class RecordedChunks:
    """Entries of the table `chunks` of one lane, columns (n,), in order of arrival."""

    request: Ints
    t_ns: Ints
    tokens: Ints
    text_bytes: Ints
    live: Ints  # tokens as they counted live


@dataclass(frozen=True, slots=True)
class EndCounts:
    """Answers that were counted at their end and whose chunks held several tokens, columns (n,), by request."""

    request: Ints
    segment: Ints
    tokens: Ints
    hidden: Ints  # of the tokens those that were never sent

    @classmethod
    def sorted(cls, request: Ints, segment: Ints, tokens: Ints, hidden: Ints) -> Self:
        order = np.argsort(request, kind="stable")
        return cls(request[order], segment[order], tokens[order], hidden[order])


def spread_counts(chunks: RecordedChunks, ends: EndCounts) -> Ints:
    """The tokens of each chunk (n,), with the counts of `ends` laid over the chunks of their answers.

    What was counted otherwise stays as it was live, and so does an answer of which not all chunks are there.
    """
    spread = chunks.live.astype(np.int64)
    if not ends.request.size:
        return spread
    clock = np.cumsum(chunks.text_bytes)
    at = np.minimum(np.searchsorted(ends.request, chunks.request), ends.request.size - 1)
    segment = np.where(ends.request[at] == chunks.request, ends.segment[at], -1)
    for one in np.unique(ends.segment):
        in_segment = np.flatnonzero(segment == one)
        in_segment = in_segment[np.argsort(at[in_segment], kind="stable")]
        whole = in_segment[_whole(at[in_segment], chunks.tokens[in_segment], ends.tokens)]
        for rows in _pieces(whole, at[whole]):
            seen = np.stack([column[rows] for column in (chunks.t_ns, clock, chunks.tokens, chunks.text_bytes)])
            spread[rows] = _spread(rows, at[rows], seen.astype(np.int64), ends)
    return spread


def _pieces(rows: Ints, answer: Ints) -> list[Ints]:
    """Rows (n,) sorted by answer in pieces of whole answers, which bound the memory that spreading takes."""
    begins = np.flatnonzero(np.append(True, answer[1:] != answer[:-1])) if rows.size else rows
    cuts = begins[np.searchsorted(begins, np.arange(0, rows.size, AT_ONCE))] if rows.size > AT_ONCE else begins[:0]
    return [piece for piece in np.split(rows, cuts) if piece.size]


def _whole(answer: Ints, tokens: Ints, total: Ints) -> Bools:
    """Which rows (n,), sorted by answer, are of answers whose rows are all there."""
    sums = np.bincount(answer, weights=tokens, minlength=total.size)
    rows = np.bincount(answer, minlength=total.size)
    whole: Bools = ((sums == total) & (rows > 1))[answer]
    return whole


def _spread(arrival: Ints, answer: Ints, seen: Ints, ends: EndCounts) -> Ints:
    """The same of whole answers of one segment, sorted by answer; the last row of each is no chunk but the rest.

    `seen` (4, n): when each came, the text of all streams by then, its events, its bytes of text.
    """
    keep = np.append(answer[1:] == answer[:-1], False)
    t_ns, clock, tokens, text_bytes = seen[:, keep]
    chunks = _Chunks.of(answer[keep], tokens, text_bytes)
    shown, hidden = (column[answer[keep]][chunks.starts] for column in (ends.tokens - ends.hidden, ends.hidden))
    chunks = chunks.expecting(shown)
    gaps = np.stack([chunks.gaps(t_ns), chunks.gaps(clock, less=text_bytes)], axis=1)
    likely = chunks.likely(gaps, np.argsort(np.argsort(arrival[keep])))
    counts = np.zeros(answer.size, dtype=np.int64)
    counts[keep] = chunks.whole_numbers(likely, shown)
    counts[np.flatnonzero(keep)[chunks.starts]] += hidden
    return counts


@dataclass(slots=True)
class _Chunks:
    """Chunks (n,) sorted by answer. `events` are those in one read, each of at least one token."""

    starts: Ints  # where each answer begins
    answer: Ints  # (n,) from 0
    events: Ints
    mean: Floats  # tokens, if all events of an answer held the same
    excess: Floats  # of the tokens by the text over that mean, as a share of it
    first: Bools
    last: Bools

    @classmethod
    def of(cls, answer: Ints, events: Ints, text_bytes: Ints) -> Self:
        begins = np.append(True, answer[1:] != answer[:-1])
        starts = np.flatnonzero(begins)
        last = np.append(begins[1:], True) & ~begins
        return cls(starts, np.cumsum(begins) - 1, events, np.empty(0), text_bytes.astype(float), begins, last)

    @property
    def size(self) -> int:
        return self.events.size

    def sums(self, column: NDArray[np.float64] | Ints) -> Floats:
        """Of each answer."""
        return np.add.reduceat(column, self.starts).astype(float)

    def expecting(self, shown: Ints) -> Self:
        """The same with each answer's number of tokens."""
        self.mean = self.events * (shown / self.sums(self.events))[self.answer]
        total = self.sums(self.excess)
        text = np.where(total[self.answer] > 0, self.excess * (shown / np.maximum(total, 1))[self.answer], self.mean)
        self.excess = text / self.mean - 1
        return self

    def gaps(self, clock: Ints | Floats, less: Ints | None = None) -> Floats:
        """Each gap on a clock over what it would be at an even pace, less 1; 0 for an answer's first chunk."""
        gap = np.diff(clock, prepend=clock[0]).astype(float) - (0 if less is None else less)
        gap[self.starts] = 0
        gap = np.maximum(gap, 0)
        pace = self.sums(np.where(self.first, 0, self.events)) / np.maximum(self.sums(gap), 1e-9)
        shares = np.minimum(gap * pace[self.answer] / self.events, MOST_GAPS) - 1
        shares[self.starts] = 0
        return shares

    def likely(self, gaps: Floats, arrival: Ints) -> Floats:
        """Tokens of each chunk by its gaps (n, 2), neighbours by `arrival` and, as far as those leave room, text."""
        middle = ~self.first & ~self.last
        seen = gaps[middle]
        by_gaps = gaps @ slopes(seen.T @ seen, seen.T @ self.excess[middle], float(self.mean.mean()))
        by_gaps += np.where(middle, _common(self.excess - by_gaps, self.mean, arrival, middle), 0)
        tokens = np.empty(self.size)
        for part in (self.first, middle, self.last):
            if part.any():
                rest = self.excess[part] - by_gaps[part]
                level = rest.mean()
                mean = float(self.mean[part].mean())
                weight = text_weight(float(rest.var()), mean, level)
                tokens[part] = self.mean[part] * (1 + by_gaps[part] + level + weight * (rest - level))
        return tokens

    def whole_numbers(self, tokens: Floats, shown: Ints) -> Ints:
        """Whole numbers of tokens, at least one an event, that come to `shown` for each answer."""
        more = np.maximum(tokens - self.events, 0) + 1e-9
        wanted = shown - self.sums(self.events)
        more *= (wanted / self.sums(more))[self.answer]
        whole = np.floor(more)
        left = wanted - self.sums(whole)
        order = np.lexsort((whole - more, self.answer))
        place = np.empty(self.size, dtype=np.int64)
        place[order] = np.arange(self.size) - self.starts[self.answer]
        return self.events + whole.astype(np.int64) + (place < np.round(left)[self.answer])


def slopes(products: Floats, excess: Floats, mean: float) -> Floats:
    """Of the excess on the two gaps, by least squares, from sums of products (2, 2) and (2,); without evidence 0."""
    ridge = LENGTH_DEVIATION**2 / mean
    (a, b), (_, d) = products
    a, d = a + ridge, d + ridge
    x, y = excess
    return np.array((d * x - b * y, a * y - b * x), dtype=np.float64) / float(a * d - b * b)


def _common(rest: Floats, mean: Floats, arrival: Ints, counts: Bools) -> Floats:
    """What neighbours by arrival have in common of a rest (n,), less what chance explains."""
    group = arrival // NEIGHBOURS
    n = np.maximum(np.bincount(group, weights=counts), 1)
    common = np.bincount(group, weights=np.where(counts, rest, 0)) / n
    chance = LENGTH_DEVIATION**2 / (mean.mean() * n)
    real = max(float(np.mean(common**2 - chance)), 0.0)
    shrunk: Floats = (common * real / (real + chance))[group]
    return shrunk


def text_weight(variance: float, mean: float, level: float = 0.0) -> float:
    """How far the text is followed where the gaps leave a rest of this variance, as a share of the mean.

    So far that the tokens vary by as much as they do, which the mean square error would not: it draws all chunks to
    the mean, and the inter-token latencies with them. Rounding gives a part of it.
    """
    total = variance * mean**2
    tokens = total - LENGTH_DEVIATION**2 * mean * (1 + level)
    return float(np.sqrt(max(tokens - ROUNDING, 0.0) / total)) if total > 0 else 0.0
