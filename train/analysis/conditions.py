"""Scores under other conditions than whole photos as they come: framings, shifts, flat-lays, photos of other kinds.

They stand in `metrics.json` under `conditions`, beside `evaluations`: how far a network can be trusted with photos that
are cut, lit or made otherwise than those it is compared by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segmodels.checkpoints.checkpoint import load_checkpoint, save_results
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import read_flatlays
from segmodels.evaluation.results import ConditionScore
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import ClassMapping
from train.analysis.evaluate import evaluate
from train.analysis.flatlays import judge_flatlays
from train.analysis.framing import framed, framing_score
from train.analysis.shift import shifted
from train.analysis.wild import judge_wild
from train.publishing.card import card_of

__all__ = ["judge_condition", "judge_flatlay_part", "judge_wild_photos", "keep_condition"]


def judge_condition(
    segmenter: Segmenter,
    dataset: Dataset,
    ids: Sequence[str],
    framing: str = "full",
    shift: str = "",
    own: Sequence[ClassMapping] = (),
) -> dict[str, Any]:
    """Judges a segmenter on photos that are cut or changed first.

    Args:
        segmenter: Segmenter to judge.
        dataset: Photos and truths.
        ids: Photos to take. Those that do not show the framing are left out.
        framing: Key in `train.analysis.framing.FRAMINGS`.
        shift: Key in `train.analysis.shift.SHIFTS`; empty for none. It is done to what the framing shows.
        own: Mappings of one's own.

    Returns:
        The scores of `train.analysis.evaluate.evaluate`, with `score` in front: of a framing but `full` the mean IoU of
        the classes that hold more than 0.2 % of its true pixels, otherwise the mean IoU.

    Raises:
        DatasetError: If an id is unknown, no photo can be read, or `dark-skin` is asked of a taxonomy without Skin.
        KeyError: If there is no such framing or shift.
        MappingError: If the taxonomies differ and no mapping connects them.
    """
    if shift == "dark-skin" and "Skin" not in dataset.taxonomy.names:
        raise DatasetError(f"{dataset.taxonomy.name} has no class Skin, so dark-skin cannot be judged. Leave it out.")
    judgement = evaluate(segmenter, dataset, ids, read=partial(_pair, dataset, framing, shift), own=own)
    score = framing_score(judgement.matrix) if framing != "full" else judgement.scores["mean_iou"]
    return {"score": score, **judgement.scores}


def _pair(dataset: Dataset, framing: str, shift: str, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    photo, truth = framed(framing, *dataset.pair(photo_id), photo_id)
    if shift:
        photo, truth = shifted(shift, photo, truth, dataset.taxonomy, photo_id)
    return np.ascontiguousarray(photo), np.ascontiguousarray(truth)


def judge_flatlay_part(segmenter: Segmenter, folder: Path, ids: Sequence[str] | None = None) -> dict[str, Any]:
    """Judges a segmenter on flat-lays.

    Args:
        segmenter: Segmenter to judge.
        folder: The folder that holds `photos/` and `flatlay.csv`.
        ids: Photos to take; part `test` if left out.

    Returns:
        The scores of `FlatLayJudgement`, with `score` in front: the share of photos whose largest garment is the
        labelled one, as mean over the classes.

    Raises:
        DatasetError: If the folder is no set of flat-lays, an id is unknown, or no photo can be read.
    """
    flatlays = read_flatlays(folder)
    chosen = flatlays.part("test") if ids is None else flatlays.select(list(ids))
    scores = judge_flatlays(segmenter, chosen).scores()
    return {"score": scores["mean_over_classes"], **scores}


def judge_wild_photos(segmenter: Segmenter, folder: Path) -> dict[str, Any]:
    """Judges a segmenter on photos of other kinds.

    Args:
        segmenter: Segmenter to judge.
        folder: The folder that holds `photos/` and `wild.csv`.

    Returns:
        The scores of `WildJudgement`, with `score` in front: the micro F1 of the garments and accessories.

    Raises:
        DatasetError: If the folder is no such set, or no photo can be read.
    """
    scores = judge_wild(segmenter, folder).scores()
    return {"score": scores["micro_f1"], **scores}


def keep_condition(folder: Path, found: ConditionScore) -> None:
    """Writes the scores of a condition into the checkpoint and its model card; earlier ones of the same go.

    Args:
        folder: Folder of the checkpoint.
        found: Scores under the condition.

    Raises:
        OSError: If the folder cannot be written.
    """
    checkpoint = load_checkpoint(folder)
    kept = [old for old in checkpoint.results.conditions if replace(old, scores=found.scores) != found]
    results = replace(checkpoint.results, conditions=(*kept, found))
    save_results(folder, results, card=card_of(checkpoint, results))
