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
