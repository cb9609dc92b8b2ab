"""What the Segment page keeps for a visitor."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from dashboard.shared.analysed import Analysed
from dashboard.shared.examples import EXAMPLE_MODELS, Example, shipped
from dashboard.shared.photo_file import PhotoFile
from segmodels.checkpoints.catalog import DEFAULT_MODEL

__all__ = ["Packed", "SegmentState", "digest", "is_of", "sort_photos"]


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
        weakref.finalize(self, self.file.close)

    def content(self) -> bytes:
        """The whole file."""
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
        pending: Photos that came in and are not done yet; they are what is left of a run that the visitor has left.
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
        packed = self.packed.size if self.packed else 0
        return sum(photo.size for photo in own) + sum(len(file.data) for file in list(self.pending)) + packed

    def show_example(self, example: Example) -> None:
        """Shows an example as the network that ships sees it, in place of another one.

        Args:
            example: The example.
        """
        self.photos.clear()
        found = shipped(example, EXAMPLE_MODELS[0]).analysed
        self.shown = digest(found.photo.data)
        self.photos[self.shown] = found
        self.example, self.packed, self.failures, self.refused = example, None, [], ()

    def start_over(self) -> None:
        """Forgets the photos and empties the uploader; the model stays."""
        self.photos, self.shown, self.example, self.stage = {}, None, None, None
        self.pending, self.packed, self.refused, self.failures = [], None, (), []
        self.intake += 1


def digest(data: bytes) -> str:
    """The name of a photo's file in the state."""
    return hashlib.sha256(data).hexdigest()


def is_of(photo: Analysed, model: str, revision: str) -> bool:
    """Whether a photo was analysed by a model as it is installed now; the model may have been pulled again since.

    Args:
        photo: Photo with what was found in it.
        model: Catalog name of the model.
        revision: Revision that is installed; empty if it is not known.
    """
    return photo.model == model and revision in ("", photo.revision)


def sort_photos(photos: dict[str, Analysed], order: Sequence[str]) -> None:
    """Sorts photos in place: those that arrive together are not done in the order of arrival.

    Args:
        photos: Photos by digest of the file.
        order: Digests in the order wanted, which may occur twice or be missing from `photos`; photos that are not named
            come last.
    """
    ordered = {key: photos[key] for key in dict.fromkeys([*order, *photos]) if key in photos}
    if list(photos) != list(ordered):
        photos.clear()
        photos.update(ordered)
