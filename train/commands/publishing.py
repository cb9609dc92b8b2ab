"""Commands that make something to show of checkpoints: `join`, `describe`, `push`, `export`."""

from __future__ import annotations

import argparse

from segmodels.arguments import path_argument
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import open_dataset
from segmodels.photo import open_photo
from train.commands.shared import MODEL, Subparsers, add_change, find
from train.publishing.describe import command_of, describe
from train.publishing.ensemble import join
from train.publishing.export import FORMATS, check_exportable, export
from train.publishing.publish import push
from train.recipe import load_recipe

__all__ = ["add_describe", "add_export", "add_join", "add_push"]


def add_join(commands: Subparsers) -> None:
    """Adds `join`."""
    command = commands.add_parser("join", help="join trained networks into one checkpoint that averages them")
    command.add_argument("checkpoints", nargs="+", help=f"models, each as {MODEL}; the first determines the crop")
    command.add_argument(
        "--share",
        type=float,
        action="append",
        default=[],
        metavar="S",
        help="share of each further checkpoint in its average with those before it, between 0 and 1",
    )
    command.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="F",
        help="factors on the input size of the first checkpoint in the refine pass (default: its own)",
    )
    command.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="margin of each crop, as a share of its longer side (default: that of the first checkpoint)",
    )
    command.add_argument("--out", type=path_argument, required=True, help="folder of the ensemble")
    command.set_defaults(run=_join)


def add_describe(commands: Subparsers) -> None:
    """Adds `describe`."""
    command = commands.add_parser("describe", help="write a network's description and scores, without its weights")
    command.add_argument("recipe", help="recipe of the network: a TOML file, or the name of a recipe that ships")
    add_change(command)
    command.add_argument("--data", type=path_argument, required=True, help="folder of the data set")
    command.add_argument("--checkpoint", help=f"model that the recipe trained (default: none yet): {MODEL}")
    command.add_argument(
        "--out", type=path_argument, required=True, help="folder of the description, named as in the catalog"
    )
    command.set_defaults(run=_describe)


def add_push(commands: Subparsers) -> None:
    """Adds `push`."""
    command = commands.add_parser("push", help="publish a checkpoint on the Hugging Face Hub")
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("repository", metavar="OWNER/REPO", help="name of the repository, which is created if needed")
    command.add_argument("--private", action="store_true", help="show it only to its owner")
    command.add_argument("--message", default="", help="message of the commit (default: says what it is)")
    command.set_defaults(run=_push)


def add_export(commands: Subparsers) -> None:
    """Adds `export`."""
    command = commands.add_parser("export", help="write a network as ONNX, TorchScript or OpenVINO")
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("--format", choices=FORMATS, default="onnx", help="format of the file (default: onnx)")
    command.add_argument(
        "--out",
        type=path_argument,
        required=True,
        metavar="PATH",
        help="file to write; example.py, which runs it, lies beside",
    )
    command.add_argument(
        "--photo", type=path_argument, help="photo over which the outputs are compared (default: a drawn one)"
    )
    command.set_defaults(run=_export)


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
    checkpoint = find(arguments.checkpoint).folder if arguments.checkpoint else None
    if checkpoint and checkpoint.resolve() == arguments.out.resolve():
        raise CheckpointError(f"{arguments.out} is the checkpoint itself. Name another folder with --out.")
    print(f"{describe(recipe, dataset, command, arguments.out, checkpoint)} describes what {command} trains.")
    return 0


def _push(arguments: argparse.Namespace) -> int:
    folder = find(arguments.checkpoint).folder
    published = push(folder, arguments.repository, private=arguments.private, message=arguments.message)
    print(f"{published.address} holds {arguments.checkpoint}, commit {published.commit}.")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    photo = open_photo(arguments.photo, max_bytes=None) if arguments.photo else None
    entry = find(arguments.checkpoint)
    check_exportable(entry.name, read_config(entry.folder))
    checkpoint = load_checkpoint(entry.folder, entry.name, entry.revision)
    agreement = export(checkpoint, arguments.format, arguments.out, photo)
    print(
        f"{arguments.out} holds {checkpoint.name}, revision {checkpoint.revision}. Over {agreement.pixels:,} pixels, "
        f"probabilities differ by at most {agreement.difference:.1g}, and {agreement.same_class:.4%} have the same "
        f"class. Try it: python {arguments.out.with_name('example.py')} PHOTO classes.png"
    )
    return 0
