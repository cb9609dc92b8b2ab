"""Photos and truths decoded once, at training size, in a memory map: a step never waits for a JPEG."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from filelock import FileLock
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.inspection import background_sentence, unreadable_sentence
from segmodels.files import replacing, write_whole
from segmodels.inference.boxes import Box
from segmodels.photo import PhotoError
from segmodels.settings import read_settings
from segmodels.taxonomy import TAXONOMIES, UNLABELLED
from train.data.mapped import as_files, as_maps

_FORMAT = 3  # of the files below; a cache of another one is not found

__all__ = ["Cache", "cache_folder", "open_cache", "read_classes"]


@dataclass(frozen=True)
class Cache:
    """Photos and truths at training size; an index is a photo.

    Args:
        ids: The photos that could be read, in the order asked for.
        shapes: Height and width of each.
        photos: uint8 `(sum of H * W, 3)` RGB, one photo's pixels after the other's.
        truths: uint8 `(sum of H * W,)` class ids.
        rejected: Sentence by id for each photo that could not be read.
        background_only: Those of `ids` whose truth holds nothing but background.
        people: Boxes of each photo about which crops are cut, at least one, the farthest person's first; None where
            the truth says it.
    """

    ids: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    photos: np.ndarray
    truths: np.ndarray
    rejected: dict[str, str]
    background_only: tuple[str, ...]
    people: tuple[tuple[Box, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return as_files(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(as_maps(state))

    @cached_property
    def _starts(self) -> list[int]:
        """Row at which each photo begins."""
        return [0, *accumulate(height * width for height, width in self.shapes)]

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Photo uint8 `(H, W, 3)` and truth uint8 `(H, W)`, both views of the memory map."""
        height, width = self.shapes[index]
        rows = slice(self._starts[index], self._starts[index] + height * width)
        return self.photos[rows].reshape(height, width, 3), self.truths[rows].reshape(height, width)

    def remarks(self) -> list[str]:
        """What whoever trains on it should know: a sentence on photos left out, one on photos of background only."""
        photos = len(self.ids) + len(self.rejected)
        return [*unreadable_sentence(self.rejected, photos), *background_sentence(self.background_only)]


def cache_folder() -> Path:
    """Where caches lie: `GARMENTSCOPE_CACHE`, else the user's cache folder."""
    return read_settings().cache


def open_cache(dataset: Dataset, ids: Sequence[str], side: int, *, folder: Path | None = None) -> Cache:
    """Opens the cache of these photos, and makes it first where there is none.

    Of several processes that need the same one, the first decodes, and the others wait for it.

    A photo or truth that cannot be read is left out and named in `rejected`. The key holds the data set's folder, the
    ids, the side, and size and time of each photo and mask; a changed file makes a new cache.

    Args:
        dataset: Data set from which photos and truths come.
        ids: Ids of the photos.
        side: Long side at which they are kept, in pixels; smaller photos keep their size.
        folder: Folder of the cache; `cache_folder()` if left out.

    Raises:
        DatasetError: If none of the photos can be read, or the cache cannot be written.
    """
    if not ids:
        raise DatasetError(f"No photos: the split selects none of {dataset.name} at {dataset.root}.")
    home = (folder or cache_folder()) / _key(dataset, ids, side)
    try:
        if not (home / "index.json").is_file():
            home.mkdir(parents=True, exist_ok=True)
            with FileLock(home / ".lock"):
                if not (home / "index.json").is_file():
                    _write(dataset, ids, side, home)
        index = json.loads((home / "index.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise _unwritable(home, error) from None
    return Cache(
        ids=tuple(index["ids"]),
        shapes=tuple((height, width) for height, width in index["shapes"]),
        photos=np.memmap(home / "photos.bin", np.uint8, "r").reshape(-1, 3),
        truths=np.memmap(home / "truths.bin", np.uint8, "r"),
        rejected=index["rejected"],
        background_only=tuple(index["background_only"]),
    )


def read_classes(dataset: Dataset, ids: Sequence[str]) -> dict[str, frozenset[int]]:
    """Ids of the classes that each photo shows, by id of the photo, read once and then kept in `cache_folder()`.

    Args:
        dataset: Data set from which the truths come.
        ids: Ids of the photos; one whose truth cannot be read shows no class.

    Raises:
        DatasetError: If the cache cannot be written.
    """
    path = cache_folder() / f"{_key(dataset, ids, 0)}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                read = tqdm(ids, desc=f"Reading the classes of {dataset.name}", unit="photo")
                write_whole(path, json.dumps([_classes(dataset, photo_id) for photo_id in read]))
        shown = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unwritable(path, error) from None
    return {photo_id: frozenset(classes) for photo_id, classes in zip(ids, shown, strict=True)}


def _classes(dataset: Dataset, photo_id: str) -> list[int]:
    try:
        numbers = np.bincount(dataset.read_truth(photo_id).ravel(), minlength=UNLABELLED)
    except (PhotoError, DatasetError):
        return []
    return [int(class_id) for class_id in np.flatnonzero(numbers[:UNLABELLED])]


def _key(dataset: Dataset, ids: Sequence[str], side: int) -> str:
    """Name of what is kept of these photos; a changed file changes it."""
    key = hashlib.sha256()
    known = dataset.taxonomy.name in TAXONOMIES
    classes = dataset.taxonomy.name if known else dataset.taxonomy.names
    reading = [dataset.reading] if dataset.reading else []
    key.update(json.dumps([_FORMAT, str(dataset.root.resolve()), classes, side, *reading]).encode())
    for photo_id in ids:
        for path in (dataset.photo_path(photo_id), dataset.truth_path(photo_id)):
            stat = path.stat() if path.is_file() else None
            key.update(f"{photo_id} {stat.st_size} {stat.st_mtime_ns};".encode() if stat else b"-;")
    return f"{dataset.name}-{key.hexdigest()[:16]}"


def _unwritable(path: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"The cache {path} cannot be written: {error}. Free space there, or set GARMENTSCOPE_CACHE to a folder "
        "that can be written."
    )


def _write(dataset: Dataset, ids: Sequence[str], side: int, home: Path) -> None:
    """Writes the pixels, then the index: a cache without an index is not there."""
    kept: list[str] = []
    shapes: list[tuple[int, int]] = []
    rejected: dict[str, str] = {}
    background_only: list[str] = []
    with replacing(home / "index.json") as index:  # the outer one, and so the last to take its place
        with (
            replacing(home / "photos.bin") as photos_part,
            replacing(home / "truths.bin") as truths_part,
            photos_part.open("wb") as photos,
            truths_part.open("wb") as truths,
        ):
            for photo_id in tqdm(ids, desc=f"Decoding {dataset.name}", unit="photo"):
                try:
                    photo, truth = dataset.pair(photo_id)
                except (PhotoError, DatasetError) as error:
                    rejected[photo_id] = str(error)
                    continue
                scale = min(1.0, side / max(truth.shape))
                height, width = (max(1, round(length * scale)) for length in truth.shape)
                photos.write(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA).tobytes())
                truths.write(cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).tobytes())
                kept.append(photo_id)
                shapes.append((height, width))
                if not truth.any():  # the background is id 0
                    background_only.append(photo_id)
            if not kept:
                first = next(iter(rejected.values()))
                raise DatasetError(f"None of the {len(ids)} photos can be read. The first: {first}")
        content = {"ids": kept, "shapes": shapes, "rejected": rejected, "background_only": background_only}
        index.write_text(json.dumps(content), encoding="utf-8")
