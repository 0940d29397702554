"""A session opens whatever happened to it, and says what is missing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tests.recording.conftest import Make
from tests.recording.test_recorder import record
from tui.model.rows import TABLES
from tui.model.text import UserError
from tui.recording import durable as folders
from tui.recording.catalog import list_sessions, resolve, sessions_root
from tui.recording.growing import compact
from tui.recording.reader import open_session
from tui.recording.schema import schema


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A session whose program was killed: parts, no end. Its requests are in two parts."""
    directory = tmp_path / "killed"
    load = synthetic.Load(requests_per_s=2_100, tokens=1)
    record(tmp_path / "was", synthetic.batches(3, load))  # never closed: its lock is let go with the copy
    shutil.copytree(tmp_path / "was", directory, ignore=shutil.ignore_patterns("*.lock"))
    return directory


def test_opening_what_is_whole_touches_nothing(parts: Path) -> None:
    before_ns = parts.stat().st_mtime_ns
    open_session(parts)
    assert parts.stat().st_mtime_ns == before_ns


def test_torn_parts_are_left_out_and_named(parts: Path) -> None:
    torn = parts / "requests" / "part-000001.parquet"
    whole = torn.read_bytes()
    for length in (0, 3, 11, len(whole) // 2, len(whole) - 1):
        torn.write_bytes(whole[:length])
        recorded = open_session(parts)
        assert recorded.missing == ["requests/part-000001.parquet is torn and left out"]
        assert recorded.scan("requests").collect().height == 8_400
        assert recorded.scan("seconds").collect().height == 6


def test_a_part_of_zeros_is_torn(parts: Path) -> None:
    """What a power cut leaves on some file systems: the length is there and the content is not."""
    torn = parts / "gauges" / "part-000000.parquet"
    torn.write_bytes(bytes(torn.stat().st_size))
    recorded = open_session(parts)
    assert recorded.missing == ["gauges/part-000000.parquet is torn and left out"]
    assert recorded.scan("gauges").collect().schema == schema("gauges")


def test_any_file_may_be_cut_anywhere(parts: Path, tmp_path: Path) -> None:
    files = [path for path in parts.rglob("*") if path.is_file()]
    assert len(files) == 1 + 6
    for path in files:
        for share in (0.0, 0.3, 0.9):
            copy = tmp_path / "copy"
            shutil.copytree(parts, copy)
            cut = copy / path.relative_to(parts)
            cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
            recorded = open_session(copy)
            assert len(recorded.missing) == 1
            assert cut.name in recorded.missing[0]
            for table in TABLES:
                recorded.scan(table).collect()
            shutil.rmtree(copy)


@pytest.mark.parametrize("damage", ["gone", "torn"])
def test_without_its_toml_a_session_is_known_from_its_tables(parts: Path, damage: str) -> None:
    file = parts / "session.toml"
    file.write_text(file.read_text()[:40]) if damage == "torn" else file.unlink()
    recorded = open_session(parts)
    assert recorded.info == synthetic.info()
    assert recorded.missing == [f"session.toml is {'torn' if damage == 'torn' else 'not there'}"]


def test_a_lane_of_which_only_rows_are_left_is_named(tmp_path: Path) -> None:
    lanes = {"a": synthetic.info().lanes["a"]}
    record(tmp_path / "s", synthetic.batches(2), about=synthetic.info(lanes=lanes)).close("", 2.0)
    recorded = open_session(tmp_path / "s")
    assert recorded.missing == ["session.toml does not describe the server of lane b"]
    assert recorded.info.lanes["b"].title == "unknown server"


def test_an_older_schema_opens_with_nulls(parts: Path) -> None:
    for path in (parts / "requests").iterdir():
        frame = pl.read_parquet(path).drop("cached_tokens", "stamp").with_columns(pl.col("segment").cast(pl.Int16))
        frame.with_columns(was=pl.lit(1)).write_parquet(path)
    found = open_session(parts).scan("requests").collect()
    assert found.schema == schema("requests")
    assert found["cached_tokens"].null_count() == found.height


def test_a_newer_schema_says_so(parts: Path) -> None:
    file = parts / "session.toml"
    file.write_text(file.read_text().replace("schema = 1", "schema = 2"))
    with pytest.raises(
        UserError, match=r"recorded by a newer dragstrip \(schema 2, this one reads up to 1\): update"
    ):
        open_session(parts)
    file.unlink()


class _CutOff(BaseException):
    """As if the program were killed."""


class Fuse:
    """Lets so many changes of folders through, then cuts the program off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None  # None: all of them
        for owner, name in ((Path, "mkdir"), (Path, "rename"), (shutil, "rmtree")):
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
    parts: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """Also where two folders cannot be exchanged in one step."""
    before = open_session(parts).scan("requests").collect()
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    fuse = Fuse(monkeypatch)
    steps = 0
    while len(list((parts / "requests").iterdir())) > 1:
        fuse.left = steps
        with pytest.raises(_CutOff):
            compact(parts / "requests", "requests", synthetic.info())
        fuse.left = None
        assert open_session(parts).scan("requests").collect().equals(before), steps
        assert sorted(path.name for path in parts.iterdir()) == sorted([*TABLES, "session.toml"])
        steps += 1
    assert steps >= 4


def test_sessions_are_listed_newest_first(make: Make, tmp_path: Path) -> None:
    make("older", seconds=2)
    make("newer", seconds=3, wall_ns=synthetic.WALL_NS + 10**9)
    (tmp_path / "sessions" / "no session").mkdir()
    newer, older = list_sessions(tmp_path / "sessions")
    assert (newer.name, older.name) == ("newer", "older")
    assert (newer.length_s, newer.state, newer.simulated) == (3.0, "done", False)
    assert newer.lanes == {"a": "vLLM 0.33.0 tiny", "b": "SGLang 0.5.23 tiny"}
    assert newer.size_bytes == sum(path.stat().st_size for path in newer.path.rglob("*") if path.is_file())


def test_a_killed_session_and_a_running_one_are_listed_as_such(parts: Path, tmp_path: Path) -> None:
    states = {entry.name: entry.state for entry in list_sessions(tmp_path)}
    assert states == {"killed": "cut off", "was": "recording"}


def test_how_long_a_killed_session_was_does_not_depend_on_when_it_was_copied(parts: Path, tmp_path: Path) -> None:
    seconds = open_session(parts).scan("seconds").collect()["t_ns"]
    for path in parts.rglob("*"):
        os.utime(path, (2**31, 2**31))
    (killed,) = (entry for entry in list_sessions(tmp_path) if entry.name == "killed")
    assert killed.length_s == seconds.n_unique()
    shutil.rmtree(parts / "seconds")
    (killed,) = (entry for entry in list_sessions(tmp_path) if entry.name == "killed")
    assert killed.length_s == 0


def test_a_session_is_found_by_path_name_and_beginning(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    for name in ("2026-01-01_a", "2026-01-01_b", "2026-02-01"):
        make(name, seconds=1)
    assert resolve(str(root / "2026-02-01"), root) == root / "2026-02-01"
    assert resolve("2026-01-01_b", root) == root / "2026-01-01_b"
    assert resolve("2026-02", root) == root / "2026-02-01"
    with pytest.raises(UserError, match=r"'2026-01' is the beginning of 2 sessions \(2026-01-01_a, 2026-01-01_b\)"):
        resolve("2026-01", root)
    for name in ("nothing", "", "2026-02-01/requests"):
        if name:
            with pytest.raises(UserError, match="there is no session"):
                resolve(name, root)


def test_the_home_of_sessions_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_HOME", str(tmp_path))
    assert sessions_root() == tmp_path / "sessions"
    monkeypatch.delenv("DRAGSTRIP_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert sessions_root() == tmp_path / "data" / "dragstrip" / "sessions"


def test_what_is_no_session_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no session's folder"):
        open_session(tmp_path)
    (tmp_path / "session.toml").write_text("name = ")
    with pytest.raises(UserError, match=r"it has no readable session\.toml and no table"):
        open_session(tmp_path)
