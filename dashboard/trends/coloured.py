"""Views of colours: the palette of each garment, the colours of one garment, and of two worn together."""

from __future__ import annotations

import pandas as pd

from dashboard.figures.together import pair_matrix
from dashboard.figures.trends import palette_figure, share_figure
from dashboard.trends.findings import colour_finding, pair_finding, palette_finding
from dashboard.trends.section import (
    LEAST_OUTFITS,
    LEAST_TOGETHER,
    Question,
    Section,
    factor,
    factor_cell,
    number,
    outfits_in_words,
    percent,
    records,
    rows,
)
from segmodels.archive.behind import Behind
from segmodels.archive.outfits import SIGNIFICANT, NotEnoughError, colour_pairs, colour_shares
from segmodels.colour import BASIC_COLOURS, FINE_COLOURS

__all__ = ["colour_section", "hexes", "pair_section", "palette_section"]

_MOST = 14  # colours in a matrix or in the bars of a garment at most
_LEAST_GARMENTS = 5


def hexes(*, fine: bool) -> dict[str, str]:
    """A colour to show for each name, in the order of the names."""
    names = {name: codes.split()[0] for group in FINE_COLOURS.values() for name, codes in group.items()}
    return names if fine else {name: next(iter(FINE_COLOURS[name].values())).split()[0] if name not in names
                               else names[name] for name in BASIC_COLOURS}  # fmt: skip


def palette_section(question: Question, *, fine: bool = False) -> Section:
    """All garments with their main colours.

    Raises:
        NotEnoughError: If there are too few outfits.
    """
    size = question.outfits(LEAST_OUTFITS, "A palette")
    table = _shares(question, fine)
    order = list(hexes(fine=fine))
    names = [garment.name for garment in question.facts.taxonomy.worn if garment.name in set(table["garment"])]
    shown = table.rename(columns={"garment": "name"})
    shown = shown.assign(
        rank=shown["colour"].map(order.index),
        place=shown["name"].map(names.index),
        hex=shown["colour"].map(hexes(fine=fine)),
    ).sort_values(["place", "rank"], ignore_index=True)
    shown = _pointed(shown, fine)
    caption = (
        f"{outfits_in_words(size.outfits).capitalize()}. "
        f"Main colour of each garment found, {'finer' if fine else 'basic'} names; "
        "95% intervals (Wilson) in the tooltip and the table. A colour shown stands for its name, not for one "
        f"garment. {question.counted}{question.left_out()}"
    )
    words = "; ".join(
        f"{name}: " + ", ".join(f"{row.colour} {row.share:.0%}" for row in rows(part.nlargest(3, "share")))
        for name, part in shown.groupby("name", sort=False)
    )
    top = shown.iloc[int(shown["outfits"].argmax())]
    behind = Behind(coloured=((top["name"], top["colour"]),), fine=fine)
    return Section(
        "trends-palettes",
        "Palette of each garment",
        caption,
        palette_figure(shown, question.theme),
        table,
        words,
        palette_finding(table),
        behind,
        swatches={name: hexes(fine=fine)[name] for name in order if name in set(table["colour"])},
    )


def colour_section(question: Question, *, garment: str = "", fine: bool = False) -> Section:
    """The main colours of one garment.

    Args:
        question: Question that the section answers.
        garment: Name of the garment; the most frequent if left out.
        fine: Whether finer names replace the basic ones.

    Raises:
        NotEnoughError: If there are too few of it.
    """
    question.outfits(LEAST_OUTFITS, "A share of colours")
    table = _shares(question, fine)
    garment = garment or str(table.groupby("garment")["outfits"].sum().idxmax())
    part = table[table["garment"] == garment].sort_values("outfits", ascending=False, ignore_index=True)
    count = part["outfits"].to_numpy().sum().item()
    if count < _LEAST_GARMENTS:
        raise NotEnoughError(
            f"Colours need at least {_LEAST_GARMENTS} outfits with {garment}; there {'is' if count == 1 else 'are'} "
            f"{number(count)}. Choose another garment."
        )
    shown = part.head(_MOST).assign(name=part["colour"])
    shown = _pointed(shown.assign(garment=garment), fine, garment)
    more = f" {len(part) - len(shown)} rarer colours are in the table." if len(part) > len(shown) else ""
    caption = (
        f"{outfits_in_words(count).capitalize()} "
        f"with {garment} found, by its main colour. Lines: 95% intervals (Wilson).{more} "
        f"{question.counted}{question.left_out()}"
    )
    figure = share_figure(shown, hexes(fine=fine), question.theme, axis=f"Share of {garment}, by main colour")
    words = "; ".join(f"{row.name} {row.share:.0%}" for row in rows(shown))
    behind = Behind(coloured=((garment, str(shown["colour"].iloc[0])),), fine=fine)
    finding = colour_finding(part, garment)
    return Section("trends-colours", f"Colours of {garment}", caption, figure, part, words, finding, behind)


def pair_section(question: Question, *, first: str = "", second: str = "", fine: bool = False) -> Section:
    """The main colours of two garments worn together.

    Args:
        question: Question that the section answers.
        first: A garment; with `second` the two most frequent if left out.
        second: Another garment.
        fine: Whether finer names replace the basic ones.

    Raises:
        NotEnoughError: If too few wear both.
    """
    question.outfits(LEAST_TOGETHER, "A matrix of colours")
    if not first or not second:
        counts = _shares(question, False).groupby("garment")["outfits"].sum().nlargest(2)
        if len(counts) < 2:
            raise NotEnoughError(
                "The colours of a pair need two garments that occur in these outfits. Remove a filter."
            )
        first, second = map(str, counts.index)
    found = question.facts.colour_pairs(question.view, first, second, fine=fine)
    count = found["outfits"].to_numpy().sum().item()
    if count < LEAST_TOGETHER:
        raise NotEnoughError(
            f"Colours of a pair need at least {LEAST_TOGETHER} outfits with {first} and {second}; there "
            f"{'is' if count == 1 else 'are'} {number(count)}. Choose other garments."
        )
    table = colour_pairs(found)
    order = list(hexes(fine=fine))
    down, across = (_commonest(found, column, order) for column in ("first", "second"))
    shown = table[table["first"].isin(down) & table["second"].isin(across)]
    shown = _pointed_pairs(shown, (first, second), count, fine)
    figure = pair_matrix(
        shown,
        down,
        across,
        question.theme,
        scale="factor",
        title="Lift (logarithmic)",
        axes=(f"Colour of {first}", f"Colour of {second}"),
        marked=question.marked,
    )
    sure = int(table["significant"].sum())
    caption = (
        f"{outfits_in_words(count).capitalize()} "
        f"with {first} and {second} found. Lift of their main colours. Significant: {sure} of "
        f"{len(table)} pairs (Fisher's exact test (mid-p) on counts rounded to whole "
        f"outfits, Benjamini-Hochberg, {SIGNIFICANT:.0%}); the others are pale. {question.counted}"
        f"{question.left_out()}"
    )
    top = shown.nlargest(1, "outfits").iloc[0]
    words = f"Most frequent: {top['first']} {first} with {top['second']} {second}, {outfits_in_words(top['outfits'])}"
    behind = Behind(coloured=((first, top["first"]), (second, top["second"])), fine=fine)
    finding = pair_finding(table, first, second)
    return Section("trends-colour-pairs", f"{first} and {second}", caption, figure, table, words, finding, behind)


def _shares(question: Question, fine: bool) -> pd.DataFrame:
    table = colour_shares(question.facts.colours(question.view, fine=fine), question.facts.taxonomy)
    if table.empty:
        raise NotEnoughError(f"No garment in these outfits has a colour. Remove a filter.{question.left_out()}")
    return table


def _pointed_pairs(table: pd.DataFrame, garments: tuple[str, str], count: float, fine: bool) -> pd.DataFrame:
    """Adds the text of each cell, what it says when pointed at, and whose photos stand behind it."""
    first, second = garments
    return table.assign(
        value=table["lift"],
        text=[factor_cell(lift) for lift in table["lift"]],
        code=[
            Behind(coloured=((first, a), (second, b)), fine=fine).code()
            for a, b in zip(table["first"], table["second"], strict=True)
        ],
        hover=[
            f"{row['first']} {first} with {row['second']} {second}<br>"
            f"{number(row['outfits'])} of {number(count)} outfits<br>"
            f"lift {factor(row['lift'])} ({factor(row['low'])} to {factor(row['high'])}), p {row['p']:.2g}"
            f"{'' if row['significant'] else '<br>not significant'}<br>Click for the photos"
            for row in records(table)
        ],
    ).reset_index(drop=True)


def _pointed(table: pd.DataFrame, fine: bool, garment: str = "") -> pd.DataFrame:
    rows = records(table)
    return table.assign(
        hover=[
            f"{row['colour']} {garment or row['name']}<br>{percent(row['share'], row['low'], row['high'])}<br>"
            f"{number(row['outfits'])} of {number(row['of'])}<br>Click for the photos"
            for row in rows
        ],
        code=[Behind(coloured=((garment or row["name"], row["colour"]),), fine=fine).code() for row in rows],
    )


def _commonest(found: pd.DataFrame, column: str, order: list[str]) -> list[str]:
    names = found.groupby(column)["outfits"].sum().nlargest(_MOST).index
    return sorted(map(str, names), key=order.index)
