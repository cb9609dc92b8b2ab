"""Compares counts with the ground truth: shares, pairs and colours; true, raw and expected.

Photos with ground truth are put into two archives, one with the segmenter's garments and one with the true ones, and
both are counted by the functions of the Trends page.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from segmodels.archive.facts import Facts, View
from segmodels.archive.intervals import wilson
from segmodels.archive.outfits import colour_shares, pairs, worn
from segmodels.archive.rows import Row, as_table, row_of
from segmodels.archive.store import Archive, Version
from segmodels.datasets import Dataset, DatasetError
from segmodels.inference.photo_size import SMALLEST_GARMENT
from segmodels.inference.segmentation import Segmentation, measure
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.taxonomy import Taxonomy
from train.analysis.framing import framed

__all__ = ["Compared", "compare_with_truth"]

_RESAMPLES = 400
_LEAST_WITH_COLOUR = 5  # photos that show a garment for its colours to be compared


@dataclass(frozen=True)
class Compared:
    """True, raw and expected counts of some photos.

    Args:
        photos: Number of photos.
        shares: A row for each garment: `garment`, `true`, `raw`, `expected` (shares of the outfits, 0..1).
        lifts: A row for each pair whose garments both occur in all three counts: `first`, `second`, `true`, `raw`,
            `expected`.
        colours: A row for each garment and basic colour of its main colour: `garment`, `colour`, `true`, `raw`,
            `expected` (shares of the garments of that class).
        coverage: Share of the 95 % intervals of raw and of expected shares that hold the true share, over resamples of
            the photos and all garments.
    """

    photos: int
    shares: pd.DataFrame
    lifts: pd.DataFrame
    colours: pd.DataFrame
    coverage: Mapping[str, float]

    def errors(self) -> dict[str, dict[str, float | None]]:
        """Mean absolute error of raw and expected counts, by `shares`, `lifts` and `colours`; None without any row."""
        tables = {"shares": self.shares, "lifts": self.lifts, "colours": self.colours}
        return {
            name: {kind: _mean_error(table[kind], table["true"]) for kind in ("raw", "expected")}
            for name, table in tables.items()
        }

    def to_json(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        tables = {"shares": self.shares, "lifts": self.lifts, "colours": self.colours}
        return {
            "photos": self.photos,
            "errors": self.errors(),
            "coverage": dict(self.coverage),
            **{name: table.to_dict("records") for name, table in tables.items()},
        }

    def lines(self) -> list[str]:
        """Markdown for a terminal or a README: the shares, then the errors of all."""
        errors = {
            name: {kind: "-" if error is None else f"{error:.3f}" for kind, error in each.items()}
            for name, each in self.errors().items()
        }
        return [
            f"{self.photos} photos. Share of photos that show a garment:",
            "",
            "| garment | true | raw | expected |",
            "|---|---|---|---|",
            *(
                f"| {row['garment']} | {row['true']:.1%} | {row['raw']:.1%} | {row['expected']:.1%} |"
                for row in self.shares.to_dict("records")
            ),
            "",
            "| mean absolute error | raw | expected |",
            "|---|---|---|",
            f"| share of a garment ({len(self.shares)}) | {errors['shares']['raw']} | {errors['shares']['expected']} |",
            f"| lift of a pair ({len(self.lifts)}) | {errors['lifts']['raw']} | {errors['lifts']['expected']} |",
            f"| share of a garment's colour ({len(self.colours)}) | {errors['colours']['raw']} | "
            f"{errors['colours']['expected']} |",
            f"| 95 % intervals of shares that hold the true share | {self.coverage['raw']:.0%} | "
            f"{self.coverage['expected']:.0%} |",
        ]


def _mean_error(counts: pd.Series, true: pd.Series) -> float | None:
    return float((counts - true).abs().mean()) if len(counts) else None


def compare_with_truth(segmenter: Segmenter, dataset: Dataset, ids: Sequence[str], framing: str = "full") -> Compared:
    """Counts photos with ground truth: true garments, garments that a segmenter found, and presence.

    A photo that cannot be read or cut is named and left out. The ground truth is one outfit a photo; each person that
    the segmenter finds is an outfit, as in an archive.

    Args:
        segmenter: Segmenter with a calibration, in the classes of the data set.
        dataset: Photos with ground truth.
        ids: Ids of the photos; none should have had a part in the training or the calibration.
        framing: Part of the person to which the photos are cut, a key of `train.analysis.framing.FRAMINGS`.

    Raises:
        DatasetError: If the taxonomies differ, the checkpoint has no calibration, an id is unknown, or no photo can be
            read.
    """
    taxonomy = segmenter.taxonomy
    if not taxonomy.matches(dataset.taxonomy):
        other = taxonomy.name_beside(dataset.taxonomy)
        raise DatasetError(f"{dataset.name} is in {dataset.taxonomy.name}, the model in {other}.")
    calibration = segmenter.checkpoint.calibration
    if calibration is None:
        raise DatasetError(
            f"{segmenter.checkpoint.name} has no calibration, so it has raw counts only. Fit one with "
            "`python -m train calibrate`."
        )
    found, known = _rows(segmenter, dataset, ids, framing)
    with tempfile.TemporaryDirectory() as folder:
        seen = _facts(Path(folder) / "seen", found, taxonomy, calibration.correlations)
        true = _facts(Path(folder) / "true", known, taxonomy)
        counted = {
            "true": (true, View(counting="raw", duplicates=True)),
            "raw": (seen, View(counting="raw", duplicates=True)),
            "expected": (seen, View(counting="expected", duplicates=True)),
        }
        shares = _side_by_side(
            {name: worn(facts.counts(view)).set_index("garment")["share"] for name, (facts, view) in counted.items()}
        )
        lifts = _side_by_side(
            {name: pairs(facts.counts(view)).set_index(["first", "second"])["lift"]
             for name, (facts, view) in counted.items()}
        ).dropna()  # fmt: skip
        colours = _colours(counted, taxonomy)
    coverage = _coverage(shares, found, calibration.share_errors, taxonomy)
    return Compared(len(found), shares, lifts, colours, coverage)


def _rows(segmenter: Segmenter, dataset: Dataset, ids: Sequence[str], framing: str) -> tuple[list[Row], list[Row]]:
    """Rows of the photos with the garments that the segmenter found, and with the true ones."""
    found, known = [], []
    with tqdm(dataset.select(list(ids)), desc="Counting", unit="photo") as bar:
        for photo_id in bar:
            try:
                photo, truth = framed(framing, *dataset.pair(photo_id), photo_id)
            except (DatasetError, PhotoError) as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            photo = np.ascontiguousarray(photo)
            found.append(row_of(segmenter.segment(photo), photo, photo_id, photo_id.encode()))
            known.append(row_of(_true(photo, truth, segmenter.taxonomy), photo, photo_id, photo_id.encode()))
    if not found:
        raise DatasetError(f"None of the {len(ids)} photos could be read. Check the folder of the data set.")
    return found, known


def _true(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy) -> Segmentation:
    """The ground truth as a segmentation; a garment of too few pixels is left out, as a segmenter leaves it out."""
    class_map = np.where(truth < len(taxonomy), truth, 0).astype(np.uint8)
    pixels = np.bincount(class_map.ravel(), minlength=len(taxonomy))
    least = SMALLEST_GARMENT * sum(pixels[garment.id] for garment in taxonomy.worn)
    small = [garment.id for garment in taxonomy.worn if pixels[garment.id] <= least]
    class_map[np.isin(class_map, small)] = 0
    confidence = np.full_like(class_map, 255)
    people, garments = measure(photo, taxonomy, class_map, confidence)
    return Segmentation(taxonomy, class_map, confidence, people, garments, "truth", "truth", 0.0)


def _facts(
    folder: Path, rows: Sequence[Row], taxonomy: Taxonomy, correlations: Sequence[Sequence[float]] = ()
) -> Facts:
    archive = Archive(folder)
    version = Version(taxonomy.name, rows[0]["model"], rows[0]["revision"])
    archive.writer(version).append(as_table(rows))
    return Facts(archive.reader(version), taxonomy, correlations=correlations)


def _side_by_side(columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    return pd.DataFrame(columns).reindex(columns["true"].index).reset_index()


def _colours(counted: Mapping[str, tuple[Facts, View]], taxonomy: Taxonomy) -> pd.DataFrame:
    """Shares of colours of the garments that enough photos show; a colour that does not occur has a share of 0."""
    tables = {name: colour_shares(facts.colours(view), taxonomy) for name, (facts, view) in counted.items()}
    enough = tables["true"].loc[tables["true"]["of"] >= _LEAST_WITH_COLOUR, "garment"].unique()
    columns = {
        name: table[table["garment"].isin(enough)].set_index(["garment", "colour"])["share"]
        for name, table in tables.items()
    }
    return pd.DataFrame(columns).fillna(0.0).reset_index()


def _coverage(
    shares: pd.DataFrame, rows: Sequence[Row], errors: Mapping[str, float], taxonomy: Taxonomy
) -> dict[str, float]:
    """Share of the intervals, over resamples of the outfits, that hold the true share of all photos."""
    names = [garment.name for garment in taxonomy.worn]
    bits = np.array([garment.id for garment in taxonomy.worn])
    people = [(mask, presence) for row in rows for mask, presence in zip(row["outfits"], row["presence"], strict=True)]
    raw = np.array([mask >> bits & 1 for mask, _ in people], float)
    expected = np.array([presence for _, presence in people])
    true = shares.set_index("garment").loc[names, "true"].to_numpy()
    spread = np.array([errors[name] for name in names])
    random = np.random.default_rng(0)
    held = {"raw": 0, "expected": 0}
    for _ in range(_RESAMPLES):
        chosen = random.integers(0, len(people), len(people))
        for name, counts, error in (("raw", raw, 0.0), ("expected", expected, spread)):
            low, high = wilson(counts[chosen].sum(axis=0), len(chosen), error)
            held[name] += int(((low <= true) & (true <= high)).sum())
    return {name: count / (_RESAMPLES * len(names)) for name, count in held.items()}
