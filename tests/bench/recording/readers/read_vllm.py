"""Run by a Python that has vLLM: `read_vllm.py RESULT.json`. Its own summary of our lists must be our summary."""

import contextlib
import importlib
import io
import json
import math
import sys
import tempfile
from pathlib import Path


def main(path: Path) -> None:
    """Recompute every figure with vLLM's `calculate_metrics` and draw its timeline."""
    saved = json.loads(path.read_text())
    serve = importlib.import_module("vllm.benchmarks.serve")
    answer = importlib.import_module("vllm.benchmarks.lib.endpoint_request_func").RequestFuncOutput
    outputs = []
    for at, error in enumerate(saved["errors"]):
        output = answer()
        output.success, output.error = not error, error
        output.prompt_len, output.output_tokens = saved["input_lens"][at], saved["output_lens"][at]
        output.ttft, output.itl = saved["ttfts"][at], saved["itls"][at]
        output.latency, output.start_time = saved["latencies"][at], saved["start_times"][at]
        outputs.append(output)
    with contextlib.redirect_stdout(io.StringIO()):
        metrics, lens = serve.calculate_metrics([], outputs, saved["duration"], None, [50, 90, 95, 99], {})
    theirs = {
        "completed": metrics.completed,
        "failed": metrics.failed,
        "total_input_tokens": metrics.total_input,
        "total_output_tokens": metrics.total_output,
        **{name: getattr(metrics, name) for name in saved if hasattr(metrics, name) and name != "request_goodput"},
    }
    for name in ("ttft", "tpot", "itl", "e2el"):
        theirs |= {f"p{p}_{name}_ms": value for p, value in getattr(metrics, f"percentiles_{name}_ms")}
    wrong = {
        name: (value, saved[name])
        for name, value in theirs.items()
        if not math.isclose(value, saved[name], rel_tol=1e-6)
    }
    assert not wrong, wrong
    assert lens == saved["output_lens"]
    print(f"vLLM: {len(theirs)} figures of {path.name} are those of its own calculate_metrics; {timeline(saved)}")


def timeline(saved: dict[str, list[float]]) -> str:
    """Draw with vLLM's own timeline, if plotly is there."""
    plot = importlib.import_module("vllm.benchmarks.plot")
    names = {"start_times": "start_time", "ttfts": "ttft", "itls": "itl", "latencies": "latency"}
    names |= {"input_lens": "prompt_len", "output_lens": "output_tokens"}
    results = [
        {mine: saved[theirs][at] for theirs, mine in names.items()}
        for at, error in enumerate(saved["errors"])
        if not error
    ]
    data = plot.construct_timeline_data(results, [0.025, 0.050], ["short", "middle", "long"])
    assert data
    try:
        importlib.import_module("plotly.express")
    except ImportError:
        return f"its timeline takes {len(data)} spans from it (plotly is not there to draw them)"
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        plot.generate_timeline_plot(results, Path(folder) / "timeline.html")
    return f"its timeline draws {len(data)} spans"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
