"""Tokens per joule, from readings whose energy is known by construction."""

import pytest

from tui.model import gauges as g
from tui.model.metrics import NS_PER_S
from tui.model.rows import SecondRow
from tui.session.make_view import Readings, tokens_per_joule


def seconds(count: int, tokens: int, *, first: int = 0) -> list[SecondRow]:
    return [
        SecondRow(
            lane="a", t_ns=(first + n) * NS_PER_S, segment=0, concurrency=1, in_flight=1, started=0, finished=0,
            failed=0, output_tokens=tokens, prompt_tokens=0,
        )
        for n in range(count)
    ]  # fmt: skip


def counted(
    gpu: str, watts: float, until_s: int, every_s: float = 1.0
) -> dict[tuple[str, str], list[tuple[int, float]]]:
    times = [n * every_s for n in range(int(until_s / every_s) + 1)]
    return {(gpu, g.GPU_ENERGY): [(int(t * NS_PER_S), 1000 + watts * t) for t in times]}


def test_output_tokens_over_the_counted_energy_of_all_gpus() -> None:
    readings: Readings = counted("gpu0", 300, 10) | counted("gpu1", 100, 10)
    assert tokens_per_joule(seconds(10, 2000), readings) == pytest.approx(2000 / 400)


def test_a_second_counts_only_between_two_readings() -> None:
    late = seconds(5, 1000) + seconds(5, 9000, first=10)  # the last reading is of second 10
    assert tokens_per_joule(late, counted("gpu0", 200, 10)) == pytest.approx(5.0)


def test_a_lane_at_rest_does_not_pay_for_the_other_ones_turn() -> None:
    mine = seconds(3, 600) + seconds(3, 600, first=6)
    energy = [0.0, 300.0, 600.0, 900.0, 10_000.0, 20_000.0, 30_000.0, 30_300.0, 30_600.0, 30_900.0]
    readings: Readings = {("gpu0", g.GPU_ENERGY): [(n * NS_PER_S, joules) for n, joules in enumerate(energy)]}
    assert tokens_per_joule(mine, readings) == pytest.approx(2.0)


def test_an_exporter_that_reads_seldom_is_interpolated() -> None:
    assert tokens_per_joule(seconds(60, 500), counted("gpu0", 250, 60, every_s=30)) == pytest.approx(2.0)


def test_power_is_integrated_where_there_is_no_energy_counter() -> None:
    readings: Readings = {("gpu0", g.GPU_POWER): [(n * NS_PER_S, 100.0 + 10 * n) for n in range(11)]}
    assert tokens_per_joule(seconds(10, 300), readings) == pytest.approx(300 * 10 / 1500)


def test_a_counter_that_starts_again_takes_nothing_away() -> None:
    readings: Readings = {
        ("gpu0", g.GPU_ENERGY): [(0, 5000.0), (NS_PER_S, 5100.0), (2 * NS_PER_S, 0.0), (3 * NS_PER_S, 100.0)]
    }
    assert tokens_per_joule(seconds(3, 100), readings) == pytest.approx(300 / 200)


@pytest.mark.parametrize(
    "readings",
    [
        {},
        {("server", g.RUNNING): [(0, 1.0), (NS_PER_S, 1.0)]},
        {("gpu0", g.GPU_ENERGY): [(0, 5.0)]},
        counted("gpu0", 100, 10) | {("gpu1", g.GPU_MEMORY_USED): [(0, 1.0)]},
    ],
)
def test_no_figure_without_the_energy_of_every_gpu(readings: Readings) -> None:
    assert tokens_per_joule(seconds(5, 100), readings) is None
