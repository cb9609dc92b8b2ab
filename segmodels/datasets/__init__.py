"""Readers of the data sets, one file per source, all giving the same thing: ids, photos and class maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from segmodels.datasets.ccp import read_ccp
from segmodels.datasets.dataset import Dataset, DatasetError

__all__ = ["DATASETS", "Dataset", "DatasetError", "read_ccp"]

DATASETS: Mapping[str, Callable[[Path], Dataset]] = {"ccp": read_ccp}
"""Reader by the name that recipes and the command line use; each takes the folder of the data set."""
