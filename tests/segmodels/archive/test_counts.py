import numpy as np
import pytest

from segmodels.archive.counts import add_up


def test_no_triple_is_more_frequent_than_its_pairs() -> None:
    """Three presences of 0.5 whose errors are the same: all three are worn in half of the outfits, as each pair is."""
    correlations = np.ones((3, 3)) - np.eye(3)
    block = np.ones(8, np.float32), np.full((3, 8), 0.5, np.float32)
    found = add_up(["Coat", "Hat", "Bag"], [block], correlations=correlations, triples=True)
    assert found.together == pytest.approx(np.full((3, 3), 4.0))
    assert found.three is not None and found.three[0, 1, 2] == found.three[2, 0, 1] == pytest.approx(4.0)


def test_triples_without_correlations_are_products() -> None:
    block = np.ones(8, np.float32), np.full((3, 8), 0.5, np.float32)
    found = add_up(["Coat", "Hat", "Bag"], [block], triples=True)
    assert found.size == 8 and found.together[0, 1] == pytest.approx(2.0)
    assert found.three is not None and found.three[0, 1, 2] == pytest.approx(1.0)
