import io

import numpy as np
import pytest
from PIL import Image

from segmodels.taxonomy import IMATERIALIST_47, OUTFIT_15, UNLABELLED
from train.analysis.shift import SHIFTS, shifted

SHIRT, SKIN = OUTFIT_15["Shirt"].id, OUTFIT_15["Skin"].id


def a_photo(height: int = 120, width: int = 80) -> np.ndarray:
    """Smooth colours and some noise: what JPEG, blur and a lower resolution all change."""
    rows, columns = np.mgrid[:height, :width]
    photo = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=-1).astype(float)
    noise = np.random.default_rng(0).normal(0, 20, photo.shape)
    return (photo + noise).clip(0, 255).astype(np.uint8)


def a_truth(height: int = 120, width: int = 80) -> np.ndarray:
    truth = np.zeros((height, width), np.uint8)
    truth[20:60, 20:60] = SKIN
    truth[60:110, 15:65] = SHIRT
    return truth


def apply(name: str, photo: np.ndarray, truth: np.ndarray, photo_id: str = "0001") -> tuple[np.ndarray, np.ndarray]:
    return shifted(name, photo, truth, OUTFIT_15, photo_id)


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_changes_the_photo_alike_each_time_and_not_what_it_was_given(name: str) -> None:
    photo, truth = a_photo(), a_truth()
    first, second = apply(name, photo, truth), apply(name, photo, truth)
    assert all((one == two).all() for one, two in zip(first, second, strict=True))
    assert (photo == a_photo()).all() and (truth == a_truth()).all()
    changed, ids = first
    assert changed.dtype == ids.dtype == np.uint8 and changed.shape == (*ids.shape, 3)
    assert changed.shape != photo.shape or (changed != photo).any()


@pytest.mark.parametrize("name", ["grey", "dark-skin", "low-light", "jpeg", "blur"])
def test_light_and_file_leave_the_truth_alone(name: str) -> None:
    truth = a_truth()
    photo, ids = apply(name, a_photo(), truth)
    assert (ids == truth).all() and photo.shape == a_photo().shape


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 1)])
def test_tiny_photos_come_through(name: str, size: tuple[int, int]) -> None:
    photo, ids = apply(name, np.full((*size, 3), 90, np.uint8), np.full(size, SKIN, np.uint8))
    assert photo.size and photo.shape[:2] == ids.shape


def test_grey_is_luma() -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[0], photo[1], photo[2] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    grey, _ = apply("grey", photo, np.zeros((4, 4), np.uint8))
    assert grey[:, 0].tolist() == [[76] * 3, [150] * 3, [29] * 3, [0] * 3]


def test_dark_skin_darkens_skin_and_nothing_else() -> None:
    photo = np.full((120, 80, 3), (200, 160, 140), np.uint8)
    dark, _ = apply("dark-skin", photo, a_truth())
    assert dark[40, 40].tolist() == [90, 72, 63], "0.45 times what it was"
    assert dark[90, 40].tolist() == dark[5, 5].tolist() == [200, 160, 140]
    border = dark[40, 14:26, 0].astype(int)
    assert (np.diff(border) <= 0).all() and len(set(border.tolist())) > 5, "no hard edge"


def test_dark_skin_needs_a_taxonomy_that_has_skin() -> None:
    with pytest.raises(KeyError, match="Skin"):
        shifted("dark-skin", a_photo(), a_truth(), IMATERIALIST_47, "0001")


def test_low_light_is_a_fifth_of_the_light_with_noise_of_the_photos_own() -> None:
    photo = np.full((200, 200, 3), 160, np.uint8)
    truth = np.zeros((200, 200), np.uint8)
    dim, _ = apply("low-light", photo, truth)
    assert dim.mean() == pytest.approx(32, abs=0.2) and dim.std() == pytest.approx(8, abs=0.2)
    other, _ = apply("low-light", photo, truth, "0002")
    assert (dim != other).any()


def test_jpeg_has_quality_15() -> None:
    file = io.BytesIO()
    Image.fromarray(a_photo()).save(file, "JPEG", quality=15, subsampling=2)
    expected = np.asarray(Image.open(file)).astype(int)
    got, _ = apply("jpeg", a_photo(), a_truth())
    assert np.abs(got - expected).mean() < 1
    assert np.abs(got - a_photo().astype(int)).mean() > 5


def test_blur_has_a_sigma_of_a_240th_of_the_longer_side() -> None:
    photo = np.zeros((600, 400, 3), np.uint8)
    photo[300, 200] = 255
    spread = apply("blur", np.repeat(photo.max(axis=1, keepdims=True), 400, axis=1), np.zeros((600, 400), np.uint8))[0]
    profile = spread[:, 200, 0].astype(float)
    rows = np.arange(600) - 300
    assert np.sqrt((profile * rows**2).sum() / profile.sum()) == pytest.approx(2.5, abs=0.1)


def test_tilt_turns_photo_and_truth_alike() -> None:
    truth = a_truth()
    photo = np.repeat((truth[:, :, None] * 10).astype(np.uint8), 3, axis=2)
    turned, ids = apply("tilt", photo, truth)
    known = ids != UNLABELLED
    assert 0 < (~known).sum() < 0.25 * ids.size, "the corners"
    assert ids[60, 40] in (SKIN, SHIRT) and ids[0, 0] == UNLABELLED
    agrees = np.abs(turned[:, :, 0].astype(int) - ids * 10) <= 5
    assert agrees[known].mean() > 0.94, "all but the interpolated borders"


def test_tilt_is_20_degrees_to_either_side() -> None:
    angles = []
    line = np.zeros((201, 201), np.uint8)
    line[99:102] = SHIRT  # level
    photo = np.zeros((201, 201, 3), np.uint8)
    for number in range(60):
        _, ids = apply("tilt", photo, line, f"{number:04}")
        rows, columns = np.nonzero(ids == SHIRT)
        angles.append(np.degrees(np.arctan(np.polyfit(columns, rows, 1)[0])))
    assert np.abs(angles) == pytest.approx(20, abs=0.5)
    assert 15 < sum(angle > 0 for angle in angles) < 45


@pytest.mark.parametrize(("name", "size"), [("half", (60, 40)), ("quarter", (30, 20))])
def test_a_lower_resolution_averages_the_photo_and_keeps_ids(name: str, size: tuple[int, int]) -> None:
    photo = np.zeros((120, 80, 3), np.uint8)
    photo[:, ::2] = 100
    small, ids = apply(name, photo, a_truth())
    assert small.shape[:2] == ids.shape == size
    assert (small == 50).all() and set(np.unique(ids)) == {0, SHIRT, SKIN}
    factor = 120 // size[0]
    assert (ids == SKIN).sum() == pytest.approx((a_truth() == SKIN).sum() / factor**2, rel=0.06)


def test_odd_sizes_are_rounded() -> None:
    small, ids = apply("quarter", a_photo(7, 10), a_truth(7, 10))
    assert small.shape == (2, 2, 3) and ids.shape == (2, 2)


def test_an_unknown_shift_is_an_error() -> None:
    with pytest.raises(KeyError, match="sepia"):
        apply("sepia", a_photo(), a_truth())
