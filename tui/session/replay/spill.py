"""A file without a name: what is kept for later and need not be in memory. It is gone with the program."""

import os
import tempfile

Place = tuple[int, int]  # where in the file, how many bytes


class Spill:
    """Put in from one thread; any thread may read. OSError: no room for temporary files."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this does
        self._end = 0

    def put(self, data: bytes) -> Place:
        """Keep it; returns where it is."""
        place = (self._end, len(data))
        while data:
            data = data[self._file.write(data) :]
        self._end = place[0] + place[1]
        return place

    def get(self, place: Place) -> bytes:
        """What was put there."""
        return os.pread(self._file.fileno(), place[1], place[0])

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
