"""What stands out in a view: the sentence at the top of the page, and what its charts show before anything is chosen.

Only what is significant after correction for all tests of its kind is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from dashboard.trends.section import LEAST_OUTFITS, LEAST_TOGETHER, Question, factor_cell, records
from segmodels.archive.behind import Behind
from segmodels.archive.facts import Facts, Period, View
from segmodels.archive.movements import movements
from segmodels.archive.outfits import NotEnoughError, by_period, pairs

__all__ = ["Insight", "insights", "joints", "movers", "strongest_pair", "usual_period"]

_LEAST_EXPECTED = 5  # outfits with both garments by chance, below which a lift is too uncertain to be named
_LEAST_LIFT = 1.1
_MOST_SHOWN = 4
_MOST_KEPT = 50  # results by archive

Found = TypeVar("Found")

_found: WeakKeyDictionary[Facts, dict[tuple[object, ...], Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Insight:
    """A part of the sentence.

    Args:
        text: Words of the part.
        tab: Name of the tab with the chart that shows it; empty if there is none.
        link: Choices in the tab as parameters of a link.
    """

    text: str
    tab: str = ""
    link: Mapping[str, Sequence[str]] = field(default_factory=dict)


def usual_period(question: Question) -> Period:
    """Period by which the view is best divided: it depends on the days, and on how many months have photos."""
    size = question.facts.size(question.view)
    days = (size.last - size.first).days if size.first and size.last else 0
    if days >= 365 and 12 * days > 2 * 365 * len(question.starts("month")):
        return "fashion season"  # most months have no photos, as where all are of shows in March and September
    return "week" if days < 120 else "month" if days < 5 * 365 else "season"


def movers(question: Question, period: Period) -> pd.DataFrame:
    """Garments that rise or fall significantly, the greatest change in points first.

    Args:
        question: Question about a view.
        period: Length of the periods into which time is divided.

    Returns:
        Rows of `movements` with `points`, the fitted change from the first to the last period; none if there is too
        little data.
    """

    def ask() -> pd.DataFrame:
        try:
            series = by_period(question.facts.counts_by_period(question.view, period), question.errors)
            table = movements(series, period, ["garment"])
        except NotEnoughError:
            return pd.DataFrame({"garment": [], "points": []})
        table["points"] = 100 * (table["last_share"] - table["first_share"])
        table = table[table["significant"]]
        return table.sort_values("points", key=np.abs, ascending=False, kind="stable", ignore_index=True)

    return _kept(question, ("movers", period), ask)


def strongest_pair(question: Question) -> dict[str, Any] | None:
    """Row of `pairs` of the garments that occur together most above chance; None if no pair is significant.

    The strongest has the highest lower limit of its lift, among pairs with at least 5 outfits expected by chance.
    """

    def ask() -> dict[str, Any] | None:
        counts = question.facts.counts(question.view)
        if counts.size < LEAST_TOGETHER:
            return None
        table = pairs(counts)
        expected = table["outfits"] / table["lift"]
        known = table[table["significant"] & (table["lift"] >= _LEAST_LIFT) & (expected >= _LEAST_EXPECTED)]
        return records(known.nlargest(1, "low"))[0] if len(known) else None

    return _kept(question, ("pair",), ask)


def insights(question: Question) -> list[Insight]:
    """Parts of the sentence at the top of the page.

    Args:
        question: Question about a view.
    """
    parts = _of_time(question)
    pair = strongest_pair(question)
    if pair:
        names = str(pair["first"]), str(pair["second"])
        text = f"{names[0]} with {names[1]} {factor_cell(pair['lift'])} times as often as expected by chance"
        code = Behind(worn=names).code()
        parts.append(Insight(text, "With what", {"view": ["Matrix"], "photos": [f"trends-matrix:{code}"]}))
    elif question.facts.size(question.view).outfits >= LEAST_TOGETHER:
        parts.append(Insight("no two garments are worn together significantly more often than by chance"))
    return parts


def joints(parts: Sequence[Insight]) -> list[str]:
    """Text before each part of the sentence: nothing, a comma between what is of the same tab, or a semicolon."""
    return ["", *(", " if one.tab == other.tab else "; " for one, other in pairwise(parts))][: len(parts)]


def _of_time(question: Question) -> list[Insight]:
    size = question.facts.size(question.view)
    if size.dated < LEAST_OUTFITS or not size.first or size.first == size.last:
        return []
    period = usual_period(question)
    table = movers(question, period)
    if table.empty:
        return [Insight("No garment rises or falls significantly", "How it moves", {"view": ["Rising and falling"]})]
    since = question.named(question.starts(period)[0], period)
    parts: list[Insight] = []
    for row in _named(table):
        points = abs(row["points"])
        text = f"{row['garment']} {'up' if row['points'] > 0 else 'down'} {_points(points)}"
        if not parts:
            text += f" point{'' if _points(points) == '1' else 's'} since {since}"
        parts.append(Insight(text, "How it moves", _line(question, str(row["garment"]), period)))
    if len(table) > len(parts):
        link: dict[str, list[str]] = {"view": ["Rising and falling"], "period": [period]}
        parts.append(Insight(f"{len(table)} garments rise or fall", "How it moves", link))
    return parts


def _named(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The movers to name: the strongest up and the strongest down, else the two strongest."""
    up, down = table[table["points"] > 0], table[table["points"] < 0]
    found = pd.concat([up.head(1), down.head(1)]) if len(up) and len(down) else table.head(2)
    return records(found.sort_index())


def _line(question: Question, garment: str, period: Period) -> dict[str, list[str]]:
    last = question.starts(period)[-1].date()
    code = Behind(worn=(garment,), period=period, start=last).code()
    return {"view": ["Lines"], "period": [period], "shown": [garment], "photos": [f"trends-lines:{code}"]}


def _points(value: float) -> str:
    return f"{value:.0f}" if value >= 0.95 else f"{value:.1f}"


def _kept(question: Question, what: tuple[object, ...], ask: Callable[[], Found]) -> Found:
    """What was found before about the same view, else found now."""
    known = _found.setdefault(question.facts, {})
    view: View = question.view
    key = (*what, view, tuple(question.errors.items()))
    if key in known:
        return cast("Found", known[key])
    if len(known) >= _MOST_KEPT:
        known.clear()
    found = known[key] = ask()
    return found
