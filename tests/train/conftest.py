"""A data set that is made up, in the layout of Clothing Co-Parsing, and a recipe that trains on it in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import train.__main__
import train.fit
from segmodels.datasets import Dataset, read_ccp
from segmodels.taxonomy import CCP_59
from train.recipe import Recipe

PHOTOS = 8
HEIGHT, WIDTH = 72, 48
PARTS = {  # label -> rows, columns, colour
    "hair": (slice(4, 12), slice(18, 30), (60, 40, 20)),
    "shirt": (slice(12, 36), slice(12, 36), (220, 40, 40)),
    "jeans": (slice(36, 64), slice(14, 34), (40, 60, 200)),
    "shoes": (slice(64, 70), slice(14, 34), (20, 20, 20)),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set: photos 0001 to 0008, the last with a scarf. Read it, do not change it."""
    return write_ccp(tmp_path_factory.mktemp("ccp"))


@pytest.fixture
def own_root(tmp_path: Path) -> Path:
    """The same, to be changed."""
    return write_ccp(tmp_path / "ccp")


def write_ccp(root: Path) -> Path:
    (root / "photos").mkdir(parents=True)
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    cells = np.empty((1, len(CCP_59)), object)
    cells[0] = list(CCP_59)
    savemat(root / "label_list.mat", {"label_list": cells})
    generator = np.random.default_rng(0)
    for number in range(1, PHOTOS + 1):
        photo = generator.integers(150, 255, (HEIGHT, WIDTH, 3), np.uint8)
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        moved = int(generator.integers(0, 8))
        for label, (rows, columns, colour) in PARTS.items():
            columns = slice(columns.start + moved, columns.stop + moved)
            photo[rows, columns] = colour
            labels[rows, columns] = CCP_59.index(label)
        if number == PHOTOS:
            labels[12:16, 20:24] = CCP_59.index("scarf")
        Image.fromarray(photo).save(root / "photos" / f"{number:04}.jpg", quality=95)
        savemat(root / "annotations" / "pixel-level" / f"{number:04}.mat", {"groundtruth": labels})
    return root


@pytest.fixture(scope="session")
def dataset(root: Path) -> Dataset:
    return read_ccp(root)


def _folds(name: str, fold: int, folds: int = 5) -> tuple[list[str], list[str]]:
    train, choice = [f"{n:04}" for n in (1, 2, 3, 4, 5, 8)], ["0006", "0007"]
    return ([*train, *choice], []) if fold == -1 else (train, choice)


@pytest.fixture
def folds() -> Iterator[None]:
    """Six photos to train on and two to choose by: three steps of two photos in an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (train.fit, train.__main__):
            patch.setattr(module, "fold_ids", _folds)
        yield


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Recipe]:
    """Makes a recipe of 64 x 32 inputs, two epochs and batches of two; keywords replace its fields."""

    def make(**changes: object) -> Recipe:
        values: dict[str, object] = {
            "imagenet": False,
            "height": 64,
            "width": 32,
            "cache_side": 64,
            "epochs": 2,
            "batch_size": 2,
        }
        return Recipe(**{**values, **changes})  # type: ignore[arg-type]

    return make
