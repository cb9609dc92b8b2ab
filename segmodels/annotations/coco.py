"""COCO's detection format: https://cocodataset.org/#format-data.

coco.json       images, categories, annotations

A segmentation is compressed run lengths, which are exact, or polygons.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_mask

from segmodels.annotations.files import AnnotationFile
from segmodels.annotations.outlines import polygons_of
from segmodels.annotations.regions import Region, regions_of

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation
    from segmodels.taxonomy import Taxonomy

__all__ = ["CocoWriter", "to_coco"]


class CocoWriter:
    """Makes `coco.json`.

    An image's `orientation` is the EXIF orientation of its file, 1 to 8; `upright` says whether its annotations are of
    the photo turned upright. An annotation's `score` is its confidence, `person` the index of its person in the photo,
    and `presence` the calibrated probability, 0..1, that this person shows a garment of the class, null without one.

    Args:
        polygons: Whether segmentations are polygons.
    """

    def __init__(self, polygons: bool = False) -> None:
        self._polygons = polygons
        self._taxonomy: Taxonomy | None = None
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, name: str, segmentation: Segmentation) -> Iterator[AnnotationFile]:
        """Takes a photo; no file is its own.

        Raises:
            ValueError: If its taxonomy is not that of the photos before it.
        """
        self._taxonomy = self._taxonomy or segmentation.taxonomy
        if segmentation.taxonomy != self._taxonomy:
            both = sorted((self._taxonomy.name, segmentation.taxonomy.name_beside(self._taxonomy)))
            raise ValueError(f"One COCO file holds one taxonomy, not {', '.join(both)}.")
        image_id = len(self._images) + 1
        self._images.append(
            {
                "id": image_id,
                "file_name": name,
                "width": segmentation.width,
                "height": segmentation.height,
                "orientation": segmentation.orientation,
                "upright": segmentation.upright,
            }
        )
        for region in regions_of(segmentation):
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image_id,
                    "category_id": region.category.id,
                    "segmentation": self._segmentation(region, segmentation.height, segmentation.width),
                    "area": region.area,
                    "bbox": list(region.box),
                    "iscrowd": 0,
                    "score": round(region.confidence, 4),
                    "person": region.person,
                    "presence": None if region.presence is None else round(region.presence, 4),
                }
            )
        yield from ()

    def _segmentation(self, region: Region, height: int, width: int) -> dict[str, Any] | list[list[float]]:
        if self._polygons:
            left, top = region.box[:2]
            return [polygon.ravel().round(2).tolist() for polygon in polygons_of(region.mask, left, top)]
        runs = coco_mask.encode(np.asfortranarray(region.whole_mask(height, width).astype(np.uint8)))
        return {"size": [height, width], "counts": runs["counts"].decode("ascii")}

    def to_json(self) -> dict[str, Any]:
        """Content of the file."""
        return {
            "info": {"description": "Garments found by Garmentscope"},
            "images": self._images,
            "categories": [
                {"id": each.id, "name": each.name, "supercategory": each.group}
                for each in (self._taxonomy.classes[1:] if self._taxonomy else ())
            ],
            "annotations": self._annotations,
        }

    def close(self) -> Iterator[AnnotationFile]:
        """Gives the file."""
        yield AnnotationFile("coco.json", json.dumps(self.to_json(), ensure_ascii=False).encode())


def to_coco(segmentations: Iterable[tuple[str, Segmentation]], polygons: bool = False) -> dict[str, Any]:
    """COCO's detection format: one annotation per class and person, but none of the background, likely or not.

    Args:
        segmentations: File name and segmentation of each photo, all of one taxonomy; they are taken one at a time.
        polygons: Whether segmentations are polygons; compressed run lengths if not.

    Raises:
        ValueError: If they are of more than one taxonomy.
    """
    writer = CocoWriter(polygons)
    for name, segmentation in segmentations:
        list(writer.add(name, segmentation))
    return writer.to_json()
