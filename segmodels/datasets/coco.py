"""Instances in COCO's JSON, as CVAT, Label Studio, Roboflow and others export them.

images          id, file_name, width, height; whatever else a row holds is a column to group photos by
annotations     image_id, category_id, segmentation, iscrowd
categories      id, name, supercategory

A segmentation is a list of polygons, run lengths (`counts` as a list), or compressed run lengths (`counts` as text),
see https://cocodataset.org/#format-data. All parts of an annotation are its mask. Masks overlap; the smaller one is on
top, of two of one size the later one. A crowd (`iscrowd`) does not tell which pixels are the garment's, so it is
unlabelled. CVAT and datumaro write every painted mask as a crowd: where crowds have `attributes`, as theirs have, or
are most of the annotations, they are taken for masks.

A supercategory that says accessory, body, garment or part, or one of Fashionpedia's for parts, is the group of its
class; the groups of the others are guessed. `check-data --save-kinds` makes classes of the other supercategories.

A photo with an annotation that cannot be read has no truth, since that would lack a garment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard
from unicodedata import normalize

import numpy as np

from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import (
    Classes,
    PhotoFolder,
    Region,
    columns_of,
    draw,
    load_json,
    name_classes,
    name_of,
    parse_json,
    polygon_runs,
    runs_of,
    turn_upright,
)
from segmodels.photo import MAX_PIXELS, PhotoError, StoredPhoto, read_stored
from segmodels.sentences import listed
from segmodels.taxonomy import UNLABELLED, Group, Taxonomy

__all__ = ["draw_coco", "read_coco"]

_LISTS = ("images", "annotations", "categories")
_KEYS = frozenset(  # of an image; others are columns
    ("id", "file_name", "width", "height", "coco_url", "flickr_url", "orientation", "upright")
)
_GROUPS: Mapping[str, Group] = {
    **dict.fromkeys(("accessory", "accessories"), "accessory"),
    **dict.fromkeys(("body", "body part", "body parts"), "body"),
    **dict.fromkeys(("garment", "garments", "clothes", "clothing"), "garment"),
    **dict.fromkeys(("part", "parts", "garment parts", "closures", "decorations"), "part"),
}


@dataclass(frozen=True)
class _Image:
    """One row of `images`, with its annotations by their place in the file."""

    file_name: str
    path: Path
    width: Any
    height: Any
    annotations: list[tuple[int, Mapping[str, Any]]]
    upright: bool
    """Whether it says that it was marked upright, as files that Garmentscope wrote do."""

    others: Mapping[str, Any]
    """What else the row holds."""


def read_coco(path: Path, photos: Path | None = None) -> Dataset:
    """Opens a JSON file; photos are read, and masks drawn, when they are asked for.

    The ids are the paths of the photos without their endings.

    Args:
        path: The JSON file.
        photos: Folder of the photos; the folder of the file if left out, or the one above where it is `annotations`.

    Raises:
        DatasetError: If the file is not COCO's JSON, or names no photo or no class.
    """
    content = _checked(path, load_json(path))
    name = name_of("coco", path)
    classes = _classes(path, content, name)
    folder = photos or (path.parent.parent if path.parent.name == "annotations" else path.parent)
    images, faults = _images(path, content, PhotoFolder(folder))
    crowds, lumps = sum(bool(row.get("iscrowd")) for row in content["annotations"]), _are_lumps(content)
    if not images:
        raise DatasetError(f"{path} names no photo that can be used. {' '.join(faults[:1])}".rstrip())
    return Dataset(
        name=name,
        root=folder,
        taxonomy=classes.taxonomy,
        ids=tuple(sorted(images)),
        photo_path=lambda photo_id: images[photo_id].path,
        truth_path=lambda _: path,
        read_truth=lambda photo_id: _draw(path, images, classes, lumps, photo_id).truth,
        draw_truth=partial(_draw, path, images, classes, lumps),
        faults=tuple(faults),
        notes=(
            (f"{crowds} of {len(content['annotations'])} annotations are crowds, taken for masks.",)
            if crowds and not lumps
            else ()
        ),
        columns=columns_of({photo_id: image.others for photo_id, image in images.items()}),
        reading=classes.reading,
        supercategories=_supercategories(content, classes),
    )


def draw_coco(path: Path, data: bytes, photos: Mapping[str, StoredPhoto]) -> tuple[Taxonomy, dict[str, DrawnTruth]]:
    """The truths of given photos, from the content of a JSON file.

    Args:
        path: Name of the file, for messages.
        data: Content of the file.
        photos: Size and orientation of each photo, by the name that it has without folders.

    Returns:
        The classes, and the truth of each of the photos that the file names once.

    Raises:
        DatasetError: If the file is not COCO's JSON, or an annotation of one of the photos cannot be read.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    content = _checked(path, parse_json(text, path))
    classes, lumps = _classes(path, content, name_of("coco", path)), _are_lumps(content)
    found: dict[str, list[_Image]] = {}
    by_number = {}
    for row in content["images"]:
        name = row.get("file_name")
        last = normalize("NFC", str(name).replace("\\", "/")).rpartition("/")[2]
        if last in photos and _is_id(row.get("id")):
            image = _image(str(name), Path(last), row)
            by_number[row["id"]] = image
            found.setdefault(last, []).append(image)
    for place, row in enumerate(content["annotations"]):
        if _is_id(number := row.get("image_id")) and number in by_number:
            by_number[number].annotations.append((place, row))
    once = {name: images[0] for name, images in found.items() if len(images) == 1}
    return classes.taxonomy, {name: _drawn(path, image, classes, lumps, photos[name]) for name, image in once.items()}


def _classes(path: Path, content: Mapping[str, list[dict[str, Any]]], name: str) -> Classes:
    names, groups = {}, {}
    for row in content["categories"]:
        number, title = row.get("id"), row.get("name")
        if not _is_id(number) or not isinstance(number, int) or not isinstance(title, str) or number in names:
            raise DatasetError(
                f"{path}: a category has the id {number!r} and the name {title!r}; expected one number each."
            )
        names[number] = title
        if group := _GROUPS.get(str(row.get("supercategory")).strip().lower()):
            groups[number] = group
    return name_classes(names, name, path, groups)


def _supercategories(content: Mapping[str, list[dict[str, Any]]], classes: Classes) -> dict[str, str]:
    """Supercategory by class name, where it says more than the group or the name."""
    told = {}
    for row in content["categories"]:
        name, broader = classes.taxonomy.names[classes.ids[row["id"]]], row.get("supercategory")
        if isinstance(broader, str) and broader.strip().lower() not in {*_GROUPS, "", "none", name.lower()}:
            told[name] = broader.strip()
    return told


def _are_lumps(content: Mapping[str, list[dict[str, Any]]]) -> bool:
    """Whether crowds are lumps of objects; tools that write every mask as a crowd mean masks."""
    crowds = [row for row in content["annotations"] if row.get("iscrowd")]
    return not any("attributes" in row for row in crowds) and 2 * len(crowds) <= len(content["annotations"])


def _checked(path: Path, content: Any) -> dict[str, list[dict[str, Any]]]:
    for name in _LISTS:
        rows = content.get(name) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DatasetError(f"{path} has no list {name}. Export it again as COCO instances.")
    return {name: content[name] for name in _LISTS}


def _is_id(value: object) -> TypeGuard[int | str]:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _images(
    path: Path, content: Mapping[str, list[dict[str, Any]]], folder: PhotoFolder
) -> tuple[dict[str, _Image], list[str]]:
    """Images by the id of their photo, and a sentence for each row that belongs to none."""
    faults: list[str] = []
    by_number: dict[int | str, _Image] = {}
    by_id: dict[str, list[_Image]] = {}
    files = folder.find(name for row in content["images"] if isinstance(name := row.get("file_name"), str))
    for place, row in enumerate(content["images"]):
        number, name = row.get("id"), row.get("file_name")
        if not _is_id(number) or not isinstance(name, str) or not name.strip():
            faults.append(f"{path}, images[{place}]: the id is {number!r} and the file_name {name!r}; both are needed.")
        elif number in by_number:
            faults.append(
                f"{path}, images[{place}]: the id {number!r} of {name} is {by_number[number].file_name}'s too."
            )
        else:
            parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..")]
            nowhere = folder.folder.joinpath(*parts)
            image = _image(name, files.get(name, nowhere), row)
            by_number[number] = image
            by_id.setdefault(_id_of(name), []).append(image)
    for place, row in enumerate(content["annotations"]):
        number = row.get("image_id")
        if _is_id(number) and number in by_number:
            by_number[number].annotations.append((place, row))
        else:
            faults.append(f"{path}, annotations[{place}]: there is no image with the id {number!r}.")
    for photo_id, images in by_id.items():
        if len(images) > 1:
            names = listed([repr(image.file_name) for image in images])
            faults.append(f"{path} has {len(images)} images of the name {photo_id} ({names}); all are left out.")
    return {photo_id: images[0] for photo_id, images in by_id.items() if len(images) == 1}, faults


def _image(file_name: str, path: Path, row: Mapping[str, Any]) -> _Image:
    others = {key: value for key, value in row.items() if key not in _KEYS}
    return _Image(file_name, path, row.get("width"), row.get("height"), [], row.get("upright") is True, others)


def _id_of(file_name: str) -> str:
    path = PurePosixPath(normalize("NFC", file_name.replace("\\", "/")))
    return str(path.with_suffix("")) if path.name else str(path)


def _draw(path: Path, images: Mapping[str, _Image], classes: Classes, lumps: bool, photo_id: str) -> DrawnTruth:
    if photo_id not in images:
        raise DatasetError(f"{path} has no photo {photo_id}. Check the id.")
    image = images[photo_id]
    stored: StoredPhoto | str
    try:
        stored = read_stored(image.path)
    except PhotoError as error:
        stored = str(error)  # said after what is wrong with the annotations
    return _drawn(path, image, classes, lumps, stored)


def _drawn(path: Path, image: _Image, classes: Classes, lumps: bool, stored: StoredPhoto | str) -> DrawnTruth:
    """The truth of a photo, whose size and orientation are known; or else a sentence on why they are not."""
    width, height = image.width, image.height
    if not all(type(side) is int and side > 0 for side in (width, height)) or width * height > MAX_PIXELS:
        raise DatasetError(f"{path}: {image.file_name} is given {width!r} x {height!r} pixels, which cannot be.")
    regions, wrong = [], []
    for place, row in image.annotations:
        try:
            regions.append(_region(row, classes, lumps, height, width))
        except ValueError as error:
            wrong.append(f"annotations[{place}]: {error}")
    if wrong:
        raise DatasetError(f"{path}, {image.file_name}, {listed(wrong)}.")
    if isinstance(stored, str):
        raise DatasetError(stored)
    drawn, where = draw(regions, height, width), f"{path}: {image.file_name}"
    return turn_upright(drawn, stored, where, seen_upright=image.upright)


def _region(row: Mapping[str, Any], classes: Classes, lumps: bool, height: int, width: int) -> Region:
    """Reads one annotation; `lumps` says whether crowds are lumps of objects rather than masks.

    Raises:
        ValueError: If it is none; the message says what is wrong, without a full stop.
    """
    category = row.get("category_id")
    if not isinstance(category, int) or category not in classes.ids:
        raise ValueError(f"category {category!r} is not in the list of categories")
    drawn = row.get("segmentation")
    if isinstance(drawn, list) and drawn:
        if not all(isinstance(part, list) and all(_is_number(value) for value in part) for part in drawn):
            raise ValueError("a polygon is not a list of numbers")
        runs = polygon_runs(drawn, height, width)
    elif isinstance(drawn, dict):
        runs = _checked_runs(drawn, height, width)
    else:
        raise ValueError("it has no segmentation, such as a polygon")
    return Region(UNLABELLED if lumps and row.get("iscrowd") else classes.ids[category], runs)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checked_runs(drawn: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """Run lengths of either kind, for all pixels of the photo."""
    size, counts = drawn.get("size"), drawn.get("counts")
    if size != [height, width]:
        raise ValueError(f"the size of its run lengths is {size!r}, not [{height}, {width}] as of its photo")
    if isinstance(counts, str):
        counts = runs_of(counts)
    if not isinstance(counts, list) or not all(isinstance(run, int) and run >= 0 for run in counts):
        raise ValueError("its run lengths are damaged")
    if sum(counts) != height * width:
        raise ValueError(f"its run lengths are of {sum(counts)} pixels, not of {height * width}")
    return np.array(counts, np.int64)
