"""The counter that the comparison with an engine's own client stands on, of pages that real servers gave."""

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


def test_the_rate_is_of_the_middle_half_and_none_where_nothing_rose() -> None:
    slow_at_both_ends = [(0.0, 0.0), (10.0, 25.0), (11.0, 50.0), (12.0, 75.0), (30.0, 100.0)]
    assert middle_rate(slow_at_both_ends) == 25
    assert isnan(middle_rate([]))
    assert isnan(middle_rate([(0.0, 7.0), (1.0, 7.0)]))
