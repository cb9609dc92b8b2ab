"""Photos and masks of the same name in a folder, as LabelMe, Supervisely, CVAT and others export them.

photos/ or images/      the photos, at any depth
masks/ or labels/       one PNG for each, of the same path and name; `_mask` may follow the name
classes.txt             a name a line; or
classes.json            a list of names, or names by number: {"1": "shirt", "2": "trousers"}

Photos and masks may also lie together in the folder itself; then `_mask` must follow the names of the masks.

A mask is an index or palette PNG whose values are the numbers of the classes; 255 is unlabelled. In a list, the first
name is number 0 where it says background, else number 1; 0 is the background in any case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from segmodels.annotations.index_masks import UPRIGHT_KEY
from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import (
    Classes,
    PhotoFolder,
    is_background,
    name_classes,
    name_of,
    read_text,
    turn_upright,
)
from segmodels.photo import MAX_PIXELS, PhotoError, read_stored
from segmodels.sentences import listed
from segmodels.taxonomy import UNLABELLED

__all__ = ["read_masks"]

_PHOTOS, _MASKS = ("photos", "images"), ("masks", "labels")
_SUFFIX = "_mask"
_MODES = ("1", "L", "P", "I", "I;16", "I;16B")  # of Pillow, with one whole number for each pixel


class _Pair(NamedTuple):
    photo: Path
    mask: Path


def read_masks(root: Path, photos: Path | None = None) -> Dataset:
    """Opens a folder of photos and masks; both are read when they are asked for.

    The ids are the paths of the photos without their endings.

    Args:
        root: The folder.
        photos: Folder of the photos, or of `photos/` or `images/`, where they are not in it.

    Raises:
        DatasetError: If the folder does not have that layout, or no photo has a mask.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder. Name the folder that holds photos/, masks/ and classes.txt.")
    name = name_of("masks", root)
    classes = _classes(root, name)
    photo_folder = _first_folder(photos or root, _PHOTOS)
    mask_folder = _first_folder(root, _MASKS)
    pairs, faults = _pairs(photo_folder, mask_folder)
    if not pairs:
        raise DatasetError(
            f"No photo in {photo_folder} has a mask of the same name in {mask_folder}. {' '.join(faults[:1])}".rstrip()
        )
    return Dataset(
        name=name,
        root=root,
        taxonomy=classes.taxonomy,
        ids=tuple(sorted(pairs)),
        photo_path=lambda photo_id: pairs[photo_id].photo,
        truth_path=lambda photo_id: pairs[photo_id].mask,
        read_truth=lambda photo_id: _draw(pairs, classes, photo_id).truth,
        draw_truth=partial(_draw, pairs, classes),
        faults=tuple(faults),
    )


def _first_folder(root: Path, names: tuple[str, ...]) -> Path:
    """The first of these folders that there is, else the root itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def _classes(root: Path, name: str) -> Classes:
    text, table = root / "classes.txt", root / "classes.json"
    if text.is_file() and table.is_file():
        raise DatasetError(f"{root} holds classes.txt and classes.json. Remove one.")
    if not text.is_file() and not table.is_file():
        raise DatasetError(f"{root} holds no classes.txt. Write the name of one class a line.")
    if text.is_file():
        return name_classes(_numbered([line.strip() for line in read_text(text).strip().splitlines()]), name, text)
    try:
        content = json.loads(read_text(table))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{table} is not JSON ({error}).") from None
    values = content if isinstance(content, list) else content.values() if isinstance(content, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        raise DatasetError(f"{table} is neither a list of names nor names by number.")
    if isinstance(content, list):
        return name_classes(_numbered(content), name, table)
    if wrong := [key for key in content if not (key.isascii() and key.isdecimal() and int(key) < UNLABELLED)]:
        raise DatasetError(f"{table}: {wrong[0]!r} is not a number from 0 to {UNLABELLED - 1}.")
    return name_classes({int(key): value for key, value in content.items()}, name, table)


def _numbered(names: list[str]) -> dict[int, str]:
    first = 0 if names and is_background(names[0]) else 1
    return dict(enumerate(names, first))


def _pairs(photo_folder: Path, mask_folder: Path) -> tuple[dict[str, _Pair], list[str]]:
    """Photo and mask by id, and a sentence for each file that is in no pair."""
    together = photo_folder.resolve() == mask_folder.resolve()
    photos = {
        photo_id: files
        for photo_id, files in PhotoFolder(photo_folder, mask_folder).by_id().items()
        if not (together and photo_id.endswith(_SUFFIX))
    }
    masks: dict[str, list[Path]] = {}
    for mask_id, files in PhotoFolder(mask_folder, photo_folder).by_id().items():
        pngs = [path for path in files if path.suffix.lower() == ".png"]
        if pngs and (not together or mask_id.endswith(_SUFFIX)):
            of = mask_id if mask_id in photos else mask_id.removesuffix(_SUFFIX)
            masks.setdefault(of, []).extend(pngs)
    faults, pairs = [], {}
    for photo_id in sorted(photos.keys() | masks.keys()):
        for files, what in ((photos.get(photo_id, []), "photos"), (masks.get(photo_id, []), "masks")):
            if len(files) > 1:
                names = listed([path.name for path in files])
                faults.append(f"{files[0].parent} has {len(files)} {what} of the name {photo_id} ({names}).")
        mine, its = photos.get(photo_id, []), masks.get(photo_id, [])
        if not its:
            faults.append(f"{mine[0]} has no mask in {mask_folder}.")
        elif not mine:
            faults.append(f"{its[0]} has no photo in {photo_folder}.")
        elif len(mine) == len(its) == 1:
            pairs[photo_id] = _Pair(mine[0], its[0])
    return pairs, faults


def _draw(pairs: Mapping[str, _Pair], classes: Classes, photo_id: str) -> DrawnTruth:
    if photo_id not in pairs:
        raise DatasetError(f"There is no photo {photo_id} with a mask.")
    photo, mask = pairs[photo_id]
    values = _values(mask)
    table = np.full(256, -1, np.int16)
    table[0], table[UNLABELLED] = 0, UNLABELLED
    for number, class_id in classes.ids.items():
        table[number] = class_id
    inside = (values >= 0) & (values <= UNLABELLED)
    truth = np.where(inside, table[np.where(inside, values, 0)], -1)
    if (truth < 0).any():
        unknown = sorted({int(value) for value in np.unique(values[truth < 0])})
        raise DatasetError(
            f"{mask}: no class has the number {listed(list(map(str, unknown)))}; the last one is {max(classes.ids)}. "
            "Name it, or correct the mask."
        )
    try:
        stored = read_stored(photo)
    except PhotoError as error:
        raise DatasetError(str(error)) from None
    return turn_upright(DrawnTruth(truth.astype(np.uint8)), stored, str(mask), is_upright=_says_upright(mask))


def _says_upright(path: Path) -> bool:
    """Whether a mask says that it is of the photo turned upright, as those that Garmentscope writes do."""
    with Image.open(path, formats=["PNG"]) as image:
        return image.info.get(UPRIGHT_KEY) == "yes"


def _values(path: Path) -> np.ndarray:
    """The numbers that a PNG holds, `(H, W)`."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DatasetError(f"{path} has more than the {MAX_PIXELS // 1_000_000} million pixels allowed.")
            if image.mode not in _MODES:
                raise DatasetError(f"{path} is {image.mode}, not an index or palette PNG. Export class numbers.")
            return np.array(image).astype(np.int32)
    except DatasetError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise DatasetError(f"{path} is missing, damaged or no PNG ({error}). Export it again.") from None
