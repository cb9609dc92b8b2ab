"""How far "this garment is worn" can be trusted: measured on photos whose tags say what is worn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from segmodels.datasets import DatasetError, read_ccp
from segmodels.datasets.ccp import read_ccp_tags
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.taxonomy import CCP_TO_OUTFIT_15, OUTFIT_15
from train.data.split import SPLITS, read_ids

__all__ = ["CONFIDENCES", "SHARES", "choose_thresholds", "lines", "measure_reliability", "rates"]

SHARES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)
"""Least shares of the outfit that are tried."""

CONFIDENCES = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Least confidences that are tried."""

_NAMES = tuple(garment.name for garment in OUTFIT_15.worn)


def measure_reliability(segmenter: Segmenter, data: Path) -> dict[str, Any]:
    """Chooses thresholds on every second of the reserved tagged photos, and measures with them on the others.

    Args:
        segmenter: Segmenter in the classes of `OUTFIT_15`; the reserved photos are in nobody's training.
        data: Folder of Clothing Co-Parsing.

    Returns:
        By taxonomy: `model`, `revision`, `how`, `photos`, and `garments`: by name `precision`, `recall`, `sensitivity`,
        `specificity` (None where nothing was to be found), `worn`, `not_worn` (photos), `share_threshold` and
        `confidence_threshold`, which all garments share, so that one view of an archive can use them.

    Raises:
        DatasetError: If the data set cannot be read, or the segmenter is in other classes.
    """
    if segmenter.taxonomy.name != OUTFIT_15.name:
        raise DatasetError(f"{segmenter.checkpoint.name} is in {segmenter.taxonomy.name}; tags are in OUTFIT_15.")
    truth, share, confidence = _seen_on_reserved(segmenter, data)
    choose = np.arange(len(truth)) % 2 == 0
    least_share, least_confidence = choose_thresholds(truth[choose], share[choose], confidence[choose])
    judged = (share[~choose] >= least_share) & (confidence[~choose] >= least_confidence)
    garments = rates(truth[~choose], judged, _NAMES)
    for values in garments.values():
        values |= {"share_threshold": least_share, "confidence_threshold": least_confidence}
    return {
        OUTFIT_15.name: {
            "model": segmenter.checkpoint.name,
            "revision": segmenter.checkpoint.revision,
            "photos": int((~choose).sum()),
            "how": f"Clothing Co-Parsing, ccp_tags_reserved.txt: minimums chosen on {int(choose.sum())} of the "
            f"photos, rates measured on the other {int((~choose).sum())}, against the data set's own tags.",
            "garments": garments,
        }
    }


def _seen_on_reserved(segmenter: Segmenter, data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which garments the reserved photos show, and the outfit share and confidence at which each was found.

    Returns:
        Bool and two float64 `(photos, garments)`; share and confidence are -1 where a garment was not found.
    """
    dataset, tags = read_ccp(data), read_ccp_tags(data)
    masked = {_digest(dataset.photo_path(photo_id)) for photo_id in dataset.ids}
    worn, shares, confidences = [], [], []
    with tqdm(read_ids(SPLITS / "ccp_tags_reserved.txt"), desc="Measuring", unit="photo") as bar:
        for photo_id in bar:
            try:
                if _digest(dataset.photo_path(photo_id)) in masked:  # 1707 is 0025 once more
                    bar.write(f"{photo_id} is left out: the same photo is among those with masks, to train on.")
                    continue
                photo = dataset.photo(photo_id)
            except PhotoError as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            found = segmenter.segment(photo).garments
            names = {CCP_TO_OUTFIT_15[tag] for tag in tags[photo_id]}
            worn.append([name in names for name in _NAMES])
            best = {each.name: each for each in sorted(found, key=lambda each: each.outfit_share)}
            shares.append([best[name].outfit_share if name in best else -1.0 for name in _NAMES])
            confidences.append([best[name].confidence if name in best else -1.0 for name in _NAMES])
    if len(worn) < 2:
        raise DatasetError(f"Too few of the reserved photos of {data} can be read: {len(worn)}.")
    return np.array(worn), np.array(shares), np.array(confidences)


def choose_thresholds(truth: np.ndarray, share: np.ndarray, confidence: np.ndarray) -> tuple[float, float]:
    """The least share and confidence with the best mean F1 over the garments; of equals, the lowest.

    Args:
        truth: Bool `(photos, garments)`, whether it is worn.
        share: `(photos, garments)`, of the outfit; negative where it was not found.
        confidence: `(photos, garments)`; the same.
    """
    there = truth.any(axis=0)
    best, chosen = -1.0, (0.0, 0.0)
    for least_share in SHARES:
        for least_confidence in CONFIDENCES:
            judged = (share >= least_share) & (confidence >= least_confidence)
            hits = (judged & truth).sum(axis=0)
            f1 = float((2 * hits / np.maximum(1, judged.sum(axis=0) + truth.sum(axis=0)))[there].mean())
            if f1 > best + 1e-9:
                best, chosen = f1, (least_share, least_confidence)
    return chosen


def rates(truth: np.ndarray, judged: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision, recall, sensitivity and specificity by garment, each None where it is of nothing.

    Args:
        truth: Bool `(photos, garments)`, whether the garment is worn.
        judged: Bool `(photos, garments)`, whether the garment is judged to be worn.
        names: Names of the garments.
    """
    result: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(names):
        is_worn, seen = truth[:, index], judged[:, index]
        hits, worn, not_worn = int((is_worn & seen).sum()), int(is_worn.sum()), int((~is_worn).sum())
        result[name] = {
            "precision": hits / int(seen.sum()) if seen.any() else None,
            "recall": hits / worn if worn else None,
            "sensitivity": hits / worn if worn else None,
            "specificity": int((~is_worn & ~seen).sum()) / not_worn if not_worn else None,
            "worn": worn,
            "not_worn": not_worn,
        }
    return result


def _digest(path: Path) -> bytes:
    """Digest of a file's bytes; that of a missing file equals no other."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return str(path).encode()


def lines(found: Mapping[str, Any]) -> list[str]:
    """One line a garment, for the terminal."""
    shown = []
    for name, values in found["garments"].items():
        keys = [key for key in ("precision", "sensitivity", "specificity") if values[key] is not None]
        numbers = ", ".join(f"{key} {values[key]:.2f}" for key in keys)
        shown.append(f"{name:10} worn in {values['worn']:3}: {numbers}")
    return shown
