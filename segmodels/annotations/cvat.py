"""CVAT for images 1.1: https://docs.cvat.ai/docs/other/xml_format.

annotations.xml     the classes, and for each photo its masks or polygons

A mask is run lengths along the rows of its box, which are exact, the first of pixels outside. The parts of a garment
that are polygons are a group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from segmodels.annotations.files import AnnotationFile
from segmodels.annotations.outlines import polygons_of
from segmodels.annotations.regions import Region, regions_of

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation
    from segmodels.taxonomy import Taxonomy

__all__ = ["CvatWriter"]


class CvatWriter:
    """Makes `annotations.xml`.

    Args:
        polygons: Whether shapes are polygons; masks if not.
    """

    def __init__(self, polygons: bool = False) -> None:
        self._polygons = polygons
        self._taxonomy: Taxonomy | None = None
        self._images: list[str] = []

    def add(self, name: str, segmentation: Segmentation) -> Iterator[AnnotationFile]:
        """Takes a photo; no file is its own."""
        self._taxonomy = segmentation.taxonomy
        shape = _polygons if self._polygons else _mask
        shapes = "".join(shape(number, region) for number, region in enumerate(regions_of(segmentation), start=1))
        self._images.append(
            f'  <image id="{len(self._images)}" name={_quoted(name)} width="{segmentation.width}" '
            f'height="{segmentation.height}">\n{shapes}  </image>\n'
        )
        yield from ()

    def close(self) -> Iterator[AnnotationFile]:
        """Gives the file."""
        labels = "".join(
            f"        <label><name>{escape(each.name)}</name><color>{each.colour.lower()}</color><type>any</type>"
            "<attributes></attributes></label>\n"
            for each in (self._taxonomy.classes[1:] if self._taxonomy else ())
        )
        text = (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
            f"      <size>{len(self._images)}</size>\n      <mode>annotation</mode>\n"
            f"      <labels>\n{labels}      </labels>\n    </task>\n  </meta>\n{''.join(self._images)}</annotations>\n"
        )
        yield AnnotationFile("annotations.xml", text.encode())


def _mask(number: int, region: Region) -> str:
    left, top, width, height = region.box
    values = np.concatenate([[False], region.mask.ravel()])  # begins with what is outside
    edges = np.flatnonzero(np.diff(values)) + 1
    runs = np.diff(np.concatenate([[1], edges, [values.size]])).tolist()
    return (
        f'    <mask label={_quoted(region.category.name)} source="auto" occluded="0" '
        f'rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{width}" height="{height}" '
        'z_order="0"></mask>\n'
    )


def _polygons(number: int, region: Region) -> str:
    parts = polygons_of(region.mask, *region.box[:2])
    group = f' group_id="{number}"' if len(parts) > 1 else ""
    return "".join(
        f'    <polygon label={_quoted(region.category.name)} source="auto" occluded="0" '
        f'points="{";".join(f"{x:.2f},{y:.2f}" for x, y in part)}" z_order="0"{group}></polygon>\n'
        for part in parts
    )


def _quoted(text: str) -> str:
    """A text as the value of an attribute, without characters that XML has no way to write."""
    return quoteattr(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))
