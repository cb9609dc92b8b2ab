"""Cross-validation: each fold is left out once, and each photo is judged by the one network that has not seen it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from segmodels.checkpoints.catalog import find_model
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.datasets import Dataset, DatasetError, open_dataset
from segmodels.device import Precision
from segmodels.evaluation.bootstrap import SCORES, Interval, difference, interval
from segmodels.evaluation.evidence import (
    EVIDENCE_FILE,
    Evidence,
    in_common,
    read_evidence,
    total,
    truths_of,
    write_evidence,
)
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import (
    VERSION,
    CrossValidation,
    EvaluatedPhotos,
    FoldScores,
    Scores,
    parse_scores,
    to_json,
)
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import ClassMapping, common_classes, mapping_beside
from segmodels.photo import PhotoError
from segmodels.taxonomy import Taxonomy
from train.analysis.evaluate import HOW, evaluate, keep_crossval, write_json
from train.analysis.report import Section, class_picture, picture, write_page
from train.data.split import fold_ids, folds_in_file, with_split
from train.distributed import this_process
from train.provenance import trained_on
from train.recipe import Recipe, RecipeError
from train.segmentation.fit import fit
from train.segmentation.pseudo_labels import pseudo_labels_trained_on
from train.segmentation.start import open_start

__all__ = ["compare", "crossval"]

_SHOWN = 6  # photos of the highest and of the lowest IoU on the page
_SIDE = 320  # of a picture on the page, in pixels


def crossval(
    recipe: Recipe,
    data: Path | None,
    out: Path,
    *,
    folds: int = 5,
    workers: int = 1,
    keep: Path | None = None,
    precision: Precision | None = None,
) -> dict[str, Any]:
    """Fits and judges one network for each fold.

    `out/fold0` and so on hold the fits; `out/folds.csv` says which photo is in which; `out/metrics.json`,
    `out/evidence.parquet` and `out/page.html` what came out. Stopped at any moment, the same command goes on: a fit
    from its last epoch, and after a fold that was judged with the next.

    Args:
        recipe: Recipe of the fits; only its `fold` and `folds` are replaced.
        data: Folder of the data set; None where a source's photos lie with it.
        out: Folder of the run.
        folds: Number of folds; five are those stored with the data set, where there are any.
        workers: Processes that read cached photos.
        keep: Folder of a checkpoint fitted by the same recipe, into which the scores and the evidence go as well.
        precision: Device and number format, as for `fit`.

    Returns:
        What `metrics.json` holds.

    Raises:
        CheckpointError: If there is no such checkpoint to keep them in.
        DatasetError: If the data set cannot be read.
        EvidenceError: If the evidence of a finished fold is damaged.
        FitError: If a fit cannot start or go on.
        RecipeError: If the recipe does not leave a fold out, or learns from a network that was trained on the data set.
        KeyboardInterrupt: If it is stopped by hand.
    """
    if recipe.fold == -1:
        raise RecipeError(
            "crossval leaves out each fold in turn, and fold is -1: its settings were made for a fit on all."
        )
    _check_sources(recipe)
    if keep:
        read_config(keep)
    dataset = with_split(open_dataset(recipe.dataset, data), recipe.split)
    if (told := folds_in_file(dataset)) and told != folds:
        raise DatasetError(
            f"The split of {dataset.name} has folds 0 to {told - 1}. Cross-validate with --folds {told}."
        )
    out.mkdir(parents=True, exist_ok=True)
    _store_folds(out / "folds.csv", dataset, folds)
    recipes = [replace(recipe, fold=fold, folds=folds) for fold in range(folds)]
    by_fold = [_fold(each, dataset, data, out, workers, precision) for each in recipes]
    found = _cross_validation(dataset, by_fold)
    metrics = _metrics(recipe, found, dataset.taxonomy)
    if this_process().is_first:
        _write(out, dataset, found, metrics, list(chain.from_iterable(by_fold)), keep)
    return metrics


def _check_sources(recipe: Recipe) -> None:
    """Refuses a start, a teacher or pseudo-labels behind which is a fit on the same photos, as far as that is recorded.

    Such a fit left out one fold at most, so that the scores of the others would be of photos that were learned from.
    """
    sources = {}
    if recipe.start:
        sources["start"] = trained_on(open_start(recipe.start)[0].config.training)
    if recipe.teacher:
        sources["teacher"] = trained_on(read_config(find_model(recipe.teacher).folder).training)
    if recipe.pseudo:
        sources["pseudo"] = pseudo_labels_trained_on(Path(recipe.pseudo))
    for key, fits in sources.items():
        if any(not set(recipe.dataset.split("_")).isdisjoint(fit["dataset"].split("_")) for fit in fits):
            raise RecipeError(
                f"{key} {getattr(recipe, key)}: behind it is a network that was trained on {recipe.dataset}, and "
                f"crossval judges each photo by a network that has not seen it. Leave it out with --set {key}=, or "
                "judge one fit on the fold that none of them saw: evaluate --fold."
            )


def _write(
    out: Path,
    dataset: Dataset,
    found: CrossValidation,
    metrics: dict[str, Any],
    evidence: Sequence[Evidence],
    keep: Path | None,
) -> None:
    """Writes what came out into the folder of the run, and into a checkpoint."""
    write_evidence(out / EVIDENCE_FILE, evidence, dataset.taxonomy)
    write_json(out / "metrics.json", metrics)
    title = f"Cross-validation of {metrics['recipe']['architecture']} on {dataset.name}"
    write_page(out / "page.html", title, _sections(dataset, found, metrics, evidence))
    if keep:
        keep_crossval(keep, found, evidence)


def compare(first: Path, second: Path, own: Sequence[ClassMapping] = ()) -> str:
    """The difference between two runs on the photos that both judged, with its intervals, as a table.

    Runs in two taxonomies are compared on the classes that they have in common.

    Args:
        first: Folder of a run of `crossval`, or of a checkpoint or class maps with evidence.
        second: Folder of the other one.
        own: Mappings of one's own; those in the two folders come after them where the classes are not the same.

    Raises:
        EvidenceError: If a file of evidence is missing or damaged.
        DatasetError: If there is no such photo.
        MappingError: If the classes are not the same and no mapping connects them.
    """
    (before, taxonomy), (after, other) = (read_evidence(folder / EVIDENCE_FILE) for folder in (first, second))
    shared = {row.photo_id for row in before} & {row.photo_id for row in after}
    if not shared:
        raise DatasetError(
            f"{first} and {second} judged no photo in common. Evaluate both on the same ones, with --keep."
        )
    left_out = {run: len(rows) - len(shared) for run, rows in ((first, before), (second, after))}
    before, after = ([row for row in rows if row.photo_id in shared] for rows in (before, after))
    names = [folder.resolve().name for folder in (first, second)]
    if names[0] == names[1]:
        names = [str(first), str(second)]
    truths = [*truths_of(before, taxonomy), *truths_of(after, other)]
    judged = {f"the truth in {each.name}": each for each in truths}
    taxonomies = {**judged, names[0]: taxonomy, names[1]: other}
    if not all(each.matches(taxonomy) for each in taxonomies.values()):
        own = [*own, *(each for folder in (first, second) if (each := mapping_beside(folder)))]
    common = common_classes(taxonomies, own)
    before, after = in_common(before, taxonomy, common), in_common(after, other, common)
    found = difference(before, after, common.taxonomy.names)
    scores = [total(rows, common.taxonomy).scores() for rows in (before, after)]
    lines = [f"{len(before)} photos, paired bootstrap over photos, 95 % intervals. {second} less {first}:"]
    if any(left_out.values()):
        lines.append(
            "Left out, as the other one did not judge them: "
            f"{' and '.join(f'{count} of {run}' for run, count in left_out.items())}."
        )
    lines += [remark] if (remark := common.remark()) else []
    lines += [_difference_line(name, scores, found[name]) for name in SCORES]
    return "\n".join(lines)


def _difference_line(name: str, scores: Sequence[Mapping[str, Any]], found: Interval) -> str:
    before, after = ("-" if each[name] is None else f"{each[name]:.4f}" for each in scores)
    return f"{name:22} {before} -> {after}   {found}"


def _fold(
    recipe: Recipe, dataset: Dataset, data: Path | None, out: Path, workers: int, precision: Precision | None
) -> list[Evidence]:
    """Evidence of one fold, from an earlier run where there is some."""
    home, label = out / f"fold{recipe.fold}", f"Fold {recipe.fold + 1} of {recipe.folds}. "
    checkpoint = fit(recipe, data, home, workers=workers, label=label, precision=precision)
    file = home / EVIDENCE_FILE
    if file.is_file():
        return read_evidence(file)[0]
    ids = fold_ids(dataset, recipe.fold, recipe.folds)[1]
    device = precision.device if precision else None
    segmenter = Segmenter(load_checkpoint(checkpoint), device, precision=precision)
    rows = evaluate(segmenter, dataset, ids, fold=recipe.fold).evidence
    if this_process().is_first:
        write_evidence(file, rows, dataset.taxonomy)
    return rows


def _store_folds(path: Path, dataset: Dataset, folds: int) -> None:
    rows = sorted((photo_id, fold) for fold in range(folds) for photo_id in fold_ids(dataset, fold, folds)[1])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "fold"), *rows])


def _cross_validation(dataset: Dataset, by_fold: Sequence[Sequence[Evidence]]) -> CrossValidation:
    """Scores of each fold and of all photos together, from the evidence of each fold."""
    evidence = list(chain.from_iterable(by_fold))
    intervals = interval(evidence, dataset.taxonomy.names)
    folds = len(by_fold)
    return CrossValidation(
        photos=EvaluatedPhotos(dataset=dataset.name, split="folds", folds=folds, number=len(evidence)),
        how=f"{HOW} The fold that judges a network also chose its epoch.",
        folds=tuple(
            FoldScores(fold=fold, photos=len(rows), scores=replace(_scores(rows, dataset), confusion_matrix=None))
            for fold, rows in enumerate(by_fold)  # whose matrices stand in the evidence
        ),
        all_photos=_scores(evidence, dataset),
        interval_95={name: (found.low, found.high) for name, found in intervals.items()},
        ids=tuple(row.photo_id for row in evidence),
    )


def _scores(evidence: Sequence[Evidence], dataset: Dataset) -> Scores:
    return parse_scores(total(evidence, dataset.taxonomy).scores())


def _metrics(recipe: Recipe, found: CrossValidation, taxonomy: Taxonomy) -> dict[str, Any]:
    """What the run's `metrics.json` holds: the cross-validation, what follows from it, and the recipe."""
    ious = {
        name: [iou for fold in found.folds if (iou := fold.scores.classes[name].iou) is not None]
        for name in taxonomy.names
    }
    return {
        "version": VERSION,
        **to_json(found),
        "recipe": recipe.to_dict(),
        "mean": found.mean,
        "standard_deviation": found.standard_deviation,
        "class_iou": {
            name: {"mean": mean(v) if v else None, "standard_deviation": _deviation(v)} for name, v in ious.items()
        },
    }


def _deviation(values: Sequence[float]) -> float | None:
    """Standard deviation of the sample, over the folds; None with fewer than two."""
    return stdev(values) if len(values) > 1 else None


# --- The page ---------------------------------------------------------------------------------------------------------


def _sections(
    dataset: Dataset, found: CrossValidation, metrics: dict[str, Any], evidence: Sequence[Evidence]
) -> list[Section]:
    taxonomy = dataset.taxonomy
    lines = ["Mean ± standard deviation over the folds; where 95 % of the bootstrap samples of photos lie:"]
    for name, score in found.mean.items():
        low, high = found.interval_95[name]
        label = name.replace("_", " ").capitalize().replace("iou", "IoU").replace("f1", "F1")
        lines.append(f"{label} {score:.3f} ± {found.standard_deviation[name] or 0:.3f}; {low:.3f} to {high:.3f}")
    scored = sorted(evidence, key=lambda row: total([row], taxonomy).mean_iou)
    best, worst = scored[::-1][:_SHOWN], scored[:_SHOWN]
    return [
        Section("Scores", "\n".join([f"{found.photos}.", found.how, "", *lines])),
        Section("IoU by class", "Mean over the folds; the lines reach one standard deviation either way.",
                figures=[_bars(metrics, taxonomy)]),
        Section("Confusion matrix", "By row: of the pixels that truly are a class, which share was given to which.",
                figures=[_matrix(total(evidence, taxonomy))]),
        Section("Highest IoU", images=_photos(dataset, best)),
        Section("Lowest IoU", images=_photos(dataset, worst)),
    ]  # fmt: skip


def _bars(metrics: dict[str, Any], taxonomy: Taxonomy) -> go.Figure:
    names = [name for name in taxonomy.display_order if metrics["class_iou"][name]["mean"] is not None]
    rows = [metrics["class_iou"][name] for name in names]
    bars = go.Bar(
        x=[row["mean"] for row in rows],
        y=names,
        orientation="h",
        marker={"color": [taxonomy[name].colour for name in names]},
        error_x={"array": [row["standard_deviation"] or 0 for row in rows], "thickness": 1, "color": "#1c1b1a"},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    layout = {"title": "IoU", "height": 60 + 24 * len(names), "xaxis": {"range": [0, 1]}}
    return go.Figure(bars, layout).update_yaxes(autorange="reversed")


def _matrix(matrix: ConfusionMatrix) -> go.Figure:
    rows = matrix.counts.sum(axis=1, keepdims=True)
    shares = np.divide(matrix.counts, rows, out=np.full(matrix.counts.shape, np.nan), where=rows > 0)
    heat = go.Heatmap(
        z=shares,
        x=matrix.names,
        y=matrix.names,
        zmin=0,
        zmax=1,
        colorscale=[[0, "#F4F4F2"], [0.5, "#8997A6"], [1, "#12283F"]],
        hovertemplate="truly %{y}, given to %{x}: %{z:.1%}<extra></extra>",
        colorbar={"tickformat": ".0%", "thickness": 10},
    )
    layout = {"title": "Rows: truth. Columns: prediction", "height": 620, "xaxis": {"tickangle": -45}}
    return go.Figure(heat, layout).update_yaxes(autorange="reversed")


def _photos(dataset: Dataset, rows: Sequence[Evidence]) -> list[tuple[str, bytes]]:
    """Photo, truth and prediction of each, side by side."""
    images = []
    for row in rows:
        with Image.open(io.BytesIO(row.class_map)) as image:
            prediction = np.asarray(image)
        try:
            photo, truth = dataset.pair(row.photo_id)
        except (DatasetError, PhotoError):  # gone since it was judged: the prediction is still there
            images.append((f"{row.photo_id}: prediction", class_picture(prediction, dataset.taxonomy)))
            continue
        score = total([row], dataset.taxonomy).mean_iou
        three = [photo, dataset.taxonomy.palette[truth], dataset.taxonomy.palette[prediction]]
        images.append((f"{row.photo_id}: IoU {score:.2f}. Photo, truth, prediction", picture(_beside(three))))
    return images


def _beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures at one height, from left to right, uint8 `(_SIDE, W, 3)`."""
    resized = [
        np.asarray(Image.fromarray(each).resize((max(1, round(each.shape[1] * _SIDE / each.shape[0])), _SIDE)))
        for each in pictures
    ]
    return np.concatenate(resized, axis=1)
