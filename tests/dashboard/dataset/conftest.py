"""A data set of a shop's own classes, as COCO polygons."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """`shop.json` and its photos: `a` has a skirt and a belt on it, `b` a skirt, `c` nothing; `d` is not there.

    Pixels: 84 + 20 of skirts, 16 of belts, 3000 in all; no boots.
    """
    folder = tmp_path / "shop"
    folder.mkdir()
    sizes = {"a": (40, 30), "b": (20, 30), "c": (40, 30), "d": (40, 30)}
    for name in "abc":
        width, height = sizes[name]
        Image.fromarray(np.full((height, width, 3), 180, np.uint8)).save(folder / f"{name}.jpg")
    drawn = [("a", "skirt", (2, 2, 12, 12)), ("a", "belt", (2, 4, 10, 6)), ("b", "skirt", (3, 3, 8, 7))]
    names = ["skirt", "belt", "boots"]
    content = {
        "images": [
            {"id": number, "file_name": f"{name}.jpg", "width": size[0], "height": size[1]}
            for number, (name, size) in enumerate(sizes.items(), start=1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, start=1)],
        "annotations": [
            {
                "id": number,
                "image_id": list(sizes).index(photo) + 1,
                "category_id": names.index(name) + 1,
                "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                "iscrowd": 0,
            }
            for number, (photo, name, (left, top, right, bottom)) in enumerate(drawn, start=1)
        ],
    }
    path = folder / "shop.json"
    path.write_text(json.dumps(content))
    return path
