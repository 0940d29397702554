"""A table in parts becomes one file, and no interruption loses or doubles a row."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tui.model.rows import TABLES, GaugeRow
from tui.recording import durable as folders
from tui.recording import growing
from tui.recording.growing import GrowingTable, compact
from tui.recording.reader import open_session


class _CutOff(BaseException):
    """As if the program were killed."""


class Fuse:
    """Lets so many changes of folders through, then cuts the program off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None  # None: all of them
        for owner, name in ((Path, "mkdir"), (Path, "hardlink_to"), (Path, "rename"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self._before(getattr(owner, name)))
        for name in ("_exchange", "sync_folder"):
            monkeypatch.setattr(folders, name, self._before(getattr(folders, name)))

    def _before(self, change: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            if self.left == 0:
                raise _CutOff
            if self.left is not None:
                self.left -= 1
            return change(*args, **kwargs)

        return counted


@pytest.mark.parametrize("exchange", [True, False])
def test_compaction_cut_off_at_any_step_loses_and_doubles_nothing(
    killed_session: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """Also where two folders cannot be exchanged in one step."""
    before = open_session(killed_session).scan("requests").collect()
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    fuse = Fuse(monkeypatch)
    steps = 0
    while len(list((killed_session / "requests").iterdir())) > 1:
        fuse.left = steps
        with pytest.raises(_CutOff):
            compact(killed_session / "requests", "requests", synthetic.info())
        fuse.left = None
        assert open_session(killed_session).scan("requests").collect().equals(before), steps
        assert sorted(path.name for path in killed_session.iterdir()) == sorted([*TABLES, "session.toml"])
        steps += 1
    assert steps >= 4


MERGED = 6  # fewer than a recorder merges at once, so that there are merges of merges soon


@pytest.fixture(autouse=True)
def _merges_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "MERGED", MERGED)


def gauge_table(folder: Path) -> GrowingTable:
    return GrowingTable(folder / "gauges", "gauges", synthetic.info(), [])


def grow(table: GrowingTable, flushes: int, first: int = 0) -> None:
    """A row a flush."""
    for at in range(first, first + flushes):
        table.append([GaugeRow("a", "server", "running", at, float(at))])
        table.sync()
        table.merge()


def recorded(folder: Path) -> list[int]:
    """As anybody reads it, with Polars alone."""
    return pl.read_parquet(f"{folder}/gauges/*.parquet")["t_ns"].to_list()


def test_many_flushes_are_written_a_few_times_and_leave_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merges add less than half to the bytes of the flushes, however many there are."""
    written: list[tuple[str, int]] = []

    def replace(path: Path, data: bytes) -> None:
        written.append((path.name, len(data)))
        path.write_bytes(data)

    monkeypatch.setattr(growing, "replace_file", replace)
    monkeypatch.setattr(growing, "sync_folder", lambda folder: None)
    flushes = 2 * MERGED**3 + MERGED + 3
    grow(gauge_table(tmp_path), flushes)
    assert len(list((tmp_path / "gauges").iterdir())) == 2 + 1 + 3
    assert recorded(tmp_path) == list(range(flushes))
    assert len({name for name, _ in written}) == len(written)  # no part changes
    merged = sum(size for name, size in written if name.count("-") == 2)
    assert merged < 0.5 * sum(size for _, size in written)


def test_a_merge_cut_off_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even before anybody repairs it."""
    fuse = Fuse(monkeypatch)
    for steps in range(40):
        folder = tmp_path / str(steps)
        table = gauge_table(folder)
        grow(table, MERGED**2 - 1)
        table.append([GaugeRow("a", "server", "running", MERGED**2 - 1, 0.0)])
        fuse.left = steps
        try:
            table.merge()
        except _CutOff:
            assert recorded(folder) == list(range(MERGED**2))
        else:
            break
        finally:
            fuse.left = None
    assert steps > 4
    assert [path.name for path in folder.rglob("*.parquet")] == [f"part-000000-{MERGED**2 - 1:06d}.parquet"]
    assert recorded(folder) == list(range(MERGED**2))


def test_where_folders_cannot_be_exchanged_the_newest_part_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    table = gauge_table(tmp_path)
    table.full_rows = 50
    grow(table, 200)
    assert recorded(tmp_path) == list(range(200))
    assert len(list((tmp_path / "gauges").iterdir())) == MERGED + 4  # before it is known; then 50 rows each
    assert [path.name for path in tmp_path.iterdir()] == ["gauges"]


def test_a_merge_that_fails_leaves_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = gauge_table(tmp_path)
    grow(table, MERGED - 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "hardlink_to", full)
        patched.setattr(growing, "prepare_replacement", full)
        grow(table, 1, MERGED - 1)
    grow(table, MERGED + 1, MERGED)
    assert recorded(tmp_path) == list(range(2 * MERGED + 1))
    assert len(list((tmp_path / "gauges").iterdir())) == MERGED + 2
    assert table.written_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
