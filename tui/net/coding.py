"""Content codings of servers that compress though plain bytes were asked for."""

import zlib
from collections.abc import Callable

MAX_INFLATED_BYTES = 16 << 20  # of one block
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class CodingError(Exception):
    """What came cannot be decoded."""


def decoder(coding: str) -> Callable[[bytes], bytes] | None:
    """Decodes a body block by block; None for plain bytes.

    Raises CodingError for an unknown coding; so does the decoder, for broken bytes and too many of them.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise CodingError(f"it is compressed ({name}), though plain bytes were asked for")
    inflating = zlib.decompressobj(_GZIP_OR_ZLIB)

    def inflate(data: bytes) -> bytes:
        nonlocal inflating
        try:
            return _inflate(inflating, data)
        except zlib.error as error:
            if name != "deflate" or inflating.unused_data or data[:1] == b"\x78":
                raise CodingError(f"it is compressed ({name}) and broken: {error}") from error
            inflating = zlib.decompressobj(-zlib.MAX_WBITS)  # some send deflate without its header
            try:
                return _inflate(inflating, data)
            except zlib.error:
                raise CodingError(f"it is compressed ({name}) and broken: {error}") from error

    return inflate


def _inflate(inflating: "zlib._Decompress", data: bytes) -> bytes:
    plain = inflating.decompress(data, MAX_INFLATED_BYTES)
    if inflating.unconsumed_tail:
        raise CodingError(f"it is compressed, and a block of it holds more than {MAX_INFLATED_BYTES >> 20} MB")
    return plain
