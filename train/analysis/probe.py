"""Which experiment is worth a long training: three short steps over a grid (Castro & Ramirez, section 8.4).

1. `one`: a cell is fitted to one photo that shows many classes, and judged on it. Nothing is random but the weights it
   starts from. One that stays below the grid's `one_mean_iou` cannot even learn that by heart, and is out.
2. `subset`: what is left is fitted to a few photos that show all classes in the shares of the whole, and judged on as
   many others of that kind.
3. `split`: what is still left is trained by its recipe on nine tenths of the photos, and judged on the tenth, of which
   no photo was in the first two steps.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from torch.utils.data import DataLoader

from segmodels.checkpoints.checkpoint import load_checkpoint, read_results
from segmodels.datasets import Dataset, open_dataset
from segmodels.device import Precision, pick_device, pick_precision
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.files import write_whole
from segmodels.inference.memory import run_in_parts
from segmodels.sentences import first_line
from train.analysis.grid import Grid
from train.analysis.report import Section, class_picture, picture, write_page
from train.data.cache import Cache, open_cache
from train.data.people import with_people
from train.data.split import fold_ids, with_split
from train.distributed import this_process
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.crops import ValidationCrops
from train.segmentation.cutting import cut_crops, join_plans
from train.segmentation.fit import fit
from train.segmentation.fit_all import describe_failure

__all__ = ["STEPS", "Cell", "ProbePhotos", "choose_photos", "probe", "varied_subset"]

STEPS: Mapping[str, str] = {"one": "one photo", "subset": "a subset", "split": "nine tenths"}
"""What each step fits to, for people."""

_TENTHS = 10
_STILL: Mapping[str, Any] = {
    "photos": 0,
    "whole_photo": 0.0,
    "margin": 0.0,
    "jitter": 0.0,
    "stretch": 0.0,
    "rotation": 0.0,
    "flip": False,
    "colour_jitter": 0.0,
    "saturation_jitter": 0.0,
    "grey": 0.0,
    "noise": 0.0,
    "sampling": "uniform",
    "average": 0.0,
}
"""Recipe keys of the first two steps: the same photos in the same crops, and the plain weights."""


@dataclass(frozen=True)
class ProbePhotos:
    """Ids of the photos of the first two steps: the complex one, the subset, and the other subset like it."""

    one: str
    subset: tuple[str, ...]
    other: tuple[str, ...]


@dataclass
class Cell:
    """One cell of the grid, and how it fared.

    Args:
        recipe: Recipe of the cell.
        scores: Scores by the step that the cell went through: `mean_iou`, `pixel_accuracy`, `binary_iou`, the `epoch`
            that they are of, and `seconds`; of the subset also `own_mean_iou`, on the photos that it was fitted to.
        verdict: Sentence that says how the cell ended.
        failed: Whether it ended because it could not be fitted.
    """

    recipe: Recipe
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    verdict: str = ""
    failed: bool = False

    @property
    def name(self) -> str:
        """Which cell it is; also the name of its folder."""
        own = self.recipe
        return f"{own.architecture}-{own.loss}-{own.optimiser}-{own.learning_rate:g}-{own.batch_size}"

    @property
    def title(self) -> str:
        """The same for people."""
        own = self.recipe
        return f"{own.architecture}, {own.loss}, {own.optimiser}, {own.learning_rate:g}, batch {own.batch_size}"


def probe(
    recipe: Recipe, grid: Grid, data: Path | None, out: Path, *, workers: int = 1, precision: Precision | None = None
) -> list[Cell]:
    """Goes through the grid step by step, and writes the outcome as `cells.json`, `cells.csv` and `index.html`.

    Started again, it passes over what is finished and goes on with the rest; a cell that failed is tried again. A cell
    that fails is a row that says why.

    Args:
        recipe: Recipe that gives what the grid does not.
        grid: Grid of the cells.
        data: Folder of the data set; None where a source's photos lie with it.
        out: Folder of the probe; each fit has its own in `out/cells`.
        workers: Processes that read cached photos.
        precision: Device and number format, as for `fit`.

    Returns:
        All cells, in the order of the grid.

    Raises:
        FitError: If the folder holds another probe or cannot be written, or several processes were started.
        DatasetError: If the data set cannot be read.
        RecipeError: If a value of the grid is none that a recipe takes.
        KeyboardInterrupt: If it is stopped by hand.
    """
    if this_process().count > 1:
        raise FitError("A probe runs in one process. Start it without torchrun.")
    cells = [Cell(own) for own in grid.recipes(recipe)]
    dataset = with_split(open_dataset(recipe.dataset, data), recipe.split)
    train_ids, judged_ids = fold_ids(dataset, 0, _TENTHS)
    training = open_cache(dataset, dataset.select(train_ids), recipe.cache_side)
    photos = choose_photos(training, len(dataset.taxonomy), grid.subset_photos)
    _claim(out, {"recipe": recipe.to_dict(), "grid": grid.to_dict(), "photos": asdict(photos)})
    judged = {"one": [photos.one], "subset": list(photos.other), "split": judged_ids}
    for step, changes in _plans(grid).items():
        left = [cell for cell in cells if not cell.verdict]
        for number, cell in enumerate(left, start=1):
            own = replace(cell.recipe, **changes)
            # Twice, where the batch has room: some networks cannot normalise a single photo.
            fitted = {"one": [photos.one] * min(2, own.batch_size), "subset": list(photos.subset)}.get(step)
            folder = out / "cells" / cell.name / step
            label = f"{STEPS[step].capitalize()}, cell {number} of {len(left)}, {cell.title}. "
            try:
                cell.scores[step] = _step(own, dataset, folder, fitted, judged[step], workers, label, precision)
            except Exception as error:  # whatever a network or a driver raises: the others can still be fitted
                cell.verdict, cell.failed = f"Failed on {STEPS[step]}: {describe_failure(error, folder)}", True
        _sort_out(cells, step, grid)
    sentence = _choose(cells)
    _write(out, cells, sentence, grid, photos, dataset)
    print(_table(cells), sentence, f"The pictures are in {out / 'index.html'}.", sep="\n")
    return cells


def _plans(grid: Grid) -> dict[str, dict[str, Any]]:
    """What each step changes in the recipe of a cell."""
    return {
        "one": {**_STILL, "epochs": grid.one_epochs, "patience": grid.one_epochs},
        "subset": {**_STILL, "epochs": grid.subset_epochs, "patience": grid.subset_epochs},
        "split": {"folds": _TENTHS, "fold": 0, "photos": grid.split_photos, "epochs": grid.split_epochs},
    }


def choose_photos(cache: Cache, classes: int, size: int) -> ProbePhotos:
    """The photos of the first two steps; the same ones whenever the cache holds the same.

    The complex photo is that with the most classes; among equals, the one whose pixels are spread over them most evenly
    (the highest entropy).

    Args:
        cache: Cache of the photos to choose from.
        classes: Number of classes.
        size: Number of photos in a subset.

    Raises:
        FitError: If there are too few photos for two subsets.
    """
    if len(cache) < 2 * size:
        raise FitError(f"Two subsets of {size} photos need {2 * size} photos to train on, and there are {len(cache)}.")
    pixels = np.stack(
        [np.bincount(cache.pair(index)[1].ravel(), minlength=classes)[:classes] for index in range(len(cache))]
    )
    shares = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    one = int(np.lexsort((-entropy, -(pixels > 0).sum(axis=1)))[0])
    subset = varied_subset(shares, size, range(len(cache)))
    other = varied_subset(shares, size, sorted(set(range(len(cache))) - set(subset)))
    name = cache.ids.__getitem__
    return ProbePhotos(name(one), tuple(map(name, subset)), tuple(map(name, other)))


def varied_subset(shares: np.ndarray, size: int, among: Sequence[int]) -> list[int]:
    """Photos whose mean class shares are near those of all, with as many classes as there are.

    Photos are taken one by one: of those that show the rarest class still missing, or of all once none is, the one that
    brings the mean nearest to that of all. Near is in Hellinger's distance, in which classes of a few pixels count
    beside the background. This is Castro & Ramirez' "subset where all classes can be found in similar proportions to
    the complete dataset".

    Args:
        shares: Class shares of each photo's pixels, float `(photos, classes)`.
        size: Number of photos in the subset, at most as many as `among`.
        among: Indices of the photos that can be taken.
    """
    whole, shown = shares.mean(axis=0), shares > 0
    by_rarity = np.argsort(shown.sum(axis=0), kind="stable")
    left, chosen = list(among), list[int]()
    while len(chosen) < size:
        missing = (c for c in by_rarity if not shown[chosen, c].any() and shown[left, c].any())
        rarest = next(missing, None)
        able = [index for index in left if rarest is None or shown[index, rarest]]
        means = (shares[chosen].sum(axis=0) + shares[able]) / (len(chosen) + 1)  # (able, classes)
        distance = ((np.sqrt(means) - np.sqrt(whole)) ** 2).sum(axis=1)
        chosen.append(able[int(distance.argmin())])
        left.remove(chosen[-1])
    return sorted(chosen)


def _claim(out: Path, content: dict[str, Any]) -> None:
    """Makes the folder of the probe, and sees to it that it holds one only."""
    path = out / "probe.json"
    content = json.loads(json.dumps(content))
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_whole(path, json.dumps(content, indent=1) + "\n")
        elif json.loads(path.read_text("utf-8")) != content:
            raise FitError(f"{out} holds another probe. Name another folder with --out, or delete this one.")
    except ValueError:
        raise FitError(f"{path} is damaged. Name another folder with --out, or delete this one.") from None
    except OSError as error:
        raise FitError(f"{out} cannot be written: {first_line(error)}. Name another folder with --out.") from None


def _step(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    fitted: list[str] | None,
    judged: list[str],
    workers: int,
    label: str,
    precision: Precision | None,
) -> dict[str, float]:
    """Fits a cell in one step, and judges it; reads the scores where it was done before.

    Args:
        recipe: Recipe of the cell in this step.
        dataset: Data set with the photos.
        folder: Folder of the fit.
        fitted: The photos to fit to; None for those of the recipe's fold.
        judged: The photos to judge by, which also choose the epoch.
        workers: Processes that read cached photos, as for `fit`.
        precision: Device and number format, as for `fit`.
        label: Text in front of the progress bar.
    """
    path = folder / "scores.json"
    if path.is_file():
        known: dict[str, float] = json.loads(path.read_text("utf-8"))
        return known
    started = time.monotonic()
    # Workers cost more than they give where an epoch is a few photos.
    ids = (fitted, judged) if fitted else None
    fit(
        recipe,
        dataset.root,
        folder,
        workers=0 if fitted else workers,
        label=label,
        ids=ids,
        each_epoch=False,
        precision=precision,
    )
    checkpoint = folder / "checkpoint"
    matrix, first = _judge(checkpoint, dataset, judged, recipe, precision)
    scores = {name: float(matrix.scores()[name]) for name in ("mean_iou", "pixel_accuracy", "binary_iou")}
    if fitted and set(fitted) != set(judged):
        scores["own_mean_iou"] = _judge(checkpoint, dataset, fitted, recipe, precision)[0].mean_iou
    (folder / "first.png").write_bytes(class_picture(first, dataset.taxonomy))
    scores["epoch"] = load_checkpoint(checkpoint).config.training["epoch"]
    scores["seconds"] = round(time.monotonic() - started, 1)
    write_whole(path, json.dumps(scores, indent=1) + "\n")
    (folder / "resume.ckpt").unlink()  # the step is over; these files are most of what a large grid would hold
    return scores


def _judge(
    folder: Path, dataset: Dataset, ids: list[str], recipe: Recipe, precision: Precision | None
) -> tuple[ConfusionMatrix, np.ndarray]:
    """Scores of a checkpoint on the crops that the fit judged it by, and the class map of the first one."""
    precision = precision or pick_precision(None, pick_device())
    network = load_checkpoint(folder).network.to(precision.device)
    matrix = ConfusionMatrix(dataset.taxonomy.names)
    cache = open_cache(dataset, ids, recipe.cache_side)
    crops = ValidationCrops(with_people(cache) if recipe.person == "detector" else cache, recipe)
    first = np.empty(0, np.uint8)
    for batch in DataLoader(crops, recipe.batch_size, collate_fn=join_plans):
        photos, truths = cut_crops(batch.to(precision.device), recipe)
        with torch.inference_mode(), precision.autocast():
            logits, _ = run_in_parts(network, photos)
        said = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        matrix.add(truths.to(torch.uint8).cpu().numpy(), said)
        first = first if first.size else said[0]
    return matrix, first


def _sort_out(cells: list[Cell], step: str, grid: Grid) -> None:
    """Gives a verdict on the cells that do not go on after a step."""
    left = [cell for cell in cells if not cell.verdict]
    if step == "one":
        for cell in left:
            if (reached := cell.scores["one"]["mean_iou"]) < grid.one_mean_iou:
                cell.verdict = (
                    f"Out: it does not overfit one photo (mean IoU {reached:.3f}, not {grid.one_mean_iou:g})."
                )
    elif step == "subset" and grid.keep:
        for architecture in {cell.recipe.architecture: None for cell in left}:
            ranked = _ranked([cell for cell in left if cell.recipe.architecture == architecture], step)
            for cell in ranked[grid.keep :]:
                cell.verdict = f"Out: {ranked[0].title} is better on the other subset."


def _ranked(cells: Sequence[Cell], step: str) -> list[Cell]:
    """The best first, by mean IoU."""
    return sorted(cells, key=lambda cell: -cell.scores[step]["mean_iou"])


def _choose(cells: list[Cell]) -> str:
    """Gives the last verdicts; returns which cell to take, and why."""
    ranked = _ranked([cell for cell in cells if not cell.verdict], "split")
    if not ranked:
        return "No cell is left to take. Give the cells more epochs, other learning rates or a lower one_mean_iou."
    best, score = ranked[0], ranked[0].scores["split"]["mean_iou"]
    best.verdict = "Taken: the highest mean IoU on the tenth."
    for place, cell in enumerate(ranked[1:], start=2):
        cell.verdict = f"Number {place} of {len(ranked)} on the tenth."
    beaten = (
        f"next is {ranked[1].title} with {ranked[1].scores['split']['mean_iou']:.3f}"
        if ranked[1:]
        else "it alone is left"
    )
    return (
        f"Take {best.title}: the highest mean IoU on the tenth that it did not train on, {score:.3f}; {beaten}. "
        f"{len(cells) - len(ranked)} of {len(cells)} cells did not come that far. Each cell was fitted once, and the "
        "tenth also chose its epoch: a lead of a few hundredths may be chance."
    )


_COLUMNS = (  # heading, step, score, format
    ("one photo", "one", "mean_iou", ".3f"),
    ("accuracy", "one", "pixel_accuracy", ".3f"),
    ("binary IoU", "one", "binary_iou", ".3f"),
    ("subset", "subset", "own_mean_iou", ".3f"),
    ("other subset", "subset", "mean_iou", ".3f"),
    ("tenth", "split", "mean_iou", ".3f"),
    ("accuracy", "split", "pixel_accuracy", ".3f"),
    ("binary IoU", "split", "binary_iou", ".3f"),
)


def _table(cells: list[Cell]) -> str:
    """A table for the terminal; mean IoU where a heading says nothing else."""
    rows = [["cell", *(heading for heading, *_ in _COLUMNS), "minutes", "verdict"]]
    for cell in cells:
        shown = [
            format(cell.scores[step][score], form) if step in cell.scores else "-" for _, step, score, form in _COLUMNS
        ]
        rows.append([cell.name, *shown, f"{_seconds(cell) / 60:.1f}", cell.verdict])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _seconds(cell: Cell) -> float:
    return sum(scores["seconds"] for scores in cell.scores.values())


def _write(out: Path, cells: list[Cell], sentence: str, grid: Grid, photos: ProbePhotos, dataset: Dataset) -> None:
    rows = [
        {
            "cell": cell.name,
            **{key: getattr(cell.recipe, key) for key in _KEYS},
            **{f"{step}_{name}": score for step, scores in cell.scores.items() for name, score in scores.items()},
            "verdict": cell.verdict,
        }
        for cell in cells
    ]
    try:
        content = {"choice": sentence, "photos": asdict(photos), "cells": rows}
        (out / "cells.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        with (out / "cells.csv").open("w", newline="", encoding="utf-8") as file:
            names = dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row)
            writer = csv.DictWriter(file, list(names))
            writer.writeheader()
            writer.writerows(rows)
        sections = [_overview(cells, sentence, grid, photos)]
        sections += [_cell_section(cell, out / "cells" / cell.name, photos, dataset) for cell in cells]
        write_page(out / "index.html", f"Probe of {len(cells)} cells on {dataset.name}", sections)
    except OSError as error:
        raise FitError(f"{out} cannot be written: {first_line(error)}.") from None


_KEYS = ("architecture", "loss", "optimiser", "learning_rate", "batch_size")
_COLOURS = {"one": "#b06f00", "subset": "#2f6f9f", "split": "#5b3a8c"}


def _overview(cells: list[Cell], sentence: str, grid: Grid, photos: ProbePhotos) -> Section:
    names = [cell.title.replace(", ", "<br>", 2) for cell in cells]  # narrow enough for a phone
    bars = [
        go.Bar(
            name=STEPS[step],
            y=names,
            x=[cell.scores[step]["mean_iou"] if step in cell.scores else None for cell in cells],
            orientation="h",
            marker={"color": _COLOURS[step]},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
        for step in STEPS
    ]
    layout = go.Layout(
        title="Mean IoU by cell: on the photo that it was fitted to, on the other subset, on the tenth",
        height=100 + 70 * len(cells),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"range": [0, 1]},
        yaxis={"autorange": "reversed"},
    )
    text = (
        f"{sentence}\n\nStep 1: {grid.one_epochs} epochs on photo {photos.one}, and out below a mean IoU of "
        f"{grid.one_mean_iou:g} on it. Step 2: {grid.subset_epochs} epochs on {len(photos.subset)} photos, judged on "
        f"{len(photos.other)} others. Step 3: up to {grid.split_epochs} epochs on nine tenths of the photos"
        f"{f', the first {grid.split_photos} of them' if grid.split_photos else ''}, judged on the tenth."
    )
    return Section("Which to take", text, [go.Figure(bars, layout)])


def _cell_section(cell: Cell, folder: Path, photos: ProbePhotos, dataset: Dataset) -> Section:
    if "one" not in cell.scores:
        return Section(cell.title, cell.verdict)
    own = replace(cell.recipe, **_STILL)
    photo, truth = _seen(open_cache(dataset, [photos.one], own.cache_side), own)
    known = cell.scores["one"]["mean_iou"]
    images = [
        ("The photo, as the network sees it", picture(photo)),
        ("What is true", class_picture(truth, dataset.taxonomy)),
        (f"What the network says: mean IoU {known:.3f}", (folder / "one" / "first.png").read_bytes()),
    ]
    text = "\n".join([cell.verdict, *(_sentence(step, scores) for step, scores in cell.scores.items())])
    return Section(cell.title, text, [_curves(cell, folder)], images)


def _sentence(step: str, scores: dict[str, float]) -> str:
    own = f" ({scores['own_mean_iou']:.3f} on the photos that it was fitted to)" if "own_mean_iou" in scores else ""
    return (
        f"Fitted to {STEPS[step]}: mean IoU {scores['mean_iou']:.3f}{own}, accuracy {scores['pixel_accuracy']:.3f}, "
        f"binary IoU {scores['binary_iou']:.3f} in epoch {scores['epoch']:g}, {scores['seconds']:.0f} s."
    )


def _seen(cache: Cache, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Photo uint8 `(height, width, 3)` and truth uint8 `(height, width)` of the first crop."""
    photos, truths = cut_crops(join_plans([ValidationCrops(cache, recipe)[0]]), recipe)
    pixels = photos[0].mul(recipe.std).add(recipe.mean).mul(255).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(1, 2, 0).numpy(), truths[0].to(torch.uint8).numpy()


def _curves(cell: Cell, folder: Path) -> go.Figure:
    lines = []
    for step in cell.scores:
        curve = read_results(folder / step / "checkpoint").learning_curve
        lines.append(
            go.Scatter(
                name=STEPS[step],
                x=[epoch["epoch"] for epoch in curve],
                y=[epoch["mean_iou"] for epoch in curve],
                mode="lines",
                line={"color": _COLOURS[step]},
                hovertemplate="epoch %{x}: %{y:.3f}<extra></extra>",
            )
        )
    layout = go.Layout(
        title="Mean IoU after each epoch, on the photos that judge the step",
        height=320,
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": {"text": "epoch"}},
        yaxis={"range": [0, 1]},
    )
    return go.Figure(lines, layout)
