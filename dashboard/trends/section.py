"""Contents of a view of the Trends page, before it is drawn or put into a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures import Theme
from dashboard.trends.behind import Behind
from segmodels.archive.facts import Facts, Period, Size, View
from segmodels.archive.outfits import NotEnoughError

__all__ = [
    "LEAST_OUTFITS",
    "LEAST_TOGETHER",
    "Builder",
    "Question",
    "Section",
    "class_inks",
    "factor",
    "factor_cell",
    "percent",
    "records",
    "rows",
]

LEAST_OUTFITS = 10
"""Fewest outfits for which a share is given."""

LEAST_TOGETHER = 20
"""Fewest outfits in which pairs are counted."""

_ZERO = 1e-9  # factor that rounding made of 0


@dataclass(frozen=True)
class Section:
    """Contents of a view.

    Args:
        key: Key for files and widgets.
        title: Heading of the section.
        caption: Text on the data and the method of the view.
        figure: Figure of the view.
        table: Numbers behind the figure.
        words: Description of the figure, for visitors who cannot see it.
        behind: Conditions on the photos that are shown before anything was clicked.
        view: View of the photos, if it differs from that of the question.
    """

    key: str
    title: str
    caption: str
    figure: go.Figure
    table: pd.DataFrame
    words: str
    behind: Behind
    view: View | None = None


@dataclass(frozen=True)
class Question:
    """A question that every view can answer.

    Args:
        facts: Facts of the archive.
        view: View with the filters.
        theme: Theme of the figures.
        marked: Code of the element that was clicked.
    """

    facts: Facts
    view: View
    theme: Theme = "light"
    marked: str = ""

    def within(self, view: View) -> Question:
        """The same question about the outfits of another view."""
        return replace(self, view=view)

    def left_out(self) -> str:
        """Sentence on photos without colours, to put behind a caption on colours; empty if there are none."""
        count = self.facts.monochrome(self.view)
        return f" {count:,} black-and-white photo{' is' if count == 1 else 's are'} left out." if count else ""

    def outfits(self, least: int, what: str) -> Size:
        """Size of the view.

        Raises:
            NotEnoughError: If there are fewer than `least` outfits.
        """
        size = self.facts.size(self.view)
        if size.outfits < least:
            raise NotEnoughError(
                f"{what} needs at least {least} outfits; there {'is' if size.outfits == 1 else 'are'} {size.outfits}. "
                "Add photos or remove a filter."
            )
        return size

    def periods(self, period: Period, least: int, what: str) -> Size:
        """Size of the view, if it has enough dates.

        Raises:
            NotEnoughError: If there are no dates, or too few periods between the first and the last.
        """
        size = self.outfits(LEAST_OUTFITS, what)
        if not size.dated or not size.first or not size.last:
            raise NotEnoughError(
                f"{what} needs dates, and none of these {size.outfits:,} outfits has one. Add dates with a CSV "
                "at ingest (--metadata), or open the made-up sample."
            )
        if size.first == size.last:
            raise NotEnoughError(
                f"{what} needs photos of at least {least} {period}s; all dated photos are from {size.first}."
            )
        found = self.facts.masks(self.view, period)["start"].nunique()
        if found < least:
            raise NotEnoughError(
                f"{what} needs photos of at least {least} {period}s; there {'is' if found == 1 else 'are'} {found}. "
                "Choose a shorter period."
            )
        return size


Builder = Callable[[Question], Section]
"""Function that makes a section; raises `NotEnoughError` if there is too little data."""


def class_inks(facts: Facts) -> dict[str, str]:
    """Display colour by class."""
    return {garment.name: garment.colour for garment in facts.taxonomy.classes}


def percent(value: float, low: float, high: float) -> str:
    """A share with its interval: `24.1 % (23.2 % to 25.0 %)`."""
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def factor(value: float) -> str:
    """A factor with two decimals; `0` only for 0 itself, a dash for NaN."""
    if isnan(value):
        return "–"
    if value < _ZERO:
        return "0"
    return "<0.01" if value < 0.005 else f"{value:.2f}" if value < 1000 else ">1,000"


def factor_cell(value: float) -> str:
    """A factor with one decimal for the cell of a matrix; otherwise like `factor`."""
    return "<0.1" if _ZERO <= value < 0.05 else f"{value:.1f}" if value >= 0.05 else factor(value)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table by column."""
    found: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return found


def rows(table: pd.DataFrame) -> Iterable[Any]:
    """The rows of a table, with its columns as attributes."""
    return table.itertuples(index=False)
