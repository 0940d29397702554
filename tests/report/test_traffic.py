"""What `dragstrip data` says of a file: lengths, arrivals, what a prefix cache saves, and nothing of its texts."""

import json
from pathlib import Path

import pytest

from tui.cli.main import main
from tui.report.traffic import Lengths, TrafficSummary, summarize_traffic, traffic_lines
from tui.traffic.index import make_index


def summary_of(folder: Path, *records: object, context: int = 0) -> TrafficSummary:
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return summarize_traffic(make_index(path, folder=folder), context)


def row(at_ms: int, tokens: int, *blocks: int) -> dict[str, object]:
    return {"timestamp": at_ms, "input_length": tokens, "output_length": 10, "hash_ids": list(blocks)}


def test_a_prefix_is_saved_only_from_the_first_block_on(tmp_path: Path) -> None:
    rows = [row(0, 1024, 1, 2), row(1000, 1024, 1, 3), row(2000, 1024, 4, 2), row(3000, 600, 1, 2)]
    summary = summary_of(tmp_path, *rows)
    assert summary.cached_share == pytest.approx((512 + 600) / (3 * 1024 + 600))


def test_a_conversation_finds_its_history_cached(tmp_path: Path) -> None:
    said = [{"from": who, "value": who[0] * 4000} for who in ("human", "gpt", "human", "gpt")]
    summary = summary_of(tmp_path, {"conversations": said})
    assert summary.prompts.largest == 3000
    assert summary.cached_share == pytest.approx(1000 / 4000, abs=0.07)
    assert (summary.turns.largest, summary.output_tokens) == (2, 2000)


def test_lengths_arrivals_and_what_a_run_would_take(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, *(row(at * 1000, 100 + at, 1) for at in range(61)), context=150)
    text = "\n".join(traffic_lines(summary, 150))
    assert "61 requests over 1 min 00 s, 1.02 a second" in text
    assert "p50 130" in text
    assert "20 requests do not fit into a context of 150 tokens" in text
    assert "at ×1 the whole file takes 1 min 00 s" in text
    assert summary.arrivals_per_s[0] == pytest.approx(1.0)


def test_lengths_are_counted_from_each_power_of_two_to_the_next() -> None:
    import numpy as np

    assert Lengths.from_values(np.array([1, 2, 3, 4, 1024])).buckets == {1: 1, 2: 2, 4: 1, 1024: 1}


def test_nothing_of_a_text_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "secret.jsonl"
    path.write_text(json.dumps({"prompt": "xyzzy", "password": "xyzzy"}) + "\n")
    assert main(["data", str(path)]) == 0
    assert main(["data", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert "prompts" in printed.out
    assert "xyzzy" not in printed.out + printed.err
