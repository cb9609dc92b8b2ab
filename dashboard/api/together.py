"""Photos of callers through the network: one by one on a processor, several callers' together on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dashboard.api.admission import Ticket
from dashboard.api.bodies import UploadedFile
from dashboard.shared.inference_queue import Batch
from segmodels.inference.segmentation import Segmentation
from segmodels.photo import Photo, decode_photo

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = ["Result", "submit"]

T = TypeVar("T")
Result = Callable[[Segmentation, UploadedFile], T]
"""Function that makes the answer of what was found and of the photo, in the photo's turn."""

_PIXELS = 64_000_000  # of decoded photos that go through the network together


def submit(ticket: Ticket, segmenter: Segmenter, photos: Sequence[UploadedFile], result: Result[T]) -> list[Future[T]]:
    """Puts photos into the queue.

    Args:
        ticket: Place of the request in the queue.
        segmenter: Segmenter to use.
        photos: Photos, which are decoded in their turn.
        result: Function that makes the answer.

    Returns:
        A future for each photo; it raises `PhotoError` where the photo cannot be read.
    """
    if segmenter.batch_photos == 1:
        return [ticket.submit(_found, segmenter, photo, result) for photo in photos]
    batch = Batch(("api", id(segmenter)), partial(_found_together, segmenter), segmenter.batch_photos)
    return [ticket.submit_to(batch, (photo, result)) for photo in photos]


def _found(segmenter: Segmenter, photo: UploadedFile, result: Result[T]) -> T:
    """What is done for a photo in its turn: all that takes time."""
    return result(segmenter.segment(decode_photo(photo.data, name=photo.name)), photo)


def _found_together(segmenter: Segmenter, sent: Sequence[tuple[UploadedFile, Result[Any]]]) -> list[Any]:
    """The same for several photos; what one of them raises stands in its place."""
    found: dict[int, Any] = {}
    opened: dict[int, Photo] = {}
    for index, (photo, _) in enumerate(sent):
        try:
            opened[index] = decode_photo(photo.data, name=photo.name)
        except Exception as error:
            found[index] = error
            continue
        if sum(each.pixels.shape[0] * each.pixels.shape[1] for each in opened.values()) > _PIXELS:
            found |= _answers(segmenter, opened, sent)
            opened.clear()
    found |= _answers(segmenter, opened, sent)
    return [found[index] for index in range(len(sent))]


def _answers(
    segmenter: Segmenter, opened: dict[int, Photo], sent: Sequence[tuple[UploadedFile, Result[Any]]]
) -> dict[int, Any]:
    """The answers of decoded photos by their index: all at once, or one by one if that fails."""
    try:
        segmented: dict[int, Segmentation] = dict(
            zip(opened, segmenter.segment_batch(list(opened.values())), strict=True)
        )
    except Exception:
        segmented = {}
    found: dict[int, Any] = {}
    for index, photo in opened.items():
        try:
            one = segmented.get(index) or segmenter.segment(photo)
            found[index] = sent[index][1](one, sent[index][0])
        except Exception as error:
            found[index] = error
    return found
