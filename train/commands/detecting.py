"""Commands of the person detector: `fit-person`, `list-bystanders`, `evaluate-person`, `evaluate-scenes`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from segmodels.arguments import path_argument
from segmodels.datasets import read_ccp
from segmodels.datasets.flatlay import read_flatlays
from segmodels.device import add_device_arguments
from segmodels.inference.detector import EMBEDDED_DETECTOR, load_detector
from train.analysis.evaluate import check_writable, write_json
from train.analysis.flatlays import choice_ids
from train.commands.shared import MODEL, Subparsers, open_segmenter, photos_of, precision_of, share, whole_number
from train.data.split import fold_ids, read_ids
from train.detector.fit import PersonRecipe, fit_person, list_bystanders
from train.detector.judge import evaluate_person, evaluate_scenes, keep_detector_evaluation

__all__ = ["add_evaluate_person", "add_evaluate_scenes", "add_fit_person", "add_list_bystanders"]


def add_fit_person(commands: Subparsers) -> None:
    """Adds `fit-person`."""
    command = commands.add_parser("fit-person", help="train the person detector; run it again to continue after a stop")
    command.add_argument("--data", type=path_argument, required=True, help="folder of Clothing Co-Parsing")
    command.add_argument("--out", type=path_argument, required=True, help="folder of the run")
    command.add_argument("--epochs", type=partial(whole_number, least=1), default=PersonRecipe.epochs, metavar="N")
    command.add_argument("--start", default="", metavar="DIR", help="folder of a detector to continue from")
    command.add_argument(
        "--blend",
        type=share,
        default=PersonRecipe.blend,
        help="share of the trained weights in those kept; the rest are those of --start (default: 1, all)",
    )
    command.add_argument(
        "--flatlays",
        default="",
        metavar="DIR",
        help="folder of flat-lays, which show nobody (default: none)",
    )
    command.add_argument("--flatlay-masks", default="", metavar="DIR", help="folder that mask-flatlays wrote")
    command.add_argument("--unlisted", action="store_true", help="ignore the stored list of bystanders, to make one")
    add_device_arguments(command)
    command.set_defaults(run=_fit_person)


def add_list_bystanders(commands: Subparsers) -> None:
    """Adds `list-bystanders`."""
    command = commands.add_parser("list-bystanders", help="list the people in the background of the photos")
    command.add_argument("folder", type=path_argument, metavar="RUN", help="folder of a finished fit-person --unlisted")
    command.add_argument("--data", type=path_argument, required=True, help="folder of Clothing Co-Parsing")
    command.add_argument("--out", type=path_argument, required=True, metavar="FILE", help="file for the list (CSV)")
    add_device_arguments(command)
    command.set_defaults(run=_list_bystanders)


def add_evaluate_person(commands: Subparsers) -> None:
    """Adds `evaluate-person`."""
    command = commands.add_parser("evaluate-person", help="evaluate a person detector on photos and made-up scenes")
    command.add_argument("--detector", default="", help="folder of a detector, or coco (default: the one that ships)")
    _add_photos(command)
    command.add_argument("--keep", action="store_true", help="also write the scores into the detector's metrics.json")
    command.add_argument(
        "--flatlays", type=path_argument, metavar="DIR", help="also evaluate on flat-lays, which show nobody"
    )
    add_device_arguments(command)
    command.set_defaults(run=_evaluate_person)


def add_evaluate_scenes(commands: Subparsers) -> None:
    """Adds `evaluate-scenes`."""
    command = commands.add_parser("evaluate-scenes", help="evaluate a checkpoint on made-up scenes")
    command.add_argument("checkpoint", help=MODEL)
    _add_photos(command)
    add_device_arguments(command)
    command.set_defaults(run=_evaluate_scenes)


def _add_photos(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=path_argument, required=True, help="folder of Clothing Co-Parsing")
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--ids", type=path_argument, metavar="FILE", help="list of the photos, one id per line")
    which.add_argument(
        "--fold", type=whole_number, metavar="N", help="the photos of one of the data set's stored folds"
    )
    command.add_argument("--json", type=path_argument, required=True, metavar="FILE", help="file for the scores")


def _fit_person(arguments: argparse.Namespace) -> int:
    recipe = PersonRecipe(
        epochs=arguments.epochs,
        bystanders=not arguments.unlisted,
        start=arguments.start,
        blend=arguments.blend,
        flatlays=arguments.flatlays,
        flatlay_masks=arguments.flatlay_masks,
    )
    print(
        f"The best epoch is in {fit_person(recipe, arguments.data, arguments.out, precision=precision_of(arguments))}."
    )
    return 0


def _list_bystanders(arguments: argparse.Namespace) -> int:
    check_writable(arguments.out)
    found = list_bystanders(arguments.folder, arguments.data, arguments.out, precision=precision_of(arguments))
    print(f"{found} bystanders are listed in {arguments.out}.")
    return 0


def _evaluate_person(arguments: argparse.Namespace) -> int:
    precision = precision_of(arguments)
    detector = load_detector(arguments.detector, precision.device, precision)
    ids = _chosen(arguments)
    check_writable(arguments.json)
    lying = read_flatlays(arguments.flatlays).select(choice_ids()) if arguments.flatlays else None
    scores = evaluate_person(detector, read_ccp(arguments.data), ids, lying)
    write_json(arguments.json, scores)
    if arguments.keep:
        folder = Path(arguments.detector or EMBEDDED_DETECTOR)
        keep_detector_evaluation(folder, photos_of("ccp", len(ids), arguments), scores)
    for name, row in scores.items():
        shown = ", ".join(f"{key} {value:.3f}" for key, value in row.items() if isinstance(value, float))
        print(f"{name} ({row['scenes']}, {row['people']} people): {shown}")
    return 0


def _evaluate_scenes(arguments: argparse.Namespace) -> int:
    segmenter = open_segmenter(arguments.checkpoint, arguments)
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
