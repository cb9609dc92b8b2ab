"""Photos of jobs that are not done, on disk, so that a server that starts again goes on with them.

Each job has a folder in `jobs` of the cache: `photos`, one behind the other, and `job.json`. Of photos that are to be
fetched their addresses are kept. The folder is there from when the
job is accepted until it ends. Its lock says that a server that runs has the job; the system releases it when that
ends.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
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

__all__ = ["Spooled", "left_over", "remove", "save"]

_LOGGER = logging.getLogger("garmentscope.jobs")
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
        found: The photos.
        metadata: Dates and tags.
        lock: Lock of the job, which is held.
    """

    id: str
    archive: str
    location: str
    origin: str
    model: str
    owner: str
    thumbnails: bool
    blur: bool
    found: Found
    metadata: Metadata | None
    lock: FileLock


def save(
    job_id: str, found: Found, metadata: Metadata | None, kept: Mapping[str, bool] | None = None, **about: str
) -> FileLock:
    """Writes a job to disk.

    Args:
        job_id: Id of the job.
        found: The photos.
        metadata: Dates and tags.
        kept: `thumbnails` and `blur`, as in `Spooled`; False where left out.
        **about: `archive`, `location`, `origin`, `model` and `owner`, as in `Spooled`.

    Returns:
        Lock of the job, which is held.

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
        remove(job_id, lock)
        raise
    return lock


def left_over() -> Iterator[Spooled]:
    """The jobs that no running server has, the oldest first."""
    for folder in sorted(_folder().glob("*/"), key=lambda each: each.stat().st_mtime):
        lock = _lock(folder)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            continue
        try:
            yield _read(folder, lock)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOGGER.error("The job %s cannot be continued and is removed: %s", folder.name, error)
            remove(folder.name, lock)


def remove(job_id: str, lock: FileLock) -> None:
    """Removes a job's photos from the disk."""
    shutil.rmtree(_folder() / job_id, ignore_errors=True)
    lock.release(force=True)
    shutil.rmtree(_folder() / job_id, ignore_errors=True)  # the lock's file, where an open one stays


def _read(folder: Path, lock: FileLock) -> Spooled:
    values: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if (attempts := int(values["attempts"]) + 1) > _ATTEMPTS:
        raise ValueError(f"the server ended {_ATTEMPTS} times while it ran")
    write_whole(folder / "job.json", json.dumps({**values, "attempts": attempts}))
    sources, offset, fetcher = [], 0, Fetcher(anywhere=read_settings().private_feeds)
    for name, size, product in values["photos"]:
        if size is None:
            sources.append(photo_at(str(name), fetcher, str(product)))
            continue
        sources.append(Source(str(name), partial(_photo, folder / "photos", offset, int(size))))
        offset += int(size)
    if (folder / "photos").stat().st_size != offset:
        raise ValueError("photos are missing")
    found = Found(sources, [Rejected(name, reason) for name, reason in values["rejected"]], [], list(values["notes"]))
    return Spooled(
        folder.name,
        **{key: str(values[key]) for key in ("archive", "location", "origin", "model", "owner")},
        thumbnails=bool(values.get("thumbnails")),
        blur=bool(values.get("blur")),
        found=found,
        metadata=_metadata.validate_python(values["metadata"]),
        lock=lock,
    )


def _photo(file: Path, offset: int, size: int) -> bytes:
    with file.open("rb") as photos:
        photos.seek(offset)
        return photos.read(size)


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / "lock", thread_local=False)


def _folder() -> Path:
    return read_settings().cache / "jobs"
