"""Pictures of a photo and its mask: a small one for the grid, and one for the viewer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from dashboard.components.viewer import Stage, encode_stage, sample_plane
from segmodels.taxonomy import UNLABELLED, Taxonomy

__all__ = ["small_picture", "viewer_stage"]

_SIDE = (320, 480)  # pixels of a small picture, at most
_QUALITY = 85
_NAMED = 60  # classes or labels of a caption, at most


def small_picture(photo: np.ndarray, classes: np.ndarray | None, taxonomy: Taxonomy) -> bytes:
    """A small JPEG of a photo, optionally with its classes over it.

    Args:
        photo: uint8 `(H, W, 3)` RGB.
        classes: Class ids, uint8 `(H, W)`; None for the photo alone.
        taxonomy: Taxonomy of the classes.
    """
    image = Image.fromarray(photo)
    image.thumbnail(_SIDE)
    if classes is not None:
        from segmodels.inference.segmentation import paint  # see viewer_stage

        small = _without_unlabelled(sample_plane(classes, image.height, image.width))
        image = Image.fromarray(paint(np.asarray(image), small, taxonomy))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def viewer_stage(
    photo: np.ndarray,
    classes: np.ndarray,
    taxonomy: Taxonomy,
    name: str,
    photo_id: str,
    marked: np.ndarray,
    names: Sequence[str],
) -> dict[str, Any]:
    """A photo and its mask for the viewer, with the measurements of each garment in the ground truth.

    Args:
        photo: uint8 `(H, W, 3)` RGB.
        classes: Class ids, uint8 `(H, W)`.
        taxonomy: Taxonomy of the classes.
        name: Name of the photo's file.
        photo_id: Id of the photo.
        marked: Ids that the caption names, uint8 `(H, W)`: the classes, or the finer labels of the source.
        names: Names of those ids; the first is the background.
    """
    from segmodels.inference.segmentation import (
        measure,  # its colours take half a second to import, which the page can spare
    )

    _, garments = measure(photo, taxonomy, _without_unlabelled(classes), np.full_like(classes, 255))
    count = len(garments)
    kind = "Classes" if marked is classes else "Labels"
    return encode_stage(
        Stage(
            photo=photo,
            class_map=classes,
            confidence=None,
            name=name,
            title="1 garment" if count == 1 else f"{count or 'No'} garments",
            caption=f"Photo {photo_id}, {photo.shape[1]} x {photo.shape[0]} pixels. "
            f"{kind} in its mask, by share of the photo: {_in_words(marked, names)}.",
            garments=tuple({**garment.to_json(), "confidence": None} for garment in garments),
        )
    )


def _without_unlabelled(classes: np.ndarray) -> np.ndarray:
    return np.where(classes == UNLABELLED, np.uint8(0), classes)


def _in_words(marked: np.ndarray, names: Sequence[str]) -> str:
    """What is marked except the first, by share of the photo, the largest first."""
    pixels = np.bincount(marked.ravel(order="K"), minlength=256)
    places = [int(place) for place in np.argsort(-pixels, kind="stable") if place and pixels[place]]
    named = []
    for place in places[:_NAMED]:
        share = pixels[place] / marked.size
        shown = f"{share:.1%}" if share >= 0.0005 else "<0.1%"
        unknown = "unlabelled" if place == UNLABELLED else f"label {place}"
        named.append(f"{names[place] if place < len(names) else unknown} {shown}")
    return ", ".join(named) or "background only"
