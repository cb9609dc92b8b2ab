"""Periods into which time is divided, and the hemispheres that name its seasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from segmodels.archive.dates import PRECISIONS, Precision

__all__ = ["CALENDAR", "PERIODS", "Hemispheres", "Period"]

Period = Literal["week", "month", "season", "collection", "fashion season", "half-year", "year"]
PERIODS: tuple[Period, ...] = ("week", "month", "season", "collection", "fashion season", "half-year", "year")
"""Periods into which time can be divided, shorter ones first.

A season is three months, and winter starts in December. Fashion seasons are those in which clothes are worn:
Spring/Summer from March to August, Autumn/Winter from September to February. Collections are the four of a year, by
when they come to the shops: Resort from November, Spring/Summer from February, Pre-Fall from May, Autumn/Winter from
August. Half-years start in January and July.
"""

Hemispheres = Literal["north", "south", "both"]
"""Hemispheres of the dated photos of a view.

Seasons, collections and fashion seasons have the same first days in both, half a year apart in name: the season from
June is summer in the north and winter in the south. So photos of the south are counted in the period of their real day,
and only its name depends on the hemispheres of a view. Counting winters of both as one period was tried and dropped: in
the first and the last half-year such periods have photos of one hemisphere only, which looks like growth.
"""

_HALF = "date_trunc('year', {0}) + to_months((6 * ((month({0}) - 1) // 6))::INTEGER)"
# What a date may name so that its photo counts in a period: a photo of "1995" counts in years, and in no month.
_NAMED: Mapping[Period, tuple[Precision, ...]] = {
    "week": ("day", "week"),
    "month": ("day", "week", "month"),
    "season": ("day", "week", "month"),
    "collection": ("day", "week", "month"),
    "fashion season": ("day", "week", "month", "fashion season"),
    "half-year": ("day", "week", "month", "quarter", "half-year"),
    "year": PRECISIONS,
}
_STARTS: Mapping[Period, str] = {
    "week": "date_trunc('week', day)",
    "month": "date_trunc('month', day)",
    "season": "date_trunc('quarter', day + INTERVAL 1 MONTH) - INTERVAL 1 MONTH",
    "collection": "date_trunc('quarter', day + INTERVAL 2 MONTH) - INTERVAL 2 MONTH",
    "fashion season": f"{_HALF.format('(day - INTERVAL 2 MONTH)')} + INTERVAL 2 MONTH",
    "half-year": _HALF.format("day"),
    "year": "date_trunc('year', day)",
}
CALENDAR = ", ".join(
    f"CASE WHEN named IN ({', '.join(str(PRECISIONS.index(each)) for each in _NAMED[period])}) "
    f'THEN ({start})::DATE END AS "{period}"'
    for period, start in _STARTS.items()
)
"""SQL: for a row with `day` and `named`, the first day of each period; null where its date names more than that."""
