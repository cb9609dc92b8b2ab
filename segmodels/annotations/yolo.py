"""Segmentation labels of YOLO, as Ultralytics reads them: https://docs.ultralytics.com/datasets/segment.

data.yaml       the folders of photos, and the names of the classes from 0; the background is none of them
labels/         a text file for each photo, of its path and name; its photo belongs into images/

A row is a class and one polygon in shares of the width and height of the upright photo. Where a garment is in several
parts, seams without width join them, as Ultralytics' own converter of COCO does: one row is one object.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import yaml  # type: ignore[import-untyped]

from segmodels.annotations.files import AnnotationFile
from segmodels.annotations.outlines import joined, polygons_of
from segmodels.annotations.regions import regions_of

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation
    from segmodels.taxonomy import Taxonomy

__all__ = ["YoloWriter"]

_HEAD = """\
# Found by Garmentscope. Put the photos into images/, with the paths and names that the labels have, and split them into
# folders for training and validation; here both are the same.
"""


class YoloWriter:
    """Makes `data.yaml` and `labels/`."""

    def __init__(self) -> None:
        self._taxonomy: Taxonomy | None = None

    def add(self, name: str, segmentation: Segmentation) -> Iterator[AnnotationFile]:
        """Gives the labels of a photo."""
        self._taxonomy = segmentation.taxonomy
        rows = []
        for region in regions_of(segmentation):
            polygon = joined(polygons_of(region.mask, *region.box[:2])) / (segmentation.width, segmentation.height)
            places = " ".join(f"{value:.6f}" for value in polygon.ravel())
            rows.append(f"{region.category.id - 1} {places}\n")
        yield AnnotationFile(_labels_of(name), "".join(rows).encode())

    def close(self) -> Iterator[AnnotationFile]:
        """Gives the list of classes."""
        if self._taxonomy is not None:
            content = {"train": "images", "val": "images", "names": dict(enumerate(self._taxonomy.names[1:]))}
            text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
            yield AnnotationFile("data.yaml", (_HEAD + text).encode())


def _labels_of(name: str) -> str:
    """Where Ultralytics looks for the labels of a photo: the last `images` of its path becomes `labels`."""
    parts = ["images", *PurePosixPath(name).with_suffix(".txt").parts]
    parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return "/".join(parts)
