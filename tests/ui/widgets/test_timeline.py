"""The bar and the text of a replay."""

import pytest

from tests.ui.fake_replay import WALL_NS
from tui.session.source import Moment
from tui.ui.widgets.rows import length
from tui.ui.widgets.theme import to_ascii
from tui.ui.widgets.timeline import (
    LEGEND,
    SIGNS,
    TimelineState,
    bar_row,
    cell_at,
    narrow_row,
    second_at,
    wide_row,
)

NS = 1_000_000_000


def bar(span: TimelineState, width: int = 21) -> str:
    return "".join(text for text, _ in bar_row(span, width))


def state(**changes: object) -> TimelineState:
    known: dict[str, object] = {"position_s": 94.0, "duration_s": 588.0, "playing": True, "speed": 4.0}
    return TimelineState(**{**known, **changes})  # type: ignore[arg-type]


def text_of(row: tuple[tuple[str, str], ...]) -> str:
    return "".join(text for text, _ in row)


def test_the_bar_shows_what_was_played_and_what_happened() -> None:
    moments = [Moment(0.0, "mark", ""), Moment(50.0, "dial", ""), Moment(100.0, "end", "")]
    assert bar(TimelineState(25.0, 100.0, moments)) == "◇━━━━●────◆─────────┤"
    assert bar(TimelineState(0.0, 100.0)) == "●" + "─" * 20
    assert bar(TimelineState(100.0, 100.0)) == "━" * 20 + "●"
    assert bar(TimelineState(0.0, 0.0), 5) == "●────"


def test_serious_signs_hide_others_and_the_position_hides_all() -> None:
    here = [Moment(50.0, kind, "") for kind in ("down", "dial", "end", "mark", "fault")]
    assert bar(TimelineState(0.0, 100.0, here))[10] == "✖"
    assert bar(TimelineState(0.0, 100.0, list(reversed(here))))[10] == "✖"
    assert bar(TimelineState(50.0, 100.0, here))[10] == "●"


def test_a_window_has_two_brackets_even_without_colour() -> None:
    moments = [Moment(40.0, "fault", "")]
    assert bar(TimelineState(0.0, 100.0, moments, (25.0, 75.0))) == "●────[══!══════]─────"
    assert bar(TimelineState(75.0, 100.0, moments, (25.0, None))) == "━━━━━[══!══════●─────"
    assert bar(TimelineState(25.0, 100.0, (), (75.0, None))) == "━━━━━●═════════]─────"


def test_every_sign_has_a_different_ascii_replacement() -> None:
    signs = [sign for sign, _ in SIGNS.values()]
    twins = [to_ascii(sign) for sign in [*signs, "●", "━", "─", "═", "[", "]"]]
    assert "?" not in twins
    assert len(set(twins)) == len(twins)
    assert set(LEGEND) | {"end"} == set(SIGNS)


@pytest.mark.parametrize("width", [2, 37, 120])
def test_a_click_lands_on_the_cell_that_is_shown(width: int) -> None:
    for cell in range(width):
        assert cell_at(second_at(cell, width, 588.0), width, 588.0) == cell
    assert second_at(-5, width, 588.0) == 0.0
    assert second_at(width + 50, width, 588.0) == 588.0


def test_the_text_names_position_length_speed_and_clock() -> None:
    wall_s = WALL_NS / NS + 94
    assert (
        text_of(wide_row(state(wall_s=wall_s), 60)) == " ▶ playing ×4               01:34 / 09:48   14:04:41 UTC    "
    )
    assert text_of(narrow_row(state(wall_s=wall_s, playing=False))) == " ‖ ×4    01:34/09:48 14:04:41 UTC "
    hours = state(duration_s=7200.0, speed=float("inf"))
    assert text_of(narrow_row(hours)) == " ▶ ×max  00:01:34/02:00:00 "


def test_the_text_keeps_its_width_while_time_runs() -> None:
    for speed in (0.25, 1.0, 64.0, float("inf")):
        widths = {length(narrow_row(state(position_s=at, speed=speed, wall_s=1e9 + at))) for at in (0.0, 59.0, 588.0)}
        assert widths == {length(narrow_row(state(wall_s=1e9)))}


def test_a_message_comes_before_the_legend_and_is_cut_rather_than_left_out() -> None:
    row = text_of(wide_row(state(message="the window begins here: move to where it ends, then z"), 90))
    assert "the window begins here: move" in row
    assert row.endswith("…")
    assert "◆ dial" in text_of(wide_row(state(), 120))


def test_before_it_is_open_it_says_so() -> None:
    assert "opening the recording" in text_of(wide_row(state(opened=False), 80))
    assert "opening the recording" in text_of(narrow_row(state(opened=False)))
