"""`dragstrip export` takes a part of a session, shows progress and names every format."""

from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tui.cli.main import main
from tui.export.formats import FORMATS


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert ", ".join(FORMATS) in " ".join(capsys.readouterr().out.split())


def test_the_command_takes_a_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = str(tmp_path / "made-up")
    synthetic.record(Path(session), synthetic.batches(20)).close("done", 20.0)
    part = ["--table", "seconds", "--lane", "b", "--from", "7", "--until", "14", "--segment", "1"]
    assert main(["export", session, *part, "--to", str(tmp_path / "mine.csv")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'mine.csv'}  seconds, 7 rows, ")
    rows = pl.read_csv(tmp_path / "mine.csv")
    assert set(rows["lane"]) == {"b"}
    assert set(rows["segment"]) == {1}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sessions") / "made-up"
    synthetic.record(folder, synthetic.batches(20)).close("done", 20.0)
    return str(folder)


def test_one_file_goes_to_stdout_and_several_do_not(session: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["export", session, "--table", "seconds", "--to", "-"]) == 0
    assert pl.read_csv(capfdbinary.readouterr().out).height == 40
    assert main(["export", session, "--format", "parquet", "--table", "seconds", "--to", "-"]) == 0
    assert pl.read_parquet(capfdbinary.readouterr().out).height == 40
    assert main(["export", session, "--to", "-"]) == 2
    assert b"choose with --table" in capfdbinary.readouterr().err


def test_what_exists_is_replaced_only_when_that_is_asked(
    session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("made-up-csv", "made-up-csv-2"):  # without a name for it, one that is free
        assert main(["export", session, "--table", "seconds"]) == 0
        assert (tmp_path / name / "seconds.csv").is_file()
    to_mine = (["export", session, "--table", "events", "--to", "mine.csv"], ["plan", session, "--to", "mine.toml"])
    for command in to_mine:
        path = Path(command[-1])
        path.write_text("precious")
        capsys.readouterr()
        assert main(command) == 2
        assert f"{path} exists: name another place, or replace it with --overwrite" in capsys.readouterr().err
        assert path.read_text() == "precious"
        assert main([*command, "--overwrite"]) == 0
        assert path.read_text() != "precious"


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (["--from", "9999"], "nothing was recorded in that time: made-up ends after 20 s"),
        (["--from", "5", "--until", "5"], "--from 5 is not before --until 5"),
    ],
)
def test_an_empty_part_is_an_error_and_writes_nothing(
    session: str, part: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", session, *part, "--to", str(tmp_path / "out")]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
