"""Checkpoints pulled from the Hugging Face Hub, in the client's cache; no requests and no heavy imports.

A revision counts as pulled once a ref of the cache names it: `segmodels.hub.client` writes the ref last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from segmodels.foreign.formats import weights_of

__all__ = ["FILES", "REPOSITORY_PREFIX", "HubAddress", "Pulled", "find_pulled", "list_pulled"]

FILES = (
    "config.json",
    "README.md",
    "metrics.json",
    "calibration.json",
    "kinds.json",
    "kinds.safetensors",
    "embedding.safetensors",
    "evidence.parquet",
    "model.safetensors",
)
"""Files of a checkpoint of Garmentscope, as it is published; the first and the last are required."""

REPOSITORY_PREFIX = "garmentscope-"
"""A checkpoint's repository is its owner's `garmentscope-<catalog name>`."""


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Address of a checkpoint on the Hub: `hf://owner/repo@revision`.

    Args:
        repository: Repository, `owner/name`.
        revision: Branch, tag or commit.
    """

    repository: str
    revision: str = constants.DEFAULT_REVISION

    def __str__(self) -> str:
        return f"hf://{self.repository}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Pulled:
    """A checkpoint in the cache, whole and checked.

    Args:
        repository: Repository, `owner/name`.
        revision: The Hub's commit, 40 hex digits.
        folder: Folder that holds the files of the checkpoint; `load_checkpoint` reads it.
    """

    repository: str
    revision: str
    folder: Path


def find_pulled(address: HubAddress) -> Pulled | None:
    """The checkpoint as it was pulled last; None if it never was. Sends no request."""
    cached = Path(constants.HF_HUB_CACHE, _folder_name(address.repository))
    try:
        revision = (cached / "refs" / address.revision).read_text("utf-8").strip()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    folder = cached / "snapshots" / revision
    return Pulled(address.repository, revision, folder) if weights_of(folder) else None


def list_pulled(owner: str) -> dict[str, Pulled]:
    """Pulled checkpoints of an owner, by name in the catalog. Sends no request."""
    stem = _folder_name(f"{owner}/{REPOSITORY_PREFIX}")
    try:
        folders = sorted(path.name for path in Path(constants.HF_HUB_CACHE).iterdir())
    except OSError:
        return {}
    names = [folder.removeprefix(stem) for folder in folders if folder.startswith(stem)]
    found = {name: find_pulled(HubAddress(f"{owner}/{REPOSITORY_PREFIX}{name}")) for name in names}
    return {name: pulled for name, pulled in found.items() if pulled}


def _folder_name(repository: str) -> str:
    """Name of a model's folder in the client's cache."""
    return constants.REPO_ID_SEPARATOR.join(("models", *repository.split("/")))
