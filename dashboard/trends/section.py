"""Contents of a view of the Trends page, before it is drawn or put into a report."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from math import isnan
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.figures import Theme
from segmodels.archive.behind import Behind, period_name
from segmodels.archive.counts import Counting
from segmodels.archive.facts import PERIODS, Facts, Hemispheres, Period, Size, View
from segmodels.archive.outfits import NotEnoughError

__all__ = [
    "LEAST_OUTFITS",
    "LEAST_TOGETHER",
    "Builder",
    "Question",
    "Section",
    "class_inks",
    "codes_of",
    "factor",
    "factor_cell",
    "number",
    "outfits_in_words",
    "percent",
    "records",
    "rows",
    "swatches_html",
]

_COUNTED: Mapping[Counting, str] = {
    "expected": "Expected counts: sums of the probability that a garment is worn.",
    "raw": "Raw counts: every garment that was outlined.",
}
_NUMBERS = ("outfits", "of", "garments")  # columns of tables that hold counts

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
        finding: What the figure shows, in one sentence without its full stop.
        behind: Conditions on the photos that are shown before anything was clicked.
        view: View of the photos, if it differs from that of the question.
        swatches: Names of the colours in the figure, each with its `#RRGGBB`; empty where the figure names them.
        scope: Filters and evidence of the section, where they are not those of the whole page or export.
    """

    key: str
    title: str
    caption: str
    figure: go.Figure
    table: pd.DataFrame
    words: str
    finding: str
    behind: Behind
    view: View | None = None
    swatches: Mapping[str, str] = field(default_factory=dict)
    scope: str = ""

    @property
    def numbers(self) -> pd.DataFrame:
        """The table as it is shown and exported: expected counts with one decimal."""
        return self.table.round({name: 1 for name in _NUMBERS if self.table.get(name, pd.Series(0)).dtype == float})


@dataclass(frozen=True)
class Question:
    """A question that every view can answer.

    Args:
        facts: Facts of the archive.
        view: View with the filters.
        theme: Theme of the figures.
        marked: Code of the element that was clicked.
        share_errors: Standard error of a mean presence that stems from the calibration, by class.
    """

    facts: Facts
    view: View
    theme: Theme = "light"
    marked: str = ""
    share_errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def counting(self) -> Counting:
        """Way of counting."""
        return self.facts.counting_of(self.view)

    @property
    def errors(self) -> Mapping[str, float]:
        """Standard errors of shares by class; those of raw counts are unknown."""
        return self.share_errors if self.counting == "expected" else {}

    @property
    def allowing(self) -> str:
        """Words after "intervals" on the errors that those of shares include."""
        return " that allow for the error of the calibration" if self.errors else ""

    @property
    def counted(self) -> str:
        """Sentences on what is counted."""
        text = _COUNTED[self.counting]
        if self.counting == "expected":
            if self.view.garments or self.view.colours:
                text += " An outfit counts with the probability that it meets the filter."
            if lacking := self.facts.lacking:
                text += f" {lacking:,} outfit{'' if lacking == 1 else 's'} without a probability "
                text += f"count{'s' if lacking == 1 else ''} as found."
        if self.facts.division:
            text += f" {_KINDS_COUNTED[self.counting]} Intervals leave out the errors of kinds (see Evaluation)."
        return text

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
                f"{what} needs at least {least} outfits; there {'is' if size.outfits == 1 else 'are'} "
                f"{_shortfall(size.outfits, least)}. "
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
                f"{what} needs dates, and none of these {number(size.outfits)} outfits has one. Add dates with a CSV "
                "on the Archive page (on the command line: --metadata), or open the made-up sample."
            )
        if size.first == size.last:
            raise NotEnoughError(f"{what} needs photos of several {period}s; all dated photos are from {size.first}.")
        found = len(self.starts(period))
        if found < least:
            shorter = [each for each in PERIODS[: PERIODS.index(period)] if len(self.starts(each)) >= least]
            raise NotEnoughError(
                f"{what} needs photos of at least {least} {period}s; there {'is' if found == 1 else 'are'} {found}."
                + (f" {what} by {shorter[-1]} is possible." if shorter else "")
            )
        return size

    def starts(self, period: Period) -> pd.DatetimeIndex:
        """First days of the periods with photos, in order."""
        return pd.DatetimeIndex(self.facts.periods(self.view, period))

    @cached_property
    def hemispheres(self) -> Hemispheres:
        """Hemispheres of the view's dated photos."""
        return self.facts.hemispheres(self.view)

    def named(self, start: date | pd.Timestamp, period: Period) -> str:
        """Name of the period that begins on a day, in the hemispheres of the view."""
        return period_name(start, period, self.hemispheres)

    def southern(self, period: Period) -> str:
        """Sentence on the seasons of the southern hemisphere, after a space; empty where none is in the view."""
        if period not in ("season", "collection", "fashion season") or self.hemispheres == "north":
            return ""
        tags = " or ".join(f"{key} {value}" for key, value in self.facts.southern)
        if self.hemispheres == "south":
            return f" All photos are of the southern hemisphere ({tags}), and {period}s have their names there."
        return (
            f" Photos with {tags} are of the southern hemisphere, where {period}s are opposite: each holds photos of "
            "both, and has its name in the north and in the south. Filter by a tag to see one hemisphere."
        )


Builder = Callable[[Question], Section]
"""Function that makes a section; raises `NotEnoughError` if there is too little data."""


_KINDS_COUNTED: Mapping[Counting, str] = {
    "expected": "Each garment counts for every kind with its probability; a garment not outlined, or much larger than "
    "those that taught the kinds, has none.",
    "raw": "A garment counts as the kind that is named.",
}


def class_inks(facts: Facts) -> dict[str, str]:
    """Display colour by class."""
    return {garment.name: garment.colour for garment in facts.taxonomy.classes}


def codes_of(figure: go.Figure) -> list[str]:
    """Codes of all that can be clicked in a figure, in its order."""
    found = (code for trace in figure.data if trace.customdata is not None for code in trace.customdata)
    return list(dict.fromkeys(str(code) for code in found))


def swatches_html(swatches: Mapping[str, str]) -> str:
    """A legend of colours, as HTML."""
    entries = (
        f'<span class="entry"><i style="background:{colour}"></i>{html.escape(name)}</span>'
        for name, colour in swatches.items()
    )
    return f'<div class="swatches">{"".join(entries)}</div>'


def number(value: float) -> str:
    """A count: whole, or an expected one without decimals, below 10 with one."""
    return f"{value:,.1f}" if isinstance(value, float) and 0 < value < 9.95 else f"{value:,.0f}"


def outfits_in_words(value: float, kind: str = "") -> str:
    """Number of outfits: `1 outfit`, `1,234 dated outfits`, or `about 1,234 outfits` where they are expected.

    Args:
        value: Number of outfits.
        kind: Adjective of the outfits.
    """
    what = f"{kind} outfit".strip() + ("" if value == 1 else "s")
    return f"{'about ' if isinstance(value, float) else ''}{number(value)} {what}"


def percent(value: float, low: float, high: float) -> str:
    """A share with its interval: `24.1% (23.2% to 25.0%)`."""
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


def _shortfall(value: float, least: float) -> str:
    """A count below another one, never rounded up to it."""
    return number(value) if isinstance(value, int) else f"about {min(value, least - 0.1):.1f}"
