"""Numbers of outfits by garment, pair and triple: sums over outfits, from which the statistics are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Counting", "Counts"]

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
