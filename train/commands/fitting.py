"""Commands that train by a recipe: `fit`, `crossval`, `probe`, and `compare`, which compares what they gave."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import DatasetError, open_dataset
from segmodels.device import add_device_arguments
from segmodels.evaluation.evidence import EvidenceError
from segmodels.evaluation.results import EvaluatedPhotos
from train.analysis.crossval import compare, crossval
from train.analysis.evaluate import evaluate, keep_evaluation
from train.analysis.grid import load_grid
from train.analysis.probe import probe
from train.commands.shared import (
    MODEL,
    Subparsers,
    add_mapping,
    add_recipe,
    evidence_folder,
    open_segmenter,
    own_folder,
    own_mappings,
    precision_of,
    whole_number,
)
from train.data.split import fold_ids, with_split
from train.distributed import this_process
from train.publishing.publish import check_owner, push, repository_of
from train.recipe import Recipe, load_recipe
from train.segmentation.fit import fit
from train.segmentation.fit_all import fit_all

__all__ = ["add_compare", "add_crossval", "add_fit", "add_probe"]


_UNCALIBRATED = (
    "A network of classes of one's own has no calibration and no kinds: presence is null, and each garment that it "
    "finds counts."
)


def add_fit(commands: Subparsers) -> None:
    """Adds `fit`."""
    command = commands.add_parser("fit", help="train a network by a recipe; run it again to continue after a stop")
    command.add_argument(
        "--all", action="store_true", help="train every architecture by the recipe, each in a folder under --out"
    )
    command.add_argument("--name", help="name of the checkpoint in the catalog (default: the architecture)")
    command.add_argument("--push", metavar="OWNER", help="publish the checkpoint as OWNER/garmentscope-NAME on the Hub")
    command.add_argument(
        "--push-fallback",
        action="store_true",
        help="also publish a network that had to start from random weights instead of ImageNet's",
    )
    add_recipe(command)
    add_device_arguments(command)
    command.set_defaults(run=_fit)


def add_crossval(commands: Subparsers) -> None:
    """Adds `crossval`."""
    command = commands.add_parser("crossval", help="train and evaluate one network for each fold")
    command.add_argument(
        "--folds", type=partial(whole_number, least=2), default=5, metavar="N", help="number of folds (default: 5)"
    )
    command.add_argument("--keep", metavar="CHECKPOINT", help=f"also write the scores into this one: {MODEL}")
    add_recipe(command)
    add_device_arguments(command)
    command.set_defaults(run=_crossval)


def add_probe(commands: Subparsers) -> None:
    """Adds `probe`."""
    command = commands.add_parser("probe", help="find the cell of a grid that is worth training, in three short steps")
    command.add_argument(
        "--grid", default="small", help="a TOML file, or the name of a grid that ships (default: small)"
    )
    add_recipe(command)
    add_device_arguments(command)
    command.set_defaults(run=_probe)


def add_compare(commands: Subparsers) -> None:
    """Adds `compare`."""
    command = commands.add_parser("compare", help="compare two runs on the photos that they share")
    command.add_argument("first", help=f"folder of a crossval run, or a model that was evaluated with --keep: {MODEL}")
    command.add_argument("second", help="the other run or model")
    add_mapping(command)
    command.set_defaults(run=_compare)


def _fit(arguments: argparse.Namespace) -> int:
    recipe, precision = load_recipe(arguments.recipe, arguments.set), precision_of(arguments)
    if arguments.push and this_process().is_first:
        check_owner(arguments.push)
    if arguments.all:
        outcomes = fit_all(recipe, arguments.data, arguments.out, workers=arguments.workers, precision=precision)
        names = [outcome.architecture for outcome in outcomes if not outcome.failure]
        fitted = {name: arguments.out / name / "checkpoint" for name in names}
        failed = len(outcomes) - len(fitted)
    else:
        folder = fit(
            recipe,
            arguments.data,
            arguments.out,
            name=arguments.name,
            workers=arguments.workers,
            precision=precision,
        )
        fitted, failed = {arguments.name or recipe.architecture: folder}, 0
        if this_process().is_first:
            print(f"The best epoch is in {folder}.")
            if read_config(folder).own_taxonomy:
                print(_UNCALIBRATED)
    if arguments.push:
        failed += sum(not _published(name, folder, recipe, arguments) for name, folder in fitted.items())
    return int(failed > 0)


def _published(name: str, folder: Path, recipe: Recipe, arguments: argparse.Namespace) -> bool:
    """Judges and publishes one of several checkpoints; what keeps one from it does not keep the others."""
    repository = repository_of(arguments.push, name)
    try:
        start = read_config(folder).training.get("start", {})
        if start.get("fell_back") and not arguments.push_fallback:
            raise CheckpointError(
                f"{start['sentence']} It is not published without --push-fallback. Where its weights can be had, fit "
                "it again in another folder."
            )
        _judge(folder, recipe, arguments)
        if not this_process().is_first:
            return True
        published = push(folder, repository)
    except (CheckpointError, DatasetError, EvidenceError) as error:
        if this_process().is_first:
            print(f"{error} {folder} is kept: python -m train push {folder} {repository}", file=sys.stderr)
        return False
    print(f"{published.address} holds {folder}, commit {published.commit}.")
    return True


def _judge(folder: Path, recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Judges a network on the fold that its recipe leaves out, so that what is published says how good it is."""
    if recipe.fold == -1:
        return
    dataset = with_split(open_dataset(recipe.dataset, arguments.data), recipe.split)
    ids = fold_ids(dataset, recipe.fold, recipe.folds)[1]
    judgement = evaluate(open_segmenter(folder, arguments), dataset, ids, fold=recipe.fold)
    if this_process().is_first:
        photos = EvaluatedPhotos(
            dataset=dataset.name, split="fold", fold=recipe.fold, number=judgement.scores["photos"]
        )
        keep_evaluation(folder, photos, judgement)


def _crossval(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(arguments.recipe, arguments.set)
    metrics = crossval(
        recipe,
        arguments.data,
        arguments.out,
        folds=arguments.folds,
        workers=arguments.workers,
        keep=own_folder(arguments.keep) if arguments.keep else None,
        precision=precision_of(arguments),
    )
    if this_process().is_first:
        scores, spread = metrics["mean"], metrics["standard_deviation"]
        print(
            f"mean IoU {scores['mean_iou']:.4f} ± {spread['mean_iou'] or 0:.4f}, pixel accuracy "
            f"{scores['pixel_accuracy']:.4f} ± {spread['pixel_accuracy'] or 0:.4f} over {arguments.folds} folds. "
            f"Pictures: {arguments.out / 'page.html'}"
        )
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    named = own_mappings(arguments.mapping)  # before evidence, which may be missing or large, is looked for
    first, second = evidence_folder(arguments.first), evidence_folder(arguments.second)
    print(compare(first, second, named))
    return 0


def _probe(arguments: argparse.Namespace) -> int:
    recipe, grid = load_recipe(arguments.recipe, arguments.set), load_grid(arguments.grid)
    cells = probe(
        recipe, grid, arguments.data, arguments.out, workers=arguments.workers, precision=precision_of(arguments)
    )
    return int(any(cell.failed for cell in cells))
