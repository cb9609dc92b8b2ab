"""Statistics of counts: intervals, tests, and counts corrected for a network's known errors.

Standard methods come from statsmodels and SciPy; only what neither has is written here. statsmodels belongs to the
extra `app`, so it is imported where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import false_discovery_control, hypergeom, norm

__all__ = [
    "Corrected",
    "Difference",
    "Reliability",
    "adjusted",
    "association",
    "corrected",
    "difference",
    "normalised_pmi",
    "wilson",
]

_Z = float(norm.ppf(0.975))
_LEAST_YOUDEN = 0.2  # least sensitivity + specificity - 1; below it, the correction multiplies noise by more than five


@dataclass(frozen=True)
class Difference:
    """Difference of two shares.

    Args:
        value: Difference in points of share, -1..1.
        low: Lower end of the 95 % interval (Newcombe 1998, method 10).
        high: Upper end of that interval.
        p: Two-sided p value of the hypothesis that there is no difference (score test); 1 where one of the groups is
            empty.
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


@dataclass(frozen=True)
class Corrected:
    """A share corrected for known errors, with an interval that includes the uncertainty of the error rates."""

    share: float
    low: float
    high: float


def wilson(
    counts: np.ndarray | Sequence[int], sizes: np.ndarray | Sequence[int] | int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of shares (Wilson 1927): low and high, float64; 0 and 1 without observations.

    Args:
        counts: Number of observations that have the property.
        sizes: Number of all observations.
    """
    from statsmodels.stats.proportion import proportion_confint

    counts, sizes = np.broadcast_arrays(np.asarray(counts, float), np.asarray(sizes, float))
    some = sizes > 0
    low, high = np.zeros(counts.shape), np.ones(counts.shape)
    if some.any():
        low[some], high[some] = proportion_confint(counts[some], sizes[some], method="wilson")
    return low, high


def difference(count: int, size: int, before: int, before_size: int) -> Difference:
    """Difference between the shares of two independent groups.

    Args:
        count: Number in the first group that have the property.
        size: Size of the first group.
        before: Number in the other group that have the property.
        before_size: Size of the other group.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep

    if not size or not before_size:
        return Difference(math.nan, -1.0, 1.0, 1.0)
    value = count / size - before / before_size
    low, high = confint_proportions_2indep(count, size, before, before_size, method="newcomb", compare="diff")
    if count + before in (0, size + before_size):  # all or none of both groups have it
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


def association(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Two-sided p values of independence, by pair (Fisher's exact test, mid-p).

    Args:
        both: Number of outfits that have both.
        first: Number of outfits that have the first.
        second: Number of outfits that have the second.
        size: Number of all outfits.
    """
    both, first, second = (np.asarray(values, np.int64) for values in (both, first, second))
    at = np.exp(_log_probability(both, first, second, size))
    more = hypergeom.sf(both, size, first, second) + at / 2
    fewer = hypergeom.cdf(both - 1, size, first, second) + at / 2
    return np.asarray(np.minimum(1.0, 2 * np.minimum(more, fewer)))


def normalised_pmi(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Pointwise mutual information over its largest possible value (Bouma 2009): -1 never together, 0 chance, 1 always.

    NaN where one of the two is never worn. Arguments as in `association`.
    """
    together, alone, other = (np.asarray(values, float) / max(size, 1) for values in (both, first, second))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(together / (alone * other)) / -np.log(together)
    value = np.where(together == 1, 1.0, value)
    value = np.where(together == 0, -1.0, value)
    return np.where((alone > 0) & (other > 0), value, np.nan)


def corrected(count: int, size: int, reliability: Reliability) -> Corrected | None:
    """The true share, estimated from the recognised share; None if the error rates are too large to correct for.

    The estimate is Rogan & Gladen's (1978), `(share + specificity - 1) / (sensitivity + specificity - 1)`, cut to
    0..1; the interval is Lang & Reiczigel's (2014, Preventive Veterinary Medicine 113), which allows for the limited
    number of photos that sensitivity and specificity were measured on.

    Args:
        count: Outfits in which the garment was recognised.
        size: Outfits in all.
        reliability: Reliability of the recognition.
    """
    if not size or not reliability.worn or not reliability.not_worn:
        return None
    youden = reliability.sensitivity + reliability.specificity - 1
    if youden < _LEAST_YOUDEN:
        return None
    estimate = (count / size + reliability.specificity - 1) / youden
    # Section 2 of the paper adds z^2 / 2 successes and failures to the share, and one of each to the others.
    n = size + _Z**2
    share = (count + _Z**2 / 2) / n
    worn, not_worn = reliability.worn + 2, reliability.not_worn + 2
    sensitivity = (reliability.worn * reliability.sensitivity + 1) / worn
    specificity = (reliability.not_worn * reliability.specificity + 1) / not_worn
    spread = sensitivity + specificity - 1
    middle = (share + specificity - 1) / spread
    shift = (
        2
        * _Z**2
        * (middle * sensitivity * (1 - sensitivity) / worn - (1 - middle) * specificity * (1 - specificity) / not_worn)
    )
    variance = (
        share * (1 - share) / n
        + middle**2 * sensitivity * (1 - sensitivity) / worn
        + (1 - middle) ** 2 * specificity * (1 - specificity) / not_worn
    ) / spread**2
    half = _Z * math.sqrt(max(variance, 0.0))
    low, high = middle + shift - half, middle + shift + half
    return Corrected(*(min(1.0, max(0.0, value)) for value in (estimate, low, high)))


def _log_probability(both: np.ndarray, first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Log of the hypergeometric probability of exactly `both`."""

    def choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
        logarithm: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
        return logarithm

    whole = np.asarray(size)
    result: np.ndarray = choose(first, both) + choose(whole - first, second - both) - choose(whole, second)
    return result
