"""Opens a session, whatever state its recorder left it in."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tui.recording.files import SessionFiles
from tui.recording.info import FILE
from tui.recording.metadata import info_from
from tui.recording.schema import TIME_COLUMN, schema
from tui.records.errors import UserError
from tui.records.session import LaneInfo, SessionInfo
from tui.records.tables import TABLES, TableName
from tui.records.text import clean


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
        recorded.missing.append(f"seconds cannot be read ({clean(error)})")
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
