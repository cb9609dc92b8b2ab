"""What several commands share: the data set's ids, the recipe's arguments, a segmenter on the device that was named."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Literal

from segmodels.checkpoints.catalog import list_checkpoints
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.device import Precision, pick_device, pick_precision
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.segmenter import Segmenter

__all__ = ["Subparsers", "add_change", "add_recipe", "folder_of", "open_segmenter", "photos_of", "precision_of"]

Subparsers = Any  # argparse's class has no public name
"""What `ArgumentParser.add_subparsers` gives."""

_WORKERS = min(8, max(1, (os.cpu_count() or 2) - 1))


def add_recipe(command: argparse.ArgumentParser) -> None:
    """The arguments of a command that trains by a recipe."""
    command.add_argument("recipe", help="a TOML file, or the name of a recipe that ships, such as own/fpn")
    command.add_argument("--data", type=Path, required=True, help="folder of the data set")
    command.add_argument("--out", type=Path, required=True, help="folder of the run")
    add_change(command)
    command.add_argument("--workers", type=int, default=_WORKERS, metavar="N", help="processes that read photos")


def add_change(command: argparse.ArgumentParser) -> None:
    """The argument that changes a recipe."""
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the recipe")


def precision_of(arguments: argparse.Namespace) -> Precision:
    """The device and the number format that a command asks for."""
    return pick_precision(arguments.precision, pick_device(arguments.device))


def folder_of(checkpoint: Path) -> Path:
    """The folder of a checkpoint that a command names: a path, or a name in the catalog."""
    by_name = {entry.name: entry.folder for entry in list_checkpoints()}
    return checkpoint if checkpoint.exists() else by_name.get(str(checkpoint), checkpoint)


def open_segmenter(
    folder: Path, arguments: argparse.Namespace, *, with_calibration: bool = True, with_kinds: bool = True
) -> Segmenter:
    """A checkpoint on the device that a command names, with its calibration and its kinds if wanted.

    Raises:
        CheckpointError: If the folder holds none, or a damaged one.
        DeviceError: If there is no such device.
    """
    precision = precision_of(arguments)
    checkpoint = load_checkpoint(folder, with_calibration=with_calibration, with_kinds=with_kinds)
    return Segmenter(checkpoint, precision.device, precision=precision)


def photos_of(dataset: str, number: int, arguments: argparse.Namespace) -> EvaluatedPhotos:
    """The photos that a command names by `--ids`, by `--fold` or by neither."""
    if arguments.ids:
        return EvaluatedPhotos(dataset=dataset, split="ids", ids_file=arguments.ids.name, number=number)
    split: Literal["all", "fold"] = "all" if arguments.fold is None else "fold"
    return EvaluatedPhotos(dataset=dataset, split=split, fold=arguments.fold, number=number)
