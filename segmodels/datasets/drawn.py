"""What the readers of annotation tools' files share: classes from names, photos by name, regions that become pixels."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from segmodels.datasets.dataset import DatasetError, DrawnTruth
from segmodels.files import open_regular
from segmodels.photo import PHOTO_SUFFIXES, PhotoError, StoredPhoto, find_photos
from segmodels.taxonomy import TAXONOMIES, UNLABELLED, Group, Taxonomy, TaxonomyError, make_taxonomy

__all__ = [
    "Classes",
    "PhotoFolder",
    "Region",
    "columns_of",
    "draw",
    "is_background",
    "load_json",
    "mask_runs",
    "name_classes",
    "name_of",
    "parse_json",
    "polygon_runs",
    "read_text",
    "runs_of",
    "turn_upright",
    "whole_number",
]

_BACKGROUND = frozenset(("background", "_background_", "bg", "bk"))
_MOST_CLASSES = 255  # ids 0 to 254; 255 is UNLABELLED
_LONGEST_NAME = 80
_LONGEST_VALUE = 200  # characters of what may be a column
_FARTHEST = 1e6  # pixels
_LARGEST_LIST = 64 * 1024  # bytes of a file that lists classes


@dataclass(frozen=True)
class Classes:
    """The classes of a source.

    Args:
        taxonomy: Taxonomy that the names form, with Background at id 0.
        ids: Class id by the number that stands for the class in the source.
    """

    taxonomy: Taxonomy
    ids: Mapping[int, int]

    @property
    def reading(self) -> str:
        """A text that other names, or other numbers for them, would change: `Dataset.reading`."""
        return json.dumps([self.taxonomy.names, sorted(self.ids.items())])


def name_classes(
    names: Mapping[int, str], source: str, where: Path, groups: Mapping[int, Group] | None = None
) -> Classes:
    """Makes classes of a source's names: Background at 0, the others in the order of their numbers.

    A name that says background (`is_background`) is class 0. Names that are exactly those of a taxonomy in `TAXONOMIES`
    stand for its classes, so that its networks can be judged.

    Args:
        names: Name by the number that stands for it in the source.
        source: Name of the taxonomy.
        where: File that holds the names, for messages.
        groups: Group by number, for the classes whose group the source tells; the others are guessed from their names.

    Raises:
        DatasetError: If there is no name, one is empty, too long or there twice (in whatever case), or there are more
            than 255 classes.
    """
    found: dict[str, int] = {}
    ids: dict[int, int] = {}
    background = None
    for number, given in sorted(names.items()):
        name = unicodedata.normalize("NFC", given).strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise DatasetError(
                f"{where}: the name of class {number} is {given[:_LONGEST_NAME]!r}. Give it 1 to {_LONGEST_NAME} "
                "characters on one line."
            )
        if is_background(name):
            if background is not None:
                raise DatasetError(f"{where}: classes {background} and {number} are both the background. Remove one.")
            background, ids[number] = number, 0
            continue
        if name in found:
            raise DatasetError(f"{where}: classes {found[name]} and {number} are both called {name}. Rename one.")
        found[name] = number
        ids[number] = len(found)
    if not found:
        raise DatasetError(
            f"{where} names no class beside the background. Add the classes, or export the annotations again."
        )
    if len(found) + 1 > _MOST_CLASSES:
        raise DatasetError(
            f"{where} names {len(found)} classes; {_MOST_CLASSES - 1} beside the background are allowed."
        )
    for known in TAXONOMIES.values():
        if set(known.names[1:]) == set(found):
            by_name = {number: known[name].id for name, number in found.items()}
            return Classes(known, {number: by_name.get(number, 0) for number in ids})
    told = {name: (groups or {})[number] for name, number in found.items() if number in (groups or {})}
    try:
        return Classes(make_taxonomy(source, ("Background", *found), told), ids)
    except TaxonomyError as error:
        raise DatasetError(f"{where}: {error}") from None


def name_of(kind: str, path: Path) -> str:
    """Name of a data set that is a file or folder, fit to be part of a file's name: `coco-annotations`.

    A file `data.yaml`, as all of YOLO's are called, has the name of its folder.

    Args:
        kind: Kind of the source.
        path: Path of its file or folder.
    """
    whole = path.resolve()
    stem = whole.parent.name if whole.stem == "data" else whole.stem
    return f"{kind}-{re.sub(r'[^A-Za-z0-9.]+', '-', stem).strip('-.') or 'data'}"


def is_background(name: str) -> bool:
    """Whether a name of a class says background: `background`, `_background_`, `bg` or `bk`, in any case."""
    return name.strip().casefold() in _BACKGROUND


def whole_number(text: str) -> int:
    """The number that up to 9 digits write; -1 where a text is something else.

    Args:
        text: Text such as `12`.
    """
    return int(text) if len(text) < 10 and text.isascii() and text.isdecimal() else -1


def read_text(path: Path, most: int | None = _LARGEST_LIST) -> str:
    """The text of a file, without a byte order mark.

    Args:
        path: Path of the file.
        most: Largest number of bytes that it may have; None for no limit.

    Raises:
        DatasetError: If the file cannot be read, is larger, or is not UTF-8.
    """
    try:
        if most is not None and path.stat().st_size > most:
            raise DatasetError(f"{path} has more than {most // 1024} KB, too many for a list of classes.")
        with io.TextIOWrapper(open_regular(path), "utf-8-sig") as file:
            return file.read()
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from None


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Args:
        path: Path of the file.

    Raises:
        DatasetError: If the file cannot be read or is not JSON.
    """
    return parse_json(read_text(path, most=None), path)


def parse_json(text: str, path: Path) -> Any:
    """The content of the text of a JSON file.

    Args:
        text: The text.
        path: Name of the file, for messages.

    Raises:
        DatasetError: If the text is not JSON.
    """
    if not text.strip():
        raise DatasetError(f"{path} is empty. Export it again.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON ({error}). Export it again.") from None


def columns_of(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Columns by name of what a source says of each photo: those whose values are short texts or whole numbers.

    Args:
        rows: Values by key, by id of the photo.
    """
    columns: dict[str, dict[str, str]] = {}
    for photo_id, row in rows.items():
        for key, value in row.items():
            if isinstance(value, str | int) and len(text := str(value)) <= _LONGEST_VALUE and text:
                columns.setdefault(str(key), {})[photo_id] = text
    return columns


class PhotoFolder:
    """The picture files of a folder, at every depth, by name.

    Names are compared in Unicode's NFC, with `/` between folders and with the ending in lower case.

    Args:
        folder: Folder to search.
        *apart: Folders inside of it that hold other pictures; they are left out.

    Raises:
        DatasetError: If the folder is missing or cannot be listed.
    """

    def __init__(self, folder: Path, *apart: Path) -> None:
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder. Name the folder that holds the photos.")
        self.folder = folder
        self._by_key: dict[str, list[Path]] = {}
        try:
            files = find_photos([folder])
        except PhotoError as error:
            raise DatasetError(str(error)) from None
        inside = [each for each in apart if folder in each.parents]
        for path in files:
            if not any(each in path.parents for each in inside):
                self._by_key.setdefault(_key(path.relative_to(folder).as_posix()), []).append(path)

    def find(self, names: Iterable[str]) -> dict[str, Path]:
        """The files of names that another file gives, by name; those that are not there are left out.

        A name is a path from the folder, or from wherever the tool that wrote it had the photos. A file of the whole
        path comes first, then one of the same path with another ending of a picture, then one of the last part of the
        path, and then one of the last part with another ending; but only where it is the only one, and no other name
        is that file's as well.

        Args:
            names: Names to find.
        """
        names = list(names)
        found: dict[str, Path] = {}
        for shorten in (_key, _stem, _last, lambda name: _stem(_last(name))):
            index: dict[str, list[Path]] = {}
            for key, files in self._by_key.items():
                index.setdefault(shorten(key), []).extend(files)
            taken = set(found.values())
            more = {
                name: path
                for name in names
                if name not in found and (path := self._one(index.get(shorten(name), []), name)) and path not in taken
            }
            claims = Counter(more.values())
            found |= {name: path for name, path in more.items() if claims[path] == 1 or shorten is _key}
        return found

    def _one(self, files: Sequence[Path], name: str) -> Path | None:
        """The file of exactly that name, else the only one."""
        same = [path for path in files if path.relative_to(self.folder).as_posix() == name]
        return (same or files)[0] if same or len(files) == 1 else None

    def by_id(self) -> dict[str, list[Path]]:
        """Files by their path from the folder without the ending, in NFC: one each, unless endings differ only."""
        found: dict[str, list[Path]] = {}
        for key, paths in self._by_key.items():
            found.setdefault(str(PurePosixPath(key).with_suffix("")), []).extend(paths)
        return found


def _key(name: str) -> str:
    path = PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")))
    return str(path.with_suffix(path.suffix.lower())) if path.name else str(path)


def _stem(name: str) -> str:
    """The key of a name without the ending of a picture."""
    key = _key(name)
    return key.rpartition(".")[0] if key.endswith(PHOTO_SUFFIXES) else key


def _last(name: str) -> str:
    return _key(name).rpartition("/")[2]


@dataclass(frozen=True)
class Region:
    """A part of a photo that is marked as a class.

    Args:
        class_id: Id of the class; `UNLABELLED` for a region that shows many objects in a lump.
        runs: Run lengths, int64 `(n,)`: pixels outside and inside by turns, down the columns.
        layer: A region of a higher layer is on top of those of lower ones, whatever their sizes.
    """

    class_id: int
    runs: np.ndarray
    layer: int = 0


def draw(regions: Iterable[Region], height: int, width: int) -> DrawnTruth:
    """Paints regions over Background, of one layer the smaller on top; of two of one size the later one.

    Unlabelled regions are painted first, so that what is marked inside of them is seen.

    Args:
        regions: Regions to paint.
        height: Height of the photo, in pixels.
        width: Width of the photo, in pixels.
    """
    truth = np.zeros((height, width), np.uint8)
    marked = np.zeros((height, width), bool)
    contested = np.zeros((height, width), bool)
    for region in sorted(regions, key=lambda it: (it.class_id != UNLABELLED, it.layer, -it.runs[1::2].sum())):
        inside = np.arange(len(region.runs)) % 2 == 1
        mask = np.repeat(inside, region.runs).reshape(width, height).T
        if region.class_id != UNLABELLED:
            contested |= mask & marked & (truth != region.class_id)
            marked |= mask
        truth[mask] = region.class_id
    return DrawnTruth(truth, contested=int(contested.sum()))


def polygon_runs(parts: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The pixels inside of polygons, all parts together, as `runs` of a region.

    Args:
        parts: Polygons, `x y x y ...` in pixels from the top left corner of the photo.
        height: Height of the photo, in pixels.
        width: Width of the photo, in pixels.

    Raises:
        ValueError: If a part is no polygon; the message says what is wrong, without a full stop.
    """
    for part in parts:
        if len(part) % 2 or len(part) < 6:
            raise ValueError(f"a polygon has {len(part)} numbers; it needs an x and a y for each of 3 or more points")
        if not all(-_FARTHEST < value < _FARTHEST for value in part):  # also false of what is no number
            raise ValueError("a polygon has a number that is no place in a photo")
        for values, side in ((part[::2], width), (part[1::2], height)):
            if min(values) < -side or max(values) > 2 * side:
                raise ValueError(f"a polygon reaches far outside of the {width} x {height} pixels of its photo")
    merged = coco_mask.merge(coco_mask.frPyObjects([list(map(float, part)) for part in parts], height, width))
    return np.array(runs_of(merged["counts"].decode()), np.int64)


def mask_runs(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask, as `runs` of a region.

    Args:
        mask: bool `(H, W)`.
    """
    flat = np.concatenate([[False], mask.T.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(edges, prepend=0, append=mask.size).astype(np.int64)


def runs_of(text: str) -> Sequence[int]:
    """Run lengths from their compressed text.

    Each character holds five bits, the lowest first; a sixth says whether more follow, and the last one's fifth is the
    sign. From the fourth run on, the difference to the one before the last is stored (`rleFrString` of pycocotools,
    which itself reads past the end of damaged ones).

    Args:
        text: Text such as `coco_mask.encode` gives.

    Raises:
        ValueError: If the text is damaged; the message ends without a full stop.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("its run lengths are damaged")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("its run lengths are damaged")
    return counts


def turn_upright(drawn: DrawnTruth, stored: StoredPhoto, where: str, *, seen_upright: bool = False) -> DrawnTruth:
    """A truth in the photo's upright position.

    Many tools mark the pixels as the file stores them. A truth of the stored size is turned with the photo; where both
    sizes are the same, as of a photo that lies upside down, the tool decides.

    Args:
        drawn: Truth as it was drawn.
        stored: Size and orientation of the photo's file.
        where: What the truth is, for messages.
        seen_upright: Whether the tool shows photos upright, as those do that run in a browser.

    Raises:
        DatasetError: If its size is neither the photo's stored nor its upright one.
    """
    height, width = drawn.truth.shape
    as_stored, as_upright = (width, height) == (stored.width, stored.height), (width, height) == stored.upright_size
    if as_stored and not (as_upright and seen_upright):
        return replace(drawn, truth=stored.upright(drawn.truth), turned=stored.orientation != 1)
    if as_upright:
        return drawn
    shown = "{} x {}".format(*stored.upright_size)
    raise DatasetError(f"{where} is {width} x {height} pixels, its photo {shown}. Mark the photo that is there again.")
