"""The δ of an A/A run."""

import numpy as np
import pytest

from tests.analysis.simulated import seconds_of
from tui.analysis.noise import noise_floor
from tui.records.errors import UserError


def test_delta_covers_what_one_server_differs_from_itself_by() -> None:
    rng = np.random.default_rng(1)
    a, b = seconds_of(rng, 1, 300, 0.5)[0].tolist(), seconds_of(rng, 1, 300, 0.5)[0].tolist()
    noise = noise_floor(a, b)
    assert 1 / (1 + noise.delta) <= noise.low <= noise.ratio <= noise.high <= 1 + noise.delta
    assert 0.01 < noise.delta < 0.06
    assert not noise.biased


def test_a_bias_between_the_lanes_is_within_delta() -> None:
    rng = np.random.default_rng(2)
    a, b = seconds_of(rng, 1, 600, 0.0, 1100)[0].tolist(), seconds_of(rng, 1, 600, 0.0)[0].tolist()
    noise = noise_floor(a, b)
    assert noise.biased
    assert noise.delta > 0.1


def test_delta_is_never_less_than_one_percent() -> None:
    assert noise_floor([100.0] * 100, [100.0] * 100).delta == 0.01


def test_a_short_run_is_refused() -> None:
    with pytest.raises(UserError, match="run it longer"):
        noise_floor([100.0] * 30, [100.0] * 30)
