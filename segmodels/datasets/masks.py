"""Photos and masks of the same name in a folder, as LabelMe, Supervisely, CVAT and others export them.

photos/ or images/      the photos, at any depth
masks/ or labels/       one PNG for each, of the same path and name; `_mask` may follow the name
classes.txt             a name a line; or
classes.json            a list of names, or names by number: {"1": "shirt", "2": "trousers"}

Photos and masks may also lie together in the folder itself; then `_mask` must follow the names of the masks.

A mask is an index or palette PNG whose values are the numbers of the classes; 255 is unlabelled. In a list, the first
name is number 0 where it says background, else number 1; 0 is the background in any case.

CVAT's "Segmentation mask 1.1" and Pascal VOC name the folders otherwise, and the classes by colours:

JPEGImages/             the photos; CVAT writes them where images are saved too
SegmentationClass/      one PNG for each, RGB or with a palette
labelmap.txt            a class a line, `name:red,green,blue::`, or `name:::` where the colours are Pascal VOC's, by
                        line; black is the background where no line says otherwise, VOC's 224,224,192 is unlabelled
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
    parse_json,
    read_text,
    turn_upright,
    whole_number,
)
from segmodels.files import open_regular
from segmodels.photo import MAX_PIXELS, PhotoError, read_stored
from segmodels.sentences import first_line, listed
from segmodels.taxonomy import UNLABELLED

__all__ = ["LABEL_MAP", "class_table", "listed_classes", "read_classes", "read_ids", "read_masks", "values_of"]

LABEL_MAP = "labelmap.txt"
"""Name of the file in which CVAT's segmentation masks name classes and colours."""

_PHOTOS, _MASKS = ("photos", "images", "JPEGImages"), ("masks", "labels", "SegmentationClass")
_LISTS = ("classes.txt", "classes.json")
_OBJECTS = "SegmentationObject"  # other masks, one colour an object
_BLACK, _BORDER = 0x000000, 0xE0E0C0
_SUFFIX = "_mask"
_MODES = ("1", "L", "P", "I", "I;16", "I;16B")  # of Pillow, with one whole number for each pixel


class _Pair(NamedTuple):
    photo: Path
    mask: Path


@dataclass(frozen=True)
class _Values:
    """What the values of masks mean.

    Args:
        classes: Classes by the numbers of the masks, or by those of the lines of a label map.
        colours: Number of the class by colour, red * 65536 + green * 256 + blue; None for masks that hold numbers.
    """

    classes: Classes
    colours: Mapping[int, int] | None = None

    @property
    def reading(self) -> str:
        return f"{self.classes.reading}{sorted(self.colours.items()) if self.colours else ''}"


def read_masks(root: Path, photos: Path | None = None, *, kind: str = "masks") -> Dataset:
    """Opens a folder of photos and masks; both are read when they are asked for.

    The ids are the paths of the photos without their endings.

    Args:
        root: The folder.
        photos: Folder of the photos, or of `photos/`, `images/` or `JPEGImages/`, where they are not in it.
        kind: Kind of the source, the start of the data set's name.

    Raises:
        DatasetError: If the folder does not have that layout, or no photo has a mask.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder. Name the folder that holds photos/, masks/ and classes.txt.")
    name = name_of(kind, root)
    values = _class_values(root, name)
    photo_folder = _first_folder(photos or root, _PHOTOS)
    mask_folder = _first_folder(root, _MASKS)
    pairs, faults = _pairs(photo_folder, mask_folder)
    if not pairs:
        none = f"No photo in {photo_folder} has a mask of the same name in {mask_folder}."
        raise DatasetError(" ".join([none, *(faults[:1] or ["Name the folder of the photos with --data."])]))
    return Dataset(
        name=name,
        root=root,
        taxonomy=values.classes.taxonomy,
        ids=tuple(sorted(pairs)),
        photo_path=lambda photo_id: pairs[photo_id].photo,
        truth_path=lambda photo_id: pairs[photo_id].mask,
        read_truth=lambda photo_id: _draw(pairs, values, photo_id).truth,
        draw_truth=partial(_draw, pairs, values),
        faults=tuple(faults),
        reading=values.reading,
    )


def _first_folder(root: Path, names: tuple[str, ...]) -> Path:
    """The first of these folders that there is, else the root itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def _class_values(root: Path, name: str) -> _Values:
    label_map = root / LABEL_MAP
    if not label_map.is_file():
        return _Values(read_classes(root, name))
    if others := [each for each in _LISTS if (root / each).is_file()]:
        raise DatasetError(f"{root} holds {' and '.join([*others, LABEL_MAP])}. Remove one.")
    return _label_map(label_map, name)


def read_classes(root: Path, name: str) -> Classes:
    """Reads classes.txt or classes.json of a folder.

    Args:
        root: The folder.
        name: Name of the taxonomy.

    Raises:
        DatasetError: If there is neither, or both, or one that cannot be used.
    """
    there = [root / each for each in _LISTS if (root / each).is_file()]
    if len(there) > 1:
        raise DatasetError(f"{root} holds {' and '.join(path.name for path in there)}. Remove one.")
    if not there:
        raise DatasetError(f"{root} holds no classes.txt. Write the name of one class a line.")
    return listed_classes(there[0], read_text(there[0]), name)


def listed_classes(file: Path, content: str, name: str) -> Classes:
    """The classes that a list names.

    Args:
        file: Path of the list; it ends in `.json` if it is JSON, else it has one name a line.
        content: Text of the list.
        name: Name of the taxonomy.

    Raises:
        DatasetError: If it is no such list.
    """
    if file.suffix.lower() != ".json":
        return name_classes(_numbered([line.strip() for line in content.strip().splitlines()]), name, file)
    values = parse_json(content, file)
    names = values if isinstance(values, list) else values.values() if isinstance(values, dict) else [None]
    if not all(isinstance(each, str) for each in names):
        raise DatasetError(f"{file} is neither a list of names nor names by number. Write one name a line, by number.")
    if isinstance(values, list):
        return name_classes(_numbered(values), name, file)
    if wrong := [key for key in values if not (0 <= whole_number(key) < UNLABELLED and key == str(int(key)))]:
        raise DatasetError(f"{file}: {wrong[0][:20]!r} is not a number from 0 to {UNLABELLED - 1}. Correct it.")
    return name_classes({int(key): value for key, value in values.items()}, name, file)


def _label_map(path: Path, name: str) -> _Values:
    """Classes in the order of the lines of a label map, which begin with a name and a colour."""
    names: dict[int, str] = {}
    colours: dict[int, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        label, *rest = line.rsplit(":", 3)
        parts = rest[0].split(",") if len(rest) == 3 else []
        if parts == [""]:
            parts = list(map(str, _voc_colour(len(names))))
        if not (len(parts) == 3 and all(0 <= whole_number(part.strip()) < 256 for part in parts)):
            raise DatasetError(f"{path}, line {number}: {line[:80]!r} is not name:red,green,blue:: as CVAT writes it.")
        red, green, blue = map(int, parts)
        colour = red << 16 | green << 8 | blue
        if colour in colours:
            raise DatasetError(f"{path}: {names[colours[colour]]} and {label} have one colour. Give each its own.")
        names[number], colours[colour] = label, number
    return _Values(name_classes(names, name, path), colours)


def _voc_colour(number: int) -> tuple[int, int, int]:
    """Red, green and blue of a number in Pascal VOC: three bits of the number at a time, the highest bit first."""
    colour = [0, 0, 0]
    for place in range(7, -1, -1):
        for channel in range(3):
            colour[channel] |= (number >> channel & 1) << place
        number >>= 3
    return colour[0], colour[1], colour[2]


def _numbered(names: list[str]) -> dict[int, str]:
    first = 0 if names and is_background(names[0]) else 1
    return dict(enumerate(names, first))


def _pairs(photo_folder: Path, mask_folder: Path) -> tuple[dict[str, _Pair], list[str]]:
    """Photo and mask by id, and a sentence for each file that is in no pair."""
    together = photo_folder.resolve() == mask_folder.resolve()
    photos = {
        photo_id: files
        for photo_id, files in PhotoFolder(photo_folder, mask_folder, mask_folder.with_name(_OBJECTS)).by_id().items()
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


def _draw(pairs: Mapping[str, _Pair], values: _Values, photo_id: str) -> DrawnTruth:
    if photo_id not in pairs:
        raise DatasetError(f"There is no photo {photo_id} with a mask. Check the id.")
    photo, mask = pairs[photo_id]
    with _opened(mask) as image:
        upright = image.info.get(UPRIGHT_KEY) == "yes"
        if values.colours is None:
            truth = values_of(image, values.classes, str(mask))
        else:
            truth = _by_colour(image, values.classes, values.colours, mask)
    try:
        stored = read_stored(photo)
    except PhotoError as error:
        raise DatasetError(str(error)) from None
    return turn_upright(DrawnTruth(truth), stored, str(mask), seen_upright=upright)


def read_ids(mask: Path, classes: Classes) -> np.ndarray:
    """Class ids of an index or palette PNG, uint8 `(H, W)`; 255 stays `UNLABELLED`.

    Args:
        mask: Path of the PNG.
        classes: Classes that its numbers stand for.

    Raises:
        DatasetError: If it is no such PNG, or has a number of no class.
    """
    with _opened(mask) as image:
        return values_of(image, classes, str(mask))


def class_table(classes: Classes) -> np.ndarray:
    """Class id by number, int16 `(256,)`: 0 is the background, 255 `UNLABELLED`, -1 a number of no class."""
    table = np.full(256, -1, np.int16)
    table[0], table[UNLABELLED] = 0, UNLABELLED
    for number, class_id in classes.ids.items():
        table[number] = class_id
    return table


def values_of(image: Image.Image, classes: Classes, where: str) -> np.ndarray:
    """Class ids of a mask that holds the numbers of classes, uint8 `(H, W)`.

    Args:
        image: The mask; one whole number for each pixel.
        classes: Classes by number; 0 is the background and 255 unlabelled where they are no class.
        where: What the mask is, for messages.

    Raises:
        DatasetError: If the mask is a picture of another kind, or holds a number of no class.
    """
    if image.mode not in _MODES:
        raise DatasetError(f"{where} is {image.mode}, not an index or palette PNG. Export class numbers.")
    numbers, table = np.array(image).astype(np.int32), class_table(classes)
    inside = (numbers >= 0) & (numbers <= UNLABELLED)
    truth = np.where(inside, table[np.where(inside, numbers, 0)], -1)
    if (truth < 0).any():
        unknown = sorted({int(value) for value in np.unique(numbers[truth < 0])})
        raise DatasetError(
            f"{where}: no class has the number {listed(list(map(str, unknown)))}; the last one is {max(classes.ids)}. "
            "Name it, or correct the mask."
        )
    return truth.astype(np.uint8)


def _by_colour(image: Image.Image, classes: Classes, colours: Mapping[int, int], path: Path) -> np.ndarray:
    """Class ids of a mask whose colours are those of classes, uint8 `(H, W)`."""
    red, green, blue = np.moveaxis(np.array(image.convert("RGB")).astype(np.int32), 2, 0)
    codes = red << 16 | green << 8 | blue
    table = np.full(1 << 24, -1, np.int16)
    table[_BLACK], table[_BORDER] = 0, UNLABELLED
    for colour, number in colours.items():
        table[colour] = classes.ids[number]
    truth = table[codes]
    if (truth < 0).any():
        unknown = [f"{code >> 16},{code >> 8 & 255},{code & 255}" for code in np.unique(codes[truth < 0]).tolist()]
        raise DatasetError(
            f"{path}: no class of {LABEL_MAP} has the colour {listed(unknown)}. Add it there, or correct the mask."
        )
    return np.asarray(truth, np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A PNG, decoded."""
    try:
        with open_regular(path) as file, Image.open(file, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DatasetError(
                    f"{path} has more than the {MAX_PIXELS // 1_000_000} million pixels allowed. Make it smaller."
                )
            image.load()
            yield image
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # decoders raise what they like
        raise DatasetError(f"{path} is missing, damaged or no PNG ({first_line(error)}). Export it again.") from None
