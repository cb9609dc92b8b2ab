"""Masks as pictures of numbers.

masks/          an 8-bit grey PNG for each photo, of its path and name; a pixel's value is its class id
classes.txt     the names of the classes, line 1 is id 0
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segmodels.annotations.files import AnnotationFile

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation
    from segmodels.taxonomy import Taxonomy

__all__ = ["UPRIGHT_KEY", "IndexMaskWriter"]

UPRIGHT_KEY = "garmentscope:upright"
"""Text of a PNG that says whether the mask is of the photo turned upright: `yes` or `no`."""


class IndexMaskWriter:
    """Makes `masks/` and `classes.txt`."""

    def __init__(self) -> None:
        self._taxonomy: Taxonomy | None = None

    def add(self, name: str, segmentation: Segmentation) -> Iterator[AnnotationFile]:
        """Gives the mask of a photo."""
        self._taxonomy = segmentation.taxonomy
        notes, out = PngInfo(), io.BytesIO()
        notes.add_text(UPRIGHT_KEY, "yes" if segmentation.upright else "no")
        Image.fromarray(segmentation.class_map).save(out, "PNG", pnginfo=notes)
        yield AnnotationFile(f"masks/{PurePosixPath(name).with_suffix('.png')}", out.getvalue())

    def close(self) -> Iterator[AnnotationFile]:
        """Gives the list of classes."""
        if self._taxonomy is not None:
            first, *others = self._taxonomy.names
            # readers know the first line for the background by this word
            names = [first if first.casefold() == "background" else "Background", *others]
            yield AnnotationFile("classes.txt", "".join(f"{name}\n" for name in names).encode())
