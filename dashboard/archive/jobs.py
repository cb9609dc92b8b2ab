"""Ingests that run in the background: one at a time per server, and never two for the same archive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from dashboard.archive.shelf import Shelved
from dashboard.shared import background
from segmodels.archive.ingest import Engine, Progress, Report, analyse_here, ingest, version_of
from segmodels.archive.metadata import Metadata
from segmodels.archive.sources import Found
from segmodels.archive.store import Archive, ArchiveError
from segmodels.archive.thumbnails import keeping_thumbnails

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = ["Job", "begin", "running"]

_turn = threading.Lock()  # two ingests at once would each be half as fast


class Job(background.Task):
    """Photos on their way into an archive.

    Args:
        target: The archive.
        found: The photos.
        metadata: Dates and tags.
        load: Function that returns the segmenter; called in the job's thread.
        pool: Function that opens the pool whose threads analyse the photos; threads of its own if left out.
        owner: Identifier of the visitor who began it.
        thumbnails: Whether thumbnails of the photos are kept in the archive.

    Attributes:
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
        *,
        thumbnails: bool = False,
    ) -> None:
        super().__init__(target.location, "waiting")
        self.target = target
        self.owner = owner
        self.progress: Progress | None = None
        self.report: Report | None = None
        self._found, self._metadata, self._load, self._pool = found, metadata, load, pool
        self._thumbnails = thumbnails

    def again(self) -> Job:
        """A new job for the same photos, not started yet; photos that are in the archive are skipped."""
        return Job(
            self.target,
            self._found,
            self._metadata,
            self._load,
            self._pool,
            self.owner,
            thumbnails=self._thumbnails,
        )

    def work(self) -> None:
        """Waits for its turn, loads the network and ingests."""
        while not _turn.acquire(timeout=0.1):
            self.check_stop()
        try:
            self.check_stop()
            self.phase = "loading"
            segmenter = self._load()
            self.check_stop()
            self.phase = "running"
            archive = Archive(self.target.location)
            engine: Engine = partial(analyse_here, segmenter, pool=self._pool)
            if self._thumbnails:
                engine = keeping_thumbnails(engine, archive.place)
            self.report = ingest(
                self._found,
                archive,
                version_of(segmenter),
                engine,
                self._metadata,
                self._note_progress,
                segmenter.taxonomy,
            )
            self._found, self._metadata = Found([], []), None  # the photos' bytes are not needed any more
        finally:
            _turn.release()

    def explain(self, error: Exception) -> str:
        """Message for the visitor: the error's own message if it is meant for visitors."""
        if isinstance(error, ValueError | OSError):
            return str(error)
        first = str(error).partition("\n")[0] or type(error).__name__
        return f"The ingest failed: {first}. What was written before is kept."

    def _note_progress(self, progress: Progress) -> None:
        self.progress = progress
        if progress.done < progress.total:
            self.check_stop()


def begin(job: Job) -> None:
    """Starts a job in a thread of its own.

    Raises:
        ArchiveError: If photos are being added to its archive already.
    """
    if background.begin(job) is not job:
        raise ArchiveError(f"Photos are being added to {job.target.name} already. Wait until that is done, or stop it.")


def running() -> list[Job]:
    """The unfinished jobs of this server."""
    return background.running(Job)
