"""Where the command line writes the results of photos: a class map (PNG) and a listing (JSON) for each.

Results lie in the folders in which the photos do. They belong to the photo whose file has the SHA-256 that the listing
names, however its path was typed: a photo that comes again finds its own, those of another photo are never written
over, and a photo that is added takes no name from one that was there.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segmodels.files import open_regular, read_json, replacing, writable_name
from segmodels.inference.segmentation import Segmentation

__all__ = ["choose_targets", "is_done", "legible", "listing_of", "map_of", "photo_id", "write_results"]

_NUMBER = re.compile(r"-[1-9][0-9]*$")  # behind the name of a second photo of the same name


def choose_targets(names: Mapping[Path, str], out: Path) -> dict[Path, Path]:
    """The paths of the results of photos, without an ending, in the order of the photos.

    The second photo of a name, whatever its ending, gets `-2`.

    Args:
        names: Path of each photo in the folder that was given, with `/` between folders, by photo.
        out: Folder of all results.
    """
    wanted = {photo: _wanted(name, out) for photo, name in names.items()}
    listed: dict[str, dict[str, list[_Listed]]] = {}  # by the name that the photo asked for, and by id or path
    taken: set[str] = set()
    for stem, known in _written({each.parent for each in wanted.values()}):
        taken.add(_key(stem))
        if known is None:
            continue
        for name in {stem, stem.with_name(_NUMBER.sub("", stem.name))}:
            listed.setdefault(_key(name), {}).setdefault(known.photo_id or known.photo, []).append(known)
    targets: dict[Path, Path] = {}
    given: set[Path] = set()
    for photo, target in wanted.items():
        if (own := _own(photo, listed.get(_key(target), {}), given)) is not None:
            targets[photo] = own
            given.add(own)
    counts: dict[str, int] = {}
    for photo, target in wanted.items():
        if photo in targets:
            continue
        key = _key(target)
        count = counts.get(key, 1)
        stem = target if count == 1 else target.with_name(f"{target.name}-{count}")
        while _key(stem) in taken:
            count += 1
            stem = target.with_name(f"{target.name}-{count}")
        counts[key] = count
        taken.add(_key(stem))
        targets[photo] = stem
    return {photo: targets[photo] for photo in wanted}


def is_done(target: Path, photo: Path, model: str, revision: str) -> bool:
    """Whether the results of a photo are there, whole, and of the same file and model.

    Args:
        target: Path of the results without an ending.
        photo: Path of the photo.
        model: Name of the model.
        revision: Revision of its weights.
    """
    if not map_of(target).is_file():
        return False
    try:
        listing = read_json(listing_of(target))
        return (
            isinstance(listing, dict)
            and (listing.get("model"), listing.get("revision")) == (model, revision)
            and listing.get("photo_id") == photo_id(photo)
        )
    except (OSError, ValueError):
        return False


def write_results(target: Path, photo: Path, segmentation: Segmentation) -> None:
    """Writes the results of a photo, each file whole or not at all; they are done when the class map is there.

    Args:
        target: Path of the results without an ending.
        photo: Path of the photo.
        segmentation: What was found in it.

    Raises:
        OSError: If they cannot be written.
    """
    values = segmentation.to_json(legible(photo), photo_id(photo))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(map_of(target)) as class_map, replacing(listing_of(target)) as listing:
        class_map.write_bytes(segmentation.class_map_png())
        listing.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        map_of(target).unlink(missing_ok=True)  # an older one beside the new listing would pass for its map


def photo_id(photo: Path) -> str:
    """SHA-256 of a photo's file, 64 hex digits, as in archives.

    Raises:
        OSError: If it cannot be read.
    """
    with open_regular(photo) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def map_of(target: Path) -> Path:
    """The class map of results."""
    return target.with_name(f"{target.name}.png")


def listing_of(target: Path) -> Path:
    """The listing of results."""
    return target.with_name(f"{target.name}.json")


def legible(photo: Path) -> str:
    """A path in UTF-8 and on one line, as a listing and a message have it."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(photo))


def _wanted(name: str, out: Path) -> Path:
    path = PurePosixPath(name)
    parts = [writable_name(part) for part in (*path.parent.parts, path.stem) if part not in ("/", "..")]
    return out.joinpath(*parts)


@dataclass(frozen=True)
class _Listed:
    """A listing that is there.

    Args:
        stem: Its path without the ending.
        photo: Path of the photo as it was given then.
        photo_id: SHA-256 of the photo's file; empty where an earlier version did not say.
    """

    stem: Path
    photo: str
    photo_id: str


def _own(photo: Path, listed: Mapping[str, Sequence[_Listed]], given: Collection[Path]) -> Path | None:
    """The results of a photo among listings: of the same file, however its path is spelled; None if there are none."""
    if not listed:
        return None
    try:
        same = [*listed.get(photo_id(photo), ()), *listed.get(legible(photo), ())]
    except OSError:
        return None
    free = [each for each in same if each.stem not in given]
    free.sort(key=lambda each: each.photo != legible(photo))  # of two equal files each keeps its own
    return free[0].stem if free else None


def _written(folders: Iterable[Path]) -> Iterator[tuple[Path, _Listed | None]]:
    """What is in folders: each listing or picture without its ending, and what a listing says."""
    for folder in sorted(folders):
        try:
            files = sorted(folder.iterdir())
        except OSError:  # none yet
            continue
        for file in files:
            if file.suffix.lower() in (".json", ".png"):
                stem = file.with_name(file.name[: -len(file.suffix)])
                yield stem, _read(file, stem)


def _read(listing: Path, stem: Path) -> _Listed | None:
    """What a listing says; None for any other file."""
    if listing.suffix != ".json":
        return None
    try:
        values = read_json(listing)
    except (OSError, ValueError):
        return None
    photo, known = (values.get("photo"), values.get("photo_id")) if isinstance(values, dict) else (None, None)
    return _Listed(stem, photo, known if isinstance(known, str) else "") if isinstance(photo, str) else None


def _key(path: Path) -> str:
    """What two paths share that are one on some disk."""
    return unicodedata.normalize("NFC", str(path)).casefold()
