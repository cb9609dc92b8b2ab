"""Conditions on the outfits behind a bar, cell, edge or point, in a form that a figure can carry."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pandas as pd

from segmodels.archive.facts import PERIODS, Period
from segmodels.taxonomy import Taxonomy

__all__ = ["Behind", "period_name", "read_behind"]

_MOST = 4000  # characters of a code at most


@dataclass(frozen=True)
class Behind:
    """Conditions on outfits, with the names of `Facts.photos`.

    Args:
        worn: Classes that are worn, all of them.
        not_worn: Classes that are not worn.
        coloured: Class and colour, for each that has one.
        fine: Whether the colours have fine names.
        period: Length of the period whose first day is `start`.
        start: First day of the period.
    """

    worn: tuple[str, ...] = ()
    not_worn: tuple[str, ...] = ()
    coloured: tuple[tuple[str, str], ...] = ()
    fine: bool = False
    period: Period | None = None
    start: date | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that the outfits must have."""
        return tuple(dict.fromkeys([*self.worn, *(name for name, _ in self.coloured)]))

    def words(self, *, south: bool = False) -> str:
        """The conditions as a heading: `navy Pants with Coat, without Hat, March 2024`.

        Args:
            south: Whether some photos are of the southern hemisphere, as in `period_name`.
        """
        plain = [name for name in self.worn if name not in dict(self.coloured)]
        named = [f"{colour} {name}" for name, colour in self.coloured] + plain
        text = " with ".join(named) or "All outfits"
        if self.not_worn:
            text += f", without {' or '.join(self.not_worn)}"
        if self.period and self.start:
            text += f", {period_name(self.start, self.period, south=south)}"
        return text[:1].upper() + text[1:]

    def code(self) -> str:
        """The conditions as JSON, for a point of a figure."""
        return json.dumps({key: value for key, value in asdict(self).items() if value}, default=str)


def read_behind(code: object, taxonomy: Taxonomy) -> Behind | None:
    """Reads what `Behind.code` wrote; None if the text is something else, or has classes of another taxonomy.

    Args:
        code: Code as it came from the browser.
        taxonomy: Taxonomy of the classes.
    """
    if not isinstance(code, str) or len(code) > _MOST:
        return None
    try:
        found: dict[str, Any] = json.loads(code)
        behind = Behind(
            tuple(map(str, found.get("worn", ()))),
            tuple(map(str, found.get("not_worn", ()))),
            tuple((str(name), str(colour)) for name, colour in found.get("coloured", ())),
            bool(found.get("fine", False)),
            found.get("period"),
            date.fromisoformat(found["start"]) if found.get("start") else None,
        )
    except (ValueError, TypeError, AttributeError):
        return None
    known = {*behind.classes, *behind.not_worn} <= set(taxonomy.names)
    return behind if known and behind.period in (None, *PERIODS) else None


def period_name(start: date | pd.Timestamp, period: Period, *, south: bool = False) -> str:
    """Name of the period that begins on a day: `March 2024`, `winter 2023/24`, `SS 2024`, `week of 2024-03-04`.

    Args:
        start: First day of the period; of a season, the first day in the north.
        period: Length of the period.
        south: Whether photos of the southern hemisphere are counted with the seasons of the north. Their seasons of the
            same name are half a year later, so that some need another year: `winter 2023/24 (south: 2024)`.
    """
    if period == "week":
        return f"week of {start:%Y-%m-%d}"
    if period == "month":
        return f"{start:%B %Y}"
    if period == "half-year":
        return f"{'first' if start.month <= 6 else 'second'} half of {start:%Y}"
    if period == "year":
        return f"{start:%Y}"
    names = {12: "winter", 3: "spring", 6: "summer", 9: "autumn"} if period == "season" else {3: "SS", 9: "AW"}
    months = 3 if period == "season" else 6
    north, there = _years(start.year, start.month, months), _years(start.year, start.month + 6, months)
    years = f"{north} (south: {there})" if south and there != north else north
    return f"{names.get(start.month, f'{period} from {start:%B}')} {years}"


def _years(year: int, month: int, months: int) -> str:
    """Year of some months, or both of them: `2024`, `2023/24`; months beyond December are of the next year."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return f"{year}/{(year + 1) % 100:02d}" if month + months > 13 else f"{year}"
