"""What several commands share: the data set's ids, the recipe's arguments, a segmenter on the device that was named."""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any, Literal

from segmodels.arguments import path_argument
from segmodels.checkpoints.catalog import CatalogEntry, find_model
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.errors import CheckpointError
from segmodels.device import Precision, pick_device, pick_precision
from segmodels.evaluation.evidence import EVIDENCE_FILE
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.foreign.formats import home_of
from segmodels.hub.progress import pull_bar
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import MAPPING_FILE, ClassMapping, mapping_beside, read_mapping

__all__ = [
    "MODEL",
    "Subparsers",
    "add_change",
    "add_mapping",
    "add_recipe",
    "evidence_folder",
    "find",
    "keep_mapping",
    "open_segmenter",
    "own_folder",
    "own_mappings",
    "photos_of",
    "precision_of",
    "share",
    "whole_number",
]

MODEL = "name of the model in the catalog, its folder, an ONNX file, or hf://owner/repo@revision"
"""Help of an argument that names a model; `find` takes it."""

Subparsers = Any  # argparse's class has no public name
"""What `ArgumentParser.add_subparsers` gives."""

_WORKERS = min(8, max(1, (os.cpu_count() or 2) - 1))


def whole_number(text: str, least: int = 0) -> int:
    """A whole number of the command line, as a type of argparse; `partial` gives another `least`.

    Raises:
        argparse.ArgumentTypeError: If it is none, or too low.
    """
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return int(text)


def share(text: str) -> float:
    """A share of the command line, as a type of argparse.

    Raises:
        argparse.ArgumentTypeError: If it is no number from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def add_recipe(command: argparse.ArgumentParser) -> None:
    """The arguments of a command that trains by a recipe."""
    command.add_argument("recipe", help="a TOML file, or the name of a recipe that ships, such as own/fpn")
    command.add_argument(
        "--data",
        type=path_argument,
        help="folder of the data set; of a source, of its photos, where they do not lie with it",
    )
    command.add_argument("--out", type=path_argument, required=True, help="folder of the run")
    add_change(command)
    command.add_argument(
        "--workers", type=whole_number, default=_WORKERS, metavar="N", help="processes that read photos"
    )


def add_change(command: argparse.ArgumentParser) -> None:
    """The argument that changes a recipe."""
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a key of the recipe")


def add_mapping(command: argparse.ArgumentParser) -> None:
    """The argument that names a mapping between taxonomies."""
    command.add_argument(
        "--mapping",
        type=path_argument,
        metavar="FILE",
        help="TOML file that says which classes of one taxonomy are which",
    )


def own_mappings(file: Path | None, *folders: Path) -> list[ClassMapping]:
    """The mapping that a command names, and those in the folders of checkpoints, which are for other taxonomies only.

    Raises:
        MappingError: If one of them cannot be used.
    """
    beside = [found for folder in folders if (found := mapping_beside(folder))]
    return [*([read_mapping(file)] if file else []), *beside]


def keep_mapping(file: Path, folder: Path) -> None:
    """Copies a mapping into the folder of a checkpoint, where the app and later commands find it."""
    if file.resolve() != (folder / MAPPING_FILE).resolve():
        shutil.copyfile(file, folder / MAPPING_FILE)


def precision_of(arguments: argparse.Namespace) -> Precision:
    """The device and the number format that a command asks for."""
    return pick_precision(arguments.precision, pick_device(arguments.device))


def find(name: str | Path) -> CatalogEntry:
    """Where the model is that a command names; a pull from the Hub shows its progress.

    Raises:
        CheckpointError: If there is no such model.
    """
    with pull_bar(str(name)) as progress:
        return find_model(name, progress)


def own_folder(name: str | Path) -> Path:
    """The folder of a model that a command names and writes into.

    Raises:
        CheckpointError: If there is no such model, or what is written would not be the user's own.
    """
    entry = find(name)
    if entry.source == "hub":
        raise CheckpointError(
            f"{name} lies in the Hub's cache ({entry.folder}), which stays as the Hub has it. Copy that folder, follow "
            "links (cp -rL), and name the copy."
        )
    home = home_of(entry.folder)
    if entry.folder != home and len(list(home.glob("*.onnx"))) > 1:
        raise CheckpointError(
            f"{home} holds several ONNX files, and scores are kept beside the file. Put {entry.folder.name} into a "
            "folder of its own, with its JSON."
        )
    return home


def evidence_folder(name: str) -> Path:
    """The folder of a run, or of a model that a command names, whose evidence is read.

    Raises:
        CheckpointError: If there is none of this name.
    """
    folder = Path(name)
    return folder if (folder / EVIDENCE_FILE).is_file() else home_of(find(name).folder)


def open_segmenter(
    model: str | Path | CatalogEntry,
    arguments: argparse.Namespace,
    *,
    with_calibration: bool = True,
    with_kinds: bool = True,
) -> Segmenter:
    """A model on the device that a command names, with its calibration and its kinds if wanted.

    Raises:
        CheckpointError: If there is no such model, or it is damaged.
        DeviceError: If there is no such device.
    """
    precision = precision_of(arguments)
    entry = model if isinstance(model, CatalogEntry) else find(model)
    checkpoint = load_checkpoint(
        entry.folder, entry.name, entry.revision, with_calibration=with_calibration, with_kinds=with_kinds
    )
    return Segmenter(checkpoint, precision.device, precision=precision)


def photos_of(dataset: str, number: int, arguments: argparse.Namespace) -> EvaluatedPhotos:
    """The photos that a command names by `--ids`, by `--fold` or by neither."""
    if arguments.ids:
        return EvaluatedPhotos(dataset=dataset, split="ids", ids_file=arguments.ids.name, number=number)
    split: Literal["all", "fold"] = "all" if arguments.fold is None else "fold"
    return EvaluatedPhotos(dataset=dataset, split=split, fold=arguments.fold, number=number)
