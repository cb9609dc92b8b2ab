"""A folder that is watched: photos are taken once they are whole, some at a time.

A file is whole when its size and time have not changed for a moment, whether it was copied, written or moved in.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segmodels.archive.place import ArchiveError
from segmodels.archive.sources import Found, photo_in
from segmodels.extras import missing_extra

if TYPE_CHECKING:
    from segmodels.archive.sources import Source

__all__ = ["SETTLED", "watch"]

SETTLED = 2.0
"""Seconds for which a file must not have changed."""

_TICK = 0.5  # seconds between two looks at files that may be unfinished
_POLL = 10.0  # seconds between two looks at a folder of which the system does not tell changes
_AGAIN = 60.0  # seconds after which files are tried again where the archive could not be written

_Stamp = tuple[int, int]  # size and time of the last change


def watch(
    folder: Path,
    take: Callable[[Found], None],
    *,
    poll: float | None = None,
    settled: float = SETTLED,
    say: Callable[[str], None] = print,
    stopped: threading.Event | None = None,
) -> None:
    """Gives the photos that are in a folder, and those that come, each time they are whole; does not end by itself.

    A photo that is written again is given again.

    Args:
        folder: The folder; photos are found at any depth.
        take: Function that adds photos to an archive; called with some at a time, never twice at once.
        poll: Seconds between two looks at the whole folder; None to be told of changes by the system, which network
            folders seldom do.
        settled: Seconds for which a file must not have changed.
        say: Function that is called with sentences for the user.
        stopped: Event that ends the watch.

    Raises:
        ArchiveError: If watchdog is not installed, or the folder is not there, or goes away.
    """
    if problem := missing_extra("watch", "watchdog", what="Watching a folder"):
        raise ArchiveError(problem)
    folder = folder.absolute()
    if not folder.is_dir():
        raise ArchiveError(f"{folder} is no folder of this machine. Name the folder that photos are put into.")
    stopped = stopped or threading.Event()
    changed = _Changed()
    observer = _observer(folder, changed, poll, say)
    try:
        changed.add(folder)
        _run(folder, take, changed, settled, say, stopped)
    finally:
        observer.stop()
        observer.join()


def _run(
    folder: Path,
    take: Callable[[Found], None],
    changed: _Changed,
    settled: float,
    say: Callable[[str], None],
    stopped: threading.Event,
) -> None:
    waiting: dict[Path, tuple[_Stamp, float]] = {}  # since when a file has been as it is
    taken: dict[Path, _Stamp] = {}
    not_before = 0.0
    while not stopped.wait(_TICK):
        if not folder.is_dir():
            raise ArchiveError(f"{folder} is gone. What was taken from it is in the archive; mount it and start again.")
        now = time.monotonic()
        for path in {*changed.take(), *waiting}:
            stamp = _stamp(path) if photo_in(folder, path) else None
            if stamp is None or taken.get(path) == stamp:
                waiting.pop(path, None)
            elif path not in waiting or waiting[path][0] != stamp:
                waiting[path] = stamp, now
        whole = {path: stamp for path, (stamp, since) in waiting.items() if now - since >= settled}
        if not whole or now < not_before:
            continue
        try:
            take(Found(_sources(folder, whole), []))
        except ArchiveError as error:
            say(f"{error} The photos are tried again in {_AGAIN:.0f} seconds.")
            not_before = time.monotonic() + _AGAIN
            continue
        taken |= whole
        for path in whole:
            del waiting[path]


def _sources(folder: Path, paths: Mapping[Path, object]) -> list[Source]:
    return [source for path in sorted(paths) if (source := photo_in(folder, path))]


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


class _Changed:
    """Paths of files that changed, collected by threads of watchdog; of a folder, all photos in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[Path] = set()

    def dispatch(self, event: Any) -> None:
        """Takes an event of watchdog."""
        if event.event_type in ("created", "modified", "moved", "closed"):
            for path in filter(None, (event.src_path, event.dest_path)):
                if event.event_type != "modified" or not event.is_directory:
                    self.add(Path(os.fsdecode(path)))

    def add(self, path: Path) -> None:
        """Adds a file, or the files in a folder."""
        inside = [Path(parent, name) for parent, _, names in os.walk(path) for name in names]
        with self._lock:
            self._paths.update(inside or [path])

    def take(self) -> set[Path]:
        """The paths since the last call."""
        with self._lock:
            paths, self._paths = self._paths, set()
        return paths


def _observer(folder: Path, changed: _Changed, poll: float | None, say: Callable[[str], None]) -> Any:
    """A running observer; one that looks at the folder by itself where the system can tell of no more changes."""
    from watchdog.observers import Observer
    from watchdog.observers.polling import PollingObserver

    if poll is None:
        observer: Any = Observer()
        observer.schedule(changed, str(folder), recursive=True)
        try:
            observer.start()
        except OSError as error:  # no more watches of inotify, or a file system without
            say(f"The system does not tell of changes ({error.strerror}); {folder} is looked at every {_POLL:.0f} s.")
            poll = _POLL
        else:
            return observer
    observer = PollingObserver(timeout=poll)
    observer.schedule(changed, str(folder), recursive=True)
    observer.start()
    return observer
