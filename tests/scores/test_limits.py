"""Limits in closed form are the textbook's, and none of them is without width."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from hfkit.scores.limits import (
    difference_limits,
    expanded_limits,
    freedom_of,
    number_limits,
    open_width,
    quantile_of,
    share_limits,
    tango_limits,
    wilson_limits,
)

Z = quantile_of(0.95)


@pytest.mark.parametrize(("right", "rows"), [(0, 20), (19, 20), (50, 50), (70, 100)])
def test_a_share_has_the_limits_of_wilson(right, rows):
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    assert wilson_limits(right / rows, rows, Z) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("gained", "lost", "rows"), [(3, 1, 20), (0, 4, 30), (12, 5, 200), (2, 2, 10)])
def test_a_difference_of_shares_has_the_limits_of_tango(gained, lost, rows):
    """At a limit the score test that takes this difference for the truth rejects at just the level."""

    def statistic(at: float) -> float:
        def unlikelihood(share_lost: float) -> float:
            shares = np.array([share_lost + at, share_lost, 1 - 2 * share_lost - at])
            return -float(np.array([gained, lost, rows - gained - lost]) @ np.log(np.maximum(shares, 1e-300)))

        likeliest = minimize_scalar(
            unlikelihood, bounds=(max(0.0, -at), (1 - at) / 2), method="bounded", options={"xatol": 1e-12}
        ).x
        return (gained - lost - rows * at) / np.sqrt(rows * (2 * likeliest + at - at**2))

    low, high = tango_limits((gained - lost) / rows, (gained + lost) / rows, rows, Z)
    assert (statistic(low), statistic(high)) == pytest.approx((Z, -Z), abs=1e-3)


@pytest.mark.parametrize("rows", [5, 20, 60])
def test_where_no_row_differs_the_limits_are_what_so_many_rows_leave_open(rows):
    low, high = difference_limits((0.8, 0.8), (0.16 / rows, 0.16 / rows), 0.0, rows, 0.95)
    # Of a difference larger than this, 5 of 100 tests or fewer would show nothing.
    assert high == -low >= open_width(rows, 0.95) > 1 - 0.05 ** (1 / rows)
    assert high < 1.3 * open_width(rows, 0.95)
    # So too for a single score, and for one whose scale has no end.
    assert share_limits(1.0, 0.0, rows, 0.95) == pytest.approx((1 - open_width(rows, 0.95), 1), abs=0.05)
    same = np.full(100, 30.0)
    low, high = number_limits(30.0, same, rows, 0.95, (0.0, np.inf), 30.0)
    assert (low, high) == pytest.approx((30 - 30 * open_width(rows, 0.95), 30 + 30 * open_width(rows, 0.95)))


def test_a_row_of_many_trials_has_its_variance_estimated_and_a_coin_has_not():
    assert freedom_of(20, 20) == freedom_of(20, 12) == np.inf
    assert 19 < freedom_of(20, 60) < freedom_of(20, 30) and freedom_of(20, 1e9) == pytest.approx(19)
    assert freedom_of(1, 1) == 1


def test_limits_never_leave_the_scale():
    for share in (0.0, 0.003, 0.5, 0.997, 1.0):
        for trials in (1.0, 3.7, 1e6):
            low, high = wilson_limits(share, trials, 4.3)
            assert 0 <= low < high <= 1 and low <= share <= high
    draws = np.random.default_rng(0).normal(0.98, 0.02, 1000)
    low, high = number_limits(0.98, draws, 10, 0.95, (-1.0, 1.0), 2.0)
    assert low < expanded_limits(draws, 10, 0.95)[0] and high == 1
