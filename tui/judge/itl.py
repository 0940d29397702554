"""From output chunks to inter-token latencies, piece by piece, with each request's last arrival carried over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tui.model.metrics import NS_PER_S
from tui.model.rows import Chunks

Ints = NDArray[np.int64]
NO_CHUNKS: Final = "chunks were not recorded: there are no inter-token latencies"


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps that became known with one frame, columns (n,) with one row for each chunk but a request's first.

    `itl_ms` is the gap divided by the tokens that the later chunk brought, and counts `tokens` times. Tokens that
    only the usage at the end reported are at the last chunk's moment: their own is not known, so they have no gap.
    """

    request: Ints
    t_ns: Ints  # arrival of the later chunk
    t0_ns: int  # where second 0 of the session starts
    gap_ms: NDArray[np.float64]
    itl_ms: NDArray[np.float64]
    tokens: Ints

    @property
    def second(self) -> Ints:
        """Of the session, in which the later chunk arrived."""
        return (self.t_ns - self.t0_ns) // NS_PER_S


class ChunkGaps:
    """Gaps between the output chunks of each request of one lane. `t0_ns`: where second 0 of the session starts."""

    def __init__(self, t0_ns: int = 0) -> None:
        self._t0_ns = t0_ns
        self._request: Ints = np.empty(0, dtype=np.int64)  # ascending: requests that still stream
        self._last_ns: Ints = np.empty(0, dtype=np.int64)  # when each one's last chunk came

    def feed(self, chunks: Chunks) -> Gaps:
        """The gaps that end in these chunks, grouped by request, in order of arrival within each."""
        return self.feed_columns(
            np.frombuffer(chunks.request, dtype="<i8"),
            np.frombuffer(chunks.t_ns, dtype="<i8"),
            np.frombuffer(chunks.live_tokens, dtype="<i4"),
        )

    def feed_columns(self, request: Ints, t_ns: Ints, tokens: NDArray[np.int32] | Ints) -> Gaps:
        """The same from whole columns (n,) of a recording, in order of arrival."""
        request = np.concatenate((self._request, request))
        t_ns = np.concatenate((self._last_ns, t_ns))
        # A chunk that carries output brings a token, even where the server's count rounds to none.
        brought = np.concatenate((np.zeros_like(self._request), np.maximum(tokens.astype(np.int64), 1)))
        order = _by_request(request)
        request, t_ns, brought = request[order], t_ns[order], brought[order]
        same = request[1:] == request[:-1]
        ends = np.append(~same, np.ones(min(request.size, 1), dtype=bool))
        self._request, self._last_ns = request[ends], t_ns[ends]
        gap_ns = np.diff(t_ns)
        same &= gap_ns > 0
        at = np.flatnonzero(same)
        gap_ms, at = gap_ns[at] / 1e6, at + 1
        brought = brought[at]
        return Gaps(request[at], t_ns[at], self._t0_ns, gap_ms, gap_ms / brought, brought)

    def forget(self, requests: Collection[int]) -> None:
        """These requests have ended and bring no more chunks. Call it after the frame that ended them was fed."""
        if requests:
            stays = ~np.isin(self._request, np.fromiter(requests, dtype=np.int64, count=len(requests)))
            self._request, self._last_ns = self._request[stays], self._last_ns[stays]


def _by_request(request: Ints) -> Ints:
    """The stable order by request. Numbers that lie close are sorted in 16 bits, by radix and ten times as fast."""
    if request.size and int(request.max()) - int(request.min()) <= np.iinfo(np.uint16).max:
        return np.argsort((request - request.min()).astype(np.uint16), kind="stable")
    return np.argsort(request, kind="stable")


class TokenGaps:
    """The inter-token latencies of a recording, counted to the microsecond; those from 2 s on are kept as they are.

    An hour of 20,000 tokens/s takes 16 MB a lane.
    """

    COUNTED_US: Final = 1 << 21

    def __init__(self) -> None:
        self._counts = np.zeros(self.COUNTED_US, dtype=np.int64)  # by the whole microsecond that is nearest
        self._long_ms: list[NDArray[np.float64]] = []
        self._long_tokens: list[Ints] = []

    @classmethod
    def of(cls, gaps: Gaps) -> Self:
        """The gaps of a whole recording."""
        counted = cls()
        counted.add(gaps)
        return counted

    def add(self, gaps: Gaps) -> None:
        """Each value counts as often as its tokens."""
        us = np.rint(gaps.itl_ms * 1e3).astype(np.int64)
        counted = us < self.COUNTED_US
        if not counted.all():
            self._long_ms.append(gaps.itl_ms[~counted])
            self._long_tokens.append(gaps.tokens[~counted])
            us, tokens = us[counted], gaps.tokens[counted]
        else:
            tokens = gaps.tokens
        if not us.size:
            return
        counts = np.bincount(us, weights=None if tokens.max() == 1 else tokens)
        self._counts[: counts.size] += counts.astype(np.int64)

    @property
    def n(self) -> int:
        """How many tokens they were."""
        return int(self._counts.sum()) + sum(int(tokens.sum()) for tokens in self._long_tokens)

    def percentile(self, share: float) -> float | None:
        """The smallest value that reaches the share (0 to 1) of the tokens, in ms."""
        if not (n := self.n):
            return None
        reached = np.cumsum(self._counts)
        if share * n <= reached[-1]:
            return int(np.searchsorted(reached, share * n)) / 1e3
        ms, tokens = np.concatenate(self._long_ms), np.concatenate(self._long_tokens)
        rising = np.argsort(ms)
        at = int(np.searchsorted(reached[-1] + np.cumsum(tokens[rising]), share * n))
        return float(ms[rising][min(at, ms.size - 1)])
