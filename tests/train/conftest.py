"""A data set that is made up, in the layout of Clothing Co-Parsing, and a recipe that trains on it in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_ccp import write_ccp

import train.commands.detecting
import train.commands.fitting
import train.commands.judging
import train.segmentation.fit
from segmodels.datasets import Dataset, read_ccp
from train.recipe import Recipe


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
        for module in (
            train.segmentation.fit,
            train.commands.detecting,
            train.commands.fitting,
            train.commands.judging,
        ):
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
