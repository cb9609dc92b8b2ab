"""Heads in class maps that are drawn here, and what is left of them in thumbnails."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.archive.heads import blurred, head_region
from segmodels.archive.ingest import analyse_here, ingest, prepared, version_of
from segmodels.archive.sources import find_sources
from segmodels.archive.store import Archive
from segmodels.archive.thumbnails import LARGE, SMALL, read_thumbnail, thumbnails_of
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15

HAIR, SKIN, SHIRT = (OUTFIT_15[name].id for name in ("Hair", "Skin", "Shirt"))


def person() -> np.ndarray:
    """Hair over a face, a shirt with a gap of skin, hands far below."""
    ids = np.zeros((128, 80), np.uint8)
    ids[10:18, 30:50] = HAIR
    ids[18:32, 32:48] = SKIN
    ids[22:24, 36:44] = 0  # eyes, taken for background
    ids[32:80, 24:56] = SHIRT
    ids[80:90, 20:28] = SKIN
    return ids


def test_hair_face_and_eyes_are_the_head_and_hands_are_not() -> None:
    (region,) = head_region(person(), [[20, 8, 40, 110]], OUTFIT_15)
    assert region[10:28, 34:46].all(), "with the eyes"
    assert not region[40:].any()


def test_of_a_person_without_hair_the_top_of_the_box_is_taken() -> None:
    ids = np.where(person() == HAIR, 0, person()).astype(np.uint8)
    (region,) = head_region(ids, [[20, 8, 40, 110]], OUTFIT_15)
    assert region[8:26, 30:50].all() and not region[30:].any()
    assert head_region(np.zeros((8, 8), np.uint8), [], OUTFIT_15) == []


def test_little_is_left_of_a_face_and_the_rest_is_as_before() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (640, 400, 3), np.uint8)
    regions = head_region(person(), [], OUTFIT_15)
    result = blurred(photo, regions)
    assert photo[100:140, 180:220].std() > 60 > 12 > result[100:140, 180:220].std()
    assert (result[250:] == photo[250:]).all()


def test_thumbnails_are_blurred_where_heads_are_found(
    archive: Archive, segmenter: Segmenter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, found = version_of(segmenter), find_sources(folder)
    make: Callable[..., object] = partial(ingest, found, archive, version, taxonomy=segmenter.taxonomy)
    blur = prepared(partial(analyse_here, segmenter), found, archive, version, thumbnails=True, blur=segmenter.taxonomy)
    monkeypatch.setattr(
        "segmodels.archive.thumbnails.head_region", lambda class_map, *_: [np.ones(class_map.shape, bool)]
    )
    make(blur)
    ids = thumbnails_of(archive.place)
    assert len(ids) == 6
    for side, key in ((side, key) for side in (LARGE, SMALL) for key in ids):
        with Image.open(io.BytesIO(read_thumbnail(archive.place, key, side) or b"")) as thumbnail:
            pixels = np.asarray(thumbnail, float)
        assert np.abs(np.diff(pixels, axis=1)).mean() < 5, "of noise"
    for each in archive.place.files("thumbnails"):
        archive.place.remove(each)
    make(blur)
    assert not thumbnails_of(archive.place), "the class maps of known photos are not at hand"
