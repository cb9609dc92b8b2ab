"""Narrower and wider networks."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["scale_channels"]


def scale_channels(channels: Sequence[int], width: float) -> list[int]:
    """Numbers of channels times `width`, rounded, at least 1.

    Raises:
        ValueError: If the width is not above 0 and at most 4.
    """
    if not 0 < width <= 4:
        raise ValueError(f"width must be above 0 and at most 4, not {width}.")
    return [max(1, round(count * width)) for count in channels]
