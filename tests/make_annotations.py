"""Makes `tests/segmodels/datasets/files`: two drawn pictures, and annotations by the annotation tools' libraries.

Needs `pip install label-studio-sdk datumaro` in an environment of its own (they want another NumPy):

    PYTHONPATH=. python tests/make_annotations.py tests/segmodels/datasets/files

The pictures are 48 x 36 pixels. `truth(name)` of `tests/drawn_annotations.py` is what all of them say.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import datumaro as dm  # type: ignore[import-not-found]
import numpy as np
from drawn_annotations import NAMES, PHOTOS, POLYGONS, picture, truth
from label_studio_sdk.converter.brush import mask2rle  # type: ignore[import-not-found]
from PIL import Image


def main(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    (out / "photos").mkdir(parents=True)
    for name in PHOTOS:
        Image.fromarray(picture(name)).save(out / "photos" / f"{name}.png")
    label_studio(out / "labelstudio.json")
    for kind, folder in (("cvat", "cvat"), ("voc_segmentation", "cvat_masks"), ("coco_instances", "coco")):
        dataset(out / "photos", masks_only=kind == "voc_segmentation").export(str(out / folder), kind, save_media=False)
    for path in (*out.glob("cvat_masks/*"), out / "coco" / "images"):  # lists and other masks that the reader ignores
        if path.name not in ("labelmap.txt", "SegmentationClass"):
            shutil.rmtree(path)


def label_studio(path: Path) -> None:
    tasks = []
    for number, name in enumerate(PHOTOS, 1):
        results = []
        for label, drawn in outlines(name):
            common = {"original_width": 48, "original_height": 36, "image_rotation": 0, "to_name": "image"}
            if isinstance(drawn, np.ndarray):
                value = {"format": "rle", "rle": mask2rle(drawn * np.uint8(255)), "brushlabels": [label]}
                results.append({"type": "brushlabels", "from_name": "brush", "value": value, **common})
            else:
                points = [[100 * x / 48, 100 * y / 36] for x, y in drawn]
                value = {"points": points, "closed": True, "polygonlabels": [label]}
                results.append({"type": "polygonlabels", "from_name": "polygon", "value": value, **common})
        for place, result in enumerate(results):
            result["id"] = f"region{place}"
        whole = {"id": 10 * number, "was_cancelled": False, "created_at": "2026-05-02T10:00:00.123456Z"}
        old = {"id": 10 * number - 1, "was_cancelled": False, "created_at": "2026-05-01T10:00:00.123456Z"}
        skipped = {"id": 10 * number + 1, "was_cancelled": True, "created_at": "2026-05-03T10:00:00.123456Z"}
        annotations = [
            {**skipped, "result": []},
            {**whole, "result": results},
            {**old, "result": results[:1]},
        ]
        data = {"image": f"/data/upload/3/0a1b2c3d-{name}.png", "shoot": f"s{number}"}
        tasks.append({"id": number, "data": data, "annotations": annotations, "predictions": []})
    path.write_text(json.dumps(tasks), "utf-8")


def outlines(name: str) -> list[tuple[str, object]]:
    """Each class as a polygon where it is one, else as a mask: bool `(H, W)`."""
    values = truth(name)
    return [
        (label, POLYGONS.get((name, label)) or (values == class_id))
        for class_id, label in enumerate(NAMES)
        if class_id and (values == class_id).any()
    ]


def dataset(photos: Path, masks_only: bool) -> dm.Dataset:
    items = []
    for name in PHOTOS:
        annotations = []
        for layer, (label, drawn) in enumerate(outlines(name)):
            class_id = NAMES.index(label)
            if masks_only or isinstance(drawn, np.ndarray):
                annotations.append(dm.Mask(truth(name) == class_id, label=class_id, z_order=layer))
            else:
                points = [value for point in drawn for value in point]
                annotations.append(dm.Polygon(points, label=class_id, z_order=layer))
        image = dm.Image.from_file(str(photos / f"{name}.png"))
        items.append(dm.DatasetItem(name, media=image, annotations=annotations))
    return dm.Dataset.from_iterable(items, categories=list(NAMES))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
