"""iMaterialist (Fashion) 2019 at FGVC6, as Kaggle hands it out.

train/<ImageId>             the photos
train.csv                   ImageId, EncodedPixels, Height, Width, ClassId: one garment or part of one photo a row
label_descriptions.json     names of the classes, under `categories`

`EncodedPixels` are runs, `start length start length ...`, that count pixels from 1 down the columns. `ClassId` may
carry attributes after `_`, which are passed over. Class 0 is a garment, so class ids here are one higher. Masks
overlap, a sleeve and its shirt say; the papers are silent on that. The smaller mask is painted last, so that it is
seen.

The classes cannot be mapped to `OUTFIT_15`: a pixel of a sleeve, pocket or zipper does not tell its garment, and hair
and skin are background.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from segmodels.datasets.dataset import Dataset, DatasetError
from segmodels.photo import MAX_PIXELS
from segmodels.sentences import first_line
from segmodels.taxonomy import IMATERIALIST_47, UNLABELLED

__all__ = ["read_imaterialist"]

_COLUMNS = ("ImageId", "EncodedPixels", "Height", "Width", "ClassId")
_WHERE = "iMaterialist 2019 is available at https://www.kaggle.com/c/imaterialist-fashion-2019-FGVC6/data"


class _Rows(NamedTuple):
    """Where the rows of one photo begin in train.csv, in bytes."""

    photo: str
    starts: array[int]


class _Mask(NamedTuple):
    """One row: pixels `starts` (from 0, down the columns) to `ends`, of a class."""

    class_id: int
    height: int
    width: int
    starts: np.ndarray
    ends: np.ndarray


def read_imaterialist(root: Path) -> Dataset:
    """Opens the data set in the classes of `IMATERIALIST_47`.

    train.csv is gone through once, and only the place of each row is kept: 8 bytes of it. Photos and masks are read
    when they are asked for.

    Raises:
        DatasetError: If the folder does not have the data set's layout, or train.csv other columns.
    """
    for needed in (root / "train", root / "train.csv"):
        if not needed.exists():
            raise DatasetError(f"{needed} is missing. {_WHERE}; name the folder that holds train/ and train.csv.")
    classes = _classes(root / "label_descriptions.json")
    header, rows = _index(root / "train.csv")
    return Dataset(
        name="imaterialist",
        root=root,
        taxonomy=IMATERIALIST_47,
        ids=tuple(sorted(rows)),
        photo_path=partial(_photo_path, root, rows),
        truth_path=lambda _: root / "train.csv",
        read_truth=partial(_read_truth, root / "train.csv", header, rows, classes),
    )


def _classes(path: Path) -> dict[int, int]:
    """Id in `IMATERIALIST_47` by the number in ClassId: by name where the file of names is, else one higher."""
    if not path.is_file():
        return {garment.id - 1: garment.id for garment in IMATERIALIST_47.classes[1:]}
    try:
        named = {int(each["id"]): str(each["name"]) for each in json.loads(path.read_text("utf-8"))["categories"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged ({error!r}). {_WHERE}.") from None
    return {number: IMATERIALIST_47[name].id for number, name in named.items() if name in IMATERIALIST_47.names}


def _index(path: Path) -> tuple[list[str], dict[str, _Rows]]:
    """Names of the columns, and by id where each photo's rows are; one row is held at a time."""
    rows: dict[str, _Rows] = {}
    try:
        with path.open("rb") as file:
            header = [_unquoted(name) for name in file.readline().removeprefix(b"\xef\xbb\xbf").split(b",")]
            if missing := [name for name in _COLUMNS if name not in header]:
                raise DatasetError(f"{path} has no column {', '.join(missing)}. {_WHERE}.")
            start, place = file.tell(), header.index("ImageId")
            for line in file:
                fields = line.split(b",", place + 1)
                photo = _unquoted(fields[place]) if len(fields) > place else ""
                if photo:
                    rows.setdefault(PurePosixPath(photo).stem, _Rows(photo, array("Q"))).starts.append(start)
                elif line.strip():
                    raise DatasetError(f"{path}, byte {start}: the row names no photo. {_WHERE}.")
                start += len(line)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {first_line(error)}. {_WHERE}.") from None
    return header, rows


def _unquoted(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip().strip('"')


def _photo_path(root: Path, rows: Mapping[str, _Rows], photo_id: str) -> Path:
    photo = rows[photo_id].photo if photo_id in rows else photo_id
    return root / "train" / (photo if Path(photo).suffix else f"{photo}.jpg")


def _read_truth(
    path: Path, header: list[str], rows: Mapping[str, _Rows], classes: Mapping[int, int], photo_id: str
) -> np.ndarray:
    if photo_id not in rows:
        raise DatasetError(f"{path} has no row of photo {photo_id}. {_WHERE}.")
    masks = []
    try:
        with path.open("rb") as file:
            for start in rows[photo_id].starts:
                file.seek(start)
                masks.append(_mask(file.readline(), header))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {first_line(error)}. {_WHERE}.") from None
    except ValueError as error:
        raise DatasetError(f"{path}, byte {start}, photo {photo_id}: {error}. {_WHERE}.") from None
    sizes = {(mask.height, mask.width) for mask in masks}
    if len(sizes) > 1:
        shown = " and ".join(f"{width} x {height}" for height, width in sorted(sizes)[:2])
        raise DatasetError(f"{path}: the rows of photo {photo_id} give it two sizes, {shown}. {_WHERE}.")
    height, width = sizes.pop()
    pixels = np.zeros(height * width, np.uint8)
    for mask in sorted(masks, key=lambda mask: -int((mask.ends - mask.starts).sum())):
        for first, end in zip(mask.starts, mask.ends, strict=True):
            pixels[first:end] = classes.get(mask.class_id, UNLABELLED)
    if (pixels == UNLABELLED).any():
        unknown = min(mask.class_id for mask in masks if mask.class_id not in classes)
        raise DatasetError(f"{path}, photo {photo_id}: class {unknown} is not one of the 46. {_WHERE}.")
    return np.ascontiguousarray(pixels.reshape(width, height).T)  # runs go down the columns


def _mask(line: bytes, header: list[str]) -> _Mask:
    """Reads one row.

    Raises:
        ValueError: If it is not one; the message says what is wrong, without a full stop.
    """
    fields = line.split(b",")
    if len(fields) != len(header):
        raise ValueError(f"the row has {len(fields)} fields instead of {len(header)}")
    values = dict(zip(header, map(_unquoted, fields), strict=True))
    numbers = {}
    for name in ("Height", "Width", "ClassId"):
        text = values[name].split("_")[0]
        if not text.isdecimal():
            raise ValueError(f"{name} is {values[name]!r}, which is not a whole number")
        numbers[name] = int(text)
    height, width = numbers["Height"], numbers["Width"]
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels is not a possible size of a photo")
    try:
        runs = np.array(values["EncodedPixels"].split(), np.str_).astype(np.int64)
    except (ValueError, OverflowError):
        raise ValueError("EncodedPixels holds something other than whole numbers") from None
    if len(runs) % 2:
        raise ValueError(f"EncodedPixels holds {len(runs)} numbers; runs are pairs of a start and a length")
    starts, lengths = runs[::2] - 1, runs[1::2]
    if (starts < 0).any() or (lengths < 1).any():
        raise ValueError("EncodedPixels holds a start or a length below 1")
    over = (starts >= height * width) | (lengths > height * width - starts)
    if over.any():
        raise ValueError(
            f"the run {starts[over][0] + 1} {lengths[over][0]} goes past the end of {width} x {height} pixels"
        )
    return _Mask(numbers["ClassId"], height, width, starts, starts + lengths)
