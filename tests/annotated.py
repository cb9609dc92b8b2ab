"""A segmentation with everything that an annotation may have: holes, parts, specks, two people, the photo's border."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from segmodels.inference.presence import LIKELY
from segmodels.inference.segmentation import Person, Segmentation, measure
from segmodels.photo import decode_photo
from segmodels.taxonomy import OUTFIT_15, Taxonomy

HEIGHT, WIDTH = 96, 72


def a_class_map() -> np.ndarray:
    """uint8 `(96, 72)`; ids of `OUTFIT_15`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ids = {name: OUTFIT_15[name].id for name in OUTFIT_15.names}
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[(y - 12) ** 2 + (x - 24) ** 2 < 64] = ids["Hair"]
    class_map[22:54, 8:20] = ids["Coat"]  # two parts, with a shirt between
    class_map[22:54, 29:42] = ids["Coat"]
    class_map[20:50, 20:29] = ids["Shirt"]
    class_map[(y - 70) ** 2 + (x - 24) ** 2 < 400] = ids["Pants"]
    class_map[(y - 70) ** 2 + (x - 24) ** 2 < 100] = 0  # a hole
    class_map[(y - 70) ** 2 + (x - 24) ** 2 < 16] = ids["Bag"]  # an island in it
    class_map[60:63, 12:15] = ids["Skin"]  # a hole that another class fills
    class_map[80:, 60:] = ids["Bag"]  # the corner of the photo, and the second person
    class_map[30:50, 55:70] = ids["Shirt"]
    class_map[56, 60] = ids["Shirt"]  # a speck
    class_map[58:75, 66] = ids["Socks"]  # one pixel wide
    return class_map


def a_look(taxonomy: Taxonomy = OUTFIT_15, orientation: int = 1) -> Segmentation:
    """What was found in a photo of two people, turned upright as an orientation says."""
    class_map = a_class_map() % len(taxonomy)
    owners = np.zeros((HEIGHT, WIDTH), np.uint8)
    owners[:, 50:] = 1
    confidence = np.random.default_rng(0).integers(120, 256, class_map.shape, np.uint8)
    presence = dict.fromkeys((each.name for each in taxonomy.worn), LIKELY / 2)
    seen = Person((4, 4, 42, 88), 0.9, True, presence), Person((52, 28, 20, 68), 0.8, True, presence)
    people, garments = measure(a_photo(), taxonomy, class_map, confidence, seen, owners)
    return Segmentation(
        taxonomy, class_map, confidence, people, garments, "fake", "abc123", 0.1, owners, orientation=orientation
    )


def a_photo() -> np.ndarray:
    """uint8 `(96, 72, 3)`, upright."""
    return OUTFIT_15.palette[a_class_map()]


def save_photo(path: Path, orientation: int = 1) -> None:
    """The photo as a PNG or a JPEG whose EXIF data says how it is turned."""
    stored = a_photo()
    turns = {  # what turns an upright photo into what the file stores
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(turns[orientation]))
    picture.save(out, "JPEG" if path.suffix == ".jpg" else "PNG", exif=exif)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    assert decode_photo(path).orientation == orientation


def farthest(mask: np.ndarray, given: np.ndarray) -> float:
    """How far, in pixels, the centres of pixels that differ lie from the edge of a mask; 0 if none differ.

    Args:
        mask: bool `(H, W)`.
        given: bool `(H, W)`.
    """
    import cv2

    wide = np.pad(mask, 1).astype(np.uint8)
    inside, outside = (cv2.distanceTransform(each, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for each in (wide, 1 - wide))
    distance = np.maximum(inside, outside)[1:-1, 1:-1] - 0.5  # of the centre from the edge, not from the next centre
    differ = mask != given
    return float(distance[differ].max()) if differ.any() else 0.0
