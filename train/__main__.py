"""The command line: `python -m train --help` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import train.extra  # noqa: F401  # ends the command with a sentence where the extra is not installed
from segmodels.checkpoints.catalog import list_checkpoints
from segmodels.checkpoints.checkpoint import CheckpointError, load_checkpoint, read_config
from segmodels.datasets import Dataset, DatasetError, read_ccp
from segmodels.datasets.flatlay import read_flatlays
from segmodels.device import DeviceError, Precision, add_device_arguments, pick_device, pick_precision
from segmodels.evaluation.evidence import EvidenceError
from segmodels.evaluation.results import ConditionScore, EvaluatedPhotos, ResultsError
from segmodels.inference.detector import EMBEDDED_DETECTOR, load_detector
from segmodels.inference.segmenter import Segmenter
from train.analysis.conditions import (
    judge_condition,
    judge_flatlay_part,
    judge_wild_photos,
    keep_condition,
)
from train.analysis.crossval import compare, crossval
from train.analysis.dataset_report import report_statistics
from train.analysis.evaluate import check_fold, check_writable, evaluate, folds_of, keep_evaluation, write_json
from train.analysis.flatlays import check_flatlays, choice_ids, training_ids
from train.analysis.framing import FRAMINGS
from train.analysis.grid import load_grid
from train.analysis.probe import probe
from train.analysis.reliability import lines, measure_reliability
from train.analysis.shift import SHIFTS
from train.analysis.suspects import find_suspects, write_suspects
from train.data.flatlay_masks import mask_flatlays
from train.data.split import fold_ids, read_ids
from train.detector.fit import (
    PersonRecipe,
    evaluate_person,
    evaluate_scenes,
    fit_person,
    keep_detector_evaluation,
    list_bystanders,
)
from train.distributed import this_process
from train.publishing.describe import command_of, describe
from train.publishing.ensemble import join
from train.publishing.publish import check_owner, push, repository_of
from train.recipe import Recipe, RecipeError, load_recipe
from train.segmentation.fit import FitError, fit, open_dataset
from train.segmentation.fit_all import fit_all
from train.segmentation.pretrained import PretrainedError
from train.segmentation.pseudo_labels import pseudo_label

_FORESEEN = (
    CheckpointError,
    DatasetError,
    DeviceError,
    EvidenceError,
    FitError,
    OSError,
    PretrainedError,
    RecipeError,
    ResultsError,
)
"""Errors whose message is for the user."""

_WORKERS = min(8, max(1, (os.cpu_count() or 2) - 1))


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; 0 if it did its work, 1 with one sentence on stderr if not."""
    parser = argparse.ArgumentParser(prog="python -m train", description="Fits and judges segmentation networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train a network by a recipe; the same command goes on after a stop")
    fit.add_argument("--all", action="store_true", help="train every architecture by it, each in a folder under --out")
    fit.add_argument("--name", help="name of the checkpoint in the catalog (default: the architecture)")
    fit.add_argument("--push", metavar="OWNER", help="publish what was fitted as OWNER/garmentscope-NAME on the Hub")
    fit.add_argument(
        "--push-fallback",
        action="store_true",
        help="also publish a network that started from random weights as ImageNet's could not be loaded",
    )
    crossval = commands.add_parser("crossval", help="fit and judge one network for each fold")
    crossval.add_argument("--folds", type=int, default=5, metavar="N", help="how many (default: 5)")
    crossval.add_argument("--keep", type=Path, metavar="CHECKPOINT", help="also write the scores into this checkpoint")
    probe = commands.add_parser("probe", help="find out by three short steps which cell of a grid is worth training")
    probe.add_argument("--grid", default="small", help="a TOML file, or the name of a grid that ships (default: small)")
    for command in (fit, crossval, probe):
        command.add_argument("recipe", help="a TOML file, or the name of a recipe that ships, such as own/fpn")
        command.add_argument("--data", type=Path, required=True, help="folder of the data set")
        command.add_argument("--out", type=Path, required=True, help="folder of the run")
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the recipe"
        )
        command.add_argument("--workers", type=int, default=_WORKERS, metavar="N", help="processes that read photos")
    compare = commands.add_parser("compare", help="the difference between two runs on the photos that both judged")
    compare.add_argument("first", type=Path, help="folder of a run of crossval, or of a checkpoint judged with --keep")
    compare.add_argument("second", type=Path, help="the other one")
    evaluate = commands.add_parser("evaluate", help="judge a checkpoint on photos it was not trained on")
    evaluate.add_argument("checkpoint", type=Path, help="folder of the checkpoint, or its name in the catalog")
    evaluate.add_argument(
        "--dataset", required=True, help="name of the data set, such as ccp; or flatlay, or wild, which have no masks"
    )
    evaluate.add_argument("--data", type=Path, required=True, help="folder of the data set")
    which = evaluate.add_mutually_exclusive_group()
    which.add_argument("--ids", type=Path, metavar="FILE", help="the photos, one id a line (default: all)")
    which.add_argument("--fold", type=int, metavar="N", help="the photos of one of the data set's folds")
    evaluate.add_argument(
        "--allow-trained", action="store_true", help="also on a fold on which the checkpoint was trained"
    )
    evaluate.add_argument(
        "--framing",
        choices=[*FRAMINGS, "all"],
        default="full",
        help="cut each photo to this part of the person first, or judge each of the framings (all)",
    )
    evaluate.add_argument(
        "--shift",
        choices=[*SHIFTS, "all"],
        default="",
        help="change each photo first, or judge each of the changes (all)",
    )
    evaluate.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the scores go")
    evaluate.add_argument("--keep", action="store_true", help="also write them into the checkpoint's metrics.json")
    join = commands.add_parser("join", help="join trained networks into one checkpoint that averages them")
    join.add_argument("checkpoints", type=Path, nargs="+", help="folders of the checkpoints; the first finds the crop")
    join.add_argument(
        "--share",
        type=float,
        action="append",
        default=[],
        metavar="S",
        help="of each further one in the average with those before it, between 0 and 1",
    )
    join.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="F",
        help="factors of its input's size at which the first one looks (default: as it does alone)",
    )
    join.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="border of each crop, as a share of the longer side of what was found (default: the first one's)",
    )
    join.add_argument("--out", type=Path, required=True, help="folder of the ensemble")
    describe = commands.add_parser("describe", help="write what a network is and how it scored, without its weights")
    describe.add_argument("recipe", help="that trains it: a TOML file, or the name of a recipe that ships")
    describe.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the recipe")
    describe.add_argument("--data", type=Path, required=True, help="folder of the data set")
    describe.add_argument("--checkpoint", type=Path, help="trained by it; its numbers are taken (default: none yet)")
    describe.add_argument("--out", type=Path, required=True, help="folder of the description, named as in the catalog")
    publish = commands.add_parser("push", help="publish a checkpoint on the Hugging Face Hub")
    publish.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    publish.add_argument("repository", metavar="OWNER/REPO", help="made if there is none")
    publish.add_argument("--private", action="store_true", help="for its owner only")
    publish.add_argument("--message", default="", help="of the commit (default: says what it is)")
    suspects = commands.add_parser("suspects", help="list the photos whose ground truth a checkpoint doubts most")
    suspects.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    suspects.add_argument("--dataset", required=True, help="name of the data set, such as ccp")
    suspects.add_argument("--data", type=Path, required=True, help="folder of the data set")
    suspects.add_argument("--ids", type=Path, metavar="FILE", help="the photos, one id a line (default: all)")
    suspects.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the list goes (CSV)")
    trust = commands.add_parser(
        "reliability", help="measure on tagged photos how far a count of garments can be trusted"
    )
    trust.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    trust.add_argument("--data", type=Path, required=True, help="folder of Clothing Co-Parsing")
    trust.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the numbers go")
    stats = commands.add_parser("stats", help="say what a data set holds, in numbers and pictures")
    stats.add_argument("--dataset", required=True, help="name of the data set, such as ccp")
    stats.add_argument("--data", type=Path, required=True, help="folder of the data set")
    stats.add_argument("--out", type=Path, required=True, help="folder of the report")
    stats.add_argument("--ids", type=Path, metavar="FILE", help="the photos, one id a line (default: all)")
    stats.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the numbers also go (the dashboard's: dashboard/data/ccp.json)",
    )
    pseudo = commands.add_parser("pseudo-label", help="write masks for photos that have only tags, by trained networks")
    pseudo.add_argument("checkpoints", type=Path, nargs="+", help="folders of the checkpoints that are asked")
    pseudo.add_argument("--data", type=Path, required=True, help="folder of Clothing Co-Parsing")
    pseudo.add_argument("--out", type=Path, required=True, help="where the masks go")
    lying = commands.add_parser("mask-flatlays", help="write masks for flat-lays, which have a label and no mask")
    lying.add_argument("checkpoint", type=Path, help="folder of a checkpoint that is asked where the outline is unsure")
    lying.add_argument("--data", type=Path, required=True, help="folder of the flat-lays")
    lying.add_argument("--out", type=Path, required=True, help="where the masks go; the same command goes on")
    person = commands.add_parser("fit-person", help="train the person detector; the same command goes on after a stop")
    person.add_argument("--data", type=Path, required=True, help="folder of Clothing Co-Parsing")
    person.add_argument("--out", type=Path, required=True, help="folder of the run")
    person.add_argument("--epochs", type=int, default=PersonRecipe.epochs, metavar="N")
    person.add_argument("--start", default="", metavar="DIR", help="folder of a detector to go on from")
    person.add_argument(
        "--flatlays",
        default="",
        metavar="DIR",
        help="folder of flat-lays, in which nobody is to be found (default: none)",
    )
    person.add_argument("--flatlay-masks", default="", metavar="DIR", help="folder that mask-flatlays wrote")
    person.add_argument("--unlisted", action="store_true", help="without the stored list of bystanders, to make one")
    bystanders = commands.add_parser("list-bystanders", help="list who stands in the background of the photos")
    bystanders.add_argument("run", type=Path, help="folder of a finished fit-person --unlisted")
    bystanders.add_argument("--data", type=Path, required=True, help="folder of Clothing Co-Parsing")
    bystanders.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the list goes (CSV)")
    find = commands.add_parser("evaluate-person", help="judge a person detector on photos and made-up scenes")
    find.add_argument("--detector", default="", help="folder of a detector, or coco (default: the one that ships)")
    scenes = commands.add_parser("evaluate-scenes", help="judge a checkpoint on made-up scenes")
    scenes.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    for command in (find, scenes):
        command.add_argument("--data", type=Path, required=True, help="folder of Clothing Co-Parsing")
        which = command.add_mutually_exclusive_group(required=True)
        which.add_argument("--ids", type=Path, metavar="FILE", help="the photos, one id a line")
        which.add_argument("--fold", type=int, metavar="N", help="the photos of one of the data set's stored folds")
        command.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the scores go")
    find.add_argument("--keep", action="store_true", help="also write them into the detector's metrics.json")
    find.add_argument("--flatlays", type=Path, metavar="DIR", help="also judge it on flat-lays, which show nobody")
    for command in (fit, crossval, probe, evaluate, suspects, trust, pseudo, lying, person, bystanders, find, scenes):
        add_device_arguments(command)
    parsed = parser.parse_args(arguments)
    try:
        return _COMMANDS[parsed.command](parsed)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on; a fit does so from its last whole epoch.", file=sys.stderr)
        return 130
    except _FORESEEN as error:
        print(error, file=sys.stderr)
        return 1


def _precision(arguments: argparse.Namespace) -> Precision:
    """The device and the number format that a command asks for."""
    return pick_precision(arguments.precision, pick_device(arguments.device))


def _folder_of(checkpoint: Path) -> Path:
    """The folder of a checkpoint that a command names: a path, or a name in the catalog."""
    by_name = {entry.name: entry.folder for entry in list_checkpoints()}
    return checkpoint if checkpoint.exists() else by_name.get(str(checkpoint), checkpoint)


def _segmenter(folder: Path, arguments: argparse.Namespace) -> Segmenter:
    precision = _precision(arguments)
    return Segmenter(load_checkpoint(folder), precision.device, precision=precision)


def _fit(arguments: argparse.Namespace) -> int:
    recipe, precision = load_recipe(arguments.recipe, arguments.set), _precision(arguments)
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
    dataset = open_dataset(recipe.dataset, arguments.data)
    ids = fold_ids(dataset, recipe.fold, recipe.folds)[1]
    judgement = evaluate(_segmenter(folder, arguments), dataset, ids, fold=recipe.fold)
    if this_process().is_first:
        photos = EvaluatedPhotos(
            dataset=dataset.name, split="fold", fold=recipe.fold, number=judgement.scores["photos"]
        )
        keep_evaluation(folder, photos, judgement)


def _join(arguments: argparse.Namespace) -> int:
    folder = join(
        arguments.checkpoints, arguments.share, arguments.out, scales=arguments.scales, margin=arguments.margin
    )
    print(f"The ensemble is in {folder}. Judge it: python -m train evaluate {folder} ...")
    return 0


def _describe(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(arguments.recipe, arguments.set)
    command = command_of(arguments.recipe, arguments.set, arguments.out.name)
    dataset = open_dataset(recipe.dataset, arguments.data)
    print(f"{describe(recipe, dataset, command, arguments.out, arguments.checkpoint)} describes what {command} trains.")
    return 0


def _push(arguments: argparse.Namespace) -> int:
    published = push(arguments.checkpoint, arguments.repository, private=arguments.private, message=arguments.message)
    print(f"{published.address} holds {arguments.checkpoint}, commit {published.commit}.")
    return 0


def _crossval(arguments: argparse.Namespace) -> int:
    recipe = load_recipe(arguments.recipe, arguments.set)
    metrics = crossval(
        recipe,
        arguments.data,
        arguments.out,
        folds=arguments.folds,
        workers=arguments.workers,
        keep=arguments.keep,
        precision=_precision(arguments),
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
    print(compare(arguments.first, arguments.second))
    return 0


def _probe(arguments: argparse.Namespace) -> int:
    recipe, grid = load_recipe(arguments.recipe, arguments.set), load_grid(arguments.grid)
    cells = probe(
        recipe, grid, arguments.data, arguments.out, workers=arguments.workers, precision=_precision(arguments)
    )
    return int(any(cell.failed for cell in cells))


def _evaluate(arguments: argparse.Namespace) -> int:
    arguments.checkpoint = _folder_of(arguments.checkpoint)
    segmenter = _segmenter(arguments.checkpoint, arguments)
    if arguments.dataset in _WITHOUT_MASKS:
        return _WITHOUT_MASKS[arguments.dataset](segmenter, arguments)
    dataset = open_dataset(arguments.dataset, arguments.data)
    ids = list(dataset.ids)
    if arguments.ids:
        ids = read_ids(arguments.ids)
    elif arguments.fold is not None:
        config = segmenter.checkpoint.config
        if not arguments.allow_trained:
            check_fold(config, dataset.name, arguments.fold)
        ids = fold_ids(dataset, arguments.fold, folds_of(config))[1]
    check_writable(arguments.json)
    if (arguments.framing, arguments.shift) != ("full", ""):
        return _evaluate_conditions(segmenter, dataset, ids, arguments)
    judgement = evaluate(segmenter, dataset, ids, fold=arguments.fold)
    scores = judgement.scores
    if not this_process().is_first:
        return 0
    write_json(arguments.json, scores)
    if arguments.keep:
        keep_evaluation(arguments.checkpoint, _photos(dataset.name, scores["photos"], arguments), judgement)
    shown = {name: f"{score:.4f}" if isinstance(score, float) else "-" for name, score in scores.items()}
    print(
        "mean IoU {mean_iou} (without background {mean_iou_foreground}), F1 {mean_f1}, "
        "pixel accuracy {pixel_accuracy}, binary IoU {binary_iou}".format(**shown),
        f"on {scores['photos']} photos",
    )
    return 0


def _photos(dataset: str, number: int, arguments: argparse.Namespace) -> EvaluatedPhotos:
    """The photos that a command names by `--ids`, by `--fold` or by neither."""
    if arguments.ids:
        return EvaluatedPhotos(dataset=dataset, split="ids", ids_file=arguments.ids.name, number=number)
    split: Literal["all", "fold"] = "all" if arguments.fold is None else "fold"
    return EvaluatedPhotos(dataset=dataset, split=split, fold=arguments.fold, number=number)


def _evaluate_conditions(segmenter: Segmenter, dataset: Dataset, ids: list[str], arguments: argparse.Namespace) -> int:
    """Judges on photos that are cut or changed first; with `all`, the JSON holds the scores by name."""
    framings = list(FRAMINGS) if arguments.framing == "all" else [arguments.framing]
    shifts = list(SHIFTS) if arguments.shift == "all" else [arguments.shift]
    photos = _photos(dataset.name, len(ids), arguments)
    found = {}
    for framing in framings:
        for shift in shifts:
            scores = judge_condition(segmenter, dataset, ids, framing, shift)
            kind = "whole" if framing == "full" else "framing"
            condition = ConditionScore(kind=kind, framing=framing, shift=shift, photos=photos, scores=scores)
            found[condition.name] = scores
            if not this_process().is_first:
                continue
            if arguments.keep:
                keep_condition(arguments.checkpoint, condition)
            print(f"{condition.name}: {condition.score:.4f} on {scores['photos']} photos")
    if this_process().is_first:
        write_json(
            arguments.json, found if "all" in (arguments.framing, arguments.shift) else next(iter(found.values()))
        )
    return 0


def _evaluate_flatlays(segmenter: Segmenter, arguments: argparse.Namespace) -> int:
    _refuse(arguments, "flatlay", "fold", "framing", "shift")
    ids = read_ids(arguments.ids) if arguments.ids else None
    if ids and not arguments.allow_trained:
        check_flatlays(segmenter.checkpoint.config.training, arguments.data, ids)
    check_writable(arguments.json)
    scores = judge_flatlay_part(segmenter, arguments.data, ids)
    if not this_process().is_first:
        return 0
    write_json(arguments.json, scores)
    if arguments.keep:
        photos = _photos("flatlay", scores["photos"], arguments)
        photos = photos if arguments.ids else replace(photos, split="test")
        keep_condition(arguments.checkpoint, ConditionScore(kind="flatlay", photos=photos, scores=scores))
    print(f"{scores['right']:.3f} right, {scores['score']:.3f} as mean over the classes, on {scores['photos']} photos")
    for name, row in scores["classes"].items():
        taken = ", ".join(f"{found} {count}" for found, count in row["taken_for"].items())
        print(f"{name:12} {row['right']:.2f} of {row['photos']} ({taken})")
    return 0


def _evaluate_wild(segmenter: Segmenter, arguments: argparse.Namespace) -> int:
    _refuse(arguments, "wild", "ids", "fold", "framing", "shift")
    check_writable(arguments.json)
    scores = judge_wild_photos(segmenter, arguments.data)
    if not this_process().is_first:
        return 0
    write_json(arguments.json, scores)
    if arguments.keep:
        photos = EvaluatedPhotos(dataset="wild", number=scores["photos"])
        keep_condition(arguments.checkpoint, ConditionScore(kind="wild", photos=photos, scores=scores))
    print("micro F1 {score:.3f}: {hits} found, {false_alarms} false alarms, {missed} missed".format(**scores))
    for name, row in scores["classes"].items():
        print("{:12} {hits} found, {false_alarms} false alarms, {missed} missed".format(name, **row))
    return 0


def _refuse(arguments: argparse.Namespace, dataset: str, *names: str) -> None:
    """Refuses options that a data set without masks cannot have."""
    for name in names:
        if getattr(arguments, name) not in (None, "", "full"):
            raise DatasetError(f"{dataset} has no masks and no folds: leave --{name} out.")


def _reliability(arguments: argparse.Namespace) -> int:
    segmenter = _segmenter(arguments.checkpoint, arguments)
    check_writable(arguments.json)
    found = measure_reliability(segmenter, arguments.data)
    write_json(arguments.json, found)
    for measured in found.values():
        print(*lines(measured), sep="\n")
    return 0


def _suspects(arguments: argparse.Namespace) -> int:
    segmenter = _segmenter(arguments.checkpoint, arguments)
    dataset = open_dataset(arguments.dataset, arguments.data)
    check_writable(arguments.out)
    found = find_suspects(segmenter, dataset, read_ids(arguments.ids) if arguments.ids else dataset.ids)
    write_suspects(arguments.out, found)
    for each in found[:20]:
        print(f"{each.photo_id}: {each.doubt:.2f}, mostly {each.truth} that looks like {each.seen} ({each.share:.0%})")
    return 0


def _stats(arguments: argparse.Namespace) -> int:
    dataset = open_dataset(arguments.dataset, arguments.data)
    ids = read_ids(arguments.ids) if arguments.ids else dataset.ids
    if arguments.json:
        check_writable(arguments.json)
    found = report_statistics(dataset, ids, arguments.out)
    if arguments.json:
        write_json(arguments.json, found)
    print(*found["faults"]["sentences"], sep="\n")
    for name, values in sorted(found["classes"].items(), key=lambda item: -item[1]["pixels"]):
        print("{:24} {photos:6} photos {share_of_photos:8.2%} {share_of_pixels:8.3%} of pixels".format(name, **values))
    print(f"The pictures are in {arguments.out / 'index.html'}.")
    return 0


def _pseudo_label(arguments: argparse.Namespace) -> int:
    teachers = [_segmenter(folder, arguments) for folder in arguments.checkpoints]
    summary = pseudo_label(teachers, arguments.data, arguments.out)
    if not this_process().is_first:
        return 0
    for name, asserted in summary["asserted"].items():
        if asserted:
            print(f"{name:12} found in {summary['found_where_asserted'][name]} of {asserted} photos that have its tag")
    print(f"{summary['photos']} masks are in {arguments.out}; {summary['share_unlabelled']:.1%} of pixels unlabelled.")
    return 0


def _mask_flatlays(arguments: argparse.Namespace) -> int:
    segmenter = _segmenter(arguments.checkpoint, arguments)
    flatlays = read_flatlays(arguments.data)
    found = mask_flatlays(flatlays.select(training_ids(flatlays)), arguments.out, segmenter)
    for reason, count in found["dropped"].items():
        print(f"{count} left out: {reason}")
    print(f"{found['kept']} masks of {found['photos']} photos are in {arguments.out}.")
    return 0


def _fit_person(arguments: argparse.Namespace) -> int:
    recipe = PersonRecipe(
        epochs=arguments.epochs,
        bystanders=not arguments.unlisted,
        start=arguments.start,
        flatlays=arguments.flatlays,
        flatlay_masks=arguments.flatlay_masks,
    )
    print(f"The best epoch is in {fit_person(recipe, arguments.data, arguments.out, precision=_precision(arguments))}.")
    return 0


def _list_bystanders(arguments: argparse.Namespace) -> int:
    check_writable(arguments.out)
    found = list_bystanders(arguments.run, arguments.data, arguments.out, precision=_precision(arguments))
    print(f"{found} bystanders are listed in {arguments.out}.")
    return 0


def _evaluate_person(arguments: argparse.Namespace) -> int:
    precision = _precision(arguments)
    detector = load_detector(arguments.detector, precision.device, precision)
    ids = _chosen(arguments)
    check_writable(arguments.json)
    lying = read_flatlays(arguments.flatlays).select(choice_ids()) if arguments.flatlays else None
    scores = evaluate_person(detector, read_ccp(arguments.data), ids, lying)
    write_json(arguments.json, scores)
    if arguments.keep:
        folder = Path(arguments.detector or EMBEDDED_DETECTOR)
        keep_detector_evaluation(folder, _photos("ccp", len(ids), arguments), scores)
    for name, row in scores.items():
        shown = ", ".join(f"{key} {value:.3f}" for key, value in row.items() if isinstance(value, float))
        print(f"{name} ({row['scenes']}, {row['people']} people): {shown}")
    return 0


def _evaluate_scenes(arguments: argparse.Namespace) -> int:
    segmenter = _segmenter(arguments.checkpoint, arguments)
    ids = _chosen(arguments)
    check_writable(arguments.json)
    scores = evaluate_scenes(segmenter, read_ccp(arguments.data), ids)
    write_json(arguments.json, scores)
    for name, row in scores.items():
        print(
            f"{name}: mean IoU {row['mean_iou']:.3f}, pixel accuracy {row['pixel_accuracy']:.4f}, binary IoU "
            f"{row['binary_iou']:.3f}, the right number of people in {row['people_found']:.2f} of {row['scenes']}"
        )
    return 0


def _chosen(arguments: argparse.Namespace) -> list[str]:
    """Ids of the photos of Clothing Co-Parsing that a command names."""
    return read_ids(arguments.ids) if arguments.ids else fold_ids("ccp", arguments.fold)[1]


_WITHOUT_MASKS: Mapping[str, Callable[[Segmenter, argparse.Namespace], int]] = {
    "flatlay": _evaluate_flatlays,
    "wild": _evaluate_wild,
}
"""What `evaluate` does with data sets whose photos have labels and no masks."""


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "fit": _fit,
    "crossval": _crossval,
    "compare": _compare,
    "probe": _probe,
    "evaluate": _evaluate,
    "reliability": _reliability,
    "describe": _describe,
    "join": _join,
    "push": _push,
    "suspects": _suspects,
    "stats": _stats,
    "pseudo-label": _pseudo_label,
    "mask-flatlays": _mask_flatlays,
    "fit-person": _fit_person,
    "list-bystanders": _list_bystanders,
    "evaluate-person": _evaluate_person,
    "evaluate-scenes": _evaluate_scenes,
}


if __name__ == "__main__":
    sys.exit(main())
