"""Statistics of an archive: garments worn, garments worn together, and colours.

The functions turn counts and tables of `Facts` into tables for a page; expected and raw counts are treated alike.
Shares are of outfits, 0..1. All tests of a call are corrected together (Benjamini & Hochberg), including those that are
not shown. `errors` are standard errors of a share that stem from the calibration of the presence, by class: the
intervals of shares of garments include them. The intervals of colours, differences and lifts allow for sampling only:
where groups are compared, the error of the calibration is largely common to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import chi2

from segmodels.archive.counts import Counts
from segmodels.archive.intervals import adjusted, association, difference, lift_interval, normalised_pmi, wilson
from segmodels.errors import GarmentscopeError
from segmodels.taxonomy import Taxonomy

__all__ = [
    "SIGNIFICANT",
    "Errors",
    "NotEnoughError",
    "by_period",
    "colour_changes",
    "colour_pairs",
    "colour_shares",
    "colours_by_period",
    "companions",
    "compare_groups",
    "pair_changes",
    "pair_lift_by_period",
    "pairs",
    "rules",
    "triples",
    "worn",
    "year_on_year",
]

SIGNIFICANT = 0.01
"""Corrected p below which a result is significant: a false discovery rate of 1 %."""

_LEAST_TOGETHER = 5  # fewest outfits with all garments of a rule
_ROUNDING = 1e-6  # of sums of probabilities, as a share


Errors = Mapping[str, float]
"""Standard errors of a share by class; 0 for a class without one."""

_NO_ERRORS: Errors = MappingProxyType({})


class NotEnoughError(GarmentscopeError, ValueError):
    """Too little data for an answer; the message says what is needed."""


def worn(counts: Counts, other: Counts | None = None, errors: Errors = _NO_ERRORS) -> pd.DataFrame:
    """Share of outfits with each garment, the most worn first.

    Args:
        counts: Counts of a view.
        other: Counts of another, disjoint view to compare with; None for no comparison.
        errors: Standard errors from the calibration, by class.

    Returns:
        A row for each garment: `garment`, `outfits`, `share`, `low`, `high` (Wilson, 95 %). With `other` also
        `other_share`, `change`, `change_low`, `change_high` (Newcombe), `p` and `significant` (corrected over all
        garments).
    """
    table = pd.DataFrame({"garment": np.array(counts.names, object), "outfits": counts.each, "of": counts.size})
    table = _with_shares(table, errors).drop(columns="of")
    if other is not None:
        table = table.join(_changes(counts.each, counts.size, other.each, other.size))
    return table.sort_values("outfits", ascending=False, kind="stable", ignore_index=True)


def compare_groups(table: pd.DataFrame, errors: Errors = _NO_ERRORS) -> pd.DataFrame:
    """Share of outfits with each garment in several groups that have no outfit in common.

    Pearson's chi-squared test that a garment has the same share in all groups; it is not made where a group is expected
    to have fewer than 5 outfits with the garment, or fewer than 5 without.

    Args:
        table: A row for each group and garment: `group`, `garment`, `outfits` and `of`, which may be expected counts.
        errors: Standard errors from the calibration, by class.

    Returns:
        The table with `share`, `low`, `high` (Wilson, 95 %), `p` (corrected over all garments; NaN without a test) and
        `significant`.
    """
    worn_by = table.pivot_table(index="garment", columns="group", values="outfits", aggfunc="sum", sort=False).fillna(0)
    size = table.groupby("group", sort=False)["of"].first().reindex(worn_by.columns).to_numpy(float)
    seen = worn_by.to_numpy(float)
    pooled = seen.sum(axis=1, keepdims=True) / size.sum()
    least = np.minimum(size * pooled, size * (1 - pooled)).min(axis=1)
    tested = (least >= _LEAST_TOGETHER) & (len(size) > 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = ((seen - size * pooled) ** 2 / (size * pooled * (1 - pooled))).sum(axis=1)
    p = pd.Series(np.nan, worn_by.index)
    p[tested] = adjusted(chi2.sf(statistic[tested], len(size) - 1))
    found = _with_shares(table, errors)
    found["p"] = found["garment"].map(p)
    found["significant"] = found["p"] < SIGNIFICANT
    return found


def companions(counts: Counts, name: str) -> pd.DataFrame:
    """Garments that are worn more, or less, with a garment than without it.

    Returns:
        A row for each garment of another class, the greatest difference first: `garment`, `share` (of those who wear
        `name`), `other_share` (of those who do not), `change`, `change_low`, `change_high`, `p` (corrected over all
        others) and `significant`.
    """
    place = counts.names.index(name)
    others = ~counts.exclude(np.arange(len(counts.names)), np.array(place))
    size, with_it = counts.each[place].item(), counts.together[place][others]
    without = (counts.each - counts.together[place])[others]
    rest = counts.size - size
    if rest < _ROUNDING * counts.size:  # everybody wears it
        rest, without = 0, np.zeros_like(without)
    table = pd.DataFrame({"garment": np.array(counts.names, object)[others], "outfits": with_it, "of": size})
    changes = _changes(with_it, size, without, rest)
    table = _with_shares(table)[["garment", "share"]].join(changes)
    return table.sort_values("change", ascending=False, kind="stable", ignore_index=True)


def pairs(counts: Counts) -> pd.DataFrame:
    """All pairs of garments, with measures of how often they are worn together compared with chance.

    Kinds of one class are no pair: nobody wears two of them.

    Returns:
        A row for each pair, in the taxonomy's display order: `first`, `second`, `outfits` with both, `support` (their
        share), `confidence` (of those with the first, share with the second), `reverse` (of those with the second,
        share with the first), `lift`, `low` and `high` (its 95 % interval), `jaccard`, `npmi`, `p` (Fisher's exact
        test, mid-p, corrected over all pairs), `significant`.
    """
    names = np.array(counts.names, object)
    one, other = np.triu_indices(len(names), 1)
    pair = ~counts.exclude(one, other)
    one, other = one[pair], other[pair]
    table = pd.DataFrame({"first": names[one], "second": names[other], "outfits": counts.together[one, other]})
    return _associations(table, counts.each[one], counts.each[other], counts.size)


def pair_changes(counts: Counts, other: Counts) -> pd.DataFrame:
    """How often two garments are worn together in two groups of outfits.

    The tests take the groups as independent, which is cautious where they have outfits in common.

    Returns:
        A row for each pair, in the taxonomy's display order: `first`, `second`, `outfits` with both, `share` (of the
        first group), `lift`, the same of the other group as `other_outfits`, `other_share` and `other_lift`, `change`,
        `change_low`, `change_high` (Newcombe, 95 %), `p` (score test, corrected over all pairs) and `significant`.
    """
    one, two = pairs(counts), pairs(other)
    table = one[["first", "second", "outfits", "support", "lift"]].rename(columns={"support": "share"})
    table["other_outfits"], table["other_lift"] = two["outfits"], two["lift"]
    changes = _changes(one["outfits"].to_numpy(), counts.size, two["outfits"].to_numpy(), other.size)
    return table.join(changes)


def colour_changes(colours: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The main colours of a garment in two groups of outfits, the most frequent of both first.

    Args:
        colours: Rows of one class from `Facts.colours`.
        other: The same of another group.

    Returns:
        A row for each colour: `colour`, `outfits`, `share`, `low`, `high` (Wilson, 95 %), the same of the other group
        as `other_outfits` and so on, `change`, `change_low`, `change_high`, `p` (corrected over all colours) and
        `significant`.
    """
    ones, others = (part.groupby("colour")["garments"].sum() for part in (colours, other))
    names = ones.add(others, fill_value=0).sort_values(ascending=False, kind="stable").index
    table = pd.DataFrame({"colour": names.to_numpy(object)})
    for prefix, counts in (("", ones), ("other_", others)):
        count = counts.reindex(names, fill_value=0).to_numpy()
        size = count.sum().item()
        table[f"{prefix}outfits"], table[f"{prefix}share"] = count, count / size if size else np.nan
        table[f"{prefix}low"], table[f"{prefix}high"] = wilson(count, size)
    now, before = table["outfits"].to_numpy(), table["other_outfits"].to_numpy()
    changes = _changes(now, now.sum().item(), before, before.sum().item())
    return table.join(changes.drop(columns="other_share"))


def year_on_year(now: pd.DataFrame, before: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """How shares differ between a season and the same season of the year before.

    Args:
        now: Rows of the season with the columns `by`, `outfits` and `of`.
        before: The same of the year before.
        by: Columns that name the garment, and its colour if any.

    Returns:
        A row for each, the greatest rise first: `by`, `outfits`, `share`, `other_outfits`, `other_share`, `change`,
        `change_low`, `change_high` (Newcombe, 95 %), `p` (score test, corrected over all) and `significant`. What
        fewer than 5 outfits of both have is left out.
    """
    columns = [*by, "outfits", "of"]
    table = now[columns].merge(before[columns], how="outer", on=by, suffixes=("", "_before"))
    garment = by[0]
    for name in ("of", "of_before"):  # a colour that nobody wears has no row, and its garment has
        table[name] = table.groupby(garment)[name].transform("max").fillna(0)
    table = table.fillna({"outfits": 0, "outfits_before": 0})
    table = table[table["outfits"] + table["outfits_before"] >= _LEAST_TOGETHER].reset_index(drop=True)
    found = [
        difference(*(float(row[key]) for key in ("outfits", "of", "outfits_before", "of_before")))
        for row in table.to_dict("records")
    ]
    result = table[[*by, "outfits"]].assign(
        share=table["outfits"] / table["of"].where(table["of"] > 0),
        other_outfits=table["outfits_before"],
        other_share=table["outfits_before"] / table["of_before"].where(table["of_before"] > 0),
        change=[each.value for each in found],
        change_low=[each.low for each in found],
        change_high=[each.high for each in found],
        p=adjusted([each.p for each in found]),
    )
    result["significant"] = result["p"] < SIGNIFICANT
    known = result.dropna(subset=["change"])
    return known.sort_values("change", ascending=False, kind="stable", ignore_index=True)


def rules(counts: Counts, least: int = _LEAST_TOGETHER) -> pd.DataFrame:
    """Pairs that are worn, each once, in the direction of the larger confidence, the greatest lift first.

    Args:
        counts: Counts of a view.
        least: Smallest number of outfits with both.

    Returns:
        The columns of `pairs`.
    """
    table = pairs(counts)
    turned = (table["reverse"] > table["confidence"]).to_numpy()
    for one, other in (("first", "second"), ("confidence", "reverse")):
        table[one], table[other] = (
            table[one].where(~turned, table[other]),
            table[other].where(~turned, table[one]),
        )
    return table[table["outfits"] >= least].sort_values("lift", ascending=False, kind="stable", ignore_index=True)


def triples(counts: Counts, least: int = _LEAST_TOGETHER) -> pd.DataFrame:
    """Rules "who wears these two also wears this": each triple that is worn, in its three directions.

    Args:
        counts: Counts of a view, with triples.
        least: Smallest number of outfits with all three.

    Returns:
        A row for each rule, the greatest lift first: `first`, `second`, `then`, and the columns of `pairs` for the two
        taken as one; corrected over all rules whose parts are worn at all, shown or not.
    """
    if counts.three is None:
        raise ValueError("Rules of triples need counts with triples.")
    names = np.array(counts.names, object)
    found = [
        (first, second, then)
        for chosen in combinations(range(len(names)), 3)
        for then in chosen
        for first, second in [[index for index in chosen if index != then]]
    ]
    first, second, then = np.array(found).T
    apart = ~(counts.exclude(first, second) | counts.exclude(first, then) | counts.exclude(second, then))
    first, second, then = first[apart], second[apart], then[apart]
    table = pd.DataFrame(
        {
            "first": names[first],
            "second": names[second],
            "then": names[then],
            "outfits": counts.three[first, second, then],
        }
    )
    table = _associations(table, counts.together[first, second], counts.each[then], counts.size)
    return table[table["outfits"] >= least].sort_values("lift", ascending=False, kind="stable", ignore_index=True)


def by_period(found: pd.DataFrame, errors: Errors = _NO_ERRORS) -> pd.DataFrame:
    """Shares by time.

    Args:
        found: Counts from `Facts.counts_by_period`.
        errors: Standard errors from the calibration, by class.

    Returns:
        `start`, `garment`, `outfits`, `of` (all of that period), `share`, `low`, `high`.
    """
    return _with_shares(found, errors)


def pair_lift_by_period(found: pd.DataFrame) -> pd.DataFrame:
    """Lift of a pair over time: `start`, `outfits` with both, `of`, `lift`, `low`, `high`.

    Args:
        found: Counts from `Facts.pair_by_period`.
    """
    table = found[["start", "outfits", "of"]].copy()
    sizes = found["of"].to_numpy(float)
    a, b, both = (found[key].to_numpy(float) for key in ("first", "second", "outfits"))
    with np.errstate(divide="ignore", invalid="ignore"):
        table["lift"] = np.where((a > 0) & (b > 0), both * sizes / (a * b), np.nan)
    table["low"], table["high"] = lift_interval(both, a, b, sizes)
    return table


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
    full["outfits"] = full["outfits"].fillna(0).astype(table["outfits"].dtype)
    return _with_shares(full[["start", "garment", "colour", "outfits", "of"]])


def colour_pairs(found: pd.DataFrame) -> pd.DataFrame:
    """Colours of two garments worn together, with lift against chance: the columns of `pairs`.

    Args:
        found: Pairs from `Facts.colour_pairs`.
    """
    size = found["outfits"].to_numpy().sum().item()
    ones, others = (found.groupby(column)["outfits"].sum() for column in ("first", "second"))
    grid = pd.MultiIndex.from_product([ones.index, others.index], names=["first", "second"])
    table = found.set_index(["first", "second"])["outfits"].reindex(grid, fill_value=0).reset_index()
    a, b = table["first"].map(ones).to_numpy(), table["second"].map(others).to_numpy()
    return _associations(table, a, b, size)


def _associations(table: pd.DataFrame, a: np.ndarray, b: np.ndarray, size: float) -> pd.DataFrame:
    """Adds the measures of `pairs` to a table with `outfits` (with both); `a` and `b` are the outfits with each."""
    both = table["outfits"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        table["support"] = both / size if size else np.zeros(len(both))
        table["confidence"] = np.where(a > 0, both / a, np.nan)
        table["reverse"] = np.where(b > 0, both / b, np.nan)
        table["jaccard"] = np.where(a + b > both, both / (a + b - both), np.nan)
        table["lift"] = np.where((a > 0) & (b > 0), both / a / (b / size if size else 1.0), np.nan)
    table["low"], table["high"] = lift_interval(both, a, b, size)
    table["npmi"] = normalised_pmi(both, a, b, size)
    tested = (a > 0) & (b > 0)
    table["p"] = np.nan
    table.loc[tested, "p"] = adjusted(association(both[tested], a[tested], b[tested], size))
    table["significant"] = table["p"] < SIGNIFICANT
    return table


def _changes(now: np.ndarray, size: float, before: np.ndarray, before_size: float) -> pd.DataFrame:
    """How the share of each garment differs between two groups of outfits, tested together."""
    found = [difference(a, size, b, before_size) for a, b in zip(now.tolist(), before.tolist(), strict=True)]
    table = pd.DataFrame(
        {
            "other_share": before / before_size if before_size else np.full(len(found), np.nan),
            "change": [each.value for each in found],
            "change_low": [each.low for each in found],
            "change_high": [each.high for each in found],
            "p": adjusted([each.p for each in found]),
        }
    )
    return table.assign(significant=table["p"] < SIGNIFICANT)


def _with_shares(table: pd.DataFrame, errors: Errors = _NO_ERRORS) -> pd.DataFrame:
    table = table.copy()
    table["share"] = table["outfits"] / table["of"].where(table["of"] > 0)
    spread = table["garment"].map(lambda name: errors.get(name, 0.0)).to_numpy(float)
    table["low"], table["high"] = wilson(table["outfits"].to_numpy(), table["of"].to_numpy(), spread)
    return table


def _named(colours: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    table = colours.rename(columns={"garments": "outfits"})
    table.insert(0, "garment", [taxonomy.names[index] for index in table.pop("class")])
    return table


def _time(table: pd.DataFrame) -> list[str]:
    return ["start"] if "start" in table else []
