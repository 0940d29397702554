"""Writes a session as it happens, from a thread of its own. Whatever kills the program, its files can be read."""

from __future__ import annotations

import errno
import logging
import shutil
import threading
import time
from collections import Counter, deque
from itertools import accumulate, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui.model.rows import TABLES, Batch, EventRow, TableName
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.catalog import SESSION_FILE, write_info
from tui.recording.durable import Lock
from tui.recording.redact import secrets_of, session_without_secrets

if TYPE_CHECKING:
    from tui.recording.growing import GrowingTable

FLUSH_EVERY_S = 0.75  # from gathering rows to having written the next ones; leaves 0.25 s until a second is full
BACKLOG_BYTES = 256 << 20
ROW_BYTES = 500  # a row object with its integers, measured 430 for a request
CHUNK_BYTES = 28
SHED_ORDER: tuple[TableName, ...] = ("chunks", "gauges", "requests", "seconds")  # the dearest last; events never
# A second's row is written after all that happened in it: a reader that sees the row has the rest too.
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
        self._given = info
        self._info = session_without_secrets(info)
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

    @property
    def directory(self) -> Path:
        """The session's folder."""
        return self._directory

    def close(self, ended: str, duration_s: float) -> None:
        """Write what is left, compact each table into one file, note how the session ended. Blocks."""
        self._closing.set()
        self._thread.join()
        if left := len(self._backlog) + self._lost.total():
            self.note = f"the last {left:,} rows are lost: {self.note}"
            ended += f"; the last {left:,} rows are not recorded"
        self._info = session_without_secrets(msgspec.structs.replace(self._given, ended=ended, duration_s=duration_s))
        try:
            write_info(self._directory, self._info)
            self._compact()
        except OSError as error:  # the parts can be read as well
            log.warning("the tables of %s stay in parts: %s", self._directory, error)
        self._lock.release()

    def _occupy(self) -> Lock:
        try:
            if (self._directory / SESSION_FILE).exists():
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

        secrets = secrets_of(self._given.profile)
        return {name: GrowingTable(self._directory / name, name, self._info, secrets) for name in WRITE_ORDER}

    def _compact(self) -> None:
        from tui.recording.growing import compact

        self.written_bytes = sum(compact(self._directory / name, name, self._info) for name in TABLES)

    def _run(self) -> None:
        last, took_s = False, 0.0
        while not last:
            last = self._closing.wait(max(self._flush_every_s - 2 * took_s, self._flush_every_s / 4))
            begun_s = time.monotonic()
            while self._inbox:
                self._backlog.add(self._inbox.popleft())
            try:
                self._flush()
            except BaseException:  # polars panics are no Exception; whatever it is, the session goes on
                log.exception("these rows cannot be recorded")
                self._lost += self._backlog.clear()
                self.note = f"{self._lost.total():,} rows lost by an error of the recorder: see the log"
            took_s = time.monotonic() - begun_s

    def _flush(self) -> None:
        """Write everything known, or keep it for the next time and note why."""
        try:
            self._update_info()
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
            any(table.merge() for table in self._tables.values())  # one a flush: the next is not to wait for five
        self.written_bytes = sum(table.written_bytes for table in self._tables.values())

    def _update_info(self) -> None:
        """A lane that is reached late becomes known while recording."""
        info = session_without_secrets(self._given)
        if info.lanes != self._info.lanes:
            write_info(self._directory, info)
            self._info = info

    def _write(self, name: TableName, table: GrowingTable) -> None:
        """Part by part, so that a long backlog fills the room there is."""
        while rows := self._backlog.oldest(name, table.full_rows):
            table.append(rows)
            self._backlog.drop(name, len(rows))
        if name == "events" and self._lost:
            table.append(self._losses())
            self._lost.clear()

    def _losses(self) -> list[EventRow]:
        """An event for each table that lost rows."""
        t_ns = self._backlog.t_ns or 0
        return [
            EventRow("", t_ns, "fault", "recorder", new=str(count), text=f"{count} {name} not recorded")
            for name, count in self._lost.items()
        ]

    def _pause(self, error: OSError) -> None:
        """The screen has room for some 60 characters: the folder comes last."""
        if error.errno in _FULL:
            why = f"disk full ({_free_mb(self._directory)} MB free): paused until there is room"
        else:
            why = f"cannot write ({error.strerror or error}): paused until it can"
        self.note = f"{why}, in {self._directory}"
        log.warning(self.note)


class Backlog:
    """Rows and packed chunks that are not yet on the disk, by table, oldest first."""

    def __init__(self) -> None:
        self.t_ns: int | None = None  # everything up to here has been added
        self._waiting: dict[TableName, deque[Any]] = {name: deque() for name in TABLES}
        self._bytes = 0

    def __len__(self) -> int:
        """How many rows wait."""
        return self._counts().total()

    def add(self, batch: Batch) -> None:
        """Add what became known together."""
        self.t_ns = batch.t_ns if self.t_ns is None else max(self.t_ns, batch.t_ns)  # lanes come in turn
        for table, waiting in self._waiting.items():
            entries = getattr(batch, table)
            waiting.extend(entries)
            self._bytes += sum(_bytes(table, entry) for entry in entries)

    def oldest(self, table: TableName, rows: int) -> list[Any]:
        """The oldest entries of a table, enough for so many rows."""
        waiting = self._waiting[table]
        if table != "chunks":
            return list(islice(waiting, rows))
        counts = accumulate(_rows(table, entry) for entry in waiting)
        return list(islice(waiting, 1 + sum(1 for _ in takewhile(lambda total: total < rows, counts))))

    def drop(self, table: TableName, entries: int) -> None:
        """Drop the oldest entries."""
        for _ in range(entries):
            self._drop_oldest(table)

    def shed(self, limit_bytes: int) -> Counter[TableName]:
        """Drop the oldest until the rest fits into the limit; returns how many rows of each table were lost."""
        lost: Counter[TableName] = Counter()
        for table in SHED_ORDER:
            while self._bytes > limit_bytes and self._waiting[table]:
                lost[table] += self._drop_oldest(table)
        return lost

    def clear(self) -> Counter[TableName]:
        """Drop everything; returns how many rows of each table were lost."""
        lost = self._counts()
        for waiting in self._waiting.values():
            waiting.clear()
        self._bytes = 0
        return lost

    def _counts(self) -> Counter[TableName]:
        counts = {table: sum(_rows(table, entry) for entry in waiting) for table, waiting in self._waiting.items()}
        return +Counter(counts)  # without zeros

    def _drop_oldest(self, table: TableName) -> int:
        entry = self._waiting[table].popleft()
        self._bytes -= _bytes(table, entry)
        return _rows(table, entry)


def _rows(table: TableName, entry: Any) -> int:
    return len(entry[1].t_ns) // 8 if table == "chunks" else 1


def _bytes(table: TableName, entry: Any) -> int:
    return CHUNK_BYTES * _rows(table, entry) if table == "chunks" else ROW_BYTES


def _free_mb(directory: Path) -> int:
    try:
        return shutil.disk_usage(directory).free >> 20
    except OSError:
        return 0
