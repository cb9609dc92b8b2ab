"""Atomic writing of files."""

from __future__ import annotations

import uuid
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Writes a text file as UTF-8 atomically: readers find the old file or the new one, also after a failure.

    Args:
        path: Path of the file, in a folder that exists.
        text: Text that the file is to hold.

    Raises:
        OSError: If it cannot be written; what was there is still there.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
