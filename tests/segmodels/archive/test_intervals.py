import math

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact
from statsmodels.stats.proportion import proportion_confint

from segmodels.archive.intervals import (
    Reliability,
    adjusted,
    association,
    corrected,
    difference,
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


def test_difference_by_hand() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:873), table II, row a: 56/70 less 48/80, method 10
    found = difference(56, 70, 48, 80)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=2e-4) and found.high == pytest.approx(0.3339, abs=2e-4)
    assert 0.001 < found.p < 0.02


@pytest.mark.parametrize("arguments", [(0, 10, 0, 20), (10, 10, 20, 20)])
def test_no_difference_where_nobody_or_everybody_has_it(arguments: tuple[int, int, int, int]) -> None:
    assert difference(*arguments).p == 1


def test_an_empty_group_differs_from_nothing() -> None:
    found = difference(1, 2, 0, 0)
    assert math.isnan(found.value) and (found.low, found.high, found.p) == (-1, 1, 1)


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


def test_normalised_pmi_at_its_ends() -> None:
    found = normalised_pmi(np.array([0, 10, 25, 0]), np.array([10, 10, 50, 0]), np.array([10, 10, 50, 5]), 100)
    assert found[:3] == pytest.approx([-1, 1, 0], abs=1e-12) and math.isnan(found[3])


def test_rogan_gladen_by_hand() -> None:
    found = corrected(200, 1000, Reliability(0.8, 100, 0.9, 100))
    assert found is not None
    assert found.share == pytest.approx((0.2 + 0.9 - 1) / 0.7)
    assert found.low < found.share < found.high


def test_no_correction_where_the_errors_are_too_large_or_unknown() -> None:
    assert corrected(5, 10, Reliability(0.6, 50, 0.55, 50)) is None
    assert corrected(5, 10, Reliability(0.9, 0, 0.9, 50)) is None
    assert corrected(0, 0, Reliability(0.9, 50, 0.9, 50)) is None


def test_the_corrected_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    # Lang & Reiczigel 2014 report 95 % within about a point for such sizes; a plain interval misses far more.
    random = np.random.default_rng(3)
    true, sensitivity, specificity, worn, not_worn, size = 0.1, 0.8, 0.95, 40, 110, 2000
    covered = plain = 0
    for _ in range(600):
        count = int(binom.rvs(size, true * sensitivity + (1 - true) * (1 - specificity), random_state=random))
        reliability = Reliability(
            random.binomial(worn, sensitivity) / worn, worn, random.binomial(not_worn, specificity) / not_worn, not_worn
        )
        found = corrected(count, size, reliability)
        assert found is not None
        covered += found.low <= true <= found.high
        low, high = wilson([count], size)
        plain += bool(low[0] <= true <= high[0])
    assert 0.93 < covered / 600 < 0.985
    assert plain / 600 < 0.93
