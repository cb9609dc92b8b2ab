"""The counts of a data set that ship with the app, and what the Dataset page reads off them.

`python -m train stats --dataset ccp --data DIR --out RUN --json dashboard/data/ccp.json` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from segmodels.errors import GarmentscopeError
from segmodels.sentences import first_line
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = [
    "CCP",
    "Count",
    "Level",
    "Measure",
    "Part",
    "Share",
    "Sizes",
    "Statistics",
    "StatisticsError",
    "flow_table",
    "garments_table",
    "parts_table",
    "read_statistics",
    "shares",
    "shares_table",
    "sizes_table",
]

CCP = Path(__file__).parents[1] / "data" / "ccp.json"
"""Counts of Clothing Co-Parsing."""

Measure = Literal["pixels", "photos"]
Level = Literal["classes", "labels"]
"""Whether the classes of the taxonomy are counted, or the labels that the source gave."""

_AGAIN = "Count it again: python -m train stats --dataset ccp --data DIR --out RUN --json FILE"


class StatisticsError(GarmentscopeError, ValueError):
    """A file that does not hold the counts of a data set; the message is for the visitor."""


@dataclass(frozen=True)
class Count:
    """Counts of a class or a label.

    Args:
        name: Name of the class or label.
        class_name: The class that it belongs to: itself, or None for a label in no class.
        photos: Number of photos that show it.
        pixels: Number of pixels that carry it.
    """

    name: str
    class_name: str | None
    photos: int
    pixels: int


@dataclass(frozen=True)
class Sizes:
    """Widths or heights, in pixels.

    Args:
        smallest: Minimum over all photos.
        median: Median over all photos: half the photos have no more.
        largest: Maximum over all photos.
        edges: Where each bin begins, and where the last one ends; a bin holds no photo of the next one's first pixel.
        photos: Number of photos in each bin.
    """

    smallest: int
    median: float
    largest: int
    edges: tuple[int, ...]
    photos: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A part of the fixed split: its name, its photos, and how many of them show each class."""

    name: str
    photos: int
    photos_by_class: Mapping[str, int]


@dataclass(frozen=True)
class Statistics:
    """Statistics of a data set.

    Args:
        taxonomy: Taxonomy of the classes.
        photos: Number of photos with a mask that could be read.
        tagged: Number of further photos, with tags and no mask.
        pixels: Number of labelled pixels of all masks.
        counts: Counts of the classes, and of the labels that the source gave where they are finer; the first of each
            is the background.
        garments: Number of photos by number of garments and accessories: of classes, and of labels where there are any.
        width: Widths of the photos.
        height: Heights of the photos.
        parts: Parts of the fixed split.
        faults: Sentences on what is wrong in the data set.
    """

    taxonomy: Taxonomy
    photos: int
    tagged: int
    pixels: int
    counts: Mapping[Level, tuple[Count, ...]]
    garments: Mapping[Level, Mapping[int, int]]
    width: Sizes
    height: Sizes
    parts: tuple[Part, ...]
    faults: tuple[str, ...]

    def unseen(self, level: Level) -> tuple[str, ...]:
        """Names of the classes or labels that no pixel has."""
        return tuple(each.name for each in self.counts[level] if not each.pixels)


@dataclass(frozen=True)
class Share:
    """A bar of the class distribution: what is counted, and its share of the whole, 0 to 1."""

    count: Count
    value: int
    share: float


def read_statistics(path: Path = CCP) -> Statistics:
    """Reads the counts of a data set.

    Raises:
        StatisticsError: If the file is missing, damaged, of an older form, or contradicts itself.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StatisticsError(f"{path.name} cannot be read ({first_line(error)}). {_AGAIN}.") from None
    try:
        statistics = _statistics(found)
    except KeyError as error:
        raise StatisticsError(f"{path.name} has no {error}; an older version wrote it. {_AGAIN}.") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise StatisticsError(f"{path.name} is damaged ({error}). {_AGAIN}.") from None
    if wrong := _contradiction(statistics):
        raise StatisticsError(f"{path.name} contradicts itself: {wrong}. {_AGAIN}.")
    return statistics


def shares(statistics: Statistics, level: Level, measure: Measure, *, background: bool) -> tuple[Share, ...]:
    """The class distribution, largest first; what no pixel carries is left out.

    Args:
        statistics: Statistics of the data set.
        level: Classes or labels.
        measure: Photos are shares of all photos; pixels of all labelled ones or, without background, of the others.
        background: Whether the first class or label, which is the background, counts.
    """
    counts = statistics.counts[level][0 if background else 1 :]
    whole = statistics.photos if measure == "photos" else sum(each.pixels for each in counts)
    values = [(each, each.photos if measure == "photos" else each.pixels) for each in counts if each.pixels]
    return tuple(Share(each, value, value / whole) for each, value in sorted(values, key=lambda item: -item[1]))


def shares_table(statistics: Statistics, level: Level) -> pd.DataFrame:
    """A row for each class or label, seen or not: photos, pixels and their shares, with and without background."""
    rows = []
    everything, foreground = (sum(each.pixels for each in statistics.counts[level][first:]) for first in (0, 1))
    for place, each in enumerate(statistics.counts[level]):
        of_foreground = round(each.pixels / foreground, 6) if place and foreground else None
        start = [each.name, each.class_name or ""][: 2 if level == "labels" else 1]
        rows.append([*start, each.photos, round(each.photos / statistics.photos, 6), each.pixels])
        rows[-1] += [round(each.pixels / everything, 6), of_foreground]
    head = ["label", "class"] if level == "labels" else ["class"]
    return _table([*head, "photos", "share_of_photos", "pixels", "share_of_pixels", "share_of_foreground"], rows)


def flow_table(statistics: Statistics) -> pd.DataFrame:
    """A row for each label: its class, photos and pixels."""
    counts = statistics.counts["labels"]
    return _table(
        ["label", "class", "photos", "pixels"],
        ([each.name, each.class_name or "", each.photos, each.pixels] for each in counts),
    )


def garments_table(statistics: Statistics) -> pd.DataFrame:
    """Number of photos by number of garments and accessories, for classes and for labels."""
    return _table(
        ["counted", "garments", "photos"],
        ([level, *item] for level, photos in statistics.garments.items() for item in photos.items()),
    )


def sizes_table(statistics: Statistics) -> pd.DataFrame:
    """The bins of widths and heights, in pixels."""
    return _table(
        ["side", "from", "below", "photos"],
        (
            [name, *row]
            for name, sizes in (("width", statistics.width), ("height", statistics.height))
            for row in zip(sizes.edges[:-1], sizes.edges[1:], sizes.photos, strict=True)
        ),
    )


def parts_table(statistics: Statistics) -> pd.DataFrame:
    """A row for each part of the split: its photos, and how many of them show each class."""
    names = statistics.taxonomy.names
    return _table(
        ["part", "photos", *names],
        ([part.name, part.photos, *(part.photos_by_class[name] for name in names)] for part in statistics.parts),
    )


def _statistics(found: Mapping[str, Any]) -> Statistics:
    taxonomy = TAXONOMIES[found["taxonomy"]]
    classes, labels = found["classes"], found["labels"]
    if tuple(classes) != taxonomy.names:
        raise ValueError(f"its classes are not those of {taxonomy.name}")
    return Statistics(
        taxonomy=taxonomy,
        photos=int(found["photos"]),
        tagged=int(found["tagged"]),
        pixels=int(found["pixels"]),
        counts={
            "classes": tuple(_count(name, name, values) for name, values in classes.items()),
            "labels": tuple(_count(name, values["class"], values) for name, values in labels.items()),
        },
        garments={
            "classes": _by_number(found["photos_by_number_of_garments"]),
            "labels": _by_number(found["photos_by_number_of_worn_labels"]),
        },
        width=_sizes(found["width"]),
        height=_sizes(found["height"]),
        parts=tuple(
            Part(str(part["name"]), int(part["photos"]), {name: int(part["photos_by_class"][name]) for name in classes})
            for part in found["parts"]
        ),
        faults=tuple(map(str, found["faults"]["sentences"])),
    )


def _count(name: str, class_name: str | None, values: Mapping[str, Any]) -> Count:
    return Count(name, class_name, int(values["photos"]), int(values["pixels"]))


def _by_number(found: Mapping[str, int]) -> dict[int, int]:
    return {int(number): int(photos) for number, photos in found.items()}


def _sizes(found: Mapping[str, Any]) -> Sizes:
    edges, photos = found["histogram"]["edges"], found["histogram"]["photos"]
    if len(edges) != len(photos) + 1:
        raise ValueError("a histogram needs one edge more than it has bins")
    return Sizes(
        int(found["smallest"]),
        float(found["median"]),
        int(found["largest"]),
        tuple(map(int, edges)),
        tuple(map(int, photos)),
    )


def _contradiction(statistics: Statistics) -> str:
    """A contradiction in the counts, in words; empty if there is none."""
    counts, names = statistics.counts, {*statistics.taxonomy.names, None}
    if sum(each.pixels for each in counts["classes"]) != statistics.pixels:
        return "the pixels of its classes do not add up to all of its pixels"
    for label in counts["labels"]:
        if label.class_name not in names:
            return f"{label.name} becomes {label.class_name}, which is not a class"
    for each in counts["classes"]:
        if sum(label.pixels for label in counts["labels"] if label.class_name == each.name) != each.pixels:
            return f"the pixels of the labels that become {each.name} do not add up to those of the class"
    sums = [*(photos.values() for photos in statistics.garments.values()), statistics.width.photos]
    if any(sum(photos) != statistics.photos for photos in [*sums, statistics.height.photos]):
        return "a histogram does not cover all of its photos"
    if statistics.parts and sum(part.photos for part in statistics.parts) != statistics.photos:
        return "the parts of its split do not cover all of its photos"
    return ""


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(header))
