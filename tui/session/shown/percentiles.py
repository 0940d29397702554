"""The percentiles of a figure that a screen shows: a median of few values is shown, a tail of few is not."""

from collections.abc import Callable

from tui.analysis.intervals.quantiles import percentile
from tui.records.metrics import SAMPLES_NEEDED
from tui.session.fold.columns import Floats
from tui.session.fold.histogram import LatencyHistogram
from tui.session.view import Percentiles

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def of_values(ms: Floats) -> Percentiles:
    """Those of values (n,) in ms."""
    return _shown(len(ms), lambda share: percentile(ms, share))


def of_histogram(histogram: LatencyHistogram) -> Percentiles:
    """Those of counted values."""
    return _shown(histogram.n, histogram.percentile)


def _shown(n: int, percentile_at: Callable[[float], float | None]) -> Percentiles:
    told = {
        name: percentile_at(share)
        for name, share in SHARES.items()
        if n and (name == "p50" or n >= SAMPLES_NEEDED[name])
    }
    return Percentiles(**told, n=n)
