"""Photos of other kinds than street snapshots, with the classes that the main person shows: for choosing, not training.

photos/<file>       the photos
wild.csv            one photo a row, with at least the columns
    file            name of the file in photos/
    framing         full, waist-up, bust, close-up, group, flat-lay, other
    people          how many people the photo shows; 0 for a flat-lay
    tags            classes of OUTFIT_15 that the main person, or the flat-lay, shows; `|` between them
    unsure          classes of which nobody can tell
    light           normal, low, backlit, bw (black and white)
    skin            light, medium, dark, none

The words of framing, light and skin are taken as they stand. Each photo has its own source and licence, which further
columns state.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segmodels.datasets.dataset import DatasetError
from segmodels.photo import open_photo
from segmodels.sentences import first_line
from segmodels.taxonomy import OUTFIT_15, Taxonomy

__all__ = ["WildPhoto", "WildPhotos", "read_wild"]

_FILE = "wild.csv"
_COLUMNS = ("file", "framing", "people", "tags", "unsure", "light", "skin")


@dataclass(frozen=True)
class WildPhoto:
    """One photo.

    Args:
        file: File name in `photos/`.
        framing: Part of the person that it shows.
        people: Number of people that the photo shows.
        tags: Names of the classes that the main person shows.
        unsure: Names of the classes of which nobody can tell.
        light: Kind of light.
        skin: Tone of the main person's skin.
    """

    file: str
    framing: str
    people: int
    tags: frozenset[str]
    unsure: frozenset[str]
    light: str
    skin: str


@dataclass(frozen=True)
class WildPhotos:
    """Photos of other kinds.

    Args:
        root: The folder that was read.
        photos: The photos, in the order of `wild.csv`.
        taxonomy: Taxonomy of the classes.
    """

    root: Path
    photos: tuple[WildPhoto, ...]
    taxonomy: Taxonomy = OUTFIT_15

    def open(self, photo: WildPhoto) -> np.ndarray:
        """A photo's pixels, uint8 `(H, W, 3)`.

        Raises:
            PhotoError: If the file is missing or damaged.
        """
        return open_photo(self.root / "photos" / photo.file, max_bytes=None)


def read_wild(root: Path) -> WildPhotos:
    """Opens the set; photos are read when they are asked for.

    Args:
        root: The folder that holds `photos/` and `wild.csv`.

    Raises:
        DatasetError: If the folder does not have the set's layout, or a row of `wild.csv` is wrong.
    """
    path = root / _FILE
    for needed in (root / "photos", path):
        if not needed.exists():
            raise DatasetError(f"{needed} is missing. Name the folder that holds photos/ and {_FILE}.")
    photos = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
                raise DatasetError(f"{path} has no column {', '.join(missing)}. Get the file again.")
            photos = [_photo(row, f"{path}, line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {first_line(error)}.") from None
    if not photos:
        raise DatasetError(f"{path} lists no photo. Get the file again.")
    return WildPhotos(root, tuple(photos))


def _photo(row: dict[str, str | None], place: str) -> WildPhoto:
    """One row as a photo; `place` begins the sentence where it is wrong."""
    values = {name: (row[name] or "").strip() for name in _COLUMNS}
    if not values["file"] or Path(values["file"]).name != values["file"]:
        raise DatasetError(f"{place}: {values['file']!r} is not the name of a file in photos/.")
    if not values["people"].isdecimal():
        raise DatasetError(f"{place}: people is {values['people']!r}, which is not a whole number.")
    tags, unsure = (frozenset(filter(None, values[name].split("|"))) for name in ("tags", "unsure"))
    if unknown := sorted((tags | unsure) - set(OUTFIT_15.names)):
        raise DatasetError(f"{place}: {', '.join(unknown)} is not a class of {OUTFIT_15.name}.")
    if both := sorted(tags & unsure):
        raise DatasetError(f"{place}: {', '.join(both)} cannot be in tags and in unsure.")
    return WildPhoto(
        file=values["file"],
        framing=values["framing"],
        people=int(values["people"]),
        tags=tags,
        unsure=unsure,
        light=values["light"],
        skin=values["skin"],
    )
