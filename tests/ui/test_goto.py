"""Typed times, and the moments that keys jump to."""

import pytest

from tests.ui.fake_replay import MOMENTS
from tui.model.text import UserError
from tui.session.source import Moment
from tui.ui.dialogs import RecordingTimes, moment_from, moments_at, parse_time


def test_a_time_of_day_may_be_after_midnight() -> None:
    began_s = 1_795_478_390.4  # 23:59:50.4 UTC
    recorded = RecordingTimes(100.0, began_s)
    assert parse_time("23:59:50", recorded) == 0.0
    assert parse_time("00:00:10", recorded) == pytest.approx(19.6)
    with pytest.raises(UserError, match="from 23:59:50 to 00:01:30 UTC"):
        parse_time("00:02:00", recorded)


def test_without_a_clock_three_numbers_are_a_position() -> None:
    assert parse_time("0:01:05", RecordingTimes(100.0, None)) == 65.0
    with pytest.raises(UserError, match="after the end"):
        parse_time("1:00:00", RecordingTimes(100.0, None))


def test_what_happened_within_one_second_is_one_jump() -> None:
    both = [Moment(10.1, "dial", "conc 1→2", "a"), Moment(10.9, "dial", "conc 1→2", "b"), Moment(30.0, "mark", "x")]
    assert moment_from(both, 0.0, 1, 100.0) == both[:2]
    assert moment_from(both, 11.0, 1, 100.0) == both[2:]
    assert moment_from(both, 30.0, -1, 100.0) == both[:2]
    assert moment_from(both, 11.0, -1, 100.0) == []
    assert moments_at(MOMENTS, 588.0, 588.0) == [MOMENTS[-1]]
