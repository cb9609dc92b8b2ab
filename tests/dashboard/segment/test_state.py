from dataclasses import replace
from typing import Any

import pytest

from dashboard.segment.run import is_of
from dashboard.segment.state import SegmentState, sort_photos
from dashboard.shared.analysed import Analysed, Plane, UploadedPhoto
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
