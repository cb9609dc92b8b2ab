"""Readers of the data sets, one file per source, all with the same result: ids, photos and class maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from segmodels.datasets.ccp import read_ccp
from segmodels.datasets.cfpd import read_cfpd
from segmodels.datasets.combined import read_ccp_cfpd
from segmodels.datasets.dataset import Dataset, DatasetError
from segmodels.datasets.imaterialist import read_imaterialist
from segmodels.datasets.inspection import Inspection, inspect_dataset

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetError",
    "Inspection",
    "inspect_dataset",
    "read_ccp",
    "read_ccp_cfpd",
    "read_cfpd",
    "read_imaterialist",
]

DATASETS: Mapping[str, Callable[[Path], Dataset]] = {
    "ccp": read_ccp,
    "cfpd": read_cfpd,
    "ccp_cfpd": read_ccp_cfpd,
    "imaterialist": read_imaterialist,
}
"""Reader by the name that recipes and the command line use; each takes the folder of the data set."""
