"""The fixed splits that ship: which photos train, choose and judge."""

from __future__ import annotations

import csv
from pathlib import Path

from segmodels.datasets import DatasetError

__all__ = ["SPLITS", "fold_ids", "read_ids"]

SPLITS = Path(__file__).parent / "splits"
"""`ccp_folds.csv` (798 photos in 5 folds), `ccp_test.txt` (101, final report only), `ccp_tags_reserved.txt` (300)."""


def fold_ids(dataset: str, fold: int) -> tuple[list[str], list[str]]:
    """Ids to train on and ids to choose by: all other folds, and the given one; with -1 all folds, and none.

    Raises:
        DatasetError: If the data set has no stored folds, or no such fold.
    """
    path = SPLITS / f"{dataset}_folds.csv"
    if not path.is_file():
        raise DatasetError(f"No folds are stored for {dataset}; there should be {path.name} with the columns id, fold.")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["id"], int(row["fold"])) for row in csv.DictReader(file)]
    folds = sorted({row[1] for row in rows})
    if fold not in (-1, *folds):
        raise DatasetError(f"{dataset} has folds {folds[0]} to {folds[-1]}, not {fold}.")
    return [i for i, f in rows if f != fold], [i for i, f in rows if f == fold]


def read_ids(path: Path) -> list[str]:
    """One id a line; blank lines are passed over, and an id that stands there twice counts once.

    Raises:
        DatasetError: If the file cannot be read or holds no id.
    """
    try:
        ids = list(dict.fromkeys(path.read_text(encoding="utf-8").split()))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list of ids {path} cannot be read: {error}.") from None
    if not ids:
        raise DatasetError(f"The list of ids {path} is empty. Write one id a line.")
    return ids
