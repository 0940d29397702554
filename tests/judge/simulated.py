"""Simulated seconds of throughput: noise of 8 % a second, independent or autocorrelated."""

import numpy as np

from tui.stats.batches import Floats

NOISE = 0.08


def autoregression(rng: np.random.Generator, runs: int, seconds: int, phi: float) -> Floats:
    """AR(1) of deviation 1 (runs, seconds) with lag-1 correlation `phi`."""
    shocks = rng.normal(size=(runs, seconds))
    noise = np.empty_like(shocks)
    noise[:, 0] = shocks[:, 0]
    for second in range(1, seconds):
        noise[:, second] = phi * noise[:, second - 1] + np.sqrt(1 - phi**2) * shocks[:, second]
    return noise


def seconds_of(rng: np.random.Generator, runs: int, seconds: int, phi: float, mean: float = 1000.0) -> Floats:
    """Tokens of each second (runs, seconds): AR(1) with lag-1 correlation `phi`."""
    series: Floats = mean * (1 + NOISE * autoregression(rng, runs, seconds, phi))
    return series
