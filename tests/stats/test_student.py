"""Student's t against printed tables."""

import math

import pytest

from tui.stats.distributions import normal_quantile, t_cdf, t_quantile

# Abramowitz & Stegun, table 26.10, and NIST/SEMATECH e-Handbook 1.3.6.7.2
TABLE = [
    (0.975, 1, 12.7062),
    (0.975, 2, 4.3027),
    (0.975, 3, 3.1824),
    (0.975, 4, 2.7764),
    (0.975, 5, 2.5706),
    (0.975, 9, 2.2622),
    (0.975, 14, 2.1448),
    (0.975, 29, 2.0452),
    (0.975, 60, 2.0003),
    (0.975, 120, 1.9799),
    (0.95, 10, 1.8125),
    (0.95, 1, 6.3138),
    (0.995, 2, 9.9248),
    (0.995, 9, 3.2498),
    (0.9995, 5, 6.8688),
    (0.75, 3, 0.7649),
]


@pytest.mark.parametrize(("share", "dof", "value"), TABLE)
def test_t_quantile_is_the_tabulated_one(share: float, dof: int, value: float) -> None:
    assert t_quantile(share, dof) == pytest.approx(value, abs=6e-5)
    assert t_quantile(1 - share, dof) == pytest.approx(-value, abs=6e-5)


@pytest.mark.parametrize("share", [0.6, 0.9, 0.975, 0.999, 0.999999])
def test_closed_forms_of_one_and_two_degrees(share: float) -> None:
    assert t_quantile(share, 1) == pytest.approx(math.tan(math.pi * (share - 0.5)), rel=1e-9)
    assert t_quantile(share, 2) == pytest.approx((2 * share - 1) / math.sqrt(2 * share * (1 - share)), rel=1e-9)


def test_many_degrees_are_the_normal_distribution() -> None:
    assert t_quantile(0.975, 1e7) == pytest.approx(normal_quantile(0.975), abs=1e-6)
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)


def test_the_quantile_undoes_the_distribution_function_for_broken_degrees() -> None:
    for dof in (1.25, 3.75, 17.5):
        for share in (0.51, 0.8, 0.975, 0.9999):
            assert t_cdf(t_quantile(share, dof), dof) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(("share", "dof"), [(0.0, 3), (1.0, 3), (0.9, 0)])
def test_a_quantile_that_does_not_exist_is_refused(share: float, dof: float) -> None:
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(share, dof)
