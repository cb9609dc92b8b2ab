"""`python -m train fit | probe | evaluate | stats`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from segmodels.checkpoint import CheckpointError, load_checkpoint
from segmodels.datasets import DatasetError
from segmodels.segmenter import Segmenter
from train.evaluate import check_writable, evaluate, keep_evaluation, write_json
from train.fit import FitError, fit, open_dataset
from train.fit_all import fit_all
from train.grid import load_grid
from train.pretrained import PretrainedError
from train.probe import probe
from train.processes import this_process
from train.recipe import RecipeError, load_recipe
from train.split import fold_ids, read_ids
from train.statistics import report_statistics

_WORKERS = min(8, max(1, (os.cpu_count() or 2) - 1))


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; 0 if it did its work, 1 with one sentence on stderr if not."""
    parser = argparse.ArgumentParser(prog="python -m train", description="Fits and judges segmentation networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train a network by a recipe; the same command goes on after a stop")
    fit.add_argument("recipe", help="a TOML file, or the name of a recipe that ships, such as own/fpn")
    fit.add_argument("--data", type=Path, required=True, help="folder of the data set")
    fit.add_argument("--out", type=Path, required=True, help="folder of the run")
    fit.add_argument("--all", action="store_true", help="train every architecture by it, each in a folder under --out")
    fit.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the recipe")
    fit.add_argument("--name", help="name of the checkpoint in the catalog (default: the architecture)")
    fit.add_argument("--workers", type=int, default=_WORKERS, metavar="N")
    probe = commands.add_parser("probe", help="find out by three short steps which cell of a grid is worth training")
    probe.add_argument("recipe", help="a TOML file, or the name of a recipe that ships, such as own/trial")
    probe.add_argument("--data", type=Path, required=True, help="folder of the data set")
    probe.add_argument("--out", type=Path, required=True, help="folder of the probe")
    probe.add_argument("--grid", default="small", help="a TOML file, or the name of a grid that ships (default: small)")
    probe.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the recipe")
    probe.add_argument("--workers", type=int, default=_WORKERS, metavar="N")
    evaluate = commands.add_parser("evaluate", help="judge a checkpoint on photos it was not trained on")
    evaluate.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    evaluate.add_argument("--dataset", required=True, help="name of the data set, such as ccp")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of the data set")
    which = evaluate.add_mutually_exclusive_group()
    which.add_argument("--ids", type=Path, metavar="FILE", help="the photos, one id a line (default: all)")
    which.add_argument("--fold", type=int, metavar="N", help="the photos of one of the data set's folds")
    evaluate.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the scores go")
    evaluate.add_argument("--keep", action="store_true", help="also write them into the checkpoint's metrics.json")
    stats = commands.add_parser("stats", help="say what a data set holds, in numbers and pictures")
    stats.add_argument("--dataset", required=True, help="name of the data set, such as ccp")
    stats.add_argument("--data", type=Path, required=True, help="folder of the data set")
    stats.add_argument("--out", type=Path, required=True, help="folder of the report")
    stats.add_argument("--ids", type=Path, metavar="FILE", help="the photos, one id a line (default: all)")
    parsed = parser.parse_args(arguments)
    try:
        return {"fit": _fit, "probe": _probe, "evaluate": _evaluate, "stats": _stats}[parsed.command](parsed)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on; a fit does so from its last whole epoch.", file=sys.stderr)
        return 130
    except (CheckpointError, DatasetError, FitError, OSError, PretrainedError, RecipeError) as error:
        print(error, file=sys.stderr)
        return 1


def _fit(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(arguments.recipe, arguments.set)
    if arguments.all:
        outcomes = fit_all(recipe, arguments.data, arguments.out, workers=arguments.workers)
        return int(any(outcome.failure for outcome in outcomes))
    folder = fit(recipe, arguments.data, arguments.out, name=arguments.name, workers=arguments.workers)
    if this_process().is_first:
        print(f"The best epoch is in {folder}.")
    return 0


def _probe(arguments: argparse.Namespace) -> int:
    recipe, grid = load_recipe(arguments.recipe, arguments.set), load_grid(arguments.grid)
    cells = probe(recipe, grid, arguments.data, arguments.out, workers=arguments.workers)
    return int(any(cell.failed for cell in cells))


def _evaluate(arguments: argparse.Namespace) -> int:
    segmenter = Segmenter(load_checkpoint(arguments.checkpoint))
    dataset = open_dataset(arguments.dataset, arguments.data)
    ids, which = list(dataset.ids), "all"
    if arguments.ids:
        ids, which = read_ids(arguments.ids), arguments.ids.name
    elif arguments.fold is not None:
        ids, which = fold_ids(dataset, arguments.fold)[1], f"fold {arguments.fold}"
    check_writable(arguments.json)
    scores = evaluate(segmenter, dataset, ids)
    if not this_process().is_first:
        return 0
    write_json(arguments.json, scores)
    if arguments.keep:
        keep_evaluation(arguments.checkpoint, f"{dataset.name}, {which} ({scores['photos']} photos)", scores)
    shown = {name: f"{score:.4f}" if isinstance(score, float) else "-" for name, score in scores.items()}
    print(
        "mean IoU {mean_iou} (without background {mean_iou_foreground}), F1 {mean_f1}, "
        "pixel accuracy {pixel_accuracy}, binary IoU {binary_iou}".format(**shown),
        f"on {scores['photos']} photos",
    )
    return 0


def _stats(arguments: argparse.Namespace) -> int:
    dataset = open_dataset(arguments.dataset, arguments.data)
    ids = read_ids(arguments.ids) if arguments.ids else dataset.ids
    found = report_statistics(dataset, ids, arguments.out)
    print(*found["faults"]["sentences"], sep="\n")
    for name, values in sorted(found["classes"].items(), key=lambda item: -item[1]["pixels"]):
        print("{:24} {photos:6} photos {share_of_photos:8.2%} {share_of_pixels:8.3%} of pixels".format(name, **values))
    print(f"The pictures are in {arguments.out / 'index.html'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
