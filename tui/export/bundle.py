"""A session, its report and its pictures in one file: `recording.bundle` says what it looks like and opens it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from tui.export.job import ExportedFile, Job, exported
from tui.model.metrics import NS_PER_S
from tui.model.rows import TABLES
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.bundle import SUFFIX, pack
from tui.recording.catalog import write_info
from tui.recording.growing import sink_table
from tui.recording.reader import open_session

STILL_RECORDED = "exported while it was recorded"
Extra = Callable[[Job], list[ExportedFile]]


def write_bundle(job: Job, extras: Mapping[str, Extra]) -> list[ExportedFile]:
    """`extras` write what lies beside the session, by the name of the file.

    Raises UserError for a part of a session: what is opened again is a whole one.
    """
    selection = job.selection
    if selection.limits_time or selection.lane or set(selection.tables) != set(TABLES):
        raise UserError("a bundle is the whole session: export a part of it in another format")
    path = job.path(job.session.name, SUFFIX, alone=True)
    with tempfile.TemporaryDirectory(prefix="dragstrip-") as place:
        folder = Path(place) / job.session.name
        rows = _write_session(job, folder)
        _write_extras(job, folder, extras)
        path.unlink(missing_ok=True)  # `Job.path` has asked whether it may be replaced
        pack(path, folder)
    return [exported(path, "session, report and pictures", rows)]


def _write_session(job: Job, folder: Path) -> int:
    """A session's folder with the rows of now, which may be more in a second; returns how many."""
    total, last_ns = 0, job.rows("seconds").select(pl.col("t_ns").max()).collect().item()
    info = _whole(job.info, last_ns)
    for table in TABLES:
        rows = job.rows(table)
        if count := rows.select(pl.len()).collect().item():
            (folder / table).mkdir(parents=True)
            sink_table(rows, folder / table / f"{table}.parquet", info)
            total += count
    folder.mkdir(exist_ok=True)
    write_info(folder, info)
    return total


def _whole(info: SessionInfo, last_ns: int | None) -> SessionInfo:
    """One that has ended: in a copy nothing more is recorded."""
    if info.ended:
        return info
    duration_s = 0.0 if last_ns is None else (last_ns - info.t0_ns) / NS_PER_S + 1
    return msgspec.structs.replace(info, ended=STILL_RECORDED, duration_s=duration_s)


def _write_extras(job: Job, folder: Path, extras: Mapping[str, Extra]) -> None:
    """What cannot be drawn here, a PNG without its library, is left out."""
    session = open_session(folder)
    with tempfile.TemporaryDirectory(prefix="dragstrip-") as place:
        for name, write in extras.items():
            with suppress(UserError):
                copy = replace(job, session=session, info=session.info, target=Path(place) / name, progress=None)
                for file in write(copy):
                    file.path.rename(folder / file.path.name)
