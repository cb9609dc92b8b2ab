"""Flat-lays: photos of one garment each, lying or hanging, with one label a photo and no mask.

photos/<file>       the photos
flatlay.csv         one photo a row, with the columns
    file            name of the file in photos/
    label           the source's own label: T-Shirt, Hoodie, Skirt, Shoes, ...
    class           class of OUTFIT_15 that the label belongs to
    sender          who took the photo
    kids            True for clothes of children, else False
    part            train or test; no sender is in both

The photos are those of https://github.com/alexeygrigorev/clothing-dataset (CC0) whose label names one garment.

The reader is not in `DATASETS`: a `Dataset` promises the class of each pixel, and this set has none.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from segmodels.datasets.dataset import DatasetError
from segmodels.photo import open_photo
from segmodels.sentences import first_line, listed
from segmodels.taxonomy import OUTFIT_15, Taxonomy

__all__ = ["FlatLay", "FlatLays", "read_flatlays"]

_FILE = "flatlay.csv"
_COLUMNS = ("file", "label", "class", "sender", "kids", "part")
_PARTS = ("train", "test")
_WHERE = "The photos are available at https://github.com/alexeygrigorev/clothing-dataset"


@dataclass(frozen=True)
class FlatLay:
    """One photo.

    Args:
        id: File name without its ending.
        file: File name in `photos/`.
        label: The source's own label.
        garment: Name of the class in `OUTFIT_15`.
        sender: Sender who took the photo.
        kids: Whether the clothes are a child's.
        part: Part of the data set, `train` or `test`.
    """

    id: str
    file: str
    label: str
    garment: str
    sender: str
    kids: bool
    part: Literal["train", "test"]


@dataclass(frozen=True)
class FlatLays:
    """Photos of one garment each.

    Args:
        root: The folder that was read.
        photos: The photos, in the order of their ids.
        taxonomy: Taxonomy of the classes.
    """

    root: Path
    photos: tuple[FlatLay, ...]
    taxonomy: Taxonomy = OUTFIT_15

    def __len__(self) -> int:
        return len(self.photos)

    def part(self, name: str) -> FlatLays:
        """The photos of one part, `train` or `test`.

        Raises:
            DatasetError: If the part is another, or holds no photo.
        """
        photos = tuple(photo for photo in self.photos if photo.part == name)
        if not photos:
            raise DatasetError(f"{self.root / _FILE} has no photo of part {name!r}; parts are {' and '.join(_PARTS)}.")
        return replace(self, photos=photos)

    def select(self, ids: list[str]) -> FlatLays:
        """The photos of the given ids, in their order.

        Raises:
            DatasetError: If one of them is not here; the message names the first few.
        """
        by_id = {photo.id: photo for photo in self.photos}
        missing = [photo_id for photo_id in ids if photo_id not in by_id]
        if missing:
            raise DatasetError(f"{len(missing)} of {len(ids)} ids are not flat-lays at {self.root}: {listed(missing)}.")
        return replace(self, photos=tuple(by_id[photo_id] for photo_id in ids))

    def path(self, photo: FlatLay) -> Path:
        """Path of a photo."""
        return self.root / "photos" / photo.file

    def open(self, photo: FlatLay) -> np.ndarray:
        """A photo's pixels, uint8 `(H, W, 3)`.

        Raises:
            PhotoError: If the file is missing or damaged.
        """
        return open_photo(self.path(photo), max_bytes=None)


def read_flatlays(root: Path) -> FlatLays:
    """Opens the set; photos are read when they are asked for.

    Args:
        root: The folder that holds `photos/` and `flatlay.csv`.

    Raises:
        DatasetError: If the folder does not have the set's layout, or a row of `flatlay.csv` is wrong.
    """
    path = root / _FILE
    for needed in (root / "photos", path):
        if not needed.exists():
            raise DatasetError(f"{needed} is missing. {_WHERE}; name the folder that holds photos/ and {_FILE}.")
    photos: dict[str, FlatLay] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
                raise DatasetError(f"{path} has no column {', '.join(missing)}. Get the file again.")
            for row in rows:
                photo = _flatlay(row, f"{path}, line {rows.line_num}")
                if photo.id in photos:
                    raise DatasetError(f"{path}, line {rows.line_num}: {photo.id} occurs twice.")
                photos[photo.id] = photo
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {first_line(error)}.") from None
    if not photos:
        raise DatasetError(f"{path} lists no photo. Get the file again.")
    return FlatLays(root, tuple(photos[photo_id] for photo_id in sorted(photos)))


def _flatlay(row: dict[str, str | None], place: str) -> FlatLay:
    """One row as a photo; `place` begins the sentence where it is wrong."""
    file, label, garment, sender, kids, part = ((row[name] or "").strip() for name in _COLUMNS)
    if not file or Path(file).name != file:
        raise DatasetError(f"{place}: {file!r} is not the name of a file in photos/.")
    if garment not in {each.name for each in OUTFIT_15.worn}:
        raise DatasetError(f"{place}: {garment!r} is not a garment of {OUTFIT_15.name}.")
    if kids not in ("True", "False"):
        raise DatasetError(f"{place}: kids is {kids!r}; it must be True or False.")
    if part not in _PARTS:
        raise DatasetError(f"{place}: part is {part!r}; it must be {' or '.join(_PARTS)}.")
    return FlatLay(
        Path(file).stem, file, label, garment, sender, kids == "True", "train" if part == "train" else "test"
    )
