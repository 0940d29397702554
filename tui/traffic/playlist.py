"""Which conversation of a traffic file is played when, the same in both lanes whatever happened before in either.

Position *i* of the list is row *i* of the file, or of a seeded order of it. Rows are read when they are due.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from tui.model.dials import AS_IN_FILE, Dials
from tui.traffic.forms import FORM, Form
from tui.traffic.index import ENTRY, Entry, Index, parsed
from tui.traffic.records import read_span
from tui.traffic.row import Conversation, RowError, Turn

NEAR: Final = 0.1  # rows whose prompt is so much longer or shorter than the dial asks are taken in turn
ROUNDS: Final = 4  # of the shuffle: enough that no order is seen in what it does to neighbours
MAX_JOINED: Final = 64  # rows that are joined to a longer text


class PlaylistPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver needs to play a file. Paths and places, never a text."""

    index: Index
    order: Literal["as written", "shuffled"] = "as written"
    wrap: bool = True  # begin again at the end
    max_input: int = 0
    max_output: int = 4096
    seed: int = 0
    salt: str = ""  # goes before each text; empty: texts are sent as they are


class Play(msgspec.Struct, frozen=True):
    """A conversation at one of its turns."""

    conversation: Conversation
    position: int
    at: int = 0  # the turn

    @property
    def turn(self) -> Turn:
        return self.conversation.turns[self.at]

    def following(self) -> Play | None:
        """At its next turn; None after the last one."""
        return (
            Play(self.conversation, self.position, self.at + 1)
            if self.at + 1 < len(self.conversation.turns)
            else None
        )


class Playlist:
    """The file of one driver. `dropped`: positions passed over, because the row is too long or cannot be read."""

    def __init__(self, plan: PlaylistPlan) -> None:
        self._plan, self._index = plan, plan.index
        self._form: Form = FORM[plan.index.form]
        self._file = os.open(plan.index.path, os.O_RDONLY | os.O_CLOEXEC)
        self._entries = os.open(plan.index.index_path, os.O_RDONLY | os.O_CLOEXEC)
        self._by_length = os.open(plan.index.by_length_path, os.O_RDONLY | os.O_CLOEXEC)
        self._bits = max((len(self) - 1).bit_length(), 2)
        self.dropped = 0

    def __len__(self) -> int:
        return self._index.conversations

    def close(self) -> None:
        for handle in (self._file, self._entries, self._by_length):
            os.close(handle)

    def wraps(self, position: int) -> int:
        """How often the file was played to its end before this position."""
        return position // len(self)

    def is_over(self, position: int) -> bool:
        return not self._plan.wrap and position >= len(self)

    def play(self, position: int, dials: Dials, context: int = 0) -> Play | None:
        """What is played at this position; None, and counted, where the row is too long or can no longer be read.

        `context`: the most tokens that both servers take, 0 where that is not known.
        """
        row = self._row(position, dials)
        entry = self._entry(row)
        if self._is_too_long(entry, dials, context):
            self.dropped += 1
            return None
        try:
            conversation = self._conversation(entry)
            if dials.prompt_tokens != AS_IN_FILE:
                conversation = self._fitted(conversation, row, dials.prompt_tokens)
        except RowError:
            self.dropped += 1
            return None
        return Play(conversation, position)

    def gaps_s(self, position: int) -> Iterator[float]:
        """From each due time to the next, endless, on the file's clock, from that of `position` on."""
        before_s = self._due_s(position - 1) if position else 0.0
        while not self.is_over(position):
            due_s = self._due_s(position)
            yield max(due_s - before_s, 0.0)
            before_s, position = due_s, position + 1

    def output_tokens(self, turn: Turn, dials: Dials) -> tuple[int, bool]:
        """Tokens to ask for, at most `max_output`, and whether the answer ends by itself before."""
        asked = turn.output_tokens if dials.output_tokens == AS_IN_FILE else dials.output_tokens
        natural = asked <= 0
        return min(self._plan.max_output if natural else asked, self._plan.max_output), natural

    def number(self, play: Play) -> int:
        """The request's number, the same in both lanes, whatever the order in which turns come."""
        return play.position * self._index.max_turns + play.at

    def text(self, turn: Turn) -> str:
        """The prompt as it is sent."""
        return f"{self._plan.salt} {turn.text}" if self._plan.salt else turn.text

    def _due_s(self, position: int) -> float:
        length_s = self._index.duration_s + self._index.duration_s / max(len(self) - 1, 1)
        return self.wraps(position) * length_s + self._entry(position % len(self)).due_s

    def _row(self, position: int, dials: Dials) -> int:
        """The row of the file."""
        if dials.prompt_tokens != AS_IN_FILE:
            return self._near(position, dials.prompt_tokens)
        at = position % len(self)
        shuffled = self._plan.order == "shuffled" and dials.arrival != "trace"
        return self._shuffled(at, self.wraps(position)) if shuffled else at

    def _shuffled(self, at: int, wraps: int) -> int:
        """A permutation of the rows that needs no memory: a Feistel network on the next power of four, walked until
        it is back in the range (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
        """
        half = (self._bits + 1) // 2
        mask = (1 << half) - 1
        while True:
            left, right = at >> half, at & mask
            for turn in range(ROUNDS):
                mixed = random.Random(f"{self._plan.seed} {wraps} {turn} {right}").getrandbits(half)
                left, right = right, left ^ mixed
            at = left << half | right
            if at < len(self):
                return at

    def _near(self, position: int, tokens: int) -> int:
        """A row about as long as asked: those within 10 % in turn, or the nearest one."""
        low, high = self._rank(tokens * (1 - NEAR)), self._rank(tokens * (1 + NEAR) + 1)
        if low < high:
            return self._at_rank(low + position % (high - low))
        rank = min(low, len(self) - 1)
        before = max(rank - 1, 0)
        nearer = abs(self._length_at(before) - tokens) < abs(self._length_at(rank) - tokens)
        return self._at_rank(before if nearer else rank)

    def _rank(self, tokens: float) -> int:
        """How many rows have a shorter prompt."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._length_at(middle) < tokens:
                low = middle + 1
            else:
                high = middle
        return low

    def _at_rank(self, rank: int) -> int:
        return int.from_bytes(os.pread(self._by_length, 4, rank * 4), "little")

    def _length_at(self, rank: int) -> int:
        return self._entry(self._at_rank(rank)).prompt_tokens

    def _entry(self, row: int) -> Entry:
        return Entry(*ENTRY.unpack(os.pread(self._entries, ENTRY.size, row * ENTRY.size)))

    def _conversation(self, entry: Entry) -> Conversation:
        return parsed(read_span(self._file, (entry.offset, entry.size)), self._index.layout, self._form)

    def _is_too_long(self, entry: Entry, dials: Dials, context: int) -> bool:
        if dials.prompt_tokens != AS_IN_FILE:
            return bool(context) and dials.prompt_tokens >= context
        answer = entry.output_tokens if dials.output_tokens == AS_IN_FILE else max(dials.output_tokens, 0)
        if self._plan.max_input and entry.prompt_tokens > self._plan.max_input:
            return True
        return bool(context) and entry.prompt_tokens + min(answer, self._plan.max_output) > context

    def _fitted(self, conversation: Conversation, row: int, tokens: int) -> Conversation:
        """Its first request alone, cut or joined with rows after it to that length; messages stay as they are."""
        turn = conversation.turns[0]
        if turn.messages:
            return msgspec.structs.replace(conversation, turns=[turn])
        replace = msgspec.structs.replace
        if not turn.text:
            fitted = replace(turn, prompt_tokens=tokens, ids=turn.ids[:tokens])
            return replace(
                conversation, turns=[fitted if len(fitted.ids) in (0, tokens) else replace(fitted, ids=[])]
            )
        text, known = turn.text, turn.prompt_tokens
        bytes_a_token = len(turn.text.encode()) / known
        for further in range(1, MAX_JOINED):
            if known >= tokens:
                break
            added = self._conversation(self._entry((row + further) % len(self))).turns[0]
            text, known = f"{text}\n\n{added.text}", known + added.prompt_tokens
        if known > tokens:
            text = _cut(text, round(tokens * bytes_a_token))
        return replace(conversation, turns=[replace(turn, text=text, prompt_tokens=min(known, tokens))])


def _cut(text: str, size: int) -> str:
    """The first bytes of a text, at least one character, never a part of one."""
    return text.encode()[: max(size, 1)].decode("utf-8", "ignore") or text[:1]
