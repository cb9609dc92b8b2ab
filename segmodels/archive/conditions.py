"""Which outfits are counted: the filters of a view, and conditions on the outfits behind a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from segmodels.archive.counts import Counting
from segmodels.archive.periods import Period

__all__ = ["NO_CONDITIONS", "Conditions", "Size", "View"]


@dataclass(frozen=True)
class View:
    """Filters that choose the outfits to count.

    Args:
        first: First day; with it or `last`, photos without a date are left out.
        last: Last day, included.
        tags: Pairs of a tag and values, of which a photo must have one.
        garments: Classes that an outfit must hold, all of them.
        colours: Basic colours of which a garment (one of `garments`, if any) must have one.
        min_share: Least share of the outfit that a garment must have to count, 0..1; for raw counts only.
        min_confidence: Least confidence of a garment to count, 0..1; for raw counts only.
        counting: Way of counting; None for the archive's default (`Facts.countings`).
        duplicates: Whether each of several near-duplicates counts, instead of one of them.
    """

    first: date | None = None
    last: date | None = None
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    garments: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    min_share: float = 0.0
    min_confidence: float = 0.0
    counting: Counting | None = None
    duplicates: bool = False


@dataclass(frozen=True)
class Conditions:
    """Conditions on the outfits behind a number, beside the filters of its view.

    Args:
        worn: Classes that an outfit holds, all of them.
        not_worn: Classes that it does not hold.
        coloured: Pairs of a class and a basic or fine colour; the outfit holds a garment for each pair.
        fine: Whether a name that is both, such as gray, is the fine colour.
        period: Period to which the photos are limited; only used together with `start`.
        start: First day of the period.
    """

    worn: Sequence[str] = ()
    not_worn: Sequence[str] = ()
    coloured: Sequence[tuple[str, str]] = ()
    fine: bool = False
    period: Period | None = None
    start: date | None = None


NO_CONDITIONS = Conditions()
"""Every outfit of a view."""


@dataclass(frozen=True)
class Size:
    """Size of a view: photos, outfits, outfits with a date, and the first and last day.

    The numbers are float where outfits count with a probability, and int otherwise.
    """

    photos: float
    outfits: float
    dated: float
    first: date | None
    last: date | None
