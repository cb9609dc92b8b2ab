"""The colours of the garments in photos, as a palette."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.shared.analysed import Analysed
from segmodels.palettes import Swatch

__all__ = ["photo_palette"]


def photo_palette(photos: Sequence[Analysed]) -> list[Swatch]:
    """The dominant colours of each garment that counts, in the order of the table.

    Args:
        photos: Photos; their names are in those of the groups where there are several.
    """
    swatches = []
    for photo in photos:
        several = len(photo.people) > 1
        for garment in filter(photo.likely, photo.garments):
            parts = [photo.name] if len(photos) > 1 else []
            parts += [garment.name, *([f"of person {garment.person + 1}"] if several else [])]
            swatches += [Swatch(each.name, each.hex, " ".join(parts), each.share) for each in garment.colours]
    return swatches
