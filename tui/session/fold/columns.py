"""Packed columns as arrays, and cutting them in time."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tui.records.frame import Chunks

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def int64s(packed: bytes) -> Int64:
    """An array over packed little-endian int64; it does not own its memory."""
    return np.frombuffer(packed, dtype="<i8")


@dataclass(slots=True)
class ChunkArrays:
    """Output chunks as three arrays of one length."""

    request: Int64
    t_ns: Int64
    tokens: Int32

    @classmethod
    def of(cls, frames: list[Chunks]) -> Self:
        """The chunks of several frames, joined in order."""
        return cls(
            int64s(b"".join(c.request for c in frames)),
            int64s(b"".join(c.t_ns for c in frames)),
            np.frombuffer(b"".join(c.tokens for c in frames), dtype="<i4"),
        )

    def pack(self) -> Chunks:
        """Back to the form that travels."""
        return Chunks(self.request.tobytes(), self.t_ns.tobytes(), self.tokens.tobytes())

    def cut(self, t_ns: int) -> tuple["ChunkArrays", "ChunkArrays"]:
        """Those before `t_ns`, and the rest."""
        early = self.t_ns < t_ns
        late = ~early
        return (
            ChunkArrays(self.request[early], self.t_ns[early], self.tokens[early]),
            ChunkArrays(self.request[late], self.t_ns[late], self.tokens[late]),
        )
