import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import fisher_exact
from statsmodels.stats.proportion import proportion_confint

from segmodels.archive.intervals import (
    adjusted,
    association,
    difference,
    lift_interval,
    normalised_pmi,
    wilson,
)


def test_wilson_by_hand() -> None:
    # 10 of 100 at z = 1.96: centre (0.1 + 0.019208) / 1.038416, half width 0.0597 (Newcombe 1998)
    low, high = wilson([10], 100)
    assert low[0] == pytest.approx(0.0552, abs=1e-4) and high[0] == pytest.approx(0.1744, abs=1e-4)


def test_wilson_as_statsmodels_has_it_and_nothing_of_nothing() -> None:
    random = np.random.default_rng(0)
    sizes = random.integers(1, 500, 50)
    counts = random.integers(0, sizes + 1)
    low, high = wilson(counts, sizes)
    expected = [proportion_confint(a, b, method="wilson") for a, b in zip(counts, sizes, strict=True)]
    assert np.allclose(np.stack([low, high], axis=1), expected)
    assert [float(end[0]) for end in wilson([0], 0)] == [0.0, 1.0]


def test_an_error_of_the_calibration_does_not_shrink_with_the_outfits() -> None:
    low, high = wilson([0.2e9, 0.0, 1e9], 1e9, [0.01, 0.01, 0.02])
    assert low == pytest.approx([0.2 - 0.0196, 0, 1 - 0.0392], abs=1e-5), "1.96 standard errors"
    assert high == pytest.approx([0.2 + 0.0196, 0.0196, 1], abs=1e-5)
    (low,), (high,) = wilson([10.0], 100.0, 0.05)
    for end in (low, high):
        assert (0.1 - end) ** 2 == pytest.approx(1.959964**2 * (end * (1 - end) / 100 + 0.05**2)), "as far as it may be"


def test_intervals_with_a_calibration_cover_the_truth_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(5)
    true, error, size = 0.15, 0.02, 400
    counts = random.binomial(size, np.clip(true + random.normal(0, error, 4000), 0, 1))
    low, high = wilson(counts, size, error)
    assert 0.94 < ((low <= true) & (true <= high)).mean() < 0.96
    low, high = wilson(counts, size)
    assert ((low <= true) & (true <= high)).mean() < 0.88, "the sampling alone is not all that is uncertain"


def test_difference_by_hand() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:873), table II, row a: 56/70 less 48/80, method 10
    found = difference(56, 70, 48, 80)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=2e-4) and found.high == pytest.approx(0.3339, abs=2e-4)
    assert 0.001 < found.p < 0.02


@pytest.mark.parametrize("arguments", [(0, 10, 0, 20), (10, 10, 20, 20), (10 - 1e-12, 10, 20 + 1e-12, 20)])
def test_no_difference_where_nobody_or_everybody_has_it(arguments: tuple[float, float, float, float]) -> None:
    assert difference(*arguments).p == 1


def test_an_empty_group_differs_from_nothing() -> None:
    found = difference(1, 2, 0, 0)
    assert math.isnan(found.value) and (found.low, found.high, found.p) == (-1, 1, 1)


@pytest.mark.parametrize("rest", [-1.5e-5, -1e-9, 0.0, 1e-9])
def test_a_group_of_rounding_errors_is_empty(rest: float) -> None:
    found = difference(2.3, 7.7, 0.0, rest)
    assert math.isnan(found.value) and (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


@pytest.mark.parametrize("size", [0.01, 0.3, 0.5])
def test_a_sliver_of_an_outfit_differs_from_nothing(size: float) -> None:
    found = difference(0.8 * size, size, 0.3 * size, size)
    assert found.value == pytest.approx(0.5) and found.p == 1 and -1 <= found.low < 0.5 < found.high <= 1


def test_a_rounded_count_of_everybody_is_everybody() -> None:
    over, exact = difference(129.34364319, 129.34362793, 20.0, 80.0), difference(129.34362793, 129.34362793, 20.0, 80.0)
    assert over == exact and over.value == pytest.approx(0.75) and over.high <= 1


def test_differences_of_expected_counts() -> None:
    between = difference(10.5, 60.5, 20.5, 70.5)
    assert difference(10, 60, 21, 70).value < between.value < difference(11, 61, 20, 71).value
    assert between.low < between.value < between.high and 0 < between.p < 1
    rare = difference(0.3, 50.0, 0.0, 60.0)
    assert rare.low < 0 < rare.value < rare.high and 0.3 < rare.p <= 1


def test_benjamini_hochberg_by_hand() -> None:
    # sorted 0.01, 0.02, 0.03, 0.5: times 4/1, 4/2, 4/3, 1, each no larger than the next
    assert np.allclose(adjusted([0.03, 0.01, 0.5, 0.02]), [0.04, 0.04, 0.5, 0.04])
    assert adjusted([]).size == 0


def test_association_follows_fishers_exact_test() -> None:
    random = np.random.default_rng(1)
    for _ in range(30):
        table = random.integers(1, 40, (2, 2))
        size, first, second = int(table.sum()), int(table[0].sum()), int(table[:, 0].sum())
        mine = association(np.array([table[0, 0]]), np.array([first]), np.array([second]), size)[0]
        one_sided = min(fisher_exact(table, "greater").pvalue, fisher_exact(table, "less").pvalue)
        assert mine <= min(1, 2 * one_sided) + 1e-9, "mid-p is never above the doubled exact p"
        assert mine > one_sided * 0.5


def test_association_of_what_is_independent_is_evenly_spread() -> None:
    random = np.random.default_rng(2)
    both = random.hypergeometric(300, 700, 400, size=2000)
    p = association(both, np.full(2000, 300), np.full(2000, 400), 1000)
    assert 0.035 < (p < 0.05).mean() < 0.065


def test_association_of_expected_counts_is_that_of_whole_outfits() -> None:
    whole = association(np.array([12]), np.array([30]), np.array([20]), 100)
    assert association(np.array([12.4]), np.array([29.7]), np.array([20.2]), 99.8) == pytest.approx(whole)
    assert 0 <= association(np.array([1.0]), np.array([3.5]), np.array([3.5]), 6.0)[0] <= 1, "rounded past the ends"


def test_less_than_half_an_outfit_shows_no_association() -> None:
    some = np.array([0.1, 0.4])
    assert association(some / 2, some, some, 0.45).tolist() == [1.0, 1.0]


def log_likelihood(table: list[float], both: float) -> float:
    """Of a share with both, the margins as observed."""
    n = sum(table)
    a, b = (table[0] + table[1]) / n, (table[0] + table[2]) / n
    shares = (both, a - both, b - both, 1 - a - b + both)
    return sum(count * math.log(share) for count, share in zip(table, shares, strict=True) if count)


def variance_ratio(table: list[float]) -> float:
    """Variance of a log lift by the delta method, over that with both margins held."""
    # Half an outfit is added to each cell.
    shares = (np.array(table) + 0.5) / (sum(table) + 2)
    x, a, b = shares[0], shares[0] + shares[1], shares[0] + shares[2]
    slope = np.array([1 / x - 1 / a - 1 / b, -1 / a, -1 / b, 0.0])  # of log x - log a - log b in each cell
    whole = slope @ (np.diag(shares) - np.outer(shares, shares)) @ slope
    return max(1.0, whole * x**2 * (1 / shares).sum())


@pytest.mark.parametrize("table", [[10.0, 20.0, 30.0, 40.0], [3.5, 1.5, 10.25, 84.75], [40.0, 2.0, 1.0, 5.0]])
def test_the_interval_of_a_lift_ends_where_the_likelihood_has_fallen(table: list[float]) -> None:
    n, (both, alone, other, _) = sum(table), table
    a, b = (both + alone) / n, (both + other) / n
    ratio = variance_ratio(table)

    def over(x: float) -> float:
        return 2 * (log_likelihood(table, both / n) - log_likelihood(table, x)) - 3.841459 * ratio

    ends = [
        brentq(over, max(1e-12, a + b - 1 + 1e-12), both / n),
        brentq(over, both / n, min(a, b) - 1e-12),
    ]
    low, high = lift_interval(np.array([both]), np.array([both + alone]), np.array([both + other]), n)
    assert [low[0], high[0]] == pytest.approx([end / (a * b) for end in ends], rel=1e-6)
    turned = lift_interval(np.array([both]), np.array([both + other]), np.array([both + alone]), n)
    assert [low[0], high[0]] == pytest.approx([turned[0][0], turned[1][0]]), "neither of the two comes first"


def test_the_interval_of_a_lift_never_passes_what_is_possible() -> None:
    random = np.random.default_rng(7)
    n = 50
    first, second = random.integers(1, n + 1, 500), random.integers(1, n + 1, 500)
    least, most = np.maximum(0, first + second - n), np.minimum(first, second)
    both = random.integers(least, most + 1)
    low, high = lift_interval(both, first, second, n)
    lift = both * n / (first * second)
    assert (low <= lift + 1e-9).all() and (lift <= high + 1e-9).all()
    assert (low >= least * n / (first * second) - 1e-9).all() and (high <= most * n / (first * second) + 1e-9).all()
    # never together, each worn by half: the likelihood is (1/2 - x)^n, so that x ends at (1 - exp(-1.92 v / n)) / 2
    low, high = lift_interval(np.array([0]), np.array([25]), np.array([25]), 50)
    v = variance_ratio([0, 25, 25, 0])
    assert low[0] == 0 and high[0] == pytest.approx(2 * (1 - math.exp(-1.920729 * v / 50)))
    always, never = (lift_interval(np.array([each]), np.array([each]), np.array([20]), 50) for each in (20, 0))
    assert always[1][0] == pytest.approx(2.5), "the largest possible lift"
    assert np.isnan(never).all()
    assert lift_interval(np.array([20]), np.array([50]), np.array([20]), 50)[1][0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("both", "first", "second", "size"),
    [
        (0.0625, 0.25, 0.25, 200),
        (0.2, 0.25, 0.25, 1000),
        (0.05, 0.1, 0.1, 300),
        (0.02, 0.3, 0.3, 300),
        (0.4, 0.5, 0.5, 300),
    ],
)
def test_the_interval_of_a_lift_covers_the_truth_nineteen_times_in_twenty(
    both: float, first: float, second: float, size: int
) -> None:
    """Over samples from all outfits, in which the shares of the two vary as well."""
    cells = [both, first - both, second - both, 1 - first - second + both]
    drawn = np.random.default_rng(8).multinomial(size, cells, 4000)
    low, high = lift_interval(drawn[:, 0], drawn[:, :2].sum(axis=1), drawn[:, [0, 2]].sum(axis=1), size)
    lift = both / (first * second)
    assert 0.93 < ((low <= lift) & (lift <= high)).mean() < 0.97


def test_normalised_pmi_at_its_ends() -> None:
    found = normalised_pmi(np.array([0, 10, 25, 0]), np.array([10, 10, 50, 0]), np.array([10, 10, 50, 5]), 100)
    assert found[:3] == pytest.approx([-1, 1, 0], abs=1e-12) and math.isnan(found[3])
