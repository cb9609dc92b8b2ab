"""Segmentation labels of YOLO, as Ultralytics, Roboflow and others export them.

data.yaml       `names` (a list, or names by number); `train`, `val`, `test`: folders of photos; `path`: where those are
images/         the photos, at any depth
labels/         a text file for each photo, of the same path and name; a photo without one shows background

Where the folders of photos are not there, as in what `garmentscope segment --export yolo` writes, the photos may lie in
any other folder, under the paths that their labels have; then a photo without labels is none of the data set.

A row is `class x y x y ...`, one polygon in shares of the photo's width and height. Polygons overlap; the smaller one
is on top, of two of one size the later one. They are of the photo upright: shares do not tell, and Ultralytics reads it
so.

A photo with a row that cannot be read has no truth, since that would lack a garment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unicodedata import normalize

import yaml  # type: ignore[import-untyped]

from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import (
    Classes,
    PhotoFolder,
    Region,
    draw,
    name_classes,
    name_of,
    polygon_runs,
    read_text,
    whole_number,
)
from segmodels.photo import MAX_PIXELS, PhotoError, read_stored
from segmodels.sentences import listed

__all__ = ["read_yolo"]

_PARTS = ("train", "val", "test")
_SLACK = 0.01  # how far a point may lie outside, as a share of the side; tools round


class _Pair(NamedTuple):
    photo: Path
    labels: Path
    """Where the labels are, or would be."""


def read_yolo(path: Path, root: Path | None = None) -> Dataset:
    """Opens a data set by its data.yaml; photos and labels are read when they are asked for.

    All photos of `train`, `val` and `test` are its photos. The ids are their paths without the endings.

    Args:
        path: The YAML file.
        root: Folder that `train`, `val` and `test` start from, or that holds the photos themselves. If left out,
            `path` of the file, or the folder of the file where there is no such folder.

    Raises:
        DatasetError: If the file is not such a file, or there is no photo.
    """
    content = _load(path)
    name = name_of("yolo", path)
    classes = _classes(path, content.get("names"), name)
    pairs, faults = _pairs(path, content, root)
    if not pairs:
        raise DatasetError(f"{path} leads to no photo. {' '.join(faults[:1])}".rstrip())
    return Dataset(
        name=name,
        root=root or path.parent,
        taxonomy=classes.taxonomy,
        ids=tuple(sorted(pairs)),
        photo_path=lambda photo_id: pairs[photo_id].photo,
        truth_path=lambda photo_id: pairs[photo_id].labels,
        read_truth=lambda photo_id: _draw(pairs, classes, photo_id).truth,
        draw_truth=partial(_draw, pairs, classes),
        faults=tuple(faults),
        reading=classes.reading,
    )


def _load(path: Path) -> Mapping[str, Any]:
    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise DatasetError(f"{path} is not YAML ({where}). Export the data set again.") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{path} has no names. Name the data.yaml of the data set.")
    return content


def _classes(path: Path, names: object, name: str) -> Classes:
    numbered = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(numbered, dict) or not all(
        isinstance(number, int) and number >= 0 and isinstance(text, str) for number, text in numbered.items()
    ):
        raise DatasetError(f"{path}: names must be a list of names, or names by number.")
    return name_classes(numbered, name, path)


def _pairs(path: Path, content: Mapping[str, Any], root: Path | None) -> tuple[dict[str, _Pair], list[str]]:
    """Photo and labels by id, and a sentence for each folder or photo that is left out."""
    start = root or _start(path, content)
    pairs: dict[str, _Pair] = {}
    folders: set[Path] = set()
    faults: list[str] = []
    missing: list[str] = []
    for part in _PARTS:
        entries = content.get(part)
        for entry in entries if isinstance(entries, list) else [entries]:
            if entry is None or entry == "":
                continue
            folder = _folder(start, entry, path.parent) if isinstance(entry, str) else None
            if folder is None:
                faults.append(f"{path}: {part} is {entry!r}, which is no folder in {start}.")
                missing.append(str(entry))
                continue
            if folder.resolve() in folders:
                continue
            folders.add(folder.resolve())
            prefix = folder.relative_to(start).as_posix() if folder.is_relative_to(start) else folder.name
            labels = _texts(_labels_of(folder / "x").parent)
            for key, files in PhotoFolder(folder).by_id().items():
                photo_id = str(PurePosixPath(prefix) / key)
                if len(files) > 1:
                    names = listed([file.name for file in files])
                    faults.append(f"{files[0].parent} has {len(files)} photos of the name {photo_id} ({names}).")
                    labels.pop(key, None)
                else:
                    pairs[photo_id] = _Pair(files[0], labels.pop(key, _labels_of(files[0])))
            faults.extend(f"{text} has no photo in {folder}." for text in labels.values())
    if missing and not folders:
        return _pairs_elsewhere(path, content, root, dict.fromkeys(missing), faults[0])
    return pairs, faults


def _start(path: Path, content: Mapping[str, Any]) -> Path:
    """Where the folders of photos start from: `path` of the file, which often is that of another machine."""
    given = content.get("path")
    try:
        if isinstance(given, str) and (path.parent / given).is_dir():
            return path.parent / given
    except (OSError, ValueError):  # a name that is too long, or holds what no name may
        pass
    return path.parent


def _pairs_elsewhere(
    path: Path, content: Mapping[str, Any], root: Path | None, missing: Collection[str], fault: str
) -> tuple[dict[str, _Pair], list[str]]:
    """Photo and labels by id where labels were written without their photos, which lie in another folder."""
    start = _start(path, content)
    labels: dict[str, Path] = {}
    for entry in missing:
        there = _labels_of(start / entry / "x").parent
        try:
            inside = start.resolve() in there.resolve().parents and there.is_dir()
        except (OSError, ValueError):
            continue
        labels |= {key: text for key, text in _texts(there).items() if key not in labels} if inside else {}
    if root is None:
        where = f" The labels are there, in {next(iter(labels.values())).parent}." if labels else ""
        return {}, [f"{fault}{where} Name the folder of the photos with --data."]
    pairs: dict[str, _Pair] = {}
    doubles: list[str] = []
    for key, files in PhotoFolder(root).by_id().items():
        if (text := labels.pop(key, None) or _labels_inside(start, missing, key)) is None:
            continue
        if len(files) > 1:
            names = listed([file.name for file in files])
            doubles.append(f"{files[0].parent} has {len(files)} photos of the name {key} ({names}).")
        else:
            pairs[key] = _Pair(files[0], text)
    if not pairs and not doubles:
        return {}, [f"{fault} Nor has a photo in {root} the name of a file of labels beside {path.name}."]
    return pairs, [*doubles, *(f"{text} has no photo in {root}." for text in labels.values())]


def _labels_inside(start: Path, entries: Iterable[str], key: str) -> Path | None:
    """The labels of a photo whose path holds a folder `images`, which is the one that becomes `labels`."""
    if "images" not in PurePosixPath(key).parts[:-1]:
        return None
    return next((text for entry in entries if (text := _labels_of(start / entry / f"{key}.jpg")).is_file()), None)


def _texts(folder: Path) -> dict[str, Path]:
    """The text files of a folder by their path without the ending, in Unicode's NFC."""
    try:
        files = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() == ".txt" and path.name != "classes.txt"
        )
    except OSError as error:
        raise DatasetError(f"{folder} cannot be listed: {error.strerror}.") from None
    return {normalize("NFC", path.relative_to(folder).with_suffix("").as_posix()): path for path in files}


def _folder(start: Path, entry: str, yaml_folder: Path) -> Path | None:
    """The folder of an entry; Roboflow's entries begin with `../` and mean the folder of the YAML file.

    One that holds the YAML file's own folder is none: it would be searched for photos that have nothing to do with it.
    """
    for folder in (start / entry, start / entry.removeprefix("../")):
        try:
            if folder.is_dir() and folder.resolve() not in yaml_folder.resolve().parents:
                return folder
        except OSError:  # a name that is too long, say
            continue
    return None


def _labels_of(photo: Path) -> Path:
    """Where the labels of a photo are: the last `images` of its path becomes `labels`."""
    parts = list(photo.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _draw(pairs: Mapping[str, _Pair], classes: Classes, photo_id: str) -> DrawnTruth:
    if photo_id not in pairs:
        raise DatasetError(f"There is no photo {photo_id}. Check the id.")
    photo, labels = pairs[photo_id]
    try:
        width, height = read_stored(photo).upright_size
    except PhotoError as error:
        raise DatasetError(str(error)) from None
    if width * height > MAX_PIXELS:
        raise DatasetError(
            f"{photo} has more than the {MAX_PIXELS // 1_000_000} million pixels allowed. Make it smaller."
        )
    regions, wrong = [], []
    if labels.exists():
        for number, line in enumerate(read_text(labels, most=None).splitlines(), 1):
            try:
                if line.strip():
                    regions.append(_region(line.split(), classes, height, width))
            except ValueError as error:
                wrong.append(f"line {number}: {error}")
    if wrong:
        raise DatasetError(f"{labels}, {listed(wrong)}.")
    return draw(regions, height, width)


def _region(fields: list[str], classes: Classes, height: int, width: int) -> Region:
    """Reads one row.

    Raises:
        ValueError: If it is none; the message says what is wrong, without a full stop.
    """
    number = whole_number(fields[0])
    if number not in classes.ids:
        raise ValueError(f"{fields[0]!r} is not the number of a class")
    if len(fields) == 5:
        raise ValueError("it is a box, not a polygon")
    try:
        values = [float(field) for field in fields[1:]]
    except ValueError:
        raise ValueError("the polygon holds something other than numbers") from None
    if not all(isfinite(value) and -_SLACK <= value <= 1 + _SLACK for value in values):
        raise ValueError("the polygon has a number that is no share between 0 and 1")
    pixels = [value * (height if place % 2 else width) for place, value in enumerate(values)]
    return Region(classes.ids[number], polygon_runs([pixels], height, width))
