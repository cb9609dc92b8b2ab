"""The command that fits an embedding: `embedding`."""

from __future__ import annotations

import argparse

from segmodels.arguments import path_argument
from segmodels.checkpoints.heads import gives_maps
from segmodels.datasets import DatasetError, open_dataset
from segmodels.datasets.flatlay import read_flatlays
from segmodels.device import add_device_arguments
from segmodels.inference.embedding import EMBEDDING_FILE, write_embedding
from train.analysis.embedding import fit_embedding
from train.analysis.evaluate import check_writable, folds_of, split_as_trained
from train.commands.shared import MODEL, Subparsers, open_segmenter, own_folder
from train.data.split import fold_ids

__all__ = ["add_embedding"]


def add_embedding(commands: Subparsers) -> None:
    """Adds `embedding`."""
    command = commands.add_parser("embedding", help="fit what finds outfits that look alike in archives")
    command.add_argument("checkpoint", help=MODEL)
    command.add_argument("--dataset", default="ccp", help="ccp (default), or a source: coco:FILE.json, ...")
    command.add_argument(
        "--data",
        type=path_argument,
        help="folder of the data set; of a source, of its photos, where they do not lie with it",
    )
    command.add_argument("--flatlays", type=path_argument, metavar="DIR", help="folder of flat-lays to fit on as well")
    add_device_arguments(command)
    command.set_defaults(run=_embedding)


def _embedding(arguments: argparse.Namespace) -> int:
    folder = own_folder(arguments.checkpoint)
    segmenter = open_segmenter(folder, arguments, with_calibration=False, with_kinds=False)
    checkpoint = segmenter.checkpoint
    if not gives_maps(checkpoint.config, checkpoint.network):
        raise DatasetError(
            f"{checkpoint.name} cannot have an embedding: it needs an encoder, a decoder and a pass at scale 1."
        )
    check_writable(folder / EMBEDDING_FILE)
    check_writable(folder / f".{EMBEDDING_FILE}")
    dataset = split_as_trained(open_dataset(arguments.dataset, arguments.data), checkpoint.config)
    fold = checkpoint.config.training.get("recipe", {}).get("fold", -1)
    ids, _ = fold_ids(dataset, fold, folds_of(checkpoint.config))
    flatlays = read_flatlays(arguments.flatlays) if arguments.flatlays else None
    embedding = fit_embedding(segmenter, dataset, ids, flatlays)
    write_embedding(folder, embedding)
    print(f"{folder / EMBEDDING_FILE}: {len(embedding.components)} dimensions, fitted on {embedding.data}.")
    return 0
