"""Readers of the data sets, one file per source, all with the same result: ids, photos and class maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from segmodels.datasets.ccp import read_ccp
from segmodels.datasets.cfpd import read_cfpd
from segmodels.datasets.coco import read_coco
from segmodels.datasets.combined import read_ccp_cfpd
from segmodels.datasets.cvat import read_cvat
from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import name_of
from segmodels.datasets.fashionpedia import read_fashionpedia
from segmodels.datasets.hub import read_hub
from segmodels.datasets.imaterialist import read_imaterialist
from segmodels.datasets.inspection import Inspection, inspect_dataset
from segmodels.datasets.kinds import with_kinds
from segmodels.datasets.labelstudio import read_labelstudio
from segmodels.datasets.masks import read_masks
from segmodels.datasets.yolo import read_yolo
from segmodels.sentences import listed

__all__ = [
    "DATASETS",
    "SOURCES",
    "SOURCE_EXAMPLES",
    "Dataset",
    "DatasetError",
    "DrawnTruth",
    "Inspection",
    "dataset_name",
    "inspect_dataset",
    "is_dataset",
    "open_dataset",
    "read_ccp",
    "read_ccp_cfpd",
    "read_cfpd",
    "read_coco",
    "read_cvat",
    "read_fashionpedia",
    "read_hub",
    "read_imaterialist",
    "read_labelstudio",
    "read_masks",
    "read_yolo",
]

DATASETS: Mapping[str, Callable[[Path], Dataset]] = {
    "ccp": read_ccp,
    "cfpd": read_cfpd,
    "ccp_cfpd": read_ccp_cfpd,
    "imaterialist": read_imaterialist,
    "fashionpedia": read_fashionpedia,
}
"""Reader by the name that recipes and the command line use; each takes the folder of the data set."""

SOURCES: Mapping[str, Callable[[Path, Path | None], Dataset]] = {
    "coco": read_coco,
    "masks": read_masks,
    "yolo": read_yolo,
    "labelstudio": read_labelstudio,
    "cvat": read_cvat,
    "hub": read_hub,
}
"""Reader of annotation tools' files by the kind that stands before the colon: `coco:annotations.json`. Each takes the
file or folder, or the name on the Hub, and the folder of the photos where that is another."""


SOURCE_EXAMPLES: Mapping[str, str] = {
    "coco": "coco:annotations.json",
    "masks": "masks:folder",
    "yolo": "yolo:data.yaml",
    "labelstudio": "labelstudio:export.json",
    "cvat": "cvat:annotations.xml",
    "hub": "hub:owner/name",
}
"""A source of each kind, for messages."""

_FILES: Mapping[str, str] = {"coco": "*.json", "yolo": "*.yaml", "labelstudio": "*.json"}  # of kinds that are one file


def is_dataset(name: str) -> bool:
    """Whether a text is the name of a data set or begins as a source does.

    Args:
        name: Text such as `ccp` or `coco:annotations.json`.
    """
    kind, colon, path = name.partition(":")
    return name in DATASETS or bool(colon and path.strip() and kind in SOURCES)


def dataset_name(name: str) -> str:
    """The `Dataset.name` of what `open_dataset` opens, without opening it.

    Args:
        name: Text such as `ccp` or `coco:annotations.json`.
    """
    kind, _, path = name.partition(":")
    return name_of(kind, Path(path)) if kind in SOURCES and path else name


def open_dataset(name: str, data: Path | None = None) -> Dataset:
    """Opens a data set by its name, or by its source; the classes of a source are those of a `kinds.csv` beside it.

    Args:
        name: Key in `DATASETS`, or a key in `SOURCES`, a colon and a path.
        data: Folder of the data set; of a source, folder of its photos, which may be left out where they lie with it.

    Raises:
        DatasetError: If there is no such reader, or what it finds is not such a data set.
    """
    kind, _, path = name.partition(":")
    if kind in SOURCES and not path.strip():
        raise DatasetError(f"The data set {name!r} says no more than its kind. Write {SOURCE_EXAMPLES[kind]}, say.")
    if not is_dataset(name):
        kinds = ", ".join(f"{kind}:" for kind in SOURCES)
        raise DatasetError(
            f"The data set {name!r} starts with none of {kinds} and a path, nor is it one of {', '.join(DATASETS)}."
        )
    if name in DATASETS:
        if data is None:
            raise DatasetError(f"Name the folder of {name} with --data.")
        return DATASETS[name](data)
    path = os.path.expanduser(path)  # noqa: PTH111  # shells leave the ~ behind a colon; Path's own fails for nobody's
    if kind != "hub":
        _check_path(kind, Path(path))
    return with_kinds(_without_odd_names(SOURCES[kind](Path(path), data)))


def _without_odd_names(dataset: Dataset) -> Dataset:
    """The data set without the photos whose names no text file can hold, as those of an old ZIP may be."""
    odd = [photo_id for photo_id in dataset.ids if any("\ud800" <= character <= "\udfff" for character in photo_id)]
    if not odd:
        return dataset
    faults = [f"{photo_id!a}: the name of the photo is not Unicode text. Rename it." for photo_id in odd]
    if len(odd) == len(dataset.ids):
        raise DatasetError(f"{dataset.name} has no photo that can be used. {faults[0]}")
    kept = tuple(photo_id for photo_id in dataset.ids if photo_id not in {*odd})
    return replace(dataset, ids=kept, faults=(*dataset.faults, *faults))


def _check_path(kind: str, path: Path) -> None:
    try:
        there, is_folder = path.exists(), path.is_dir()
    except OSError as error:  # a name that is too long, say
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from None
    if not there:
        example = SOURCE_EXAMPLES[kind]
        raise DatasetError(f"There is no {path}. Write the path of what was exported after {kind}:, as {example}.")
    if is_folder and kind in _FILES:
        inside = sorted(each.name for each in path.glob(_FILES[kind]))
        advice = f"Write {kind}:{path / inside[0]}." if len(inside) == 1 else f"Name one of {listed(inside)} in it."
        advice = advice if inside else f"Name one, as {SOURCE_EXAMPLES[kind]}."
        raise DatasetError(f"{path} is a folder, and {kind}: takes a file. {advice}")
