"""Annotations of CVAT: "CVAT for images 1.1" and "Segmentation mask 1.1", as a file, a folder or the exported ZIP.

annotations.xml         CVAT for images: `labels` in `meta`, and one `image` a photo with its shapes
images/                 the photos, at any depth, where they are exported too

labelmap.txt            a segmentation mask for each photo, read as `segmodels.datasets.masks` says
SegmentationClass/
JPEGImages/

Of an `image`, polygons (`points`, in pixels) and masks are read: the run lengths `rle` of a mask, outside and inside by
turns along the rows, are those of the box `left`, `top`, `width`, `height`. The shape of the higher `z_order` is on
top; of one `z_order` the smaller, and of one size the later one. Boxes, ellipses, lines and points outline nothing: a
photo with one of those has no truth, since that would lack a garment. Tags are passed over.

CVAT turns photos as EXIF says, so a shape whose photo fits both ways is of the upright one. A ZIP is unpacked into the
folder of caches.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unicodedata import normalize
from xml.parsers import expat

import numpy as np

from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import (
    PhotoFolder,
    Region,
    columns_of,
    draw,
    mask_runs,
    name_classes,
    name_of,
    polygon_runs,
    turn_upright,
)
from segmodels.datasets.masks import LABEL_MAP, read_masks
from segmodels.files import ZIP_ERRORS
from segmodels.photo import MAX_PIXELS, PhotoError, read_stored
from segmodels.sentences import listed
from segmodels.settings import read_settings

__all__ = ["read_cvat"]

_XML = "annotations.xml"
_REFUSED: Mapping[str, str] = {
    "box": "a box",
    "ellipse": "an ellipse",
    "polyline": "a line",
    "points": "points",
    "cuboid": "a cuboid",
    "skeleton": "a skeleton",
}
_SHAPES = ("polygon", "mask", *_REFUSED)
_KEYS = frozenset(("id", "name", "width", "height"))  # of an image; others are columns
_MOST_BYTES = 64 * 1024**3  # of an unpacked ZIP
_MOST_FILES = 1_000_000


class _Shape(NamedTuple):
    """One shape: what it is, its attributes, and the line of the file that it begins on."""

    kind: str
    values: Mapping[str, str]
    line: int


@dataclass(frozen=True)
class _Image:
    """One photo and its shapes."""

    values: Mapping[str, str]
    line: int
    shapes: list[_Shape] = field(default_factory=list)


@dataclass
class _Content:
    """What an XML file holds."""

    labels: list[str] = field(default_factory=list)
    images: list[_Image] = field(default_factory=list)
    tracks: int = 0


def read_cvat(path: Path, photos: Path | None = None) -> Dataset:
    """Opens an export of either kind; photos are read, and masks drawn, when they are asked for.

    The ids are the paths of the photos without their endings.

    Args:
        path: The XML file, the folder that holds it or `labelmap.txt`, or the ZIP.
        photos: Folder of the photos; `images/`, else the folder of the XML file itself, if left out.

    Raises:
        DatasetError: If it is no such export, or names no photo or no class.
    """
    name = name_of("cvat", path)
    folder = path
    if path.suffix.lower() == ".zip":
        folder = _unpacked(path)
        photos_root = photos or path.parent
    else:
        photos_root = photos or (path if path.is_dir() else path.parent)
    if not folder.is_dir():
        return _read_xml(path, photos, name)
    for top in (folder, *sorted(each for each in folder.iterdir() if each.is_dir())):  # some ZIPs hold one folder
        files = [top / _XML] if (top / _XML).is_file() else sorted(top.glob("*.xml"))
        if len(files) == 1:
            return replace(_read_xml(files[0], photos, name), root=photos_root)
        if (top / LABEL_MAP).is_file():
            return replace(read_masks(top, photos, kind="cvat"), name=name, root=photos_root)
    raise DatasetError(
        f"{path} holds neither {_XML} nor {LABEL_MAP}. Export it from CVAT as CVAT for images or as segmentation mask."
    )


def _unpacked(path: Path) -> Path:
    """The folder of caches in which a ZIP is unpacked, once.

    Args:
        path: Path of the ZIP.

    Raises:
        DatasetError: If it cannot be read, names files outside of its folder, or is too large.
    """
    try:
        state = path.stat()
        key = hashlib.sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:16]
        folder = read_settings().cache / "unpacked" / f"{path.stem}-{key}"
        if folder.is_dir():
            return folder
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            for entry in entries:
                parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
                linked = stat.S_ISLNK(entry.external_attr >> 16)
                if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or linked:
                    raise DatasetError(
                        f"{path} holds {entry.filename!r}, which would lie outside of its folder. It is not unpacked; "
                        "export it again."
                    )
            if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _MOST_BYTES:
                raise DatasetError(f"{path} holds too much. Unpack it yourself and name the folder.")
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as part:
                archive.extractall(part, entries)
                if not folder.is_dir():  # by another process meanwhile
                    Path(part).rename(folder)
        return folder
    except DatasetError:
        raise
    except ZIP_ERRORS as error:
        raise DatasetError(f"{path} is no ZIP that can be read ({error}). Export it again.") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be unpacked: {error.strerror or error}.") from None


def _read_xml(path: Path, photos: Path | None, name: str) -> Dataset:
    content = _parse(path)
    if content.tracks and not content.images:
        raise DatasetError(f"{path} is CVAT for video. Export it as CVAT for images.")
    labels = content.labels or sorted(
        {shape.values.get("label", "") for image in content.images for shape in image.shapes} - {""}
    )
    if not labels:
        raise DatasetError(f"{path} names no label. Export it again as CVAT for images.")
    classes = name_classes(dict(enumerate(labels, 1)), name, path)
    ids = {label: classes.ids[number] for number, label in enumerate(labels, 1)}
    folder = photos or _first_folder(path.parent)
    images, faults = _images(path, content.images)
    if not images:
        raise DatasetError(f"{path} names no photo that can be used. {' '.join(faults[:1])}".rstrip())
    files = PhotoFolder(folder).find(image.values["name"] for image in images.values())
    return Dataset(
        name=name,
        root=photos or path.parent,
        taxonomy=classes.taxonomy,
        ids=tuple(sorted(images)),
        photo_path=lambda photo_id: files.get(images[photo_id].values["name"], folder / f"{photo_id}.jpg"),
        truth_path=lambda _: path,
        read_truth=lambda photo_id: _draw(path, images, files, ids, photo_id).truth,
        draw_truth=partial(_draw, path, images, files, ids),
        faults=tuple(faults),
        columns=columns_of(
            {
                photo_id: {key: value for key, value in image.values.items() if key not in _KEYS}
                for photo_id, image in images.items()
            }
        ),
        reading=classes.reading,
    )


def _first_folder(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _parse(path: Path) -> _Content:
    """Labels, photos and shapes. A document type, in which entities would be declared, is refused.

    Raises:
        DatasetError: If the file cannot be read, or is not CVAT's XML.
    """
    content = _Content()
    tags: list[str] = []
    text: list[str] = []
    child = False

    def start(tag: str, values: dict[str, str]) -> None:
        nonlocal child
        if not tags and tag != "annotations":
            raise DatasetError(f"{path} begins with <{tag}>, not with <annotations>. Export it as CVAT for images.")
        tags.append(tag)
        if tag == "image" and len(tags) == 2:
            content.images.append(_Image(values, parser.CurrentLineNumber))
        elif tag in _SHAPES and len(tags) == 3 and tags[1] == "image":
            content.images[-1].shapes.append(_Shape(tag, values, parser.CurrentLineNumber))
        elif tag == "track":
            content.tracks += 1
        elif tag == "label":
            child = False
        text.clear()

    def end(tag: str) -> None:
        nonlocal child
        tags.pop()
        if tags[-2:] == ["labels", "label"]:
            if tag == "name":
                content.labels.append("".join(text).strip())
            elif tag == "parent" and content.labels and not child:  # a joint of a skeleton
                child = True
                content.labels.pop()
        text.clear()

    def refuse(*_: object) -> None:
        raise DatasetError(f"{path} declares a document type, which CVAT does not write. It is not read.")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise DatasetError(f"{path} is not XML ({error}). Export it again as CVAT for images.") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path} is not XML ({error}). Export it again as CVAT for images.") from None
    return content


def _images(path: Path, rows: list[_Image]) -> tuple[dict[str, _Image], list[str]]:
    """Photos by id, and a sentence for each that is left out."""
    by_id: dict[str, list[_Image]] = {}
    faults = []
    for image in rows:
        name = image.values.get("name", "").strip()
        parts = PurePosixPath(normalize("NFC", name.replace("\\", "/"))).parts
        parts = tuple(part for part in parts if part not in ("/", ".."))
        if parts:
            by_id.setdefault(str(PurePosixPath(*parts).with_suffix("")), []).append(image)
        else:
            faults.append(f"{path}, line {image.line}: the image has no name.")
    for photo_id, images in by_id.items():
        if len(images) > 1:
            lines = listed([str(image.line) for image in images])
            faults.append(f"{path} has {len(images)} images of the name {photo_id} (lines {lines}); all are left out.")
    return {photo_id: images[0] for photo_id, images in by_id.items() if len(images) == 1}, faults


def _draw(
    path: Path, images: Mapping[str, _Image], files: Mapping[str, Path], ids: Mapping[str, int], photo_id: str
) -> DrawnTruth:
    if photo_id not in images:
        raise DatasetError(f"{path} has no photo {photo_id}. Check the id.")
    image = images[photo_id]
    name = image.values["name"]
    try:
        width, height = _whole(image.values, "width"), _whole(image.values, "height")
        if min(width, height) < 1 or width * height > MAX_PIXELS:
            raise ValueError(f"the image is given {width} x {height} pixels, which cannot be")
    except ValueError as error:
        raise DatasetError(f"{path}, line {image.line}, {name}: {error}.") from None
    regions, wrong = [], []
    for shape in image.shapes:
        try:
            regions.append(_region(shape, ids, height, width))
        except ValueError as error:
            wrong.append(f"line {shape.line}: {error}")
    if wrong:
        raise DatasetError(f"{path}, {name}, {listed(wrong)}.")
    if name not in files:
        raise DatasetError(f"{path}: there is no file {name} among the photos.")
    try:
        stored = read_stored(files[name])
    except PhotoError as error:
        raise DatasetError(str(error)) from None
    return turn_upright(draw(regions, height, width), stored, f"{path}: {name}", seen_upright=True)


def _region(shape: _Shape, ids: Mapping[str, int], height: int, width: int) -> Region:
    """Reads one shape.

    Raises:
        ValueError: If it is none; the message says what is wrong, without a full stop.
    """
    label = shape.values.get("label", "").strip()
    if label not in ids:
        raise ValueError(f"its label {label!r} is not in the list of labels")
    if shape.kind in _REFUSED:
        raise ValueError(f"it is {_REFUSED[shape.kind]}, not a polygon or mask")
    layer = _whole(shape.values, "z_order", 0)
    if shape.kind == "mask":
        return Region(ids[label], mask_runs(_mask(shape.values, height, width)), layer)
    try:
        points = [float(each) for point in shape.values.get("points", "").split(";") for each in point.split(",", 1)]
    except ValueError:
        raise ValueError("its points are not x,y;x,y and so on") from None
    return Region(ids[label], polygon_runs([points], height, width), layer)


def _whole(values: Mapping[str, str], key: str, default: int | None = None) -> int:
    """A whole number among attributes.

    Raises:
        ValueError: If it is none; the message says so, without a full stop.
    """
    text = values.get(key, "").strip() or ("" if default is None else str(default))
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"its {key} is {text[:20]!r}, not a whole number") from None


def _mask(values: Mapping[str, str], height: int, width: int) -> np.ndarray:
    """A mask from run lengths along the rows of its box, bool `(H, W)`.

    Raises:
        ValueError: If they are damaged or the box leaves the photo; the message says so, without a full stop.
    """
    left, top, across, down = (_whole(values, key) for key in ("left", "top", "width", "height"))
    if min(left, top) < 0 or not (0 < across <= width - left and 0 < down <= height - top):
        raise ValueError(
            f"its box {left}, {top}, {across} x {down} does not lie in the {width} x {height} of its photo"
        )
    try:
        counts = [int(each) for each in values.get("rle", "").split(",")]
    except ValueError:
        raise ValueError("its run lengths are damaged") from None
    if min(counts) < 0 or sum(counts) != across * down:
        raise ValueError(f"its run lengths are not of the {across} x {down} pixels of its box")
    mask = np.zeros((height, width), bool)
    inside = np.arange(len(counts)) % 2 == 1
    mask[top : top + down, left : left + across] = np.repeat(inside, counts).reshape(down, across)
    return mask
