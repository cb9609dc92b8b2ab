"""Conditions on the outfits behind a bar, cell, edge or point, in a form that a figure can carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import pandas as pd

from segmodels.archive.facts import PERIODS, Conditions, Hemispheres, Period, View
from segmodels.taxonomy import Taxonomy

__all__ = ["Behind", "period_name", "read_behind"]

_SEASONS = {12: "winter", 3: "spring", 6: "summer", 9: "autumn"}  # of the north, by first month
_FASHION_SEASONS = {3: "SS", 9: "FW"}
_COLLECTIONS = {11: "Resort", 2: "SS", 5: "Pre-Fall", 8: "FW"}
_NAMES: Mapping[Period, Mapping[int, str]] = {
    "season": _SEASONS,
    "fashion season": _FASHION_SEASONS,
    "collection": _COLLECTIONS,
}
_MOST = 4000  # characters of a code at most


@dataclass(frozen=True)
class Behind:
    """Conditions on outfits, as in `Conditions`.

    Args:
        worn: Classes that are worn, all of them.
        not_worn: Classes that are not worn.
        coloured: Class and colour, for each that has one.
        fine: Whether the colours have fine names.
        period: Length of the period whose first day is `start`.
        start: First day of the period.
        tag: Name and value of a tag of the photos.
    """

    worn: tuple[str, ...] = ()
    not_worn: tuple[str, ...] = ()
    coloured: tuple[tuple[str, str], ...] = ()
    fine: bool = False
    period: Period | None = None
    start: date | None = None
    tag: tuple[str, str] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that the outfits must have."""
        return tuple(dict.fromkeys([*self.worn, *(name for name, _ in self.coloured)]))

    @property
    def conditions(self) -> Conditions:
        """The conditions for `Facts`."""
        return Conditions(self.classes, self.not_worn, self.coloured, self.fine, self.period, self.start)

    def within(self, view: View) -> View:
        """The view whose outfits the conditions are about: that of the tag, if there is one."""
        if self.tag is None:
            return view
        name, value = self.tag
        return replace(view, tags=(*(pair for pair in view.tags if pair[0] != name), (name, (value,))))

    def words(self, where: Hemispheres = "north") -> str:
        """The conditions as a heading: `navy Pants with Coat, without Hat, March 2024`.

        Args:
            where: Hemispheres of the photos, as in `period_name`.
        """
        plain = [name for name in self.worn if name not in dict(self.coloured)]
        named = [f"{colour} {name}" for name, colour in self.coloured] + plain
        text = " with ".join(named) or "All outfits"
        if self.not_worn:
            text += f", without {' or '.join(self.not_worn)}"
        if self.period and self.start:
            text += f", {period_name(self.start, self.period, where)}"
        if self.tag:
            text += f", {' '.join(self.tag)}"
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
            _tag(found["tag"]) if found.get("tag") else None,
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    known = {*behind.classes, *behind.not_worn} <= set(taxonomy.names)
    return behind if known and behind.period in (None, *PERIODS) else None


def _tag(pair: Any) -> tuple[str, str]:
    name, value = pair
    return str(name), str(value)


def period_name(start: date | pd.Timestamp, period: Period, where: Hemispheres = "north") -> str:
    """Name of the period that begins on a day: `March 2024`, `winter 2023/24`, `SS 2024`, `week of 2024-03-04`.

    A Resort collection that comes to the shops in November has the name of the year after.

    Args:
        start: First day of the period.
        period: Length of the period.
        where: Hemispheres of the photos; in both, a season has two names: `summer 2024 (south: winter)`.
    """
    if period == "week":
        return f"week of {start:%Y-%m-%d}"
    if period == "month":
        return f"{start:%B %Y}"
    if period == "half-year":
        return f"{'first' if start.month <= 6 else 'second'} half of {start:%Y}"
    if period == "year":
        return f"{start:%Y}"
    names = _NAMES[period]
    if start.month not in names:
        return f"{period} from {start:%B %Y}"
    north, south = names[start.month], names[(start.month + 5) % 12 + 1]
    ends_later = start.month + 12 // len(names) > 13
    years = f"{start.year}/{(start.year + 1) % 100:02d}" if ends_later else f"{start.year}"
    if period == "collection":
        years = f"{start.year + ends_later}"
    return f"{south if where == 'south' else north} {years}" + (f" (south: {south})" if where == "both" else "")
