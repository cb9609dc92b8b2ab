"""Brush strokes and polygons of Label Studio, exported as JSON.

A list of tasks. What is read of each:

data            where the photo is, by the name of a variable (`image`); the other values are columns to group photos by
annotations     result, was_cancelled, created_at, updated_at, id
predictions     result, created_at, id
result          type, from_name, to_name, original_width, original_height, image_rotation, value
value           `rle` (brush) or `points` (polygon, in percent of the photo's sides), and the labels: `brushlabels`,
                `polygonlabels` or `labels`

Of several annotations of one photo the newest that was not cancelled is its truth; an empty one says that the photo
shows background. Where no task of the file has an annotation, as in what `garmentscope segment --export labelstudio`
writes, predictions stand for them; in a file that has both, what a person has not seen yet is left out. The labels of a
`labeling_config.xml` beside the file are classes too. The controls (`from_name`) share one list of labels. A task may
show several photos; `to_name` is then the name of the variable. Regions overlap; the smaller one is on top, of two of
one size the later one. Boxes, ellipses, lines and points outline nothing: a photo with one of those has no truth, since
that would lack a garment.

A photo is found by the name at the end of `/data/upload/PROJECT/NAME`, `/data/local-files/?d=PATH` or another address,
also without the eight characters and the hyphen that Label Studio puts before the name of an upload. Nothing is
downloaded. Browsers show photos upright, so a region whose size fits both ways is of the upright photo.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unicodedata import normalize
from urllib.parse import parse_qs, unquote, urlsplit
from xml.parsers import expat

import numpy as np

from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import (
    Classes,
    PhotoFolder,
    Region,
    columns_of,
    draw,
    load_json,
    mask_runs,
    name_classes,
    name_of,
    polygon_runs,
    read_text,
    turn_upright,
)
from segmodels.photo import MAX_PIXELS, PHOTO_SUFFIXES, PhotoError, read_stored
from segmodels.sentences import listed

__all__ = ["read_labelstudio"]

_LABELS = ("brushlabels", "polygonlabels", "labels")
_CONTROLS = ("BrushLabels", "PolygonLabels", "Labels")  # of a labelling interface, which offer those labels
_INTERFACE = "labeling_config.xml"
_WITHOUT_LABELS = ("brush", "polygon")  # results of controls whose labels a further result of the same id holds
_SHAPES: Mapping[str, str] = {
    **dict.fromkeys(("rectangle", "rectanglelabels"), "a box"),
    **dict.fromkeys(("ellipse", "ellipselabels"), "an ellipse"),
    **dict.fromkeys(("keypoint", "keypointlabels"), "a point"),
    **dict.fromkeys(("vector", "vectorlabels"), "a line"),
}
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


class _Annotation(NamedTuple):
    """One annotation of a task, as far as it is about one photo."""

    task: object
    cancelled: bool
    age: tuple[float, int]
    results: list[tuple[int, Mapping[str, Any]]]


@dataclass
class _Photo:
    """A photo, which may be that of several tasks."""

    names: tuple[str, ...]
    """Names of the file, the likeliest first."""

    data: Mapping[str, Any]
    annotations: list[_Annotation] = field(default_factory=list)

    @property
    def valid(self) -> list[_Annotation]:
        """Annotations that were not cancelled, the newest last."""
        return sorted((each for each in self.annotations if not each.cancelled), key=lambda each: each.age)


def read_labelstudio(path: Path, photos: Path | None = None) -> Dataset:
    """Opens an export; photos are read, and masks drawn, when they are asked for.

    The ids are the paths of the photos, as the export has them, without their endings.

    Args:
        path: The JSON file.
        photos: Folder of the photos; the folder of the file if left out.

    Raises:
        DatasetError: If the file is not Label Studio's JSON, or has no annotated photo or no label.
    """
    tasks = load_json(path)
    if not isinstance(tasks, list):
        raise DatasetError(f"{path} is not a list of tasks. Export it from Label Studio as JSON.")
    if tasks and all(isinstance(task, dict) and "data" not in task for task in tasks):
        raise DatasetError(f"{path} has tasks without data, as JSON-MIN has. Export it from Label Studio as JSON.")
    kind = _kind(tasks)
    found, faults = _photos(path, tasks, kind)
    images = {photo_id: photo for photo_id, photo in found.items() if photo.valid}
    if not images:
        raise DatasetError(f"{path} has no photo with an annotation. {' '.join(faults[:1])}".rstrip())
    name = name_of("labelstudio", path)
    classes, ids = _classes(path, images, name)
    folder = photos or path.parent
    files = _files(images, PhotoFolder(folder))
    return Dataset(
        name=name,
        root=folder,
        taxonomy=classes.taxonomy,
        ids=tuple(sorted(images)),
        photo_path=lambda photo_id: files.get(photo_id, folder / images[photo_id].names[0].lstrip("/")),
        truth_path=lambda _: path,
        read_truth=lambda photo_id: _draw(path, images, files, ids, photo_id).truth,
        draw_truth=partial(_draw, path, images, files, ids),
        faults=tuple(faults),
        notes=tuple(_notes(found, kind)),
        columns=columns_of({photo_id: photo.data for photo_id, photo in images.items()}),
        reading=classes.reading,
    )


def _kind(tasks: list[Any]) -> str:
    """Key of the lists whose results are the truth: `predictions` where there is nothing else."""
    there = [task for task in tasks if isinstance(task, dict)]
    annotated = any(task.get("annotations") or task.get("completions") for task in there)
    predicted = any(isinstance(each, dict) for task in there for each in _list_of(task.get("predictions")))
    return "predictions" if predicted and not annotated else "annotations"


def _list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _photos(path: Path, tasks: list[Any], kind: str) -> tuple[dict[str, _Photo], list[str]]:
    """Photos by id, and a sentence for each task or annotation that belongs to none."""
    found: dict[str, _Photo] = {}
    faults: list[str] = []
    for place, task in enumerate(tasks):
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            faults.append(f"{path}, [{place}]: it is no task with data.")
            continue
        where = f"{path}, task {task.get('id', place)}"
        names = {key: names for key, value in data.items() if (names := _names(value))}
        annotations = task.get(kind, task.get("completions", []))
        if not names:
            faults.append(f"{where}: its data names no photo.")
            continue
        if not isinstance(annotations, list):
            faults.append(f"{where}: its {kind} are not a list.")
            continue
        here: dict[str, set[str]] = {}  # variables by id of the photo, which several may name
        for key, each in names.items():
            photo_id = _id_of(each[0])
            others = {other: value for other, value in data.items() if other not in names}
            found.setdefault(photo_id, _Photo(each, others))
            here.setdefault(photo_id, set()).add(key)
        for number, annotation in enumerate(annotations):
            results = annotation.get("result") if isinstance(annotation, dict) else None
            if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
                faults.append(f"{where}, {kind}[{number}]: it has no list of results.")
                continue
            rows = list(enumerate(results))
            for photo_id, keys in here.items():
                its = [row for row in rows if len(here) == 1 or row[1].get("to_name") in keys]
                cancelled = bool(annotation.get("was_cancelled"))
                its_own = _Annotation(task.get("id", place), cancelled, _age(annotation), its)
                found[photo_id].annotations.append(its_own)
            targets = {str(result.get("to_name")) for result in results if "value" in result} - names.keys()
            if targets and len(here) > 1:
                faults.append(
                    f"{where}, {kind}[{number}]: {listed(sorted(targets))} is none of its photos "
                    f"{listed(sorted(names))}."
                )
    return found, faults


def _names(value: object) -> tuple[str, ...]:
    """Names under which the file of an address may be found; none where it is not the address of a picture."""
    if not isinstance(value, str):
        return ()
    try:
        address = urlsplit(value.strip())
        named = parse_qs(address.query).get("d", [""])[0] or unquote(address.path)
    except ValueError:
        return ()
    if address.scheme == "data" or not named.lower().endswith(PHOTO_SUFFIXES):
        return ()
    _, upload, rest = named.rpartition("data/upload/")
    if not upload:
        return (named,)
    last = PurePosixPath(rest).name
    return (last, *([_UPLOAD.sub("", last, count=1)] if _UPLOAD.match(last) else []))


def _id_of(name: str) -> str:
    parts = [part for part in PurePosixPath(normalize("NFC", name.replace("\\", "/"))).parts if part not in ("/", "..")]
    return str(PurePosixPath(*parts).with_suffix(""))


def _age(annotation: Mapping[str, Any]) -> tuple[float, int]:
    """What puts annotations in the order in which they were last changed."""
    number = annotation.get("id")
    for key in ("updated_at", "created_at"):
        try:
            return datetime.fromisoformat(annotation[key]).timestamp(), number if isinstance(number, int) else 0
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return 0.0, number if isinstance(number, int) else 0


def _notes(found: Mapping[str, _Photo], kind: str) -> list[str]:
    several = [photo_id for photo_id, photo in found.items() if len(photo.valid) > 1]
    without = [photo_id for photo_id, photo in found.items() if not photo.valid]
    controls = {
        str(result.get("from_name"))
        for photo in found.values()
        for annotation in photo.valid[-1:]
        for _, result in annotation.results
        if _label_of(result)
    }
    what = kind.removesuffix("s")
    return [
        *(
            ["No task has an annotation; the predictions are taken, which a network made."]
            if kind == "predictions"
            else []
        ),
        *(
            [f"{_photos_have(several)} several {kind}, of which the newest is taken: {listed(several)}."]
            if several
            else []
        ),
        *(
            [
                f"{_photos_have(without)} no {what}, or only a cancelled one, and "
                f"{'is' if len(without) == 1 else 'are'} left out: {listed(without)}."
            ]
            if without
            else []
        ),
        *([f"The labels of {listed(sorted(controls))} are one list of classes."] if len(controls) > 1 else []),
    ]


def _label_of(result: Mapping[str, Any]) -> list[str]:
    """The labels of a result; none where it has none, or does not outline anything."""
    value = result.get("value")
    labels = next((value[key] for key in _LABELS if key in value), None) if isinstance(value, dict) else None
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []


def _classes(path: Path, images: Mapping[str, _Photo], name: str) -> tuple[Classes, dict[str, int]]:
    """The classes, in the order of their names, and class ids by label."""
    labels = {
        label for photo in images.values() for _, result in photo.valid[-1].results for label in _label_of(result)
    }
    if not labels:
        raise DatasetError(f"{path}: no annotation has a label of a brush or polygon. Label something.")
    offered = _offered(path.with_name(_INTERFACE))
    names = sorted({normalize("NFC", label).strip() for label in labels | offered})
    classes = name_classes(dict(enumerate(names)), name, path)
    return classes, {label: classes.ids[names.index(normalize("NFC", label).strip())] for label in labels}


def _offered(path: Path) -> set[str]:
    """The labels that a labelling interface offers for brushes and polygons; none where it is not there."""
    labels: set[str] = set()
    inside: list[str] = []

    def start(tag: str, values: dict[str, str]) -> None:
        if tag == "Label" and inside and inside[-1] in _CONTROLS and values.get("value", "").strip():
            labels.add(values["value"])
        inside.append(tag)

    def refuse(*_: object) -> None:
        raise DatasetError(f"{path} declares a document type, which Label Studio does not write. Remove the file.")

    if not path.is_file():
        return labels
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, lambda _: inside.pop()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_text(path), True)
    except expat.ExpatError as error:
        raise DatasetError(f"{path} is not XML ({error}). Remove it, or save the labelling interface again.") from None
    return labels


def _files(images: Mapping[str, _Photo], folder: PhotoFolder) -> dict[str, Path]:
    """File by id of each photo that is there."""
    files: dict[str, Path] = {}
    for place in range(max(len(photo.names) for photo in images.values())):
        asked = {
            photo_id: photo.names[place]
            for photo_id, photo in images.items()
            if photo_id not in files and place < len(photo.names)
        }
        taken, found = set(files.values()), folder.find(dict.fromkeys(asked.values()))
        files |= {photo_id: found[name] for photo_id, name in asked.items() if found.get(name) not in {None, *taken}}
    return files


def _draw(
    path: Path, images: Mapping[str, _Photo], files: Mapping[str, Path], ids: Mapping[str, int], photo_id: str
) -> DrawnTruth:
    if photo_id not in images:
        raise DatasetError(f"{path} has no photo {photo_id} with an annotation. Check the id.")
    photo = images[photo_id]
    annotation = photo.valid[-1]
    where = f"{path}, task {annotation.task}"
    if photo_id not in files:
        raise DatasetError(f"{where}: there is no file {' or '.join(photo.names)} among the photos.")
    try:
        stored = read_stored(files[photo_id])
    except PhotoError as error:
        raise DatasetError(str(error)) from None
    regions: list[Region] = []
    wrong: list[str] = []
    sizes: set[tuple[int, int]] = set()
    labelled = {str(result.get("id")) for _, result in annotation.results if _label_of(result)}
    for place, result in annotation.results:
        try:
            if _outlines(result, labelled):
                size = _size(result)
                regions.append(_region(result, ids, *size))
                sizes.add(size)
        except ValueError as error:
            wrong.append(f"result[{place}]: {error}")
    if len(sizes) > 1:
        wrong.append(
            f"its regions are of photos of {listed(sorted(f'{width} x {height}' for height, width in sizes))} pixels"
        )
    if wrong:
        raise DatasetError(f"{where}, {photo_id}, {listed(wrong)}.")
    height, width = sizes.pop() if sizes else stored.upright_size[::-1]
    return turn_upright(draw(regions, height, width), stored, f"{where}: {photo_id}", seen_upright=True)


def _outlines(result: Mapping[str, Any], labelled: Collection[str]) -> bool:
    """Whether a result is a region with a label; what is no region at all, as a choice or a text, is passed over.

    Raises:
        ValueError: If it is a region that outlines nothing or has no label; the message ends without a full stop.
    """
    value, kind = result.get("value"), str(result.get("type"))
    if kind in _SHAPES:
        raise ValueError(f"it is {_SHAPES[kind]}, not a brush stroke or polygon")
    if kind not in (*_LABELS, *_WITHOUT_LABELS):
        return False
    if kind in _WITHOUT_LABELS and not _label_of(result) and str(result.get("id")) in labelled:
        return False
    if not isinstance(value, dict) or not ("rle" in value or "points" in value):
        raise ValueError("it is neither a brush stroke nor a polygon")
    return True


def _size(result: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the photo of a region.

    Raises:
        ValueError: If they cannot be; the message ends without a full stop.
    """
    width, height = result.get("original_width"), result.get("original_height")
    if not (type(width) is int and type(height) is int and width > 0 and height > 0 and width * height <= MAX_PIXELS):
        raise ValueError(f"its photo is given {width!r} x {height!r} pixels, which cannot be")
    if rotation := result.get("image_rotation"):
        raise ValueError(f"its photo was turned by {rotation!r} degrees in Label Studio; turn it back there")
    return height, width


def _region(result: Mapping[str, Any], ids: Mapping[str, int], height: int, width: int) -> Region:
    """Reads one region.

    Raises:
        ValueError: If it is none; the message says what is wrong, without a full stop.
    """
    labels, value = _label_of(result), result["value"]
    if len(labels) != 1:
        raise ValueError(f"it has {len(labels)} labels, not one")
    class_id = ids[labels[0]]
    if "rle" in value:
        return Region(class_id, mask_runs(_brush(value["rle"], height, width)))
    points = value["points"]
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and all(type(each) in (int, float) for each in point)
        for point in points
    ):
        raise ValueError("its points are not a list of two numbers each")
    pixels = [each / 100 * side for point in points for each, side in zip(point, (width, height), strict=True)]
    return Region(class_id, polygon_runs([pixels], height, width))


def _brush(packed: object, height: int, width: int) -> np.ndarray:
    """The mask of brush strokes, bool `(H, W)`: where the picture of the strokes is not transparent.

    The bits are those of https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack: 32 for the number of values
    (four a pixel), 5 for the bits of a value less 1, four times 4 for bits of a length less 1; then for each run 1 that
    says whether its values are all the same, 2 that choose the bits of the length, the length less 1, and one value or
    as many as the length.

    Raises:
        ValueError: If they are damaged or of another size; the message ends without a full stop.
    """
    if not isinstance(packed, list) or not all(type(each) is int and 0 <= each < 256 for each in packed):
        raise ValueError("its brush strokes are damaged")
    bits = format(int.from_bytes(bytes(packed)), f"0{8 * len(packed)}b")
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        if at > len(bits):
            raise ValueError("its brush strokes are damaged")
        return int(bits[at - count : at], 2)

    number, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if number != 4 * height * width:
        raise ValueError(f"its brush strokes are of {number / 4:,.0f} pixels, not of {width} x {height}")
    values: list[bool] = []
    lengths: list[int] = []
    left = number
    while left:
        same, size = read(1), sizes[read(2)]
        length = min(read(size) + 1, left)
        single = [read(word) > 0 for _ in range(1 if same else length)]
        values += single
        lengths += [length] if same else [1] * length
        left -= length
    return np.repeat(values, lengths).reshape(height, width, 4)[..., 3]


def _photos_have(names: Sequence[str]) -> str:
    return "1 photo has" if len(names) == 1 else f"{len(names)} photos have"
