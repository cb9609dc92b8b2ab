"""What the Segment page keeps for a visitor."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from dashboard.shared.analysed import Analysed
from dashboard.shared.examples import Example
from segmodels.checkpoints.catalog import DEFAULT_MODEL

__all__ = ["Packed", "SegmentState", "is_of", "sort_photos"]


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
        weakref.finalize(self, self.file.close)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.file.seek(0, os.SEEK_END)

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
        shown: Digest of the photo in the viewer.
        stage: Photo in the viewer and what the viewer gets of it.
        examples: Example photos that were asked for and are not done yet.
        intake: Number of times that the uploader was emptied; part of its key, as a new key is an empty uploader.
        camera: Whether the camera is open.
        refused: Sentences about the last files that are too large to be sent.
        failures: Sentences about the last files that could not be read.
        cancelled: Model and revision whose run over photos of another model was cancelled.
        annotations: Format of exported annotations, a key in `ANNOTATION_FORMATS`.
        packed: ZIP of all results, once it was asked for.
    """

    model: str = DEFAULT_MODEL
    photos: dict[str, Analysed] = field(default_factory=dict)
    shown: str | None = None
    stage: tuple[Analysed, dict[str, Any]] | None = None
    examples: list[Example] = field(default_factory=list)
    intake: int = 0
    camera: bool = False
    refused: Sequence[str] = ()
    failures: list[str] = field(default_factory=list)
    cancelled: tuple[str, str] | None = None
    annotations: str = "coco"
    packed: Packed | None = None

    def start_over(self) -> None:
        """Forgets the photos and empties the uploader; the model stays."""
        self.photos, self.shown, self.stage, self.examples, self.packed = {}, None, None, [], None
        self.refused, self.failures, self.camera = (), [], False
        self.intake += 1


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
