import io

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from skimage.data import astronaut

from segmodels.fingerprint import fingerprint


def apart(one: int, other: int) -> int:
    """Number of different bits of two fingerprints."""
    return ((one ^ other) & (2**64 - 1)).bit_count()


def saved(image: Image.Image, quality: int = 90) -> np.ndarray:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def test_it_is_the_perceptual_hash_as_a_signed_number() -> None:
    for photo in (astronaut()[:200, :200], 255 - astronaut()[:200, :200]):
        found = fingerprint(photo)
        assert -(2**63) <= found < 2**63
        assert f"{found & (2**64 - 1):016x}" == str(imagehash.phash(Image.fromarray(photo)))
    assert fingerprint(np.zeros((20, 20, 3), np.uint8)) == 0
    assert fingerprint(np.full((20, 20, 3), 255, np.uint8)) == -(2**63), "only the mean is above the median"


@pytest.mark.parametrize("quality", [40, 60, 90])
def test_a_recompressed_photo_has_almost_the_same(quality: int) -> None:
    assert apart(fingerprint(astronaut()), fingerprint(saved(Image.fromarray(astronaut()), quality))) <= 2


def test_a_resized_or_brighter_photo_has_almost_the_same() -> None:
    photo = Image.fromarray(astronaut())
    for side in (256, 128):
        assert apart(fingerprint(astronaut()), fingerprint(saved(photo.resize((side, side))))) <= 2
    assert apart(fingerprint(astronaut()), fingerprint(saved(ImageEnhance.Brightness(photo).enhance(1.1)))) <= 2


def test_another_photo_has_another() -> None:
    assert apart(fingerprint(astronaut()), fingerprint(astronaut()[:, ::-1])) > 10
