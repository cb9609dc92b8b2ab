"""Ingests that run beside the pages: one thread each, one at a time for a server, none twice for an archive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Literal

from dashboard.archive.shelf import Shelved
from segmodels.archive.ingest import Progress, Report, analyse_here, ingest, version_of
from segmodels.archive.metadata import Metadata
from segmodels.archive.sources import Found
from segmodels.archive.store import Archive, ArchiveError

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = ["Job", "Phase", "begin", "running"]

Phase = Literal["waiting", "loading", "running", "done", "stopped", "failed"]

_jobs: dict[str, Job] = {}  # that are not over, by the archive's location
_register = threading.Lock()
_turn = threading.Lock()  # two at once would each be half as fast


class Job:
    """Photos on their way into an archive.

    Args:
        target: The archive.
        found: The photos.
        metadata: Dates and tags.
        load: Gives the segmenter; called in the job's thread.
        pool: Function that opens the pool whose threads analyse the photos; threads of its own if left out.

    Attributes:
        phase: Where it is.
        progress: After the last photo; None before the first.
        report: What it did, when it is done.
        error: Why it failed, as a sentence.
        stopping: Whether somebody has asked it to stop.
    """

    def __init__(
        self,
        target: Shelved,
        found: Found,
        metadata: Metadata | None,
        load: Callable[[], Segmenter],
        pool: Callable[[], AbstractContextManager[Executor]] | None = None,
    ) -> None:
        self.target = target
        self.phase: Phase = "waiting"
        self.progress: Progress | None = None
        self.report: Report | None = None
        self.error = ""
        self._found, self._metadata, self._load, self._pool = found, metadata, load, pool
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ingest-{target.name}", daemon=True)

    @property
    def live(self) -> bool:
        """Whether it is not over yet."""
        return self.phase in ("waiting", "loading", "running")

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Asks it to stop after the photos that are begun; what is done is kept."""
        self._stop.set()

    def again(self) -> Job:
        """The same photos once more: those that are in the archive are passed over. Not begun yet."""
        return Job(self.target, self._found, self._metadata, self._load, self._pool)

    def wait(self, seconds: float) -> None:
        """Waits until it is over, but no longer than so many seconds."""
        self._thread.join(seconds)

    def start(self) -> None:
        """Begins; `begin` sees to it that no other works on the same archive."""
        self._thread.start()

    def _run(self) -> None:
        try:
            while not _turn.acquire(timeout=0.1):
                self._go_on()
            try:
                self._go_on()
                self.phase = "loading"
                segmenter = self._load()
                self._go_on()
                self.phase = "running"
                archive, engine = Archive(self.target.location), partial(analyse_here, segmenter, pool=self._pool)
                self.report = ingest(
                    self._found, archive, version_of(segmenter), engine, self._metadata, self._note_progress
                )
                self._found, self._metadata = Found([], []), None  # the photos' bytes are not needed any more
                self.phase = "done"
            finally:
                _turn.release()
        except _StoppedError:
            self.phase = "stopped"
        except Exception as error:  # a thread has nobody else to tell
            first = str(error).partition("\n")[0] or type(error).__name__
            known = isinstance(error, ValueError | OSError)
            self.error = str(error) if known else f"The ingest broke off: {first}. What was written before is whole."
            self.phase = "failed"

    def _note_progress(self, progress: Progress) -> None:
        self.progress = progress
        if progress.done < progress.total:
            self._go_on()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise _StoppedError


class _StoppedError(Exception):
    """Somebody asked for it."""


def begin(job: Job) -> None:
    """Starts a job in a thread of its own.

    Raises:
        ArchiveError: If photos are being added to its archive already.
    """
    with _register:
        _drop_finished()
        if job.target.location in _jobs:
            raise ArchiveError(
                f"Photos are being added to {job.target.name} already. Wait until that is done, or stop it."
            )
        _jobs[job.target.location] = job
        job.start()


def running() -> list[Job]:
    """The jobs of this server that are not over yet."""
    with _register:
        _drop_finished()
        return list(_jobs.values())


def _drop_finished() -> None:
    for location in [location for location, job in _jobs.items() if not job.live]:
        del _jobs[location]
