"""Masks for flat-lays, which have a label and no mask: the foreground, found by colour, filled with the class.

How a garment is outlined, on a copy of the photo whose longer side has 256 pixels:

1. GrabCut (Rother et al. 2004, *"GrabCut": interactive foreground extraction using iterated graph cuts*) from a
   rectangle with a border of 5 %, in RGB. What lies outside the rectangle counts as background.
2. The same in Lab, from a border of 2 %, at 160 pixels. Where the two differ much, neither can be trusted.
3. A floor between two trouser legs is inside the rectangle and ends up in GrabCut's model of the garment. So pixels of
   the outline whose colour is more frequent outside it than in it are handed back to the background, the two colour
   histograms are counted anew, three times over, and GrabCut goes on from there.
4. A piece that step 3 took out may be a white panel of a coat on a white sheet. A trained network can be asked: where
   it sees something other than background in such a piece, the piece is disputed.

A mask that fails one of the checks of `reason_to_drop` is not written. Masks are as good as they can be without
a person who draws them: some keep a hanger, or a shadow between two shoes.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLay, FlatLays, read_flatlays
from segmodels.files import open_regular, replacing
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.sentences import first_line
from segmodels.taxonomy import UNLABELLED, Taxonomy
from train.analysis.flatlays import training_ids

__all__ = [
    "MASKS_FILE",
    "Outline",
    "mask_flatlays",
    "masked_flatlays",
    "outline_garment",
    "reason_to_drop",
    "with_flatlays",
]

MASKS_FILE = "masks.csv"
"""Its name in the folder of the masks: one row for each photo, kept or dropped."""

_COLUMNS = ("id", "class", "kept", "reason", "share", "edge", "agreement", "disputed")

_SIDE, _OTHER_SIDE = 256, 160  # pixels of the longer side of the copies
_BORDER, _OTHER_BORDER = 0.05, 0.02  # of height and width
_ROUNDS = 4
_PIECE = 0.15  # of the largest piece; smaller ones are dropped
_HOLE = 0.01  # of the photo; smaller holes are filled
_TAKEN = 0.02  # of the outline; smaller pieces that step 3 took out are no matter of dispute
_FEWEST = 50  # pixels without which there is no colour model

_LEAST_SHARE, _MOST_SHARE = 0.08, 0.85
_MOST_EDGE = 0.35
_LEAST_AGREEMENT = 0.8
_MOST_DISPUTED = 0.06


@dataclass(frozen=True, eq=False)
class Outline:
    """The foreground of a photo, and what speaks for it.

    Args:
        mask: uint8 `(H, W)` at the photo's size: 1 on the garment, 0 beside it, `UNLABELLED` where the garment seems to
            go on into the border that GrabCut took for background.
        share: Share of the photo's pixels on the garment, 0..1.
        edge: Share of the rectangle's sides that the garment touches, 0..1.
        agreement: IoU of the outlines of steps 1 and 2, 0..1.
        disputed: Share of the outline of step 1 that step 3 took out and the network holds for something, 0..1; without
            a network all that it took out in large pieces.
    """

    mask: np.ndarray
    share: float
    edge: float
    agreement: float
    disputed: float


def outline_garment(photo: np.ndarray, foreground: Callable[[np.ndarray], np.ndarray] | None = None) -> Outline:
    """Outlines the one garment of a photo.

    Args:
        photo: uint8 `(H, W, 3)` RGB.
        foreground: Function that gives bool `(H, W)`, whether a network sees something other than background. It is
            called only if step 3 took out a large piece.
    """
    small = _reduced(photo, _SIDE)
    height, width = small.shape[:2]
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    first = _tidied(_from_rectangle(small, _BORDER))
    smaller = cv2.cvtColor(_reduced(photo, _OTHER_SIDE), cv2.COLOR_RGB2LAB)
    other = _resized(_tidied(_from_rectangle(smaller, _OTHER_BORDER)), (height, width))
    union = np.count_nonzero(first | other)
    final = _tidied(_without_floor(small, lab, first))
    pieces = _large_pieces(first & ~final, _TAKEN * np.count_nonzero(first))
    if pieces.any() and foreground is not None:
        seen = cv2.resize(foreground(photo).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        pieces &= seen > 0
    top, left = round(_BORDER * height), round(_BORDER * width)
    inside = final[top : height - top, left : width - left]
    sides = [inside[:1].ravel(), inside[-1:].ravel(), inside[:, :1].ravel(), inside[:, -1:].ravel()]
    touched = np.concatenate(sides) if inside.size else np.zeros(1, bool)
    beyond = np.pad(inside, ((top, top), (left, left)), mode="edge") & ~final if inside.size else np.zeros_like(final)
    mask = _resized(final, photo.shape[:2]).astype(np.uint8)
    mask[_resized(beyond, photo.shape[:2]) & (mask == 0)] = UNLABELLED
    return Outline(
        mask=mask,
        share=float(final.mean()),
        edge=float(touched.mean()),
        agreement=np.count_nonzero(first & other) / union if union else 0.0,
        disputed=float(pieces.sum() / max(1, np.count_nonzero(first))),
    )


def reason_to_drop(outline: Outline) -> str:
    """Why an outline cannot be a mask; empty if it can.

    A garment covers 8 to 85 % of the photo and touches at most 35 % of the rectangle's sides; the two outlines agree
    with an IoU of at least 0.8; at most 6 % of the first is disputed.
    """
    if not _LEAST_SHARE <= outline.share <= _MOST_SHARE:
        return "too small" if outline.share < _LEAST_SHARE else "too large"
    if outline.edge > _MOST_EDGE:
        return "reaches the edge"
    if outline.agreement < _LEAST_AGREEMENT:
        return "two outlines differ"
    return "disputed piece" if outline.disputed > _MOST_DISPUTED else ""


def mask_flatlays(flatlays: FlatLays, out: Path, segmenter: Segmenter | None = None) -> dict[str, Any]:
    """Writes a mask for each flat-lay whose outline passes all checks; the same call goes on after a stop.

    Args:
        flatlays: Photos to outline; masks are for training, so no photo of part `test` is taken.
        out: Folder for a palette PNG a photo, at the photo's size, and for `MASKS_FILE`, which says of each photo what
            became of it and why.
        segmenter: Network that is asked about disputed pieces; its names of garments do not matter.

    Returns:
        `photos`, `kept`, `dropped` (number by reason) and `classes` (number of masks by class).

    Raises:
        DatasetError: If a photo belongs to part `test`, or the folder's `MASKS_FILE` has other columns.
        OSError: If the folder cannot be written.
    """
    if tests := [photo.id for photo in flatlays.photos if photo.part == "test"]:
        raise DatasetError(f"{tests[0]} belongs to part 'test', which nothing is trained on. Leave that part out.")
    foreground = partial(_seen_by, segmenter, Lock()) if segmenter else None
    out.mkdir(parents=True, exist_ok=True)
    rows = _read_rows(out / MASKS_FILE)
    with (out / MASKS_FILE).open("a", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        if not file.tell():
            table.writeheader()
        todo = [photo for photo in flatlays.photos if photo.id not in rows]
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # OpenCV works outside Python's lock
            made = threads.map(lambda photo: _mask(flatlays, photo, out / f"{photo.id}.png", foreground), todo)
            try:
                for photo, row in zip(tqdm(todo, desc="Outlining", unit="photo"), made, strict=True):
                    rows[photo.id] = row
                    table.writerow(row)
                    file.flush()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
    chosen = [rows[photo.id] for photo in flatlays.photos]
    kept = [row for row in chosen if row["kept"] == "True"]
    return {
        "photos": len(chosen),
        "kept": len(kept),
        "dropped": dict(Counter(row["reason"] for row in chosen if row["reason"]).most_common()),
        "classes": dict(Counter(row["class"] for row in kept).most_common()),
    }


def masked_flatlays(flatlays: FlatLays, masks: Path) -> Dataset:
    """Flat-lays with their masks as a data set to train on; those without a mask are left out.

    Args:
        flatlays: Photos to take.
        masks: Folder that `mask_flatlays` wrote.

    Raises:
        DatasetError: If the folder has no mask of any of the photos.
    """
    photos = {photo.id: photo for photo in flatlays.photos if (masks / f"{photo.id}.png").is_file()}
    if not photos:
        raise DatasetError(f"{masks} holds no mask of these flat-lays. Make them: python -m train mask-flatlays.")

    def photo_path(photo_id: str) -> Path:
        return flatlays.path(photos[photo_id])

    def truth_path(photo_id: str) -> Path:
        return masks / f"{photo_id}.png"

    def read_truth(photo_id: str) -> np.ndarray:
        return _read_mask(truth_path(photo_id), photos[photo_id], flatlays.taxonomy)

    return Dataset(
        name="flatlay",
        root=flatlays.root,
        taxonomy=flatlays.taxonomy,
        ids=tuple(sorted(photos)),
        photo_path=photo_path,
        truth_path=truth_path,
        read_truth=read_truth,
    )


def with_flatlays(dataset: Dataset, folder: Path, masks: Path) -> tuple[Dataset, list[str]]:
    """A data set of people with the flat-lays that may be trained on, and the ids of those.

    Args:
        dataset: Photos of people; they stay what they are.
        folder: The flat-lays' folder, with `photos/` and `flatlay.csv`.
        masks: Folder that `mask_flatlays` wrote.

    Raises:
        DatasetError: If the flat-lays cannot be read or have no masks, the taxonomies differ, or both sets have a photo
            of the same id.
    """
    flatlays = read_flatlays(folder)
    if flatlays.taxonomy.name != dataset.taxonomy.name:
        raise DatasetError(f"Flat-lays are in {flatlays.taxonomy.name}, {dataset.name} in {dataset.taxonomy.name}.")
    lying = masked_flatlays(flatlays.select(training_ids(flatlays)), masks)
    ids = set(lying.ids)
    if both := sorted(ids.intersection(dataset.ids)):
        raise DatasetError(f"{both[0]} is a photo of {dataset.name} and a flat-lay. Rename one of them.")

    def of(photo_id: str) -> Dataset:
        return lying if photo_id in ids else dataset

    joined = replace(
        dataset,
        ids=(*dataset.ids, *lying.ids),
        photo_path=lambda photo_id: of(photo_id).photo_path(photo_id),
        truth_path=lambda photo_id: of(photo_id).truth_path(photo_id),
        read_truth=lambda photo_id: of(photo_id).read_truth(photo_id),
    )
    return joined, list(lying.ids)


def _mask(
    flatlays: FlatLays, photo: FlatLay, path: Path, foreground: Callable[[np.ndarray], np.ndarray] | None
) -> dict[str, str]:
    """Writes one mask, or removes an older one where it is dropped; the row of `MASKS_FILE`."""
    row = {"id": photo.id, "class": photo.garment}
    try:
        outline = outline_garment(flatlays.open(photo), foreground)
    except PhotoError:
        path.unlink(missing_ok=True)
        return {**row, "kept": "False", "reason": "cannot be read"}
    if reason := reason_to_drop(outline):
        path.unlink(missing_ok=True)
    else:
        _write_mask(path, outline.mask, flatlays.taxonomy, photo.garment)
    measured = {key: f"{getattr(outline, key):.4f}" for key in ("share", "edge", "agreement", "disputed")}
    return {**row, "kept": str(not reason), "reason": reason, **measured}


def _read_rows(path: Path) -> dict[str, dict[str, str]]:
    """Rows by id of the photos that are done; none where there is no file yet."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if table.fieldnames and tuple(table.fieldnames) != _COLUMNS:
            raise DatasetError(f"{path} has other columns than {', '.join(_COLUMNS)}. Take an empty folder.")
        return {row["id"]: row for row in table if row["reason"] is not None}


def _write_mask(path: Path, mask: np.ndarray, taxonomy: Taxonomy, garment: str) -> None:
    ids = np.where(mask == 1, np.uint8(taxonomy[garment].id), mask)
    image = Image.fromarray(ids)
    image.putpalette(taxonomy.palette.tobytes())
    with replacing(path) as part:
        image.save(part, "PNG")


def _read_mask(path: Path, photo: FlatLay, taxonomy: Taxonomy) -> np.ndarray:
    try:
        with open_regular(path) as file, Image.open(file) as image:
            ids = np.array(image)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {first_line(error)}. Make it again: python -m train mask-flatlays."
        ) from None
    if ids.ndim != 2 or ids.dtype != np.uint8 or not {*np.unique(ids)} <= {0, taxonomy[photo.garment].id, UNLABELLED}:
        raise DatasetError(f"{path} is no mask of a {photo.garment}. Make it again: python -m train mask-flatlays.")
    return ids


def _seen_by(segmenter: Segmenter, turn: Lock, photo: np.ndarray) -> np.ndarray:
    with turn:  # PyTorch uses all cores for one photo
        return np.asarray(segmenter.segment(photo).class_map > 0)


def _from_rectangle(image: np.ndarray, border: float) -> np.ndarray:
    """GrabCut of uint8 `(h, w, 3)` from a rectangle: bool `(h, w)`."""
    height, width = image.shape[:2]
    x, y = max(1, round(border * width)), max(1, round(border * height))
    if width <= 2 * x or height <= 2 * y:
        return np.zeros((height, width), bool)
    marks = np.full((height, width), cv2.GC_BGD, np.uint8)
    marks[y : height - y, x : width - x] = cv2.GC_PR_FGD
    return _grab_cut(image, marks, _ROUNDS)


def _grab_cut(image: np.ndarray, marks: np.ndarray, rounds: int) -> np.ndarray:
    """GrabCut from OpenCV's marks of uint8 `(h, w)`, which are changed: bool `(h, w)`.

    Too few pixels on one side make no colour model; then what is marked as garment stays it.
    """
    garment = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    if min(np.count_nonzero(garment), np.count_nonzero(~garment)) >= _FEWEST:
        cv2.setRNGSeed(0)  # GrabCut's clusters begin at random
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(image, marks, (0, 0, 1, 1), *models, rounds, cv2.GC_INIT_WITH_MASK)  # the rectangle is not read
    return np.asarray((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))


def _without_floor(image: np.ndarray, lab: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Step 3: the outline without what has the background's colours, bool `(h, w)`."""
    if min(np.count_nonzero(outline), np.count_nonzero(~outline)) < _FEWEST:
        return outline
    garment = outline
    for _ in range(3):
        smaller = outline & (cv2.blur(_background_odds(lab, garment), (5, 5)) <= 0.3)
        if np.count_nonzero(smaller) < 0.2 * np.count_nonzero(outline):  # the garment has the floor's colours
            break
        garment = smaller
    marks = np.where(garment, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    rim = np.ones_like(outline)
    rim[2:-2, 2:-2] = False
    marks[rim & ~outline] = cv2.GC_BGD
    return _grab_cut(image, marks, 3)


def _background_odds(lab: np.ndarray, garment: np.ndarray) -> np.ndarray:
    """Logarithm of how much more frequent a pixel's colour is beside the garment than in it, float32 `(h, w)`."""
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.5).astype(np.int64)
    lightness = smooth[:, :, 0] * 12 // 256
    a, b = ((smooth[:, :, channel] - 64).clip(0, 127) * 24 // 128 for channel in (1, 2))
    cell = (lightness * 24 + a) * 24 + b
    shares = []
    for pixels in (cell[~garment], cell[garment]):
        counts = np.bincount(pixels, minlength=12 * 24 * 24).reshape(12, 24, 24).astype(np.float32)
        spread = gaussian_filter(counts, 0.8)
        shares.append(spread.ravel() / max(1.0, float(spread.sum())))
    odds = np.log(shares[0] + 1e-5) - np.log(shares[1] + 1e-5)
    return np.asarray(odds[cell], np.float32)


def _tidied(mask: np.ndarray) -> np.ndarray:
    """A mask, bool `(h, w)`, without ragged edges, small pieces and small holes."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, disc)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(solid)
    if count < 2:
        return solid > 0
    areas = statistics[1:, cv2.CC_STAT_AREA]
    kept = np.isin(labels, 1 + np.flatnonzero(areas >= _PIECE * areas.max()))
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8))
    for index, (x, y, width, height, area) in enumerate(statistics[1:count], start=1):
        at_edge = x == 0 or y == 0 or x + width == mask.shape[1] or y + height == mask.shape[0]
        if area < _HOLE * mask.size and not at_edge:
            kept[labels == index] = True
    return kept


def _large_pieces(mask: np.ndarray, least: float) -> np.ndarray:
    """The connected pieces of a mask that have at least so many pixels, bool `(h, w)`."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(opened)
    large = 1 + np.flatnonzero(statistics[1:, cv2.CC_STAT_AREA] >= max(1.0, least))
    return np.isin(labels, large)


def _reduced(photo: np.ndarray, side: int) -> np.ndarray:
    """A photo whose longer side has so many pixels."""
    scale = side / max(photo.shape[:2])
    height, width = (max(1, round(length * scale)) for length in photo.shape[:2])
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _resized(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A mask at another size, bool `(H, W)`, its edges smoothed rather than in steps."""
    return np.asarray(cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5)
