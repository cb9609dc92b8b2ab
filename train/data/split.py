"""Which photos train, choose and judge: the fixed splits that ship, and folds for data sets without one."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

from segmodels.datasets import Dataset, DatasetError
from segmodels.sentences import counted, first_line, listed
from train.data.cache import read_classes

__all__ = [
    "FOLDS",
    "SPLITS",
    "SPLIT_FILE",
    "are_folds_of",
    "check_fold_number",
    "fold_ids",
    "folds_digest",
    "folds_in_file",
    "folds_sentence",
    "read_ids",
    "stratified_folds",
    "with_folds",
    "with_split",
]

FOLDS = 5
"""How many folds every data set has: the papers' 5-fold cross-validation."""

SPLITS = Path(__file__).parents[1] / "splits"
"""The fixed splits, one file each.

`ccp_folds.csv` (798 photos in 5 folds), `ccp_test.txt` (101, final report only), `ccp_tags_reserved.txt` (300);
`flatlay_choice.txt` (226 flat-lays to choose by) and `flatlay_in_wild.txt` (2 that are also photos of `wild`).
"""


SPLIT_FILE = "split.csv"
"""Name of the file with the columns `id` and `fold` that `check-data` writes; beside the data it is used unasked."""


def with_split(dataset: Dataset, split: str | Path = "") -> Dataset:
    """The data set with the folds of a file, if there is one.

    Args:
        dataset: The data set.
        split: File with the columns `id` and `fold`; if empty, `SPLIT_FILE` in the data set's folder, where it is.

    Raises:
        DatasetError: If a file that is named cannot be read, or one holds no fold of a photo of the data set.
    """
    path = Path(split) if split else dataset.root / SPLIT_FILE
    if not split and (not path.is_file() or _stored(dataset.name) is not None):
        return dataset
    known = set(dataset.ids)
    folds = {photo_id: fold for photo_id, fold in _read_split(path).items() if photo_id in known}
    if not folds:
        raise DatasetError(
            f"The split {path} names none of the {len(known)} photos of {dataset.name}. Ids are paths without endings, "
            f"such as {min(known, default='look-1')}."
        )
    return replace(dataset, folds=folds)


def _read_split(path: Path) -> dict[str, int]:
    """Fold by id as a file says, of photos that there are and of others."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"The split {path} cannot be read: {first_line(error)}.") from None
    if not {"id", "fold"} <= set(columns):
        raise DatasetError(f"The split {path} needs the columns id and fold in its first line; it has {columns}.")
    folds: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        photo_id, fold = row.get("id"), (row.get("fold") or "").strip()
        if not photo_id or not (fold.isascii() and fold.isdecimal()):
            raise DatasetError(
                f"The split {path}, line {number}: the id is {photo_id!r} and the fold {fold!r}; expected an id and a "
                "whole number from 0."
            )
        if photo_id in folds:
            raise DatasetError(f"The split {path}, line {number}: {photo_id} stands there twice. Remove one line.")
        folds[photo_id] = int(fold)
    return folds


def folds_digest(dataset: Dataset, folds: int | None = None) -> str:
    """What tells folds of a file, or folds that are dealt out, from others; empty where they are stored.

    Args:
        dataset: The data set, as `with_split` gives it.
        folds: Number of folds; None if no fold is left out, so that those that are dealt out do not matter.

    Raises:
        DatasetError: If the folds are dealt out, and there are fewer photos than folds.
    """
    told = dataset.folds
    if told is None:
        if folds is None or _stored(dataset.name) is not None:
            return ""
        told = dict(_folds(dataset, folds))
    return hashlib.sha256(json.dumps(sorted(told.items())).encode()).hexdigest()[:16]


def are_folds_of(dataset: Dataset, trained: str, folds: int | None = None) -> bool:
    """Whether a data set still has the folds of a digest.

    Args:
        dataset: The data set, as `with_split` gives it.
        trained: Digest that a checkpoint keeps; older ones keep none of folds that were dealt out, which are not
            doubted then.
        folds: Number of folds, as for `folds_digest`.

    Raises:
        DatasetError: If the folds are dealt out, and there are fewer photos than folds.
    """
    if not trained:
        return dataset.folds is None
    return trained == folds_digest(dataset, folds)


def folds_sentence(dataset: Dataset, split: str | Path = "") -> str:
    """Where the folds of a data set come from, as a sentence.

    Args:
        dataset: The data set, as `with_split` gives it.
        split: File that `with_split` was given.
    """
    if dataset.folds is not None:
        path = Path(split) if split else dataset.root / SPLIT_FILE
        left = len(dataset.ids) - len(dataset.folds)
        without = f"; {counted(left, 'photo')} {'is' if left == 1 else 'are'} not in it and left out" if left else ""
        unknown = sorted(_read_split(path).keys() - set(dataset.ids))
        more = (
            f" It also names {len(unknown)} that {dataset.name} does not have: {listed(unknown, 3)}." if unknown else ""
        )
        return f"The folds are those of {path}, of {len(dataset.folds)} photos{without}.{more}"
    if _stored(dataset.name) is not None:
        return f"The folds are those that are stored for {dataset.name}."
    return "The folds are dealt out by the classes that the photos show; no split was named or lies beside the data."


def check_fold_number(dataset: str | Dataset, fold: int, folds: int = FOLDS) -> int:
    """Number of folds of a data set: of the file that tells them, else as many as asked for.

    Args:
        dataset: The open data set, or the name of one whose folds are stored.
        fold: Number of a fold; -1 for all.
        folds: Number of folds where no file tells them.

    Raises:
        DatasetError: If there is no such fold.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    folds = folds_in_file(dataset) or folds
    if fold not in range(-1, folds):
        raise DatasetError(f"{name} has folds 0 to {folds - 1}, not {fold}.")
    return folds


def fold_ids(dataset: str | Dataset, fold: int, folds: int = FOLDS) -> tuple[list[str], list[str]]:
    """Ids to train on and ids to choose by: all other folds, and the given one; with -1 all folds, and none.

    Where no folds are stored for a data set, and none are told by a file (`with_split`), its photos are dealt out by
    the classes that they show (`stratified_folds`): the same photos always in the same way, while another photo, or a
    class more on one, may move others. A data set that combines others takes each one's folds; with stored folds come
    stored tests, so the photos of CCP's test are in none. Another number of folds than is stored is made of the photos
    of the stored ones. The folds of a file are taken as they are, however many are asked for.

    Args:
        dataset: The open data set, or the name of one whose folds are stored.
        fold: Number of the fold.
        folds: Number of folds.

    Raises:
        DatasetError: If there is no such fold, no photo in it or outside of it, there are fewer photos than folds, or a
            name has no stored folds, or not so many.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    folds = check_fold_number(dataset, fold, folds)
    if fold == -1:
        return _all_ids(dataset), []
    rows = _folds(dataset, folds)
    choice = [photo_id for photo_id, number in rows if number == fold]
    if not choice:
        raise DatasetError(f"Fold {fold} of {name} holds none of its {len(rows)} photos. Take another fold, or -1.")
    training = [photo_id for photo_id, number in rows if number != fold]
    if not training:
        raise DatasetError(f"All {len(rows)} photos of {name} are in fold {fold}, so none is left to train on.")
    return training, choice


def with_folds(dataset: Dataset, folds: int = FOLDS) -> Dataset:
    """The data set with the fold of each photo that may be trained on: those of a file, stored ones, or dealt out.

    Args:
        dataset: The data set, as `with_split` gives it.
        folds: Number of folds, where no file tells them.

    Raises:
        DatasetError: If there are fewer photos than folds.
    """
    return replace(dataset, folds=dict(_folds(dataset, folds)))


def folds_in_file(dataset: str | Dataset) -> int:
    """Number of folds that a file tells for a data set; 0 if none does.

    Args:
        dataset: The data set, as `with_split` gives it, or its name.
    """
    if isinstance(dataset, str) or dataset.folds is None:
        return 0
    return max(dataset.folds.values()) + 1


def _stored(name: str) -> list[tuple[str, int]] | None:
    """Id and fold of each photo of a data set whose folds are stored; None for any other."""
    path = SPLITS / f"{name}_folds.csv"
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["id"], int(row["fold"])) for row in csv.DictReader(file)]


def _all_ids(dataset: str | Dataset) -> list[str]:
    """Ids of the photos that may be trained on."""
    name = dataset if isinstance(dataset, str) else dataset.name
    if isinstance(dataset, Dataset) and dataset.folds is not None:
        return [photo_id for photo_id in dataset.ids if photo_id in dataset.folds]
    if (stored := _stored(name)) is not None:
        return [photo_id for photo_id, _ in stored]
    if isinstance(dataset, str):
        raise DatasetError(
            f"No folds are stored for {name}; there should be {name}_folds.csv with the columns id, fold."
        )
    if dataset.parts:
        return [f"{part.name}-{photo_id}" for part in dataset.parts for photo_id in _all_ids(part)]
    return list(dataset.ids)


def _folds(dataset: str | Dataset, folds: int) -> list[tuple[str, int]]:
    """Id and fold of each photo that may be trained on."""
    name = dataset if isinstance(dataset, str) else dataset.name
    ids = _all_ids(dataset)
    if isinstance(dataset, Dataset) and (told := dataset.folds) is not None:
        return [(photo_id, told[photo_id]) for photo_id in ids]
    stored = _stored(name)
    if stored is not None and folds == FOLDS:
        return stored
    if isinstance(dataset, str):
        raise DatasetError(f"{name} is stored in {FOLDS} folds, not in {folds}.")
    if dataset.parts:
        return [(f"{part.name}-{photo_id}", fold) for part in dataset.parts for photo_id, fold in _folds(part, folds)]
    try:
        found = stratified_folds(read_classes(dataset, ids), folds)
    except DatasetError as error:
        raise DatasetError(f"{name}: {error} All of them can be trained on with fold=-1.") from None
    return [(photo_id, found[photo_id]) for photo_id in ids]


def stratified_folds(
    shown: Mapping[str, Collection[int]], folds: int = FOLDS, groups: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Folds in which each class is on about equally many photos, or in about equally many groups.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas, *On the stratification of multi-label data*, 2011) by the
    library iterative-stratification, with a fixed seed.

    Args:
        shown: Class ids that a photo shows, by photo id; the background need not be among them.
        folds: Number of folds.
        groups: Name of the group by photo id; the photos of a group are in one fold. Each is its own if left out.

    Returns:
        Fold by photo id, in the order of the ids.

    Raises:
        DatasetError: If there are fewer photos, or groups, than folds.
    """
    classes: dict[str, set[int]] = {}
    for photo_id in sorted(shown):
        classes.setdefault(groups[photo_id] if groups else photo_id, set()).update(shown[photo_id])
    if len(classes) < folds:
        what = "group" if groups else "photo"
        few = f"{what} is" if len(classes) == 1 else f"{what}s are"
        raise DatasetError(f"{len(classes)} {few} too few for {folds} folds. Label more photos, or take fewer folds.")
    largest = max((max(ids) for ids in classes.values() if ids), default=0)
    labels = np.zeros((len(classes), max(2, largest + 1)), bool)  # of one column the library would make no folds
    for row, ids in enumerate(classes.values()):
        labels[row, list(ids)] = True
    splitter = MultilabelStratifiedKFold(folds, shuffle=True, random_state=0)
    units = list(classes)
    fold_of = {
        units[row]: fold for fold, (_, chosen) in enumerate(splitter.split(labels, labels)) for row in chosen.tolist()
    }
    return {photo_id: fold_of[groups[photo_id] if groups else photo_id] for photo_id in sorted(shown)}


def read_ids(path: Path) -> list[str]:
    """One id a line; blank lines are passed over, and an id that stands there twice counts once.

    Raises:
        DatasetError: If the file cannot be read or holds no id.
    """
    try:
        ids = list(dict.fromkeys(filter(None, map(str.strip, path.read_text(encoding="utf-8-sig").splitlines()))))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list of ids {path} cannot be read: {first_line(error)}.") from None
    if not ids:
        raise DatasetError(f"The list of ids {path} is empty. Write one id a line.")
    return ids
