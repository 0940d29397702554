"""Opens a session, whatever state its recorder left it in.

The files of a session's folder, whatever state its recorder left them in.

Which part of a session is meant: tables, a window of time, a lane, a segment.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tui.model.rows import LANES, TABLES, Lane, TableName
from tui.model.session import LaneInfo, SessionInfo
from tui.model.text import UserError, sanitize
from tui.model.units import NS_PER_S
from tui.recording.catalog import is_session
from tui.recording.durable import FILE as LOCK_FILE
from tui.recording.durable import TORN_SUFFIX, Lock, current, heal, is_cut_off, is_held, is_whole
from tui.recording.info import FILE, read_info
from tui.recording.schema import TIME_COLUMN, info_from, schema


class SessionFiles:
    """The files of one session in its folder."""

    def __init__(self, directory: Path) -> None:
        """Raises UserError when this is no session's folder."""
        if not is_session(directory):
            raise UserError(f"{directory} is no session's folder: `dragstrip sessions` lists what there is")
        self.directory = directory
        self.name = directory.resolve().name
        self._known_whole: dict[Path, tuple[int, int]] = {}

    def heal(self) -> list[str]:
        """Put right what a killed recorder left half done; returns what could not be, each in one sentence.

        Only what nobody is writing is touched; what cannot be touched is read as it is.
        """
        if not self._needs_healing():
            return []
        try:
            lock = Lock(self.directory)
        except OSError:  # it is being recorded, or may not be written here
            return []
        try:
            for table in TABLES:
                heal(self.directory / table)
            for torn in self.directory.rglob(f"*{TORN_SUFFIX}"):
                torn.unlink()
        except OSError as error:
            return [f"{self.directory} could not be put right ({error.strerror})"]
        finally:
            lock.release()
        return []

    def _needs_healing(self) -> bool:
        """Whether a recorder left something behind, or is at work."""
        left = [self.directory / LOCK_FILE, *self.directory.rglob(f"*{TORN_SUFFIX}")]
        return any(path.exists() for path in left) or any(is_cut_off(self.directory / table) for table in TABLES)

    def live(self) -> bool:
        """Whether the session is still being recorded."""
        return is_held(self.directory)

    def info(self) -> SessionInfo:
        """What `session.toml` says, as `recording.info.read_info` does."""
        return read_info(self.directory)

    def whole(self, table: TableName, missing: list[str]) -> list[str]:
        """The readable files of a table, oldest first; the others are named in `missing`, once each."""
        found = []
        for path in sorted(current(self.directory / table).glob("*.parquet")):
            if self._is_whole(path):
                found.append(str(path))
            elif path.exists() and (line := f"{table}/{path.name} is torn and left out") not in missing:
                missing.append(line)
        return found

    def _is_whole(self, path: Path) -> bool:
        """Looks into a file only once for as long as it does not change."""
        try:
            stat = path.stat()
        except OSError:
            return False
        stamp = (stat.st_mtime_ns, stat.st_size)
        if self._known_whole.get(path) != stamp:
            if not is_whole(path):
                return False
            self._known_whole[path] = stamp
        return True


@dataclass(slots=True)
class Recorded:
    """A session on the disk."""

    files: SessionFiles
    info: SessionInfo
    missing: list[str] = field(default_factory=list)  # what cannot be read, each in one sentence

    @property
    def name(self) -> str:
        """As its folder is called."""
        return self.files.name

    @property
    def live(self) -> bool:
        """Whether it is still being recorded."""
        return self.files.live()

    def look_again(self) -> None:
        """Read `session.toml` anew: of one that was being recorded, it may say now how it ended."""
        with suppress(OSError, ValueError):
            self.info = self.files.info()

    def scan(self, table: TableName) -> pl.LazyFrame:
        """A table with the columns of this version: one that an older version did not write is null."""
        sources = self.files.whole(table, self.missing)
        return scan_sources(sources, table)

    def between(self, table: TableName, t0_ns: int, t1_ns: int) -> pl.LazyFrame:
        """The rows of a table that became known from `t0_ns` until before `t1_ns`."""
        t_ns = pl.col(TIME_COLUMN[table])
        return self.scan(table).filter((t_ns >= t0_ns) & (t_ns < t1_ns))


def scan_sources(sources: list[str], table: TableName) -> pl.LazyFrame:
    """Files of one table, of this or an older schema, as one frame with this schema."""
    types = schema(table)
    if not sources:
        return pl.LazyFrame(schema=types)
    return pl.scan_parquet(
        sources,
        schema=types,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=pl.ScanCastOptions(integer_cast="upcast", float_cast="upcast"),
        glob=False,
    )


def open_session(path: str | Path) -> Recorded:
    """Open a folder.

    A folder whose recorder was killed is put right first. Raises UserError when there is no session, or one that a
    newer dragstrip wrote.
    """
    files = SessionFiles(Path(path))
    missing = files.heal()
    info: SessionInfo | None = None
    try:
        info = files.info()
    except FileNotFoundError:
        missing.append(f"{FILE} is not there")
    except (OSError, ValueError):
        missing.append(f"{FILE} is torn")
    recorded = Recorded(files, info or _info_from_tables(files, missing), missing)
    for table in TABLES:
        files.whole(table, missing)
    recorded.info.lanes |= _unknown_lanes(recorded)
    return recorded


def _unknown_lanes(recorded: Recorded) -> dict[str, LaneInfo]:
    """Lanes with rows of which nothing else was written: reached late in a session that was cut off."""
    try:
        seen = recorded.scan("seconds").filter(pl.col("up")).select(pl.col("lane").unique()).collect()["lane"]
    except pl.exceptions.PolarsError as error:
        recorded.missing.append(f"seconds cannot be read ({sanitize(error)})")
        return {}
    unknown = sorted(set(seen) - recorded.info.lanes.keys())
    recorded.missing += [f"{FILE} tells nothing of the server of lane {lane}" for lane in unknown]
    return {lane: LaneInfo(url="", engine="openai", title="unknown server") for lane in unknown}


def _info_from_tables(files: SessionFiles, missing: list[str]) -> SessionInfo:
    """What the tables' own files say of the session, when its `session.toml` cannot be read."""
    for table in ("events", *TABLES):
        for source in reversed(files.whole(table, missing)):
            found = info_from(pl.read_parquet_metadata(source), source)
            if found is not None:
                return found
    why = f" ({missing[-1]})" if missing else ""
    raise UserError(f"{files.directory} is no session: it has no readable {FILE} and no table that tells of one{why}")


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a session; what is None is not limited."""

    tables: tuple[TableName, ...] = TABLES
    t0_ns: int | None = None
    t1_ns: int | None = None  # rows that became known before it
    lane: Lane | None = None
    segment: int | None = None
    redact: bool = False  # leave out hosts and the paths of models

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are in it, if the session has them."""
        return LANES if self.lane is None else (self.lane,)

    @property
    def limits_time(self) -> bool:
        """Whether it leaves out a part of the session's time."""
        return any(limit is not None for limit in (self.t0_ns, self.t1_ns, self.segment))


def window(info: SessionInfo, from_s: float | None, to_s: float | None) -> tuple[int | None, int | None]:
    """Seconds of a session as moments of its clock, for `Selection.t0_ns` and `t1_ns`."""
    return tuple(None if s is None else info.t0_ns + round(s * NS_PER_S) for s in (from_s, to_s))  # type: ignore[return-value]


def select(recorded: Recorded, table: TableName, selection: Selection) -> pl.LazyFrame:
    """The rows of a table that are in a selection.

    A request and a second know their segment, a chunk has its request's. A gauge and an event belong to a segment by
    time: from its first second until its last one's end.
    """
    rows = recorded.scan(table)
    if selection.t0_ns is not None or selection.t1_ns is not None:
        rows = recorded.between(table, selection.t0_ns or 0, selection.t1_ns or 2**63 - 1)
    if selection.lane is not None:
        rows = rows.filter(pl.col("lane").is_in([selection.lane, ""]))
    return rows if selection.segment is None else _of_segment(recorded, rows, table, selection.segment)


def _of_segment(recorded: Recorded, rows: pl.LazyFrame, table: TableName, segment: int) -> pl.LazyFrame:
    if table in ("requests", "seconds"):
        return rows.filter(pl.col("segment") == segment)
    if table == "chunks":
        mine = recorded.scan("requests").filter(pl.col("segment") == segment).select("lane", "request")
        return rows.join(mine, on=["lane", "request"], how="semi", maintain_order="left")
    seconds = recorded.scan("seconds").filter(pl.col("segment") == segment)
    first, last = seconds.select(first=pl.col("t_ns").min(), last=pl.col("t_ns").max()).collect().row(0)
    if first is None:
        return rows.clear()
    return rows.filter((pl.col("t_ns") >= first) & (pl.col("t_ns") < last + NS_PER_S))
