"""Atomic writing of files."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

__all__ = ["replacing", "write_whole"]

_ABANDONED = 3600.0  # seconds since it was written to after which nobody works on a part file any more


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the path of a new file beside another, which takes the other's place once the block ends.

    Whoever reads meanwhile finds the old file or the new one, whole. Where the block fails, the old one stays, and
    nothing is left of the new. A process that is killed leaves its part file, which the next one to write removes once
    it is an hour old.

    Args:
        path: Path of the file to replace or to make, in a folder that exists.

    Raises:
        OSError: If the block has written no file, or it cannot take its place.
    """
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):  # by a process that was killed
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file as UTF-8 atomically: readers find the old file or the new one, also after a failure.

    Args:
        path: Path of the file, in a folder that exists.
        text: Text that the file is to hold.

    Raises:
        OSError: If it cannot be written; what was there is still there.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
