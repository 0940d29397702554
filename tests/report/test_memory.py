"""Memory is compared where it means something: not by what an engine was made to reserve."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.judge.made import NS, T0
from tests.report.test_study import ran
from tui.model import gauges
from tui.report.study import Recommendation, memory_gib, recommendations

GIB = 2.0**30
A = {gauges.KV_BYTES: 40 * GIB, gauges.KV_POOL_TOKENS: 320_000.0, gauges.KV_USAGE: 0.2, gauges.RUNNING: 100.0}
READINGS_S = 120
HALF_THE_POOL = {**A, gauges.KV_BYTES: 20 * GIB, gauges.KV_POOL_TOKENS: 160_000.0, gauges.KV_USAGE: 0.4}
SMALL_TOKENS = {**A, gauges.KV_POOL_TOKENS: 640_000.0, gauges.KV_USAGE: 0.1}


def readings(lane: str, server: Mapping[str, float], engine_gib: float) -> list[tuple[object, ...]]:
    at_ns = [T0 + i * NS for i in range(READINGS_S)]
    rows: list[tuple[object, ...]] = [
        (lane, "server", name, t, value) for name, value in server.items() for t in at_ns
    ]
    return rows + [(lane, "gpu0", gauges.GPU_MEMORY_ENGINE, t, engine_gib * GIB) for t in at_ns]


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["lane", "source", "name", "t_ns", "value"], orient="row")


def chosen(b: Mapping[str, float], b_engine_gib: float) -> Recommendation:
    return recommendations(replace(ran(), gauges=frame(readings("a", A, 60) + readings("b", b, b_engine_gib))))[2]


@pytest.mark.parametrize(
    ("b", "gib", "engine", "words"),
    [
        (A, 60, "", "Both suit memory-bound use alike"),
        (HALF_THE_POOL, 40, "", "alike"),
        (A, 65, "vllm", "weights and overhead 20.0 against 25.0 GiB"),
        (SMALL_TOKENS, 60, "sglang", "8,000 against 16,000 KV tokens a GiB"),
        (SMALL_TOKENS, 65, "", "do not carry a choice"),  # each leads in one
        (A | {gauges.KV_USAGE: 0.3}, 60, "vllm", "640 against 960 KV tokens in use a running request"),
    ],
)  # fmt: skip
def test_what_the_engines_need_decides(b: Mapping[str, float], gib: float, engine: str, words: str) -> None:
    choice = chosen(b, gib)
    assert choice.engine == engine
    assert words in choice.sentence
    assert choice.n == 1
    assert "one launch of each, so without intervals" in choice.sentence


def test_where_an_engine_does_not_report_it_the_data_carry_no_choice() -> None:
    choice = chosen({gauges.KV_USAGE: 0.2, gauges.RUNNING: 100.0}, 30)
    assert (choice.engine, choice.n) == ("", 0)
    assert "do not carry a choice for memory-bound use: what each engine reserved is no result" in choice.sentence


def test_seconds_of_a_flat_line_are_one_draw() -> None:
    flat = memory_gib(frame(readings("a", {}, 60)), "a", 0, 2**62)
    assert flat is not None
    assert (flat.mean, flat.low, flat.high, flat.n) == (60, None, None, 1)
    rng = np.random.default_rng(1)
    moving = [(*row[:4], GIB * (60 + rng.normal())) for row in readings("a", {}, 60)]
    mean = memory_gib(frame(moving), "a", 0, 2**62)
    assert mean is not None
    assert mean.low is not None
    assert mean.n == READINGS_S
