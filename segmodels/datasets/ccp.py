"""Clothing Co-Parsing (Yang, Luo & Lin, CVPR 2014), in its own layout.

photos/NNNN.jpg
annotations/pixel-level/NNNN.mat    `groundtruth`, uint8 (H, W), ids into label_list.mat
annotations/image-level/NNNN.mat    `tags`, ids of the labels a photo without masks shows
label_list.mat                      59 label names
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from segmodels.datasets.dataset import Dataset, DatasetError
from segmodels.datasets.matlab import read_variable
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15, UNLABELLED, label_lookup

__all__ = ["CCP_KINDS", "read_ccp", "read_ccp_tags"]

CCP_KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Dress": {"dress": ("dress",), "skirt": ("skirt",)},
    "Pants": {"trousers": ("pants",), "jeans": ("jeans",), "leggings": ("leggings", "tights")},
    "Coat": {"coat": ("coat", "cape"), "jacket/cardigan": ("jacket", "blazer", "suit", "cardigan")},
    "Shirt": {
        "shirt/blouse": ("shirt", "blouse"),
        "t-shirt/top": ("t-shirt", "top", "vest"),
        "sweater": ("sweater", "sweatshirt", "jumper", "hoodie"),
    },
    "Footwear": {
        "boots": ("boots",),
        "sandals": ("sandals",),
        "heels": ("heels", "pumps", "wedges"),
        "sneakers": ("sneakers",),
        "flats": ("flats", "loafers", "clogs"),
    },
    "Glasses": {"sunglasses": ("sunglasses",), "glasses": ("glasses",)},
    "Scarf/Tie": {"scarf": ("scarf",), "tie": ("tie",)},
    "Socks": {"socks": ("socks",), "stockings": ("stockings",)},
}
"""Labels by class and kind. Those in none, such as `shoes`, say nothing of the kind.

Vests, which are tops without sleeves there, and cardigans are too rare to be kinds of their own.
"""

_WHERE = (
    "Clothing Co-Parsing is available at https://github.com/bearpaw/clothing-co-parsing; "
    "name the folder that holds photos/ and annotations/."
)


def read_ccp(root: Path) -> Dataset:
    """Opens the data set in the classes of `OUTFIT_15`; photos and masks are read when they are asked for.

    Raises:
        DatasetError: If the folder does not have the data set's layout, or another list of labels.
    """
    masks = root / "annotations" / "pixel-level"
    for needed in (root / "photos", masks, root / "label_list.mat"):
        if not needed.exists():
            raise DatasetError(f"{needed} is missing. {_WHERE}")
    cells = _variable(root / "label_list.mat", "label_list").ravel()
    labels = tuple("".join(map(str, np.ravel(cell))) for cell in cells)
    if labels != CCP_59:
        raise DatasetError(f"{root / 'label_list.mat'} holds {len(labels)} labels that are not CCP's 59. {_WHERE}")
    return Dataset(
        name="ccp",
        root=root,
        taxonomy=OUTFIT_15,
        ids=tuple(sorted(path.stem for path in masks.glob("*.mat"))),
        photo_path=partial(_photo_path, root),
        truth_path=partial(_truth_path, root),
        read_truth=partial(_read_truth, root),
        labels=CCP_59,
        aliases=CCP_TO_OUTFIT_15,
        read_labels=partial(_read_labels, root),
        kinds=CCP_KINDS,
        tagged=tuple(sorted(path.stem for path in (root / "annotations" / "image-level").glob("*.mat"))),
    )


def read_ccp_tags(root: Path) -> dict[str, frozenset[str]]:
    """Labels by id of the photos that have only tags; `null` is left out.

    Raises:
        DatasetError: If the folder of tags is missing or a file in it is damaged.
    """
    folder = root / "annotations" / "image-level"
    if not folder.is_dir():
        raise DatasetError(f"{folder} is missing. {_WHERE}")
    return {path.stem: _tags(path) for path in sorted(folder.glob("*.mat"))}


def _photo_path(root: Path, photo_id: str) -> Path:
    return root / "photos" / f"{photo_id}.jpg"


def _truth_path(root: Path, photo_id: str) -> Path:
    return root / "annotations" / "pixel-level" / f"{photo_id}.mat"


def _read_labels(root: Path, photo_id: str) -> np.ndarray:
    path = _truth_path(root, photo_id)
    labels = _variable(path, "groundtruth")
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise DatasetError(f"{path}: groundtruth is {labels.dtype} {labels.shape}; expected uint8 (H, W).")
    return labels


def _read_truth(root: Path, photo_id: str) -> np.ndarray:
    path = _truth_path(root, photo_id)
    labels = _read_labels(root, photo_id)
    truth = np.asarray(_TABLE[labels])
    if (truth == UNLABELLED).any():
        label = int(labels[truth == UNLABELLED][0])
        name = f"({CCP_59[label]}) " if label < len(CCP_59) else ""
        raise DatasetError(f"{path}: label {label} {name}belongs to none of the 15 classes. Correct the mask.")
    return truth


def _tags(path: Path) -> frozenset[str]:
    tags = _variable(path, "tags")
    if not np.issubdtype(tags.dtype, np.integer):
        raise DatasetError(f"{path}: tags is {tags.dtype}; expected whole numbers. {_WHERE}")
    return frozenset(CCP_59[tag] for tag in tags.ravel() if 0 < tag < len(CCP_59))


def _variable(path: Path, name: str) -> np.ndarray:
    return read_variable(path, name, _WHERE)


_TABLE = label_lookup(CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15)
