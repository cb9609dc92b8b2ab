"""Judges a checkpoint as the app uses it: whole photos in, class maps at the photo's own resolution out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from segmodels.checkpoint import load_checkpoint, read_metrics, save_metrics
from segmodels.datasets import Dataset, DatasetError
from segmodels.metrics import ConfusionMatrix
from segmodels.photo import PhotoError
from segmodels.segmenter import Segmenter
from train.card import model_card
from train.processes import sum_over_processes, this_process

__all__ = ["HOW", "check_writable", "evaluate", "keep_evaluation", "write_json"]

HOW = (
    "One confusion matrix of pixels at the photos' own resolution, summed over all photos; whole photos in, as the app "
    "takes them; a class that no photo shows and none is given is left out of the means."
)


def evaluate(segmenter: Segmenter, dataset: Dataset, ids: Sequence[str]) -> dict[str, Any]:
    """Scores of a segmenter on the given photos.

    A photo or truth that cannot be read is left out, counted in `photos_left_out`, and named on the terminal. Several
    processes share the photos, each of which is judged once, and all get the same scores.

    Args:
        segmenter: To judge.
        dataset: Must be in the segmenter's taxonomy.
        ids: Of the photos.

    Returns:
        `photos`, and the keys of `ConfusionMatrix.scores`.

    Raises:
        DatasetError: If the taxonomies differ, an id is unknown, or no photo can be read.
    """
    if dataset.taxonomy.name != segmenter.taxonomy.name:
        raise DatasetError(f"{dataset.name} is in {dataset.taxonomy.name}, the model in {segmenter.taxonomy.name}.")
    matrix = ConfusionMatrix(segmenter.taxonomy.names)
    left_out = 0
    processes = this_process()
    share = dataset.select(list(ids))[processes.rank :: processes.count]
    with tqdm(share, desc="Evaluating", unit="photo", disable=not processes.is_first) as bar:
        for photo_id in bar:
            try:
                photo, truth = dataset.pair(photo_id)
            except (DatasetError, PhotoError) as error:
                left_out += 1
                bar.write(f"{photo_id} is left out: {error}")
                continue
            matrix.add(truth, segmenter.segment(photo).class_map)
            bar.set_postfix(mean_iou=f"{matrix.mean_iou:.3f}", refresh=False)
    left_out = int(sum_over_processes(torch.tensor(left_out), processes))
    counts = sum_over_processes(torch.from_numpy(matrix.counts), processes)
    matrix = ConfusionMatrix(segmenter.taxonomy.names, counts.numpy())
    if left_out == len(ids):
        raise DatasetError(f"None of the {len(ids)} photos could be read.")
    scores = {"photos": len(ids) - left_out, **matrix.scores()}
    return {**scores, "photos_left_out": left_out} if left_out else scores


def keep_evaluation(folder: Path, photos: str, scores: dict[str, Any]) -> None:
    """Writes scores into the checkpoint's `metrics.json` and model card; earlier ones on the same photos go.

    Args:
        folder: Of the checkpoint.
        photos: Which photos, for people: data set and split.
        scores: From `evaluate`.
    """
    metrics = read_metrics(folder)
    kept = [entry for entry in metrics.get("evaluations", []) if entry["photos"] != photos]
    metrics["evaluations"] = [*kept, {"photos": photos, "how": HOW, "scores": scores}]
    checkpoint = load_checkpoint(folder)
    save_metrics(folder, metrics, card=model_card(checkpoint.name, checkpoint.config, metrics))


def check_writable(path: Path) -> None:
    """Leaves everything as it is, but notices before hours of work that a file cannot be written.

    Raises:
        OSError: If it cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    existed = path.exists()
    path.open("a").close()
    if not existed:
        path.unlink()


def write_json(path: Path, scores: dict[str, Any]) -> None:
    """Writes scores as the JSON of the command line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
