"""A conversation of a file: its requests in their order, as all forms of files are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

MAX_TOKENS: Final = 10_000_000  # more is no length of a prompt or an answer
BYTES_A_TOKEN: Final = 4  # of a text whose tokens nobody has counted: about right for English in today's vocabularies


class RowError(Exception):
    """A record that cannot be sent: a few words that say why, which count such records in a file."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Exactly one of `text`, `messages`, `ids`, `blocks` and `prompt_tokens` alone says what to send."""

    text: str = ""
    messages: int = 0  # so many of the conversation's messages, from its first one
    ids: list[int] = []  # token ids
    blocks: list[int] = []  # ids of blocks of tokens: equal ones at the beginning are a shared prefix
    prompt_tokens: int = 0  # of the prompt; estimated from its bytes where the file does not tell
    output_tokens: int = 0  # of the answer; 0 where the file does not tell
    delay_s: float = 0.0  # from the end of the answer before


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that follow each other, often one alone."""

    turns: list[Turn]
    name: str = ""  # as the file calls it
    due_s: float | None = None  # when the first one is due, on the file's clock
    messages: list[Any] = []  # of all turns, with the answers as recorded
    fields: Mapping[str, Any] = {}  # of the body: tools, response_format, …
    block_tokens: int = 0  # of each block but the last


def estimated_tokens(text_bytes: int) -> int:
    return max(1, round(text_bytes / BYTES_A_TOKEN))


def length(record: Mapping[str, Any], *names: str) -> int:
    """The first of these fields as a number of tokens; 0 where none is there. RowError when it cannot be one."""
    for name in names:
        value = record.get(name)
        if value is None or value == "":
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise RowError("length is no number") from None
        if not 0 <= number <= MAX_TOKENS:
            raise RowError("length below 0 or absurd")
        return int(number)
    return 0


def seconds(value: object, unit_s: float = 1.0) -> float | None:
    """A time in the file's unit, in seconds; None where there is none. RowError when it is no time."""
    if value is None or value == "":
        return None
    try:
        number = float(value) * unit_s  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise RowError("time is no number") from None
    if not -1e12 < number < 1e12:
        raise RowError("time is absurd")
    return number


def sent_text(value: object) -> str:
    """A text that can be sent. RowError for anything else, half of a surrogate pair among it."""
    if not isinstance(value, str) or not value:
        raise RowError("no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError("text is not Unicode") from None
    return value
