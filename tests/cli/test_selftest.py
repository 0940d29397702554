"""`dragstrip selftest` prints the figures and its sentence, and says by its exit code whether to trust them."""

import argparse

import pytest

from tui.cli import selftest
from tui.cli.main import main
from tui.load import accuracy as measuring
from tui.load.accuracy import Accuracy
from tui.model.text import UserError

QUIET = Accuracy(50.0, 200.0, 3.0, 9.0, 8000.0, 5.0, 30.0, 20.0, 1e6, kernel_stamps=True, bound=False)
BUSY = Accuracy(50.0, 200.0, 3.0, 9.0, 8000.0, 5.0, 9000.0, 20.0, 1e6, kernel_stamps=True, bound=False)


def called(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    selftest.arguments(parser)
    return selftest.call(parser.parse_args(flags))


@pytest.mark.parametrize(("measured", "code"), [(QUIET, 0), (BUSY, 1)])
def test_the_sentence_is_the_last_line(
    measured: Accuracy, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measure(step_s: float, _: object) -> Accuracy:
        assert step_s == 2.0
        return measured

    monkeypatch.setattr(measuring, "measure", measure)
    assert called("--step", "2") == code
    assert capsys.readouterr().out.splitlines()[-1] == measured.conclusion()


@pytest.mark.parametrize("name", ["selftest", "ruler"])
def test_its_former_name_is_still_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measure(*_: object) -> Accuracy:
        return QUIET

    monkeypatch.setattr(measuring, "measure", measure)
    assert main([name]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == QUIET.conclusion()


@pytest.mark.parametrize("step", ["0", "-1", "nan", "601"])
def test_a_length_that_makes_no_sense_is_refused(step: str) -> None:
    with pytest.raises(UserError, match="between 1 and 600 seconds"):
        called("--step", step)
