"""A data set that is made up, in the layout of Clothing Co-Parsing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from segmodels.taxonomy import CCP_59

__all__ = ["HEIGHT", "PHOTOS", "WIDTH", "write_ccp"]

PHOTOS = 8
HEIGHT, WIDTH = 72, 48
PARTS = {  # label -> rows, columns, colour
    "hair": (slice(4, 12), slice(18, 30), (60, 40, 20)),
    "shirt": (slice(12, 36), slice(12, 36), (220, 40, 40)),
    "jeans": (slice(36, 64), slice(14, 34), (40, 60, 200)),
    "shoes": (slice(64, 70), slice(14, 34), (20, 20, 20)),
}


def write_ccp(root: Path, photos: int = PHOTOS, zoom: int = 1) -> Path:
    """Writes photos `0001`, `0002` and so on of one person each, the last with a scarf, and their truths.

    Args:
        root: Folder of the data set, which must not exist.
        photos: Number of photos.
        zoom: Factor on the size of the photos, which is 72 x 48.

    Returns:
        The folder.
    """
    (root / "photos").mkdir(parents=True)
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    cells = np.empty((1, len(CCP_59)), object)
    cells[0] = list(CCP_59)
    savemat(root / "label_list.mat", {"label_list": cells})
    generator = np.random.default_rng(0)
    for number in range(1, photos + 1):
        photo = generator.integers(150, 255, (HEIGHT, WIDTH, 3), np.uint8)
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        moved = int(generator.integers(0, 8))
        for label, (rows, columns, colour) in PARTS.items():
            there = slice(columns.start + moved, columns.stop + moved)
            photo[rows, there] = colour
            labels[rows, there] = CCP_59.index(label)
        if number == photos:
            labels[12:16, 20:24] = CCP_59.index("scarf")
        photo, labels = (pixels.repeat(zoom, axis=0).repeat(zoom, axis=1) for pixels in (photo, labels))
        Image.fromarray(photo).save(root / "photos" / f"{number:04}.jpg", quality=95)
        savemat(root / "annotations" / "pixel-level" / f"{number:04}.mat", {"groundtruth": labels})
    return root
