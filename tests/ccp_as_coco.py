"""Writes photos of Clothing Co-Parsing as two COCO files of other classes: some to fine-tune on, others to judge by.

    PYTHONPATH=. python tests/ccp_as_coco.py --data CCP --out DIR

`train.json` holds 60 photos of folds 1 to 4, on at least 15 of which each class is; `judge.json` holds the photos of
fold 0 with at least one of the classes. Whatever is in none of the classes is background. Photos are not copied: name
`CCP/photos` as `--data`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from segmodels.datasets import Dataset, read_ccp
from train.data.split import fold_ids

CLASSES = ("skirt", "jeans", "boots", "sunglasses", "belt")
_EACH = 15  # photos of each class to fine-tune on, at least
_ZOOM = 4  # outlines run along the edges of pixels, to an eighth of one


def main() -> None:
    """Writes both files and says what is in them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of Clothing Co-Parsing")
    parser.add_argument("--out", type=Path, required=True, help="folder for train.json and judge.json")
    parser.add_argument("--classes", nargs="+", default=list(CLASSES), help="labels of CCP")
    parser.add_argument("--photos", type=int, default=60, help="photos to fine-tune on")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    dataset = read_ccp(arguments.data)
    learned, judged = fold_ids("ccp", 0)
    shown = {photo_id: classes_of(dataset, photo_id, arguments.classes) for photo_id in (*learned, *judged)}
    learned = chosen(
        {photo_id: shown[photo_id] for photo_id in learned}, arguments.classes, arguments.photos, arguments.seed
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, ids in (("train", learned), ("judge", [photo_id for photo_id in judged if shown[photo_id]])):
        path = arguments.out / f"{name}.json"
        path.write_text(json.dumps(coco(dataset, ids, arguments.classes)), "utf-8")
        counts = [f"{each} {sum(each in shown[photo_id] for photo_id in ids)}" for each in arguments.classes]
        print(f"{path}: {len(ids)} photos ({', '.join(counts)})")


def classes_of(dataset: Dataset, photo_id: str, classes: Sequence[str]) -> frozenset[str]:
    """Those of the labels that a photo shows."""
    assert dataset.read_labels is not None
    labels = {dataset.labels[label] for label in np.unique(dataset.read_labels(photo_id))}
    return frozenset(labels.intersection(classes))


def chosen(
    shown: dict[str, frozenset[str]], classes: Sequence[str], number: int, seed: int = 0, each: int = _EACH
) -> list[str]:
    """Random photos with at least one of the classes: first enough of the rarest, then of the others, then any.

    Args:
        shown: Labels by id of the photo.
        classes: Labels that count.
        number: Photos to choose.
        seed: Seed of the order.
        each: Photos of each class, where there are as many.
    """
    order = sorted(photo_id for photo_id, labels in shown.items() if labels)
    random.Random(seed).shuffle(order)
    taken: list[str] = []
    for label in sorted(classes, key=lambda label: sum(label in shown[photo_id] for photo_id in order)):
        for photo_id in order:
            enough = sum(label in shown[one] for one in taken) >= each
            if label in shown[photo_id] and photo_id not in taken and not enough:
                taken.append(photo_id)
    rest = [photo_id for photo_id in order if photo_id not in taken]
    return sorted([*taken, *rest][:number])


def coco(dataset: Dataset, ids: Sequence[str], classes: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    """COCO's JSON of these photos, one annotation for each class of a photo, as polygons."""
    assert dataset.read_labels is not None
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, photo_id in enumerate(ids, start=1):
        labels = dataset.read_labels(photo_id)
        height, width = labels.shape
        images.append({"id": number, "file_name": f"{photo_id}.jpg", "height": height, "width": width})
        for category, name in enumerate(classes, start=1):
            mask = labels == dataset.labels.index(name)
            if parts := outlines(mask):
                rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
                corner = [int(columns[0]), int(rows[0])]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": category,
                        "segmentation": parts,
                        "area": int(mask.sum()),
                        "bbox": [*corner, int(columns[-1]) + 1 - corner[0], int(rows[-1]) + 1 - corner[1]],
                        "iscrowd": 0,
                    }
                )
    categories: list[dict[str, object]] = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def outlines(mask: np.ndarray) -> list[list[float]]:
    """Polygons `x y x y ...` around the parts of a bool mask `(H, W)`; holes are filled."""
    large = mask.astype(np.uint8).repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    contours, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = [(cv2.approxPolyDP(contour, _ZOOM / 2, True).reshape(-1, 2) + 0.5) / _ZOOM for contour in contours]
    return [[float(value) for value in part.ravel()] for part in parts if len(part) >= 3]


if __name__ == "__main__":
    main()
