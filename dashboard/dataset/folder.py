"""The photos and masks of Clothing Co-Parsing in a folder: which show a label, small pictures, and one for the viewer.

Masks are read by `dashboard.compare.ground_truth`, so that no damaged file can crash the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dashboard.compare.ground_truth import MaskError, read_ccp_labels
from dashboard.dataset.pictures import small_picture, viewer_stage
from segmodels.errors import GarmentscopeError
from segmodels.photo import PhotoError, open_photo
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15, label_lookup

__all__ = [
    "FolderError",
    "LabelIndex",
    "choices",
    "index_labels",
    "list_masks",
    "make_stage",
    "photos_with",
    "read_pair",
    "thumbnail",
]

_LAYOUT = "Set it to the folder that has photos/ and annotations/pixel-level/, and start the app again."
_CLASSES = label_lookup(CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15)


class FolderError(GarmentscopeError, ValueError):
    """A folder, or a photo or mask in it, that cannot be shown; the message is for the visitor."""


@dataclass(frozen=True)
class LabelIndex:
    """Which labels each mask of a data set holds.

    Args:
        ids: Ids of the photos whose masks can be read.
        pixels: Number of pixels by photo and id of the label, or of the class where there are none finer, int64
            `(photos, 256)`.
        unreadable: A sentence by id of each other photo.
    """

    ids: tuple[str, ...]
    pixels: np.ndarray
    unreadable: Mapping[str, str]


def list_masks(root: Path) -> tuple[str, ...]:
    """Ids of the photos that have a mask, sorted.

    Raises:
        FolderError: If the folder does not hold photos and masks.
    """
    if not root.is_dir():
        raise FolderError(f"GARMENTSCOPE_DATA is set to {root.name}, which is not a folder. {_LAYOUT}")
    for needed in ("photos", "annotations/pixel-level"):
        if not (root / needed).is_dir():
            raise FolderError(f"GARMENTSCOPE_DATA is set to {root.name}, which has no {needed}/. {_LAYOUT}")
    ids = tuple(sorted(path.stem for path in (root / "annotations" / "pixel-level").glob("*.mat")))
    if not ids:
        raise FolderError(f"GARMENTSCOPE_DATA is set to {root.name}, which has no mask in it. {_LAYOUT}")
    return ids


def index_labels(root: Path, ids: tuple[str, ...]) -> LabelIndex:
    """Reads every mask once: a second and a half for a thousand."""
    read: list[str] = []
    pixels: list[np.ndarray] = []
    unreadable: dict[str, str] = {}
    for photo_id in ids:
        try:
            with Image.open(_photo_path(root, photo_id)) as photo:
                size = photo.size
            labels = _labels(root, photo_id, *size)
        except FolderError as error:
            unreadable[photo_id] = str(error)
        except (OSError, ValueError, Image.DecompressionBombError):
            unreadable[photo_id] = f"{photo_id}.jpg cannot be read. Get it again."
        else:
            read.append(photo_id)
            pixels.append(np.bincount(labels.ravel(order="K"), minlength=256))
    return LabelIndex(tuple(read), np.array(pixels, np.int64).reshape(len(read), 256), unreadable)


def choices() -> dict[str, tuple[int, ...]]:
    """Choices for selecting photos, in display order: each class, and its labels as `class: label`.

    Returns:
        Ids of the labels that a choice stands for, by its text.
    """
    found: dict[str, tuple[int, ...]] = {}
    for name in OUTFIT_15.display_order:
        labels = {label: place for place, label in enumerate(CCP_59) if place and CCP_TO_OUTFIT_15.get(label) == name}
        background = name == OUTFIT_15.names[0]  # which every photo shows
        if not background:
            found[name] = tuple(labels.values())
        if background or len(labels) > 1:
            found |= {f"{name}: {label}": (place,) for label, place in labels.items()}
    return found


def photos_with(index: LabelIndex, labels: Sequence[int]) -> tuple[str, ...]:
    """Ids of the photos that show one of some labels, the largest share of the photo first.

    Args:
        index: Index of the labels.
        labels: Ids of the labels.
    """
    shares = index.pixels[:, list(labels)].sum(axis=1) / index.pixels.sum(axis=1)
    return tuple(index.ids[place] for place in np.argsort(-shares, kind="stable") if shares[place])


def read_pair(root: Path, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    """A photo, uint8 `(H, W, 3)` RGB, and its labels, ids of `CCP_59`, uint8 `(H, W)`.

    Raises:
        FolderError: If the photo or its mask is missing or damaged, or they differ in size.
    """
    try:
        photo = open_photo(_photo_path(root, photo_id), max_bytes=None)
    except PhotoError as error:
        raise FolderError(str(error).replace(f"{root}/photos/", "")) from None  # without the path on the server
    return photo, _labels(root, photo_id, photo.shape[1], photo.shape[0])


def thumbnail(root: Path, photo_id: str, *, masked: bool) -> bytes:
    """A small JPEG of a photo, optionally with its classes over it.

    Raises:
        FolderError: If the photo or its mask is missing or damaged, or they differ in size.
    """
    photo, labels = read_pair(root, photo_id)
    return small_picture(photo, _CLASSES[labels] if masked else None, OUTFIT_15)


def make_stage(root: Path, photo_id: str) -> dict[str, Any]:
    """A photo and its mask for the viewer, with the measurements of each garment in the ground truth.

    Raises:
        FolderError: If the photo or its mask is missing or damaged, or they differ in size.
    """
    photo, labels = read_pair(root, photo_id)
    return viewer_stage(photo, _CLASSES[labels], OUTFIT_15, f"{photo_id}.jpg", photo_id, labels, CCP_59)


def _photo_path(root: Path, photo_id: str) -> Path:
    return root / "photos" / f"{photo_id}.jpg"


def _labels(root: Path, photo_id: str, width: int, height: int) -> np.ndarray:
    path = root / "annotations" / "pixel-level" / f"{photo_id}.mat"
    try:
        return read_ccp_labels(path.name, path.read_bytes(), width, height)
    except MaskError as error:
        raise FolderError(str(error)) from None
    except OSError as error:
        raise FolderError(f"{path.name} cannot be read ({error.strerror}). Get it again.") from None
