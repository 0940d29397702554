"""Tokens of chunks while they arrive, where the server counts them only at the end: estimated from what came before.

How much text a token has changes little with the load: what answers that have ended held, and the text of the last
seconds, say at once how many tokens a chunk holds now, also after a dial was turned. How they are divided among the
chunks is learnt as `token_counts` does after the fact, from the last seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tui.judge.token_counts import LENGTH_DEVIATION, MOST_GAPS, NEIGHBOURS, Bools, Floats, Ints, slopes, text_weight
from tui.model.rows import Chunks, Frame, RequestRow

FRAME_KEPT: Final = 0.95  # weight of a frame when the next has come: the 20th before, of 2 s ago, weighs 0.4 of it
ANSWER_KEPT: Final = 0.97  # the same of answers, for the tokens of a chunk
TEXT_KEPT: Final = 0.998  # and for the text of a token
SURE: Final = 4.0  # a change is believed as far as its square exceeds that of chance so many times


class Recent:
    """Sums over the last seconds."""

    def __init__(self) -> None:
        self.text = np.zeros(2)  # events, bytes
        self.pace = np.zeros(3)  # events after an answer's first, and the gaps before them on both clocks
        self.gap_products = np.zeros((2, 2))
        self.gap_excess = np.zeros(2)
        self.common = np.zeros(2)  # groups of neighbours, and what their mean square is above chance
        self.rest = np.zeros((2, 3))  # of first and later chunks: how many, sum, sum of squares
        self.more = np.zeros(2)  # tokens beyond one an event: those that the text says, those estimated

    def age(self) -> None:
        """Another frame has come."""
        for name, sums in vars(self).items():
            setattr(self, name, sums * FRAME_KEPT)


@dataclass(slots=True)
class _Open:
    """Streams that are open, columns (n,), ascending by request."""

    whole: Ints  # (3, n): request, when its last chunk came, tokens estimated beyond one an event
    parts: Floats  # (2, n): bytes of text that all streams had brought by then, estimated beyond whole tokens

    @classmethod
    def none(cls) -> _Open:
        return cls(np.empty((3, 0), dtype=np.int64), np.empty((2, 0)))

    def of(self, request: Ints) -> tuple[Bools, Ints, Floats]:
        """Which of these are there, and their columns; 0 of those that are not."""
        at = np.searchsorted(self.whole[0], request)
        known = np.append(self.whole[0], -1)[at] == request
        whole, parts = (np.pad(columns, ((0, 0), (0, 1)))[:, at] * known for columns in (self.whole, self.parts))
        return known, whole, parts

    def put(self, new: _Open) -> _Open:
        """With other values for these requests."""
        old = self.without(new.whole[0])
        whole, parts = np.hstack((old.whole, new.whole)), np.hstack((old.parts, new.parts))
        order = np.argsort(whole[0])
        return _Open(whole[:, order], parts[:, order])

    def without(self, requests: Ints) -> _Open:
        stays = ~np.isin(self.whole[0], requests)
        return _Open(self.whole[:, stays], self.parts[:, stays])


@dataclass(slots=True)
class _Arrived:
    """Chunks of one frame without a count (n,), sorted by request; `arrival` says where they are in the frame."""

    arrival: Ints
    request: Ints
    t_ns: Ints
    events: Ints
    text_bytes: Ints

    @property
    def begins(self) -> Bools:
        return np.append(True, self.request[1:] != self.request[:-1])


@dataclass(slots=True)
class LiveCounts:
    """Estimates for one lane. Costs nothing before an answer ended whose chunks held several tokens."""

    _tokens: float = 0.0  # of answers that have ended
    _events: float = 0.0
    _text_tokens: float = 0.0  # the same with a longer memory, and how much text they were
    _text_bytes: float = 0.0
    _several: bool = False
    _counted: set[int] = field(default_factory=set)  # requests whose chunks say how many tokens they bring
    _open: _Open = field(default_factory=_Open.none)
    _clock: float = 0.0
    _concurrency: int = -1
    _recent: Recent = field(default_factory=Recent)

    def estimate(self, frame: Frame) -> Chunks:
        """The frame's chunks, with `tokens_estimated` where a server counts several tokens a chunk at the end."""
        self._counted.update(np.frombuffer(frame.counted, "<i8").tolist())
        if frame.concurrency != self._concurrency:
            self._concurrency, self._recent = frame.concurrency, Recent()
        chunks = self._estimated(frame.chunks, frame.requests) if self._several else frame.chunks
        for row in frame.requests:
            self._learn(row)
            self._counted.discard(row.request)
        return chunks

    def _learn(self, row: RequestRow) -> None:
        if row.tokens_from not in ("usage at end", "spread") or row.outcome != "ok" or not row.text_bytes:
            return
        shown = row.output_tokens - row.hidden_tokens
        self._several = self._several or row.tokens_from == "spread"
        self._tokens = self._tokens * ANSWER_KEPT + shown
        self._events = self._events * ANSWER_KEPT + row.chunks
        self._text_tokens = self._text_tokens * TEXT_KEPT + shown
        self._text_bytes = self._text_bytes * TEXT_KEPT + row.text_bytes

    def _estimated(self, chunks: Chunks, ended: list[RequestRow]) -> Chunks:
        request, t_ns = (np.frombuffer(column, "<i8") for column in (chunks.request, chunks.t_ns))
        tokens, text = (np.frombuffer(column, "<i4") for column in (chunks.tokens, chunks.text_bytes))
        rests = _rests(request, ended)
        is_chunk = ~np.isin(request, np.fromiter(self._counted, dtype=np.int64, count=len(self._counted)))
        is_chunk[list(rests.values())] = False
        rows = np.flatnonzero(is_chunk)
        rows = rows[np.argsort(request[rows], kind="stable")]
        live = tokens.astype(np.int64)
        self._recent.age()
        if rows.size:
            live[rows] += self._beyond_one(_Arrived(rows, request[rows], t_ns[rows], live[rows], text[rows]))
        late = self._correct(live, rests, ended)
        self._open = self._open.without(np.array([row.request for row in ended], dtype=np.int64))
        columns = [np.asarray(column, dtype=np.int64) for column in (request, t_ns, tokens, text, live)]
        if late:
            added = np.stack(late, axis=1)
            columns = [np.concatenate(pair) for pair in zip(columns, added, strict=True)]
        kinds = ("<i8", "<i8", "<i4", "<i4", "<i4")
        return Chunks(*(column.astype(kind).tobytes() for column, kind in zip(columns, kinds, strict=True)))

    def _correct(self, live: Ints, rests: dict[int, int], ended: list[RequestRow]) -> list[Ints]:
        """Take back at its end what was estimated of an answer; returns entries to add where it has no rest."""
        late = []
        for row in ended:
            more = int(self._open.of(np.array([row.request]))[1][2, 0])
            if not more or row.outcome != "ok":
                continue
            if row.request in rests:
                live[rests[row.request]] -= more
            elif row.t_last_ns is not None:
                late.append(np.array((row.request, row.t_last_ns, 0, 0, -more)))
        return late

    def _beyond_one(self, new: _Arrived) -> Ints:
        """The tokens of each chunk beyond one an event, in whole numbers that come out right over an answer."""
        begins = new.begins
        starts, group = np.flatnonzero(begins), np.cumsum(begins) - 1
        known, (_, last_ns, estimated), (last_clock, carried) = self._open.of(new.request[starts])
        order = np.argsort(new.arrival)
        clock = np.empty(order.size)
        clock[order] = self._clock + np.cumsum(new.text_bytes[order])
        self._clock = float(clock[order[-1]])
        of_time = _gaps(new.t_ns, np.where(known, last_ns, new.t_ns[starts]), starts)
        of_text = _gaps(clock, np.where(known, last_clock, clock[starts]), starts) - new.text_bytes
        gaps = np.maximum(np.stack((of_time, of_text), axis=1), 0)
        more = self._more(new, gaps, begins & ~known[group], np.argsort(order))
        total = np.cumsum(more)
        total += (np.where(known, carried, 0.5) - (total - more)[starts])[group]
        whole = np.floor(total).astype(np.int64)
        brought = np.diff(whole, prepend=0)
        brought[starts] = whole[starts]
        ends = np.append(starts[1:], order.size) - 1
        estimated += np.add.reduceat(brought, starts)
        ints = np.stack((new.request[starts], new.t_ns[ends], estimated))
        self._open = self._open.put(_Open(ints, np.stack((clock[ends], (total - whole)[ends]))))
        return brought

    def _more(self, new: _Arrived, gaps: Floats, is_first: Bools, place: Ints) -> Floats:
        """The same as fractions."""
        recent, events = self._recent, new.events
        later = ~is_first
        recent.text += (events.sum(), new.text_bytes.sum())
        recent.pace += (events[later].sum(), *gaps[later].sum(axis=0))
        a_event = self._tokens_an_event()
        mean = a_event * events
        excess = new.text_bytes * (self._text_tokens / self._text_bytes) / mean - 1
        pace = recent.pace[0] / np.maximum(recent.pace[1:], 1e-9)
        shares = np.minimum(gaps * pace / events[:, None], MOST_GAPS) - 1
        shares[is_first] = 0
        recent.gap_products += shares.T @ shares
        recent.gap_excess += shares.T @ excess
        likely = shares @ slopes(recent.gap_products, recent.gap_excess, a_event)
        likely += np.where(later, self._common(excess - likely, a_event, place, later), 0)
        for part, is_part in enumerate((is_first, later)):
            rest = excess[is_part] - likely[is_part]
            recent.rest[part] += (rest.size, rest.sum(), (rest**2).sum())
            level, weight = _level_and_weight(recent.rest[part], a_event)
            likely[is_part] += level + weight * (rest - level)
        more = np.maximum(mean * (1 + likely) - events, 0)
        recent.more += (max(float((mean - events).sum()), 0.0), more.sum())
        share = recent.more[0] / recent.more[1] if recent.more[1] else 0.0
        return np.asarray(more * share)

    def _tokens_an_event(self) -> float:
        """As in the answers before, changed as the text of the last seconds differs from theirs beyond chance."""
        before = self._tokens / self._events
        events, text = self._recent.text
        now = text / events * self._text_tokens / self._text_bytes
        change = now / before - 1
        chance = LENGTH_DEVIATION**2 / before * (1 / events + 1 / self._events)
        believed = max(1 - SURE * chance / change**2, 0.0) if change else 0.0
        return float(max(before * (1 + believed * change), 1.0))

    def _common(self, rest: Floats, a_event: float, place: Ints, counts: Bools) -> Floats:
        """What neighbours by arrival have in common of a rest (n,), less what chance explains."""
        group = place // NEIGHBOURS
        n = np.maximum(np.bincount(group, weights=counts), 1)
        common = np.bincount(group, weights=np.where(counts, rest, 0)) / n
        chance = LENGTH_DEVIATION**2 / (a_event * n)
        self._recent.common += (n.size, np.sum(common**2 - chance))
        real = max(self._recent.common[1] / self._recent.common[0], 0.0)
        return np.asarray((common * real / (real + chance))[group])


def _rests(request: Ints, ended: list[RequestRow]) -> dict[int, int]:
    """Where in a frame the last entry of an answer is no chunk, but what its count at the end said beyond them."""
    rests = {}
    for row in ended:
        if row.outcome == "ok" and row.tokens_from in ("usage at end", "spread") and row.output_tokens != row.chunks:
            entries = np.flatnonzero(request == row.request)
            if entries.size:
                rests[row.request] = int(entries[-1])
    return rests


def _gaps(clock: Ints | Floats, last: Ints | Floats, starts: Ints) -> Floats:
    gaps = np.diff(clock, prepend=clock[0]).astype(float)
    gaps[starts] = clock[starts] - last
    return gaps


def _level_and_weight(sums: Floats, a_event: float) -> tuple[float, float]:
    n, total, squares = sums
    if not n:
        return 0.0, 0.0
    level = total / n
    return float(level), text_weight(float(squares / n - level**2), a_event, float(level))
