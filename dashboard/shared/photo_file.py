"""A photo's file, before it is read."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

__all__ = ["PhotoFile", "file_digest"]


class PhotoFile(NamedTuple):
    """A file name and the file."""

    name: str
    data: bytes


def file_digest(data: bytes) -> str:
    """SHA-256 of a file in hex digits, by which pages know a photo, and archives as its `photo_id`."""
    return hashlib.sha256(data).hexdigest()
