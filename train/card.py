"""The model card of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmodels.checkpoint import CheckpointConfig
from segmodels.person import DetectorConfig

__all__ = ["detector_card", "model_card"]


def model_card(name: str, config: CheckpointConfig, metrics: Mapping[str, Any]) -> str:
    """README.md of a checkpoint: what it is, how to load it, on what it was trained, its scores and its limits.

    Args:
        name: In the catalog.
        config: Of the checkpoint.
        metrics: Contents of `metrics.json`.
    """
    training = config.training
    lines = [
        f"# Garmentscope {name}",
        "",
        f"Segments the garments of one person in a photo into {len(config.classes)} classes ({config.taxonomy}).",
        f"Architecture `{config.architecture}`, input {config.height} x {config.width}.",
        "",
        "```python",
        "from segmodels.catalog import load_segmenter",
        "from segmodels.photo import open_photo",
        "",
        f'segmentation = load_segmenter("{name}").segment(open_photo("outfit.jpg"))',
        "```",
        "",
        "## Training",
        "",
        f"Data set {training.get('dataset')}, {_epoch(training)}. The recipe stands in `config.json`.",
        "",
    ]
    for evaluation in metrics.get("evaluations", []):
        scores = evaluation["scores"]
        lines += [
            f"## Scores on {evaluation['photos']}",
            "",
            evaluation["how"],
            "",
            "| class | IoU | F1 | precision | recall |",
            "|---|---|---|---|---|",
            *(
                f"| {label} | {_cell(row['iou'])} | {_cell(row['f1'])} | {_cell(row['precision'])} | "
                f"{_cell(row['recall'])} |"
                for label, row in scores["classes"].items()
            ),
            f"| mean | {_cell(scores['mean_iou'])} | {_cell(scores['mean_f1'])} | {_cell(scores['mean_precision'])} | "
            f"{_cell(scores['mean_recall'])} |",
            "",
            f"Pixel accuracy {_cell(scores['pixel_accuracy'])}, binary IoU {_cell(scores['binary_iou'])}, mean IoU "
            f"without background {_cell(scores['mean_iou_foreground'])}.",
            "",
        ]
    lines += [
        "## Limits",
        "",
        "Trained on some 800 street-style photos of about 2014, mostly of women, one person in each. Rare garments "
        "(rompers, scarves, ties, socks) are often missed. Not for identifying people.",
        "",
    ]
    return "\n".join(lines)


def detector_card(config: DetectorConfig, metrics: Mapping[str, Any]) -> str:
    """README.md of a person detector.

    Args:
        config: Of the detector.
        metrics: Contents of `metrics.json`.
    """
    training = config.training
    lines = [
        "# Garmentscope person detector",
        "",
        "Finds the people in a photo, so that each outfit is segmented in its own crop. The SSD of "
        f"torchvision for one class on EfficientNet-Lite0, input {config.side} x {config.side}, a person from a score "
        f"of {config.threshold}.",
        "",
        "```python",
        "from segmodels.person import find_people",
        "from segmodels.photo import open_photo",
        "",
        'for person in find_people(open_photo("street.jpg")):',
        "    print(person.box, person.confidence)",
        "```",
        "",
        "## Training",
        "",
        f"Data set {training.get('dataset')}, {_epoch(training)}: boxes around its masks, on photos and on scenes made "
        "of them (zoomed out, mosaics, people on other grounds, nobody). The recipe stands in `config.json`.",
        "",
    ]
    for evaluation in metrics.get("evaluations", []):
        lines += [
            f"## Scores on {evaluation['photos']}",
            "",
            "At an intersection over union of 0.5. `photos`: people in the background count as wrong, because the data "
            "set does not label them; `photos_without_bystanders`: those whom an earlier detector found do not count.",
            "",
            "| scenes | number | people | recall | precision | average precision | false boxes a scene |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {name} | {row['scenes']} | {row['people']} | {_cell(row['recall'])} | {_cell(row['precision'])} | "
                f"{_cell(row['average_precision'])} | {_cell(row['false_boxes'])} |"
                for name, row in evaluation["scores"].items()
            ),
            "",
        ]
    lines += [
        "## Limits",
        "",
        "Trained on 640 street-style photos of about 2014, mostly of women who stand; small people, groups and empty "
        "scenes were made by cutting and pasting. Not for identifying people, and for nothing that safety hangs on.",
        "",
    ]
    return "\n".join(lines)


def _epoch(training: Mapping[str, Any]) -> str:
    fold = training.get("recipe", {}).get("fold")
    how = "the last, trained on all folds" if fold == -1 else f"chosen on fold {fold}"
    return f"epoch {training.get('epoch')}, {how}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
