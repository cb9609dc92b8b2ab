"""From a photo to its garments: the person detector, crops, networks, and the segmentation."""

from __future__ import annotations

__all__: list[str] = []
