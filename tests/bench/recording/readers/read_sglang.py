"""Run by a Python that has SGLang: `read_sglang.py RESULT.jsonl REQUESTS.csv`. Its summary must be our summary."""

import csv
import importlib
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace


class Tokenizer:
    """Stands where SGLang re-tokenises answers; we have no answers."""

    def encode(self, text: str, **_: object) -> list[int]:
        """No tokens."""
        return [0] * len(text)


def main(path: Path, requests: Path) -> None:
    """Recompute every figure with SGLang's `calculate_metrics`."""
    (saved,) = [json.loads(line) for line in path.read_text().splitlines()]
    sys.modules.setdefault("datasets", SimpleNamespace(load_dataset=None))  # type: ignore[arg-type]
    serving = importlib.import_module("sglang.benchmark.serving")
    with requests.open() as file:
        rows = [row for row in csv.DictReader(file) if row["outcome"] != "cancelled"]
    rows.sort(key=lambda row: int(row["t_sched_ns"]))
    outputs, asked = [], []
    for at, row in enumerate(rows):
        connect_s = float(row["connect_ms"] or 0) / 1000
        outputs.append(
            serving.RequestFuncOutput(
                success=row["outcome"] == "ok",
                latency=(int(row["t_end_ns"]) - int(row["t_send_ns"])) / 1e9 + connect_s,
                ttft=saved["ttfts"][at],
                itl=saved["itls"][at],
                output_len=saved["output_lens"][at],
                start_time=int(row["t_send_ns"]) / 1e9 - connect_s,
            )
        )
        counted = saved["input_lens"][at] if row["outcome"] == "ok" else 0
        asked.append(serving.DatasetRow(prompt="", prompt_len=counted, output_len=0))
    metrics, lens = serving.calculate_metrics(asked, outputs, saved["duration"], Tokenizer(), saved["backend"])
    theirs = {
        "total_input_tokens": metrics.total_input,
        "total_output_tokens": metrics.total_output,
        **{name: getattr(metrics, name) for name in saved if hasattr(metrics, name)},
    }
    wrong = {
        name: (value, saved[name])
        for name, value in theirs.items()
        if not math.isclose(value, saved[name], rel_tol=1e-6)
    }
    assert not wrong, wrong
    assert lens == saved["output_lens"]
    print(f"SGLang: {len(theirs)} figures of {path.name} are those of its own calculate_metrics")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
