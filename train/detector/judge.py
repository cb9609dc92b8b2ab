"""Judges the person detector, and a segmenter with it: on photos, on parts of them and on made-up scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.ops import box_iou
from tqdm import tqdm

from segmodels.checkpoints.checkpoint import read_metrics, save_metrics
from segmodels.checkpoints.config import read_fields
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLays
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import DetectorEvaluation, EvaluatedPhotos, parse_detector_results
from segmodels.inference.detector import DetectorConfig, FoundPerson, PersonDetector
from segmodels.inference.segmenter import Segmenter
from train.analysis.framing import FRAMINGS, framed
from train.detector.bystanders import open_source, read_bystanders
from train.detector.scenes import make_scene
from train.detector.source import Scene, Source, corners, person_box
from train.publishing.card import detector_card

__all__ = [
    "EVALUATED_SCENES",
    "detection_scores",
    "evaluate_person",
    "evaluate_scenes",
    "evaluation_scenes",
    "found_in",
    "keep_detector_evaluation",
]

_EVALUATION_SIDE = 640
_SCENES_SEED = 20_000
_SEGMENTED_SCENES = 60
_JUDGED_AT_ONCE = 16  # scenes, on a GPU


def detection_scores(
    found: Sequence[np.ndarray], scenes: Sequence[Scene], threshold: float = 0.5
) -> dict[str, float | None]:
    """Average precision, and recall and precision at a threshold, all at an intersection over union of 0.5.

    Each person is found once, by the surest box first; a box that meets nobody is wrong unless its centre is unknown.

    Args:
        found: Boxes that were found, for each scene `(n, 5)`: left, top, right, bottom, score.
        scenes: Scenes that say what is to be found.
        threshold: Score from which a box counts for recall and precision.

    Returns:
        `people`, `average_precision` (area under the interpolated curve), `recall`, `precision` and `false_boxes` (per
        scene); None where nobody is to be found, or nothing was.
    """
    rows: list[tuple[float, bool]] = []
    for boxes, scene in zip(found, scenes, strict=True):
        open_people = np.ones(len(scene.people), bool)
        overlap = box_iou(torch.from_numpy(boxes[:, :4]), torch.from_numpy(scene.people)).numpy()
        for index in np.argsort(-boxes[:, 4]):
            candidates = np.where(open_people, overlap[index], 0)
            if len(candidates) and candidates.max() >= 0.5:
                open_people[candidates.argmax()] = False
                rows.append((boxes[index, 4], True))
            elif not _is_unknown(boxes[index], scene):
                rows.append((boxes[index, 4], False))
    rows.sort(key=lambda row: -row[0])
    right = np.array([row[1] for row in rows], bool)
    people = sum(len(scene.people) for scene in scenes)
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    sure = sum(row[0] >= threshold for row in rows)
    hits = int(right[:sure].sum())
    return {
        "people": people,
        "average_precision": float((highest * right).sum() / people) if people else None,
        "recall": hits / people if people else None,
        "precision": hits / sure if sure else None,
        "false_boxes": (sure - hits) / len(scenes),
    }


def evaluate_person(
    detector: PersonDetector, dataset: Dataset, ids: Sequence[str], flatlays: FlatLays | None = None
) -> dict[str, Any]:
    """Recall and precision of a detector on photos, on parts of them, and on made-up scenes of people and grounds.

    Args:
        detector: Detector to judge, at its own threshold.
        dataset: Data set whose truths label one person a photo.
        ids: Ids of the photos.
        flatlays: Photos in which nobody is to be found.

    Returns:
        For `photos`, each framing but `full`, each of `EVALUATED_SCENES` and, where there are any, `flatlays` the keys
        of `detection_scores`, with `scenes` (how many). On `photos` everybody in the background who is found counts as
        wrong; on `photos_without_bystanders` those of the stored list do not count.

    Raises:
        DatasetError: If an id is unknown, or no photo can be read.
    """
    photos = [dataset.pair(photo_id) for photo_id in tqdm(dataset.select(list(ids)), desc="Reading", unit="photo")]
    listed = read_bystanders()
    strict, lenient = [], []
    for photo_id, (photo, truth) in zip(ids, photos, strict=True):
        person = person_box(truth)
        people = _boxes([corners(person)] if person else [])
        height, width = truth.shape
        unknown = listed.get(photo_id, np.empty((0, 4))) * [width, height, width, height]
        lenient.append(Scene(photo, truth, people, unknown))
        strict.append(lenient[-1]._replace(unknown=_boxes([])))
    results = {}
    found = found_in(detector, strict)
    results["photos"] = _judged(found, strict, detector.config.threshold)
    results["photos_without_bystanders"] = _judged(found, lenient, detector.config.threshold)
    for framing in (name for name, rows in FRAMINGS.items() if rows):
        parts = [
            scene for photo_id, pair in zip(ids, photos, strict=True) if (scene := _framed(framing, photo_id, *pair))
        ]
        results[framing] = _judged(found_in(detector, parts), parts, detector.config.threshold)
    if flatlays:
        lying = [_empty(flatlays.open(photo)) for photo in tqdm(flatlays.photos, desc="Reading", unit="photo")]
        results["flatlays"] = _judged(found_in(detector, lying), lying, detector.config.threshold)
    source = open_source(dataset, ids, _EVALUATION_SIDE)
    for name, (kind, wanted) in EVALUATED_SCENES.items():
        scenes = evaluation_scenes(source, kind, wanted, len(source))
        found = found_in(detector, scenes)
        results[name] = _judged(found, scenes, detector.config.threshold)
    return results


def _boxes(boxes: list[np.ndarray]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _framed(framing: str, photo_id: str, photo: np.ndarray, truth: np.ndarray) -> Scene | None:
    """A part of a photo as a scene; None if the photo does not show it."""
    try:
        photo, truth = framed(framing, photo, truth, photo_id)
    except DatasetError:
        return None
    person = person_box(truth)
    return Scene(np.ascontiguousarray(photo), truth, _boxes([corners(person)] if person else []), _boxes([]))


def _empty(photo: np.ndarray) -> Scene:
    """A photo that shows nobody."""
    return Scene(photo, np.zeros(photo.shape[:2], np.uint8), _boxes([]), _boxes([]))


def evaluate_scenes(segmenter: Segmenter, dataset: Dataset, ids: Sequence[str]) -> dict[str, Any]:
    """Scores of a segmenter on the first 60 of each kind of made-up scenes that `evaluate_person` takes.

    Args:
        segmenter: Segmenter to judge.
        dataset: Data set in the segmenter's taxonomy; its truths label one person a photo.
        ids: Ids of the photos that give people and grounds.

    Returns:
        For each of `EVALUATED_SCENES` the keys of `ConfusionMatrix.scores`, and `scenes`; `people_found` is the share
        of scenes in which as many people are found as there are.

    Raises:
        DatasetError: If an id is unknown, or no photo can be read.
    """
    source = open_source(dataset, ids, _EVALUATION_SIDE)
    results = {}
    for name, (kind, wanted) in EVALUATED_SCENES.items():
        matrix = ConfusionMatrix(segmenter.taxonomy.names)
        scenes = evaluation_scenes(source, kind, wanted, min(len(source), _SEGMENTED_SCENES))
        counted = 0
        for scene in tqdm(scenes, desc=name, unit="scene"):
            segmentation = segmenter.segment(scene.picture)
            matrix.add(scene.truth, segmentation.class_map)
            counted += sum(person.detected for person in segmentation.people) == len(scene.people)
        results[name] = {"scenes": len(scenes), "people_found": counted / len(scenes), **matrix.scores()}
    return results


def keep_detector_evaluation(folder: Path, photos: EvaluatedPhotos, scores: dict[str, Any]) -> None:
    """Writes scores into a detector's `metrics.json` and card; earlier ones on the same photos go.

    Args:
        folder: Folder of the detector.
        photos: Photos that the detector was judged on.
        scores: Scores from `evaluate_person`.

    Raises:
        ResultsError: If the file cannot be used.
    """
    results = parse_detector_results(read_metrics(folder))
    kept = [each for each in results.evaluations if each.photos != photos]
    results = replace(results, evaluations=(*kept, DetectorEvaluation(photos=photos, scores=scores)))
    save_metrics(folder, results.to_json(), card=detector_card(read_fields(folder, DetectorConfig), results))


EVALUATED_SCENES: Mapping[str, tuple[str, Callable[[Scene], bool]]] = {
    "small_person": ("zoomed_out", lambda scene: len(scene.people) == 1 and _tallest(scene) < 0.4),
    "several_people": ("zoomed_out", lambda scene: len(scene.people) > 1),
    "group": ("group", lambda scene: len(scene.people) > 1),
    "other_ground": ("pasted", lambda scene: len(scene.people) > 0),
    "nobody": ("nobody", lambda scene: True),
}
"""Kind of scene in `train.detector.scenes.SCENES`, and which of those are taken."""


def evaluation_scenes(source: Source, kind: str, wanted: Callable[[Scene], bool], count: int) -> list[Scene]:
    """The first scenes of a kind that are wanted: the same for the same photos."""
    scenes: list[Scene] = []
    number = 0
    while len(scenes) < count:
        scene = make_scene(source, np.random.default_rng([_SCENES_SEED, number]), _EVALUATION_SIDE, kind)
        number += 1
        if wanted(scene):
            scenes.append(scene)
    return scenes


def _tallest(scene: Scene) -> float:
    """Height of the tallest person, as a share of the scene's side."""
    return float((scene.people[:, 3] - scene.people[:, 1]).max() / scene.picture.shape[0])


def _judged(found: Sequence[np.ndarray], scenes: Sequence[Scene], threshold: float) -> dict[str, float | None]:
    scores = detection_scores(found, scenes, threshold)
    return {"scenes": len(scenes), **scores}


def _is_unknown(box: np.ndarray, scene: Scene) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in scene.unknown)


def found_in(detector: PersonDetector, scenes: Sequence[Scene]) -> list[np.ndarray]:
    """What a detector finds in each scene, in batches; float64 `(n, 5)`: left, top, right, bottom, score."""
    size = 1 if detector.device.type == "cpu" else _JUDGED_AT_ONCE
    pictures = [scene.picture for scene in scenes]
    batches = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    return [
        _rows(people)
        for batch in tqdm(batches, desc="Finding people", unit="batch")
        for people in detector.find_batch(batch)
    ]


def _rows(people: Sequence[FoundPerson]) -> np.ndarray:
    """People as float64 `(n, 5)`: left, top, right, bottom, score."""
    rows = [(*corners(box), confidence) for box, confidence in people]
    return np.array(rows, np.float64).reshape(-1, 5)
