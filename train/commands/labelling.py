"""Commands that write masks to train on: `pseudo-label` and `mask-flatlays`."""

from __future__ import annotations

import argparse

from segmodels.arguments import path_argument
from segmodels.datasets.flatlay import read_flatlays
from segmodels.device import add_device_arguments
from segmodels.sentences import counted
from train.analysis.flatlays import training_ids
from train.commands.shared import MODEL, Subparsers, open_segmenter
from train.data.flatlay_masks import mask_flatlays
from train.distributed import this_process
from train.segmentation.pseudo_labels import pseudo_label

__all__ = ["add_mask_flatlays", "add_pseudo_label"]


def add_pseudo_label(commands: Subparsers) -> None:
    """Adds `pseudo-label`."""
    command = commands.add_parser(
        "pseudo-label", help="write masks for photos that have only tags, with trained networks"
    )
    command.add_argument("checkpoints", nargs="+", help=f"models that predict the masks, each as {MODEL}")
    command.add_argument("--data", type=path_argument, required=True, help="folder of Clothing Co-Parsing")
    command.add_argument("--out", type=path_argument, required=True, help="folder for the masks")
    add_device_arguments(command)
    command.set_defaults(run=_pseudo_label)


def add_mask_flatlays(commands: Subparsers) -> None:
    """Adds `mask-flatlays`."""
    command = commands.add_parser("mask-flatlays", help="write masks for flat-lays, which have a label and no mask")
    command.add_argument("checkpoint", help=f"model that decides where the outline is unsure: {MODEL}")
    command.add_argument("--data", type=path_argument, required=True, help="folder of the flat-lays")
    command.add_argument(
        "--out", type=path_argument, required=True, help="folder for the masks; run it again to continue"
    )
    add_device_arguments(command)
    command.set_defaults(run=_mask_flatlays)


def _pseudo_label(arguments: argparse.Namespace) -> int:
    teachers = [open_segmenter(name, arguments) for name in arguments.checkpoints]
    summary = pseudo_label(teachers, arguments.data, arguments.out)
    if not this_process().is_first:
        return 0
    for name, asserted in summary["asserted"].items():
        if asserted:
            print(f"{name:12} found in {summary['found_where_asserted'][name]} of {asserted} photos that have its tag")
    print(f"{summary['photos']} masks are in {arguments.out}; {summary['share_unlabelled']:.1%} of pixels unlabelled.")
    return 0


def _mask_flatlays(arguments: argparse.Namespace) -> int:
    segmenter = open_segmenter(arguments.checkpoint, arguments)
    flatlays = read_flatlays(arguments.data)
    found = mask_flatlays(flatlays.select(training_ids(flatlays)), arguments.out, segmenter)
    for reason, count in found["dropped"].items():
        print(f"{count} left out: {reason}")
    print(f"Masks kept: {found['kept']:,} of {counted(found['photos'], 'photo')}, in {arguments.out}.")
    return 0
