import numpy as np
import pytest

from segmodels.inference.boxes import (
    PADDING_GREY,
    Box,
    box_of,
    crop_around,
    cut,
    intersection_area,
    overlap_coefficient,
)


def ramp(height: int, width: int) -> np.ndarray:
    """A photo whose red is the row and whose green is the column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_box_of() -> None:
    mask = np.zeros((9, 7), bool)
    assert box_of(mask) is None
    mask[4, 2] = True
    assert box_of(mask) == (2, 4, 1, 1)
    mask[8, 6] = True
    assert box_of(mask) == (2, 4, 5, 5)
    assert box_of(np.ones((9, 7), bool)) == (0, 0, 7, 9)


@pytest.mark.parametrize("box", [Box(10, 20, 30, 90), Box(10, 20, 90, 30), Box(-5, -7, 1, 1), Box(0.5, 0.25, 3.5, 7)])
@pytest.mark.parametrize("aspect", [0.5, 1, 2])
@pytest.mark.parametrize("margin", [0, 0.06, 0.5])
def test_frame_has_the_shape_the_centre_and_the_margin(box: Box, aspect: float, margin: float) -> None:
    frame = crop_around(box, aspect, margin)
    border = margin * max(box.width, box.height)
    assert frame.height / frame.width == pytest.approx(aspect)
    assert frame.x + frame.width / 2 == pytest.approx(box.x + box.width / 2)
    assert frame.y + frame.height / 2 == pytest.approx(box.y + box.height / 2)
    spare = (frame.width - box.width) / 2 - border, (frame.height - box.height) / 2 - border
    assert min(spare) == pytest.approx(0, abs=1e-9), "the smallest such frame touches the margin on one axis"
    assert max(spare) >= -1e-9, "and holds it on the other"


def test_frame_by_hand() -> None:
    assert crop_around(Box(10, 20, 40, 60), 2) == (10, 10, 40, 80)
    assert crop_around(Box(10, 20, 40, 60), 1) == (0, 20, 60, 60)
    assert crop_around(Box(0, 0, 10, 20), 2, margin=0.1) == pytest.approx((-2, -4, 14, 28))


def test_frame_of_the_box_itself() -> None:
    assert crop_around(Box(10, 20, 40, 60), None) == (10, 20, 40, 60)
    assert crop_around(Box(0, 0, 10, 20), None, margin=0.1) == pytest.approx((-2, -2, 14, 24))


def test_cut_at_scale_one_is_a_slice() -> None:
    photo = ramp(40, 30)
    assert (cut(photo, Box(5, 7, 12, 20), 20, 12) == photo[7:27, 5:17]).all()


@pytest.mark.parametrize(
    ("frame", "rows", "columns"),
    [
        (Box(-4, -6, 10, 20), slice(6, 20), slice(4, 10)),  # beyond the upper left corner
        (Box(24, 30, 10, 20), slice(0, 10), slice(0, 6)),  # beyond the lower right corner
        (Box(-5, -5, 40, 50), slice(5, 45), slice(5, 35)),  # all around
    ],
)
def test_cut_beyond_the_borders_is_filled(frame: Box, rows: slice, columns: slice) -> None:
    photo = ramp(40, 30)
    photo[:] += 150  # so that no pixel of it has the filling's value
    result = cut(photo, frame, int(frame.height), int(frame.width))
    left, top = max(int(frame.x), 0), max(int(frame.y), 0)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert (result[rows, columns] == photo[top : top + height, left : left + width]).all()
    outside = np.ones(result.shape[:2], bool)
    outside[rows, columns] = False
    assert (result[outside] == PADDING_GREY).all()


def test_cut_that_misses_the_photo_is_all_filling() -> None:
    assert (cut(ramp(10, 10), Box(50, 50, 10, 10), 8, 8) == PADDING_GREY).all()
    assert (cut(np.zeros((10, 10), np.uint8), Box(-30, -30, 10, 10), 8, 8, outside=255) == 255).all()


def test_shrinking_averages() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (cut(stripes, Box(0, 0, 8, 8), 4, 4) == 100).all()


def test_growing_interpolates() -> None:
    halves = np.zeros((1, 2, 3), np.uint8)
    halves[:, 1] = 200
    grown = cut(halves, Box(0, 0, 2, 1), 4, 8)[0, :, 0]
    assert (np.diff(grown.astype(int)) >= 0).all()
    assert {int(value) for value in grown} - {0, 200}, "values between the two"


@pytest.mark.parametrize("size", [(7, 5), (64, 32), (33, 91)])
def test_ids_are_never_mixed(size: tuple[int, int]) -> None:
    truth = np.random.default_rng(0).choice(np.array([3, 9, 14], np.uint8), (40, 30))
    result = cut(truth, Box(-3, -3, 36, 46), *size, outside=255)
    assert result.shape == size and result.dtype == np.uint8
    assert set(np.unique(result)) <= {3, 9, 14, 255}


@pytest.mark.parametrize("frame", [Box(2.4, 3.6, 9.7, 19.1), Box(-2.5, -3.5, 60.5, 80.1), Box(10, 10, 0.3, 0.6)])
@pytest.mark.parametrize("size", [(48, 24), (16, 16)])
def test_any_frame_fills_its_size(frame: Box, size: tuple[int, int]) -> None:
    assert cut(ramp(40, 30), frame, *size).shape == (*size, 3)
    assert cut(np.ones((40, 30), np.uint8), frame, *size).shape == size


def test_photo_and_truth_are_cut_alike() -> None:
    truth = np.zeros((60, 50), np.uint8)
    truth[20:40, 10:30] = 1
    photo = np.repeat(truth[..., None] * 255, 3, axis=2)
    for frame in (Box(5, 10, 30, 40), Box(-20, -10, 90, 90), Box(8, 18, 24, 24)):
        seen = cut(photo, frame, 48, 36, outside=0)[..., 0] > 127
        marked = cut(truth, frame, 48, 36, outside=0) == 1
        assert (seen != marked).mean() < 0.04
        a, b = box_of(seen), box_of(marked)
        assert a is not None and b is not None
        assert np.abs(np.subtract(a, b)).max() <= 1


@pytest.mark.parametrize(
    ("other", "area", "coefficient"),
    [
        (Box(0, 0, 10, 20), 200, 1),
        (Box(5, 10, 10, 20), 50, 0.25),
        (Box(2, 2, 4, 5), 20, 1),  # within: the intersection over union would be 0.1
        (Box(-10, -10, 40, 40), 200, 1),
        (Box(10, 0, 10, 20), 0, 0),  # side by side
        (Box(50, 60, 10, 20), 0, 0),
        (Box(2, 2, 0, 5), 0, 0),  # without area
    ],
)
def test_what_two_boxes_share(other: Box, area: float, coefficient: float) -> None:
    one = Box(0, 0, 10, 20)
    assert intersection_area(one, other) == intersection_area(other, one) == area
    assert overlap_coefficient(one, other) == overlap_coefficient(other, one) == coefficient
