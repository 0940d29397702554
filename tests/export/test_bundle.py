"""A bundle is the session again, wherever it came from; what no session holds is never unpacked."""

import stat
import zipfile
from functools import partial
from pathlib import Path

import pytest

from tests.recording import synthetic
from tui.cli.main import main
from tui.export import bundle as bundles
from tui.export.formats import FORMATS, export
from tui.model.text import UserError
from tui.recording.bundle import open_bundle
from tui.recording.reader import Selection, open_session
from tui.recording.tape import tables_of


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Next to the folder of the session that is in it."""
    place = tmp_path_factory.mktemp("bundle")
    synthetic.record(place / "made-up", synthetic.batches(20)).close("done", 20.0)
    (file,) = export(open_session(place / "made-up"), "bundle", place / "mine.dragstrip")
    assert file.path == place / "mine.dragstrip"
    return file.path


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what takes time."""
    monkeypatch.setitem(FORMATS, "bundle", partial(bundles.write_bundle, extras={}))


def test_it_is_the_session_again(bundle: Path) -> None:
    before, again = open_session(bundle.parent / "made-up"), open_session(open_bundle(bundle))
    assert again.name == "made-up"
    assert again.info == before.info
    one, other = tables_of(before), tables_of(again)
    assert one.requests.equals(other.requests)
    assert one.seconds.equals(other.seconds)
    assert one.events == other.events
    assert again.has_chunks
    assert again.missing == []


def test_the_commands_take_its_path_and_report_the_same(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(bundle.parent / "made-up")]) == 0
    before = capsys.readouterr().out
    assert main(["report", str(bundle)]) == 0
    assert capsys.readouterr().out == before
    with zipfile.ZipFile(bundle) as packed:
        names = packed.namelist()
        assert packed.read("made-up/report.md").decode().strip() == before.strip()
    assert {"made-up/report.html", "made-up/charts.svg", "made-up/session.toml"} <= set(names)


def test_a_part_is_no_bundle(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a bundle is the whole session"):
        export(open_session(bundle.parent / "made-up"), "bundle", tmp_path / "part", Selection(lane="a"))


@pytest.mark.usefixtures("without_pictures")
def test_one_that_still_grows_is_whole_in_the_copy(tmp_path: Path) -> None:
    recorder = synthetic.record(tmp_path / "growing", synthetic.batches(12))
    try:
        (file,) = export(open_session(tmp_path / "growing"), "bundle", tmp_path / "copy.dragstrip")
    finally:
        recorder.close("done", 12.0)
    info = open_session(open_bundle(file.path)).info
    assert info.ended == "exported while it was recorded"


def packed(path: Path, *names: str, **attributes: int) -> Path:
    """An archive with these names in it, besides what makes it look like a session."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/session.toml", "name = 'x'")
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = attributes.get("mode", stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, "/etc/passwd")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.parquet", "/etc/evil.parquet", "x/../../evil.parquet", "x/seconds/../../../evil.parquet",
        "x/seconds/sub/evil.parquet", "x/run.sh", "x/.bashrc", "x/seconds/.hidden.parquet", "x\\..\\evil.parquet",
        "../session.toml", "./session.toml", "y/session.toml", "x/session.toml", "evil", "x/\x1b[2Jreport.html",
        "C:/session.toml/x.parquet",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_no_session_has_is_refused(name: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "bad.dragstrip", name)
    with pytest.raises(UserError, match="refused") as error:
        open_bundle(path)
    assert "\x1b" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "bad.dragstrip", "x/seconds/seconds.parquet", mode=stat.S_IFLNK | 0o777)
    with pytest.raises(UserError, match="refused"):
        open_bundle(path)


def test_what_is_no_archive_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "torn.dragstrip"
    path.write_bytes(b"PK\x03\x04 torn")
    assert main(["report", str(path)]) == 2
    assert "no bundle of dragstrip, or it is damaged" in capsys.readouterr().err


def test_one_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "large.dragstrip")
    monkeypatch.setattr("tui.recording.bundle.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1})())
    with pytest.raises(UserError, match="are free"):
        open_bundle(path)
