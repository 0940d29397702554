"""The verdict line: a text of each state at three widths. `UPDATE_SNAPSHOTS=1` writes them again."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.ui.made_sentences import STATES
from tui.judge.sentence import Sentence, verdict_sentence
from tui.ui.widgets.header import verdict_row
from tui.ui.widgets.theme import to_ascii

SNAPSHOT: Final = Path(__file__).parents[1] / "snapshots" / "verdict-line.txt"

WIDTHS: Final = (200, 120, 80, 60)


def line(sentence: Sentence, width: int) -> str:
    text = "".join(text for text, _ in verdict_row(sentence, width))
    assert len(text) == width
    return text.rstrip()


def test_each_state_at_each_width() -> None:
    lines = []
    for name, (verdict, setup) in STATES.items():
        sentence = verdict_sentence(verdict, setup)
        lines += [
            f"# {name}, {sentence.state}",
            *(f"{width:>3}|{line(sentence, width)}" for width in (200, 120, 80, 60)),
        ]
    text = "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STATES)
def test_it_is_whole_in_ascii(name: str) -> None:
    text = to_ascii(line(verdict_sentence(*STATES[name]), 200))
    assert text.isascii()
    assert "?" not in text


@pytest.mark.parametrize("name", ["ahead", "ahead by a latency", "measuring", "level"])
def test_the_winner_and_the_factor_are_there_however_narrow(name: str) -> None:
    sentence = verdict_sentence(*STATES[name])
    for width in (30, 40, 60):
        text = line(sentence, width)
        assert "…" not in text
        assert any(sign in text for sign in ("1.72×", "1.7×", "21 %", "level within 3 %"))
