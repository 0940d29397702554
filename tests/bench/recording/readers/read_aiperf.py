"""Run by a Python that has AIPerf: `read_aiperf.py FOLDER/profile_export_aiperf.json`. It loads, and agrees."""

import importlib
import json
import math
import sys
from pathlib import Path

SPREADS = ("request_latency", "time_to_first_token", "inter_token_latency", "output_sequence_length")


def main(path: Path) -> None:
    """Load with AIPerf's plot loader and its export model; its units; the summary, from the records it read."""
    numpy = importlib.import_module("numpy")
    loader = importlib.import_module("aiperf.plot.core.data_loader").DataLoader
    models = importlib.import_module("aiperf.common.models.export_models")
    importlib.import_module("aiperf.metrics.types")
    registry = importlib.import_module("aiperf.metrics.metric_registry").MetricRegistry
    exported = models.JsonExportData.model_validate_json(path.read_text())
    run = loader().load_run(path.parent)
    checked = 0
    for name in SPREADS:
        values = run.requests[name].dropna()
        ours = getattr(exported, name)
        theirs = {"avg": values.mean(), "std": values.std(ddof=0), "min": values.min(), "max": values.max()}
        theirs |= {f"p{p}": numpy.percentile(values, p) for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
        for stat, value in theirs.items():
            assert math.isclose(value, getattr(ours, stat), rel_tol=1e-6), (name, stat, value, getattr(ours, stat))
            checked += 1
    for name, metric in json.loads(path.read_text()).items():
        if isinstance(metric, dict) and "unit" in metric:
            known = registry.get_class(name)
            assert metric["unit"] == str(known.display_unit or known.unit), (name, metric["unit"], known.display_unit)
            checked += 1
    good = run.requests[run.requests["request_latency"].notna()]
    start, end = good["request_start_ns"].min(), good["request_end_ns"].max()
    seconds = (end - start).total_seconds() if hasattr(end - start, "total_seconds") else (end - start) / 1e9
    assert math.isclose(exported.benchmark_duration.avg, seconds, rel_tol=1e-6)
    assert math.isclose(exported.request_throughput.avg, len(good) / seconds, rel_tol=1e-6)
    print(f"AIPerf: its plot loader takes {len(run.requests)} records; {checked} figures and units agree")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
