from dataclasses import replace
from typing import Any

import pytest

from dashboard.segment.run import SegmentRun, is_of
from dashboard.segment.state import SegmentState, sort_photos
from dashboard.shared.analysed import Analysed, Plane, UploadedPhoto
from dashboard.shared.photo_file import PhotoFile, file_digest
from segmodels.taxonomy import OUTFIT_15


@pytest.fixture
def photo() -> Analysed:
    plane = Plane((1, 1), b"")
    uploaded = UploadedPhoto("look.png", b"", 1, 1, b"")
    return Analysed(uploaded, OUTFIT_15, plane, plane, (), (), "fpn", "abc", 0.1)


def test_starting_over_keeps_the_model_and_asks_for_an_empty_uploader(photo: Analysed) -> None:
    state = SegmentState(model="unet", photos={"a": photo}, shown="a", failures=["x"], refused=["y"], intake=3)
    state.start_over()
    assert state == SegmentState(model="unet", intake=4)


@pytest.mark.parametrize(
    ("change", "revision", "same"),
    [({}, "abc", True), ({}, "", True), ({"revision": "older"}, "abc", False), ({"model": "unet"}, "abc", False)],
    ids=["same", "unknown", "revision", "model"],
)
def test_whether_a_photo_is_of_a_model(photo: Analysed, change: dict[str, Any], revision: str, same: bool) -> None:
    assert is_of(replace(photo, **change), "fpn", revision) is same


def test_photos_are_sorted_and_none_is_lost(photo: Analysed) -> None:
    photos = {key: replace(photo) for key in "cabd"}
    ordered = sort_photos(photos, ["a", "b", "a", "gone", "c"])
    assert list(ordered) == ["a", "b", "c", "d"] and ordered == photos


def test_a_new_photo_is_shown_also_where_others_are_analysed_again_beside_it(photo: Analysed) -> None:
    files = {name: PhotoFile(name, name.encode()) for name in ("new.png", "a.png", "b.png")}
    new, first, second = (file_digest(file.data) for file in files.values())
    photos = {first: photo, second: photo}
    state = SegmentState(photos=dict(photos), shown=second)
    state.run = run = SegmentRun("unet", list(files.values()), photos)
    run.revision, run.phase = "abc", "done"
    run.found = {key: replace(photo, model="unet") for key in (new, first, second)}
    state.take_over()
    assert state.shown == new and len(state.photos) == 3
    state.shown, state.run = second, SegmentRun("fpn", list(files.values()), state.photos)
    state.run.revision, state.run.phase = "abc", "done"
    state.run.found = dict.fromkeys((new, first, second), photo)
    state.take_over()
    assert state.shown == second, "nothing is new"
