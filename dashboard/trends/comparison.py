"""Views that compare two groups of outfits: pairs of garments, and the colours of a garment."""

from __future__ import annotations

from dataclasses import replace

from dashboard.figures.trends import interval_figure, share_figure
from dashboard.trends.coloured import hexes
from dashboard.trends.findings import colour_change_finding, pair_change_finding
from dashboard.trends.section import (
    LEAST_OUTFITS,
    LEAST_TOGETHER,
    Question,
    Section,
    factor,
    number,
    outfits_in_words,
    percent,
    records,
)
from dashboard.trends.worn import Against
from segmodels.archive.behind import Behind
from segmodels.archive.facts import Facts, View
from segmodels.archive.filters import removals
from segmodels.archive.outfits import SIGNIFICANT, NotEnoughError, colour_changes, pair_changes

__all__ = ["colour_comparison_section", "other_filters", "pair_comparison_section"]

_SHOWN = 16  # pairs in the figure
_MOST = 14  # colours in the figure


def other_filters(facts: Facts, view: View, other: View) -> Against:
    """Compares the outfits of two filters, which may have some in common.

    Args:
        facts: Facts of the archive.
        view: View with the filters of the page.
        other: View with other filters; outfits are counted in it as in `view`.

    Raises:
        NotEnoughError: If both are the same.
    """
    other = replace(
        other,
        counting=view.counting,
        duplicates=view.duplicates,
        min_share=view.min_share,
        min_confidence=view.min_confidence,
    )
    if other == view:
        raise NotEnoughError("Both groups are the same. Choose other filters to compare with.")
    return Against(view, _words(view), other, _words(other), _shared(facts, view, other))


def pair_comparison_section(question: Question, *, against: Against) -> Section:
    """How often two garments are worn together in one group and in another.

    Raises:
        NotEnoughError: If there are too few outfits, or no pair.
    """
    facts, here = question.facts, question.within(against.view)
    size = here.outfits(LEAST_TOGETHER, f"A comparison of pairs ({against.label})")
    other_size = question.within(against.other).outfits(
        LEAST_TOGETHER, f"A comparison of pairs ({against.other_label})"
    )
    table = pair_changes(facts.counts(against.view), facts.counts(against.other))
    table = table[(table["outfits"] >= 0.5) | (table["other_outfits"] >= 0.5)].reset_index(drop=True)
    if table.empty:
        raise NotEnoughError("No two garments are worn together in these groups. Remove a filter.")
    order = table.assign(sure=table["significant"], size=table["change"].abs())
    table = table.loc[order.sort_values(["sure", "size"], ascending=False, kind="stable").index].reset_index(drop=True)
    shown = table.head(_SHOWN).sort_values("change", ascending=False, kind="stable", ignore_index=True)
    shown = shown.assign(
        name=[f"{row['first']} with {row['second']}" for row in records(shown)],
        value=shown["change"],
        low=shown["change_low"],
        high=shown["change_high"],
        code=[Behind(worn=(row["first"], row["second"])).code() for row in records(shown)],
        hover=[_pair_hover(row, against) for row in records(shown)],
    )
    sure = int(table["significant"].sum())
    less = f" Shown: the {_SHOWN} that differ most." if len(table) > len(shown) else ""
    caption = (
        f"Share of outfits with both garments in {against.label} ({outfits_in_words(size.outfits)}), minus that in "
        f"{against.other_label} ({number(other_size.outfits)}), with 95% intervals (Newcombe). Significant: {sure} of "
        f"{len(table)} pairs (score test, Benjamini-Hochberg, {SIGNIFICANT:.0%}); the others are "
        f"hollow.{less}{against.note} {here.counted}"
    )
    words = "; ".join(f"{row['name']} {100 * row['value']:+.1f} points" for row in records(shown[shown["significant"]]))
    top = records(table)[0]
    return Section(
        "trends-pairs-compared",
        "Pairs, compared",
        caption,
        interval_figure(shown, question.theme, axis="Difference in share of outfits (points)", factor=False),
        table,
        words or "No pair differs significantly.",
        pair_change_finding(table, against.label, against.other_label),
        Behind(worn=(top["first"], top["second"])),
        against.view,
    )


def colour_comparison_section(question: Question, *, against: Against, garment: str, fine: bool = False) -> Section:
    """The main colours of a garment in one group and in another.

    Raises:
        NotEnoughError: If too few wear it.
    """
    facts, here = question.facts, question.within(against.view)
    identity = facts.taxonomy[garment].id
    found = []
    for view, label in ((against.view, against.label), (against.other, against.other_label)):
        part = facts.colours(view, fine=fine)
        part = part[part["class"] == identity]
        count = part["garments"].to_numpy().sum().item() if len(part) else 0
        if count < LEAST_OUTFITS:
            raise NotEnoughError(
                f"A comparison of colours needs at least {LEAST_OUTFITS} outfits with {garment} ({label}); there "
                f"{'is' if count == 1 else 'are'} {number(count)}. Choose another garment or remove a filter."
            )
        found.append((part, count))
    (one, size), (other, other_size) = found
    table = colour_changes(one, other)
    shown = table.head(_MOST).assign(name=table["colour"])
    shown = shown.assign(
        code=[Behind(coloured=((garment, row["colour"]),), fine=fine).code() for row in records(shown)],
        hover=[_colour_hover(row, garment, against) for row in records(shown)],
    )
    sure = int(table["significant"].sum())
    caption = (
        f"Filled: {against.label} ({outfits_in_words(size)} with {garment}); hollow: {against.other_label} "
        f"({number(other_size)}). 95% intervals (Wilson). Significant: {sure} of {len(table)} colours (score "
        f"test, Benjamini-Hochberg, {SIGNIFICANT:.0%}).{against.note} {here.counted}{here.left_out()}"
    )
    figure = share_figure(
        shown,
        hexes(fine=fine),
        question.theme,
        axis=f"Share of {garment}, by main colour",
        one=against.label,
        other=against.other_label,
    )
    words = "; ".join(f"{row['colour']} {row['share']:.0%}, {row['other_share']:.0%}" for row in records(shown))
    return Section(
        "trends-colours-compared",
        f"Colours of {garment}, compared",
        caption,
        figure,
        table,
        words,
        colour_change_finding(table, garment, against.label, against.other_label),
        Behind(coloured=((garment, str(shown["colour"].iloc[0])),), fine=fine),
        against.view,
    )


def _words(view: View) -> str:
    return "; ".join(text for text, _ in removals(replace(view, duplicates=False))) or "all outfits"


def _shared(facts: Facts, one: View, other: View) -> str:
    """Sentence, after a space, on outfits that are in both groups; empty if none is."""
    if one.colours and other.colours and one.colours != other.colours:
        return " Outfits may be in both groups, which makes the tests cautious."
    days = [[day for day in pair if day] for pair in ((one.first, other.first), (one.last, other.last))]
    first, last = (max(days[0]) if days[0] else None), (min(days[1]) if days[1] else None)
    if first and last and first > last:
        return ""
    tags = dict(one.tags)
    for name, values in other.tags:
        tags[name] = tuple(value for value in values if value in tags[name]) if name in tags else values
    if not all(tags.values()):
        return ""
    both = replace(
        one,
        first=first,
        last=last,
        tags=tuple(tags.items()),
        garments=tuple(dict.fromkeys((*one.garments, *other.garments))),
        colours=one.colours or other.colours,
    )
    count = facts.size(both).outfits
    if count < 0.5:
        return ""
    return f" {outfits_in_words(count).capitalize()} are in both groups, which makes the tests cautious."


def _pair_hover(row: dict[str, object], against: Against) -> str:
    share, other, change, low, high = (
        100 * float(row[key])  # type: ignore[arg-type]
        for key in ("share", "other_share", "change", "change_low", "change_high")
    )
    lift, other_lift = (factor(float(row[key])) for key in ("lift", "other_lift"))  # type: ignore[arg-type]
    lines = [
        f"{row['first']} with {row['second']}",
        f"{against.label}: {share:.1f}%, lift {lift}",
        f"{against.other_label}: {other:.1f}%, lift {other_lift}",
        f"{change:+.1f} points ({low:+.1f} to {high:+.1f}), p {row['p']:.2g}",
    ]
    return "<br>".join([*lines, *([] if row["significant"] else ["not significant"]), "Click for the photos"])


def _colour_hover(row: dict[str, object], garment: str, against: Against) -> str:
    ends = [float(row[key]) for key in ("share", "low", "high", "other_share", "other_low", "other_high")]  # type: ignore[arg-type]
    change = [100 * float(row[key]) for key in ("change", "change_low", "change_high")]  # type: ignore[arg-type]
    lines = [
        f"{row['colour']} {garment}",
        f"{against.label}: {percent(*ends[:3])}",
        f"{against.other_label}: {percent(*ends[3:])}",
        f"{change[0]:+.1f} points ({change[1]:+.1f} to {change[2]:+.1f}), p {row['p']:.2g}",
    ]
    return "<br>".join([*lines, "Click for the photos"])
