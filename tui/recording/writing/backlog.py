"""Rows that are known and not yet on the disk, within a bound."""

from collections import Counter, deque
from itertools import islice
from typing import Any

from tui.records.frame import Batch, Chunks
from tui.records.rows import Lane
from tui.records.tables import ROW_OF, TABLES, TableName

ROW_BYTES = 500  # a row object with its integers, measured 430 for a request
CHUNK_BYTES = 20
SHED_ORDER: tuple[TableName, ...] = ("chunks", "gauges", "requests", "seconds")  # the dearest last; events never


class Backlog:
    """What waits for the disk, by table, oldest first."""

    def __init__(self) -> None:
        self.t_ns: int | None = None  # everything up to here has been added
        self.rows: dict[TableName, deque[Any]] = {name: deque() for name in TABLES if name in ROW_OF}
        self.chunks: deque[tuple[Lane, Chunks]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """How many rows wait."""
        return sum(map(len, self.rows.values())) + sum(len(packed.t_ns) // 8 for _, packed in self.chunks)

    def add(self, batch: Batch) -> None:
        """Take in what became known together."""
        self.t_ns = batch.t_ns if self.t_ns is None else max(self.t_ns, batch.t_ns)  # lanes come in turn
        for name, waiting in self.rows.items():
            rows = getattr(batch, name)
            waiting.extend(rows)
            self._bytes += ROW_BYTES * len(rows)
        self.chunks.extend(batch.chunks)
        self._bytes += sum(_size(packed) for _, packed in batch.chunks)

    def waiting(self, table: TableName, about: int) -> list[Any]:
        """The oldest rows of a table, about so many of them; of chunks, the packed columns that hold so many."""
        if table != "chunks":
            return list(islice(self.rows[table], about))
        taken: list[Any] = []
        rows = 0
        for packed in self.chunks:
            taken.append(packed)
            rows += len(packed[1].t_ns) // 8
            if rows >= about:
                break
        return taken

    def written(self, table: TableName, items: int) -> None:
        """The oldest so many of what `waiting` gives are on the disk."""
        for _ in range(items):
            self._drop_oldest(table)

    def shed(self, limit_bytes: int) -> Counter[TableName]:
        """Drop the oldest until what waits fits into the limit; returns how many rows of each table were lost."""
        lost: Counter[TableName] = Counter()
        for table in SHED_ORDER:
            while self._bytes > limit_bytes and (self.chunks if table == "chunks" else self.rows[table]):
                lost[table] += self._drop_oldest(table)
        return lost

    def clear(self) -> Counter[TableName]:
        """Drop everything; returns how many rows of each table were lost."""
        lost = Counter({name: len(waiting) for name, waiting in self.rows.items() if waiting})
        if self.chunks:
            lost["chunks"] = sum(len(packed.t_ns) // 8 for _, packed in self.chunks)
        for waiting in (*self.rows.values(), self.chunks):
            waiting.clear()
        self._bytes = 0
        return lost

    def _drop_oldest(self, table: TableName) -> int:
        if table != "chunks":
            self.rows[table].popleft()
            self._bytes -= ROW_BYTES
            return 1
        _, packed = self.chunks.popleft()
        self._bytes -= _size(packed)
        return len(packed.t_ns) // 8


def _size(packed: Chunks) -> int:
    return len(packed.t_ns) // 8 * CHUNK_BYTES
