"""What parent and driver send each other: length-prefixed MessagePack over pipes.

Down go one `LanePlan` and then commands; up come frames (`tui.model.rows.Frame`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

from tui.engines.base import BodyChanges
from tui.model.dials import Dials
from tui.model.profile import Endpoint
from tui.model.rows import Lane

_LENGTH = struct.Struct("<I")
HEADER_BYTES = _LENGTH.size
_encode = msgspec.msgpack.Encoder().encode


class LanePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a driver needs to know. Never on a command line, because it may hold a key."""

    lane: Lane
    url: str  # base URL of the server
    path: str = ""  # where requests go behind it, with a query; empty: the usual path of the endpoint
    engine: str  # kind, a name in `engines.registry`
    model: str
    endpoint: Endpoint
    prompt_form: Literal["ids", "text"]
    usage: Literal["", "each", "end"] = ""  # empty: at the end, unless chunks hold several tokens
    token_pool: list[int] = []  # ordinary token ids that this server knows, for prompts of ids
    seed: int = 0
    first_request: int = 0  # request numbers continue where the driver before this one stopped
    salt: str = ""  # new each session and the same in both lanes: no cache is warm by accident
    output_jitter: float = 0.1
    think_s: float = 0.0  # in a closed loop, from a request's end to the next one in its slot
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    verify_tls: bool = True
    headers: dict[str, str] = {}  # with the key, if there is one
    changes: BodyChanges = BodyChanges()


class Setting(msgspec.Struct, frozen=True, array_like=True, tag="setting"):
    """Dials from now on. `cancel`: streams above a lowered concurrency are cut off, not drained."""

    segment: int
    dials: Dials
    cancel: bool = False
    requests: int | None = None  # at a rate, the most requests that are sent
    plan_step_id: int = 0  # when it changes, `requests` counts from here
    ramp: bool = False  # in a closed loop, added streams begin evenly spaced and not at once


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """Cancel what runs, send the last frame and end."""


def pack(message: msgspec.Struct) -> bytes:
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """The bytes that follow this header."""
    return int(_LENGTH.unpack(header)[0])


class Unpacker:
    """Cuts messages out of a stream of bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are complete now."""
        self._rest += data
        while len(self._rest) >= HEADER_BYTES:
            end = HEADER_BYTES + body_length(bytes(self._rest[:HEADER_BYTES]))
            if len(self._rest) < end:
                return
            message = bytes(self._rest[HEADER_BYTES:end])
            del self._rest[:end]
            yield message
