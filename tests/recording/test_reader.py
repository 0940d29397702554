"""A session opens whatever happened to it, and says what is missing."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tests.recording.synthetic import record
from tui.model.rows import TABLES
from tui.model.text import UserError
from tui.recording.reader import open_session
from tui.recording.schema import schema


def test_opening_what_is_whole_touches_nothing(killed_session: Path) -> None:
    before_ns = killed_session.stat().st_mtime_ns
    open_session(killed_session)
    assert killed_session.stat().st_mtime_ns == before_ns


def test_torn_parts_are_left_out_and_named(killed_session: Path) -> None:
    torn = killed_session / "requests" / "part-000002.parquet"
    whole = torn.read_bytes()
    for length in (0, 3, 11, len(whole) // 2, len(whole) - 1):
        torn.write_bytes(whole[:length])
        recorded = open_session(killed_session)
        assert recorded.missing == ["requests/part-000002.parquet is torn and left out"]
        assert recorded.scan("requests").collect().height == 8_400
        assert recorded.scan("seconds").collect().height == 6


def test_a_part_of_zeros_is_torn(killed_session: Path) -> None:
    """What a power cut leaves on some file systems: the length is there and the content is not."""
    torn = killed_session / "gauges" / "part-000000.parquet"
    torn.write_bytes(bytes(torn.stat().st_size))
    recorded = open_session(killed_session)
    assert recorded.missing == ["gauges/part-000000.parquet is torn and left out"]
    assert recorded.scan("gauges").collect().schema == schema("gauges")


def test_any_file_may_be_cut_anywhere(killed_session: Path, tmp_path: Path) -> None:
    files = [path for path in killed_session.rglob("*") if path.is_file()]
    assert len(files) == 1 + 12
    for path in files:
        for share in (0.0, 0.3, 0.9):
            copy = tmp_path / "copy"
            shutil.copytree(killed_session, copy)
            cut = copy / path.relative_to(killed_session)
            cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
            recorded = open_session(copy)
            assert len(recorded.missing) == 1
            assert cut.name in recorded.missing[0]
            for table in TABLES:
                recorded.scan(table).collect()
            shutil.rmtree(copy)


@pytest.mark.parametrize("damage", ["gone", "torn"])
def test_without_its_toml_a_session_is_known_from_its_tables(killed_session: Path, damage: str) -> None:
    file = killed_session / "session.toml"
    file.write_text(file.read_text()[:40]) if damage == "torn" else file.unlink()
    recorded = open_session(killed_session)
    assert recorded.info == synthetic.info()
    assert recorded.missing == [f"session.toml is {'torn' if damage == 'torn' else 'not there'}"]


def test_a_lane_of_which_only_rows_are_left_is_named(tmp_path: Path) -> None:
    lanes = {"a": synthetic.info().lanes["a"]}
    record(tmp_path / "s", synthetic.batches(2), about=synthetic.info(lanes=lanes)).close("", 2.0)
    recorded = open_session(tmp_path / "s")
    assert recorded.missing == ["session.toml does not describe the server of lane b"]
    assert recorded.info.lanes["b"].title == "unknown server"


def test_an_older_schema_opens_with_nulls(killed_session: Path) -> None:
    for path in (killed_session / "requests").iterdir():
        frame = pl.read_parquet(path).drop("cached_tokens", "stamp").with_columns(pl.col("segment").cast(pl.Int16))
        frame.with_columns(was=pl.lit(1)).write_parquet(path)
    requests = open_session(killed_session).scan("requests").collect()
    assert requests.schema == schema("requests")
    assert requests["cached_tokens"].null_count() == requests.height


def test_a_newer_schema_says_so(killed_session: Path) -> None:
    file = killed_session / "session.toml"
    file.write_text(file.read_text().replace("schema = 1", "schema = 2"))
    with pytest.raises(
        UserError, match=r"recorded by a newer dragstrip \(schema 2, this one reads up to 1\): update"
    ):
        open_session(killed_session)
    file.unlink()


def test_what_is_no_session_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a session's folder"):
        open_session(tmp_path)
    (tmp_path / "session.toml").write_text("name = ")
    with pytest.raises(UserError, match=r"it has no readable session\.toml and no table"):
        open_session(tmp_path)
