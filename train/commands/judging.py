"""Commands that judge a checkpoint, its counts or a data set.

`evaluate`, `calibrate`, `truth`, `suspects`, `reliability`, `stats` and `check-data`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segmodels.arguments import path_argument
from segmodels.checkpoints.config import check_config
from segmodels.datasets import Dataset, DatasetError, dataset_name, open_dataset
from segmodels.datasets.flatlay import read_flatlays
from segmodels.datasets.kinds import save_kinds_table
from segmodels.device import add_device_arguments
from segmodels.evaluation.results import ConditionScore, EvaluatedPhotos
from segmodels.foreign.formats import home_of
from segmodels.inference.presence import CALIBRATION_FILE, LIKELY
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import ClassMapping
from segmodels.sentences import counted
from train.analysis.calibration import (
    fit,
    judge,
    judgement_sentence,
    keep_calibration,
    observe_flatlays,
    observe_framings,
)
from train.analysis.conditions import (
    judge_condition,
    judge_flatlay_part,
    judge_wild_photos,
    keep_condition,
)
from train.analysis.data_check import check_data, suggest_folds, write_check, write_split
from train.analysis.dataset_report import report_statistics
from train.analysis.evaluate import (
    check_fold,
    check_writable,
    evaluate,
    folds_of,
    keep_evaluation,
    split_as_trained,
    write_json,
)
from train.analysis.flatlays import check_flatlays, choice_ids
from train.analysis.framing import FRAMINGS
from train.analysis.maps import check_maps_folder, evaluate_maps, keep_maps
from train.analysis.reliability import lines, measure_reliability
from train.analysis.shift import SHIFTS
from train.analysis.suspects import find_suspects, write_suspects
from train.analysis.truth import compare_with_truth
from train.commands.shared import (
    MODEL,
    Subparsers,
    add_mapping,
    find,
    keep_mapping,
    open_segmenter,
    own_folder,
    own_mappings,
    photos_of,
    whole_number,
)
from train.data.split import FOLDS, SPLIT_FILE, check_fold_number, fold_ids, read_ids
from train.distributed import this_process
from train.provenance import fits_behind

__all__ = [
    "add_calibrate",
    "add_check_data",
    "add_evaluate",
    "add_reliability",
    "add_stats",
    "add_suspects",
    "add_truth",
]


_DATASET = (
    "name of the data set, such as ccp, or a source: coco:FILE.json, masks:FOLDER, yolo:FILE.yaml, "
    "labelstudio:FILE.json, cvat:FILE.xml (or its folder or ZIP), hub:OWNER/NAME (or a folder)"
)
_DATA = "folder of the data set; of a source, of its photos, where they do not lie with it"


def add_evaluate(commands: Subparsers) -> None:
    """Adds `evaluate`."""
    command = commands.add_parser("evaluate", help="evaluate a checkpoint on photos it was not trained on")
    command.add_argument("checkpoint", nargs="?", help=MODEL)
    command.add_argument(
        "--maps",
        type=path_argument,
        metavar="DIR",
        help="evaluate class maps made elsewhere instead: PNGs named like the photos, and classes.txt",
    )
    command.add_argument("--out", type=path_argument, metavar="DIR", help="folder for the scores of --maps")
    command.add_argument("--source", default="", metavar="TEXT", help="with --maps: where they are from")
    command.add_argument("--licence", default="", metavar="TEXT", help="with --maps: their licence")
    add_mapping(command)
    command.add_argument("--dataset", required=True, help=f"{_DATASET}; or flatlay, or wild, which have no masks")
    command.add_argument("--data", type=path_argument, help=_DATA)
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--ids", type=path_argument, metavar="FILE", help="list of the photos, one id per line (default: all)"
    )
    which.add_argument("--fold", type=whole_number, metavar="N", help="the photos of one of the data set's folds")
    command.add_argument(
        "--allow-trained", action="store_true", help="also evaluate on a fold that the checkpoint was trained on"
    )
    command.add_argument("--crop", help="find regions of interest by this rule instead: person, box, found or none")
    command.add_argument(
        "--opening-kernel",
        type=int,
        metavar="N",
        help="open each class's probabilities by a square of N pixels; 0: off",
    )
    command.add_argument(
        "--framing",
        choices=[*FRAMINGS, "all"],
        default="full",
        help="crop each photo to this part of the person first, or evaluate every framing (all)",
    )
    command.add_argument(
        "--shift",
        choices=[*SHIFTS, "all"],
        default="",
        help="change each photo first, or evaluate every change (all)",
    )
    command.add_argument(
        "--json", type=path_argument, metavar="FILE", help="file for the scores; needed without --maps"
    )
    command.add_argument("--keep", action="store_true", help="also write the scores into the checkpoint's metrics.json")
    add_device_arguments(command)
    command.set_defaults(run=_evaluate, wrong_usage=command.error)


def add_calibrate(commands: Subparsers) -> None:
    """Adds `calibrate`."""
    command = commands.add_parser(
        "calibrate", help="fit the probability that a garment is worn, on photos that a checkpoint never saw"
    )
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("--dataset", default="ccp", help="name of the data set (default: ccp)")
    command.add_argument("--data", type=path_argument, required=True, help="folder of the data set")
    command.add_argument(
        "--fold", type=whole_number, metavar="N", help="fold to fit on (default: the one that was left out)"
    )
    command.add_argument(
        "--flatlays", type=path_argument, metavar="DIR", help="folder of flat-lays to fit and judge on as well"
    )
    command.add_argument(
        "--ids", type=path_argument, metavar="FILE", help="list of other photos to judge on, one id per line"
    )
    add_device_arguments(command)
    command.set_defaults(run=_calibrate)


def add_truth(commands: Subparsers) -> None:
    """Adds `truth`."""
    command = commands.add_parser("truth", help="compare counts of garments, pairs and colours with the ground truth")
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("--dataset", default="ccp", help="name of the data set (default: ccp)")
    command.add_argument("--data", type=path_argument, required=True, help="folder of the data set")
    command.add_argument(
        "--ids", type=path_argument, required=True, metavar="FILE", help="list of photos that it was not trained on"
    )
    command.add_argument("--framing", choices=list(FRAMINGS), default="full", help="crop each photo to this part first")
    command.add_argument("--json", type=path_argument, metavar="FILE", help="file for all numbers, in addition")
    add_device_arguments(command)
    command.set_defaults(run=_truth)


def add_suspects(commands: Subparsers) -> None:
    """Adds `suspects`."""
    command = commands.add_parser("suspects", help="list the photos whose ground truth a checkpoint doubts most")
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("--dataset", required=True, help=_DATASET)
    command.add_argument("--data", type=path_argument, help=_DATA)
    command.add_argument(
        "--ids", type=path_argument, metavar="FILE", help="list of the photos, one id per line (default: all)"
    )
    command.add_argument("--out", type=path_argument, required=True, metavar="FILE", help="file for the list (CSV)")
    add_device_arguments(command)
    command.set_defaults(run=_suspects)


def add_reliability(commands: Subparsers) -> None:
    """Adds `reliability`."""
    command = commands.add_parser("reliability", help="measure on tagged photos how reliable counts of garments are")
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("--data", type=path_argument, required=True, help="folder of Clothing Co-Parsing")
    command.add_argument("--json", type=path_argument, required=True, metavar="FILE", help="file for the numbers")
    add_device_arguments(command)
    command.set_defaults(run=_reliability)


def add_stats(commands: Subparsers) -> None:
    """Adds `stats`."""
    command = commands.add_parser("stats", help="describe a data set in numbers and pictures")
    command.add_argument("--dataset", required=True, help=_DATASET)
    command.add_argument("--data", type=path_argument, help=_DATA)
    command.add_argument("--out", type=path_argument, required=True, help="folder of the report")
    command.add_argument(
        "--ids", type=path_argument, metavar="FILE", help="list of the photos, one id per line (default: all)"
    )
    command.add_argument(
        "--json",
        type=path_argument,
        metavar="FILE",
        help="file for the numbers, in addition (the dashboard's: dashboard/data/ccp.json)",
    )
    command.set_defaults(run=_stats)


def add_check_data(commands: Subparsers) -> None:
    """Adds `check-data`."""
    command = commands.add_parser("check-data", help="read a whole data set and say what is in it and what is wrong")
    command.add_argument("source", help=_DATASET)
    command.add_argument("--data", type=path_argument, help=_DATA)
    command.add_argument(
        "--group-by",
        metavar="WHAT",
        help="keep together in the split what is in one folder (folder), or has one value in a column of the source or "
        "of a table (FILE.csv:COLUMN)",
    )
    command.add_argument(
        "--save-kinds",
        action="store_true",
        help="first write kinds.csv into the data set's folder: a table to edit, which says which names are kinds of "
        "which class; supercategories are classes",
    )
    command.add_argument(
        "--save-split", action="store_true", help="also write split.csv into the data set's folder, where fit finds it"
    )
    command.add_argument(
        "--out", type=path_argument, metavar="DIR", help="folder for a picture, the split and what is wrong"
    )
    command.set_defaults(run=_check_data)


def _calibrate(arguments: argparse.Namespace) -> int:
    folder = own_folder(arguments.checkpoint)
    dataset = open_dataset(arguments.dataset, arguments.data)
    segmenter = open_segmenter(arguments.checkpoint, arguments, with_calibration=False, with_kinds=False)
    config = segmenter.checkpoint.config
    dataset = split_as_trained(dataset, config)
    fold = config.training.get("recipe", {}).get("fold", -1) if arguments.fold is None else arguments.fold
    if fold == -1:
        raise DatasetError(
            f"{segmenter.checkpoint.name} was trained on all folds, so none of them can calibrate it. Train it with a "
            "fold left out, or name one with --fold that it has not seen."
        )
    check_fold(config, dataset.name, fold)
    ids = fold_ids(dataset, fold, folds_of(config))[1]
    others = read_ids(arguments.ids) if arguments.ids else []
    if both := sorted(set(ids) & set(others)):
        raise DatasetError(f"{both[0]} is in fold {fold}, which fits, and in {arguments.ids}, which judges. Remove it.")
    photos = EvaluatedPhotos(dataset=dataset.name, split="fold", fold=fold)
    for wanted in (ids, others):  # what is missing, or cannot be written, is known before the hours of work
        dataset.select(wanted)
    flatlays = read_flatlays(arguments.flatlays) if arguments.flatlays else None
    if flatlays:
        check_flatlays(config.training, arguments.flatlays, choice_ids())
        chosen, test = flatlays.select(choice_ids()), flatlays.part("test")
    for name in (CALIBRATION_FILE, f".{CALIBRATION_FILE}"):  # the file, and a new one beside it that takes its place
        check_writable(folder / name)
    samples = observe_framings(segmenter, dataset, ids)
    samples += observe_flatlays(segmenter, chosen) if flatlays else []
    calibration = fit(samples, segmenter.taxonomy, photos, "flatlay_choice.txt")
    judged = observe_framings(segmenter, dataset, others) if others else []
    judged += observe_flatlays(segmenter, test) if flatlays else []
    where = EvaluatedPhotos(dataset=dataset.name, split="ids", ids_file=arguments.ids.name if arguments.ids else "")
    scores = tuple(judge(calibration, judged, segmenter.taxonomy, where))
    calibration = replace(calibration, judged_on=scores, weights=segmenter.checkpoint.revision)
    keep_calibration(folder, calibration)
    for each in (*calibration.fitted_on, *calibration.judged_on):
        print(judgement_sentence(each))
    return 0


def _truth(arguments: argparse.Namespace) -> int:
    dataset = open_dataset(arguments.dataset, arguments.data)
    if arguments.json:
        check_writable(arguments.json)
    segmenter = open_segmenter(arguments.checkpoint, arguments)
    compared = compare_with_truth(segmenter, dataset, read_ids(arguments.ids), arguments.framing)
    if arguments.json:
        write_json(arguments.json, compared.to_json())
    print("\n".join(compared.lines()))
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    if arguments.maps:
        return _evaluate_maps(arguments)
    if arguments.checkpoint is None or arguments.json is None:
        arguments.wrong_usage("a checkpoint and --json FILE are needed, or --maps DIR and --out DIR")
    for name in ("out", "source", "licence"):
        if getattr(arguments, name):
            arguments.wrong_usage(f"--{name} goes with --maps")
    own_mappings(arguments.mapping)  # before anything is loaded: whether the file that is named can be used
    folder = own_folder(arguments.checkpoint) if arguments.keep else home_of(find(arguments.checkpoint).folder)
    if without_masks := _WITHOUT_MASKS.get(arguments.dataset):
        if arguments.data is None:
            raise DatasetError(f"Name the folder of {arguments.dataset} with --data.")
        return without_masks(_segmenter_to_judge(arguments), arguments)
    dataset = open_dataset(arguments.dataset, arguments.data)
    segmenter = _segmenter_to_judge(arguments)
    ids = list(dataset.ids)
    if arguments.ids:
        ids = read_ids(arguments.ids)
    elif arguments.fold is not None:
        config = segmenter.checkpoint.config
        check_fold_number(dataset, arguments.fold, folds_of(config))
        if not arguments.allow_trained:
            check_fold(config, dataset.name, arguments.fold)
        dataset = split_as_trained(dataset, config, allow_other=arguments.allow_trained)
        ids = fold_ids(dataset, arguments.fold, folds_of(config))[1]
    check_writable(arguments.json)
    if (arguments.framing, arguments.shift) != ("full", ""):
        return _evaluate_conditions(segmenter, dataset, ids, arguments)
    own = _mappings_for(dataset, segmenter, arguments, folder)
    judgement = evaluate(segmenter, dataset, ids, fold=arguments.fold, own=own)
    scores = judgement.scores
    if not this_process().is_first:
        return 0
    if not arguments.ids and arguments.fold is None:
        _say_learned(segmenter, dataset)
    write_json(arguments.json, scores)
    if arguments.keep:
        keep_evaluation(folder, photos_of(dataset.name, scores["photos"], arguments), judgement)
        if arguments.mapping and not judgement.common.is_whole:
            keep_mapping(arguments.mapping, folder)
    _print_scores(scores)
    return 0


def _say_learned(segmenter: Segmenter, dataset: Dataset) -> None:
    """Says that a checkpoint learned from photos of the whole data set on which it was judged."""
    config = segmenter.checkpoint.config
    behind = [fit for _, fit in fits_behind(config.training) if dataset_name(str(fit["dataset"])) == dataset.name]
    if behind:
        left_out = behind[0]["fold"]
        advice = (
            f"Judge it on --fold {left_out}, which chose it, or on others." if left_out >= 0 else "Judge it on others."
        )
        print(f"{segmenter.checkpoint.name} learned from some of these photos. {advice}", file=sys.stderr)


def _mappings_for(
    dataset: Dataset, segmenter: Segmenter, arguments: argparse.Namespace, folder: Path
) -> list[ClassMapping]:
    """Mappings of one's own; that of the checkpoint, which may be damaged, only where the taxonomies differ."""
    same = dataset.taxonomy.matches(segmenter.taxonomy)
    return own_mappings(arguments.mapping, *([] if same else [folder]))


def _print_scores(scores: Mapping[str, Any]) -> None:
    shown = {name: f"{score:.4f}" if isinstance(score, float) else "-" for name, score in scores.items()}
    print(
        "mean IoU {mean_iou} (without background {mean_iou_foreground}), F1 {mean_f1}, "
        "pixel accuracy {pixel_accuracy}, binary IoU {binary_iou}".format(**shown),
        f"on {counted(scores['photos'], 'photo')}",
    )
    if "classes_scored" in scores:
        print(scores["classes_scored"])


def _evaluate_maps(arguments: argparse.Namespace) -> int:
    """Judges class maps that were made elsewhere."""
    if arguments.checkpoint is not None or arguments.out is None or arguments.keep:
        arguments.wrong_usage("--maps needs --out DIR, and takes neither a checkpoint nor --keep")
    if arguments.dataset in _WITHOUT_MASKS or (arguments.framing, arguments.shift) != ("full", ""):
        raise DatasetError(
            "Maps are evaluated on whole photos with masks. Choose another --dataset, without --framing."
        )
    check_maps_folder(arguments.out)
    if arguments.json:
        check_writable(arguments.json)
    dataset = open_dataset(arguments.dataset, arguments.data)
    ids = list(dataset.ids)
    if arguments.ids:
        ids = read_ids(arguments.ids)
    elif arguments.fold is not None:
        ids = fold_ids(dataset, arguments.fold, FOLDS)[1]
    own = own_mappings(arguments.mapping, arguments.maps, arguments.out)
    judgement, taxonomy = evaluate_maps(arguments.maps, dataset, ids, own, fold=arguments.fold)
    photos = photos_of(dataset.name, judgement.scores["photos"], arguments)
    keep_maps(arguments.out, taxonomy, photos, judgement, source=arguments.source, licence=arguments.licence)
    if arguments.mapping and not judgement.common.is_whole:
        keep_mapping(arguments.mapping, arguments.out)
    if arguments.json:
        write_json(arguments.json, judgement.scores)
    _print_scores(judgement.scores)
    print(f"The scores are in {arguments.out}. With GARMENTSCOPE_MODELS={arguments.out.parent} Evaluation shows them.")
    return 0


def _segmenter_to_judge(arguments: argparse.Namespace) -> Segmenter:
    """The model that `evaluate` names, used as its options say."""
    segmenter = open_segmenter(arguments.checkpoint, arguments)
    _use_otherwise(segmenter, arguments)
    return segmenter


def _use_otherwise(segmenter: Segmenter, arguments: argparse.Namespace) -> None:
    """Changes how a checkpoint is used, for this evaluation only."""
    wanted = {"crop": arguments.crop, "opening_kernel": arguments.opening_kernel}
    changes = {key: value for key, value in wanted.items() if value is not None}
    if changes and arguments.keep:
        raise DatasetError("--crop and --opening-kernel try out another use of the checkpoint. Leave out --keep.")
    if not changes:
        return
    config = replace(segmenter.checkpoint.config, **changes)
    check_config(config, Path(arguments.checkpoint) / "config.json")
    segmenter.checkpoint = replace(segmenter.checkpoint, config=config)


def _evaluate_conditions(segmenter: Segmenter, dataset: Dataset, ids: list[str], arguments: argparse.Namespace) -> int:
    """Judges on photos that are cut or changed first; with `all`, the JSON holds the scores by name."""
    framings = list(FRAMINGS) if arguments.framing == "all" else [arguments.framing]
    shifts = list(SHIFTS) if arguments.shift == "all" else [arguments.shift]
    photos = photos_of(dataset.name, len(ids), arguments)
    own = _mappings_for(dataset, segmenter, arguments, home_of(find(arguments.checkpoint).folder))
    found = {}
    for framing in framings:
        for shift in shifts:
            scores = judge_condition(segmenter, dataset, ids, framing, shift, own)
            kind = "whole" if framing == "full" else "framing"
            condition = ConditionScore(kind=kind, framing=framing, shift=shift, photos=photos, scores=scores)
            found[condition.name] = scores
            if not this_process().is_first:
                continue
            if arguments.keep:
                keep_condition(own_folder(arguments.checkpoint), condition)
            print(f"{condition.name}: {condition.score:.4f} on {counted(scores['photos'], 'photo')}")
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
        photos = photos_of("flatlay", scores["photos"], arguments)
        photos = photos if arguments.ids else replace(photos, split="test")
        keep_condition(own_folder(arguments.checkpoint), ConditionScore(kind="flatlay", photos=photos, scores=scores))
    on = counted(scores["photos"], "photo")
    print(f"{scores['right']:.3f} right, {scores['score']:.3f} as mean over the classes, on {on}")
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
        keep_condition(own_folder(arguments.checkpoint), ConditionScore(kind="wild", photos=photos, scores=scores))
    print("micro F1 {score:.3f}: {hits} found, {false_alarms} false alarms, {missed} missed".format(**scores))
    if "presence" in scores:
        counts = "micro F1 {micro_f1:.3f}: {hits} found, {false_alarms} false alarms, {missed} missed"
        print(f"from presence {LIKELY}: {counts.format(**scores['presence'])}")
    for name, row in scores["classes"].items():
        print("{:12} {hits} found, {false_alarms} false alarms, {missed} missed".format(name, **row))
    return 0


def _refuse(arguments: argparse.Namespace, dataset: str, *names: str) -> None:
    """Refuses options that a data set without masks cannot have."""
    for name in names:
        if getattr(arguments, name) not in (None, "", "full"):
            raise DatasetError(f"{dataset} has no masks and no folds: leave --{name} out.")


def _reliability(arguments: argparse.Namespace) -> int:
    segmenter = open_segmenter(arguments.checkpoint, arguments)
    check_writable(arguments.json)
    found = measure_reliability(segmenter, arguments.data)
    write_json(arguments.json, found)
    for measured in found.values():
        print(*lines(measured), sep="\n")
    return 0


def _suspects(arguments: argparse.Namespace) -> int:
    dataset = open_dataset(arguments.dataset, arguments.data)
    check_writable(arguments.out)
    segmenter = open_segmenter(arguments.checkpoint, arguments)
    found = find_suspects(segmenter, dataset, read_ids(arguments.ids) if arguments.ids else dataset.ids)
    write_suspects(arguments.out, found)
    for each in found[:20]:
        print(f"{each.photo_id}: {each.doubt:.2f}, mostly {each.truth} predicted as {each.seen} ({each.share:.0%})")
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


def _check_data(arguments: argparse.Namespace) -> int:
    dataset = open_dataset(arguments.source, arguments.data)
    if arguments.save_kinds:
        print(f"Written: {save_kinds_table(dataset)}. Edit it where classes or kinds should be others.")
        dataset = open_dataset(arguments.source, arguments.data)
    check = check_data(dataset)
    folds, sentence = suggest_folds(check, arguments.group_by)
    print(*check.lines(folds), sentence, sep="\n")
    if arguments.out:
        written = write_check(check, folds, arguments.out)
        print(f"Written: {', '.join(map(str, written))}.")
        if folds and not arguments.save_split:
            print(f"To train by the split: --set split={written[-1]}, or --save-split here.")
    if arguments.save_split and folds:
        try:
            print(f"Written: {write_split(folds, dataset.root)}, by which fit trains.")
        except OSError as error:
            raise DatasetError(
                f"{dataset.root / SPLIT_FILE} cannot be written: {error.strerror}. Write it elsewhere with --out, and "
                "train with --set split=FILE."
            ) from None
    return 0


_WITHOUT_MASKS: Mapping[str, Callable[[Segmenter, argparse.Namespace], int]] = {
    "flatlay": _evaluate_flatlays,
    "wild": _evaluate_wild,
}
"""What `evaluate` does with data sets whose photos have labels and no masks."""
