"""Several verdicts at once: by Holm's rule at most one in twenty families has a wrong word."""

from dataclasses import replace

import numpy as np
import pytest

from tests.judge.simulated import seconds_of
from tests.judge.test_ledger import rows_of
from tui.judge.sentence import cell
from tui.judge.sessions import draws_verdict
from tui.judge.sweep import crossover
from tui.stats.latency import Latencies, latency_verdict
from tui.stats.turns import Pair
from tui.stats.verdict import MAX_JUDGED, Verdict, Word, holds_among, holm, throughput_verdict, turns_verdict, word_of

FAMILY = 12
RUNS = 400


def one(rng: np.random.Generator, lead: float) -> Verdict:
    a, b = seconds_of(rng, 1, 200, 0.0, 1000 * (1 + lead))[0], seconds_of(rng, 1, 200, 0.0)[0]
    return throughput_verdict(a.tolist(), b.tolist(), delta=0.001, frozen=True)


def test_of_twelve_equal_settings_a_winner_is_seldom_left_standing() -> None:
    rng = np.random.default_rng(8)
    alone = together = 0
    for _ in range(RUNS):
        family = [
            draws_verdict("output_tps", *np.exp(rng.normal(0, 0.05, (2, 8))).tolist(), delta=0.001)
            for _ in range(FAMILY)
        ]
        ahead = [verdict.word in {"A ahead", "B ahead"} for verdict in family]
        alone += any(ahead)
        together += any(said and holds for said, holds in zip(ahead, holm(family), strict=True))
    assert alone / RUNS > 0.3
    assert together / RUNS <= 0.07


def test_a_clear_lead_holds_among_many() -> None:
    rng = np.random.default_rng(9)
    family = [one(rng, 0.2 if place < 3 else 0.0) for place in range(FAMILY)]
    assert holm(family)[:3] == [True, True, True]
    assert [verdict.word for verdict in family[:3]] == ["A ahead"] * 3


def test_the_surest_go_first_and_after_the_first_that_fails_none_holds() -> None:
    family = [Verdict("output_tps", "A ahead", 1.1, holds_among=many) for many in (2, 40, 1, 3)]
    assert holm(family) == [True, True, True, True]
    family = [Verdict("output_tps", "A ahead", 1.1, holds_among=many) for many in (2, 40, 1, 2)]
    assert holm(family) == [False, True, False, False]
    assert holm([]) == []
    assert holm([Verdict("goodput", "A ahead")]) == [True]
    assert [cell(verdict, holds=holds) for verdict, holds in zip(family, holm(family), strict=True)] == [
        "A ahead alone", "A ahead", "A ahead alone", "A ahead alone",
    ]  # fmt: skip


@pytest.mark.parametrize("least", [0, 1, 2, 7, 1000, MAX_JUDGED, 5000])
def test_among_how_many_a_word_holds(least: int) -> None:
    assert holds_among(lambda many: many <= least) == min(least, MAX_JUDGED)


def test_every_kind_of_verdict_knows_among_how_many_it_holds() -> None:
    rng = np.random.default_rng(10)
    draws = draws_verdict("output_tps", [1200, 1210, 1190, 1205], [1000, 1000, 1001, 999])
    t_s = np.arange(400) / 2
    lanes = [Latencies(t_s, mean * np.exp(rng.normal(0, 0.1, t_s.size))) for mean in (100, 130)]
    latency = latency_verdict("ttft_p50", *lanes)
    places = [slice(20 * place, 20 * place + 20) for place in range(6)]
    pairs = [Pair({"a": block, "b": block}, {}) for block in places]
    a, b = (seconds_of(rng, 1, 120, 0.0, mean)[0] for mean in (1300.0, 1000.0))
    turns = turns_verdict(a.tolist(), b.tolist(), pairs)
    for verdict in (draws, latency, turns, one(rng, 0.3)):
        assert verdict.word in {"A ahead", "B ahead"}
        assert verdict.holds_among > 3
    assert one(rng, 0.0).holds_among == 0
    assert word_of(-0.1, 0.1, 0.03) == "undecided"


def test_the_sentence_of_the_lead_passes_over_words_that_do_not_stand_together() -> None:
    words: dict[float, Word] = {1: "A ahead", 2: "A ahead", 4: "A ahead", 8: "B ahead"}
    rows = [
        replace(row, verdict=replace(row.verdict, ratio=1.1, holds_among=among))
        for row, among in zip(rows_of(words), (1000, 1000, 1, 1), strict=True)
    ]
    assert crossover(rows) == "A ahead at every setting from 1 to 2 streams"
