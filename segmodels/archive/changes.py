"""Changes of an archive that are done as a whole or not at all, their undo, and the log of what was done.

    DIR/last-change.json          which parts do not count: those that a change replaced, or is still writing
    DIR/.undo/<name of a part>.old    parts that the last change replaced, until the next change
    DIR/log/<time>-<id>.json      one file for each entry of the log
    DIR/views, DIR/alerts.json    saved views and alerts, see their modules

A change writes new parts, whose names end in its id and which do not count yet. Then it writes `last-change.json`, in
one step: from now on the new parts count and the old ones do not. Then the old ones go, or move to `.undo`. A process
that is killed leaves one state or the other, and the next one that takes the lock of the archive finishes what it
began. Readers need no lock: they look at `last-change.json` before and after they list the parts.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from segmodels.archive.log import LOG, LogEntry
from segmodels.archive.parts import chosen_rows, read_columns, write_rows
from segmodels.archive.place import UNFINISHED, ArchiveError, Place
from segmodels.archive.thumbnails import THUMBNAILS, has_thumbnails
from segmodels.files import MOST_JSON_BYTES, parse_json
from segmodels.sentences import first_line

__all__ = [
    "ALERTS",
    "LISTS",
    "MOVING",
    "SHOWS",
    "VIEWS",
    "WEBHOOK",
    "Rewrite",
    "changing",
    "foreign_files",
    "is_removed",
    "is_settled",
    "kept_parts",
    "last_undoable",
    "new_part",
    "note",
    "read_log",
    "remove_everything",
    "rewriting",
    "settle",
    "stray_thumbnails",
    "sweep_thumbnails",
    "take_back",
    "visible_parts",
]

JOURNAL = "last-change.json"
_UNDO = ".undo"
_AT_ONCE = 4  # parts that are written anew at the same time
_ATTEMPTS = 50  # at a list of parts while others change them
_LOCKS = (".lock", ".ingest", ".alerts", ".locks/")
_ANYBODYS = (f"{THUMBNAILS}/", f"{LOG}/", ".locks/")  # folders into which those write who do not hold the lock

LISTS = re.compile(r"rejected\.csv|unmatched(-[1-9][0-9]*)?\.csv")
"""Names of the lists beside the parts."""

VIEWS = "views"
"""Folder of the saved views; the lock of the archive is held by who writes there."""

ALERTS = ("alerts.json", "alerts.jsonl")
"""Files of the alerts: rules and what they saw last, and a line for each time that one was raised."""

SHOWS = "shows.json"
"""File with the weeks of shows."""

WEBHOOK = ".webhook.json"
"""File with the address that alerts are sent to, and the secret that signs them."""

MOVING = ".moving"
"""File in an archive that is being copied to another place: the id of that, and the parts that counted then."""

_OWN = re.compile(
    rf"({LISTS.pattern}|[^/]+/[^/]+@[^/]+/([^/]+\.parquet|taxonomy\.json)|{LOG}/[^/]+\.json"
    rf"|{re.escape(_UNDO)}/.+\.old|{THUMBNAILS}/[0-9a-f]{{2}}/[0-9a-f]{{64}}-\d+\.webp|\.owner|\.sharing\.json"
    rf"|{VIEWS}/[0-9a-f]+\.json|{'|'.join(map(re.escape, (*ALERTS, SHOWS, WEBHOOK, MOVING)))})"
    rf"(\.[0-9a-f]{{8}}{re.escape(UNFINISHED)})?|{re.escape(JOURNAL)}\.[0-9a-f]{{8}}{re.escape(UNFINISHED)}"
)


@dataclass(frozen=True)
class _Journal:
    """What stands in `last-change.json`.

    Args:
        change: Id of the last change.
        preparing: Id of a change that is being written; empty if there is none.
        hidden: Parts that do not count any more.
        added: Parts that the last change added.
        keep: Whether the hidden parts are kept for undo.
        removed: Whether the whole archive is removed.
        entry: Entry of the log for the last change.
    """

    change: str = ""
    preparing: str = ""
    hidden: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    keep: bool = False
    removed: bool = False
    entry: LogEntry | None = None

    def shows(self, part: str) -> bool:
        """Whether a part counts."""
        unfinished = self.preparing and part.endswith(f"-{self.preparing}.parquet")
        return not (self.removed or unfinished or part in self.hidden)

    def to_json(self) -> dict[str, Any]:
        return {
            "change": self.change,
            "preparing": self.preparing,
            "hidden": sorted(self.hidden),
            "added": sorted(self.added),
            "keep": self.keep,
            "removed": self.removed,
            "entry": self.entry.to_json() if self.entry else None,
        }


def visible_parts(place: Place, folder: str = "") -> list[str]:
    """Names of the parts that count, sorted; those of one folder are the oldest first.

    Args:
        place: Place of the archive.
        folder: Folder below it; all if left out.

    Raises:
        ArchiveError: If they cannot be listed, or `last-change.json` is damaged.
    """
    before = _content(place)
    for _ in range(_ATTEMPTS):
        names = place.files(folder, without=THUMBNAILS)
        after = _content(place)
        if before == after:
            journal = _parse(place, after)
            return [name for name in names if name.endswith(".parquet") and journal.shows(name)]
        before = after
    raise ArchiveError(f"{place.location} changes faster than it can be read. Try again.")


def last_undoable(place: Place) -> LogEntry | None:
    """The change that `take_back` would undo; None if there is none.

    Raises:
        ArchiveError: If `last-change.json` is damaged.
    """
    journal = _read(place)
    return journal.entry if journal.keep else None


def kept_parts(place: Place) -> list[str]:
    """Names of the copies that are kept for undo.

    Raises:
        ArchiveError: If they cannot be listed.
    """
    return place.files(_UNDO)


@contextmanager
def changing(place: Place) -> Iterator[None]:
    """Holds the lock of an archive, in which all that was begun is finished."""
    with place.lock():
        settle(place)
        yield


class Rewrite:
    """A change: parts to add and parts to hide, which take effect together.

    Args:
        place: Place of the archive, whose lock is held.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._before = _read(place)
        self._id = secrets.token_hex(8)
        self._added: list[str] = []
        self._hidden: list[str] = []
        self.committed = False

    @property
    def is_begun(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._added or self._hidden)

    def write(self, folder: str, tables: Iterable[pa.Table]) -> str:
        """Writes a new part, which does not count yet; gives its name.

        Args:
            folder: Folder of its version.
            tables: Tables of `rows.SCHEMA` that hold its rows.

        Raises:
            ArchiveError: If it cannot be written, or `tables` cannot be read.
        """
        name = self._announce(folder)
        with self._place.writing(name) as stream:
            write_rows(stream, tables)
        return name

    def copy(self, part: str, source: Place) -> None:
        """Copies a part of another archive; the copy does not count yet.

        Raises:
            ArchiveError: If it cannot be read or written.
        """
        try:
            content = source.read(part)
        except OSError as error:
            raise ArchiveError(f"{source.location}/{part} cannot be read: {first_line(error)}.") from error
        self._place.write(self._announce(part.rpartition("/")[0]), content)

    def replace(self, part: str, tables: Iterable[pa.Table]) -> None:
        """Puts rows, tables of `rows.SCHEMA`, in the place of a part.

        Raises:
            ArchiveError: If they cannot be read or written.
        """
        self.write(part.rpartition("/")[0], tables)
        self.hide(part)

    def keep(self, rows: Mapping[str, np.ndarray], progress: Callable[[float], None] | None = None) -> None:
        """Keeps some rows of parts and drops the others; up to four parts are written at the same time.

        Args:
            rows: Rows that stay, as bool `(rows,)`, by name of the part.
            progress: Function that is called with the share of the parts that are done, 0 to 1.

        Raises:
            ArchiveError: If one cannot be read or written.
        """
        new = {part: self._announce(part.rpartition("/")[0]) for part, stay in rows.items() if stay.any()}

        def rewrite(part: str) -> None:
            with self._place.writing(new[part]) as stream:
                write_rows(stream, chosen_rows(self._place, part, rows[part]))

        with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
            for done, _ in enumerate(pool.map(rewrite, new), start=1):
                if progress:
                    progress(done / len(new))
        self._hidden.extend(rows)

    def hide(self, part: str) -> None:
        """Takes a part out of what counts."""
        self._hidden.append(part)

    def commit(self, entry: LogEntry | None = None, *, keep: bool = False) -> None:
        """Makes the change count, then removes what it replaced.

        Args:
            entry: Entry for the log.
            keep: Whether the change can be undone until the next one; else the copy for the undo before goes too.

        Raises:
            ArchiveError: If it cannot be written; then nothing has changed.
        """
        if not (self.is_begun or entry):
            self.committed = True
            return
        self._put(
            _Journal(
                change=self._id,
                hidden=frozenset(self._hidden),
                added=frozenset(self._added),
                keep=keep,
                entry=entry if entry is None or entry.at else entry.dated(),
            )
        )
        self.committed = True
        with suppress(ArchiveError):  # the change counts; the next who takes the lock finishes it
            settle(self._place)

    def _announce(self, folder: str) -> str:
        """A name for a new part, which does not count: the file says so from before the first one is written."""
        if not self._added:
            self._put(replace(self._before, preparing=self._id))
        name = new_part(folder, self._id)
        while name in self._added:
            name = new_part(folder, self._id)
        self._added.append(name)
        return name

    def _put(self, journal: _Journal) -> None:
        self._place.confirm()
        _write(self._place, journal)


@contextmanager
def rewriting(place: Place) -> Iterator[Rewrite]:
    """A change that is rolled back unless it is committed; the lock of the archive is held."""
    rewrite = Rewrite(place)
    try:
        yield rewrite
    finally:
        if not rewrite.committed:
            with suppress(ArchiveError):  # the next who takes the lock does it
                settle(place)


def is_removed(place: Place) -> bool:
    """Whether the removal of the whole archive was stopped on its way.

    Raises:
        ArchiveError: If it cannot be read.
    """
    return _read(place).removed


def is_settled(place: Place) -> bool:
    """Whether no change was stopped on its way.

    Raises:
        ArchiveError: If it cannot be read.
    """
    journal = _read(place)
    names = place.files(without=THUMBNAILS)
    unfinished = any(map(_is_abandoned, names))
    return not (journal.preparing or journal.removed or unfinished or journal.hidden.intersection(names))


def take_back(place: Place, by: str = "") -> LogEntry:
    """Undoes the last change; the lock of the archive is held.

    Args:
        place: Place of the archive.
        by: Who does it, for the log.

    Returns:
        Entry of the change that was undone.

    Raises:
        ArchiveError: If there is none, or its copies are not complete; then nothing has changed.
    """
    journal = _read(place)
    if not journal.keep or journal.entry is None:
        raise ArchiveError(f"There is no change of {place.location} to undo. Its log says what was done.")
    there = set(place.files(without=THUMBNAILS))
    if lost := [part for part in journal.hidden if part not in there and _kept_name(part) not in there]:
        raise ArchiveError(f"The last change cannot be undone: {place.location}/{_kept_name(lost[0])} is missing.")
    for part in sorted(journal.hidden):
        if part not in there:
            place.move(_kept_name(part), part)
    undone = LogEntry("undo", by, {"undone": journal.entry.what, "undone_id": journal.entry.id}).dated()
    place.confirm()
    _write(place, _Journal(change=secrets.token_hex(8), hidden=journal.added, entry=undone))
    with suppress(ArchiveError):  # it is undone; the next who takes the lock finishes it
        settle(place)
    return journal.entry


def remove_everything(place: Place) -> None:
    """Removes an archive with all its files, and no others; the lock of the archive is held.

    Files that are not the archive's own stay, and so does what lies behind a link to a folder.

    Raises:
        ArchiveError: If a file cannot be removed. The archive is gone nevertheless; try again to remove the rest.
    """
    place.confirm()
    _write(place, _Journal(change=secrets.token_hex(8), removed=True))
    settle(place)


def settle(place: Place) -> None:
    """Finishes or takes back what others began and did not end; the lock of the archive is held.

    Raises:
        ArchiveError: If it cannot be read or written.
    """
    journal = _read(place)
    if journal.removed:
        for name in place.files():
            if _OWN.fullmatch(name) and not place.is_linked(name):
                place.remove(name)
        place.remove(JOURNAL)
        return
    names = place.files(without=THUMBNAILS)
    for name in names:
        if _is_abandoned(name) or (journal.preparing and name.endswith(f"-{journal.preparing}.parquet")):
            place.remove(name)
    if journal.preparing:
        journal = replace(journal, preparing="")
        _write(place, journal)
    for name in sorted(journal.hidden.intersection(names)):
        if journal.keep:
            place.move(name, _kept_name(name))
        else:
            place.remove(name)
    kept = {_kept_name(name) for name in journal.hidden} if journal.keep else set()
    for name in names:
        if name.startswith(f"{_UNDO}/") and name not in kept:
            place.remove(name)
    if journal.entry and journal.entry.file not in names:
        _note(place, journal.entry)


def foreign_files(place: Place) -> list[str]:
    """Names of the files in the folder of an archive that are not its own.

    Raises:
        ArchiveError: If they cannot be listed.
    """
    return [
        name
        for name in place.files()
        if name != JOURNAL and not name.startswith(_LOCKS) and (not _OWN.fullmatch(name) or place.is_linked(name))
    ]


def stray_thumbnails(place: Place) -> list[str]:
    """Names of thumbnails of which no part that counts has the photo, and of those that are not whole.

    Photos that are being added have thumbnails before they have rows.

    Raises:
        ArchiveError: If the archive cannot be listed, or a part cannot be read.
    """
    if not has_thumbnails(place):
        return []
    files: dict[str, list[str]] = {}
    for name in place.files(THUMBNAILS):
        files.setdefault(name.rpartition("/")[2].partition("-")[0], []).append(name)
    without_photo = set(files)
    for part in visible_parts(place) if files else ():
        without_photo.difference_update(read_columns(place, part, ["photo_id"])["photo_id"].to_pylist())
    return sorted(
        name for key, names in files.items() for name in names if key in without_photo or name.endswith(UNFINISHED)
    )


def sweep_thumbnails(place: Place) -> None:
    """Removes what `stray_thumbnails` finds, unless photos are being added; neither lock of the archive is held.

    Raises:
        ArchiveError: If the archive cannot be listed, or a thumbnail cannot be removed.
    """
    if not has_thumbnails(place):
        return
    with place.lock(".ingest", wait=False) as alone:
        if alone:
            with changing(place):
                for name in stray_thumbnails(place):
                    place.remove(name)


def note(place: Place, entry: LogEntry) -> None:
    """Adds an entry to the log.

    Raises:
        ArchiveError: If it cannot be written.
    """
    _note(place, entry.dated())


def read_log(place: Place) -> list[LogEntry]:
    """The entries of the log, the newest first; damaged ones are left out.

    Raises:
        ArchiveError: If it cannot be listed.
    """
    entries = {}
    for name in place.files(LOG):
        with suppress(OSError, ValueError):
            entry = LogEntry.from_json(parse_json(place.read(name, MOST_JSON_BYTES).decode("utf-8")))
            entries[entry.file] = entry
    with suppress(ArchiveError):
        if last := _read(place).entry:  # its file may not be written yet
            entries[last.file] = last
    return sorted(entries.values(), key=lambda entry: entry.at, reverse=True)


def new_part(folder: str, ending: str = "") -> str:
    """A name for a new part.

    Args:
        folder: Folder of its version.
        ending: Id of the change that it belongs to; a random one if left out.
    """
    return f"{folder}/{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{ending or secrets.token_hex(4)}.parquet"


def _note(place: Place, entry: LogEntry) -> None:
    place.write(entry.file, (json.dumps(entry.to_json(), indent=1, ensure_ascii=False) + "\n").encode())


def _is_abandoned(name: str) -> bool:
    """Whether a file was being written by one who held the lock, and does not any more."""
    return name.endswith(UNFINISHED) and not name.startswith(_ANYBODYS)


def _kept_name(part: str) -> str:
    return f"{_UNDO}/{part}.old"


def _content(place: Place) -> bytes | None:
    try:
        return place.read(JOURNAL)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ArchiveError(f"{place.location}/{JOURNAL} cannot be read: {error.strerror or error}.") from error


def _read(place: Place) -> _Journal:
    return _parse(place, _content(place))


def _parse(place: Place, content: bytes | None) -> _Journal:
    if content is None:
        return _Journal()
    try:
        value = parse_json(content.decode("utf-8"))
        return _Journal(
            value["change"],
            value["preparing"],
            frozenset(value["hidden"]),
            frozenset(value["added"]),
            bool(value["keep"]),
            bool(value["removed"]),
            LogEntry.from_json(value["entry"]) if value["entry"] else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(
            f"{place.location}/{JOURNAL} is damaged ({first_line(error)}). Restore it from a backup. If there is none, "
            "remove it: what a change replaced a moment before the damage then counts again."
        ) from None


def _write(place: Place, journal: _Journal) -> None:
    place.write(JOURNAL, (json.dumps(journal.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
