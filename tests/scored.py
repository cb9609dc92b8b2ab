"""Checkpoints with scores and evidence but next to no weights, for tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from segmodels.evaluation.evidence import Evidence, evidence_of, total, write_evidence
from segmodels.evaluation.results import VERSION, EvaluatedPhotos, Evaluation, Scores, parse_scores, to_json
from segmodels.mappings import shipped_mappings
from segmodels.taxonomy import OUTFIT_15, taxonomy_entries

WIDTH, HEIGHT = 40, 60
IDS = tuple(f"{number:04}" for number in range(1, 9))
PHOTOS = EvaluatedPhotos(dataset="ccp", split="ids", ids_file="eight.txt", number=len(IDS))
LABEL = "Clothing Co-Parsing, eight.txt (8 photos)"
HOW = "One matrix of pixels over all photos."


def truth(number: int) -> np.ndarray:
    """A coat over pants; the first photo has socks as well."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[5:30, 10:30] = OUTFIT_15["Coat"].id
    labels[30:55, 10:30] = OUTFIT_15["Pants"].id
    if number == 1:
        labels[50:55, 10:30] = OUTFIT_15["Socks"].id
    return labels


def prediction(number: int, faults: int) -> np.ndarray:
    """The truth, with the more of the coat taken for a shirt the higher the photo's number."""
    labels = truth(number)
    labels[5 : 5 + min(25, faults * number), 10:30] = OUTFIT_15["Shirt"].id
    return labels


def judged(faults: int, fold: int | None = None) -> list[Evidence]:
    """Evidence of all photos."""
    return [
        evidence_of(photo_id, truth(int(photo_id)), prediction(int(photo_id), faults), OUTFIT_15, fold)
        for photo_id in IDS
    ]


def evaluation(rows: list[Evidence], photos: EvaluatedPhotos = PHOTOS) -> dict[str, Any]:
    """An entry of metrics.json, as `train evaluate --keep` writes it."""
    entry = Evaluation(
        photos=replace(photos, number=len(rows)),
        how=HOW,
        ids=tuple(row.photo_id for row in rows),
        seconds_per_photo=0.2,
        device="a test",
        scores=parse_scores(total(rows, OUTFIT_15).scores()),
    )
    return to_json(entry)


def write_model(
    folder: Path, metrics: dict[str, Any] | str | None, rows: list[Evidence] | None = None, parameters: int = 1000
) -> Path:
    """A checkpoint's folder; `metrics` as text is written as it is, and is of today's version if it names none."""
    folder.mkdir(parents=True)
    training = {"dataset": "ccp", "recipe": {"fold": 0}, "epoch": 2, "device": "a test"}
    config = {"architecture": "fpn", "taxonomy": "OUTFIT_15", "training": training, "format_version": 1}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"weight": np.zeros(parameters, np.float16), "norm.running_mean": np.zeros(7, np.float16)},
              folder / "model.safetensors")  # fmt: skip
    if metrics is not None:
        (folder / "metrics.json").write_text(
            metrics if isinstance(metrics, str) else json.dumps({"version": VERSION} | metrics)
        )
    if rows is not None:
        write_evidence(folder / "evidence.parquet", rows, OUTFIT_15)
    return folder


def write_maps(folder: Path) -> Path:
    """Class maps made elsewhere, in ATR's classes: the truth, with five rows of each coat taken for a dress."""
    atr = next(each.taxonomy() for each in shipped_mappings() if each.source == "ATR_18")
    table = np.zeros(256, np.uint8)
    for name, other in (("Coat", "Upper-clothes"), ("Pants", "Pants"), ("Socks", "Left-leg")):
        table[OUTFIT_15[name].id] = atr[other].id
    rows = []
    for photo_id in IDS:
        labels = table[truth(int(photo_id))]
        labels[5:10, 10:30] = atr["Dress"].id
        rows.append(evidence_of(photo_id, truth(int(photo_id)), labels, atr, truth_taxonomy=OUTFIT_15))
    entry = Evaluation(
        photos=PHOTOS,
        ids=IDS,
        truth_taxonomy="OUTFIT_15",
        scores=Scores(mean_iou=0.7, confusion_matrix=tuple(map(tuple, sum(row.counts for row in rows).tolist()))),
    )
    folder.mkdir(parents=True)
    about = {"kind": "maps", **taxonomy_entries(atr), "source": "https://example.org/segformer", "licence": "MIT"}
    (folder / "maps.json").write_text(json.dumps(about))
    (folder / "metrics.json").write_text(json.dumps({"version": VERSION, "evaluations": [to_json(entry)]}))
    write_evidence(folder / "evidence.parquet", rows, atr)
    return folder


def curve(*ious: float) -> list[dict[str, float]]:
    """A learning curve with these scores."""
    return [
        {"epoch": epoch, "loss": 1 / epoch, "validation_loss": 2 / epoch, "mean_iou": iou, "pixel_accuracy": 0.9,
         "seconds": 1800.0}
        for epoch, iou in enumerate(ious, start=1)
    ]  # fmt: skip
