"""A recorded session and a part of it. Opens whatever state the recorder left it in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tui.model.metrics import NS_PER_S
from tui.model.rows import LANES, TABLES, Lane, TableName
from tui.model.session import LaneInfo, SessionInfo
from tui.model.text import UserError, sanitize
from tui.recording.catalog import SESSION_FILE, info_from_metadata, is_session, read_info
from tui.recording.durable import (
    LOCK_FILE,
    PARTIAL_SUFFIX,
    Lock,
    current_folder,
    is_held,
    is_whole,
    repair,
    was_interrupted,
)
from tui.recording.schema import TIME_COLUMN, schema


@dataclass(slots=True)
class RecordedSession:
    """A session on the disk, complete or still growing."""

    directory: Path
    info: SessionInfo
    missing: list[str] = field(default_factory=list)  # what cannot be read, a sentence each

    @property
    def name(self) -> str:
        """The name of its folder, which may have been renamed."""
        return self.directory.resolve().name

    @property
    def live(self) -> bool:
        """Whether it is still being recorded."""
        return is_held(self.directory)

    @property
    def has_chunks(self) -> bool:
        """Whether it holds when tokens arrived, without which there is no ITL."""
        return bool(self.scan("chunks").select(pl.len()).collect().item())

    def reload_info(self) -> None:
        """Read `session.toml` again: once the recording is over, it says how it ended."""
        with suppress(OSError, ValueError):
            self.info = read_info(self.directory)

    def files(self, table: TableName) -> list[str]:
        """The readable files of a table, oldest first. Others are added to `missing`."""
        return _readable_files(self.directory, table, self.missing)

    def scan(self, table: TableName) -> pl.LazyFrame:
        """A table with the columns of this version; those that an older version did not write are null."""
        return scan_files(self.files(table), table)


def scan_files(files: list[str], table: TableName) -> pl.LazyFrame:
    """Files of one table, written with this or an older schema, as one frame with this schema."""
    types = schema(table)
    if not files:
        return pl.LazyFrame(schema=types)
    return pl.scan_parquet(
        files,
        schema=types,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=pl.ScanCastOptions(integer_cast="upcast", float_cast="upcast"),
        glob=False,
    )


def open_session(path: str | Path) -> RecordedSession:
    """Open a session's folder, after repairing what a killed recorder left half done.

    Raises UserError when this is no session, or one that a newer dragstrip recorded.
    """
    directory = Path(path)
    if not is_session(directory):
        raise UserError(f"{directory} is not a session's folder: `dragstrip sessions` lists what there is")
    missing = _repair_session(directory)
    session = RecordedSession(directory, _read_info(directory, missing), missing)
    for table in TABLES:
        session.files(table)
    session.info.lanes |= _unknown_lanes(session)
    return session


def _repair_session(directory: Path) -> list[str]:
    """Finish what a killed recorder left half done; returns what could not be repaired, a sentence each.

    A session that is being recorded is left alone, and so is one that may not be written: it is read as it is.
    """
    leftovers = [directory / LOCK_FILE, *directory.rglob(f"*{PARTIAL_SUFFIX}")]
    if not (any(path.exists() for path in leftovers) or any(was_interrupted(directory / table) for table in TABLES)):
        return []
    try:
        lock = Lock(directory)
    except OSError:
        return []
    try:
        for table in TABLES:
            repair(directory / table)
        for partial in directory.rglob(f"*{PARTIAL_SUFFIX}"):
            partial.unlink()
    except OSError as error:
        return [f"{directory} could not be repaired ({error.strerror})"]
    finally:
        lock.release()
    return []


def _readable_files(directory: Path, table: TableName, missing: list[str]) -> list[str]:
    files = []
    for path in sorted(current_folder(directory / table).glob("*.parquet")):
        if is_whole(path):
            files.append(str(path))
        elif path.exists() and (line := f"{table}/{path.name} is torn and left out") not in missing:
            missing.append(line)
    return files


def _read_info(directory: Path, missing: list[str]) -> SessionInfo:
    """From `session.toml`, else from the metadata of a table's file."""
    try:
        return read_info(directory)
    except FileNotFoundError:
        missing.append(f"{SESSION_FILE} is not there")
    except (OSError, ValueError):
        missing.append(f"{SESSION_FILE} is torn")
    for table in ("events", *TABLES):
        for file in reversed(_readable_files(directory, table, missing)):
            info = info_from_metadata(pl.read_parquet_metadata(file), file)
            if info is not None:
                return info
    raise UserError(
        f"{directory} is not a session: it has no readable {SESSION_FILE} and no table describes one ({missing[-1]})"
    )


def _unknown_lanes(session: RecordedSession) -> dict[str, LaneInfo]:
    """Lanes that have rows but no metadata: reached late in a session that was cut off."""
    try:
        seconds = session.scan("seconds").filter(pl.col("up"))
        lanes = seconds.select(pl.col("lane").unique()).collect()["lane"]
    except pl.exceptions.PolarsError as error:
        session.missing.append(f"seconds cannot be read ({sanitize(error)})")
        return {}
    unknown = sorted(set(lanes) - session.info.lanes.keys())
    session.missing += [f"{SESSION_FILE} does not describe the server of lane {lane}" for lane in unknown]
    return {lane: LaneInfo(url="", engine="openai", title="unknown server") for lane in unknown}


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a session. None means no limit."""

    tables: tuple[TableName, ...] = TABLES
    t0_ns: int | None = None
    t1_ns: int | None = None  # exclusive
    lane: Lane | None = None
    segment: int | None = None
    redact: bool = False  # leave out hosts and the paths of models
    overwrite: bool = False  # replace files that exist, where the part is written to a file

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes it allows; the session need not have them."""
        return LANES if self.lane is None else (self.lane,)

    @property
    def limits_time(self) -> bool:
        """Whether it leaves out a part of the session's time."""
        return any(limit is not None for limit in (self.t0_ns, self.t1_ns, self.segment))


def window_ns(info: SessionInfo, from_s: float | None, to_s: float | None) -> tuple[int | None, int | None]:
    """Seconds since the start as moments of the session's clock, for `Selection.t0_ns` and `t1_ns`."""
    return tuple(None if s is None else info.t0_ns + round(s * NS_PER_S) for s in (from_s, to_s))  # type: ignore[return-value]


def between(rows: pl.LazyFrame, table: TableName, t0_ns: int, t1_ns: int) -> pl.LazyFrame:
    """The rows of a table that became known from `t0_ns` until before `t1_ns`."""
    t_ns = pl.col(TIME_COLUMN[table])
    return rows.filter((t_ns >= t0_ns) & (t_ns < t1_ns))


def select_rows(session: RecordedSession, table: TableName, selection: Selection) -> pl.LazyFrame:
    """The rows of a table that are in a selection.

    Requests and seconds record their segment, a chunk belongs to its request's. Gauges and events belong to a segment
    by time: from the start of its first second to the end of its last one.
    """
    rows = session.scan(table)
    if selection.t0_ns is not None or selection.t1_ns is not None:
        rows = between(rows, table, selection.t0_ns or 0, selection.t1_ns or 2**63 - 1)
    if selection.lane is not None:
        rows = rows.filter(pl.col("lane").is_in([selection.lane, ""]))
    return rows if selection.segment is None else _in_segment(session, rows, table, selection.segment)


def _in_segment(session: RecordedSession, rows: pl.LazyFrame, table: TableName, segment: int) -> pl.LazyFrame:
    if table in ("requests", "seconds"):
        return rows.filter(pl.col("segment") == segment)
    if table == "chunks":
        requests = session.scan("requests").filter(pl.col("segment") == segment).select("lane", "request")
        return rows.join(requests, on=["lane", "request"], how="semi", maintain_order="left")
    seconds = session.scan("seconds").filter(pl.col("segment") == segment)
    first, last = seconds.select(first=pl.col("t_ns").min(), last=pl.col("t_ns").max()).collect().row(0)
    return rows.clear() if first is None else between(rows, table, first, last + NS_PER_S)
