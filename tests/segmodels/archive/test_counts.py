from itertools import permutations

import numpy as np
import pytest

from segmodels.archive.counts import add_up

NAMES = ("Coat", "Hat", "Bag")


def test_no_triple_is_more_frequent_than_its_pairs() -> None:
    """Three presences of 0.5 whose errors are the same: all three are worn in half of the outfits, as each pair is."""
    correlations = np.ones((3, 3)) - np.eye(3)
    block = np.ones(8, np.float32), np.full((3, 8), 0.5, np.float32)
    found = add_up(NAMES, [block], correlations=correlations, triples=True)
    assert found.together == pytest.approx(np.full((3, 3), 4.0))
    assert found.three is not None and found.three[0, 1, 2] == found.three[2, 0, 1] == pytest.approx(4.0)


def test_triples_without_correlations_are_products() -> None:
    block = np.ones(8, np.float32), np.full((3, 8), 0.5, np.float32)
    found = add_up(NAMES, [block], triples=True)
    assert found.size == 8 and found.together[0, 1] == pytest.approx(2.0)
    assert found.three is not None and found.three[0, 1, 2] == pytest.approx(1.0)


def test_the_rarest_pair_bounds_a_triple_of_pairs_that_contradict_each_other() -> None:
    """Hat and Bag are each worn with the coat in 0.72 of 0.8 outfits, so both in 0.64 at least; their pair says 0.6."""
    presence = np.full((3, 1), 0.8, np.float32)
    correlations = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, -0.9], [0.5, -0.9, 0.0]])
    found = add_up(NAMES, [(np.ones(1, np.float32), presence)], correlations=correlations, triples=True)
    assert found.three is not None
    assert found.together[0, 1] == pytest.approx(0.72) and found.together[1, 2] == pytest.approx(0.6)
    assert {round(found.three[order], 6) for order in permutations(range(3))} == {0.6}


def test_sums_of_rounded_numbers_stay_within_what_they_are_parts_of() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        weight = random.random(1000).astype(np.float32)
        presence = random.random((3, 1000)).astype(np.float32)
        presence[0] = 1  # as in a view of those who wear it
        found = add_up(NAMES, [(weight, presence)], triples=True)
        assert found.three is not None
        assert found.each.max() <= found.size and found.each[0] == pytest.approx(found.size)
        assert (found.together <= np.minimum.outer(found.each, found.each)).all()
        assert (found.together >= np.add.outer(found.each, found.each) - found.size).all()
        assert found.three[0, 1, 2] <= found.together[1, 2] == pytest.approx(found.three[0, 1, 2])


def test_whole_numbers_stay_whole() -> None:
    found = add_up(NAMES, [(np.array([3, 2]), np.array([[1, 1], [1, 0], [1, 1]]))], triples=True)
    assert found.three is not None
    assert found.size == 5 and found.each.tolist() == [5, 3, 5] and found.together[0, 1] == 3
    assert found.three[0, 1, 2] == 3 and found.three.dtype == found.together.dtype == np.int64
