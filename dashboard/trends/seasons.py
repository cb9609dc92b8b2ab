"""Risers and fallers from a season to the same season a year later."""

from __future__ import annotations

import pandas as pd

from dashboard.figures.trends import interval_figure
from dashboard.trends.findings import season_finding
from dashboard.trends.section import LEAST_OUTFITS, Question, Section, number, outfits_in_words, records
from segmodels.archive.behind import Behind
from segmodels.archive.facts import Period
from segmodels.archive.outfits import SIGNIFICANT, NotEnoughError, colours_by_period, year_on_year

__all__ = ["YEARLY", "season_section"]

YEARLY: tuple[Period, ...] = ("fashion season", "collection", "season", "half-year", "month", "year")
"""Periods of which a year has whole ones."""

_ENDS = 8  # rises, and falls, in the figure


def season_section(question: Question, *, period: Period = "fashion season", colours: bool = False) -> Section:
    """What rose and fell from a season to the same a year later; its photos are of the later one.

    Args:
        question: Question that the section answers.
        period: Length of the seasons.
        colours: Whether the colours of garments are compared instead of garments.

    Raises:
        NotEnoughError: If no season with photos has the same of the year before.
    """
    question.periods(period, 2, "A comparison with the year before")
    facts = question.facts
    sizes = facts.counts_by_period(question.view, period).groupby("start")["of"].first()
    sizes.index = pd.to_datetime(sizes.index)
    sizes = sizes[sizes >= LEAST_OUTFITS].sort_index()
    year = pd.DateOffset(years=1)
    pairs = [(start, start - year) for start in sizes.index[::-1] if start - year in sizes.index]
    if not pairs:
        raise NotEnoughError(
            f"A comparison with the year before needs a {period} and the same one a year before with at least "
            f"{LEAST_OUTFITS} dated outfits each. Choose a longer period, or add photos."
        )
    now, before = pairs[0]
    by = ["garment", "colour"] if colours else ["garment"]
    if colours:
        found = colours_by_period(facts.colours(question.view, period=period), facts.taxonomy)
    else:
        found = facts.counts_by_period(question.view, period)
    found = found.assign(start=pd.to_datetime(found["start"]))
    table = year_on_year(found[found["start"] == now], found[found["start"] == before], by)
    if table.empty:
        raise NotEnoughError("Nothing is worn often enough here to compare. Remove a filter.")
    names = question.named(now, period), question.named(before, period)
    behind = [
        Behind(coloured=((row["garment"], row["colour"]),), period=period, start=now.date())
        if colours
        else Behind(worn=(row["garment"],), period=period, start=now.date())
        for row in records(table)
    ]
    shown = table.assign(
        name=[f"{row['colour']} {row['garment']}" if colours else row["garment"] for row in records(table)],
        value=table["change"],
        low=table["change_low"],
        high=table["change_high"],
        code=[each.code() for each in behind],
        hover=[_hover(row, names, colours=colours) for row in records(table)],
    )
    less = ""
    if len(shown) > 2 * _ENDS:
        shown, less = pd.concat([shown.head(_ENDS), shown.tail(_ENDS)]), f" Shown: the {_ENDS} greatest each way."
    sure = int(table["significant"].sum())
    caption = (
        f"{names[0]} ({outfits_in_words(sizes[now].item())}) compared with {names[1]} "
        f"({number(sizes[before].item())}): difference of {'the share of the garment' if colours else 'shares'}, with "
        f"95% intervals (Newcombe). Significant: {sure} of {len(table)} (score test, Benjamini-Hochberg, "
        f"{SIGNIFICANT:.0%}); the others are hollow.{less}{question.southern(period)} {question.counted}"
    )
    if colours:
        caption += question.left_out()
    words = "; ".join(f"{row['name']} {100 * row['value']:+.1f} points" for row in records(shown[shown["significant"]]))
    first = int(table["change"].abs().where(table["significant"], -1.0).to_numpy().argmax())
    return Section(
        "trends-season",
        f"{names[0]} compared with {names[1]}",
        caption,
        interval_figure(shown, question.theme, axis="Difference in share (points)", factor=False),
        table,
        words or "Nothing differs significantly.",
        season_finding(table, *names),
        behind[first],
    )


def _hover(row: dict[str, object], names: tuple[str, str], *, colours: bool) -> str:
    share, other, change, low, high = (
        100 * float(row[key])  # type: ignore[arg-type]
        for key in ("share", "other_share", "change", "change_low", "change_high")
    )
    lines = [
        f"{row['colour']} {row['garment']}" if colours else str(row["garment"]),
        f"{names[0]}: {share:.1f}%, {number(row['outfits'])} outfits",  # type: ignore[arg-type]
        f"{names[1]}: {other:.1f}%, {number(row['other_outfits'])} outfits",  # type: ignore[arg-type]
        f"{change:+.1f} points ({low:+.1f} to {high:+.1f}), p {row['p']:.2g}",
    ]
    return "<br>".join([*lines, *([] if row["significant"] else ["not significant"]), "Click for the photos"])
