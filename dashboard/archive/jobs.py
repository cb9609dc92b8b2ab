"""Ingests that run in the background: one at a time per server, and never two for the same archive."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from dashboard.archive import spool
from dashboard.archive.shelf import Shelved
from dashboard.archive.spool import Kept
from dashboard.shared import background, networks
from segmodels.archive.ingest import Engine, Progress, Report, analyse_here, ingest, prepared, version_of
from segmodels.archive.metadata import Metadata
from segmodels.archive.place import NoSpaceError
from segmodels.archive.sources import Found
from segmodels.archive.store import Archive, ArchiveError
from segmodels.errors import GarmentscopeError
from segmodels.sentences import first_line

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = ["Job", "KeepingError", "begin", "pause", "remember", "remembered", "resume", "running"]

remembered: dict[str, Job] = {}
"""The jobs that can be asked for by their id: those of the API, and those taken over from another run of the server."""

_MOST_REMEMBERED = 200  # with more of them, the oldest that have ended are forgotten
_remembering = threading.Lock()

_turn = threading.Lock()  # two ingests at once would each be half as fast


class KeepingError(ArchiveError):
    """Photos that cannot be written to disk until they are added."""


class Job(background.Task):
    """Photos on their way into an archive.

    Args:
        target: The archive.
        found: The photos.
        metadata: Dates and tags.
        load: Function that returns the segmenter; called in the job's thread.
        pool: Function that opens the pool whose threads analyse the photos; threads of its own if left out.
        owner: Identifier of the visitor who began it.
        model: Catalog name of the model, by which another run of the server would load it.
        job_id: Id of the job; a new one if left out.
        thumbnails: Whether thumbnails of the photos are kept in the archive.
        blur: Whether heads are blurred in thumbnails.
        is_repeatable: Whether the photos are kept for `again` when the job was stopped or has failed.

    Attributes:
        id: Id that nobody can guess, 32 hex digits.
        progress: Progress after the latest photo; None before the first one.
        report: Report of the finished ingest; None until it is done.
    """

    def __init__(
        self,
        target: Shelved,
        found: Found,
        metadata: Metadata | None,
        load: Callable[[], Segmenter],
        pool: Callable[[], AbstractContextManager[Executor]] | None = None,
        owner: str = "",
        model: str = "",
        job_id: str = "",
        *,
        thumbnails: bool = False,
        blur: bool = False,
        is_repeatable: bool = True,
    ) -> None:
        super().__init__(target.location, "waiting")
        self.id = job_id or uuid.uuid4().hex
        self.target = target
        self.owner = owner
        self.model = model
        self.kept: Kept | None = None  # the photos on disk
        self._paused = False
        self.progress: Progress | None = None
        self.report: Report | None = None
        self._found, self._metadata, self._load, self._pool = found, metadata, load, pool
        self._thumbnails, self._blur = thumbnails, blur
        self.is_repeatable = is_repeatable

    def again(self) -> Job:
        """A new job for the photos of a repeatable one, not started yet; those that are in the archive are skipped."""
        job = Job(
            self.target,
            self._found,
            self._metadata,
            self._load,
            self._pool,
            self.owner,
            self.model,
            self.id if self.kept else "",
            thumbnails=self._thumbnails,
            blur=self._blur,
        )
        job.kept = self.kept
        return job

    def save(self) -> None:
        """Writes the photos to disk, from where they are read from now on, so that what was uploaded may be forgotten.

        If the server ends before the job does, another run of it goes on.

        Raises:
            KeepingError: If they cannot be written.
        """
        if self.kept:
            self.kept.go_on()
            return
        about = {"archive": self.target.name, "location": self.target.location, "origin": self.target.origin}
        about |= {"model": self.model, "owner": self.owner}
        try:
            kept = {"thumbnails": self._thumbnails, "blur": self._blur}
            self.kept = spool.save(self.id, self._found, self._metadata, kept, **about)
        except OSError as error:
            raise KeepingError(
                f"The photos cannot be kept until they are added: {error.strerror}. Free some space."
            ) from error
        self._found = self.kept.found

    def pause(self) -> None:
        """Stops as `stop` does, for another run of the server to go on."""
        self._paused = True
        self.stop()

    def forget_photos(self) -> None:
        """Gives up the photos, so that there is no `again`."""
        self._found, self._metadata = Found([], []), None
        if self.kept:
            self.kept.remove()
            self.kept = None

    def work(self) -> None:
        """Waits for its turn, loads the network and ingests."""
        try:
            self._work()
        finally:
            if self.kept and self._paused:
                self.kept.leave()
            elif not self.is_repeatable:
                self.forget_photos()
            elif self.kept:
                self.kept.end()

    def _work(self) -> None:
        while not _turn.acquire(timeout=0.1):
            self.check_stop()
        try:
            self.check_stop()
            self.phase = "loading"
            segmenter = self._load()
            self.check_stop()
            self.phase = "running"
            archive = Archive(self.target.location)
            version = version_of(segmenter)
            blur = segmenter.taxonomy if self._blur else None
            engine: Engine = partial(analyse_here, segmenter, pool=self._pool)
            self.report = ingest(
                self._found,
                archive,
                version,
                prepared(engine, self._found, archive, version, thumbnails=self._thumbnails, blur=blur),
                self._metadata,
                self._note_progress,
                segmenter.taxonomy,
                f"visitor {self.owner[:8]}" if self.owner else "",
            )
            self.forget_photos()
        finally:
            _turn.release()

    def explain(self, error: Exception) -> str:
        """Message for the visitor: the error's own message if it is meant for visitors."""
        if isinstance(error, NoSpaceError):
            return (
                f"No space is left on the server for {self.target.name}. What was written before is kept, and the "
                "archive is intact. Free some space and add the photos again."
            )
        if isinstance(error, GarmentscopeError):
            return str(error)
        return f"The ingest failed: {first_line(error) or type(error).__name__}. What was written before is kept."

    def _note_progress(self, progress: Progress) -> None:
        self.progress = progress
        if progress.done < progress.total:
            self.check_stop()


def begin(job: Job) -> None:
    """Starts a job in a thread of its own.

    Raises:
        ArchiveError: If photos are being added to its archive already.
        KeepingError: If its photos cannot be written to disk.
    """
    busy = f"Photos are being added to {job.target.name} already. Wait until that is done, or stop it."
    if any(each.key == job.key for each in running()):
        raise ArchiveError(busy)
    if job.model:
        job.save()
    if background.begin(job) is not job:
        raise ArchiveError(busy)


def remember(job: Job) -> None:
    """Lets a job be asked for by its id."""
    with _remembering:
        ended = [key for key, each in remembered.items() if not each.live]
        for key in ended[: max(0, len(remembered) - _MOST_REMEMBERED + 1)]:
            del remembered[key]
        remembered[job.id] = job


def resume() -> None:
    """Goes on with the jobs that another run of the server left over."""
    for each in spool.left_over():
        target = Shelved(each.archive, each.location, each.origin)  # type: ignore[arg-type]
        load = partial(networks.segmenter, each.model)
        job = Job(
            *(target, each.kept.found, each.metadata, load, networks.flow, each.owner, each.model, each.id),
            thumbnails=each.thumbnails,
            blur=each.blur,
            is_repeatable=False,  # nobody's page has it
        )
        job.kept = each.kept
        try:
            begin(job)
        except ArchiveError:  # somebody began another one for the archive, and this one waits on disk
            each.kept.leave()
        else:
            remember(job)


def pause(seconds: float) -> None:
    """Stops the running jobs, for another run of the server to go on with them.

    Args:
        seconds: Seconds to wait until what they have done is written.
    """
    jobs, deadline = running(), time.monotonic() + seconds
    for job in jobs:
        job.pause()
    for job in jobs:
        job.wait(max(0.0, deadline - time.monotonic()))


def running() -> list[Job]:
    """The unfinished jobs of this server."""
    return background.running(Job)
