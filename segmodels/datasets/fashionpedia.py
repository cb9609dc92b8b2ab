"""Fashionpedia (Jia et al., ECCV 2020): 27 garments and accessories and 19 parts of garments, in COCO's JSON.

train/                                  the photos of the training part
test/ or val/                           the photos of the validation part
instances_attributes_train2020.json     annotations of the first; or in `annotations/`
instances_attributes_val2020.json       annotations of the second

Either part may be missing. The classes are those of iMaterialist, `IMATERIALIST_47`: its supercategories `garment
parts`, `closures` and `decorations` are the group of parts. Parts overlap the garments that they belong to: the smaller
region is on top, so a sleeve, pocket or zipper is seen and its garment is what is left. Attributes are passed over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segmodels.datasets.coco import read_coco
from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.taxonomy import IMATERIALIST_47

__all__ = ["read_fashionpedia"]

_PARTS = {"train": ("train",), "val": ("test", "val")}  # with the folders in which the photos may lie
_WHERE = "Fashionpedia is available at https://github.com/cvdfoundation/fashionpedia"


def read_fashionpedia(root: Path) -> Dataset:
    """Opens the data set in the classes of `IMATERIALIST_47`.

    The ids are `train/` or `val/` and the names of the photos without their endings.

    Args:
        root: Folder of the data set.

    Raises:
        DatasetError: If the folder does not have the data set's layout, or other categories.
    """
    parts = {}
    for part, folders in _PARTS.items():
        name = f"instances_attributes_{part}2020.json"
        path = next((each for each in (root / name, root / "annotations" / name) if each.is_file()), None)
        if path is None:
            continue
        photos = next((root / folder for folder in folders if (root / folder).is_dir()), None)
        if photos is None:
            raise DatasetError(f"{root} has no folder {' or '.join(folders)} with the photos of {name}. {_WHERE}.")
        parts[part] = read_coco(path, photos)
        if parts[part].taxonomy != IMATERIALIST_47:
            raise DatasetError(f"{path} does not have Fashionpedia's 46 categories. {_WHERE}.")
    if not parts:
        raise DatasetError(f"{root} holds no instances_attributes_train2020.json or _val2020.json. {_WHERE}.")

    def of(photo_id: str) -> tuple[Dataset, str]:
        part, _, rest = photo_id.partition("/")
        if part not in parts:
            raise DatasetError(f"{root} has no photo {photo_id}. Check the id.")
        return parts[part], rest

    def draw_truth(photo_id: str) -> DrawnTruth:
        dataset, rest = of(photo_id)
        return dataset.draw_truth(rest) if dataset.draw_truth else DrawnTruth(dataset.read_truth(rest))

    def read_truth(photo_id: str) -> np.ndarray:
        return draw_truth(photo_id).truth

    def path_of(photo_id: str) -> Path:
        dataset, rest = of(photo_id)
        return dataset.photo_path(rest)

    def truth_path(photo_id: str) -> Path:
        dataset, rest = of(photo_id)
        return dataset.truth_path(rest)

    return Dataset(
        name="fashionpedia",
        root=root,
        taxonomy=IMATERIALIST_47,
        ids=tuple(f"{part}/{photo_id}" for part, dataset in parts.items() for photo_id in dataset.ids),
        photo_path=path_of,
        truth_path=truth_path,
        read_truth=read_truth,
        draw_truth=draw_truth,
        faults=tuple(fault for dataset in parts.values() for fault in dataset.faults),
        reading=" ".join(dataset.reading for dataset in parts.values()),
    )
