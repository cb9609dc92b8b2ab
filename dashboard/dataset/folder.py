"""The photos and masks of Clothing Co-Parsing in a folder: which show a label, small pictures, and one for the viewer.

Masks are read by `dashboard.compare.ground_truth`, so that no damaged file can crash the server.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dashboard.compare.ground_truth import MaskError, read_ccp_labels
from dashboard.components.viewer import Stage, encode_stage, sample_plane
from segmodels.errors import GarmentscopeError
from segmodels.photo import PhotoError, open_photo
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15, UNLABELLED, label_lookup

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
_SIDE = (320, 480)  # pixels of a small picture, at most
_QUALITY = 85


class FolderError(GarmentscopeError, ValueError):
    """A folder, or a photo or mask in it, that cannot be shown; the message is for the visitor."""


@dataclass(frozen=True)
class LabelIndex:
    """Which labels each mask of a folder holds.

    Args:
        ids: Ids of the photos whose masks can be read.
        pixels: Number of pixels by photo and label, int64 `(photos, 256)`.
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


def choices() -> tuple[str, ...]:
    """Choices for selecting photos, in display order: each class, and its labels as `class: label`."""
    found = []
    for name in OUTFIT_15.display_order:
        labels = [label for label in CCP_59[1:] if CCP_TO_OUTFIT_15.get(label) == name]
        background = name == OUTFIT_15.names[0]  # which every photo shows
        found += [] if background else [name]
        found += [f"{name}: {label}" for label in labels] if background or len(labels) > 1 else []
    return tuple(found)


def photos_with(index: LabelIndex, choice: str) -> tuple[str, ...]:
    """Ids of the photos that show a class or label, the largest share of the photo first.

    Args:
        index: Label index of the folder.
        choice: One of `choices`.
    """
    name, _, label = choice.partition(": ")
    labels = [label] if label else [each for each, of in CCP_TO_OUTFIT_15.items() if of == name]
    shares = index.pixels[:, [CCP_59.index(each) for each in labels]].sum(axis=1) / index.pixels.sum(axis=1)
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
    image = Image.fromarray(photo)
    image.thumbnail(_SIDE)
    if masked:
        from segmodels.inference.segmentation import paint  # see make_stage

        classes = _CLASSES[sample_plane(labels, image.height, image.width)]
        classes = np.where(classes == UNLABELLED, np.uint8(0), classes)
        image = Image.fromarray(paint(np.asarray(image), classes, OUTFIT_15))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def make_stage(root: Path, photo_id: str) -> dict[str, Any]:
    """A photo and its mask for the viewer, with the measurements of each garment in the ground truth.

    Raises:
        FolderError: If the photo or its mask is missing or damaged, or they differ in size.
    """
    from segmodels.inference.segmentation import (
        measure,  # its colours take half a second to import, which the page can spare
    )

    photo, labels = read_pair(root, photo_id)
    classes = _CLASSES[labels]
    _, garments = measure(
        photo, OUTFIT_15, np.where(classes == UNLABELLED, np.uint8(0), classes), np.full_like(classes, 255)
    )
    count = len(garments)
    return encode_stage(
        Stage(
            photo=photo,
            class_map=classes,
            confidence=None,
            name=f"{photo_id}.jpg",
            title="1 garment" if count == 1 else f"{count or 'No'} garments",
            caption=f"Photo {photo_id}, {photo.shape[1]} x {photo.shape[0]} pixels. "
            f"Labels in its mask, by share of the photo: {_in_words(labels)}.",
            garments=tuple({**garment.to_json(), "confidence": None} for garment in garments),
        )
    )


def _in_words(labels: np.ndarray) -> str:
    """The labels except the first, by share of the photo, the largest first."""
    pixels = np.bincount(labels.ravel(order="K"), minlength=256)
    places = [int(place) for place in np.argsort(-pixels, kind="stable") if place and pixels[place]]
    named = []
    for place in places:
        share = pixels[place] / labels.size
        shown = f"{share:.1%}" if share >= 0.0005 else "<0.1%"
        named.append(f"{CCP_59[place] if place < len(CCP_59) else f'label {place}'} {shown}")
    return ", ".join(named) or "background only"


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
