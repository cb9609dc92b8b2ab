"""What is sent to the viewer: sizes, ids, confidence steps, and what is refused."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dashboard.components.viewer import MAX_SIDE, Stage, encode_stage, viewer
from segmodels.taxonomy import OUTFIT_15

GARMENT: dict[str, Any] = {
    "class": "Coat",
    "person": 0,
    "area_share": 0.2,
    "outfit_share": 1.0,
    "confidence": 0.8,
    "box": [1, 2, 3, 4],
    "colours": [{"hex": "#17181A", "name": "black", "share": 0.6}],
}


def make_stage(height: int = 30, width: int = 20, **changes: Any) -> Stage:
    rng = np.random.default_rng(7)
    fields: dict[str, Any] = {
        "photo": rng.integers(0, 256, (height, width, 3), np.uint8),
        "class_map": rng.integers(0, 15, (height, width), np.uint8),
        "confidence": rng.integers(0, 256, (height, width), np.uint8),
        "name": "look.jpg",
        "title": "1 garment",
        "caption": "FPN",
        "garments": (GARMENT,),
    }
    return Stage(**{**fields, **changes})


def opened(encoded: dict[str, Any], field: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded[field])))


def test_a_small_picture_is_sent_at_its_own_size_with_its_exact_ids():
    stage = make_stage()
    encoded = encode_stage(stage)
    assert (encoded["width"], encoded["height"]) == (20, 30)
    assert opened(encoded, "photo").format == "JPEG"
    assert opened(encoded, "photo").size == (20, 30)
    class_map = opened(encoded, "class_map")
    assert class_map.mode == "L"
    np.testing.assert_array_equal(np.asarray(class_map), stage.class_map)


@pytest.mark.parametrize(("height", "width"), [(2000, 1000), (1000, 3300), (1601, 1600), (1700, 1)])
def test_a_large_picture_is_reduced_alike_and_no_id_is_mixed(height: int, width: int):
    class_map = np.zeros((height, width), np.uint8)
    class_map[: height // 2] = 2
    class_map[height // 2 :, width // 2 :] = 14
    encoded = encode_stage(make_stage(height, width, class_map=class_map))
    sizes = {opened(encoded, field).size for field in ("photo", "class_map", "confidence")}
    assert sizes == {(encoded["width"], encoded["height"])}
    assert max(encoded["width"], encoded["height"]) == MAX_SIDE
    reduced = np.asarray(opened(encoded, "class_map"))
    assert set(np.unique(reduced)) == set(np.unique(class_map))
    for class_id in np.unique(class_map):
        assert (reduced == class_id).mean() == pytest.approx((class_map == class_id).mean(), abs=0.002)


def test_reducing_keeps_photo_and_map_in_register():
    class_map = np.zeros((2400, 1600), np.uint8)
    class_map[600:1200, 400:800] = 2
    photo = np.where(class_map[..., None] == 2, np.uint8(250), np.uint8(5)).repeat(3, axis=2)
    encoded = encode_stage(make_stage(2400, 1600, photo=photo, class_map=class_map))
    bright = np.asarray(opened(encoded, "photo").convert("L")) > 127
    assert (bright != (np.asarray(opened(encoded, "class_map")) == 2)).mean() < 0.0015  # part of a one-pixel border


def test_confidence_is_sent_in_steps_of_five_per_cent():
    confidence = np.arange(256, dtype=np.uint8).reshape(16, 16)
    sent = np.asarray(opened(encode_stage(make_stage(16, 16, confidence=confidence)), "confidence"))
    assert set(np.unique(sent)) == set(range(0, 101, 5))
    assert np.abs(sent - confidence / 2.55).max() <= 2.5


def test_a_ground_truth_has_no_confidence():
    encoded = encode_stage(make_stage(confidence=None, garments=({**GARMENT, "confidence": None},)))
    assert encoded["confidence"] is None and encoded["garments"][0]["confidence"] is None
    assert encoded["id"] == encode_stage(make_stage(confidence=None, title="Another"))["id"]
    with pytest.raises(ValueError, match="confidence: expected uint8"):
        make_stage(confidence=np.zeros((5, 5), np.uint8))


def test_less_likely_garments_are_sent_apart_with_the_pixels_that_they_hold():
    numbers = np.zeros((3200, 1600), np.uint8)
    numbers[:800, 400:] = 1
    doubtful, absent = {**GARMENT, "presence": 0.38}, {"class": "Hat", "person": 0, "presence": 0.62}
    fields = {"less_likely": (doubtful,), "less_likely_map": numbers, "not_outlined": (absent,)}
    plain, encoded = encode_stage(make_stage(3200, 1600)), encode_stage(make_stage(3200, 1600, **fields))
    assert encoded["less_likely"] == [doubtful] and encoded["not_outlined"] == [absent]
    expected = np.zeros((1600, 800), np.uint8)
    expected[:400, 200:] = 1
    np.testing.assert_array_equal(np.asarray(opened(encoded, "less_likely_map")), expected)
    assert plain["less_likely_map"] is None and plain["id"] != encoded["id"]


def test_the_id_follows_the_pixels_and_nothing_else():
    first, again = encode_stage(make_stage()), encode_stage(make_stage(title="Another", name="b.png"))
    assert first["id"] == again["id"]
    assert first["id"] != encode_stage(make_stage(class_map=np.zeros((30, 20), np.uint8)))["id"]
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photo": np.zeros((30, 20), np.uint8)}, "photo: expected uint8"),
        ({"photo": np.zeros((30, 20, 3), np.float32)}, "got float32"),
        ({"photo": np.zeros((0, 20, 3), np.uint8)}, "with pixels"),
        ({"class_map": np.zeros((20, 30), np.uint8)}, r"class_map: expected uint8 \(30, 20\)"),
        ({"class_map": np.zeros((30, 20), np.int64)}, "class_map: .* got int64"),
        ({"confidence": np.zeros((30, 20), np.float32)}, "confidence: .* got float32"),
        ({"name": ""}, "file name"),
        ({"garments": ({"class": "Coat"},)}, r"garments\[0\]: expected the keys"),
        ({"garments": (GARMENT, {**GARMENT, "person": -1})}, r"garments\[1\]: person"),
        ({"garments": ({**GARMENT, "box": [1, 2, 3]},)}, "box must be"),
        ({"garments": ({**GARMENT, "presence": 38},)}, r"garments\[0\]: presence must be within 0\.\.1, got 38"),
        ({"not_outlined": (GARMENT,)}, r"not_outlined\[0\]: expected the keys \['class', 'person', 'presence'\]"),
        ({"not_outlined": ({"class": "Hat", "person": 0, "presence": 2},)}, r"not_outlined\[0\]: presence must be"),
        ({"less_likely": (GARMENT,)}, "less_likely_map: expected the numbers of 1 rows, got 0"),
        ({"less_likely_map": np.ones((30, 20), np.uint8)}, "less_likely_map: expected the numbers of 0 rows, got 1"),
        ({"less_likely_map": np.zeros((20, 30), np.uint8)}, r"less_likely_map: expected uint8 \(30, 20\)"),
        ({"garments": ({**GARMENT, "confidence": 80},)}, r"confidence must be within 0\.\.1, got 80"),
        ({"garments": ({**GARMENT, "outfit_share": float("nan")},)}, "outfit_share must be within"),
        ({"garments": ({**GARMENT, "colours": [{"hex": "#000000"}]},)}, r"colours\[0\] must have the keys"),
        ({"garments": ({**GARMENT, "colours": [{"hex": "black", "name": "black", "share": 1.0}]},)}, "hex like"),
    ],
)
def test_a_stage_refuses_what_it_cannot_show(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        make_stage(**changes)


def test_the_viewer_refuses_too_few_and_too_many_stages_and_unknown_classes():
    with pytest.raises(ValueError, match="expected 1 to 4, got 0"):
        viewer([], taxonomy=OUTFIT_15, key="v")
    with pytest.raises(ValueError, match="expected 1 to 4, got 5"):
        viewer([make_stage()] * 5, taxonomy=OUTFIT_15, key="v")
    with pytest.raises(ValueError, match="OUTFIT_15 has no class Cape"):
        viewer([make_stage(garments=({**GARMENT, "class": "Cape"},))], taxonomy=OUTFIT_15, key="v")
    with pytest.raises(ValueError, match="OUTFIT_15 has no class Cape"):
        absent = {"class": "Cape", "person": 0, "presence": 0.6}
        viewer([make_stage(not_outlined=(absent,))], taxonomy=OUTFIT_15, key="v")
