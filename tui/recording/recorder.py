"""Writes a session as it happens, from a thread of its own: whatever kills the program, the files can be read.

Rows that are known and not yet on the disk, within a bound.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from collections import Counter, deque
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui.model.rows import ROW_OF, TABLES, Batch, Chunks, EventRow, Lane, TableName
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.durable import Lock
from tui.recording.info import FILE, without_secrets_in, write_info
from tui.recording.redact import secrets_of

if TYPE_CHECKING:
    from tui.recording.growing import GrowingTable


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


FLUSH_EVERY_S = 0.4  # leaves 0.6 s for gathering and writing until a second is full
BACKLOG_BYTES = 256 << 20
# A second's row comes after everything that happened in it: who follows and sees the row has the rest too.
WRITE_ORDER: tuple[TableName, ...] = ("requests", "chunks", "gauges", "events", "seconds")
_FULL = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger(__name__)


class Recorder:
    """One session's folder, being written. Call it with each batch; it takes the rows and returns at once."""

    def __init__(
        self,
        directory: Path,
        info: SessionInfo,
        *,
        flush_every_s: float = FLUSH_EVERY_S,
        backlog_bytes: int = BACKLOG_BYTES,
    ) -> None:
        """Make the folder and begin. Raises UserError when it cannot be written or holds a session already.

        Takes up to a second, because polars is imported here: later, the first second would wait for it.
        """
        self.durable_t_ns: int | None = None  # everything up to here is safe on the disk
        self.written_bytes = 0
        self.note = ""  # empty, or why recording is paused
        self._directory = directory
        self._secrets = secrets_of(info.profile)
        self._given = info
        self._info = without_secrets_in(info)
        self._flush_every_s = flush_every_s
        self._backlog_bytes = backlog_bytes
        self._inbox: deque[Batch] = deque()
        self._backlog = Backlog()
        self._lost: Counter[TableName] = Counter()
        self._closing = threading.Event()
        self._lock = self._occupy()
        self._tables = self._growing_tables()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, batch: Batch) -> None:
        """Take a batch. Never blocks."""
        self._inbox.append(batch)

    def close(self, ended: str, duration_s: float) -> None:
        """Write what is left, bring each table into one file, say how the session ended. Blocks: not for a loop."""
        self._closing.set()
        self._thread.join()
        if left := len(self._backlog) + self._lost.total():
            self.note = f"{left:,} rows of the end are lost: {self.note}"
            ended += f"; {left:,} rows of the end are not recorded"
        self._info = without_secrets_in(msgspec.structs.replace(self._given, ended=ended, duration_s=duration_s))
        try:
            write_info(self._directory, self._info)
            self._compact()
        except OSError as error:  # the parts hold all the same
            log.warning("%s is not in one file a table: %s", self._directory, error)
        self._lock.release()

    def _occupy(self) -> Lock:
        try:
            if (self._directory / FILE).exists():
                raise UserError(f"{self._directory} holds a session already: record into another folder")
            self._directory.mkdir(parents=True, exist_ok=True)
            lock = Lock(self._directory)
            write_info(self._directory, self._info)
        except OSError as error:
            why = error.strerror or error
            raise UserError(
                f"cannot record into {self._directory} ({why}): "
                "name another folder, or turn recording off with --no-record"
            ) from error
        return lock

    def _growing_tables(self) -> dict[TableName, GrowingTable]:
        from tui.recording.growing import GrowingTable
        from tui.recording.schema import metadata_of

        metadata = metadata_of(self._info)
        return {name: GrowingTable(self._directory / name, name, metadata, self._secrets) for name in WRITE_ORDER}

    def _run(self) -> None:
        last = False
        while not last:
            last = self._closing.wait(self._flush_every_s)
            while self._inbox:
                self._backlog.add(self._inbox.popleft())
            try:
                self._flush()
            except BaseException:  # polars panics are no Exception; whatever it is, the session goes on
                log.exception("these rows cannot be recorded")
                self._lost += self._backlog.clear()
                self.note = f"{self._lost.total():,} rows lost by an error of the recorder: see the log"

    def _flush(self) -> None:
        """Bring everything known onto the disk, or keep it for the next time and say why."""
        try:
            self._keep_info()
            for name, table in self._tables.items():
                self._write(name, table)
            for table in self._tables.values():
                table.sync()
        except OSError as error:
            self._pause(error)
            self._lost += self._backlog.shed(self._backlog_bytes)
        else:
            self.note = ""
            self.durable_t_ns = self._backlog.t_ns
        self.written_bytes = sum(table.written_bytes for table in self._tables.values())

    def _keep_info(self) -> None:
        """A lane that is reached late is known late."""
        info = without_secrets_in(self._given)
        if info.lanes != self._info.lanes:
            write_info(self._directory, info)
            self._info = info

    def _write(self, name: TableName, table: GrowingTable) -> None:
        """Piece by piece, so that a long backlog takes what room there is."""
        while rows := self._backlog.waiting(name, table.full_rows):
            table.append(rows)
            self._backlog.written(name, len(rows))
        if name == "events" and self._lost:
            table.append(self._losses())
            self._lost.clear()

    def _losses(self) -> list[EventRow]:
        """What had to be dropped, as rows of its own."""
        return [
            EventRow(
                "", self._backlog.t_ns or 0, "fault", "recorder", new=str(count), text=f"{count} {name} not recorded"
            )
            for name, count in self._lost.items()
        ]

    def _pause(self, error: OSError) -> None:
        """The screen has room for some 60 characters: the place stands last."""
        if error.errno in _FULL:
            why = f"disk full ({_free_mb(self._directory)} MB free): paused until there is room"
        else:
            why = f"cannot write ({error.strerror or error}): paused until it can"
        self.note = f"{why}, in {self._directory}"
        log.warning(self.note)

    def _compact(self) -> None:
        from tui.recording.growing import compact

        self.written_bytes = sum(compact(self._directory / name, name, self._info) for name in TABLES)


def _free_mb(directory: Path) -> int:
    try:
        return shutil.disk_usage(directory).free >> 20
    except OSError:
        return 0
