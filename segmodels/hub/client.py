"""Checkpoints on the Hugging Face Hub: listing them, and pulling one whole or not at all.

The Hub is asked through `huggingface_hub`, which also keeps what was fetched, in its own cache (`HF_HOME`). A revision
counts as pulled once a ref of that cache names it, and a ref is written only after every file is there, has the Hub's
checksum and loads: whatever fails on the way, what was pulled before still works. `snapshot_download` is not used,
because it writes the ref first, and fetches the weights before anyone has read the config.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, get_session, parse_hf_uri, try_to_load_from_cache
from huggingface_hub.file_download import are_symlinks_supported
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from tqdm import tqdm

from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.files import read_json, write_whole
from segmodels.foreign.formats import PICKLES, Format, files_of, format_of, is_weights
from segmodels.hub.cache import FILES, REPOSITORY_PREFIX, HubAddress, Pulled, find_pulled
from segmodels.hub.errors import HubError, HubUnreachableError, explain_failures, no_client

__all__ = ["HubCheckpoint", "Progress", "fetch", "list_hub", "open_api", "pull", "read_address"]

Progress = Callable[[int, int], None]
"""Function that is called with the bytes received and in total; not always in the thread that pulls."""

_SECONDS = 20.0  # without an answer after which a request fails
_FIRST_SECONDS = 6.0  # the same for the first question of a list, on which somebody looks who wants to use what is here
_DESCRIPTION = ("config.json", "README.md", "metrics.json")  # what a card shows of a checkpoint that is not pulled
_ATTEMPTS = 3  # at a file whose connection is reset; one that is closed or silent is gone on with by the client itself

# The client hands on 10 MB at a time, and goes on from there after a cut: the embedded network is smaller than that,
# so that neither would be seen of it.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 18


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """The current state of a checkpoint on the Hub.

    Args:
        name: Name of the checkpoint in the catalog.
        repository: Repository, `owner/name`.
        revision: The newest commit; empty if it could not be queried.
        size: Size of the weights, in bytes; 0 if there are none.
        folder: Folder that holds its `config.json`, model card and `metrics.json`, without the weights; None if there
            is a problem.
        problem: Reason why the checkpoint cannot be used, in a sentence; empty if it can.
    """

    name: str
    repository: str
    revision: str = ""
    size: int = 0
    folder: Path | None = None
    problem: str = ""


def read_address(text: str) -> HubAddress:
    """The address in `hf://owner/repo` or `hf://owner/repo@revision`.

    Raises:
        HubError: If the text is not such an address.
    """
    try:
        uri = parse_hf_uri(text)
    except ValueError:
        uri = None
    if uri is None or uri.type != "model" or uri.path_in_repo or ".." in (uri.revision or ""):
        raise HubError(
            f"{text!r} is not the address of a checkpoint. Write hf://owner/repo or hf://owner/repo@revision."
        )
    return HubAddress(uri.id, uri.revision or constants.DEFAULT_REVISION)


def open_api() -> HfApi:
    """The client, at the Hub of `HF_ENDPOINT` as it is now; no request of it waits for ever.

    Raises:
        HubUnreachableError: If a variable of the environment names a proxy or certificates that cannot be used.
    """
    try:
        session = get_session()
    except Exception as error:  # the variables of proxies and certificates are read here
        raise no_client(error) from None
    if _limit_wait not in session.event_hooks["request"]:
        session.event_hooks = session.event_hooks | {"request": [*session.event_hooks["request"], _limit_wait]}
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    return HfApi(endpoint=endpoint or constants.ENDPOINT, library_name="garmentscope")


def fetch(address: HubAddress, progress: Progress | None = None) -> Pulled:
    """The checkpoint as the Hub has it now or, where the Hub cannot be reached, as it was pulled last.

    A commit that was pulled is taken as it is: it cannot change.

    Raises:
        HubError: If it is not available.
    """
    pulled = find_pulled(address)
    if pulled and pulled.revision == address.revision:
        return pulled
    try:
        return pull(address, progress)
    except HubUnreachableError:
        if pulled:
            return pulled
        raise


def pull(address: HubAddress, progress: Progress | None = None) -> Pulled:
    """Downloads the current revision of a checkpoint into the cache, without files that are there already.

    Args:
        address: Address of the checkpoint.
        progress: Function that is called for each part that arrives.

    Raises:
        HubError: If the Hub or the checkpoint is at fault, or the disk is full; a revision that was pulled before is
            still the one that `find_pulled` finds.
    """
    api = open_api()
    revision, sizes = _look_up(api, address)
    wanted = files_of(sizes)
    total, done = sum(sizes[name] for name in wanted), 0

    def tell(more: int) -> None:
        if progress:
            progress(done + more, total)

    if FILES[0] in sizes:
        config = _download(api, address, revision, FILES[0], tell)
        _check_kind(address, revision, config, sizes)
    _check_room(address, sum(sizes[name] for name in wanted if not _is_cached(address, revision, name)))
    for name in wanted:
        file = _download(api, address, revision, name, tell)
        folder = file.parents[name.count("/")]
        done += sizes[name]
        tell(0)
    _verify(api, address, revision)
    _check_usable(address, revision, folder, load_checkpoint)
    with explain_failures(address.repository):
        for ref in (address.revision, revision):
            _write_ref(folder.parents[1] / "refs" / ref, revision)
    return Pulled(address.repository, revision, folder)


def list_hub(owner: str) -> list[HubCheckpoint]:
    """The checkpoints that an owner has on the Hub, by name; what is small of each is fetched, the weights are not.

    Raises:
        HubError: If the Hub cannot be queried. A checkpoint that cannot be used has a `problem`.
    """
    api = open_api()
    with explain_failures(owner):
        # The client tries for half a minute to list; a first question tells at once whether that is in vain.
        first = get_session().get(
            f"{api.endpoint}/api/models",
            params={"author": owner, "limit": 1},
            headers=build_hf_headers(),
            timeout=_FIRST_SECONDS,
        )
        hf_raise_for_status(first)
        found = [model.id for model in api.list_models(author=owner, search=REPOSITORY_PREFIX)]
    repositories = sorted(name for name in found if name.startswith(f"{owner}/{REPOSITORY_PREFIX}"))
    with explain_failures(owner):
        are_symlinks_supported(constants.HF_HUB_CACHE)  # kept by the client; else each thread tries for itself
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(_describe, repositories))


def _describe(repository: str) -> HubCheckpoint:
    name = repository.partition("/")[2].removeprefix(REPOSITORY_PREFIX)
    address = HubAddress(repository)
    revision, size = "", 0
    try:
        api = open_api()
        revision, sizes = _look_up(api, address)
        size = sum(sizes[each] for each in files_of(sizes) if is_weights(each))
        wanted = [each for each in _DESCRIPTION if each in sizes]
        files = [_download(api, address, revision, each, lambda more: None) for each in wanted]
        if FILES[0] not in sizes or _check_kind(address, revision, files[0], sizes) != "garmentscope":
            return HubCheckpoint(name, repository, revision, size)
        folder = files[0].parent
    except HubError as error:
        return HubCheckpoint(name, repository, revision, size, problem=str(error))
    return HubCheckpoint(name, repository, revision, size, folder)


def _look_up(api: HfApi, address: HubAddress) -> tuple[str, dict[str, int]]:
    """The commit of a revision, and its files with their sizes in bytes."""
    with explain_failures(address.repository, address.revision):
        info = api.model_info(address.repository, revision=address.revision, files_metadata=True, timeout=_SECONDS)
        assert info.sha is not None and info.siblings is not None
    sizes = {file.rfilename: file.size or 0 for file in info.siblings}
    if not any(map(is_weights, files_of(sizes))):
        pickles = sorted(name for name in sizes if Path(name).suffix in PICKLES)
        if pickles:
            raise HubError(
                f"{address.repository} holds its weights only as a pickle ({pickles[0]}), which can run any code and "
                "is refused. Its owner can publish them as model.safetensors."
            )
        try:
            format_of(address.repository, sizes, None)
        except CheckpointError as error:
            raise HubError(str(error)) from None
        missing = FILES[0] if FILES[0] not in sizes else FILES[-1]
        raise HubError(f"{address.repository} has no {missing}: it is not a checkpoint of Garmentscope, or is empty.")
    if FILES[0] not in sizes and FILES[-1] in sizes:
        raise HubError(f"{address.repository} has no {FILES[0]}: it is not a checkpoint of Garmentscope, or is empty.")
    return info.sha, sizes


def _download(api: HfApi, address: HubAddress, revision: str, name: str, report: Callable[[int], None]) -> Path:
    """The file in the cache, fetched if it is not there."""
    bar = _bar_that_tells(report)
    with explain_failures(address.repository, address.revision):
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return Path(api.hf_hub_download(address.repository, name, revision=revision, tqdm_class=bar))
            except httpx2.ReadError:
                if attempt == _ATTEMPTS:
                    raise
    raise AssertionError


def _bar_that_tells(report: Callable[[int], None]) -> type[tqdm[Any]]:
    """A progress bar for the client that draws nothing, and tells how many bytes of its file are there."""

    class Bar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, name: str = "", **options: Any) -> None:
            super().__init__(*args, **options | {"disable": True})
            self.done = options.get("initial", 0)

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            report(self.done)

        def update_transfer(self, n: float | None = 1) -> None:
            """What Xet has received, which is not yet what is there; so is the next."""

        def set_transfer_postfix_str(self, *args: Any, **options: Any) -> None:
            pass

    return Bar


def _verify(api: HfApi, address: HubAddress, revision: str) -> None:
    """Compares each file with the Hub's checksum: a download over plain HTTP is checked by its size alone."""
    with explain_failures(address.repository, address.revision):
        verification = api.verify_repo_checksums(address.repository, revision=revision)
    if wrong := [mismatch["path"] for mismatch in verification.mismatches]:
        for name in wrong:
            file = verification.verified_path / name
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        raise HubError(
            f"{wrong[0]} of {address.repository} does not have the checksum that the Hub states: it was damaged "
            "in transfer and has been deleted. Pull it again."
        )


def _check_room(address: HubAddress, size: int) -> None:
    """Fails before the first byte if the disk has too little space."""
    cache = Path(constants.HF_HUB_CACHE)
    place = next((folder for folder in (cache, *cache.parents) if folder.is_dir()), cache)
    with explain_failures(address.repository):
        if shutil.disk_usage(place).free < size:
            raise OSError(errno.ENOSPC, "not enough space")


def _check_kind(address: HubAddress, revision: str, config: Path, names: Collection[str]) -> Format:
    """Whose model it is, told before its weights are fetched; a checkpoint's config is checked as well."""
    try:
        values = read_json(config)
    except (OSError, ValueError):
        values = None
    try:
        kind = format_of(address.repository, names, values if isinstance(values, dict) else None)
    except CheckpointError as error:
        raise HubError(str(error)) from None
    if kind == "garmentscope":
        _check_usable(address, revision, config.parent, read_config)
    return kind


def _is_cached(address: HubAddress, revision: str, name: str) -> bool:
    return isinstance(try_to_load_from_cache(address.repository, name, revision=revision), str)


def _check_usable(address: HubAddress, revision: str, folder: Path, read: Callable[[Path], object]) -> None:
    try:
        read(folder)
    except CheckpointError as error:
        reason = str(error).replace(f"{folder}/", "")  # the path in the cache is of no use to the reader
        raise HubError(f"{address.repository}, revision {revision[:7]}, cannot be used. {reason}") from None


def _write_ref(path: Path, revision: str) -> None:
    """Writes a ref atomically, as the client does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, revision)


def _limit_wait(request: httpx2.Request) -> None:
    """Sets a limit to each wait that the client has left without one."""
    waits: Mapping[str, float | None] = request.extensions.get("timeout", {})
    kinds = ("connect", "read", "write", "pool")
    request.extensions["timeout"] = {kind: _SECONDS if waits.get(kind) is None else waits[kind] for kind in kinds}
