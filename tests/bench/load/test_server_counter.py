"""The counter behind the comparison with an engine's client, on pages captured from real servers."""

from math import isnan
from pathlib import Path

import pytest

from tests.bench.load.server_counter import live_tokens, middle_rate

CAPTURED = Path(__file__).parents[2] / "telemetry" / "captured"


@pytest.mark.parametrize(
    ("engine", "page", "tokens"),
    [("vllm", "vllm-0.32.0-c32.txt", 96_615), ("sglang", "sglang-0.5.23-c32.txt", 56_783 + 409)],
)
def test_the_counter_is_the_one_that_rises_with_every_step(engine: str, page: str, tokens: int) -> None:
    assert live_tokens(engine, (CAPTURED / page).read_bytes()) == tokens


def test_the_rate_is_of_the_same_work_whatever_comes_after_it() -> None:
    slow_at_both_ends = [(0.0, 7.0), (10.0, 12.0), (11.0, 22.0), (12.0, 32.0), (13.0, 42.0), (30.0, 47.0)]
    assert middle_rate(slow_at_both_ends, wave=10, waves=4) == 10
    assert middle_rate([*slow_at_both_ends, (31.0, 147.0)], wave=10, waves=4) == 10


def test_there_is_no_rate_where_the_counter_did_not_rise_so_far() -> None:
    assert isnan(middle_rate([], wave=10, waves=4))
    assert isnan(middle_rate([(0.0, 7.0), (1.0, 7.0)], wave=10, waves=4))
    assert isnan(middle_rate([(0.0, 7.0), (1.0, 41.0)], wave=10, waves=4))
