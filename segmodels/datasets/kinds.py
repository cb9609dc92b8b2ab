"""Kinds of a source's own: a table that says which of its names are kinds of which class.

kinds.csv, in the folder of the data set:
    name            name in the source, such as skirt
    class           class that it becomes, such as Dress; the names of the 15 make the data set one of `OUTFIT_15`
    kind            kind within that class, such as skirt; empty where the name says nothing of the kind

Names that are not in the table stay classes. `python -m train check-data SOURCE --save-kinds` writes a table to begin
with.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from segmodels.csv_text import csv_bytes, original
from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import Classes, is_background, name_classes
from segmodels.files import replacing
from segmodels.sentences import first_line, listed
from segmodels.taxonomy import UNLABELLED, Group

__all__ = ["KINDS_TABLE", "save_kinds_table", "with_kinds"]

KINDS_TABLE = "kinds.csv"
"""Name of the table in the folder of a data set."""

_COLUMNS = ("name", "class", "kind")
_LONGEST = 80
_LARGEST = 256 * 1024  # bytes


class _Row(NamedTuple):
    garment: str
    kind: str


def with_kinds(dataset: Dataset) -> Dataset:
    """The data set with the classes and kinds of its table; as it is where there is no table.

    Args:
        dataset: Data set as its source has it.

    Raises:
        DatasetError: If the table cannot be read or used.
    """
    path = dataset.root / KINDS_TABLE
    if not path.is_file():
        return dataset
    rows = _read(path)
    names = dataset.taxonomy.names
    if unknown := [name for name in rows if name not in names]:
        raise DatasetError(
            f"{path} names {listed(unknown)}, and {dataset.name} has {listed(names[1:], 20)}. Correct the names."
        )
    classes, class_of = _broader(dataset, rows, path)
    table = np.full(UNLABELLED + 1, UNLABELLED, np.uint8)
    table[: len(names)] = [classes.taxonomy[class_of[name]].id for name in names]

    def draw_truth(photo_id: str) -> DrawnTruth:
        drawn = dataset.draw_truth(photo_id) if dataset.draw_truth else DrawnTruth(dataset.read_truth(photo_id))
        return replace(drawn, truth=table[drawn.truth])

    kinds = _kinds(rows, class_of)
    told = sum(map(len, kinds.values()))
    return replace(
        dataset,
        taxonomy=classes.taxonomy,
        read_truth=lambda photo_id: table[dataset.read_truth(photo_id)],
        draw_truth=draw_truth if dataset.draw_truth else None,
        labels=names,
        aliases={name: class_of[name] for name in names[1:] if class_of[name] != classes.taxonomy.names[0]},
        read_labels=dataset.read_truth,
        notes=(*dataset.notes, f"{path} makes {len(classes.taxonomy) - 1} classes and {told} kinds of them."),
        reading=json.dumps([dataset.reading, classes.reading, table.tolist()]),
        kinds=kinds,
        supercategories={},
    )


def save_kinds_table(dataset: Dataset) -> Path:
    """Writes a table to begin with: supercategories are classes and the names kinds; others stay classes.

    Args:
        dataset: Data set as its source has it, without a table.

    Returns:
        Path of the table.

    Raises:
        DatasetError: If there is one, or it cannot be written.
    """
    path = dataset.root / KINDS_TABLE
    if path.exists():
        raise DatasetError(f"{path} is there already. Edit it, or move it away to have a new one.")
    told = dataset.supercategories
    spelt = {broader.casefold(): broader for broader in told.values()}
    broader_of = {name: told.get(name, spelt.get(name.casefold())) for name in dataset.taxonomy.names[1:]}
    rows = [(name, broader or name, name if broader else "") for name, broader in broader_of.items()]
    try:
        with replacing(path) as part:
            part.write_bytes(csv_bytes([_COLUMNS, *rows]))
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror}. Allow writing to {dataset.root}.") from None
    return path


def _kinds(rows: Mapping[str, _Row], class_of: Mapping[str, str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Names by kind and class; a class with one kind has none."""
    kinds: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, row in rows.items():
        if row.kind and not is_background(row.garment):
            own = kinds.setdefault(class_of[name], {})
            own[row.kind] = (*own.get(row.kind, ()), name)
    return {garment: own for garment, own in kinds.items() if len(own) > 1}


def _broader(dataset: Dataset, rows: Mapping[str, _Row], path: Path) -> tuple[Classes, dict[str, str]]:
    """The classes of the table, in the order of their first names, and the class of each name."""
    background = dataset.taxonomy.names[0]
    class_of = {name: rows[name].garment if name in rows else name for name in dataset.taxonomy.names}
    groups: dict[str, set[Group]] = {}
    for name, garment in class_of.items():
        if garment != background and is_background(garment):
            class_of[name] = background
        else:
            groups.setdefault(garment, set()).add(dataset.taxonomy[name].group)
    groups.pop(background, None)
    numbers = dict(enumerate(groups, 1))
    told = {number: next(iter(groups[name])) for number, name in numbers.items() if len(groups[name]) == 1}
    classes = name_classes(numbers, f"{dataset.taxonomy.name}-broader", path, told)
    return classes, {name: classes.taxonomy.names[0] if each == background else each for name, each in class_of.items()}


def _read(path: Path) -> dict[str, _Row]:
    """Class and kind by name."""
    try:
        if path.stat().st_size > _LARGEST:
            raise DatasetError(f"{path} has more than {_LARGEST // 1024} KB. Write one line for each name.")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            lines, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {first_line(error)}. Save it as CSV in UTF-8.") from None
    if not {*_COLUMNS} <= {*columns}:
        raise DatasetError(f"{path} needs the columns name, class and kind in its first line; it has {columns}.")
    rows: dict[str, _Row] = {}
    for number, line in enumerate(lines, 2):
        name, garment, kind = (normalize("NFC", original(line[column] or "")).strip() for column in _COLUMNS)
        if not name or not garment:
            raise DatasetError(f"{path}, line {number}: the name is {name!r} and the class {garment!r}. Write both.")
        if name in rows:
            raise DatasetError(f"{path}, line {number}: {name} stands there twice. Remove one line.")
        if len(kind) > _LONGEST or not kind.isprintable():
            raise DatasetError(
                f"{path}, line {number}: the kind is no name of up to {_LONGEST} characters on one line."
            )
        rows[name] = _Row(garment, kind)
    return rows
