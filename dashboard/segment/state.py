"""What the Segment page keeps for a visitor."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from dashboard.segment.run import SegmentRun, is_of
from dashboard.shared.analysed import Analysed
from dashboard.shared.examples import EXAMPLE_MODELS, Example, shipped
from dashboard.shared.photo_file import PhotoFile, file_digest
from segmodels.checkpoints.catalog import DEFAULT_MODEL

__all__ = ["Packed", "SegmentState", "sort_photos"]


@dataclass
class Packed:
    """A ZIP of results in a temporary file, which goes when nobody needs it any more.

    Args:
        photos: Photos whose results it holds.
        file: The file.
        annotations: Format of the annotations in it, a key in `ANNOTATION_FORMATS`.
    """

    photos: Sequence[Analysed]
    file: IO[bytes]
    annotations: str = "coco"

    def __post_init__(self) -> None:
        self.size = self.file.seek(0, os.SEEK_END)  # in bytes; asked for while another thread reads the file
        self._lock = threading.Lock()  # two visitors may have copies of the state
        weakref.finalize(self, self.file.close)

    def content(self) -> bytes:
        """The whole file."""
        with self._lock:
            self.file.seek(0)
            return self.file.read()


@dataclass
class SegmentState:
    """State of the Segment page.

    Args:
        model: Catalog name of the model that finds the garments; the Models page sets it too.
        photos: Photos with what was found in them, by digest of the file, in the order of arrival.
        example: Example that is on show, the only one of the photos; None once there are photos of the visitor's own.
        shown: Digest of the photo in the viewer.
        stage: Photo in the viewer and what the viewer gets of it.
        run: Run that is under way, or whose results have not been taken over yet.
        pending: Photos that came in and are not done yet; they begin again if their run was dropped because the
            connection ended.
        intake: Number of times that the uploader was emptied; part of its key, as a new key is an empty uploader.
        refused: Sentences about the last files that are too large to be sent.
        failures: Sentences about the last files that could not be read.
        cancelled: Model and revision whose run over photos of another model was cancelled.
        annotations: Format of exported annotations, a key in `ANNOTATION_FORMATS`.
        packed: ZIP of all results, once it was asked for.
    """

    model: str = DEFAULT_MODEL
    photos: dict[str, Analysed] = field(default_factory=dict)
    shown: str | None = None
    example: Example | None = None
    stage: tuple[Analysed, dict[str, Any]] | None = None
    run: SegmentRun | None = None
    pending: list[PhotoFile] = field(default_factory=list)
    intake: int = 0
    refused: Sequence[str] = ()
    failures: list[str] = field(default_factory=list)
    cancelled: tuple[str, str] | None = None
    annotations: str = "coco"
    packed: Packed | None = None

    @property
    def size(self) -> int:
        """Size of the visitor's own photos and what was found in them, in bytes."""
        own = [] if self.example else list(self.photos.values())  # copies: other visitors' threads ask too
        packed = self.packed  # read once: another thread may take it away
        size = sum(photo.size for photo in own) + sum(len(file.data) for file in list(self.pending))
        return size + (packed.size if packed else 0)

    def take_over(self) -> None:
        """Takes over what the run has done so far; the first photo of the visitor's own replaces the example."""
        if (run := self.run) is None:
            return
        live = run.live  # asked first: what an ended run has done is all there
        for key, done in list(run.found.items()):
            if self.photos.get(key) is done:
                continue
            if self.example and key not in self.photos:
                self.photos, self.example = {}, None
            self.photos[key] = done
        self.photos = sort_photos(self.photos, run.order)
        if live or run.phase != "done":
            return
        self.run, self.pending, self.failures = None, [], run.failures
        if not all(is_of(photo, run.model, run.revision) for photo in self.photos.values()):
            self.cancelled = run.model, run.revision  # else those that failed would be analysed again and again
        if self.shown not in run.new:  # else the visitor looks at it already
            self.shown = next((key for key in run.new if key in self.photos), self.shown)
        self.intake += 1

    def show_example(self, example: Example) -> None:
        """Shows an example as the network that ships sees it, in place of another one.

        Args:
            example: The example.
        """
        self.photos.clear()
        found = shipped(example, EXAMPLE_MODELS[0]).analysed
        self.shown = file_digest(found.photo.data)
        self.photos[self.shown] = found
        self.example, self.packed, self.failures, self.refused = example, None, [], ()

    def start_over(self) -> None:
        """Forgets the photos, ends the run and empties the uploader; the model stays."""
        if self.run:
            self.run.stop()
        self.run = None
        self.photos, self.shown, self.example, self.stage = {}, None, None, None
        self.pending, self.packed, self.refused, self.failures = [], None, (), []
        self.intake += 1


def sort_photos(photos: dict[str, Analysed], order: Sequence[str]) -> dict[str, Analysed]:
    """Photos in another order: those that arrive together are not done in the order of arrival.

    Args:
        photos: Photos by digest of the file.
        order: Digests in the order wanted, which may occur twice or be missing from `photos`; photos that are not named
            come last.
    """
    return {key: photos[key] for key in dict.fromkeys([*order, *photos]) if key in photos}
