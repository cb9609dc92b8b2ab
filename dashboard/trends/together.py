"""Views of garments worn together: pairs, rules, companions, a pair over time, and the network of all."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Literal

import numpy as np
import pandas as pd

from dashboard.figures import series
from dashboard.figures.together import Scale, network_figure, pair_matrix
from dashboard.figures.trends import interval_figure, line_figure
from dashboard.trends.findings import companion_finding, lift_finding, pair_finding, rule_finding
from dashboard.trends.section import (
    LEAST_TOGETHER,
    Question,
    Section,
    class_inks,
    factor,
    factor_cell,
    number,
    outfits_in_words,
    records,
    rows,
)
from segmodels.archive.behind import Behind
from segmodels.archive.counts import Counts
from segmodels.archive.facts import Period
from segmodels.archive.outfits import (
    SIGNIFICANT,
    NotEnoughError,
    companions,
    pair_lift_by_period,
    pairs,
    rules,
    triples,
)

__all__ = [
    "MEASURES",
    "Measure",
    "companion_section",
    "lift_section",
    "matrix_section",
    "network_section",
    "rule_section",
    "seen",
]

Measure = Literal["lift", "outfits", "jaccard", "npmi"]
MEASURES: Mapping[Measure, str] = {"lift": "Lift", "outfits": "Count", "jaccard": "Jaccard", "npmi": "NPMI"}
"""Label of each measure of a pair."""

_SCALES: Mapping[Measure, Scale] = {"lift": "factor", "outfits": "count", "jaccard": "share", "npmi": "balance"}
_MEANINGS: Mapping[Measure, str] = {
    "lift": "Lift: times as often as expected by chance (1 = as expected).",
    "outfits": "Number of outfits with both garments.",
    "jaccard": "Jaccard index: outfits with both garments as a share of those with either.",
    "npmi": "Normalised PMI: −1 never together, 0 as expected by chance, 1 always together.",
}
_TITLES: Mapping[Measure, str] = {
    "lift": "Lift (logarithmic)",
    "outfits": "Outfits with both",
    "jaccard": "Jaccard index",
    "npmi": "Normalised PMI",
}
_LEAST_SEEN = 0.5  # fewest outfits with a garment that somebody wears
_RULES = 16  # rules in the figure at most
_LEAST_EACH = 5  # fewest outfits with a garment, and without it, to compare
_TESTED = (
    "Fisher's exact test (mid-p) on counts rounded to whole outfits, corrected for multiple testing "
    f"(Benjamini-Hochberg, {SIGNIFICANT:.0%})"
)
_INTERVAL = "95% likelihood interval"


def seen(question: Question) -> list[str]:
    """Garments that somebody wears, in display order."""
    return _seen(question.facts.counts(question.view))


def matrix_section(question: Question, *, measure: Measure = "lift") -> Section:
    """Each pair of garments.

    Raises:
        NotEnoughError: If there are too few outfits, or no two garments.
    """
    size = question.outfits(LEAST_TOGETHER, "A matrix of pairs")
    counts = question.facts.counts(question.view)
    table, names = pairs(counts), _seen(counts)
    if len(names) < 2:
        raise NotEnoughError("A matrix needs at least two garments that occur in these outfits. Remove a filter.")
    shown = table[table["first"].isin(names) & table["second"].isin(names)]
    behind = [Behind(worn=pair) for pair in zip(shown["first"], shown["second"], strict=True)]
    shown = shown.assign(
        value=shown[measure].astype(float),
        text=[_cell(row[measure], measure) for row in records(shown)],
        hover=[_pair_hover(row, size.outfits) for row in records(shown)],
        code=[each.code() for each in behind],
    )
    mirrored = shown.rename(columns={"first": "second", "second": "first"})
    figure = pair_matrix(
        pd.concat([shown, mirrored], ignore_index=True),
        names,
        names,
        question.theme,
        scale=_SCALES[measure],
        title=_TITLES[measure],
        marked=question.marked,
    )
    sure = int(table["significant"].sum())
    caption = (
        f"{outfits_in_words(size.outfits).capitalize()}. "
        f"{_MEANINGS[measure]} {sure} of {len(table)} pairs occur{'s' * (sure == 1)} together "
        f"significantly more, or less, often than by chance: {_TESTED}. The others are pale. "
        f"{question.counted}"
    )
    top = shown.loc[shown["significant"]].nlargest(5, "lift")
    words = "; ".join(f"{row.first} with {row.second} lift {row.lift:.2f}" for row in rows(top))
    # The pair with the smallest p of those with a lift above 1.
    most = shown.iloc[int(np.nanargmin(shown["p"].where(shown["lift"] > 1, 2.0)))]
    first = Behind(worn=(most["first"], most["second"]))
    return Section(
        "trends-matrix",
        "What is worn together",
        caption,
        figure,
        table,
        words or "No pair is significant.",
        pair_finding(table),
        first,
    )


def rule_section(question: Question, *, parts: int = 2, only_sure: bool = True) -> Section:
    """Association rules: who wears one garment, or two, also wears another.

    Args:
        question: Question that the section answers.
        parts: Number of garments in a rule, 2 or 3.
        only_sure: Whether rules that are not significant are left out of the figure.

    Raises:
        NotEnoughError: If there are too few outfits.
    """
    size = question.outfits(LEAST_TOGETHER, "A rule")
    counts = question.facts.counts(question.view, triples=parts == 3)
    if parts == 3:
        table = triples(counts)
        table["name"] = [
            f"{a} + {b} → {c}" for a, b, c in zip(table["first"], table["second"], table["then"], strict=True)
        ]
        behind = [tuple(row) for row in table[["first", "second", "then"]].to_numpy()]
    else:
        table = rules(counts)
        table["name"] = [f"{a} → {b}" for a, b in zip(table["first"], table["second"], strict=True)]
        behind = [tuple(row) for row in table[["first", "second"]].to_numpy()]
    table["code"] = [Behind(worn=each).code() for each in behind]
    shown = table[table["significant"]] if only_sure else table
    if shown.empty:
        raise NotEnoughError(
            f"No rule of {parts} garments is significant in these {number(size.outfits)} outfits. Add photos, or "
            "include rules that are not significant."
        )
    above, below = shown[shown["lift"] >= 1], shown[shown["lift"] < 1]
    few = min(len(below), max(_RULES // 2, _RULES - len(above)))
    shown = pd.concat([above.head(_RULES - few), below.tail(few)])
    shown = shown.assign(value=shown["lift"], hover=[_rule_hover(row) for row in records(shown)])
    once = "" if parts == 3 else " Each pair is listed once, in the direction of the larger confidence."
    caption = (
        f"{outfits_in_words(size.outfits).capitalize()}. Lift with {_INTERVAL}; support, "
        f"confidence in both directions and p are in the tooltip and the table. Significant: "
        f"{int(table['significant'].sum())} of {len(table)} rules with at least five outfits, {_TESTED}. "
        f"Shown: the {len(shown)} strongest.{once} {question.counted}"
    )
    figure = interval_figure(shown.reset_index(drop=True), question.theme, axis="Lift")
    words = "; ".join(f"{name} lift {lift:.2f}" for name, lift in zip(shown["name"], shown["lift"], strict=True))
    first = Behind(worn=behind[int(shown.index[0])])
    kind = "pairs" if parts == 2 else "triples"
    table = table.drop(columns=["name", "code"])
    finding = rule_finding(table)
    return Section(f"trends-rules-{kind}", f"Rules of {kind}", caption, figure, table, words, finding, first)


def companion_section(question: Question, *, garment: str = "") -> Section:
    """Garments that are worn more, or less, with a garment than without it.

    Args:
        question: Question that the section answers.
        garment: Name of the garment; the first that is worn if left out.

    Raises:
        NotEnoughError: If there are too few outfits with it, or without.
    """
    question.outfits(LEAST_TOGETHER, "A comparison")
    facts = question.facts
    counts = facts.counts(question.view)
    garment = garment or ([*_seen(counts), ""])[0]
    if not garment:
        raise NotEnoughError("None of these outfits has a garment that can be counted. Remove a filter.")
    worn_by = counts.each[counts.names.index(garment)].item()
    for count, words in ((worn_by, "with"), (counts.size - worn_by, "without")):
        if count < _LEAST_EACH:
            raise NotEnoughError(
                f"This needs at least {_LEAST_EACH} outfits {words} {garment}; there are {number(count)}. "
                "Choose another garment."
            )
    table = companions(counts, garment)
    shown = table.rename(columns={"garment": "name", "change": "value", "change_low": "low", "change_high": "high"})
    behind = [Behind(worn=(garment, name)) for name in shown["name"]]
    shown = shown.assign(
        code=[each.code() for each in behind],
        hover=[
            f"{row['name']}<br>{row['share']:.1%} with {garment}, {row['other_share']:.1%} without<br>"
            f"{100 * row['value']:+.1f} points ({100 * row['low']:+.1f} to {100 * row['high']:+.1f}), p {row['p']:.2g}"
            "<br>Click for the photos"
            for row in records(shown)
        ],
    )
    caption = (
        f"{outfits_in_words(worn_by).capitalize()} "
        f"with {garment} against {number(counts.size - worn_by)} without. Difference in "
        "points with 95% interval (Newcombe); score test, corrected for all garments (Benjamini-Hochberg, "
        f"{SIGNIFICANT:.0%}). {question.counted}"
    )
    figure = interval_figure(
        shown, question.theme, axis=f"Share with {garment} minus share without (points)", factor=False
    )
    words = "; ".join(f"{row['name']} {round(100 * row['value']):+d} points" for row in records(shown))
    return Section(
        "trends-companions",
        f"Worn with {garment}, compared with outfits without",
        caption,
        figure,
        table,
        words,
        companion_finding(table, garment),
        behind[0],
    )


def lift_section(question: Question, *, first: str = "", second: str = "", period: Period = "season") -> Section:
    """The lift of a pair over time.

    Args:
        question: Question that the section answers.
        first: A garment; with `second` the first two that are worn if left out.
        second: Another garment.
        period: Length of the periods into which time is divided.

    Raises:
        NotEnoughError: If there are no two periods, or one of the two is never worn.
    """
    size = question.periods(period, 2, "A lift over time")
    names = seen(question)
    if not first or not second:
        if len(names) < 2:
            raise NotEnoughError("The lift of a pair needs two garments that occur in these outfits. Remove a filter.")
        first, second = names[:2]
    for name in (first, second):
        if name not in names:
            raise NotEnoughError(f"None of these outfits has {name}. Choose another garment.")
    facts = question.facts
    table = pair_lift_by_period(facts.pair_by_period(question.view, first, second, period))
    table["start"] = pd.to_datetime(table["start"])
    pair = f"{first} with {second}"
    shown = table.assign(
        name=pair,
        value=table["lift"],
        code=[Behind(worn=(first, second), period=period, start=s.date()).code() for s in table["start"]],
        hover=[
            f"{pair}, {question.named(row['start'], period)}<br>lift {factor(row['lift'])} "
            f"({factor(row['low'])} to {factor(row['high'])})<br>"
            f"{number(row['outfits'])} of {number(row['of'])} outfits<br>Click for the photos"
            for row in records(table)
        ],
    )
    if not shown["value"].notna().any():
        raise NotEnoughError(f"No {period} has outfits with {first} and outfits with {second}. Choose a longer period.")
    look = series(0, question.theme)
    figure = line_figure(shown, {pair: (look.ink, "solid")}, question.theme, axis="Lift", factor=True)
    caption = (
        f"{outfits_in_words(size.dated, 'dated').capitalize()}, "
        f"by {period}. Lift (1 = as often as expected by chance); band: "
        f"{_INTERVAL}.{question.southern(period)} {question.counted}"
    )
    words = "; ".join(f"{question.named(row['start'], period)} {factor(row['lift'])}" for row in records(table))
    together = table.loc[table["outfits"] > 0, "start"]
    last = (together if len(together) else table.loc[table["lift"].notna(), "start"]).max().date()
    behind = Behind(worn=(first, second), period=period, start=last)
    known = table.dropna(subset=["lift"])["start"]
    finding = lift_finding(table, pair, *(question.named(known.agg(end), period) for end in ("min", "max")))
    return Section("trends-lift", f"{pair} over time", caption, figure, table, words, finding, behind)


def network_section(question: Question) -> Section:
    """All significant pairs as a network.

    Raises:
        NotEnoughError: If there are too few outfits, or no pair is significant.
    """
    size = question.outfits(LEAST_TOGETHER, "A network")
    facts = question.facts
    counts = facts.counts(question.view)
    table = pairs(counts)
    sure = table[table["significant"] & (np.abs(np.log2(table["lift"].clip(lower=1 / 64))) >= np.log2(1.1))]
    if sure.empty:
        raise NotEnoughError(
            f"No pair is significant in these {number(size.outfits)} outfits, so there is no network to draw. Add "
            "photos."
        )
    sure = sure.assign(
        code=[Behind(worn=pair).code() for pair in zip(sure["first"], sure["second"], strict=True)],
        hover=[_pair_hover(row, size.outfits) for row in records(sure)],
    )
    shares = dict(zip(counts.names, (counts.each / counts.size).tolist(), strict=True))
    kept = {name: shares[name] for name in _seen(counts)}
    figure = network_figure(sure, kept, class_inks(facts), question.theme)
    caption = (
        f"{outfits_in_words(size.outfits).capitalize()}. "
        "Solid lines: more often together than expected by chance; dotted: less "
        "often; thicker: stronger, up to a lift of 4 or down to 1/4; crosses: never together. Shown: pairs whose lift "
        f"is significant and at least 10% above or below 1. {_TESTED}. Larger discs: worn more often. "
        f"{question.counted}"
    )
    top = sure.nlargest(6, "lift")
    words = "; ".join(f"{row.first} with {row.second} lift {row.lift:.2f}" for row in rows(top))
    first = Behind(worn=(top.iloc[0]["first"], top.iloc[0]["second"]))
    return Section("trends-network", "Network", caption, figure, table, words, pair_finding(table), first)


def _seen(counts: Counts) -> list[str]:
    return [name for name, outfits in zip(counts.names, counts.each, strict=True) if outfits >= _LEAST_SEEN]


def _cell(value: float, measure: Measure) -> str:
    if isnan(value):
        return "–"
    if measure == "outfits":
        return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"
    if measure == "lift":
        return factor_cell(value)
    return f"{round(value, 2) + 0.0:g}".replace("-", "−").replace("0.", ".")  # short enough for a phone's cells


def _pair_hover(row: Mapping[str, float], size: float) -> str:
    chance = "" if row["significant"] else "<br>not significant"
    return (
        f"{row['first']} with {row['second']}<br>{number(row['outfits'])} of {number(size)} outfits<br>"
        f"lift {factor(row['lift'])} ({factor(row['low'])} to {factor(row['high'])})<br>"
        f"Jaccard {row['jaccard']:.2f}, NPMI {row['npmi']:.2f}, p {row['p']:.2g}{chance}<br>Click for the photos"
    )


def _rule_hover(row: Mapping[str, float]) -> str:
    return (
        f"{row['name']}<br>lift {factor(row['lift'])} ({factor(row['low'])} to {factor(row['high'])})<br>support "
        f"{row['support']:.1%}, confidence {row['confidence']:.1%} (the other way {row['reverse']:.1%})<br>"
        f"{number(row['outfits'])} outfits, p {row['p']:.2g}"
        f"{'' if row['significant'] else '<br>not significant'}<br>Click for the photos"
    )
