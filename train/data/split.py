"""Which photos train, choose and judge: the fixed splits that ship, and folds for data sets without one."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from segmodels.datasets import Dataset, DatasetError

__all__ = ["FOLDS", "SPLITS", "fold_ids", "read_ids", "stratified_folds"]

FOLDS = 5
"""How many folds every data set has: the papers' 5-fold cross-validation."""

SPLITS = Path(__file__).parents[1] / "splits"
"""The fixed splits, one file each.

`ccp_folds.csv` (798 photos in 5 folds), `ccp_test.txt` (101, final report only), `ccp_tags_reserved.txt` (300);
`flatlay_choice.txt` (226 flat-lays to choose by) and `flatlay_in_wild.txt` (2 that are also photos of `wild`).
"""


def fold_ids(dataset: str | Dataset, fold: int, folds: int = FOLDS) -> tuple[list[str], list[str]]:
    """Ids to train on and ids to choose by: all other folds, and the given one; with -1 all folds, and none.

    Where no folds are stored for a data set, the SHA-256 of a photo's id says which of five it is in: always the same
    one, whichever other photos there are, but neither stratified nor of exactly equal size. A data set that combines
    others takes each one's folds; with stored folds come stored tests, so the photos of CCP's test are in none. Where
    another number of folds is asked for than is stored, the photos of the stored ones are hashed anew.

    Args:
        dataset: The open data set, or the name of one whose folds are stored.
        fold: Number of the fold.
        folds: Number of folds.

    Raises:
        DatasetError: If there is no such fold or no photo in it, or a name has no stored folds.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    rows = _folds(dataset, folds)
    if fold not in range(-1, folds):
        raise DatasetError(f"{name} has folds 0 to {folds - 1}, not {fold}.")
    choice = [photo_id for photo_id, number in rows if number == fold]
    if fold != -1 and not choice:
        raise DatasetError(f"Fold {fold} of {name} holds none of its {len(rows)} photos. Take another fold, or -1.")
    return [photo_id for photo_id, number in rows if number != fold], choice


def _folds(dataset: str | Dataset, folds: int) -> list[tuple[str, int]]:
    """Id and fold of each photo that may be trained on."""
    name = dataset if isinstance(dataset, str) else dataset.name
    path = SPLITS / f"{name}_folds.csv"
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["id"], int(row["fold"])) for row in csv.DictReader(file)]
        return rows if folds == FOLDS else [(photo_id, _hashed(photo_id, folds)) for photo_id, _ in rows]
    if isinstance(dataset, str):
        raise DatasetError(f"No folds are stored for {name}; there should be {path.name} with the columns id, fold.")
    if dataset.parts:
        return [(f"{part.name}-{photo_id}", fold) for part in dataset.parts for photo_id, fold in _folds(part, folds)]
    return [(photo_id, _hashed(photo_id, folds)) for photo_id in dataset.ids]


def _hashed(photo_id: str, folds: int) -> int:
    return int.from_bytes(hashlib.sha256(photo_id.encode()).digest()) % folds


def stratified_folds(
    shown: Mapping[str, Collection[int]], folds: int = FOLDS, groups: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Folds in which each class is on about equally many photos.

    Photos of the rarest class are dealt out first, each to the fold that has the fewest of that class, or else of all;
    then those of the class that is the rarest of what is left, and so on (Sechidis, Tsoumakas & Vlahavas, *On the
    stratification of multi-label data*, 2011).

    Args:
        shown: Class ids that a photo shows, by photo id; the background need not be among them.
        folds: Number of folds.
        groups: Name of the group by photo id; the photos of a group are in one fold. Each is its own if left out.

    Returns:
        Fold by photo id, in the order of the ids.

    Raises:
        DatasetError: If there are fewer photos, or groups, than folds.
    """
    units: dict[str, list[str]] = {}
    for photo_id in shown:
        units.setdefault(groups[photo_id] if groups else photo_id, []).append(photo_id)
    if len(units) < folds:
        raise DatasetError(f"{len(units)} {'groups' if groups else 'photos'} are too few for {folds} folds.")
    counts = {
        unit: Counter(class_id for photo_id in ids for class_id in shown[photo_id]) for unit, ids in units.items()
    }
    waiting = sorted(units, key=lambda unit: (-len(units[unit]), hashlib.sha256(unit.encode()).digest()))
    fold_of: dict[str, int] = {}
    sizes = [0] * folds
    classes: list[Counter[int]] = [Counter() for _ in range(folds)]
    while waiting:
        left = sum((counts[unit] for unit in waiting), Counter[int]())
        rarest = min(left, key=lambda class_id: (left[class_id], class_id)) if left else None
        for unit in [unit for unit in waiting if rarest is None or rarest in counts[unit]]:
            fold = min(range(folds), key=lambda fold: (classes[fold][rarest or 0], sizes[fold], fold))
            fold_of[unit] = fold
            sizes[fold] += len(units[unit])
            classes[fold] += counts[unit]
        waiting = [unit for unit in waiting if unit not in fold_of]
    return {photo_id: fold_of[groups[photo_id] if groups else photo_id] for photo_id in sorted(shown)}


def read_ids(path: Path) -> list[str]:
    """One id a line; blank lines are passed over, and an id that stands there twice counts once.

    Raises:
        DatasetError: If the file cannot be read or holds no id.
    """
    try:
        ids = list(dict.fromkeys(filter(None, map(str.strip, path.read_text(encoding="utf-8").splitlines()))))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list of ids {path} cannot be read: {error}.") from None
    if not ids:
        raise DatasetError(f"The list of ids {path} is empty. Write one id a line.")
    return ids
