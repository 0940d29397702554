"""TERM=dumb: a terminal that can only print lines gets lines."""

import argparse

import pytest

from tui.cli import report, run
from tui.cli.main import main
from tui.cli.options import profile_from


class Called:
    """Stands in for a command: keeps what it was called with."""

    args: argparse.Namespace

    def __call__(self, args: argparse.Namespace) -> int:
        self.args = args
        return 0


@pytest.mark.parametrize("command", [("watch", "--a", "http://127.0.0.1:1"), ("demo",)])
def test_watching_is_measuring_in_lines(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called = Called()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(run, "call", called)
    assert main([*command, "--no-record"]) == 0
    args = called.args
    assert (args.no_record, args.sweep, args.json) == (True, None, False)
    assert run._work(args, profile_from(args)).for_s == 60
    assert "TERM=dumb" in capsys.readouterr().err


def test_a_replay_is_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    called = Called()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(report, "call", called)
    assert main(["replay", "h100-sweep"]) == 0
    assert (called.args.session, called.args.format) == ("h100-sweep", "markdown")
