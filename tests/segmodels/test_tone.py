import io

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from segmodels.tone import is_monochrome

SEPIA = np.array([1.351, 1.203, 0.937])  # sums of the rows of the usual sepia matrix
BODY = 0.2


def saved(photo: np.ndarray, quality: int) -> np.ndarray:
    """A photo after a JPEG of some quality."""
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out).convert("RGB"))


def grey() -> np.ndarray:
    return np.asarray(Image.fromarray(astronaut()).convert("L"))


def toned(tint: np.ndarray) -> np.ndarray:
    return np.clip(grey()[..., None] * tint, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [60, 75, 95])
@pytest.mark.parametrize("body_share", [0.0, BODY])
def test_black_and_white_is_found_with_and_without_a_person(quality: int, body_share: float) -> None:
    assert is_monochrome(saved(toned(np.ones(3)), quality), body_share)


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("tint", [SEPIA, (1, 0.94, 0.84), (0.8, 0.9, 1)])
def test_a_tone_is_found_on_a_person_alone(tint: np.ndarray, quality: int) -> None:
    photo = saved(toned(np.array(tint)), quality)
    assert is_monochrome(photo, BODY)
    assert not is_monochrome(photo, 0.005), "a brown thing in warm light looks the same"


def test_a_photo_in_colour_is_not() -> None:
    assert not is_monochrome(astronaut(), BODY)
    assert not is_monochrome(saved(astronaut(), 60), BODY)


def test_a_date_stamp_does_not_matter_and_a_coloured_bag_does() -> None:
    photo = toned(np.ones(3))
    photo[-30:, :40] = 255, 90, 0  # 0.5 % of the pixels
    assert is_monochrome(photo, BODY)
    photo[-60:, :120] = 255, 90, 0  # 2.7 %
    assert not is_monochrome(photo, BODY)


def test_grey_clothes_as_a_camera_sees_them_are_in_colour() -> None:
    """Grey on grey with the faint casts of a real photo: bluish shade, warm light."""
    photo = np.stack([grey()[:128, :128]] * 3, axis=2).astype(float)
    photo[:, :40] *= (0.95, 1, 1.05)
    photo[:, 90:] *= (1.04, 1, 0.95)
    assert not is_monochrome(np.clip(photo, 0, 255).astype(np.uint8), 0.0)


def test_skin_beside_beige_is_in_colour() -> None:
    """A beige coat before a beige wall: skin and hair have other chroma at the same lightness."""
    random = np.random.default_rng(0)
    light = random.uniform(0.55, 1, (120, 80, 1))
    photo = light * (225, 205, 175)
    photo[10:40, 30:50] = light[10:40, 30:50] * (240, 190, 165)  # a face, 6 % of the pixels
    photo[5:12, 30:50] = light[5:12, 30:50] * (90, 60, 45)
    assert not is_monochrome(photo.astype(np.uint8), 0.08)


def test_a_tiny_photo_is_looked_at() -> None:
    assert is_monochrome(np.full((16, 16, 3), 90, np.uint8), BODY)
    assert not is_monochrome(np.full((10, 10, 3), (90, 120, 200), np.uint8), BODY)
