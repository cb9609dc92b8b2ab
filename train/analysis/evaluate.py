"""Judges a checkpoint as the app uses it: whole photos in, class maps at the photo's own resolution out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from segmodels.checkpoints.checkpoint import load_checkpoint, save_results
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.datasets import Dataset, DatasetError, dataset_name
from segmodels.device import describe_device
from segmodels.evaluation.evidence import (
    EVIDENCE_FILE,
    Evidence,
    evidence_of,
    in_common,
    read_evidence,
    total,
    write_evidence,
)
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import (
    CrossValidation,
    EvaluatedPhotos,
    Evaluation,
    Results,
    parse_scores,
    taxonomy_entry,
)
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import ClassMapping, CommonClasses, common_classes
from segmodels.taxonomy import Taxonomy
from train.data.reading import read_batches
from train.data.split import FOLDS, SPLIT_FILE, are_folds_of, with_split
from train.distributed import gather, this_process
from train.provenance import SOURCES, fits_behind
from train.publishing.card import card_of

__all__ = [
    "HOW",
    "Judgement",
    "check_fold",
    "check_writable",
    "evaluate",
    "evaluation_of",
    "folds_of",
    "judgement_of",
    "keep_crossval",
    "keep_evaluation",
    "split_as_trained",
    "write_json",
]

HOW = (
    "One confusion matrix of pixels at the photos' own resolution, summed over all photos; whole photos in, as the app "
    "takes them; a class that no photo shows and none is given is left out of the means."
)


@dataclass(frozen=True)
class Judgement:
    """What came out on some photos.

    Args:
        scores: `photos`, and the keys of `ConfusionMatrix.scores`; `photos_left_out` where there are any.
        evidence: One row for each photo that was judged, in the order of the ids.
        matrix: Pixels by true and predicted class, of those that are scored, summed over the photos.
        common: Classes that truth and predictions have in common.
        seconds_per_photo: Median of the time from decoded photo to garments; of photos that are judged as a batch, an
            equal part of its time. None if not known.
        device: Name of the device that computed, for people; empty if not known.
        precision: Number format of the network's features; empty if not known.
    """

    scores: dict[str, Any]
    evidence: list[Evidence]
    matrix: ConfusionMatrix
    common: CommonClasses
    seconds_per_photo: float | None = None
    device: str = ""
    precision: str = ""


def evaluate(
    segmenter: Segmenter,
    dataset: Dataset,
    ids: Sequence[str],
    *,
    fold: int | None = None,
    read: Callable[[str], tuple[np.ndarray, np.ndarray]] | None = None,
    own: Sequence[ClassMapping] = (),
) -> Judgement:
    """Judges a segmenter on the given photos, in the classes that it has in common with the data set.

    A photo or truth that cannot be read is left out, counted in `photos_left_out`, and named on the terminal. Several
    processes share the photos, each of which is judged once, and all get the same result.

    Args:
        segmenter: Segmenter to judge.
        dataset: Data set, in a taxonomy that a mapping connects with the segmenter's.
        ids: Ids of the photos.
        fold: Number of the fold that the evidence names; None for no fold.
        read: Function that gives photo and truth of an id; `dataset.pair` if left out.
        own: Mappings of one's own.

    Raises:
        DatasetError: If an id is unknown, or no photo can be read.
        MappingError: If the taxonomies differ and no mapping connects them.
    """
    common = common_classes({dataset.name: dataset.taxonomy, segmenter.checkpoint.name: segmenter.taxonomy}, own)
    processes = this_process()
    ids = dataset.select(list(ids))
    share = ids[processes.rank :: processes.count]
    rows, seconds = _judge(segmenter, share, read or dataset.pair, fold, common, dataset.taxonomy)
    by_id = {row.photo_id: row for row in gather(rows, processes)}
    seconds = gather(seconds, processes)
    if not by_id:
        raise DatasetError(f"None of the {len(ids)} photos could be read. Check the folder of the data set.")
    evidence = [by_id[photo_id] for photo_id in ids if photo_id in by_id]
    device = describe_device(segmenter.device)
    judged = judgement_of(evidence, segmenter.taxonomy, common, len(ids) - len(evidence))
    return replace(judged, seconds_per_photo=median(seconds), device=device, precision=segmenter.precision.name)


def judgement_of(
    evidence: list[Evidence], taxonomy: Taxonomy, common: CommonClasses, photos_left_out: int = 0
) -> Judgement:
    """What evidence says, without times.

    Args:
        evidence: One row for each photo that was judged, at least one.
        taxonomy: Taxonomy of the predictions.
        common: Classes that truth and predictions have in common, which are scored.
        photos_left_out: Number of photos that could not be read.
    """
    matrix = total(in_common(evidence, taxonomy, common), common.taxonomy)
    scores = {"photos": len(evidence), **matrix.scores()}
    if photos_left_out:
        scores["photos_left_out"] = photos_left_out
    if remark := common.remark():
        scores["classes_scored"] = remark
    return Judgement(scores, evidence, matrix, common=common)


def _judge(
    segmenter: Segmenter,
    ids: Sequence[str],
    read: Callable[[str], tuple[np.ndarray, np.ndarray]],
    fold: int | None,
    common: CommonClasses,
    truth_taxonomy: Taxonomy,
) -> tuple[list[Evidence], list[float]]:
    """Evidence of the photos of one process, and the seconds that each took; what cannot be read is left out."""
    taxonomy = segmenter.taxonomy
    matrix: ConfusionMatrix | None = None  # for the bar
    judged: list[Evidence] = []
    seconds: list[float] = []
    with tqdm(total=len(ids), desc="Evaluating", unit="photo", disable=not this_process().is_first) as bar:
        for pairs, failed in read_batches(read, ids, segmenter.batch_photos):
            for photo_id, error in failed.items():
                bar.write(f"{photo_id} is left out: {error}")
            started = time.perf_counter()
            found = segmenter.segment_batch([photo for photo, _ in pairs.values()])
            seconds += [(time.perf_counter() - started) / len(pairs)] * len(pairs) if pairs else []
            rows = [
                evidence_of(photo_id, truth, segmentation.class_map, taxonomy, fold, truth_taxonomy)
                for (photo_id, (_, truth)), segmentation in zip(pairs.items(), found, strict=True)
            ]
            judged += rows
            if rows:
                latest = total(in_common(rows, taxonomy, common), common.taxonomy)
                matrix = matrix + latest if matrix else latest
                bar.set_postfix(mean_iou=f"{matrix.mean_iou:.3f}", refresh=False)
            bar.update(len(pairs) + len(failed))
    return judged, seconds


def folds_of(config: CheckpointConfig) -> int:
    """Number of folds that the photos were split into when a checkpoint was trained."""
    return int(config.training.get("recipe", {}).get("folds", FOLDS))


def check_fold(config: CheckpointConfig, dataset: str, fold: int) -> None:
    """Refuses to judge a checkpoint on a fold on which it was trained, or a network that it learned from.

    Those are the members of its ensemble, the checkpoint that it started from, its teacher, and the networks that made
    its pseudo-labels, as far as the checkpoint records what they were trained on.

    Args:
        config: Configuration of the checkpoint.
        dataset: Name of the data set that is judged on.
        fold: Number of the fold, of as many as `folds_of` gives.

    Raises:
        DatasetError: If one of them was trained on photos of that fold.
    """
    for source, fit in fits_behind(config.training):
        apart = set(dataset.split("_")).isdisjoint(
            dataset_name(str(fit["dataset"])).split("_")
        )  # `ccp_cfpd` holds both
        if apart or (fit["fold"], fit["folds"]) == (fold, folds_of(config)):
            continue
        left_out = f"only fold {fit['fold']} was left out" if fit["fold"] >= 0 else "no fold was left out"
        if fit["fold"] >= 0 and fit["folds"] != folds_of(config):
            left_out += f", of {fit['folds']} and not of {folds_of(config)}"
        raise DatasetError(
            f"{SOURCES[source]} was trained on fold {fold} of {dataset}; {left_out}. Judge it on other photos, or add "
            "--allow-trained to measure what it has learned by heart."
        )


def split_as_trained(dataset: Dataset, config: CheckpointConfig, *, allow_other: bool = False) -> Dataset:
    """The data set with the folds that a checkpoint was trained by.

    Args:
        dataset: The data set that is judged on.
        config: Configuration of the checkpoint.
        allow_other: Whether other folds may be taken.

    Raises:
        DatasetError: If the checkpoint was trained on this data set by other folds than are found now, which would make
            trained photos those of a fold.
    """
    told = config.training.get("recipe", {}).get("split", "")
    found = with_split(dataset, told if told and Path(told).is_file() else "")
    trained = config.training.get("folds_digest", "")
    if config.training.get("dataset") != dataset.name or allow_other:
        return found
    if are_folds_of(found, trained, folds_of(config)):
        return found
    if trained and not told and found.folds is None:
        raise DatasetError(
            f"The photos or masks of {dataset.name} are others than when the checkpoint was trained, or it had a "
            f"{SPLIT_FILE} then; so its folds are others, and one may hold photos that it was trained on. Put the "
            "split back, judge it on new photos with --ids, or add --allow-trained. A split that check-data "
            "--save-split writes before a fit stays."
        )
    what = f"by the split {told or SPLIT_FILE}" if trained else "without a split of its own"
    raise DatasetError(
        f"The checkpoint was trained {what}, and the folds of {dataset.name} are others now, so a fold may hold photos "
        f"that it was trained on. Put the split back as {dataset.root / SPLIT_FILE}, or take the new one away; or add "
        "--allow-trained."
    )


def keep_evaluation(folder: Path, photos: EvaluatedPhotos, judgement: Judgement) -> None:
    """Writes scores and evidence into the checkpoint and its model card; earlier ones on the same photos go.

    Args:
        folder: Folder of the checkpoint.
        photos: Photos that were judged.
        judgement: Judgement from `evaluate`.

    Raises:
        EvidenceError: If the checkpoint's earlier evidence is damaged.
        OSError: If the folder cannot be written.
    """
    evaluation = evaluation_of(photos, judgement)

    def add(results: Results) -> Results:
        kept = [each for each in results.evaluations if each.photos != photos]
        return replace(results, evaluations=(*kept, evaluation))

    _keep(folder, add, judgement.evidence)


def evaluation_of(photos: EvaluatedPhotos, judgement: Judgement) -> Evaluation:
    """The entry of `metrics.json` for a judgement.

    Where truth and predictions are in two taxonomies, its matrix has a row for each class of the truth and a column for
    each of the prediction, so that it can be compared with networks of further taxonomies.
    """
    scores, truth = parse_scores(judgement.scores), judgement.evidence[0].truth_taxonomy
    if truth:
        counts = np.sum([row.counts for row in judgement.evidence], axis=0)
        scores = replace(scores, confusion_matrix=tuple(map(tuple, counts.tolist())))
    return Evaluation(
        photos=photos,
        scores=scores,
        how=HOW,
        ids=tuple(row.photo_id for row in judgement.evidence),
        photos_left_out=judgement.scores.get("photos_left_out", 0),
        truth_taxonomy=taxonomy_entry(truth) if truth else "",
        classes_scored=judgement.common.remark(),
        seconds_per_photo=judgement.seconds_per_photo,
        device=judgement.device,
        precision=judgement.precision,
    )


def keep_crossval(folder: Path, found: CrossValidation, evidence: Sequence[Evidence]) -> None:
    """Writes what a cross-validation found into a checkpoint, under the key `crossval` of its `metrics.json`.

    Args:
        folder: Folder of the checkpoint, which was fitted by the same recipe.
        found: Scores of the cross-validation.
        evidence: Evidence of all folds.

    Raises:
        EvidenceError: If the checkpoint's earlier evidence is damaged.
        OSError: If the folder cannot be written.
    """
    _keep(folder, partial(replace, crossval=found), evidence)


def _keep(folder: Path, add: Callable[[Results], Results], evidence: Sequence[Evidence]) -> None:
    """Adds to the results and to the evidence; earlier rows of the same photos go."""
    checkpoint = load_checkpoint(folder)
    file = folder / EVIDENCE_FILE
    earlier = read_evidence(file)[0] if file.is_file() else []
    judged = {row.photo_id for row in evidence}
    rows = [*(row for row in earlier if row.photo_id not in judged), *evidence]
    write_evidence(file, rows, checkpoint.taxonomy)
    results = add(checkpoint.results)
    save_results(folder, results, card=card_of(checkpoint, results))


def check_writable(path: Path) -> None:
    """Leaves everything as it is, but notices before hours of work that a file cannot be written.

    Raises:
        OSError: If it cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    existed = path.exists()
    path.open("a", encoding="utf-8").close()
    if not existed:
        path.unlink(missing_ok=True)  # another process of the same command may have been quicker


def write_json(path: Path, scores: dict[str, Any]) -> None:
    """Writes scores as the JSON of the command line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
