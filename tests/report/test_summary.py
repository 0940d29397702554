"""The object for scripts, against numbers worked out by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest

from tests.judge.made import MS, T0, failed, request, requests_frame, second, seconds_frame, session
from tests.judge.simulated import seconds_of
from tui.judge.tables import Tables
from tui.model.rows import Lane
from tui.report.summary import prefix_hit_share, summary
from tui.session.state import LatencyHistogram
from tui.stats.verdict import METHOD

PERCENTILES = {"p50", "p95", "p99", "n"}
LANE_KEYS = {
    "engine", "model", "simulated", "adapted", "requests", "failed", "cancelled", "refused", "errors", "failures",
    "output_tokens", "output_tps", "total_tps", "ttft_ms", "tpot_ms", "itl_ms", "e2e_ms", "client", "unknown",
    "prefix_hit_share",
}  # fmt: skip
CLIENT_KEYS = {
    "cpu_s", "loop_lag_ms_p99", "bound_s", "stamp", "merged_share", "tokens_from", "tokens_a_chunk",
}  # fmt: skip


def small(lanes: str = "ab") -> dict[str, Any]:
    rows = [request("a", i, at_s=6, ttft_ms=10.0 * (i + 1), e2e_ms=10.0 * (i + 1) + 200) for i in range(10)]
    unsent = failed("a", 10, at_s=6, t_send_ns=None)
    rows += [unsent, failed("a", 11, "reset", at_s=6), failed("a", 12, "reset", at_s=6)]
    rows += [request("a", 13, outcome="cancelled", cause="cancelled"), request("b", 0, stamp="user")]
    ticks = [second("a", i, 100, prompt_tokens=50, client_cpu_s=0.25, loop_lag_ms=float(i), bound=i == 3,
                    reads=10, merged_reads=i)
             for i in range(10)]  # fmt: skip
    ticks += [second("b", i, 50) for i in range(10)]
    itl: dict[Lane, LatencyHistogram] = {"a": LatencyHistogram(), "b": LatencyHistogram()}
    itl["a"].add([20.0, 40.0], [3, 1])
    return summary(Tables(session(10.0, lanes=lanes), requests_frame(rows), seconds_frame(ticks)), itl)


def test_the_object_has_the_keys_of_the_contract() -> None:
    figures = small()
    assert set(figures) == {"schema", "session", "duration_s", "lanes", "verdict", "ledger", "crossover", "steps"}
    (row,) = figures["ledger"]
    assert row["dials"]["a"]["concurrency"] == "8"
    assert row["verdict"]["reason"] == figures["verdict"]["reason"]
    lanes = figures["lanes"]
    for lane in ("a", "b"):
        assert set(lanes[lane]) == LANE_KEYS
        assert all(set(lanes[lane][name]) == PERCENTILES for name in ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms"))
        assert set(lanes[lane]["client"]) == CLIENT_KEYS
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_the_figures_of_a_lane() -> None:
    lanes = small()["lanes"]
    a = lanes["a"]
    assert (a["requests"], a["failed"], a["cancelled"]) == (10, 3, 1)
    assert a["errors"] == {"reset": 2, "http 5xx": 1}
    assert [(each["cause"], each["count"]) for each in a["failures"]] == [("reset", 2), ("http 5xx", 1)]
    assert all(isinstance(each["words"], str) for each in a["failures"])
    assert (a["output_tokens"], a["output_tps"], a["total_tps"]) == (1000, 100.0, 150.0)
    assert a["ttft_ms"] == {"p50": 50.0, "p95": 100.0, "p99": 100.0, "n": 10}
    assert a["tpot_ms"]["p50"] == pytest.approx(20.0)
    assert a["e2e_ms"]["p50"] == 250.0
    assert a["itl_ms"]["p50"] == pytest.approx(20, rel=0.005)
    assert a["itl_ms"]["n"] == 4
    reported = {"cpu_s": 2.5, "loop_lag_ms_p99": 9.0, "bound_s": 1, "stamp": "kernel", "merged_share": 0.45}
    assert a["client"] == reported | {"tokens_from": {"usage": 10}, "tokens_a_chunk": 1.0}
    assert lanes["b"]["client"]["stamp"] == "user"
    assert lanes["b"]["itl_ms"] == {"p50": None, "p95": None, "p99": None, "n": 0}


def test_the_share_of_cached_prompt_tokens_is_of_good_answers_that_tell_it() -> None:
    rows = [request("a", 0, prompt_tokens=100, cached_tokens=40), request("a", 1, prompt_tokens=300, cached_tokens=0)]
    rows += [request("a", 2, prompt_tokens=900, cached_tokens=None), request("b", 0, cached_tokens=None)]
    assert prefix_hit_share(requests_frame(rows[:3])) == pytest.approx(0.1)
    assert prefix_hit_share(requests_frame(rows[3:])) is None


def test_one_lane_alone_has_no_verdict() -> None:
    figures = small("a")
    assert list(figures["lanes"]) == ["a"]
    assert figures["verdict"] == {}


def test_failures_in_one_lane_make_it_not_comparable() -> None:
    verdict = small()["verdict"]
    assert verdict["word"] == "not comparable"
    assert "3 of 13" in verdict["reason"]


def test_the_verdict_is_of_the_settled_seconds() -> None:
    rng = np.random.default_rng(2)
    a, b = seconds_of(rng, 1, 300, 0.3, 1200)[0], seconds_of(rng, 1, 300, 0.3)[0]
    ticks = [second("a", i, int(a[i])) for i in range(300)] + [second("b", i, int(b[i])) for i in range(300)]
    rows = [request(lane, i, at_s=i) for i in range(290) for lane in ("a", "b")]
    verdict = summary(Tables(session(300), requests_frame(rows), seconds_frame(ticks)), {})["verdict"]
    assert verdict["word"] == "A ahead"
    assert (verdict["state"], verdict["level"], verdict["method"]) == ("decided", 0.95, METHOD)
    assert verdict["low"] < 1.2 < verdict["high"]
    assert verdict["n_batches"] == 14  # the first 5 s are settling
    assert math.log(verdict["high"] / verdict["low"]) < 0.1


def test_under_an_arrival_rate_the_wait_before_sending_is_reported() -> None:
    rows = [request("a", i, t_sched_ns=T0 - 500 * MS) for i in range(5)]
    ticks = [second("a", i, 10, concurrency=0) for i in range(5)]
    a = summary(Tables(session(5, lanes="a"), requests_frame(rows), seconds_frame(ticks)), {})["lanes"]["a"]
    assert a["ttft_ms"]["p50"] == pytest.approx(100)
    assert a["ttft_sched_ms"]["p50"] == pytest.approx(600)


def test_a_session_that_was_cut_short_is_as_long_as_its_seconds() -> None:
    info = session(0.0, lanes="a")
    ticks = [second("a", i, 100) for i in range(4)]
    figures = summary(Tables(info, requests_frame([]), seconds_frame(ticks)), {})
    assert figures["duration_s"] == 4.0
    assert figures["lanes"]["a"]["output_tps"] == 100.0


def test_an_empty_session_has_an_empty_summary() -> None:
    figures = summary(Tables(session(0.0), requests_frame([]), seconds_frame([])), {})
    assert figures["lanes"]["a"]["output_tps"] == 0.0
    assert figures["lanes"]["a"]["ttft_ms"] == {"p50": None, "p95": None, "p99": None, "n": 0}
    assert figures["verdict"]["word"] == "not comparable"


def test_how_tokens_were_counted_and_how_many_shared_a_chunk_is_of_whole_answers() -> None:
    rows = [request("a", i, at_s=i / 10, tokens_from="usage at end") for i in range(3)]
    rows += [request("a", 3, output_tokens=20, chunks=10), failed("a", 4, tokens_from="chunks")]
    ticks = seconds_frame([second("a", i, 50) for i in range(10)])
    client = summary(Tables(session(10.0, lanes="a"), requests_frame(rows), ticks), {})["lanes"]["a"]["client"]
    assert client["tokens_from"] == {"usage at end": 3, "usage": 1}
    assert client["tokens_a_chunk"] == pytest.approx(53 / 43)
