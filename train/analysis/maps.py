"""Class maps that were made elsewhere, judged like those of a checkpoint.

A folder of maps has one PNG for each photo, an index or palette PNG of the photo's size whose path and stem are the
photo's id, and `classes.txt` or `classes.json`, as `masks:` has them. What comes out is a folder with the
`metrics.json` and `evidence.parquet` of a checkpoint, and `maps.json` in place of its `config.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from segmodels.checkpoints.catalog import MAPS_FILE
from segmodels.datasets import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import Classes, turn_upright
from segmodels.datasets.masks import read_classes, read_ids
from segmodels.evaluation.evidence import EVIDENCE_FILE, Evidence, evidence_of, read_evidence, write_evidence
from segmodels.evaluation.results import EvaluatedPhotos, parse_results
from segmodels.files import replacing
from segmodels.mappings import ClassMapping, common_classes
from segmodels.photo import PhotoError, read_stored
from segmodels.taxonomy import UNLABELLED, Taxonomy, taxonomy_entries, taxonomy_of
from train.analysis.evaluate import Judgement, evaluation_of, judgement_of
from train.data.reading import read_batches

__all__ = ["check_maps_folder", "evaluate_maps", "keep_maps"]

_BATCH = 8  # photos read at a time


def evaluate_maps(
    folder: Path,
    dataset: Dataset,
    ids: Sequence[str],
    own: Sequence[ClassMapping] = (),
    *,
    fold: int | None = None,
) -> tuple[Judgement, Taxonomy]:
    """Judges class maps on the given photos, in the classes that they have in common with the data set.

    A photo whose map is missing or cannot be used is left out, counted in `photos_left_out`, and named on the terminal.

    Args:
        folder: Folder of the maps.
        dataset: Data set with the truth.
        ids: Ids of the photos.
        own: Mappings of one's own.
        fold: Number of the fold that the evidence names; None for no fold.

    Returns:
        The judgement, and the taxonomy of the maps.

    Raises:
        DatasetError: If the folder names no classes, an id is unknown, or no photo has a map that can be used.
        MappingError: If the taxonomies differ and no mapping connects them.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder. Name the folder that holds the maps and classes.txt.")
    classes = read_classes(folder, folder.resolve().name)
    common = common_classes({dataset.name: dataset.taxonomy, folder.name: classes.taxonomy}, own)
    ids = dataset.select(list(ids))
    rows: list[Evidence] = []
    with tqdm(total=len(ids), desc="Evaluating", unit="photo") as bar:
        for pairs, failed in read_batches(partial(_pair, folder, classes, dataset), ids, _BATCH):
            for photo_id, error in failed.items():
                bar.write(f"{photo_id} is left out: {error}")
            rows += [
                evidence_of(photo_id, truth, found, classes.taxonomy, fold, dataset.taxonomy)
                for photo_id, (truth, found) in pairs.items()
            ]
            bar.update(len(pairs) + len(failed))
    if not rows:
        raise DatasetError(f"None of the {len(ids)} photos has a map in {folder}: they are named like {ids[0]}.png.")
    return judgement_of(rows, classes.taxonomy, common, len(ids) - len(rows)), classes.taxonomy


def check_maps_folder(out: Path, taxonomy: Taxonomy | None = None) -> None:
    """Refuses a folder that cannot take the scores of maps.

    Args:
        out: Folder for the scores.
        taxonomy: Taxonomy of the maps; None if not known yet.

    Raises:
        DatasetError: If it is a checkpoint, or has scores of maps in another taxonomy.
    """
    if (out / "config.json").exists():
        raise DatasetError(f"{out} is a checkpoint. Choose another folder for the scores of the maps.")
    if taxonomy and (out / MAPS_FILE).is_file():
        earlier = taxonomy_of(json.loads((out / MAPS_FILE).read_text("utf-8")))
        if not earlier.matches(taxonomy):
            raise DatasetError(
                f"{out} has scores of maps in {earlier.name}, these are in {taxonomy.name_beside(earlier)}. "
                "Choose another folder."
            )


def keep_maps(
    out: Path,
    taxonomy: Taxonomy,
    photos: EvaluatedPhotos,
    judgement: Judgement,
    *,
    source: str = "",
    licence: str = "",
) -> None:
    """Writes scores and evidence; earlier ones on the same photos go.

    Args:
        out: Folder for them; it is made if it is not there.
        taxonomy: Taxonomy of the maps.
        photos: Photos that were judged.
        judgement: Judgement from `evaluate_maps`.
        source: Where the maps are from, such as the address of a network; empty if not known.
        licence: Licence of the network or the maps; empty if not known.

    Raises:
        DatasetError: If the folder cannot take them.
        EvidenceError: If its earlier evidence is damaged.
        OSError: If it cannot be written.
    """
    check_maps_folder(out, taxonomy)
    out.mkdir(parents=True, exist_ok=True)
    about = _json(out / MAPS_FILE)
    about |= {"kind": "maps", **taxonomy_entries(taxonomy)}
    about |= {key: value for key, value in (("source", source), ("licence", licence)) if value}
    metrics = parse_results(_json(out / "metrics.json"))
    kept = [each for each in metrics.evaluations if each.photos != photos]
    metrics = replace(metrics, evaluations=(*kept, evaluation_of(photos, judgement)))
    file = out / EVIDENCE_FILE
    judged = {row.photo_id for row in judgement.evidence}
    earlier = [row for row in read_evidence(file)[0] if row.photo_id not in judged] if file.is_file() else []
    write_evidence(file, [*earlier, *judgement.evidence], taxonomy)
    for name, values in ((MAPS_FILE, about), ("metrics.json", metrics.to_json())):
        with replacing(out / name) as part:
            part.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _pair(folder: Path, classes: Classes, dataset: Dataset, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and map of a photo, uint8 `(H, W)` each."""
    path = folder / f"{photo_id}.png"
    if not path.is_file():
        raise DatasetError(f"{path} is missing. Write a map for each photo that is judged.")
    found = read_ids(path, classes)
    if (found == UNLABELLED).any():
        raise DatasetError(f"{path} has pixels of the number {UNLABELLED}, which is no class. Give each pixel a class.")
    truth = dataset.read_truth(photo_id)
    if found.shape != truth.shape:  # else it is upright as the truth, or square
        try:
            found = turn_upright(DrawnTruth(found), read_stored(dataset.photo_path(photo_id)), str(path)).truth
        except PhotoError as error:
            raise DatasetError(str(error)) from None
    if found.shape != truth.shape:
        raise DatasetError(
            f"{path} is {found.shape[1]} x {found.shape[0]} pixels, the photo {truth.shape[1]} x {truth.shape[0]}. "
            "Save the map at the size of the photo."
        )
    return truth, found


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is no file.

    Raises:
        DatasetError: If it is damaged.
    """
    try:
        values = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise DatasetError(f"{path} is damaged ({error}). Remove it.") from None
    if not isinstance(values, dict):
        raise DatasetError(f"{path} is damaged. Remove it.")
    return values
