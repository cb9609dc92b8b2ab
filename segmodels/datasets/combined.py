"""Several data sets as one, in classes that they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segmodels.datasets.ccp import read_ccp
from segmodels.datasets.cfpd import read_cfpd
from segmodels.datasets.dataset import Dataset, DatasetError
from segmodels.taxonomy import OUTFIT_15

__all__ = ["combine", "read_ccp_cfpd"]


def read_ccp_cfpd(root: Path) -> Dataset:
    """CCP and CFPD in the classes of `OUTFIT_15`: the 3,686 photos of Inácio et al., where both are complete.

    Args:
        root: The folder that holds the one in `ccp/` and the other in `cfpd/`.

    Raises:
        DatasetError: If one of the two is not there or damaged.
    """
    return combine("ccp_cfpd", root, (read_ccp(root / "ccp"), read_cfpd(root / "cfpd", OUTFIT_15)))


def combine(name: str, root: Path, parts: tuple[Dataset, ...]) -> Dataset:
    """One data set of several; each id has its data set's name in front: `ccp-0001`.

    Args:
        name: Name of the data set, a key in `DATASETS`.
        root: The folder that holds all of them.
        parts: Data sets to combine: at least one, all in the same taxonomy, none with a name of another and `-` in
            front of its own.

    Raises:
        DatasetError: If their taxonomies differ.
    """
    taxonomies = {part.taxonomy.name for part in parts}
    if len(taxonomies) != 1:
        raise DatasetError(f"{name} needs data sets in the same classes, not in {', '.join(sorted(taxonomies))}.")

    def find(photo_id: str) -> tuple[Dataset, str]:
        for part in parts:
            if photo_id.startswith(f"{part.name}-"):
                return part, photo_id.removeprefix(f"{part.name}-")
        raise DatasetError(
            f"{photo_id} is not a photo of {name}; ids begin with {' or '.join(f'{part.name}-' for part in parts)}."
        )

    def photo_path(photo_id: str) -> Path:
        part, own_id = find(photo_id)
        return part.photo_path(own_id)

    def truth_path(photo_id: str) -> Path:
        part, own_id = find(photo_id)
        return part.truth_path(own_id)

    def read_truth(photo_id: str) -> np.ndarray:
        part, own_id = find(photo_id)
        return part.read_truth(own_id)

    return Dataset(
        name=name,
        root=root,
        taxonomy=parts[0].taxonomy,
        ids=tuple(f"{part.name}-{own_id}" for part in parts for own_id in part.ids),
        photo_path=photo_path,
        truth_path=truth_path,
        read_truth=read_truth,
        parts=parts,
    )
