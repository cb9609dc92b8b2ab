"""A photo's file, before it is read."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PhotoFile"]


class PhotoFile(NamedTuple):
    """A file name and the file."""

    name: str
    data: bytes
