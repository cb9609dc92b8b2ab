"""The command that fits and judges kinds: `kinds`."""

from __future__ import annotations

import argparse

from segmodels.architectures.feature_maps import has_feature_maps
from segmodels.arguments import path_argument
from segmodels.datasets import DatasetError, dataset_name, open_dataset
from segmodels.datasets.ccp import read_ccp_tags
from segmodels.datasets.flatlay import read_flatlays
from segmodels.datasets.kinds import KINDS_TABLE
from segmodels.device import add_device_arguments
from segmodels.inference.kinds import KINDS_FILE, KINDS_WEIGHTS, Kinds
from segmodels.inference.segmenter import Segmenter
from train.analysis.evaluate import check_fold, check_writable, folds_of, split_as_trained
from train.analysis.kinds.judging import judgement_line
from train.analysis.kinds.runs import KindsData, OwnKindsData, fit_and_judge, fit_and_judge_own, keep_kinds
from train.commands.shared import MODEL, Subparsers, open_segmenter, own_folder
from train.data.split import FOLDS, SPLITS, read_ids
from train.provenance import fits_behind

__all__ = ["add_kinds"]

_ALL_FOLDS = (
    "was trained on all folds, so its kinds cannot be chosen on one that it never saw. Train it with a fold left out."
)


def add_kinds(commands: Subparsers) -> None:
    """Adds `kinds`."""
    command = commands.add_parser(
        "kinds", help="fit and judge what tells kinds of garments apart, as jeans from trousers"
    )
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument(
        "--dataset", default="ccp", help="ccp (default), or a source with a table kinds.csv: coco:FILE.json, ..."
    )
    command.add_argument(
        "--data",
        type=path_argument,
        help="folder of the data set; of a source, of its photos, where they do not lie with it",
    )
    command.add_argument(
        "--flatlays",
        type=path_argument,
        metavar="DIR",
        help="with ccp: folder of flat-lays to fit and judge on as well",
    )
    command.add_argument(
        "--ids", type=path_argument, metavar="FILE", help="list of photos with masks to judge on, one id per line"
    )
    command.add_argument(
        "--features",
        type=path_argument,
        metavar="DIR",
        help="folder that keeps the features of each photo, so that a fit that was stopped goes on from them",
    )
    add_device_arguments(command)
    command.set_defaults(run=_kinds)


def _kinds(arguments: argparse.Namespace) -> int:
    arguments.checkpoint = own_folder(arguments.checkpoint)
    segmenter = open_segmenter(arguments.checkpoint, arguments, with_calibration=False, with_kinds=False)
    config, network = segmenter.checkpoint.config, segmenter.networks[0]
    if config.scales != [1.0] or config.mirror or config.ensemble or not has_feature_maps(network):
        raise DatasetError(
            f"{segmenter.checkpoint.name} cannot have kinds: they need one network of segmentation-models-pytorch, "
            "which sees each photo at one scale."
        )
    for name in (KINDS_FILE, KINDS_WEIGHTS):  # each file, and a new one beside it that takes its place
        check_writable(arguments.checkpoint / name)
        check_writable(arguments.checkpoint / f".{name}")
    kinds = (_ccp_kinds if arguments.dataset == "ccp" else _own_kinds)(segmenter, arguments)
    keep_kinds(arguments.checkpoint, kinds)
    for each in kinds.config.judgements:
        print(judgement_line(each))
    for name, reason in kinds.config.left_out.items():
        print(f"{name} has no kinds: {reason}.")
    return 0


def _ccp_kinds(segmenter: Segmenter, arguments: argparse.Namespace) -> Kinds:
    dataset = open_dataset("ccp", arguments.data)
    config = segmenter.checkpoint.config
    fold = config.training.get("recipe", {}).get("fold", -1)
    if fold == -1:
        raise DatasetError(f"{segmenter.checkpoint.name} {_ALL_FOLDS}")
    check_fold(config, dataset.name, fold)
    data = KindsData(
        dataset=dataset,
        tags=read_ccp_tags(arguments.data),
        reserved=read_ids(SPLITS / "ccp_tags_reserved.txt"),
        judged=read_ids(arguments.ids) if arguments.ids else [],
        ids_file=arguments.ids.name if arguments.ids else "",
        flatlays=read_flatlays(arguments.flatlays) if arguments.flatlays else None,
    )
    return fit_and_judge(segmenter, data, fold, arguments.features)


def _own_kinds(segmenter: Segmenter, arguments: argparse.Namespace) -> Kinds:
    if arguments.flatlays:
        raise DatasetError(
            "--flatlays goes with Clothing Co-Parsing alone, whose kinds their labels say. Leave it out."
        )
    config = segmenter.checkpoint.config
    dataset = open_dataset(arguments.dataset, arguments.data)
    if not dataset.kinds:
        raise DatasetError(
            f"{dataset.name} names no kinds of its classes. Write {KINDS_TABLE} (name, class, kind) into "
            f"{dataset.root}; python -m train check-data {arguments.dataset} --save-kinds writes one to begin with."
        )
    seen = [fit for _, fit in fits_behind(config.training) if dataset_name(str(fit["dataset"])) == dataset.name]
    fold = config.training.get("recipe", {}).get("fold", -1) if seen else None
    if fold == -1:
        raise DatasetError(f"{segmenter.checkpoint.name} {_ALL_FOLDS}")
    if fold is not None:
        check_fold(config, dataset.name, fold)
    data = OwnKindsData(
        dataset=split_as_trained(dataset, config),
        fold=fold,
        folds=folds_of(config) if seen else FOLDS,
        judged=read_ids(arguments.ids) if arguments.ids else [],
        ids_file=arguments.ids.name if arguments.ids else "",
    )
    return fit_and_judge_own(segmenter, data, arguments.features)
