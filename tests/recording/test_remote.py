"""A session on a web server or on object storage opens like one in a folder."""

from pathlib import Path

import polars as pl
import pytest

from tests.recording.conftest import Make
from tests.recording.range_server import serving
from tui.recording.batches import batches
from tui.recording.export.registry import export
from tui.recording.reader import open_session
from tui.records.errors import UserError
from tui.records.tables import TABLES


def test_over_http(make: Make, tmp_path: Path) -> None:
    local = make(seconds=6)
    with serving(tmp_path / "sessions") as url:
        remote = open_session(f"{url}/made-up/")
        assert (remote.name, remote.info, remote.missing, remote.live) == ("made-up", local.info, [], False)
        assert list(batches(remote)) == list(batches(local))
        files = export(remote, "csv", tmp_path / "out")
    assert [file.rows for file in files] == [local.scan(table).select(pl.len()).collect().item() for table in TABLES]


def test_from_object_storage(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = make(seconds=3)
    with serving(tmp_path) as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_REGION": "local",
        }.items():
            monkeypatch.setenv(name, value)
        remote = open_session("s3://sessions/made-up")
        assert remote.info == local.info
        assert list(batches(remote)) == list(batches(local))


def test_what_cannot_be_read_is_named(make: Make, tmp_path: Path) -> None:
    make(seconds=2)
    with serving(tmp_path / "sessions", "chunks") as url:
        (missing,) = open_session(f"{url}/made-up").missing
    assert missing.startswith("chunks could not be read (")


def test_where_there_is_no_session_is_one_sentence(tmp_path: Path) -> None:
    with serving(tmp_path) as url, pytest.raises(UserError, match=r"made-up is no session"):
        open_session(f"{url}/made-up")
