"""A session on a web server or on object storage opens like one in a folder."""

from pathlib import Path

import polars as pl
import pytest

from tests.recording.conftest import Make
from tests.recording.range_server import serving
from tui.cli.main import main
from tui.recording.export.registry import export
from tui.recording.reading.batches import batches
from tui.recording.reading.reader import open_session
from tui.recording.reading.selection import Selection
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


def test_a_signed_url_opens_and_its_signature_is_told_to_nobody(make: Make, tmp_path: Path) -> None:
    local = make(seconds=2)
    with serving(tmp_path / "sessions", "chunks") as url:
        signed = url.replace("http://", "http://me:password-5@") + "/made-up/?X-Signature=secret-77-of-mine"
        remote = open_session(signed)
        files = export(remote, "csv", tmp_path / "out", Selection(tables=("requests",)))
    assert (remote.name, remote.files.where) == ("made-up", f"{url}/made-up")
    assert files[0].rows == local.scan("requests").collect().height
    (missing,) = remote.missing
    assert not [secret for secret in ("secret-77", "password-5") if secret in missing]


def test_a_report_of_a_remote_session_is_that_of_the_local_one(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(seconds=6)
    with serving(tmp_path / "sessions") as url:
        for where in (f"{url}/made-up", str(tmp_path / "sessions" / "made-up")):
            assert main(["report", where]) == 0
            assert main(["export", where, "--to", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert told[: len(told) // 2] == told[len(told) // 2 :]


def test_where_there_is_no_session_is_one_sentence(tmp_path: Path) -> None:
    with serving(tmp_path) as url, pytest.raises(UserError, match=r"made-up is no session"):
        open_session(f"{url}/made-up")
