"""Numbers of outfits by garment, pair and triple: sums over outfits, from which the statistics are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations
from typing import Literal

import numpy as np

__all__ = ["Counting", "Counts", "add_up"]

Counting = Literal["expected", "raw"]
"""Expected counts are sums of the probability that a garment is worn; raw counts are of every garment found."""


_FEW = 2048  # outfits whose products of three stay in the processor's cache


@dataclass(frozen=True)
class Counts:
    """Outfits of a view, by what is worn.

    The numbers are int64 in raw counts and float64 in expected ones. An expected number of outfits with two or three
    garments is the sum of the probabilities that an outfit has all of them: see `add_up`.

    Args:
        names: Names of the garments, `k` of them, in display order.
        size: Number of outfits.
        each: Outfits with each garment, `(k,)`.
        together: Outfits with both of two garments, `(k, k)`; on the diagonal `each`.
        three: Outfits with all of three different garments, `(k, k, k)`, where they were asked for.
        classes: Class of each garment, where they are kinds of classes, of which an outfit has one at most.
    """

    names: tuple[str, ...]
    size: float
    each: np.ndarray
    together: np.ndarray
    three: np.ndarray | None = None
    classes: tuple[str, ...] = ()

    def exclude(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether two garments, by their places `(n,)`, are kinds of one class, which nobody wears together."""
        names = np.array(self.classes or self.names, object)
        return np.asarray(names[one] == names[other])


def add_up(
    names: Sequence[str],
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    correlations: np.ndarray | None = None,
    classes: Sequence[str] = (),
    triples: bool = False,
) -> Counts:
    """Adds up outfits.

    An outfit has two garments with the probability `p q + r sqrt(p (1 - p) q (1 - q))`, limited to at least
    `max(0, p + q - 1)` and at most the smaller of p and q: their presences p and q, and the correlation r of the errors
    of the presences. The number of a triple is the sum of `p q s` times three ratios: for each of its pairs, the number
    with correlations over the number without. Sums, which are rounded, and triples are kept within what they are parts
    of allow: a triple is at most the number of each of its pairs.

    Args:
        names: Names of the garments, `k` of them.
        blocks: Weights of some outfits, `(n,)`, and the probability that each garment is worn in each of them,
            `(k, n)`; of dtype int64 (all of them 0 or 1, and the weight is a number of equal outfits) or float32.
        correlations: Correlation of the errors of each two garments, `(k, k)`, the same for all kinds of a class; None
            for none.
        classes: Class of each garment, where they are kinds of classes; those of a class in a row.
        triples: Whether to count triples.
    """
    if classes:
        return _add_up_kinds(names, blocks, correlations, classes, triples=triples)
    k = len(names)
    one, other = np.triu_indices(k, 1)
    related = None if correlations is None else correlations[one, other][:, None].astype(np.float32)
    size, each, apart, both = np.zeros((), np.int64), np.zeros(k, np.int64), *np.zeros((2, len(one)), np.int64)
    three = np.zeros((len(one), k), np.int64)
    for weight, presence in blocks:
        first, second = presence[one], presence[other]
        product = first * second
        size = size + weight.sum()
        each = each + _wide(presence @ weight)
        apart = apart + _wide(product @ weight)
        if triples:
            three = three + _wide((weight * product) @ presence.T)
        if related is not None:
            spread = np.sqrt(presence * (1 - presence))
            joint = product + related * (spread[one] * spread[other])
            joint = np.clip(joint, np.maximum(first + second - 1, 0), np.minimum(first, second))
            both = both + _wide(joint @ weight)
    if related is None:
        both = apart
    each = np.minimum(each, size)
    together = np.zeros((k, k), each.dtype)
    least, most = each[one] + each[other] - size, np.minimum(each[one], each[other])
    together[one, other] = together[other, one] = np.minimum(np.maximum(both, least), most)
    np.fill_diagonal(together, each)
    if triples:
        found = _within_pairs(_triples(three, apart, both, k), together, each)
        return Counts(tuple(names), size.item(), each, together, found)
    return Counts(tuple(names), size.item(), each, together)


def _add_up_kinds(
    names: Sequence[str],
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    correlations: np.ndarray | None,
    classes: Sequence[str],
    *,
    triples: bool,
) -> Counts:
    """What `add_up` does, of kinds: pairs of classes first, and of those the shares of their kinds."""
    k = len(names)
    starts = np.sort(np.unique(classes, return_index=True)[1])
    spans = [slice(*ends) for ends in pairwise([*starts.tolist(), k])]
    of_class = np.repeat(np.arange(len(spans)), [span.stop - span.start for span in spans])
    together = of_class[:, None] != of_class  # whether two garments are not kinds of one class
    one, other = np.triu_indices(len(spans), 1)
    r = np.zeros(len(one)) if correlations is None else correlations[np.ix_(starts, starts)][one, other]
    one, other, related = one[r != 0], other[r != 0], r[r != 0][:, None].astype(np.float32)
    each, apart, more = np.zeros(k), np.zeros((k, k)), np.zeros((k, k))
    three = np.zeros((k, k, k))
    size, whole_numbers = 0.0, True
    for factor, found in blocks:
        whole_numbers = whole_numbers and found.dtype.kind != "f"
        precision = "f8" if whole_numbers else "f4"  # whole numbers stay exact, and have fast products
        weight, presence = (np.asarray(values, precision) for values in (factor, found))
        size += float(weight.sum(dtype=np.float64))
        each += presence @ weight
        weighted = presence * weight
        apart += weighted @ presence.T
        if len(one):
            whole = np.add.reduceat(presence, starts, axis=0)
            share = presence / np.maximum(whole, 1e-9)[of_class]
            spread = np.sqrt(np.maximum(whole * (1 - whole), 0))
            a, b = whole[one], whole[other]
            joint = a * b
            less = np.clip(joint + related * (spread[one] * spread[other]), np.maximum(a + b - 1, 0), np.minimum(a, b))
            less -= joint
            less *= weight
            for place, (x, y) in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
                more[spans[x], spans[y]] += (share[spans[x]] * less[place]) @ share[spans[y]].T
        if triples:
            for few in range(0, len(weight), _FEW):
                part, factors = presence[:, few : few + _FEW], weighted[:, few : few + _FEW]
                for early, middle in combinations(spans[:-1], 2):  # with all classes after both
                    later = part[middle.stop :]
                    products = factors[early][:, None] * part[middle]
                    sums = products.reshape(-1, later.shape[1]) @ later.T
                    three[early, middle, middle.stop :] += sums.reshape(*products.shape[:2], -1)
    each = np.minimum(each, size)
    both = np.where(together, apart + more + more.T, 0)
    np.fill_diagonal(both, each)
    of_three = None
    if triples:
        every = np.sum([three.transpose(order) for order in permutations(range(3))], axis=0)  # each stands there once
        of_three = _within_pairs(every * _ratios(apart, both), both, each)
    if not whole_numbers:
        return Counts(tuple(names), size, each, both, of_three, tuple(classes))
    whole_each, whole_both = (np.rint(values).astype(np.int64) for values in (each, both))
    whole_three = None if of_three is None else np.rint(of_three).astype(np.int64)
    return Counts(tuple(names), round(size), whole_each, whole_both, whole_three, tuple(classes))


def _wide(values: np.ndarray) -> np.ndarray:
    """The sums of a block in the dtype of the sums of all."""
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def _triples(three: np.ndarray, apart: np.ndarray, both: np.ndarray, k: int) -> np.ndarray:
    """Triples by their three garments, `(k, k, k)`.

    Args:
        three: Sums of the products of three presences, by pair and garment, `(pairs, k)`.
        apart: Pairs without correlations, `(pairs,)`.
        both: Pairs with correlations, `(pairs,)`; `apart` itself if there are none.
        k: Number of garments.
    """
    one, other = np.triu_indices(k, 1)
    result = np.zeros((k, k, k), three.dtype)
    result[one, other] = result[other, one] = three
    if both is not apart:
        square = np.zeros((2, k, k))
        for matrix, values in zip(square, (apart, both), strict=True):
            matrix[one, other] = matrix[other, one] = values
        result = result * _ratios(*square)
    return result


def _ratios(apart: np.ndarray, both: np.ndarray) -> np.ndarray:
    """What corrects the products of three presences for the correlations of their pairs, `(k, k, k)`.

    Args:
        apart: Pairs without correlations, `(k, k)`.
        both: Pairs with correlations, `(k, k)`.
    """
    ratio = np.where(apart > 0, both / np.where(apart > 0, apart, 1), 1)
    return np.asarray(ratio[:, :, None] * ratio[:, None, :] * ratio[None, :, :])


def _within_pairs(three: np.ndarray, together: np.ndarray, each: np.ndarray) -> np.ndarray:
    """Triples, `(k, k, k)`, within what the numbers of their pairs allow."""
    ij, ik, jk = together[:, :, None], together[:, None, :], together[None, :, :]
    i, j, k = np.ix_(each, each, each)
    least = np.maximum(np.maximum(ij + ik - i, ij + jk - j), ik + jk - k)
    most = np.minimum(np.minimum(ij, ik), jk)
    return np.asarray(np.minimum(np.maximum(three, least), most))
