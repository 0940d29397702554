"""How often a t-test that is looked at again and again names a winner between equal servers.

    python -m tests.bench.analysis.t_test [--minutes 10] [--runs 2000]

Each run is two lanes with the same mean rate and 8 % noise a second. A two-sided 5 % t-test on the seconds so far is
looked at every 5 s, from 10 s on. Printed: the share of runs in which it ever named a winner, next to the same share
of dragstrip's own interval, for seconds that are independent and for correlated ones.
"""

import argparse

import numpy as np

from tests.judge.simulated import seconds_of
from tui.stats.batches import BATCH_S, MIN_BATCHES, Floats, log_ratio
from tui.stats.distributions import t_quantile

LOOK_S = 5
FIRST_LOOK_S = 10


def share_named_by_t_test(a: Floats, b: Floats) -> float:
    """Share of runs (rows) in which a look at the seconds so far (columns) gave p < 0.05."""
    named = np.zeros(len(a), dtype=np.bool_)
    for seconds in range(FIRST_LOOK_S, a.shape[1] + 1, LOOK_S):
        so_far = a[:, :seconds], b[:, :seconds]
        error = np.sqrt(sum(lane.var(axis=1, ddof=1) for lane in so_far) / seconds)
        difference = so_far[0].mean(axis=1) - so_far[1].mean(axis=1)
        named |= np.abs(difference) > t_quantile(0.975, 2 * seconds - 2) * error
    return float(named.mean())


def share_named_by_dragstrip(a: Floats, b: Floats) -> float:
    """Share of runs in which the interval of dragstrip ever left out 0."""
    named = np.zeros(len(a), dtype=np.bool_)
    for seconds in range(BATCH_S * MIN_BATCHES, a.shape[1] + 1, BATCH_S):
        interval = log_ratio(a[:, :seconds], b[:, :seconds])
        named |= np.abs(interval.mean) > interval.half_width
    return float(named.mean())


def main() -> None:
    """Print one line for each correlation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--runs", type=int, default=2000)
    args = parser.parse_args()
    print("correlation of adjacent seconds   t-test   dragstrip")
    for correlation in (0.0, 0.5, 0.8):
        rng = np.random.default_rng(2026)
        a, b = (seconds_of(rng, args.runs, args.minutes * 60, correlation) for _ in range(2))
        print(f"{correlation:31}   {share_named_by_t_test(a, b):6.1%}   {share_named_by_dragstrip(a, b):9.1%}")


if __name__ == "__main__":
    main()
