"""Numbers of outfits by garment, pair and triple: sums over outfits, from which the statistics are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Counting", "Counts", "add_up"]

Counting = Literal["expected", "raw"]
"""Expected counts are sums of the probability that a garment is worn; raw counts are of every garment found."""


@dataclass(frozen=True)
class Counts:
    """Outfits of a view, by what is worn.

    The numbers are int64 in raw counts and float64 in expected ones. An expected number of outfits with two garments is
    the sum of the products of their probabilities: given an outfit's photo, the two are taken to be independent.

    Args:
        names: Names of the garments, `k` of them, in display order.
        size: Number of outfits.
        each: Outfits with each garment, `(k,)`.
        together: Outfits with both of two garments, `(k, k)`; on the diagonal `each`.
        three: Outfits with all of three different garments, `(k, k, k)`, where they were asked for.
    """

    names: tuple[str, ...]
    size: float
    each: np.ndarray
    together: np.ndarray
    three: np.ndarray | None = None


def add_up(names: Sequence[str], blocks: Iterable[tuple[np.ndarray, np.ndarray]], *, triples: bool = False) -> Counts:
    """Adds up outfits.

    Args:
        names: Names of the garments.
        blocks: Weights of some outfits, `(n,)`, and the probability that each garment is worn in each of them,
            `(k, n)`; of dtype int64 (all of them 0 or 1, and the weight is a number of equal outfits) or float64.
        triples: Whether to count triples.
    """
    k = len(names)
    one, other = np.triu_indices(k, 1)
    whole = np.zeros(1, np.int64)
    each, together, three = np.zeros(k, np.int64), np.zeros((k, k), np.int64), np.zeros((k, k, k), np.int64)
    for weight, presence in blocks:
        weighted = weight * presence
        whole = whole + weight.sum()
        each = each + weighted.sum(axis=1)
        together = together + weighted @ presence.T
        if triples:
            found = (weighted[one] * presence[other]) @ presence.T
            three = three + np.zeros_like(three, found.dtype)
            three[one, other] += found
            three[other, one] += found
    np.fill_diagonal(together, each)
    return Counts(tuple(names), whole[0].item(), each, together, three if triples else None)
