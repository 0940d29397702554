"""Run by a Python that has GuideLLM: `read_guidellm.py BENCHMARKS.json`. Its own metrics must be our metrics."""

import importlib
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(path: Path) -> None:
    """Load the report with GuideLLM's own model and compile its metrics from the requests again."""
    report = importlib.import_module("guidellm.benchmark.schemas.report").GenerativeBenchmarksReport.load_file(path)
    (benchmark,) = report.benchmarks
    accumulator = importlib.import_module("guidellm.benchmark.schemas.accumulator")
    metrics = importlib.import_module("guidellm.benchmark.schemas.metrics").GenerativeMetrics
    groups = {
        mine: accumulator.GenerativeRequestsAccumulator(requests_stats=getattr(benchmark.requests, theirs))
        for mine, theirs in (("completed", "successful"), ("incomplete", "incomplete"), ("errored", "errored"))
    }
    timings = SimpleNamespace(finalized_measure_start=benchmark.start_time, finalized_measure_end=benchmark.end_time)
    config = benchmark.config.model_copy(update={"confidence": None})
    theirs = metrics.compile(SimpleNamespace(timings=timings, config=config, **groups)).model_dump()
    ours = benchmark.metrics.model_dump()
    numbers = list(compare(theirs, ours, "metrics"))
    print(f"GuideLLM: loads {path.name}; {len(numbers)} numbers are those of its own GenerativeMetrics.compile")


def compare(theirs: Any, ours: Any, where: str) -> Any:
    """Every number, by its path; text and domain summaries that we leave out are passed over."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name, value in theirs.items():
            yield from compare(value, ours[name], f"{where}.{name}")
    elif ours is not None:
        close = theirs == ours or math.isclose(theirs, ours, rel_tol=1e-5, abs_tol=1e-6)
        assert close, (where, theirs, ours)
        yield where


if __name__ == "__main__":
    main(Path(sys.argv[1]))
