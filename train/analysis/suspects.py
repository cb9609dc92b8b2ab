"""Which ground truths look wrong: where a network is sure of something else."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.taxonomy import UNLABELLED, Taxonomy

__all__ = ["Suspect", "doubt", "find_suspects", "write_suspects"]


@dataclass(frozen=True)
class Suspect:
    """One photo and how much its truth is doubted.

    Args:
        photo_id: Id of the photo in its data set.
        doubt: Confidence of the network, 0..1, summed over the pixels where it contradicts, over the pixels of the
            true person. Above 1 if more is contradicted than the truth dresses.
        truth: Name of the true class that is doubted most.
        seen: Name of what the network sees there.
        share: Share of the doubt that this pair of classes makes up.
    """

    photo_id: str
    doubt: float
    truth: str
    seen: str
    share: float


def find_suspects(segmenter: Segmenter, dataset: Dataset, ids: Sequence[str]) -> list[Suspect]:
    """All photos, the most doubted truth first; a photo or truth that cannot be read is named and left out.

    After the idea of confident learning (Northcutt, Jiang & Chuang 2021): a label is suspect where a model is sure of
    another. A network that was trained on a wrong label tends to repeat it, so photos it has seen are doubted less.

    Args:
        segmenter: Segmenter in the classes of the data set.
        dataset: Data set whose truth is doubted.
        ids: Ids of the photos.

    Raises:
        DatasetError: If the taxonomies differ or an id is unknown.
    """
    if not dataset.taxonomy.matches(segmenter.taxonomy):
        other = segmenter.taxonomy.name_beside(dataset.taxonomy)
        raise DatasetError(f"{dataset.name} is in {dataset.taxonomy.name}, the model in {other}.")
    found = []
    with tqdm(dataset.select(list(ids)), desc="Doubting", unit="photo") as bar:
        for photo_id in bar:
            try:
                photo, truth = dataset.pair(photo_id)
            except (DatasetError, PhotoError) as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            result = segmenter.segment(photo)
            found.append(doubt(photo_id, truth, result.class_map, result.confidence, dataset.taxonomy))
    return sorted(found, key=lambda suspect: -suspect.doubt)


def doubt(
    photo_id: str, truth: np.ndarray, class_map: np.ndarray, confidence: np.ndarray, taxonomy: Taxonomy
) -> Suspect:
    """How much a network contradicts one truth.

    Args:
        photo_id: Id of the photo in its data set.
        truth: uint8 `(H, W)` class ids.
        class_map: uint8 `(H, W)`, what the network sees.
        confidence: uint8 `(H, W)`, 0..255, how sure it is.
        taxonomy: Taxonomy of the class ids.
    """
    size = len(taxonomy)
    against = (class_map != truth) & (truth != UNLABELLED)
    pairs = truth[against].astype(int) * size + class_map[against]
    sums = np.bincount(pairs, confidence[against] / 255.0, minlength=size * size)
    person = int(((truth > 0) & (truth != UNLABELLED)).sum())
    worst = int(sums.argmax())
    return Suspect(
        photo_id=photo_id,
        doubt=float(sums.sum() / max(1, person)),
        truth=taxonomy.names[worst // size],
        seen=taxonomy.names[worst % size],
        share=float(sums[worst] / sums.sum()) if sums.any() else 0.0,
    )


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Writes them as CSV, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "doubt", "truth", "seen", "share"])
        for each in suspects:
            rows.writerow([each.photo_id, f"{each.doubt:.4f}", each.truth, each.seen, f"{each.share:.3f}"])
