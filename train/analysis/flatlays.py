"""Judges a segmenter on flat-lays: is the largest garment of a photo the one that lies there?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from segmodels.datasets import DatasetError
from segmodels.datasets.flatlay import FlatLay, FlatLays, read_flatlays
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from train.data.split import SPLITS, read_ids

__all__ = [
    "NOTHING",
    "FlatLayJudgement",
    "check_flatlays",
    "choice_ids",
    "judge_flatlays",
    "largest_garment",
    "training_ids",
]

NOTHING = "nothing"
"""What stands for the class of the largest garment where no garment was found."""

_CHOICE = SPLITS / "flatlay_choice.txt"
_IN_WILD = SPLITS / "flatlay_in_wild.txt"


@dataclass(frozen=True)
class FlatLayJudgement:
    """What a segmenter found on flat-lays.

    Args:
        found: Photo and class name of its largest garment, or `NOTHING`, for each photo that could be read.
        left_out: Number of photos that could not be read.
    """

    found: tuple[tuple[FlatLay, str], ...]
    left_out: int = 0

    def scores(self) -> dict[str, Any]:
        """The scores, ready for JSON.

        Returns:
            `photos`, `right` (share of the photos whose largest garment has the labelled class),
            `mean_over_classes` (mean of the classes' shares), `classes` (by class that occurs: `photos`, `right`, and
            `taken_for`, how many photos by class of the largest garment, the most frequent first), and
            `photos_left_out` where there are any.
        """
        classes: dict[str, Any] = {}
        for name in sorted({photo.garment for photo, _ in self.found}):
            taken = Counter(found for photo, found in self.found if photo.garment == name)
            photos = taken.total()
            classes[name] = {"photos": photos, "right": taken[name] / photos, "taken_for": dict(taken.most_common())}
        return {
            "photos": len(self.found),
            "right": sum(photo.garment == found for photo, found in self.found) / len(self.found),
            "mean_over_classes": sum(score["right"] for score in classes.values()) / len(classes),
            "classes": classes,
            **({"photos_left_out": self.left_out} if self.left_out else {}),
        }


def judge_flatlays(segmenter: Segmenter, flatlays: FlatLays) -> FlatLayJudgement:
    """Judges a segmenter on flat-lays; a photo that cannot be read is counted, and named on the terminal.

    Args:
        segmenter: Segmenter to judge.
        flatlays: Photos of one garment each: `read_flatlays(root).part("test")`, or a selection by ids.

    Raises:
        DatasetError: If the segmenter's classes are not the labels', or no photo can be read.
    """
    if segmenter.taxonomy.name != flatlays.taxonomy.name:
        raise DatasetError(f"Flat-lays are in {flatlays.taxonomy.name}, the model in {segmenter.taxonomy.name}.")
    found: list[tuple[FlatLay, str]] = []
    with tqdm(flatlays.photos, desc="Judging flat-lays", unit="photo") as bar:
        for photo in bar:
            try:
                pixels = flatlays.open(photo)
            except PhotoError as error:
                bar.write(f"{photo.id} is left out: {error}")
                continue
            found.append((photo, largest_garment(segmenter.segment(pixels))))
    if not found:
        raise DatasetError(f"None of the {len(flatlays)} photos could be read. Check the folder of the data set.")
    return FlatLayJudgement(tuple(found), len(flatlays) - len(found))


def largest_garment(segmentation: Segmentation) -> str:
    """Class name of the garment or accessory that covers most of the photo, whoever wears it; `NOTHING` without one."""
    largest = max(segmentation.garments, key=lambda garment: garment.area_share, default=None)
    return largest.name if largest else NOTHING


def choice_ids() -> list[str]:
    """Ids of the flat-lays to choose by: 226 photos of part `train`, of senders none of whose photos train.

    They are those of the senders with at most 16 photos whose name's SHA-256 is a multiple of 3.
    """
    return read_ids(_CHOICE)


def training_ids(flatlays: FlatLays) -> list[str]:
    """Ids of the flat-lays to train on: part `train` without `choice_ids` and without two photos that are in `wild`."""
    kept_back = {*choice_ids(), *read_ids(_IN_WILD)}
    return [photo.id for photo in flatlays.part("train").photos if photo.id not in kept_back]


def check_flatlays(training: Mapping[str, Any], folder: Path, ids: Sequence[str]) -> None:
    """Refuses to judge a checkpoint on flat-lays on which it was trained.

    Args:
        training: What the checkpoint's configuration says of its training.
        folder: The flat-lays' folder.
        ids: Photos to judge on.

    Raises:
        DatasetError: If it was trained on one of them.
    """
    if any(part.get("recipe", {}).get("flatlays") for part in (training, *training.get("members", []))):
        trained = set(training_ids(read_flatlays(folder)))
        if both := [photo_id for photo_id in ids if photo_id in trained]:
            raise DatasetError(
                f"The network was trained on {len(both)} of the {len(ids)} flat-lays. Judge it on others "
                "(train/splits/flatlay_choice.txt, or part test), or add --allow-trained."
            )
