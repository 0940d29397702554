"""Recordings made by earlier versions open and show the figures that they showed then.

`tests/data/h100-sweep` is such a recording, without its chunks. `h100-sweep.figures.txt` next to it holds the figures
of its report as the version of 2026-11-28 printed them, but for intervals of GPU memory that never moved, which are
no longer given. Neither is made again when the code changes. Of each step it holds the verdict by the first method
too; those of a later method differ (`verdict.METHOD`).
"""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from tui.cli.main import main
from tui.model.rows import TABLES
from tui.recording.reader import open_session
from tui.recording.schema import schema

DATA = Path(__file__).parents[1] / "data"
SWEEP = DATA / "h100-sweep"
FIGURES = (DATA / "h100-sweep.figures.txt").read_text("utf-8").splitlines()
VALUE = re.compile(r"(?<![\w-])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?: ?%)?|A ahead|B ahead|level|undecided")
VERDICT = re.compile(r"( [+-][\d.]+ %){3} (A ahead|B ahead|level|undecided)$")
NEWER = {"seconds": ("resting", "reads")}  # columns that were added after the first recordings had been made
HEADER = re.compile(r"^\|.*\n(?=\| :--)", re.MULTILINE)


def figures(report: str) -> list[str]:
    """The numbers and verdicts in each table row of a report. Labels may change, figures may not."""
    rows = (line for line in HEADER.sub("", report).splitlines() if line.startswith("| "))
    return [" ".join(values) for row in rows if (values := VALUE.findall(row))]


def missing(shown: list[str]) -> list[str]:
    """The rows with which none of those shown begins, without verdicts."""
    rows = [VERDICT.sub("", row) for row in FIGURES]
    return [row for row in rows if not any(one == row or one.startswith(f"{row} ") for one in shown)]


def report(session: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The report as Markdown."""
    assert main(["report", str(session)]) == 0
    return capsys.readouterr().out


def test_a_report_shows_the_figures_it_showed_when_it_was_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    text = report(SWEEP, capsys)
    assert "Chunks were not recorded: there are no inter-token latencies." in text
    assert missing(figures(text)) == []


def test_a_recording_without_the_columns_added_later_shows_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = shutil.copytree(SWEEP, tmp_path / "h100-sweep")
    for table in TABLES:
        for path in (old / table).glob("*.parquet"):
            pl.read_parquet(path).drop(NEWER.get(table, ())).write_parquet(path)
    recorded = open_session(old)
    assert all(recorded.scan(table).collect_schema() == schema(table) for table in TABLES)
    assert missing(figures(report(old, capsys))) == []
