"""What the recorder is given is on the disk, and nothing else."""

import errno
import os
import threading
from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tests.recording.synthetic import record, wait_for
from tui.model.rows import TABLES, TableName
from tui.model.text import UserError
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.schema import schema


def rows(directory: Path, table: TableName) -> pl.DataFrame:
    """A table as anybody reads it, with Polars alone."""
    return pl.scan_parquet(f"{directory}/{table}/*.parquet").collect()


def test_parts_are_readable_while_recording(tmp_path: Path) -> None:
    recorder = record(tmp_path / "s", synthetic.batches(3))
    assert rows(tmp_path / "s", "requests").height == 3 * 2 * 10
    assert rows(tmp_path / "s", "chunks").height == 3 * 2 * 200
    assert recorder.written_bytes == sum(f.stat().st_size for f in (tmp_path / "s").rglob("*.parquet"))
    recorder.close("stopped", 3.0)


def test_closing_leaves_one_file_a_table_with_the_same_rows(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    recorder = record(directory, synthetic.batches(4))
    before = {name: rows(directory, name) for name in TABLES}
    recorder.close("stopped", 4.0)
    for name in TABLES:
        assert [path.name for path in (directory / name).iterdir()] == [f"{name}.parquet"]
        assert rows(directory, name).equals(before[name])
    assert sorted(path.name for path in directory.iterdir()) == sorted([*TABLES, "session.toml"])
    assert recorder.written_bytes == sum(f.stat().st_size for f in directory.rglob("*.parquet"))


def test_a_full_part_is_followed_by_another(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    recorder = record(directory, synthetic.batches(3, synthetic.Load(requests_per_s=5_000, tokens=1)))
    assert len(list((directory / "requests").glob("*.parquet"))) == 6  # 8,192 rows at most in each
    assert rows(directory, "requests").height == 30_000
    recorder.close("stopped", 3.0)
    assert rows(directory, "requests").height == 30_000


def test_the_session_says_how_it_ended(tmp_path: Path) -> None:
    recorder = record(tmp_path / "s", synthetic.batches(1))
    running = open_session(tmp_path / "s")
    assert (running.info.ended, running.live) == ("", True)
    recorder.close("stopped by the operator", 1.5)
    closed = open_session(tmp_path / "s")
    assert (closed.info.ended, closed.info.duration_s, closed.live) == ("stopped by the operator", 1.5, False)


def test_a_lane_that_is_reached_late_is_written_while_recording(tmp_path: Path) -> None:
    about = synthetic.info()
    late = about.lanes.pop("b")
    recorder = record(tmp_path / "s", synthetic.batches(1), about=about)
    assert list(open_session(tmp_path / "s").info.lanes) == ["a", "b"]  # b: unknown
    about.lanes = {**about.lanes, "b": late}
    wait_for(lambda: open_session(tmp_path / "s").info.lanes["b"] == late)
    recorder.close("stopped", 1.0)
    assert open_session(tmp_path / "s").info.lanes["b"] == late


@pytest.mark.parametrize("table", TABLES)
def test_the_columns_are_those_of_the_rows(tmp_path: Path, table: TableName) -> None:
    record(tmp_path / "s", synthetic.batches(8)).close("stopped", 8.0)
    frame = rows(tmp_path / "s", table)
    assert frame.columns == schema(table).names()
    assert frame.schema == schema(table)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot record into .*file/s \(Not a directory\): name another folder"):
        Recorder(tmp_path / "file" / "s", synthetic.info())


def test_a_session_is_never_recorded_over(tmp_path: Path) -> None:
    record(tmp_path / "s", synthetic.batches(1)).close("stopped", 1.0)
    with pytest.raises(UserError, match="holds a session already"):
        Recorder(tmp_path / "s", synthetic.info())


class Disk:
    """Wraps os.write and refuses while it is switched to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, file: int, data: memoryview) -> int:
        if self.error is not None and threading.current_thread().name == "recorder":
            raise OSError(self.error, os.strerror(self.error))
        return self._write(file, data)


@pytest.mark.parametrize(
    ("error", "says"), [(errno.ENOSPC, "disk full ("), (errno.EROFS, "Read-only"), (errno.EIO, "Input/output")]
)
def test_a_disk_that_refuses_pauses_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, says: str
) -> None:
    directory, disk = tmp_path / "s", Disk(monkeypatch)
    recorder = record(directory, synthetic.batches(2))
    disk.error = error
    for batch in synthetic.batches(2, first=2):
        recorder(batch)
    wait_for(lambda: says in recorder.note)
    assert str(directory) in recorder.note
    assert ": paused until " in recorder.note[:60]
    assert recorder.durable_t_ns == synthetic.T0_NS + 2 * synthetic.SECOND_NS
    assert rows(directory, "requests").height == 40
    disk.error = None
    wait_for(lambda: recorder.durable_t_ns == synthetic.T0_NS + 4 * synthetic.SECOND_NS)
    assert recorder.note == ""
    recorder.close("stopped", 4.0)
    record(tmp_path / "calm", synthetic.batches(4)).close("stopped", 4.0)
    for name in TABLES:
        assert rows(directory, name).sort(pl.all()).equals(rows(tmp_path / "calm", name).sort(pl.all()))


def test_a_folder_that_cannot_be_synced_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are in the file by then: they are only not safe from a power cut yet."""
    directory = tmp_path / "s"
    recorder = record(directory, synthetic.batches(1))

    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("tui.recording.growing.sync_folder", broken)
        recorder(next(synthetic.batches(1, first=1)))
        wait_for(lambda: "Input/output" in recorder.note)
        assert recorder.durable_t_ns == synthetic.T0_NS + synthetic.SECOND_NS
    wait_for(lambda: recorder.durable_t_ns == synthetic.T0_NS + 2 * synthetic.SECOND_NS)
    recorder.close("stopped", 2.0)
    assert rows(directory, "requests").height == 40


def test_a_full_backlog_drops_chunks_first_and_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, disk = tmp_path / "s", Disk(monkeypatch)
    recorder = record(directory, synthetic.batches(1), backlog_bytes=60_000)
    disk.error = errno.ENOSPC
    for batch in synthetic.batches(4, first=1):
        recorder(batch)
    wait_for(lambda: recorder._lost.total() > 0)
    disk.error = None
    recorder.close("stopped", 5.0)
    assert rows(directory, "requests").height == 5 * 20
    kept = rows(directory, "chunks").height
    assert 400 <= kept < 5 * 400
    (fault,) = rows(directory, "events").filter(pl.col("kind") == "fault").iter_rows(named=True)
    assert (fault["name"], int(fault["new"])) == ("recorder", 5 * 400 - kept)


def test_a_folder_that_goes_in_mid_run_is_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    recorder = record(directory, synthetic.batches(1))
    (directory / "gauges").rename(tmp_path / "away")
    recorder(next(synthetic.batches(1, first=1)))
    wait_for(lambda: recorder.durable_t_ns == synthetic.T0_NS + 2 * synthetic.SECOND_NS)
    assert rows(directory, "gauges").height == 2  # the first two are where they were taken
    recorder.close("stopped", 2.0)


def test_an_internal_error_costs_what_waited_is_named_and_the_session_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "s"
    recorder = record(directory, synthetic.batches(1))

    class PanicError(BaseException):
        """As polars panics: no Exception."""

    def broken(packed: object) -> pl.DataFrame:
        raise PanicError

    with monkeypatch.context() as patched:
        patched.setattr("tui.recording.growing.frame_of_chunks", broken)
        recorder(next(synthetic.batches(1, first=1)))
        wait_for(lambda: "lost by an error of the recorder" in recorder.note)
    recorder(next(synthetic.batches(1, first=2)))
    wait_for(lambda: recorder.durable_t_ns == synthetic.T0_NS + 3 * synthetic.SECOND_NS)
    assert recorder.note == ""
    recorder.close("stopped", 3.0)
    assert rows(directory, "requests").height == 60  # of the second that broke, what came before the chunks
    assert rows(directory, "chunks").height == 800
    faults = rows(directory, "events").filter(kind="fault", name="recorder")
    assert sorted(faults["text"]) == ["2 gauges not recorded", "2 seconds not recorded", "400 chunks not recorded"]
    assert open_session(directory).info.ended == "stopped"


def test_what_a_full_disk_kept_out_at_the_end_is_named_in_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, disk = tmp_path / "s", Disk(monkeypatch)
    recorder = record(directory, synthetic.batches(1))
    disk.error = errno.ENOSPC
    recorder(next(synthetic.batches(1, first=1)))
    recorder.close("stopped", 2.0)
    ended = open_session(directory).info.ended
    assert ended == "stopped; the last 424 rows are not recorded"
    assert rows(directory, "chunks").height == 400
