"""Requests that a server counts as neither running nor queued."""

import numpy as np

from tests.judge.made import NS
from tui.judge.tables import Queueing, queueing

STARTS_NS = np.arange(4) * NS
IN_FLIGHT = np.array([8, 8, 10, 10])


def test_only_seconds_in_which_both_were_reported_count() -> None:
    running = [(NS // 2, 4.0), (NS // 2 + 1, 6.0), (2 * NS, 6.0), (9 * NS, 99.0)]
    queued = [(1, 1.0), (NS, 7.0), (2 * NS, 1.0)]
    median = queueing(STARTS_NS, IN_FLIGHT, running, queued)
    assert median == Queueing(seconds=2, in_flight=9.0, running=5.5, queued=1.0)
    assert median.unscheduled == 2.5


def test_a_server_that_runs_more_than_was_sent_serves_others_too() -> None:
    few, many = (queueing(STARTS_NS, IN_FLIGHT, [(0, value)], [(0, 0.0)]) for value in (8.5, 20.0))
    assert few is not None
    assert many is not None
    assert (few.unscheduled, many.unscheduled) == (0.0, None)


def test_nothing_is_known_without_readings() -> None:
    assert queueing(STARTS_NS, IN_FLIGHT, [], [(0, 1.0)]) is None
    assert queueing(STARTS_NS[:0], IN_FLIGHT[:0], [(0, 1.0)], [(0, 1.0)]) is None
