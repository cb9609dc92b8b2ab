"""Photos of several callers in one batch, with a segmenter that takes four at once as on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dashboard.api import together
from dashboard.api.admission import Admission
from dashboard.api.bodies import UploadedFile
from dashboard.shared.inference_queue import InferenceQueue
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import Photo, PhotoError

Make = Callable[[int], bytes]
WAIT = 60.0


class Four:
    """The small network, as if on a GPU."""

    batch_photos = 4

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self.sizes: list[int] = []
        self.fails = False

    def segment(self, photo: Photo) -> Segmentation:
        return self._segmenter.segment(photo)

    def segment_batch(self, photos: Sequence[Photo]) -> list[Segmentation]:
        self.sizes.append(len(photos))
        if self.fails:
            raise RuntimeError("out of memory")
        return self._segmenter.segment_batch(photos)


def ask(four: Four, photos: Sequence[bytes]) -> list[Any]:
    """Two callers with all photos between them, which are all in the queue before the first is begun."""
    queue, gate = InferenceQueue(1), threading.Event()
    admission = Admission(queue.flow, 20, 20)
    sent = [UploadedFile(f"{number}.png", data) for number, data in enumerate(photos)]
    with admission.enter("first", 9) as first, admission.enter("second", 9) as second:
        first.submit(gate.wait, WAIT)
        halves = (first, sent[: len(sent) // 2]), (second, sent[len(sent) // 2 :])
        futures = [
            future
            for ticket, some in halves
            for future in together.submit(ticket, four, some, lambda found, sent: (sent.name, found.class_map))  # type: ignore[arg-type]
        ]
        gate.set()
        found = [future.exception(WAIT) or future.result() for future in futures]
    queue.close()
    return found


def same(found: list[Any], segmenter: Segmenter, photos: Sequence[bytes]) -> bool:
    return all(
        name == f"{number}.png" and (class_map == segmenter.segment(photos[number]).class_map).all()
        for number, (name, class_map) in enumerate(found)
    )


def test_photos_of_two_callers_share_batches(segmenter: Segmenter, photo: Make) -> None:
    four, photos = Four(segmenter), [photo(number) for number in range(6)]
    assert same(ask(four, photos), segmenter, photos) and four.sizes == [4, 2]


def test_one_bad_photo_spoils_no_other(segmenter: Segmenter, photo: Make) -> None:
    four, photos = Four(segmenter), [photo(0), b"no photo", photo(2)]
    found = ask(four, photos)
    assert isinstance(found[1], PhotoError) and str(found[1]).startswith("1.png is text") and four.sizes == [2]
    assert found[0][0] == "0.png" and found[2][0] == "2.png"


def test_a_batch_that_fails_goes_one_by_one(segmenter: Segmenter, photo: Make) -> None:
    four, photos = Four(segmenter), [photo(number) for number in range(3)]
    four.fails = True
    assert same(ask(four, photos), segmenter, photos) and four.sizes == [3]


def test_large_photos_go_in_smaller_batches(segmenter: Segmenter, photo: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_PIXELS", 2 * 90 * 60 - 1)
    four, photos = Four(segmenter), [photo(number) for number in range(3)]
    assert same(ask(four, photos), segmenter, photos) and four.sizes == [2, 1]
