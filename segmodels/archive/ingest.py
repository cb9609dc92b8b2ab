"""Turns photos into rows: reading, network and colours overlap, and a part is written every few photos.

Beside its parts an archive has `rejected.csv`, the files that are not in it and the reasons, and `unmatched.csv`, the
rows without a photo and the photos without a row of the last CSV; those of earlier CSVs are in `unmatched-1.csv`,
`unmatched-2.csv` and so on.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from segmodels.archive.alerts import alert_sentences
from segmodels.archive.changes import note, sweep_thumbnails
from segmodels.archive.dates import implausible
from segmodels.archive.duplicates import near_duplicates
from segmodels.archive.fetching import fetching
from segmodels.archive.lists import write_rejected, write_unmatched
from segmodels.archive.log import LogEntry
from segmodels.archive.metadata import Entry as Line
from segmodels.archive.metadata import Joined, Metadata, join
from segmodels.archive.products import as_outfits
from segmodels.archive.rows import Row, analyse, as_table, decode, photo_id, row_of
from segmodels.archive.sources import Found, Rejected, Source
from segmodels.archive.store import Archive, ArchiveError, Change, Version, Writer
from segmodels.archive.tagging import spelt_as_before
from segmodels.archive.thumbnails import keeping_thumbnails
from segmodels.checkpoints.errors import CheckpointError
from segmodels.photo import PhotoError
from segmodels.sentences import first_line, listed

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter
    from segmodels.taxonomy import Taxonomy

__all__ = ["Engine", "Outcome", "Progress", "Report", "analyse_here", "ingest", "prepared", "version_of"]

PART_PHOTOS = 256
"""Number of photos after which a part is written."""

PART_SECONDS = 60.0
"""Seconds after which a part is written in any case: the most work that a killed ingest loses."""

_COMPACT_PARTS = 64  # number of small parts that are merged while an ingest runs
_RATE_SECONDS = 60.0
_AHEAD = 4  # photos, or batches on a GPU, that each thread begins ahead of time
_BATCH_PIXELS = 64_000_000  # pixels of decoded photos that a thread holds at once for a GPU
_NAMED = 3


@dataclass(frozen=True)
class Outcome:
    """Outcome of one photo: a row, the reason why there is none, or neither if the photo is known already.

    A picture of a product whose row is that of another picture has neither, nor an id.

    Args:
        name: Name of the photo.
        photo_id: Id of the photo; empty if it could not be read.
        row: Row of the archive for the photo; None if there is none.
        reason: Reason why there is none, as a sentence.
        note: A sentence on how the photo was read, if that is to be known.
        part_of: Name of the photo whose row this one is part of; empty for a row of its own.
    """

    name: str
    photo_id: str = ""
    row: Row | None = None
    reason: str = ""
    note: str = ""
    part_of: str = ""


Engine = Callable[[Sequence[Source], Container[str]], Generator[Outcome, None, None]]
"""Function that analyses photos, except those with known ids, in any order."""


@dataclass(frozen=True)
class Progress:
    """Progress of an ingest.

    Args:
        done: Number of processed photos.
        total: Number of all photos.
        added: New rows, whether or not they are in a part yet.
        known: Number of photos that were in the archive before, are duplicates, or are part of the row of another.
        rejected: Number of rejected files.
        photos_a_second: Photos per second over the last minute.
        written: Those of the new rows that are in a part, which stay whatever happens.
    """

    done: int
    total: int
    added: int
    known: int
    rejected: int
    photos_a_second: float
    written: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Seconds left at the speed of the last minute; None if that is not known yet."""
        return (self.total - self.done) / self.photos_a_second if self.photos_a_second else None


@dataclass
class Report:
    """Report of an ingest.

    Args:
        total: Number of files, including rejected ones.
        added: Rows that are new in the archive.
        known: Photos that were there already.
        doubled: Files with the same content as another of this ingest.
        retagged: Photos that were there already and have other tags or another date now.
        joined: Pictures of products that are part of the row of another picture.
        rejected: Files that are not in the archive.
        rows_without_photo: Names in the CSV that match no photo.
        photos_without_row: Photos without a row in the CSV; empty without a CSV.
        notes: Further sentences for the user.
        seconds: Seconds from the first photo to the last.
    """

    total: int = 0
    added: int = 0
    known: int = 0
    doubled: int = 0
    retagged: int = 0
    joined: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    rows_without_photo: list[str] = field(default_factory=list)
    photos_without_row: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def ingest(
    found: Found,
    archive: Archive,
    version: Version,
    engine: Engine,
    metadata: Metadata | None = None,
    progress: Callable[[Progress], None] | None = None,
    taxonomy: Taxonomy | None = None,
    by: str = "",
) -> Report:
    """Adds photos to an archive.

    Photos in a part are kept: an ingest that was stopped or killed continues when it is called again. If
    `progress` raises, as Streamlit does when a visitor leaves, the rows so far are written and the exception
    is raised again.

    Args:
        found: The photos.
        archive: Archive for the rows; others may write to it at the same time.
        version: Version of the rows that the engine makes.
        engine: `analyse_here` or `cluster.analyse_on_ray`, with their first arguments bound.
        metadata: Dates and tags.
        progress: Function that is called after each photo.
        taxonomy: Taxonomy of the version, which is kept beside the rows; may be left out for one in `TAXONOMIES`.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If there are no photos, the taxonomy has too many classes, or the archive cannot be read or
            written.
        CheckpointError: If the model is missing or damaged.
    """
    if not found.sources and not found.rejected:
        raise ArchiveError("There is no photo to add: no file name ends in .jpg, .png, .webp, .heic or the like.")
    with archive.place.lock(".ingest", shared=True) as alone:
        if taxonomy:
            archive.keep_taxonomy(version, taxonomy)
        metadata, spelt = spelt_as_before(metadata, archive, [version]) if metadata else (None, [])
        run = _Run(
            found, archive.writer(version), join(metadata, [s.name for s in found.sources]) if metadata else None
        )
        if metadata:
            run.report.notes += [*metadata.notes, *spelt]
        run.report.notes += found.notes
        if not alone:
            run.report.notes.append("Another ingest was writing to this archive; a photo that both added counts once.")
        try:
            with closing(engine(found.sources, run.writer.known)) as outcomes:
                for outcome in outcomes:
                    run.take(outcome)
                    if progress:
                        progress(run.progress())
        except BaseException:
            with suppress(ArchiveError):  # the reason may be that nothing can be written
                run.stop(archive)
                note(archive.place, run.entry(by, "ingest stopped"))
            raise
        run.finish(archive)
        note(archive.place, run.entry(by, "ingest"))
    with suppress(ArchiveError):  # what a killed ingest or a deletion meanwhile left; it goes the next time
        sweep_thumbnails(archive.place)
    run.report.notes += alert_sentences(archive, [version])
    return run.report


def analyse_here(
    segmenter: Segmenter,
    sources: Sequence[Source],
    known: Container[str],
    pool: Callable[[], AbstractContextManager[Executor]] | None = None,
) -> Generator[Outcome, None, None]:
    """Analyses photos on this machine, several at once, so that the network does not wait for files and colours.

    On a processor each photo has one thread. On a GPU each batch of `segmenter.batch_photos` has one, so that some are
    read and measured while another is in the network.

    Args:
        segmenter: Segmenter that analyses the photos.
        sources: The photos.
        known: Ids of photos to pass over.
        pool: Function that opens the pool whose threads do the work, such as a visit of the app's queue, where the
            photos take turns with those of visitors; threads of its own if left out.

    Yields:
        Outcome of each photo, in their order.

    Raises:
        CheckpointError: If the person detector is missing or damaged.
    """
    size = segmenter.batch_photos
    threads = torch.get_num_threads() if size == 1 else max(4, min(8, os.cpu_count() or 1))
    waiting: deque[Future[list[Outcome]]] = deque()
    with pool() if pool else _own_threads(threads) as executor:
        try:
            for start in range(0, len(sources), size):
                waiting.append(executor.submit(_outcomes, segmenter, sources[start : start + size], known))
                if len(waiting) >= _AHEAD * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def prepared(
    engine: Engine,
    found: Found,
    archive: Archive,
    version: Version,
    *,
    thumbnails: bool = False,
    blur: Taxonomy | None = None,
) -> Engine:
    """The engine with what the photos need: fetching, one row for the pictures of a product, thumbnails.

    Args:
        engine: Engine that analyses photos.
        found: The photos.
        archive: Archive for the rows.
        version: Version of the rows.
        thumbnails: Whether thumbnails are kept in the archive.
        blur: Taxonomy of the version, to make heads in thumbnails unrecognisable; None to keep them.
    """
    if any(source.product for source in found.sources):
        engine = as_outfits(engine)
    if thumbnails:
        engine = keeping_thumbnails(engine, archive.place, blur)
    if any(source.fetcher for source in found.sources):
        engine = fetching(engine, archive, version, thumbnails=thumbnails and not blur)
    return engine


def version_of(segmenter: Segmenter) -> Version:
    """Version of the rows that a segmenter makes."""
    checkpoint = segmenter.checkpoint
    return Version(checkpoint.taxonomy.name, checkpoint.name, checkpoint.revision)


def _outcomes(segmenter: Segmenter, sources: Sequence[Source], known: Container[str]) -> list[Outcome]:
    """Outcome of each photo of a batch, in order; the network gets as many at once as memory allows."""
    if len(sources) == 1:
        return [_outcome(segmenter, sources[0], known)]
    outcomes: dict[int, Outcome] = {}
    read: dict[int, tuple[bytes, np.ndarray]] = {}
    notes: dict[int, list[str]] = {}
    for index, source in enumerate(sources):
        try:
            data = source.read()
            if (key := photo_id(data)) in known:
                outcomes[index] = Outcome(source.name, key)
                continue
            read[index] = data, decode(source.name, data, notes.setdefault(index, []))
        except Exception as error:
            outcomes[index] = Outcome(source.name, reason=_reason(source, error))
        if sum(photo.shape[0] * photo.shape[1] for _, photo in read.values()) > _BATCH_PIXELS:
            outcomes |= _found(segmenter, sources, read)
            read.clear()
    outcomes |= _found(segmenter, sources, read)
    return [
        replace(outcomes[index], note=" ".join(notes[index])) if notes.get(index) else outcomes[index]
        for index in range(len(sources))
    ]


def _found(
    segmenter: Segmenter, sources: Sequence[Source], read: Mapping[int, tuple[bytes, np.ndarray]]
) -> dict[int, Outcome]:
    """Outcome by index of decoded photos: analysed together, or one by one if that fails."""
    try:
        segmentations = segmenter.segment_batch([photo for _, photo in read.values()])
        rows = [
            row_of(segmentation, photo, sources[index].name, data)
            for segmentation, (index, (data, photo)) in zip(segmentations, read.items(), strict=True)
        ]
    except CheckpointError:
        raise
    except Exception:  # an error must not affect the other photos of the batch
        return {index: _outcome(segmenter, sources[index], ()) for index in read}
    return {index: Outcome(row["file_name"], row["photo_id"], row) for index, row in zip(read, rows, strict=True)}


def _outcome(segmenter: Segmenter, source: Source, known: Container[str]) -> Outcome:
    try:
        data = source.read()
        if (key := photo_id(data)) in known:
            return Outcome(source.name, key)
        notes: list[str] = []
        row = analyse(segmenter, source.name, data, notes)
        return Outcome(source.name, key, row, note=" ".join(notes))
    except CheckpointError:
        raise
    except Exception as error:
        return Outcome(source.name, reason=_reason(source, error))


def _reason(source: Source, error: Exception) -> str:
    """Why a photo has no row, as a sentence."""
    if isinstance(error, PhotoError):
        return str(error)
    if isinstance(error, OSError):
        return f"{source.name} cannot be read: {first_line(error) or 'the file is damaged'}."
    reason = first_line(error) or type(error).__name__  # one photo must not stop the others
    return f"{source.name} could not be analysed: {reason}."


@contextmanager
def _own_threads(count: int) -> Iterator[Executor]:
    with _one_thread_each(), ThreadPoolExecutor(count, thread_name_prefix="analyse") as executor:
        yield executor


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Limits PyTorch to one thread in each thread that starts meanwhile, and OpenCV to one thread."""
    torchs, opencvs = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(torchs)
        cv2.setNumThreads(opencvs)


class _Run:
    """One ingest: collects outcomes and writes them."""

    def __init__(self, found: Found, writer: Writer, joined: Joined | None) -> None:
        self.writer = writer
        self.report = Report(total=len(found.sources) + len(found.rejected), rejected=list(found.rejected))
        self._joined = joined
        if joined:
            self.report.rows_without_photo = joined.without_photo
            self.report.photos_without_row = joined.without_row
            self.report.notes += joined.notes
        self._rows: list[Row] = []
        self._ids: dict[str, str] = {}  # ids of the photos of this ingest, with the name of the first photo of each id
        self._changes: dict[str, Change] = {}
        self._tagged: dict[str, str] = {}
        self._new: set[str] = set()
        self._odd_dates: dict[str, list[str]] = {}
        self._other_tags: list[str] = []
        self._how_read: list[str] = []
        self._joined_files: set[str] = set()
        self._undated = 0
        self._done = len(found.rejected)
        self._parts = 0
        self._started = self._written = time.monotonic()
        self._clock: deque[tuple[float, int]] = deque([(self._started, self._done)])

    def progress(self) -> Progress:
        now = time.monotonic()
        self._clock.append((now, self._done))
        while len(self._clock) > 2 and now - self._clock[0][0] > _RATE_SECONDS:
            self._clock.popleft()
        begun, before = self._clock[0]
        seconds = now - begun
        return Progress(
            self._done,
            self.report.total,
            self.report.added + len(self._rows),
            self.report.known + self.report.doubled + self.report.joined,
            len(self.report.rejected),
            (self._done - before) / seconds if seconds else 0.0,
            self.report.added,
        )

    def entry(self, by: str, what: str) -> LogEntry:
        """What is noted in the log of the archive; the files that failed stand in `rejected.csv`."""
        version, report = self.writer.version, self.report
        numbers = {
            "added": report.added,
            "known": report.known,
            "retagged": report.retagged,
            "rejected": len(report.rejected),
            "seconds": round(report.seconds),
        }
        return LogEntry(
            what, by, {"model": version.model, "revision": version.revision, "files": report.total} | numbers
        )

    def take(self, outcome: Outcome) -> None:
        self._done += 1
        entry = self._joined.entries.get(outcome.name) if self._joined else None
        if outcome.reason:
            self.report.rejected.append(Rejected(outcome.name, outcome.reason))
        elif outcome.part_of:
            self.report.joined += 1
            self._joined_files.add(outcome.name)
        elif outcome.photo_id in self._ids:
            self.report.doubled += 1
            self._same_again(outcome, entry)
        elif outcome.row is None:
            self.report.known += 1
            self._ids[outcome.photo_id] = outcome.name
            if entry:
                self._tagged[outcome.photo_id] = outcome.name
                self._changes[outcome.photo_id] = Change(entry.tags, entry.taken_at, entry.precision)
        else:
            self._ids[outcome.photo_id] = outcome.name
            if outcome.note:
                self._how_read.append(outcome.note)
            self._rows.append(self._dated(outcome.row, entry))
            if entry:
                self._tagged[outcome.photo_id] = outcome.name
        if len(self._rows) >= PART_PHOTOS or (self._rows and time.monotonic() - self._written > PART_SECONDS):
            self.write()

    def write(self) -> None:
        """Writes what is waiting as a part."""
        if self._rows:
            rows, self._rows = self._rows, []
            self._new.update(row["photo_id"] for row in rows)
            added = self.writer.append(as_table(rows))
            self.report.added += added
            self.report.known += len(rows) - added
            if added < len(rows):  # other writers added some of the photos, maybe without our tags
                ours = [row for row in rows if row["photo_id"] in self._tagged]
                self._changes |= {
                    row["photo_id"]: Change(row["tags"], row["taken_at"], row["date_precision"] or "day")
                    for row in ours
                }
            self._parts += 1
            if self._parts % _COMPACT_PARTS == 0:
                self.writer.compact()
        self._written = time.monotonic()

    def finish(self, archive: Archive) -> None:
        """Writes the rows that are left, new tags and the list of rejected files."""
        self.stop(archive)
        self.report.retagged = self.writer.retag(self._changes)
        self.writer.compact()
        self.report.seconds = time.monotonic() - self._started
        self._note()
        self._note_near_duplicates(archive)
        if self._joined:
            with archive.place.lock():
                write_unmatched(archive.place, self.report.rows_without_photo, self.report.photos_without_row)

    def stop(self, archive: Archive) -> None:
        """Writes the rows that are left, and the list of rejected files."""
        self.write()
        files = set(self._ids.values()) | self._joined_files | {name for name, _ in self.report.rejected}
        with archive.place.lock():
            write_rejected(archive.place, files, self.report.rejected)

    def _dated(self, row: Row, entry: Line | None) -> Row:
        date, precision = row["taken_at"], row["date_precision"]
        if entry and entry.taken_at:
            date, precision = entry.taken_at, Change({}, precision=entry.precision).date_precision
        elif date is not None and (reason := implausible(date)):
            self._odd_dates.setdefault(reason, []).append(row["file_name"])
            date = None
        self._undated += date is None
        return {**row, "taken_at": date, "date_precision": precision, "tags": entry.tags if entry else {}}

    def _same_again(self, outcome: Outcome, entry: Line | None) -> None:
        """Handles a duplicate under another name: its row of the CSV is used if the first one had none."""
        if entry is None:
            return
        key = outcome.photo_id
        if key not in self._tagged:
            self._tagged[key] = outcome.name
            self._changes[key] = Change(entry.tags, entry.taken_at, entry.precision)
        elif self._joined:
            first = self._joined.entries[self._tagged[key]]
            if (first.tags, first.taken_at, first.precision) != (entry.tags, entry.taken_at, entry.precision):
                self._other_tags.append(outcome.name)

    def _note(self) -> None:
        notes = self.report.notes
        notes += self._how_read[:_NAMED]
        if (more := len(self._how_read) - _NAMED) > 0:
            notes.append(f"{more:,} more photos were reduced, or lack their end marker.")
        if self._undated:
            dated = self.report.added - self._undated
            who = (
                f"{self._undated:,} of {self.report.added:,} new photos have no" if dated > 0 else "No new photo has a"
            )
            notes.append(f"{who} date. They are counted everywhere except on the time axis.")
        for reason, names in self._odd_dates.items():
            notes.append(f"The camera's date is {reason} and was not used: {listed(names, _NAMED)}.")
        if self._other_tags:
            notes.append(
                f"Duplicate photos with other tags in the CSV: {listed(self._other_tags, _NAMED)}. The tags of the "
                "first were used."
            )

    def _note_near_duplicates(self, archive: Archive) -> None:
        if not self._new:
            return
        with archive.reader(self.writer.version) as reader:
            found = near_duplicates(reader)
        names = [self._ids[key] for key in found["photo_id"] if key in self._new]
        if names:
            who = (
                "1 new photo is a near-duplicate"
                if len(names) == 1
                else f"{len(names):,} new photos are near-duplicates"
            )
            self.report.notes.append(
                f"{who} of others in the archive: {listed(names, _NAMED)}. Trends counts one photo of each group."
            )
