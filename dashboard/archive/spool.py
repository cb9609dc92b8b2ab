"""Photos of jobs that are not done, on disk, so that a server that starts again goes on with them.

Each job has a folder in `jobs` of the cache: `photos`, one behind the other, and `job.json`. Of photos that are to be
fetched their addresses are kept. The folder is there from when the job is accepted until nobody can go on with it: a
job that was stopped or has failed is marked by a file `ended`, and its folder goes with the page that could continue
it. Its lock says that a server that runs has the job; the system releases it when that ends.
"""

from __future__ import annotations

import json
import logging
import shutil
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from segmodels.archive.fetching import Fetcher, photo_at
from segmodels.archive.metadata import Metadata
from segmodels.archive.sources import Found, Rejected, Source
from segmodels.files import write_whole
from segmodels.photo import PhotoError
from segmodels.settings import read_settings

__all__ = ["Kept", "Spooled", "left_over", "save"]

_LOGGER = logging.getLogger("garmentscope.jobs")
_ENDED = "ended"
_ATTEMPTS = 3  # starts of a server after which a job is given up: it may be what ends the server
_metadata: TypeAdapter[Metadata | None] = TypeAdapter(Metadata | None)


@dataclass(frozen=True)
class Spooled:
    """A job that another run of the server left over.

    Args:
        id: Id of the job.
        archive: Name of the archive.
        location: Location of the archive.
        origin: Origin of the archive, as `Shelved` has it.
        model: Catalog name of the model.
        owner: Identifier of whoever began it.
        thumbnails: Whether thumbnails are kept.
        blur: Whether heads are blurred in them.
        metadata: Dates and tags.
        kept: The photos.
    """

    id: str
    archive: str
    location: str
    origin: str
    model: str
    owner: str
    thumbnails: bool
    blur: bool
    metadata: Metadata | None
    kept: Kept


class Kept:
    """Photos of a job on disk, which go once nothing refers to this object any more, or `remove` is called.

    Args:
        folder: Folder of the job.
        lock: Lock of the folder, which is held.
        found: The photos, which are read from the folder.
    """

    def __init__(self, folder: Path, lock: FileLock, found: Found) -> None:
        self.found = found
        self._folder, self._lock = folder, lock
        self._removal = weakref.finalize(self, _remove, folder, lock)
        self._removal.atexit = False  # else a server that stops could not leave them to the next one

    def go_on(self) -> None:
        """A job works on them again; if the server ends meanwhile, the next one goes on."""
        self._mark.unlink(missing_ok=True)

    def end(self) -> None:
        """The job has stopped or failed: whoever began it may go on, but not another server."""
        with suppress(OSError):  # on a full disk another server may go on, which adds no photo twice
            self._mark.touch()

    def leave(self) -> None:
        """Leaves them to the server that comes next."""
        if self._removal.detach():
            self._lock.release(force=True)

    def remove(self) -> None:
        """Removes them from the disk."""
        self._removal()

    @property
    def _mark(self) -> Path:
        return self._folder / _ENDED


def save(
    job_id: str, found: Found, metadata: Metadata | None, kept: Mapping[str, bool] | None = None, **about: str
) -> Kept:
    """Writes a job to disk.

    Args:
        job_id: Id of the job.
        found: The photos.
        metadata: Dates and tags.
        kept: `thumbnails` and `blur`, as in `Spooled`; False where left out.
        **about: `archive`, `location`, `origin`, `model` and `owner`, as in `Spooled`.

    Returns:
        The photos as they are on disk; those that cannot be read are rejected.

    Raises:
        OSError: If it cannot be written.
    """
    folder = _folder() / job_id
    folder.mkdir(parents=True, mode=0o700)
    lock = _lock(folder)
    lock.acquire()
    try:
        sizes, rejected = list[tuple[str, int | None, str]](), list(found.rejected)
        with (folder / "photos").open("wb") as photos:
            for source in found.sources:
                if source.fetcher:
                    sizes.append((source.name, None, source.product))
                    continue
                try:
                    sizes.append((source.name, photos.write(source.read()), ""))
                except PhotoError as error:
                    rejected.append(Rejected(source.name, str(error)))
        values = {
            **about,
            **(kept or {}),
            "attempts": 0,
            "photos": sizes,
            "rejected": rejected,
            "notes": found.notes,
            "metadata": _metadata.dump_python(metadata, mode="json"),
        }
        write_whole(folder / "job.json", json.dumps(values))
    except BaseException:
        _remove(folder, lock)
        raise
    return Kept(folder, lock, Found(_sources(folder, sizes), rejected, [], list(found.notes)))


def left_over() -> Iterator[Spooled]:
    """The jobs that no running server has, the oldest first."""
    for folder in sorted(_folder().glob("*/"), key=lambda each: each.stat().st_mtime):
        lock = _lock(folder)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            continue
        if (folder / _ENDED).exists():
            _remove(folder, lock)
            continue
        try:
            spooled = _read(folder, lock)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOGGER.error("The job %s cannot be continued and is removed: %s", folder.name, error)
            _remove(folder, lock)
        else:
            yield spooled


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.release(force=True)
    shutil.rmtree(folder, ignore_errors=True)  # the lock's file, where an open one stays


def _read(folder: Path, lock: FileLock) -> Spooled:
    values: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if (attempts := int(values["attempts"]) + 1) > _ATTEMPTS:
        raise ValueError(f"the server ended {_ATTEMPTS} times while it ran")
    write_whole(folder / "job.json", json.dumps({**values, "attempts": attempts}))
    sources = _sources(folder, values["photos"])
    if (folder / "photos").stat().st_size != sum(size or 0 for _, size, _ in values["photos"]):
        raise ValueError("photos are missing")
    found = Found(sources, [Rejected(name, reason) for name, reason in values["rejected"]], [], list(values["notes"]))
    return Spooled(
        folder.name,
        **{key: str(values[key]) for key in ("archive", "location", "origin", "model", "owner")},
        thumbnails=bool(values.get("thumbnails")),
        blur=bool(values.get("blur")),
        metadata=_metadata.validate_python(values["metadata"]),
        kept=Kept(folder, lock, found),
    )


def _sources(folder: Path, photos: Iterable[tuple[str, int | None, str]]) -> list[Source]:
    """The photos of a folder by name, bytes (None if it is to be fetched) and product, in the order of the file."""
    sources, offset, fetcher = [], 0, Fetcher(anywhere=read_settings().private_feeds)
    for name, size, product in photos:
        if size is None:
            sources.append(photo_at(str(name), fetcher, str(product)))
            continue
        sources.append(Source(str(name), partial(_photo, folder / "photos", offset, int(size))))
        offset += int(size)
    return sources


def _photo(file: Path, offset: int, size: int) -> bytes:
    with file.open("rb") as photos:
        photos.seek(offset)
        return photos.read(size)


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / "lock", thread_local=False)


def _folder() -> Path:
    return read_settings().cache / "jobs"
