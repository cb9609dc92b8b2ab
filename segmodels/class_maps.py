"""Class maps and cut-outs among photos, which earlier runs wrote there and which are no photos themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path, PurePosixPath

from segmodels.files import MOST_JSON_BYTES, open_regular, parse_json

__all__ = ["class_maps", "class_maps_in", "is_class_map", "is_listing"]

_MAP, _LISTING, _LESS_LIKELY = "class_map.png", "garments.json", "less_likely"  # names in the app's ZIP
_MASKS, _CLASSES = "masks", "classes.txt"  # names of `segment --export masks`
_HEADER = 26  # bytes of a PNG up to its size and colour type
_GREY, _PALETTE = 0, 3  # colour types of PNG


def class_maps(names: Iterable[str], read: Callable[[str], bytes]) -> set[str]:
    """Names of the files that `garmentscope segment` or the app made of photos.

    - `NAME.png`, a palette PNG of the size that the listing `NAME.json` beside it states;
    - in a folder of the app's ZIP, with `class_map.png` and `garments.json`, every PNG;
    - below a folder `masks` with `classes.txt` beside it, every grey PNG.

    Args:
        names: Paths of all files of a place, with `/` between folders.
        read: Function that gives the content of a file; whatever it raises makes the file none that is known.
    """
    there = set(names)

    @cache
    def size_in(listing: str) -> tuple[int, int] | None:
        """Width and height that a listing states; None for any other file."""
        try:
            return _size_in(read(listing)) if listing in there else None
        except Exception:  # what cannot be read is no listing
            return None

    def is_made(name: str) -> bool:
        folder, _, _ = name.rpartition("/")
        above, _, inside = folder.rpartition("/")
        if size := size_in(f"{name.removesuffix('.png')}.json"):
            return _kind(name, read) == (*size, _PALETTE)
        if any(each in there for each in _classes(name)) and _kind(name, read)[-1] == _GREY:
            return True
        home = above if inside == _LESS_LIKELY else folder
        whole = _within(home, _MAP)
        size = size_in(_within(home, _LISTING)) if whole in there else None
        return size is not None and _kind(whole, read) == (*size, _PALETTE)

    return {name for name in there if name.endswith(".png") and is_made(name)}


def is_listing(name: str, data: bytes) -> bool:
    """Whether a file is the list of garments, `NAME.json`, that `garmentscope segment` or the app made of a photo."""
    return name.lower().endswith(".json") and _size_in(data) is not None


def _size_in(data: bytes) -> tuple[int, int] | None:
    """Width and height of the photo whose garments a file lists; None for any other file."""
    try:
        values = parse_json(data[:MOST_JSON_BYTES].decode("utf-8"))
    except ValueError:
        return None
    if not isinstance(values, dict) or not {"photo", "model", "taxonomy", "people", "garments"} <= values.keys():
        return None
    width, height = values.get("width"), values.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def class_maps_in(folder: Path, names: Iterable[str]) -> set[str]:
    """What `class_maps` gives for files of a folder on a disk."""

    def read(name: str) -> bytes:
        with open_regular(folder / name) as file:
            return file.read(MOST_JSON_BYTES)

    return class_maps(names, read)


def is_class_map(folder: Path, name: str) -> bool:
    """Whether `class_maps` would give one file of a folder on a disk, all of whose files are not known."""
    if not name.endswith(".png"):
        return False
    home, above = PurePosixPath(name).parent, PurePosixPath(name).parent.parent
    telling = [name, f"{name.removesuffix('.png')}.json", *_classes(name)]
    telling += [str(place / file) for place in (home, above) for file in (_MAP, _LISTING)]
    return name in class_maps_in(folder, [each for each in telling if (folder / each).is_file()])


def _classes(name: str) -> list[str]:
    """Where the list of classes lies, if a file is in a folder of masks."""
    parts = name.split("/")[:-1]
    return ["/".join([*parts[:place], _CLASSES]) for place, part in enumerate(parts) if part == _MASKS]


def _within(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _kind(name: str, read: Callable[[str], bytes]) -> tuple[int, int, int]:
    """Width, height and colour type of a PNG; -1 each for any other file."""
    try:
        header = read(name)[:_HEADER]
    except Exception:  # a photo that cannot be read is said where photos are read
        return -1, -1, -1
    if len(header) < _HEADER or not header.startswith(b"\x89PNG\r\n\x1a\n"):
        return -1, -1, -1
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24]), header[25]
