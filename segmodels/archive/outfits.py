"""Statistics of an archive: garments worn, garments worn together, and colours.

The functions turn tables of `Facts` into tables for a page. Shares are of outfits, 0..1. All tests of a call are
corrected together (Benjamini & Hochberg), including those that are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from segmodels.archive.intervals import adjusted, association, difference, normalised_pmi, wilson
from segmodels.errors import GarmentscopeError
from segmodels.taxonomy import Taxonomy

__all__ = [
    "SIGNIFICANT",
    "NotEnoughError",
    "by_period",
    "colour_pairs",
    "colour_shares",
    "colours_by_period",
    "companions",
    "pair_lift_by_period",
    "pairs",
    "triples",
    "worn",
]

SIGNIFICANT = 0.01
"""Corrected p below which a result is significant: a false discovery rate of 1 %."""

_LEAST_EACH = 5  # fewest outfits with a garment for its pairs


class NotEnoughError(GarmentscopeError, ValueError):
    """Too little data for an answer; the message says what is needed."""


def worn(masks: pd.DataFrame, taxonomy: Taxonomy, other: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share of outfits with each garment, the most worn first.

    Args:
        masks: Masks from `Facts.masks`.
        taxonomy: Taxonomy of the masks.
        other: Masks of another, disjoint view to compare with; None for no comparison.

    Returns:
        A row for each garment: `garment`, `outfits`, `share`, `low`, `high` (Wilson, 95 %). With `other` also
        `other_share`, `change`, `change_low`, `change_high` (Newcombe), `p` and `significant` (corrected over all
        garments).
    """
    counted = _count(masks, taxonomy)
    table = pd.DataFrame({"garment": counted.names, "outfits": counted.each, "of": counted.size})
    table = _with_shares(table).drop(columns="of")
    if other is not None:
        table = table.join(_changes(counted, _count(other, taxonomy)))
    return table.sort_values("outfits", ascending=False, kind="stable", ignore_index=True)


def companions(masks: pd.DataFrame, taxonomy: Taxonomy, name: str) -> pd.DataFrame:
    """Garments that are worn more, or less, with a garment than without it.

    Returns:
        A row for each other garment, the greatest difference first: `garment`, `share` (of those who wear `name`),
        `other_share` (of those who do not), `change`, `change_low`, `change_high`, `p` (corrected over all others) and
        `significant`.
    """
    held = masks["mask"].to_numpy(np.int64) & (1 << taxonomy[name].id) > 0
    with_it, without = (_count(part, taxonomy, but=name) for part in (masks[held], masks[~held]))
    table = pd.DataFrame({"garment": with_it.names, "outfits": with_it.each, "of": with_it.size})
    table = _with_shares(table)[["garment", "share"]].join(_changes(with_it, without))
    return table.sort_values("change", ascending=False, kind="stable", ignore_index=True)


def pairs(masks: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """All pairs of garments, with measures of how often they are worn together compared with chance.

    Returns:
        A row for each pair, in the taxonomy's display order: `first`, `second`, `outfits` with both, `support` (their
        share), `confidence` (of those with the first, share with the second), `lift`, `low` and `high` (its 95 %
        interval), `jaccard`, `npmi`, `p` (Fisher's exact test, mid-p, corrected over all pairs), `significant`.
    """
    counted = _count(masks, taxonomy)
    together = (counted.bits.T * counted.outfits) @ counted.bits
    one, other = np.triu_indices(len(counted.names), 1)
    table = pd.DataFrame({"first": counted.names[one], "second": counted.names[other], "outfits": together[one, other]})
    return _associations(table, counted.each[one], counted.each[other], counted.size)


def triples(masks: pd.DataFrame, taxonomy: Taxonomy, least: int = _LEAST_EACH) -> pd.DataFrame:
    """Rules "who wears these two also wears this": each triple that is worn, in its three directions.

    Args:
        masks: Masks from `Facts.masks`.
        taxonomy: Taxonomy of the masks.
        least: Smallest number of outfits with all three.

    Returns:
        A row for each rule, the greatest lift first: `first`, `second`, `then`, and the columns of `pairs` for the two
        taken as one; corrected over all rules whose parts are worn at all, shown or not.
    """
    counted = _count(masks, taxonomy)
    together = (counted.bits.T * counted.outfits) @ counted.bits
    three = np.einsum("mi,mj,mk->ijk", counted.bits * counted.outfits[:, None], counted.bits, counted.bits)
    rules = [
        (first, second, then)
        for chosen in combinations(range(len(counted.names)), 3)
        for then in chosen
        for first, second in [[index for index in chosen if index != then]]
    ]
    first, second, then = np.array(rules).T
    table = pd.DataFrame(
        {
            "first": counted.names[first],
            "second": counted.names[second],
            "then": counted.names[then],
            "outfits": three[first, second, then],
        }
    )
    table = _associations(table, together[first, second], counted.each[then], counted.size)
    return table[table["outfits"] >= least].sort_values("lift", ascending=False, kind="stable", ignore_index=True)


def by_period(masks: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """Shares by time.

    Args:
        masks: Masks from `Facts.masks` with a period.
        taxonomy: Taxonomy of the masks.

    Returns:
        `start`, `garment`, `outfits`, `of` (all of that period), `share`, `low`, `high`.
    """
    parts = []
    for start, part in masks.groupby("start", sort=True):
        counted = _count(part, taxonomy)
        parts.append(
            pd.DataFrame({"start": start, "garment": counted.names, "outfits": counted.each, "of": counted.size})
        )
    empty = pd.DataFrame({"start": [], "garment": [], "outfits": np.zeros(0, int), "of": np.zeros(0, int)})
    return _with_shares(pd.concat(parts, ignore_index=True) if parts else empty)


def pair_lift_by_period(masks: pd.DataFrame, taxonomy: Taxonomy, first: str, second: str) -> pd.DataFrame:
    """Lift of a pair over time: `start`, `outfits` with both, `of`, `lift`, `low`, `high`."""
    rows = []
    for start, part in masks.groupby("start", sort=True):
        bits, outfits = part["mask"].to_numpy(np.int64), part["outfits"].to_numpy(np.int64)
        has, also = (bits >> taxonomy[name].id & 1 > 0 for name in (first, second))
        both, a, b = (np.array([outfits[chosen].sum()]) for chosen in (has & also, has, also))
        rows.append((start, both[0], outfits.sum(), *(values[0] for values in _lift(both, a, b, int(outfits.sum())))))
    return pd.DataFrame(rows, columns=["start", "outfits", "of", "lift", "low", "high"])


def colour_shares(colours: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """Palette of each garment: `garment`, `colour`, `outfits`, `of` (all with that garment), `share`, `low`, `high`.

    Args:
        colours: Colours from `Facts.colours`.
        taxonomy: Taxonomy of the classes in `colours`.
    """
    table = _named(colours, taxonomy)
    table["of"] = table.groupby([*_time(table), "garment"])["outfits"].transform("sum")
    return _with_shares(table)


def colours_by_period(colours: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """`colour_shares` by period, with a column `start` and rows of 0 for colours that were not worn."""
    table = _named(colours, taxonomy)
    if table.empty:
        return _with_shares(table.assign(of=pd.Series(dtype=int)))
    sizes = table.groupby(["start", "garment"])["outfits"].sum().rename("of").reset_index()
    known = table[["garment", "colour"]].drop_duplicates()
    full = sizes.merge(known, on="garment").merge(table, how="left", on=["start", "garment", "colour"])
    full["outfits"] = full["outfits"].fillna(0).astype(int)
    return _with_shares(full[["start", "garment", "colour", "outfits", "of"]])


def colour_pairs(found: pd.DataFrame) -> pd.DataFrame:
    """Colours of two garments worn together, with lift against chance: the columns of `pairs`.

    Args:
        found: Pairs from `Facts.colour_pairs`.
    """
    size = int(found["outfits"].sum())
    ones, others = (found.groupby(column)["outfits"].sum() for column in ("first", "second"))
    grid = pd.MultiIndex.from_product([ones.index, others.index], names=["first", "second"])
    table = found.set_index(["first", "second"])["outfits"].reindex(grid, fill_value=0).reset_index()
    a, b = table["first"].map(ones).to_numpy(np.int64), table["second"].map(others).to_numpy(np.int64)
    return _associations(table, a, b, size)


def _associations(table: pd.DataFrame, a: np.ndarray, b: np.ndarray, size: int) -> pd.DataFrame:
    """Adds the measures of `pairs` to a table with `outfits` (with both); `a` and `b` are the outfits with each."""
    both = table["outfits"].to_numpy(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["support"] = both / size if size else np.zeros(len(both))
        table["confidence"] = np.where(a > 0, both / a, np.nan)
        table["jaccard"] = np.where(a + b > both, both / (a + b - both), np.nan)
    table["lift"], table["low"], table["high"] = _lift(both, a, b, size)
    table["npmi"] = normalised_pmi(both, a, b, size)
    tested = (a > 0) & (b > 0)
    table["p"] = np.nan
    table.loc[tested, "p"] = adjusted(association(both[tested], a[tested], b[tested], size))
    table["significant"] = table["p"] < SIGNIFICANT
    return table


def _lift(both: np.ndarray, a: np.ndarray, b: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lift and its 95 % interval: that of the conditional share (Wilson) over the share of the second in all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        base = np.where(b > 0, b / max(size, 1), np.nan)
        lift = np.where(a > 0, both / a, np.nan) / base
        low, high = wilson(both, a)
        return lift, np.where(a > 0, low / base, np.nan), np.where(a > 0, high / base, np.nan)


@dataclass(frozen=True)
class _Counted:
    """Masks as a matrix of bits.

    Args:
        names: Names of the garments, `(k,)`, in display order.
        bits: Bits, int64 `(masks, k)`, 1 where the mask holds the garment.
        outfits: Number of outfits with each mask, int64 `(masks,)`.
    """

    names: np.ndarray
    bits: np.ndarray
    outfits: np.ndarray

    @property
    def size(self) -> int:
        return int(self.outfits.sum())

    @property
    def each(self) -> np.ndarray:
        """Outfits with each garment, int64 `(k,)`."""
        result: np.ndarray = self.outfits @ self.bits
        return result


def _count(masks: pd.DataFrame, taxonomy: Taxonomy, but: str = "") -> _Counted:
    worn_classes = [garment for garment in taxonomy.worn if garment.name != but]
    bits = masks["mask"].to_numpy(np.int64)[:, None] >> np.array([garment.id for garment in worn_classes]) & 1
    names = np.array([garment.name for garment in worn_classes], object)
    return _Counted(names, bits, masks["outfits"].to_numpy(np.int64))


def _changes(now: _Counted, before: _Counted) -> pd.DataFrame:
    """How the share of each garment differs between two groups of outfits, tested together."""
    found = [difference(a, now.size, b, before.size) for a, b in zip(now.each, before.each, strict=True)]
    table = pd.DataFrame(
        {
            "other_share": before.each / before.size if before.size else np.full(len(found), np.nan),
            "change": [each.value for each in found],
            "change_low": [each.low for each in found],
            "change_high": [each.high for each in found],
            "p": adjusted([each.p for each in found]),
        }
    )
    return table.assign(significant=table["p"] < SIGNIFICANT)


def _with_shares(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    table["share"] = table["outfits"] / table["of"].where(table["of"] > 0)
    table["low"], table["high"] = wilson(table["outfits"].to_numpy(), table["of"].to_numpy())
    return table


def _named(colours: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    table = colours.rename(columns={"garments": "outfits"})
    table.insert(0, "garment", [taxonomy.names[index] for index in table.pop("class")])
    return table


def _time(table: pd.DataFrame) -> list[str]:
    return ["start"] if "start" in table else []
