"""`dragstrip export` takes a part of a session, shows progress and names every format."""

import io
from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tui.cli.export import ProgressBar
from tui.cli.main import main
from tui.export.formats import FORMATS


def test_the_bar_comes_when_it_takes_long_and_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(said, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", said)
    bar = ProgressBar(after_s=60)
    bar.show("requests", 1, 4)
    assert said.getvalue() == ""
    bar = ProgressBar(after_s=0)
    bar.show("requests", 1, 4)
    assert said.getvalue() == f"\rrequests  {'█' * 8:<30}  25%"
    bar.clear()
    assert said.getvalue().endswith(" \r")


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
