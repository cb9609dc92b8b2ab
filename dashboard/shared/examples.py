"""Example photos to try the app with."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from segmodels.photo import find_photos
from segmodels.settings import read_settings

__all__ = ["Example", "example", "example_count"]


class Example(NamedTuple):
    """A file name and the file."""

    name: str
    data: bytes


def example(number: int) -> Example:
    """An example photo, available offline.

    Args:
        number: Number of the example; beyond the last it starts again.

    Returns:
        A photo of the data set that `GARMENTSCOPE_DATA` names, else NASA's portrait of the astronaut Eileen Collins,
        which scikit-image ships and which is in the public domain.
    """
    photos = _photos_of_data()
    if photos:
        path = photos[number % len(photos)]
        return Example(path.name, path.read_bytes())
    import skimage.data

    out = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(out, "PNG")
    return Example("astronaut.png", out.getvalue())


def example_count() -> int:
    """How many different examples there are."""
    return len(_photos_of_data()) or 1


def _photos_of_data() -> list[Path]:
    data = read_settings().data
    return find_photos([data / "photos"]) if data and (data / "photos").is_dir() else []
