"""What every annotation format gives: files by their path, made of photos that come one at a time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from segmodels.files import writable_name

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation

__all__ = ["AnnotationFile", "AnnotationWriter", "names_apart"]


class AnnotationFile(NamedTuple):
    """A file of an export."""

    path: str
    """Path in the folder of the export, with `/` between folders."""

    content: bytes
    """Content of the file."""


class AnnotationWriter(Protocol):
    """Makes the files of a format. The photos are all of one taxonomy, and their names lie apart (`names_apart`)."""

    def add(self, name: str, segmentation: Segmentation) -> Iterator[AnnotationFile]:
        """Takes a photo, and gives the files that are its own.

        Args:
            name: Path of the photo in the folder of photos, with `/` between folders.
            segmentation: What was found in it.
        """

    def close(self) -> Iterator[AnnotationFile]:
        """Gives the files that are of all photos."""


def names_apart(names: Iterable[str]) -> Iterator[str]:
    """Names of which no two differ in their ending, in upper and lower case or in their Unicode form only.

    The second `look.jpg`, or `look.png`, becomes `look-2.jpg` or `look-2.png`: several formats have a file for each
    photo that is called like it. Characters that no file name may hold become `_`.

    Args:
        names: Paths with `/` between folders.
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}  # by name, so that a thousand photos of one name are not a million questions
    for name in names:
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")] or ["photo"]
        suffix = re.sub(r"[^.\w]", "_", PurePosixPath(parts[-1]).suffix, flags=re.ASCII)
        path = PurePosixPath(*map(writable_name, (*parts[:-1], PurePosixPath(parts[-1]).stem)))
        path = path.with_name(f"{path.name}{suffix}")
        count = counts.get(_key(path), 1)
        stem = path.stem if count == 1 else f"{path.stem}-{count}"
        while (key := _key(path.with_name(f"{stem}{path.suffix}"))) in taken:
            count += 1
            stem = f"{path.stem}-{count}"
        counts[_key(path)] = count
        taken.add(key)
        yield str(path.with_name(f"{stem}{path.suffix}"))


def _key(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path.with_suffix(""))).casefold()
