"""Judges a segmenter on photos of other kinds, by what the main person wears rather than by pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from segmodels.datasets import DatasetError
from segmodels.datasets.wild import WildPhoto, read_wild
from segmodels.inference.presence import LIKELY
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError

__all__ = ["FOUND_FROM", "WildJudgement", "judge_wild", "main_person", "worn_by"]

FOUND_FROM = 0.01
"""Share of a person's outfit from which a class counts as found."""


@dataclass(frozen=True)
class WildJudgement:
    """What a segmenter found on the main person of each photo.

    Args:
        names: Classes that are judged: the garments and accessories of the taxonomy.
        found: Photo, and names of the classes found on its main person, for each photo that could be read.
        left_out: Number of photos that could not be read.
        likely: Photo, and names of the classes whose presence on its main person is at least `LIKELY`; empty without a
            calibration.
    """

    names: tuple[str, ...]
    found: tuple[tuple[WildPhoto, frozenset[str]], ...]
    left_out: int = 0
    likely: tuple[tuple[WildPhoto, frozenset[str]], ...] = ()

    def scores(self) -> dict[str, Any]:
        """The scores, ready for JSON; a score that does not exist is None.

        Returns:
            `photos`; over all photos and classes `micro_f1`, `hits`, `false_alarms`, `missed`; the same for each kind
            of photo that occurs under `framing`, `light` and `skin`, and for each class that is shown or found under
            `classes`; with a calibration the same four by presence instead of area under `presence`; and
            `photos_left_out` where there are any.
        """
        kinds: dict[str, Callable[[WildPhoto], str]] = {
            "framing": lambda photo: photo.framing,
            "light": lambda photo: photo.light,
            "skin": lambda photo: photo.skin,
        }
        scores: dict[str, Any] = {"photos": len(self.found), **self._counts(self.found, self.names)}
        for kind, value_of in kinds.items():
            scores[kind] = {}
            for value in sorted({value_of(photo) for photo, _ in self.found}):
                some = [(photo, found) for photo, found in self.found if value_of(photo) == value]
                scores[kind][value] = {"photos": len(some), **self._counts(some, self.names)}
        by_class = {name: self._counts(self.found, (name,)) for name in self.names}
        scores["classes"] = {name: counts for name, counts in by_class.items() if counts["micro_f1"] is not None}
        if self.likely:
            scores["presence"] = self._counts(self.likely, self.names)
        return {**scores, **({"photos_left_out": self.left_out} if self.left_out else {})}

    @staticmethod
    def _counts(some: Iterable[tuple[WildPhoto, frozenset[str]]], names: tuple[str, ...]) -> dict[str, Any]:
        """Pairs of a photo and a class, counted; a class of which nobody can tell on a photo is not."""
        hits = false_alarms = missed = 0
        for photo, found in some:
            for name in names:
                if name not in photo.unsure:
                    hits += name in found and name in photo.tags
                    false_alarms += name in found and name not in photo.tags
                    missed += name not in found and name in photo.tags
        pairs = 2 * hits + false_alarms + missed
        f1 = 2 * hits / pairs if pairs else None
        return {"micro_f1": f1, "hits": hits, "false_alarms": false_alarms, "missed": missed}


def judge_wild(segmenter: Segmenter, folder: Path) -> WildJudgement:
    """Judges a segmenter on photos of other kinds; a photo that cannot be read is counted, and named on the terminal.

    Args:
        segmenter: Segmenter to judge.
        folder: The folder that holds `photos/` and `wild.csv`.

    Raises:
        DatasetError: If the folder does not have the set's layout, the segmenter's classes are not those of the tags,
            or no photo can be read.
    """
    wild = read_wild(folder)
    if segmenter.taxonomy.name != wild.taxonomy.name:
        raise DatasetError(f"The tags are in {wild.taxonomy.name}, the model in {segmenter.taxonomy.name}.")
    found: list[tuple[WildPhoto, frozenset[str]]] = []
    likely: list[tuple[WildPhoto, frozenset[str]]] = []
    with tqdm(wild.photos, desc="Judging photos of other kinds", unit="photo") as bar:
        for photo in bar:
            try:
                pixels = wild.open(photo)
            except PhotoError as error:
                bar.write(f"{photo.file} is left out: {error}")
                continue
            segmentation = segmenter.segment(pixels)
            main = main_person(segmentation)
            found.append((photo, worn_by(segmentation, main)))
            if (presence := segmentation.people[main].presence) is not None:
                likely.append((photo, frozenset(name for name, value in presence.items() if value >= LIKELY)))
    if not found:
        raise DatasetError(f"None of the {len(wild.photos)} photos could be read. Check the folder of the data set.")
    names = tuple(garment.name for garment in wild.taxonomy.worn)
    return WildJudgement(names, tuple(found), len(wild.photos) - len(found), tuple(likely))


def main_person(segmentation: Segmentation) -> int:
    """Index of the main person: the one with the largest box by area, the first of equals."""
    areas = [person.box[2] * person.box[3] for person in segmentation.people]
    return areas.index(max(areas))


def worn_by(segmentation: Segmentation, person: int) -> frozenset[str]:
    """Names of the classes that make up at least `FOUND_FROM` of a person's garment and accessory pixels.

    Args:
        segmentation: Segmentation of a photo.
        person: Index into its people.
    """
    return frozenset(
        garment.name
        for garment in segmentation.garments
        if garment.person == person and garment.outfit_share >= FOUND_FROM
    )
