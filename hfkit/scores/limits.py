"""Limits of scores that resampling alone gets wrong: near the ends of their scale, and where no row differs.

A score between 0 and 1 is treated as a share of so many trials. For one 0/1 answer a row the trials are the rows; for
F1 or accuracy over words they are however many give a share the variance that resampling the rows found (the effective
sample size of Korn and Graubard 1998, Survey Methodology 24). docs/intervals.md has the simulations that chose among
the alternatives.
"""

from collections.abc import Callable

import numpy as np

STEPS = 60  # halvings of an interval of length 1: down to the precision of a float


def open_width(rows: int, level: float) -> float:
    """The largest share of cases that rows without a single one leave open.

    With more of them, less than 2.5 % of samples of so many rows would hold none (at a level of 95 %): the limit of
    Clopper and Pearson (1934) for no case.
    """
    return 1 - (0.5 - level / 2) ** (1 / rows) if rows else 1.0


def quantile_of(level: float, freedom: float = np.inf) -> float:
    """By how many standard errors a two-sided limit lies off: Student's t, which is normal at infinite freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(0.5 + level / 2) if np.isinf(freedom) else stdtrit(freedom, 0.5 + level / 2))


def freedom_of(rows: int, trials: float) -> float:
    """The degrees of freedom of a share's variance that was estimated from `rows` rows, worth `trials` trials.

    If a row is worth one trial or less, the share determines its variance, as for a coin, and nothing is estimated:
    infinite. Rows of many trials (the words of a sentence, the pictures of a patient) are alike to an unknown degree,
    and their variance is known as well as `rows` - 1 deviations tell it.
    """
    if rows < 2:
        return 1.0
    excess = 1 - rows / trials
    return float(np.inf) if excess < 1e-9 else max(1.0, (rows - 1) / excess)


def share_limits(
    share: float, variance: float, rows: int, level: float, freedom: float | None = None
) -> tuple[float, float]:
    """Wilson's interval of a score from 0 to 1, and never narrower than `open_width` at the ends of the scale.

    Args:
        variance: of the score, over other rows (and seeds).
        rows: those that can move the score.
        freedom: degrees of freedom of the variance; default: `freedom_of` the rows.
    """
    trials = count_trials(share * (1 - share), variance, rows)
    low, high = wilson_limits(
        share, trials, quantile_of(level, freedom_of(rows, trials) if freedom is None else freedom)
    )
    width = open_width(rows, level)
    return (min(low, 1 - width) if share >= 1 else low), (max(high, width) if share <= 0 else high)


def difference_limits(
    shares: tuple[float, float],
    variances: tuple[float, float],
    variance: float,
    rows: int,
    level: float,
    freedom: float | None = None,
) -> tuple[float, float]:
    """Tango's interval of the difference of two scores from 0 to 1 on the same rows.

    Where no row tells the two apart, it is never narrower than `open_width` on both sides.

    Args:
        shares: the two scores.
        variances: of each of them.
        variance: of their difference.
        rows: those that can move one of the scores.
        freedom: degrees of freedom of the variance; default: `freedom_of` the rows.
    """
    difference = shares[0] - shares[1]
    trials = count_trials(sum(share * (1 - share) for share in shares), sum(variances), rows)
    quantile = quantile_of(level, freedom_of(rows, trials) if freedom is None else freedom)
    discordant = float(np.clip(trials * variance + difference**2, abs(difference), 1))
    low, high = tango_limits(difference, discordant, trials, quantile)
    if not variance and not difference:
        width = open_width(rows, level)
        low, high = min(low, -width), max(high, width)
    return low, high


def count_trials(of_one: float, variance: float, rows: int) -> float:
    """How many trials give this variance: as many as rows, if there is none to go by.

    Args:
        of_one: the variance of a single trial.
    """
    return max(1.0, of_one / variance) if of_one > 0 and variance > 0 else float(max(rows, 1))


def wilson_limits(share: float, trials: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval (1927): the shares from which this one is no further than so many of their errors.

    Args:
        trials: need not be whole.
    """
    spread = quantile**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = quantile * np.sqrt(share * (1 - share) / trials + spread / trials / 4) / (1 + spread)
    # Where the limit is the end of the scale, rounding would miss it.
    return (0.0 if share <= 0 else float(centre - half)), (1.0 if share >= 1 else float(centre + half))


def tango_limits(difference: float, discordant: float, trials: float, quantile: float) -> tuple[float, float]:
    """Tango's score interval (1998, Statistics in Medicine 17) of the difference of two shares of the same trials.

    Args:
        discordant: the share of trials that tell the two sides apart.
        trials: need not be whole.
    """
    lost = (discordant - difference) / 2

    def distance(at: float) -> float:
        """The standardised distance of the difference from a true one."""
        # The likeliest share of lost trials if the difference were this one: the root of a quadratic.
        middle = discordant - (2 - difference) * at
        root = np.sqrt(max(middle**2 + 8 * lost * at * (1 - at), 0.0))
        variance = (root + middle) / 2 + at * (1 - at)
        return (difference - at) / np.sqrt(max(variance / trials, 1e-300))

    return (
        _where_it_falls(distance, quantile, -1.0, difference),
        _where_it_falls(distance, -quantile, difference, 1.0),
    )


def _where_it_falls(distance: Callable[[float], float], below: float, low: float, high: float) -> float:
    """Where a falling function passes a value, by bisection."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(middle) > below else (low, middle)
    return (low + high) / 2


def number_limits(
    value: float,
    draws: np.ndarray,
    rows: int,
    level: float,
    ends: tuple[float, float],
    length: float,
) -> tuple[float, float]:
    """The expanded percentile interval of a score or a difference, or what the rows leave open if nothing varies.

    Two rows fewer than there are count for the expansion: a correlation or an error has means of two columns in it,
    which the resamples move along with the score. Without that, intervals of correlations held the truth 92 to 94 times
    in 100.

    Args:
        draws: the score in each resample, (resamples,).
        rows: those that can move the score.
        ends: the lowest and the highest value.
        length: of the scale of the score.
    """
    low, high = expanded_limits(draws, max(2, rows - 2), level) if rows > 1 else (value, value)
    if high - low <= 1e-12 * max(1.0, abs(value)):
        width = open_width(rows, level) * length
        low, high = value - width, value + width
    return float(max(low, ends[0])), float(min(high, ends[1]))


def join_limits(
    of_share: tuple[float, float], of_draws: tuple[float, float], share: float, variance: float, rows: int
) -> tuple[float, float]:
    """Those of a share, and if a row is worth less than one trial, the outer ones of both.

    Then a few rows carry the score, which moves in jumps: macro F1 depends on the two rows of a rare class, and a
    resample without them leaves that class out. A share knows no jumps. Its limits alone held the truth of such scores
    83 to 89 times in 100.
    """
    if count_trials(share * (1 - share), variance, rows) >= rows:
        return of_share
    return min(of_share[0], of_draws[0]), max(of_share[1], of_draws[1])


def scale_length(ends: tuple[float, float], *scores: float) -> float:
    """From one end of a scale to the other; the size of the largest score stands for it where there is no end."""
    length = ends[1] - ends[0]
    return length if np.isfinite(length) else max(map(abs, scores)) or 1.0


def expanded_limits(draws: np.ndarray, rows: int, level: float) -> tuple[float, float]:
    """The percentile interval of bootstrap draws (resamples,), its levels moved outwards for few rows.

    The plain percentile interval is that of a normal distribution with the variance's divisor n: too narrow by about
    sqrt((n - 1) / n) and by the ratio of normal to t quantiles (Hesterberg 2015, The American Statistician 69).
    """
    from scipy.special import ndtr

    tail = ndtr(-np.sqrt(rows / (rows - 1)) * quantile_of(level, rows - 1))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
