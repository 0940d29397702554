"""Length-prefixed MessagePack: how parent and driver speak over a pipe.

What one lane's driver is told, once at its start and then at each turn of a dial.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tui.model.dials import Dials
from tui.model.profile import Endpoint
from tui.model.rows import Lane

_LENGTH = struct.Struct("<I")
HEADER_BYTES = _LENGTH.size
_encode = msgspec.msgpack.Encoder().encode


def packed(message: object) -> bytes:
    """A message as it travels."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def length(header: bytes) -> int:
    """How long the message is that this header announces."""
    return int(_LENGTH.unpack(header)[0])


class Unpacker:
    """Cuts messages out of a stream of bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole now."""
        self._rest += data
        while len(self._rest) >= HEADER_BYTES:
            end = HEADER_BYTES + length(bytes(self._rest[:HEADER_BYTES]))
            if len(self._rest) < end:
                return
            message = bytes(self._rest[HEADER_BYTES:end])
            del self._rest[:end]
            yield message


class LanePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a driver needs. It travels down the pipe, never on a command line: it may hold a key."""

    lane: Lane
    url: str  # base URL without /v1
    engine: str  # kind, a name in `engines.registry`
    model: str
    endpoint: Endpoint
    prompt_form: Literal["ids", "text"]
    usage: Literal["", "each", "end"] = ""  # empty: at the end, unless chunks hold several tokens
    token_pool: list[int] = []  # ordinary token ids that this server knows, for prompts of ids
    seed: int = 0
    first_request: int = 0  # numbers of requests go on where a driver before this one left off
    salt: str = ""  # new each session and the same in both lanes: no cache is warm by accident
    output_jitter: float = 0.1
    think_s: float = 0.0  # in a closed loop, from a request's end to the next one of its slot
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    verify_tls: bool = True
    headers: dict[str, str] = {}  # with the key, if there is one
    extra_body: dict[str, Any] = {}


class Setting(msgspec.Struct, frozen=True, array_like=True, tag="setting"):
    """Dials from now on. `cancel`: streams above a lowered concurrency are cut off, not drained."""

    segment: int
    dials: Dials
    cancel: bool = False
    requests: int | None = None  # of those that come due at a rate, no more are sent
    counted_anew: int = 0  # another number than before: `requests` counts from here
    spread: bool = False  # of a closed loop: added streams begin evenly far apart, not at once


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """Cancel what runs, send the last frame and end."""


Command = Setting | Stop
