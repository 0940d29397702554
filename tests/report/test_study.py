"""The study's tables, its CSV, and the choice of an engine, on made-up requests with known means."""

import csv
import io
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.judge.made import NS, T0, request, requests_frame, second, seconds_frame, session, turned
from tests.judge.simulated import seconds_of
from tui.judge.tables import Tables
from tui.model.rows import Lane, RequestRow
from tui.report.study import CSV_HEADER, recommendations, study, study_csv
from tui.stats.batches import mean_of, rate_of

GIB = 2**30
STEPS = (("1", "50", 450.0, 570.0), ("1", "500", 650.0, 620.0), ("100", "50", 1250.0, 650.0))
STEP_S = 40
LANES: tuple[Lane, ...] = ("a", "b")


def ran(noise: float = 0.02, *, gpus: bool = True) -> Tables:
    """40 requests a lane at each step of (streams, prompt tokens, A's TTFT, B's TTFT): 11 tokens in 1 s each."""
    rng = np.random.default_rng(1)
    rows: list[RequestRow] = []
    events = []
    for number, (streams, prompt, *ttfts) in enumerate(STEPS):
        if number:
            old = STEPS[number - 1]
            events += [turned(number * STEP_S, "concurrency", streams)] if streams != old[0] else []
            events += [turned(number * STEP_S, "prompt_tokens", prompt)] if prompt != old[1] else []
        for lane, ttft_ms in zip(LANES, ttfts, strict=True):
            for i in range(40):
                ttft = ttft_ms * float(np.exp(noise * rng.normal()))
                rows.append(request(lane, 100 * number + i, at_s=number * STEP_S + i, segment=number, ttft_ms=ttft,
                                    e2e_ms=1000))  # fmt: skip
    seconds = [second(lane, i, 10, segment=i // STEP_S) for i in range(STEP_S * len(STEPS)) for lane in LANES]
    gauges = pl.DataFrame(
        [
            (lane, gpu, "memory_used_bytes", T0 + i * NS + offset, GIB * (10.0 if lane == "a" else 12.0))
            for lane in LANES for gpu, offset in (("gpu0", 0), ("gpu1", 1000)) for i in range(120)
        ],
        schema=["lane", "source", "name", "t_ns", "value"], orient="row",
    ) if gpus else pl.DataFrame()  # fmt: skip
    info = session(120, {"concurrency": 1, "prompt_tokens": 50})
    return Tables(info, requests_frame(rows), seconds_frame(seconds), events, gauges)


def test_the_tables_are_by_prompt_length_and_by_level() -> None:
    measured = study(ran())
    assert [(row.at, row.lane) for row in measured.of("sequential")] == [
        ("50 tokens", "a"),
        ("50 tokens", "b"),
        ("500 tokens", "a"),
        ("500 tokens", "b"),
    ]
    assert [(row.at, row.lane) for row in measured.of("concurrent")] == [("100 streams", "a"), ("100 streams", "b")]
    first = measured.of("sequential")[0]
    assert first.latency_s.mean == pytest.approx(0.45, rel=0.02)
    assert first.latency_s.sd == pytest.approx(0.009, rel=0.3)
    assert first.latency_s.low is not None
    assert first.latency_s.high is not None
    assert first.latency_s.low < first.latency_s.mean < first.latency_s.high
    assert first.tps.mean == pytest.approx(11)
    assert first.latency_s.n == 40
    assert first.memory_gib is not None
    assert first.memory_gib.mean == pytest.approx(20)


def test_the_csv_is_the_studys() -> None:
    rows = list(csv.reader(io.StringIO(study_csv(study(ran())))))
    assert tuple(rows[0]) == CSV_HEADER == ("Request Type", "Framework", "TPS", "Latency", "Memory Usage")
    assert [row[:2] for row in rows[1:]] == [
        ["Sequential 50 tokens", "vllm"],
        ["Sequential 50 tokens", "sglang"],
        ["Sequential 500 tokens", "vllm"],
        ["Sequential 500 tokens", "sglang"],
        ["Concurrent 100 streams", "vllm"],
        ["Concurrent 100 streams", "sglang"],
    ]
    assert float(rows[1][2]) == pytest.approx(11)
    assert float(rows[1][3]) == pytest.approx(0.45, rel=0.02)
    assert float(rows[2][4]) == 24.0


def test_the_engine_for_each_use_with_what_carries_it() -> None:
    latency, throughput, memory = recommendations(ran())
    assert latency.engine == "vllm"  # (450 + 650) against (570 + 620)
    assert "A/B 0.9" in latency.sentence
    assert "n = 80" in latency.sentence
    assert throughput.engine == ""  # every request takes one second in both
    assert "Both suit throughput-bound use equally: they are level within ±3 %" in throughput.sentence
    assert memory.engine == ""  # 20 against 24 GiB, that each was made to take


def test_noise_that_hides_the_difference_carries_no_choice() -> None:
    latency = recommendations(ran(noise=2.0))[0]
    assert latency.engine == ""
    assert "do not carry" in latency.sentence


def test_without_gpu_readings_memory_is_unknown() -> None:
    tables = ran(gpus=False)
    assert all(row.memory_gib is None for row in study(tables).rows)
    assert recommendations(tables)[2].engine == ""
    assert next(csv.reader(io.StringIO(study_csv(study(tables)).splitlines()[1])))[4] == ""


def test_a_session_without_requests_has_empty_tables_and_no_choice() -> None:
    tables = Tables(session(), requests_frame([]), seconds_frame([]))
    assert study(tables).rows == []
    assert [choice.engine for choice in recommendations(tables)] == ["", "", ""]


def test_the_interval_of_a_mean_covers_correlated_values() -> None:
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(500):
        state = np.repeat(rng.normal(0, 1, 40), 5)  # five requests share each state
        mean = mean_of(10 + state + 0.3 * rng.normal(size=200))
        covered.append(mean.low is not None and mean.high is not None and mean.low <= 10 <= mean.high)
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("seconds", [100, 300])
def test_the_interval_of_one_lanes_rate_covers_correlated_seconds(phi: float, seconds: int) -> None:
    runs = seconds_of(np.random.default_rng([6, seconds]), 800, seconds, phi)
    rates = [rate_of(run) for run in runs]
    assert 0.92 <= np.mean([(m.low or 0) <= 1000 <= (m.high or 0) for m in rates]) <= 0.98
    assert rate_of(runs[0][:79]).low is None
    assert rate_of(np.zeros(100)).low is None


def test_the_mean_of_few_values() -> None:
    assert mean_of(np.array([4.0])).low is None
    assert mean_of(np.array([])).n == 0


def test_the_interval_of_a_mean_time_does_not_reach_below_nothing() -> None:
    assert mean_of(np.array([0.0, 0.0, 3.0])).low == 0.0
    low = mean_of(np.array([-1.0, 0.0, 3.0])).low
    assert low is not None
    assert low < -1.0
    three = mean_of(np.array([1.0, 2.0, 3.0]))
    assert (three.mean, three.sd) == (2.0, 1.0)
    assert three.high == pytest.approx(2 + 4.3027 / np.sqrt(3), abs=1e-3)


def test_no_engine_suits_a_use_of_whole_requests_where_the_work_differs() -> None:
    tables = ran()
    tokens = pl.when(pl.col("lane") == "b").then(7).otherwise(pl.col("output_tokens")).cast(pl.Int32)
    latency, throughput, _ = recommendations(
        replace(tables, requests=tables.requests.with_columns(output_tokens=tokens))
    )
    assert latency.engine == "vllm"  # a first token is none of the output's length
    assert throughput.engine == ""
    assert "different work: A's answers have 11.0 output tokens on average, B's 7.0" in throughput.sentence


def test_a_session_that_reached_no_server_has_no_tables() -> None:
    seconds = seconds_frame([second(lane, i, 0, up=False) for i in range(10) for lane in LANES])
    assert study(Tables(session(10, lanes=""), requests_frame([]), seconds)).rows == []
