"""Statistics of counts: intervals and tests.

Counts are real numbers: an expected count is a sum of probabilities, each from 0 to 1. It varies no more than as many
whole outfits would, so that the intervals hold for both. The size of a weighted group is the sum of its weights: as no
weight passes 1, it is never above Kish's effective size, (sum w)^2 / sum w^2.

Standard methods come from statsmodels and SciPy; only what neither has is written here. statsmodels belongs to the
extra `app`, so it is imported where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy
from scipy.stats import chi2, false_discovery_control, hypergeom, norm

__all__ = [
    "Difference",
    "Reliability",
    "adjusted",
    "association",
    "difference",
    "lift_interval",
    "normalised_pmi",
    "wilson",
]

_Z = float(norm.ppf(0.975))
_DEVIANCE = float(chi2.ppf(0.95, 1))
_NOTHING = 1e-6  # outfits; sums of probabilities are rounded
_HALVINGS = 60  # of the range in which an end of an interval is sought


@dataclass(frozen=True)
class Difference:
    """Difference of two shares.

    Args:
        value: Difference in points of share, -1..1.
        low: Lower end of the 95 % interval (Newcombe 1998, method 10).
        high: Upper end of that interval.
        p: Two-sided p value of the hypothesis that there is no difference (score test); 1 where one of the groups is
            empty, or both together are one outfit or less.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Reliability:
    """Recognition rates of a garment on photos whose garments are known.

    Args:
        sensitivity: Share of those who wear it that were recognised.
        worn: Number of those who wear it.
        specificity: Share of those who do not wear it that were not counted.
        not_worn: Number of those who do not wear it.
    """

    sensitivity: float
    worn: int
    specificity: float
    not_worn: int


def wilson(
    counts: np.ndarray | Sequence[float],
    sizes: np.ndarray | Sequence[float] | float,
    errors: np.ndarray | Sequence[float] | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of shares: low and high, float64; 0 and 1 without observations.

    Wilson's (1927) interval holds the shares p for which the found share m is within z standard errors,
    `(m - p)^2 <= z^2 p (1 - p) / n`. A standard error e of the share that does not shrink with n adds `z^2 e^2` on the
    right.

    Args:
        counts: Number of observations that have the property.
        sizes: Number of all observations.
        errors: Standard errors of the shares that stem from how the observations were made.
    """
    counts, sizes, errors = np.broadcast_arrays(*(np.asarray(each, float) for each in (counts, sizes, errors)))
    some = sizes > 0
    n = np.where(some, sizes, 1.0)
    share = np.clip(counts / n, 0, 1)
    middle, width = share + _Z**2 / (2 * n), 1 + _Z**2 / n
    root = np.sqrt(np.maximum(middle**2 - width * (share**2 - (_Z * errors) ** 2), 0.0))
    low, high = np.clip((middle - root) / width, 0, share), np.clip((middle + root) / width, share, 1)
    return np.where(some, low, 0.0), np.where(some, high, 1.0)


def difference(count: float, size: float, before: float, before_size: float) -> Difference:
    """Difference between the shares of two independent groups.

    Errors that both groups have alike, such as those of one calibration, are not part of the interval.

    Args:
        count: Number in the first group that have the property.
        size: Size of the first group.
        before: Number in the other group that have the property.
        before_size: Size of the other group.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep

    if min(size, before_size) < _NOTHING:
        return Difference(math.nan, -1.0, 1.0, 1.0)
    count, before = min(max(count, 0.0), size), min(max(before, 0.0), before_size)
    value = count / size - before / before_size
    low, high = confint_proportions_2indep(count, size, before, before_size, method="newcomb", compare="diff")
    none_or_all = min(count + before, size + before_size - count - before) < _NOTHING  # of both groups have it
    if none_or_all or size + before_size <= 1:
        return Difference(value, float(low), float(high), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # warnings on ratios that statsmodels computes as well
        p = test_proportions_2indep(count, size, before, before_size, method="score", compare="diff").pvalue
    return Difference(value, float(low), float(high), float(p))


def adjusted(p: np.ndarray | Sequence[float]) -> np.ndarray:
    """P values adjusted for the false discovery rate (Benjamini & Hochberg 1995).

    Args:
        p: P values of all tests, including those whose results are not shown.
    """
    values = np.asarray(p, float)
    return false_discovery_control(values) if values.size else values


def association(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: float) -> np.ndarray:
    """Two-sided p values of independence, by pair (Fisher's exact test, mid-p).

    Counts are rounded to whole outfits. Expected counts vary less from sample to sample than those, so that
    the test is conservative for them.

    Args:
        both: Number of outfits that have both.
        first: Number of outfits that have the first.
        second: Number of outfits that have the second.
        size: Number of all outfits.
    """
    both, first, second = (np.rint(np.asarray(values, float)).astype(np.int64) for values in (both, first, second))
    size = round(size)
    if not size:  # less than half an outfit
        return np.ones(both.shape)
    first, second = np.minimum(first, size), np.minimum(second, size)
    both = np.clip(both, np.maximum(0, first + second - size), np.minimum(first, second))  # rounding may pass the ends
    at = np.exp(_log_probability(both, first, second, size))
    more = hypergeom.sf(both, size, first, second) + at / 2
    fewer = hypergeom.cdf(both - 1, size, first, second) + at / 2
    return np.asarray(np.minimum(1.0, 2 * np.minimum(more, fewer)))


def lift_interval(
    both: np.ndarray, first: np.ndarray, second: np.ndarray, size: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of the lift of pairs: low and high, float64; NaN where one of the two is never worn.

    Likelihood intervals: the shares a and b of the two are held at what was found, so that the share x of outfits with
    both is the only unknown of the four-fold table, between `max(0, a + b - 1)` and `min(a, b)`. The interval holds the
    x whose log-likelihood is within 1.92 v of the largest (Wilks 1938), divided by `a b`. Which of the two is named
    first makes no difference, and no interval passes the largest and smallest lift that the two shares allow.

    v allows for the sampling error of a and b. It is the variance of the log lift by the delta method,
    `1 / x - 1 / a - 1 / b + 2 x / (a b) - 1`, divided by the variance with a and b held: 1 where the two are
    independent, and larger the further they are from independence.

    Args:
        both: Number of outfits that have both.
        first: Number of outfits that have the first.
        second: Number of outfits that have the second.
        size: Number of all outfits.
    """
    both, first, second, n = np.broadcast_arrays(*(np.asarray(values, float) for values in (both, first, second, size)))
    known = (first > 0) & (second > 0)
    n = np.where(n > 0, n, 1.0)
    found, a, b = both / n, first / n, second / n
    least, most = np.maximum(0.0, a + b - 1), np.minimum(a, b)
    found = np.clip(found, least, most)

    def log_likelihood(x: np.ndarray) -> np.ndarray:
        shares = (x, a - x, b - x, 1 - a - b + x)
        observed = (found, a - found, b - found, 1 - a - b + found)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(
                n
                * sum(
                    xlogy(np.maximum(seen, 0.0), np.maximum(share, 0.0))
                    for seen, share in zip(observed, shares, strict=True)
                )
            )

    bound = log_likelihood(found) - _DEVIANCE / 2 * _spread(both, first, second, n)
    ends = []
    for outer in (least, most):
        inside, outside = found.copy(), outer.copy()
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            fits = log_likelihood(middle) >= bound
            inside, outside = np.where(fits, middle, inside), np.where(fits, outside, middle)
        reached = log_likelihood(outer) >= bound
        with np.errstate(divide="ignore", invalid="ignore"):
            ends.append(np.where(known, np.where(reached, outer, inside) / (a * b), np.nan))
    return ends[0], ends[1]


def _spread(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Variance of the log lift over that with both margins held, at least 1; half an outfit is added to each cell."""
    n = size + 2
    x, a, b = (both + 0.5) / n, (first + 1) / n, (second + 1) / n
    whole = 1 / x - 1 / a - 1 / b + 2 * x / (a * b) - 1
    held = x**2 * (1 / x + 1 / (a - x) + 1 / (b - x) + 1 / (1 - a - b + x))
    ratio: np.ndarray = np.maximum(1.0, whole * held)
    return ratio


def normalised_pmi(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: float) -> np.ndarray:
    """Pointwise mutual information over its largest possible value (Bouma 2009): -1 never together, 0 chance, 1 always.

    NaN where one of the two is never worn. Arguments as in `association`.
    """
    together, alone, other = (np.asarray(values, float) / (size or 1) for values in (both, first, second))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(together / (alone * other)) / -np.log(together)
    value = np.where(together == 1, 1.0, value)
    value = np.where(together == 0, -1.0, value)
    return np.where((alone > 0) & (other > 0), value, np.nan)


def _log_probability(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Log of the hypergeometric probability of exactly `both`."""

    def choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
        logarithm: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
        return logarithm

    whole = np.asarray(size)
    result: np.ndarray = choose(first, both) + choose(whole - first, second - both) - choose(whole, second)
    return result
