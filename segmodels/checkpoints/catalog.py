"""The catalog: available checkpoints and their sources.

A name is looked up in the folders of `GARMENTSCOPE_MODELS` (separated as in PATH), then among the embedded ones, then
at the Hub's owner `GARMENTSCOPE_HUB`, whose `fpn` is the repository `garmentscope-fpn`. A pulled checkpoint
is used until it is pulled again; only `ask_hub`, `list_offers` and `pull_checkpoint` query the Hub. An embedded folder
without `model.safetensors` describes a network that is too large to ship, or that another one replaces: its
configuration, its scores, and the command that trains it.

PyTorch takes seconds to import, so it is imported when a network is loaded: a list of names does not need it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from segmodels.checkpoints.errors import CheckpointError
from segmodels.files import read_json
from segmodels.foreign.formats import name_of, weights_of
from segmodels.hub.cache import REPOSITORY_PREFIX, HubAddress, Pulled, list_pulled
from segmodels.sentences import listed
from segmodels.settings import read_settings

if TYPE_CHECKING:
    import torch

    from segmodels.checkpoints.checkpoint import Checkpoint
    from segmodels.hub.client import HubCheckpoint, Progress
    from segmodels.inference.segmenter import Segmenter

__all__ = [
    "DEFAULT_MODEL",
    "EMBEDDED",
    "MAPS_FILE",
    "CatalogEntry",
    "Offer",
    "ask_hub",
    "find_model",
    "how_to_get",
    "hub_owner",
    "list_checkpoints",
    "list_described",
    "list_maps",
    "list_models",
    "list_offers",
    "load_segmenter",
    "match_offers",
    "open_checkpoint",
    "pull_checkpoint",
]

EMBEDDED = Path(__file__).parents[1] / "embedded" / "segmentation"
"""Folder of the checkpoints that ship with the package, and of the descriptions that ship without weights."""

DEFAULT_MODEL = "fpn"
"""Name of the checkpoint that the app and the commands take where none is named."""

MAPS_FILE = "maps.json"
"""Name of the file that stands for `config.json` where class maps were made elsewhere and only evaluated here."""

_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """An installed checkpoint: its name, its source and its folder.

    Args:
        name: Name of the checkpoint in the catalog.
        source: Source of the checkpoint: `folder` of `GARMENTSCOPE_MODELS` or one that was named, `embedded`, or pulled
            from the `hub`.
        folder: Folder that holds the files of the checkpoint; the file where an ONNX file was named.
        revision: Commit on the Hub; empty for other sources.
        hidden: Folders of other checkpoints of this name, which are not used.
    """

    name: str
    source: Literal["folder", "embedded", "hub"]
    folder: Path
    revision: str = ""
    hidden: tuple[Path, ...] = ()

    @property
    def replaces(self) -> str:
        """A sentence on the other checkpoints of this name; empty if there are none."""
        own = [folder for folder in self.hidden if folder.parent != EMBEDDED]
        if not own:
            return "It is used in place of the model of this name that ships with Garmentscope." if self.hidden else ""
        which = "Another checkpoint of this name is" if len(own) == 1 else "Other checkpoints of this name are"
        return f"{which} not used: {listed(list(map(str, own)))}. Rename the folder to use both."


@dataclass(frozen=True, slots=True)
class Offer:
    """A checkpoint that is installed, on the Hub, or both; or one that is described only.

    Args:
        name: Name of the checkpoint in the catalog.
        here: Entry as `load_segmenter` takes it; None if the checkpoint is not pulled yet.
        hub: Checkpoint as the Hub has it; None if the Hub has none of this name, or was not queried.
        described: Folder of the shipped description without weights; None if there is none, or it is installed.
    """

    name: str
    here: CatalogEntry | None = None
    hub: HubCheckpoint | None = None
    described: Path | None = None

    @property
    def place(self) -> Literal["folder", "embedded", "hub", "not pulled", "described"]:
        """Current place of the checkpoint; `hub` if it was pulled, `described` if its weights are not available."""
        return self.here.source if self.here else "not pulled" if self.hub else "described"

    @property
    def folder(self) -> Path | None:
        """Folder with config, metrics and model card; None if they are not available."""
        return self.here.folder if self.here else self.hub.folder if self.hub else self.described

    @property
    def has_update(self) -> bool:
        """Whether it was pulled, and the Hub has a newer revision that can be used."""
        if not (self.here and self.here.source == "hub" and self.hub and not self.hub.problem):
            return False
        return self.hub.revision != self.here.revision


def hub_owner() -> str:
    """Owner of the catalog's checkpoints on the Hub; empty if `GARMENTSCOPE_HUB` is not set."""
    return read_settings().hub


def list_checkpoints() -> list[CatalogEntry]:
    """All installed segmentation networks, by name; of two with the same name, the one that `load_segmenter` loads.

    Sends no request.
    """
    places: list[tuple[Literal["folder", "embedded"], Path]] = [("folder", each) for each in read_settings().models]
    places.append(("embedded", EMBEDDED))
    found: dict[str, CatalogEntry] = {}

    def add(entry: CatalogEntry) -> None:
        first = found.setdefault(entry.name, entry)
        if first.folder != entry.folder:
            found[entry.name] = replace(first, hidden=(*first.hidden, entry.folder))

    for source, place in places:
        for folder in _inside(place, "[!.]*/"):  # a hidden folder is an interrupted save
            try:
                described = (folder / "config.json").is_file()
                if source == "embedded" and not (folder / _WEIGHTS).is_file():
                    continue
            except OSError:  # a folder that may not be read
                continue
            if described or any(each.suffix == ".onnx" for each in weights_of(folder)):
                add(CatalogEntry(folder.name, source, folder))
    if owner := hub_owner():
        for name, pulled in list_pulled(owner).items():
            add(CatalogEntry(name, "hub", pulled.folder, pulled.revision))
    return sorted(found.values(), key=lambda entry: entry.name)


def _inside(place: Path, pattern: str) -> list[Path]:
    """What a folder holds; nothing if it cannot be listed."""
    try:
        return sorted(place.glob(pattern))
    except OSError:
        return []


def list_models() -> list[str]:
    """Names that `load_segmenter` loads without a request, in order."""
    return [entry.name for entry in list_checkpoints()]


def list_maps() -> dict[str, Path]:
    """Folder by name of the class maps made elsewhere that were evaluated, in the folders of `GARMENTSCOPE_MODELS`."""
    found: dict[str, Path] = {}
    for place in read_settings().models:
        for file in _inside(place, f"[!.]*/{MAPS_FILE}"):
            found.setdefault(file.parent.name, file.parent)
    return dict(sorted(found.items()))


def list_described() -> dict[str, Path]:
    """Folder by name of each network that ships without its weights."""
    folders = (config.parent for config in sorted(EMBEDDED.glob("[!.]*/config.json")))
    return {folder.name: folder for folder in folders if not (folder / _WEIGHTS).is_file()}


def list_offers() -> tuple[list[Offer], str]:
    """All offers by name, and a sentence on why the Hub could not be queried; empty if it was, or need not be.

    Queries the Hub if `GARMENTSCOPE_HUB` is set; installed checkpoints are listed in any case.
    """
    there, problem = ask_hub()
    return match_offers(there), problem


def ask_hub() -> tuple[list[HubCheckpoint], str]:
    """Checkpoints on the Hub, and a sentence on why it could not be queried; empty if it was, or need not be."""
    from segmodels.hub.client import list_hub
    from segmodels.hub.errors import HubError

    if not (owner := hub_owner()):
        return [], ""
    try:
        return list_hub(owner), ""
    except HubError as error:
        return [], str(error)


def match_offers(there: Iterable[HubCheckpoint]) -> list[Offer]:
    """Installed checkpoints, the given ones of the Hub, and described ones, by name. Sends no request."""
    on_hub = {checkpoint.name: checkpoint for checkpoint in there}
    here = {entry.name: entry for entry in list_checkpoints()}
    described = {name: folder for name, folder in list_described().items() if name not in here}
    names = sorted({*here, *on_hub, *described})
    return [Offer(name, here.get(name), on_hub.get(name), described.get(name)) for name in names]


def pull_checkpoint(name: str, progress: Progress | None = None) -> Pulled:
    """Pulls a checkpoint from the Hub in its current revision.

    Args:
        name: Name of the checkpoint in the catalog, or `hf://owner/repo@revision`.
        progress: Function that is called with the bytes received and in total.

    Raises:
        HubError: If it cannot be pulled; a revision pulled before is then still used.
    """
    from segmodels.hub.client import pull

    return pull(_address(name), progress)


def load_segmenter(
    name: str = DEFAULT_MODEL,
    device: str | torch.device | None = None,
    *,
    precision: str | None = None,
    progress: Progress | None = None,
) -> Segmenter:
    """A segmenter, ready to run.

    Args:
        name: Name of the model, as `find_model` takes it.
        device: The device that computes, or its name as `--device` takes it; if left out, the value of
            `GARMENTSCOPE_DEVICE`, or the first of CUDA, Apple's MPS and the processor that there is.
        precision: `32`, `bf16` or `fp16`; the device's fastest if left out.
        progress: Function that is called with the bytes pulled and in total.

    Raises:
        CheckpointError: If there is no such checkpoint, or it is damaged.
        DeviceError: If the device is not available, or does not support that precision.
    """
    import torch

    from segmodels.device import pick_device, pick_precision
    from segmodels.inference.segmenter import Segmenter

    where = device if isinstance(device, torch.device) else pick_device(device)
    how = pick_precision(precision, where)
    return Segmenter(open_checkpoint(name, progress=progress), where, precision=how)


def open_checkpoint(name: str | Path, *, with_calibration: bool = True, progress: Progress | None = None) -> Checkpoint:
    """The checkpoint of a name, loaded.

    Args:
        name: Name of the model, as `find_model` takes it.
        with_calibration: Whether its calibration is read; one that is fitted anew may be damaged.
        progress: Function that is called with the bytes pulled and in total.

    Raises:
        CheckpointError: If there is no such checkpoint, or it is damaged.
    """
    from segmodels.checkpoints.checkpoint import load_checkpoint

    entry = find_model(name, progress)
    return load_checkpoint(entry.folder, entry.name, entry.revision, with_calibration=with_calibration)


def find_model(name: str | Path, progress: Progress | None = None) -> CatalogEntry:
    """Where a model is, pulled if it is not installed. All commands take a model by this rule.

    Args:
        name: A catalog name, the folder of a checkpoint or of a network from elsewhere, an ONNX file, or
            `hf://owner/repo@revision`. The last is queried on the Hub, or read from the cache if the Hub cannot be
            reached; a catalog name is queried only if not installed. A name that is both a catalog name and a folder is
            the catalog's; `./name` is the folder.
        progress: Function that is called with the bytes pulled and in total.

    Raises:
        CheckpointError: If there is no such model; the sentence says what is like it.
    """
    from segmodels.hub.client import fetch
    from segmodels.hub.errors import HubError

    if not str(name).strip():
        raise CheckpointError(
            "The name of the model is empty. Name one that is installed, a folder, or hf://owner/repo."
        )
    if isinstance(name, str) and name.startswith("hf://"):
        pulled = fetch(_address(name), progress)
        return CatalogEntry(pulled.repository, "hub", pulled.folder, pulled.revision)
    named = isinstance(name, str) and not _is_path(name)
    for entry in list_checkpoints():
        if named and entry.name == name:
            return entry
    path = Path(os.path.expanduser(name))  # noqa: PTH111  # Path.expanduser fails on the ~ of a user who is not there
    with suppress(OSError):  # a name that is too long, or below a folder that may not be entered
        if path.exists():
            return CatalogEntry(name_of(path), "folder", path)
    if not named:
        raise CheckpointError(_no_folder(str(name), path))
    missing = _missing(str(name))
    if not hub_owner():
        raise CheckpointError(f"{missing} Name one of them, or the folder of a checkpoint.")
    try:
        pulled = pull_checkpoint(str(name), progress)
    except HubError as error:
        raise HubError(f"{missing} {error}") from None
    return CatalogEntry(str(name), "hub", pulled.folder, pulled.revision)


def _is_path(name: str) -> bool:
    """Whether a name can only be a path."""
    return "/" in name or os.sep in name or name.startswith(("~", ".")) or name.endswith(".onnx")


def _no_folder(name: str, path: Path) -> str:
    """Sentence on a path that leads nowhere."""
    missing = f"There is no checkpoint folder {name}."
    try:
        beside = [each.name for each in path.absolute().parent.iterdir()]
    except OSError:
        beside = []
    if like := difflib.get_close_matches(path.name, beside, n=1):
        return f"{missing} Did you mean {path.parent / like[0]}?"
    if not name.startswith((".", "~")) and name.count("/") == 1:
        return f"{missing} Did you mean hf://{name}, on the Hugging Face Hub?"
    return f"{missing} Name a folder, a model that is installed, or hf://owner/repo."


def _missing(name: str) -> str:
    installed = [entry.name for entry in list_checkpoints()]
    known = ", ".join(installed) or "none"
    if folder := list_described().get(name):
        return f"The weights of {name!r} are not included: {how_to_get(folder)} Installed: {known}."
    like = difflib.get_close_matches(name, installed, n=1)
    return f"There is no model {name!r}.{f' Did you mean {like[0]}?' if like else ''} Installed: {known}."


def how_to_get(folder: Path) -> str:
    """Sentence on how to get the weights of a described network."""
    command = read_json(folder / "config.json")["training"].get("command")
    if command is None:
        return f"{folder} has lost its model.safetensors. Install Garmentscope again."
    return (
        f"train it with `{command}`, copy the checkpoint to a folder named {folder.name}, and set "
        "GARMENTSCOPE_MODELS to the folder above it."
    )


def _address(name: str) -> HubAddress:
    """Address of a name on the Hub."""
    from segmodels.hub.client import read_address
    from segmodels.hub.errors import HubError

    if name.startswith("hf://"):
        return read_address(name)
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII) or ".." in name:
        raise HubError(f"{name!r} is no name of a model. Give one of the catalog, or hf://owner/repo.")
    if not hub_owner():
        raise HubError(
            f"Set GARMENTSCOPE_HUB to the owner of {name} on the Hub, or write hf://owner/{REPOSITORY_PREFIX}{name}."
        )
    return HubAddress(f"{hub_owner()}/{REPOSITORY_PREFIX}{name}")
