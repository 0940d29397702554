"""Length-prefixed MessagePack: how parent and driver speak over a pipe."""

import struct
from collections.abc import Iterator

import msgspec

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
