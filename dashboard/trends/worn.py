"""Views of what is worn: shares of outfits, alone or compared with others; areas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import isnan

import numpy as np
import pandas as pd

from dashboard.figures.trends import panels_figure, share_figure
from dashboard.trends.findings import area_finding, group_finding, share_finding
from dashboard.trends.reliability import Trust
from dashboard.trends.section import (
    LEAST_OUTFITS,
    Question,
    Section,
    class_inks,
    number,
    outfits_in_words,
    percent,
    records,
    rows,
)
from segmodels.archive.behind import Behind
from segmodels.archive.facts import Facts, View
from segmodels.archive.intervals import Reliability
from segmodels.archive.outfits import SIGNIFICANT, NotEnoughError, compare_groups, worn

__all__ = [
    "SEASON",
    "Against",
    "area_section",
    "days_before",
    "groups_section",
    "other_period",
    "other_tag",
    "share_section",
]

SEASON = "season"
"""Groups of the time of year, as `by` of `groups_section`."""

_MOST_GROUPS = 6
_LEAST_FOR_PERCENT = 10
"""Number of photos from which a recognition rate is given in percent."""


@dataclass(frozen=True)
class Against:
    """Two groups of outfits.

    Args:
        view: View of the first group.
        label: Name of the first group.
        other: View of the second group.
        other_label: Name of the second group.
        note: Sentence, after a space, on outfits that are in both; empty if none is.
    """

    view: View
    label: str
    other: View
    other_label: str
    note: str = ""


def days_before(facts: Facts, view: View) -> tuple[date, date]:
    """Default days to compare a view with: as many before it, or its first half if there are none before.

    Raises:
        NotEnoughError: If there are no two days.
    """
    here, all_of = facts.size(view), facts.size(replace(view, first=None, last=None))
    if not here.first or not here.last or not all_of.first or all_of.first == all_of.last:
        raise NotEnoughError(
            "A comparison of periods needs dated photos from at least two days. "
            "Add photos with dates, or remove a filter."
        )
    length = here.last - here.first
    if here.first > all_of.first:
        return max(all_of.first, here.first - length - timedelta(1)), here.first - timedelta(1)
    return here.first, here.first + (length - timedelta(1)) // 2


def other_period(facts: Facts, view: View, first: date, last: date) -> Against:
    """Compares a view without some days with those days.

    Raises:
        NotEnoughError: If nothing is left of the view, or it would be in two pieces.
    """
    here = facts.size(view)
    if not here.first or not here.last:
        raise NotEnoughError("A comparison of periods needs dates, and none of these outfits has one.")
    start, end = view.first or here.first, view.last or here.last
    if first <= end and last >= start:
        if first <= start and last < end:
            start = last + timedelta(1)
        elif first > start and last >= end:
            end = first - timedelta(1)
        else:
            raise NotEnoughError(
                f"{first} to {last} leaves no single period of {start} to {end} to compare with. Choose days that "
                "begin before, or end after, those of the filter, but not both."
            )
    return Against(
        replace(view, first=start, last=end),
        f"{start} to {end}",
        replace(view, first=first, last=last),
        f"{first} to {last}",
    )


def other_tag(facts: Facts, view: View, key: str, value: str, other: str | None) -> Against:
    """Compares photos with one value of a tag with those with another, or with any other."""
    rest = tuple(each for each in facts.tags[key] if each != value)
    tags = tuple(pair for pair in view.tags if pair[0] != key)
    return Against(
        replace(view, tags=(*tags, (key, (value,)))),
        f"{key} {value}",
        replace(view, tags=(*tags, (key, (other,) if other else rest))),
        f"{key} {other}" if other else f"any other {key}",
    )


def share_section(question: Question, *, against: Against | None = None, trust: Trust | None = None) -> Section:
    """Share of outfits with each garment.

    Args:
        question: Question that the section answers.
        against: Two groups to compare, instead of the question's view.
        trust: Reliability of the garments, which is shown beside raw counts.

    Raises:
        NotEnoughError: If there are too few outfits.
    """
    here = question.within(against.view) if against else question
    size = here.outfits(LEAST_OUTFITS, f"A share ({against.label})" if against else "A share")
    facts = question.facts
    other = None
    if against:
        question.within(against.other).outfits(LEAST_OUTFITS, f"A share ({against.other_label})")
        other = facts.counts(against.other)
    table = worn(facts.counts(here.view), other, here.errors)
    if other is not None:
        bounds = worn(other, None, here.errors).set_index("garment")
        table["other_low"], table["other_high"] = (
            bounds[end].reindex(table["garment"]).to_numpy() for end in ("low", "high")
        )
    if facts.division:  # a rest that nobody has says nothing
        empty = table["garment"].isin(facts.division.rests) & (table["outfits"] == 0)
        table = table[~empty].reset_index(drop=True)
    known = trust.garments if trust and here.counting == "raw" else {}
    if known:
        table["sensitivity"] = [known[name].sensitivity if name in known else np.nan for name in table["garment"]]
        table["specificity"] = [known[name].specificity if name in known else np.nan for name in table["garment"]]
    shown = table.rename(columns={"garment": "name"})
    allowing = here.allowing
    caption = f"{outfits_in_words(size.outfits).capitalize()} in {number(size.photos)} photos. "
    caption += f"Lines: 95% intervals (Wilson){allowing}."
    if against:
        caption = (
            f"Filled: {against.label} ({outfits_in_words(size.outfits)}); hollow: {against.other_label} "
            f"({number(facts.size(against.other).outfits)}). 95% intervals (Wilson){allowing}; differences: score "
            f"test for sampling alone, corrected for all garments (Benjamini-Hochberg, {SIGNIFICANT:.0%})."
            f"{against.note}"
        )
    caption += f" {here.counted}{_trusted(trust, here)}"
    behind = [Behind(worn=(name,)) for name in shown["name"]]
    shown["code"] = [each.code() for each in behind]
    shown["hover"] = [_hover(row, against) for row in records(shown)]
    figure = share_figure(
        shown,
        class_inks(facts),
        question.theme,
        axis="Share of outfits",
        notes={name: _recognised(each) for name, each in known.items()},
        one=against.label if against else "",
        other=against.other_label if against else "",
    )
    words = "; ".join(f"{row.name} {row.share:.0%}" for row in rows(shown) if row.share == row.share)
    finding = share_finding(table, *((against.label, against.other_label) if against else ()))
    return Section("trends-shares", "What is worn", caption, figure, table, words, finding, behind[0], here.view)


def groups_section(question: Question, *, by: str = SEASON) -> Section:
    """Share of outfits with each garment, side by side for the values of a tag, or for seasons.

    Args:
        question: Question that the section answers.
        by: Name of the tag, or `SEASON`.

    Raises:
        NotEnoughError: If there are no two groups with enough outfits.
    """
    table, behind = _by_season(question) if by == SEASON else _by_tag(question, by)
    groups = list(dict.fromkeys(table["group"]))
    if len(groups) < 2:
        raise NotEnoughError(
            f"Side by side needs two {'seasons' if by == SEASON else f'values of {by}'} with at least {LEAST_OUTFITS} "
            f"outfits; there {'is' if len(groups) == 1 else 'are'} {len(groups)}. Add photos or remove a filter."
        )
    table = compare_groups(table, question.errors)
    order = table.groupby("garment", sort=False)["outfits"].sum().sort_values(ascending=False, kind="stable").index
    shown = table.assign(
        name=table["garment"],
        code=[behind(row["group"], row["garment"]).code() for row in records(table)],
        hover=[
            f"{row['garment']}, {row['group']}<br>{percent(row['share'], row['low'], row['high'])}<br>"
            f"{number(row['outfits'])} of {number(row['of'])} outfits"
            f"{'' if row['significant'] else '<br>differences not significant'}<br>Click for the photos"
            for row in records(table)
        ],
    )
    sure = int(table.groupby("garment")["significant"].first().sum())
    sizes = ", ".join(f"{group} {number(table.loc[table['group'] == group, 'of'].iloc[0])}" for group in groups)
    caption = (
        f"Outfits: {sizes}. 95% intervals (Wilson){question.allowing}. Significant differences between the "
        f"groups: {sure} of {len(order)} garments (chi-squared test, Benjamini-Hochberg, {SIGNIFICANT:.0%}); the "
        f"others are pale.{question.southern('season') if by == SEASON else ''} {question.counted}"
    )
    figure = panels_figure(shown, groups, list(order), class_inks(question.facts), question.theme)
    words = "; ".join(
        f"{group}: " + ", ".join(f"{row.garment} {row.share:.0%}" for row in rows(part.nlargest(3, "share")))
        for group, part in table.groupby("group", sort=False)
    )
    return Section(
        "trends-groups",
        f"What is worn, by {by}",
        caption,
        figure,
        table,
        words,
        group_finding(table),
        behind(groups[-1], str(order[0])),
    )


def _by_tag(question: Question, key: str) -> tuple[pd.DataFrame, Callable[[str, str], Behind]]:
    """Counts of the most frequent values of a tag."""
    facts, parts = question.facts, []
    chosen = dict(question.view.tags).get(key) or facts.tags[key]
    for value in chosen[:_MOST_GROUPS]:
        counts = facts.counts(Behind(tag=(key, value)).within(question.view))
        if counts.size >= LEAST_OUTFITS:
            columns = {"group": value, "garment": counts.names, "outfits": counts.each, "of": counts.size}
            parts.append(pd.DataFrame(columns))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"group": []})
    return table, lambda group, garment: Behind(worn=(garment,), tag=(key, group))


def _by_season(question: Question) -> tuple[pd.DataFrame, Callable[[str, str], Behind]]:
    """Counts of the latest seasons."""
    question.periods("season", 2, "Side by side by season")
    found = question.facts.counts_by_period(question.view, "season")
    found = found[found["of"] >= LEAST_OUTFITS]
    starts = sorted(found["start"].unique())[-_MOST_GROUPS:]
    names = {question.named(start, "season"): start for start in starts}
    table = pd.concat(
        [found[found["start"] == start].assign(group=name) for name, start in names.items()], ignore_index=True
    ) if names else pd.DataFrame({"group": []})  # fmt: skip

    def behind(group: str, garment: str) -> Behind:
        return Behind(worn=(garment,), period="season", start=pd.Timestamp(names[group]).date())

    return table, behind


def _trusted(trust: Trust | None, question: Question) -> str:
    """Sentences, after a space, on how far the counts can be believed; empty if nothing is known."""
    if trust is None:
        return ""
    if question.counting == "expected":
        said = trust.expected
    elif trust.sentence or not trust.how:
        said = trust.sentence
    else:
        said = (
            "Recall: share of the wearers in whom the garment is recognised. False alarms: share of the others in whom "
            f"it is reported. {trust.how}"
        )
    return f" {said}" if said else ""


def _recognised(r: Reliability) -> str:
    return f"recall {_rate(r.sensitivity, r.worn)}, false alarms {_rate(1 - r.specificity, r.not_worn)}"


def _rate(share: float, photos: int) -> str:
    """A rate in percent, or in photos if they are few."""
    return f"{share:.0%}" if photos >= _LEAST_FOR_PERCENT else f"{round(share * photos)} of {photos}"


def area_section(question: Question) -> Section:
    """Share of the outfit that each garment takes, where it is worn.

    Raises:
        NotEnoughError: If there are too few outfits.
    """
    size = question.outfits(LEAST_OUTFITS, "A mean area")
    facts = question.facts
    found = facts.areas(question.view)
    table = pd.DataFrame(
        {
            "garment": [facts.taxonomy.names[index] for index in found["class"]],
            "garments": found["garments"],
            "share": found["share"],
        }
    )
    if table.empty:
        raise NotEnoughError("None of these outfits has a garment that can be counted. Remove a filter.")
    half = 1.96 * (found["deviation"] / np.sqrt(found["size"])).where(found["size"] > 1)
    table["low"], table["high"] = (table["share"] - half).clip(lower=0), (table["share"] + half).clip(upper=1)
    table = table.sort_values("share", ascending=False, ignore_index=True)
    shown = table.rename(columns={"garment": "name"})
    shown["low"], shown["high"] = shown["low"].fillna(shown["share"]), shown["high"].fillna(shown["share"])
    behind = [Behind(worn=(name,)) for name in shown["name"]]
    shown["code"] = [each.code() for each in behind]
    shown["hover"] = [
        f"{row.name}<br>{percent(row.share, row.low, row.high)} of the outfit<br>"
        f"mean of {number(row.garments)} garments"
        for row in rows(shown)
    ]
    caption = (
        f"{outfits_in_words(size.outfits).capitalize()}. "
        "Mean share of the outfit's garment and accessory pixels, over the outfits "
        f"with the garment. Lines: 95% intervals of the mean. {question.counted}"
    )
    figure = share_figure(shown, class_inks(facts), question.theme, axis="Mean share of the outfit's pixels")
    words = "; ".join(f"{row.name} {row.share:.0%}" for row in rows(shown))
    finding = area_finding(table)
    return Section("trends-areas", "Share of the outfit's pixels", caption, figure, table, words, finding, behind[0])


def _hover(row: dict[str, object], against: Against | None) -> str:
    share, low, high = (float(row[key]) for key in ("share", "low", "high"))  # type: ignore[arg-type]
    lines = [str(row["name"]), "–" if isnan(share) else percent(share, low, high)]
    lines.append(outfits_in_words(row["outfits"]))  # type: ignore[arg-type]
    if against:
        change, least, most = (100 * float(row[key]) for key in ("change", "change_low", "change_high"))  # type: ignore[arg-type]
        others = (float(row[f"other_{key}"]) for key in ("share", "low", "high"))  # type: ignore[arg-type]
        lines.append(f"{against.other_label}: {percent(*others)}")
        lines.append(f"{change:+.1f} points ({least:+.1f} to {most:+.1f}), p {row['p']:.2g}")
    return "<br>".join([*lines, "Click for the photos"])
