"""Pre-annotations for Label Studio: https://labelstud.io/guide/predictions.

tasks.json              a task for each photo, with a prediction
labeling_config.xml     the labelling interface of the project, with a brush and a polygon for each class

A mask is a brush's run lengths, which are exact, or polygons.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from segmodels.annotations.files import AnnotationFile
from segmodels.annotations.outlines import polygons_of
from segmodels.annotations.regions import Region, regions_of

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation
    from segmodels.taxonomy import Taxonomy

__all__ = ["LOCAL_FILES", "LabelStudioWriter", "brush_runs"]

LOCAL_FILES = "/data/local-files/?d="
"""What comes before the path of a photo that Label Studio serves from its own disk."""

_RUN_BITS = (3, 4, 8, 16)
"""Bits of the length of a run; each run takes the fewest that do."""


class LabelStudioWriter:
    """Makes `tasks.json` and `labeling_config.xml`.

    Args:
        polygons: Whether masks are polygons.
        address: What comes before the path of a photo, which together are its address for Label Studio.
    """

    def __init__(self, polygons: bool = False, address: str = LOCAL_FILES) -> None:
        self._polygons, self._address = polygons, address
        self._taxonomy: Taxonomy | None = None
        self._tasks: list[dict[str, Any]] = []

    def add(self, name: str, segmentation: Segmentation) -> Iterator[AnnotationFile]:
        """Takes a photo; no file is its own."""
        self._taxonomy = segmentation.taxonomy
        regions = list(regions_of(segmentation))
        pixels = sum(region.area for region in regions)
        prediction = {
            "model_version": f"{segmentation.model} {segmentation.revision}".strip(),
            "score": round(sum(each.confidence * each.area for each in regions) / pixels, 4) if pixels else 0.0,
            "result": [
                row
                for number, region in enumerate(regions, start=1)
                for row in self._results(number, region, segmentation.height, segmentation.width)
            ],
        }
        task = {"data": {"image": self._address + quote(name), "photo": name}, "predictions": [prediction]}
        self._tasks.append(task)
        yield from ()

    def close(self) -> Iterator[AnnotationFile]:
        """Gives both files."""
        yield AnnotationFile("tasks.json", json.dumps(self._tasks, ensure_ascii=False).encode())
        if self._taxonomy is not None:
            yield AnnotationFile("labeling_config.xml", _interface(self._taxonomy).encode())

    def _results(self, number: int, region: Region, height: int, width: int) -> Iterator[dict[str, Any]]:
        kind, tool = ("polygonlabels", "polygon") if self._polygons else ("brushlabels", "brush")
        common = {
            "type": kind,
            "from_name": tool,
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": round(region.confidence, 4),
        }
        if not self._polygons:
            runs = brush_runs(region.whole_mask(height, width))
            yield {"id": f"{number}", **common, "value": {"format": "rle", "rle": runs, kind: [region.category.name]}}
            return
        for part, polygon in enumerate(polygons_of(region.mask, *region.box[:2]), start=1):
            points = (polygon * (100 / width, 100 / height)).round(4).tolist()
            value = {"points": points, "closed": True, kind: [region.category.name]}
            yield {"id": f"{number}-{part}", **common, "value": value}


def brush_runs(mask: np.ndarray) -> list[int]:
    """The run lengths of a brush, as bytes.

    The mask is a picture of 4 equal channels, 0 or 255, pixel by pixel, row by row. Bits, the highest first: 32 of the
    number of values, 5 of the bits of a value less 1, 4 times 4 of the bits of a length less 1; then for each run a 1,
    2 of which of the four lengths it has, the length less 1, and 8 of the value. It is rle-pack of thi.ng/umbrella.

    Args:
        mask: bool `(H, W)`.
    """
    values = mask.ravel()
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [values.size]])) * 4
    bits = [f"{values.size * 4:032b}{7:05b}", *(f"{each - 1:04b}" for each in _RUN_BITS)]
    for filled, length in zip(values[starts].tolist(), lengths.tolist(), strict=True):
        value, left = "1" * 8 if filled else "0" * 8, length
        while left:
            run = min(left, 1 << _RUN_BITS[-1])
            which = next(at for at, size in enumerate(_RUN_BITS) if run <= 1 << size)
            bits.append(f"1{which:02b}{run - 1:0{_RUN_BITS[which]}b}{value}")
            left -= run
    digits = np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")
    return [int(byte) for byte in np.packbits(digits)]


def _interface(taxonomy: Taxonomy) -> str:
    labels = "".join(
        f"    <Label value={quoteattr(taxonomy[name].name)} background={quoteattr(taxonomy[name].colour)}/>\n"
        for name in taxonomy.display_order
        if taxonomy[name].id
    )
    return (
        "<View>\n"
        '  <Image name="image" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="brush" toName="image">\n{labels}  </BrushLabels>\n'
        f'  <PolygonLabels name="polygon" toName="image">\n{labels}  </PolygonLabels>\n'
        "</View>\n"
    )
