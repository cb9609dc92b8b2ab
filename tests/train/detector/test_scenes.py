from pathlib import Path

import numpy as np
import pytest

from segmodels.datasets import Dataset
from segmodels.inference.boxes import PADDING_GREY, box_of
from train.data.cache import open_cache
from train.detector import scenes as module
from train.detector.scenes import SCENES, make_scene, whole_scene
from train.detector.source import Source, person_box

SIDE = 128
each_kind = pytest.mark.parametrize("kind", list(SCENES))


@pytest.fixture
def source(dataset: Dataset) -> Source:
    """Eight made-up photos, of which it is known that nobody else stands in them."""
    return Source(open_cache(dataset, dataset.ids, 72), {})


def scenes(source: Source, kind: str, count: int = 12) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    return [make_scene(source, np.random.default_rng([7, n]), SIDE, kind) for n in range(count)]


@each_kind
def test_a_seed_is_a_scene(source: Source, kind: str) -> None:
    for first, second in zip(scenes(source, kind, 4), scenes(source, kind, 4), strict=True):
        for one, other in zip(first, second, strict=True):
            assert np.array_equal(one, other)
    pictures = [scene[0] for scene in scenes(source, kind, 4)]
    assert not np.array_equal(pictures[0], pictures[1])


@each_kind
def test_boxes_lie_in_the_scene_and_enclose_the_people(source: Source, kind: str) -> None:
    for picture, truth, people, unknown in scenes(source, kind):
        assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
        assert truth.shape == (SIDE, SIDE) and truth.dtype == np.uint8
        assert people.shape[1:] == unknown.shape[1:] == (4,) and (kind == "group" or len(unknown) == 0)
        assert (people[:, :2] >= 0).all() and (people[:, 2:] <= SIDE + 1e-6).all()
        assert (people[:, 2:] - people[:, :2] >= 3).all()
        beside = truth.copy()
        for left, top, right, bottom in (*people, *unknown):
            beside[max(0, int(top) - 1) : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = 0
        assert not beside.any(), "somebody stands outside of every box"


@pytest.mark.parametrize(("kind", "pixels"), [("photo", 8), ("zoomed_out", 3), ("pasted", 3)])
def test_the_box_of_one_person_is_tight(source: Source, kind: str, pixels: int) -> None:
    """A part of a photo is cut at whole pixels of it, which are up to 4 of the scene."""
    alone = [scene for scene in scenes(source, kind, 30) if len(scene[2]) == 1]
    assert len(alone) >= 5
    for _, truth, people, _ in alone:
        box = box_of(truth > 0)
        assert box is not None
        x, y, width, height = box
        assert np.abs(people[0] - [x, y, x + width, y + height]).max() <= pixels


def test_there_are_small_people_several_and_nobody(source: Source) -> None:
    made = scenes(source, "zoomed_out", 60)
    heights = np.concatenate([people[:, 3] - people[:, 1] for _, _, people, _ in made])
    assert heights.min() < 0.2 * SIDE and heights.max() > 0.5 * SIDE
    assert {len(people) for _, _, people, _ in made} >= {1, 2, 3}
    assert all(len(people) == 0 and not truth.any() for _, truth, people, _ in scenes(source, "nobody"))


def test_kinds_are_drawn_when_none_is_named(source: Source) -> None:
    made = [make_scene(source, np.random.default_rng(n), SIDE) for n in range(40)]
    assert {min(len(scene.people), 2) for scene in made} == {0, 1, 2}


def test_without_a_list_what_stands_beside_is_unknown_and_no_ground(dataset: Dataset) -> None:
    source = Source(open_cache(dataset, dataset.ids, 72))
    scene = whole_scene(source, 0, 72)
    (left, top, right, bottom), other = scene.unknown
    (person,) = scene.people
    assert left == 12 and top == 0 and bottom == 72 and right <= person[0]
    assert other[0] >= person[2] and other[2] == 60
    listed = Source(source.photos, {source.photos.ids[0]: np.array([[0.0, 0.5, 0.25, 1.0]])})
    assert np.allclose(whole_scene(listed, 0, 72).unknown, [[12, 36, 24, 72]])
    assert len(whole_scene(listed, 1, 72).unknown) == 0


def test_grounds_are_taken_from_where_nobody_stands(dataset: Dataset, tmp_path: Path) -> None:
    """The noise of the photos is 150 and lighter; who is pasted and what is stored may be darker."""
    everywhere = {photo_id: np.array([[0.0, 0.0, 1.0, 1.0]]) for photo_id in dataset.ids}
    photos = open_cache(dataset, dataset.ids, 72)
    free, taken = (
        [make_scene(Source(photos, listed), np.random.default_rng([3, n]), SIDE, "zoomed_out")[0] for n in range(6)]
        for listed in ({}, everywhere)
    )
    assert any(not np.array_equal(one, other) for one, other in zip(free, taken, strict=True))


def test_person_box_leaves_specks_out() -> None:
    truth = np.zeros((50, 40), np.uint8)
    assert person_box(truth) is None
    truth[10:40, 5:15] = 3
    truth[2:4, 30:32] = 5
    assert person_box(truth) == (5, 10, 10, 30)
    truth[10:40, 20:24] = 5
    assert person_box(truth) == (5, 10, 19, 30), "a large part that hangs apart is the person's"


def test_a_part_fills_the_scene_and_its_box_is_of_what_is_shown(source: Source) -> None:
    tall = 0
    for picture, truth, people, _ in scenes(source, "part", 30):
        if not len(people):
            continue
        (box,) = people
        rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
        np.testing.assert_allclose(box, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], atol=1.5)
        shown = np.flatnonzero((picture != 127).any(axis=(1, 2)))
        tall += box[3] - box[1] > 0.7 * len(shown)
    assert tall > 20


def test_in_a_flat_lay_there_is_nobody(dataset: Dataset) -> None:
    photos = open_cache(dataset, dataset.ids, 72)
    with_them = Source(photos, {}, photos)
    for picture, truth, people, unknown in scenes(with_them, "flatlay", 6):
        assert not truth.any() and not len(people) and not len(unknown)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3


def test_a_group_stands_side_by_side_and_a_hidden_person_is_unknown(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_scene(source, np.random.default_rng([11, n]), SIDE, "group") for n in range(40)]
    several = [scene for scene in made if len(scene.people) > 1]
    assert len(several) > 30
    assert max(len(scene.people) for scene in several) >= 4
    for scene in several:
        top, bottom = scene.people[:, 1], scene.people[:, 3]
        assert (np.minimum(bottom[:, None], bottom) > np.maximum(top[:, None], top)).all(), "somebody stands lower"
        rows = np.flatnonzero((scene.picture != PADDING_GREY).any(axis=(1, 2)))
        assert (bottom - top).max() > 0.15 * len(rows)
    touching = [
        scene for scene in several if np.diff(np.sort(scene.people[:, 0])).min() < np.diff(scene.people[:, ::2]).min()
    ]
    assert len(touching) > 12, "one hides a part of another"
    monkeypatch.setattr(module, "_LEAST_VISIBLE", 0.9)
    strict = [make_scene(source, np.random.default_rng([11, n]), SIDE, "group") for n in range(40)]
    assert sum(len(scene.unknown) for scene in strict) > 10
    for scene, same in zip(strict, made, strict=True):
        assert len(scene.people) + len(scene.unknown) == len(same.people) + len(same.unknown)
