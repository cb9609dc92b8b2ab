import numpy as np
import pytest
from annotated import a_class_map, farthest
from pycocotools import mask as coco_mask

from segmodels.annotations.outlines import joined, polygons_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


def filled(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres are inside, by the even-odd rule, each polygon apart."""
    y, x = (each + 0.5 for each in np.mgrid[: shape[0], : shape[1]])
    whole = np.zeros(shape, bool)
    for polygon in polygons:
        inside = np.zeros(shape, bool)
        for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if y1 != y2:
                inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        whole |= inside
    return whole


def by_pycocotools(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    parts = coco_mask.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *shape)
    return np.asarray(coco_mask.decode(coco_mask.merge(parts))).astype(bool)


def test_a_square_keeps_its_sides() -> None:
    mask = np.zeros((30, 30), bool)
    mask[5:25, 8:20] = True
    (polygon,) = polygons_of(mask)
    assert polygon.min(axis=0) == pytest.approx([8, 5]) and polygon.max(axis=0) == pytest.approx([20, 25])
    assert (filled([polygon], mask.shape) == mask).mean() > 0.99


def test_a_part_of_a_photo_is_moved_to_its_place() -> None:
    (polygon,) = polygons_of(np.ones((4, 6), bool), left=10, top=20)
    assert polygon.min(axis=0) == pytest.approx([10, 20]) and polygon.max(axis=0) == pytest.approx([16, 24])


@pytest.mark.parametrize("class_id", sorted(set(np.unique(a_class_map())) - {0}))
def test_polygons_keep_within_a_pixel_of_every_outline(class_id: int) -> None:
    mask = a_class_map() == class_id
    polygons = polygons_of(mask)
    assert all(polygon.shape[1] == 2 and len(polygon) >= 3 for polygon in polygons)
    for given in (filled(polygons, mask.shape), by_pycocotools(polygons, mask.shape)):
        assert given.any() and farthest(mask, given) < 1


def test_outlines_of_noise_keep_within_a_pixel() -> None:
    mask = np.random.default_rng(1).random((60, 50)) < 0.5
    assert farthest(mask, filled(polygons_of(mask), mask.shape)) < 1


def test_a_hole_stays_a_hole_and_its_island_an_island() -> None:
    mask = np.zeros((40, 40), bool)
    mask[4:36, 4:36] = True
    mask[10:30, 10:30] = False
    mask[16:24, 16:24] = True
    ring, island = polygons_of(mask)
    for fill in (filled, by_pycocotools):
        assert not fill([ring], mask.shape)[12:28, 12:28].any() and fill([ring], mask.shape)[5:9, 5:35].all()
        assert fill([island], mask.shape)[17:23, 17:23].all()


def test_joined_parts_are_what_they_were() -> None:
    mask = a_class_map() == 2  # the coat, in two parts
    polygons = polygons_of(mask)
    assert len(polygons) == 2
    for fill in (filled, by_pycocotools):
        assert (fill([joined(polygons)], mask.shape) == fill(polygons, mask.shape)).all()


def test_one_pixel_has_an_outline() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 3] = True
    (polygon,) = polygons_of(mask)
    assert (filled([polygon], mask.shape) == mask).all() and polygon.mean(axis=0) == pytest.approx([3.5, 2.5])
    assert polygons_of(np.zeros((5, 5), bool)) == []
