"""Exports in other tools' schemas hold those tools' figures, computed here once more, request by request."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from tests.recording import coherent
from tests.recording.conftest import Make
from tui.export.formats import export
from tui.model.session import LaneInfo
from tui.recording.reader import RecordedSession, Selection


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RecordedSession:
    """A session that the tests of this file share."""
    slo = {"preset": "", "ttft_ms": 300.0, "tpot_ms": 33.0, "e2e_ms": None}
    profile = {"name": "coherent", "load": {"arrival": "closed", "concurrency": 8}, "slo": slo}
    return coherent.record(tmp_path_factory.mktemp("coherent") / "s", profile=profile)


def rows(recorded: RecordedSession, lane: str = "a") -> list[dict[str, Any]]:
    """The requests of a lane that were not cancelled, each with its chunk times."""
    chunks: dict[int, list[int]] = {}
    for chunk_lane, request, t_ns in recorded.scan("chunks").select("lane", "request", "t_ns").collect().iter_rows():
        if chunk_lane == lane:
            chunks.setdefault(request, []).append(t_ns)
    requests = recorded.scan("requests").collect().sort("t_sched_ns").to_dicts()
    return [
        row | {"times": sorted(chunks.get(row["request"], []))}
        for row in requests
        if row["lane"] == lane and row["outcome"] != "cancelled"
    ]


def exported(recorded: RecordedSession, name: str, folder: Path) -> list[dict[str, Any]]:
    """The files of an export, read as JSON."""
    return [json.loads(file.path.read_text()) for file in export(recorded, name, folder)]


def test_vllm(recorded: RecordedSession, tmp_path: Path) -> None:
    a, b = exported(recorded, "vllm", tmp_path)
    mine = rows(recorded)
    ok = [row for row in mine if row["outcome"] == "ok"]
    duration = (max(row["t_end_ns"] for row in mine) - min(row["t_sched_ns"] for row in mine)) / 1e9
    ttfts = [(row["t_first_ns"] - row["t_send_ns"]) / 1e9 for row in ok]
    e2els = [(row["t_last_ns"] - row["t_send_ns"]) / 1e9 for row in ok]
    tpots = [
        (e - t) / (row["output_tokens"] - 1) if row["output_tokens"] > 1 else 0.0
        for e, t, row in zip(e2els, ttfts, ok, strict=True)
    ]
    itls = [gap for row in ok for gap in np.diff(row["times"]) / 1e9]
    assert (a["completed"], a["failed"], a["num_prompts"]) == (len(ok), len(mine) - len(ok), len(mine))
    assert a["duration"] == pytest.approx(duration)
    assert a["output_throughput"] == pytest.approx(sum(row["output_tokens"] for row in ok) / duration)
    assert a["total_input_tokens"] == 101 * len(ok)
    for name, values in (("ttft", ttfts), ("e2el", e2els), ("itl", itls), ("tpot", [t for t in tpots if t])):
        assert a[f"mean_{name}_ms"] == pytest.approx(fmean(values) * 1000)
        assert a[f"p99_{name}_ms"] == pytest.approx(np.percentile(values, 99) * 1000)
    met = sum(ttft <= 0.3 and tpot <= 0.033 for ttft, tpot in zip(ttfts, tpots, strict=True))
    assert 0 < met < len(ok)
    assert a["request_goodput"] == pytest.approx(met / duration)
    assert [len(gaps) for gaps in a["itls"]] == [
        len(row["times"]) - 1 if row["outcome"] == "ok" else 0 for row in mine
    ]
    assert a["errors"] == ["http 5xx: no capacity" if row["outcome"] == "failed" else "" for row in mine]
    assert a["dragstrip"]["cancelled"] == 4
    assert (a["request_rate"], a["max_concurrency"]) == ("inf", 12)
    assert (a["dragstrip"]["engine"], b["dragstrip"]["engine"]) == ("vllm", "sglang")
    starts = [row["t_send_ns"] for row in ok]
    touched = [
        sum(
            (s - min(starts)) // 10**9 <= second <= (row["t_last_ns"] - min(starts)) // 10**9
            for s, row in zip(starts, ok, strict=True)
        )
        for second in range(12)
    ]
    assert a["max_concurrent_requests"] == max(touched)


def test_sglang(recorded: RecordedSession, tmp_path: Path) -> None:
    a, _ = exported(recorded, "sglang", tmp_path)
    ok = [row for row in rows(recorded) if row["outcome"] == "ok"]
    connect = [(row["connect_ms"] or 0.0) / 1000 for row in ok]
    e2es = [(row["t_end_ns"] - row["t_send_ns"]) / 1e9 + c for row, c in zip(ok, connect, strict=True)]
    ttfts = [(row["t_first_ns"] - row["t_send_ns"]) / 1e9 + c for row, c in zip(ok, connect, strict=True)]
    assert a["completed"] == len(ok)
    assert "failed" not in a
    assert a["mean_e2e_latency_ms"] == pytest.approx(fmean(e2es) * 1000)
    assert a["median_ttft_ms"] == pytest.approx(float(np.median(ttfts)) * 1000)
    assert a["concurrency"] == pytest.approx(sum(e2es) / a["duration"])
    assert a["total_throughput"] == pytest.approx(a["input_throughput"] + a["output_throughput"])
    assert len(a["itls"]) == len(a["input_lens"]) == len(rows(recorded))


def test_guidellm(recorded: RecordedSession, tmp_path: Path) -> None:
    a, _ = exported(recorded, "guidellm", tmp_path)
    (benchmark,) = a["benchmarks"]
    ok = [row for row in rows(recorded) if row["outcome"] == "ok"]
    groups = benchmark["requests"]
    assert [len(groups[status]) for status in ("successful", "incomplete", "errored")] == [len(ok), 4, 6]
    assert benchmark["metrics"]["request_totals"]["total"] == coherent.EACH
    metrics = {name: metric["successful"] for name, metric in benchmark["metrics"].items() if "successful" in metric}
    e2es = sorted((row["t_end_ns"] - row["t_send_ns"]) / 1e9 for row in ok)
    assert metrics["request_latency"]["median"] == pytest.approx(e2es[(len(e2es) - 1) // 2], abs=1e-6)
    longer = [row for row in ok if row["output_tokens"] > 1]
    spent = sum(row["t_last_ns"] - row["t_first_ns"] for row in longer) / 1e6
    tokens = sum(row["output_tokens"] - 1 for row in longer)
    assert metrics["inter_token_latency_ms"]["mean"] == pytest.approx(spent / tokens, rel=1e-6)
    total = sum(row["t_last_ns"] - row["t_send_ns"] for row in ok) / 1e6
    assert metrics["time_per_output_token_ms"]["mean"] == pytest.approx(
        total / sum(row["output_tokens"] for row in ok)
    )
    assert metrics["output_tokens_per_second"]["count"] == pytest.approx(
        sum(row["output_tokens"] for row in ok), abs=1
    )


def test_aiperf(recorded: RecordedSession, tmp_path: Path) -> None:
    files = export(recorded, "aiperf", tmp_path, Selection(lane="a"))
    assert [str(file.path.relative_to(tmp_path)) for file in files] == [
        "s.a.aiperf/profile_export_aiperf.json",
        "s.a.aiperf/profile_export.jsonl",
    ]
    summary = json.loads(files[0].path.read_text())
    records = [json.loads(line) for line in files[1].path.read_text().splitlines()]
    ok = [row for row in rows(recorded) if row["outcome"] == "ok"]
    duration = (max(row["t_last_ns"] for row in ok) - min(row["t_send_ns"] for row in ok)) / 1e9
    assert summary["benchmark_duration"]["avg"] == pytest.approx(duration)
    assert summary["request_count"]["avg"] == len(ok)
    assert summary["error_request_count"]["avg"] == coherent.EACH - len(ok)
    itls = [
        (row["t_last_ns"] - row["t_first_ns"]) / 1e6 / (row["output_tokens"] - 1)
        for row in ok
        if row["output_tokens"] > 1
    ]
    assert summary["inter_token_latency"]["p99"] == pytest.approx(np.percentile(itls, 99))
    assert [
        r["metrics"]["inter_token_latency"]["value"] for r in records if "inter_token_latency" in r["metrics"]
    ] == pytest.approx(itls)
    assert [record["error"]["message"] for record in records if record["error"]].count("no capacity") == 6
    assert len(records) == coherent.EACH


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_a_session_without_chunks_has_no_itl_instead_of_zeros(make: Make, tmp_path: Path, name: str) -> None:
    recorded = make(seconds=3)
    (recorded.directory / "chunks" / "chunks.parquet").unlink()
    for result in exported(recorded, name, tmp_path / "out"):
        assert not [key for key in result if "itl_ms" in key]
        assert any("chunks were not recorded" in note for note in result["dragstrip"]["notes"])


@pytest.mark.parametrize("name", ["guidellm", "aiperf"])
def test_whole_runs_say_simulated(make: Make, tmp_path: Path, name: str) -> None:
    lanes = {lane: LaneInfo(url="http://h", engine="vllm", title="vLLM", simulated=True) for lane in "ab"}
    for file in export(make(seconds=2, lanes=lanes), name, tmp_path):
        assert ".SIMULATED" in str(file.path.relative_to(tmp_path))
        assert json.loads(file.path.read_text().splitlines()[0])["simulated"] is True


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_result_files_say_simulated_and_keep_to_the_selection(make: Make, tmp_path: Path, name: str) -> None:
    lanes = {lane: LaneInfo(url="http://h", engine="vllm", title="vLLM", simulated=True) for lane in "ab"}
    recorded = make(seconds=8, lanes=lanes)
    (file,) = export(recorded, name, tmp_path, Selection(lane="b", segment=1))
    result = json.loads(file.path.read_text())
    assert result["simulated"] is True
    assert ".SIMULATED." in file.path.name
    assert len(result["input_lens"]) == file.rows == 10
