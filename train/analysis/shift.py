"""Shifts: what happens to photos on their way into the app, done to photos whose ground truth is known.

| shift     | what is done                                                                                          |
|-----------|-------------------------------------------------------------------------------------------------------|
| grey      | luma (ITU-R BT.601) in all three channels                                                             |
| dark-skin | true Skin pixels times 0.45, the border softened by a Gaussian of sigma 2 pixels                      |
| low-light | all values times 0.2, then Gaussian noise of sigma 8 of 255                                           |
| jpeg      | JPEG of quality 15, chroma at half resolution                                                         |
| blur      | Gaussian of sigma 1/240 of the longer side: 2.5 pixels of 600                                         |
| tilt      | turned by 20 degrees about the centre, one half of the photos to the left, the other to the right     |
| half      | half the resolution: averaged over 2 x 2 pixels                                                       |
| quarter   | a quarter of the resolution: averaged over 4 x 4 pixels                                               |

`half` and `quarter` hand on the small photo, as somebody would upload it; the truth is reduced with it, by its nearest
pixels. What `tilt` turns in from beyond the photo is the photo's mirror image, and `UNLABELLED` in the truth. All
others leave the truth as it is. Noise and direction depend on the photo's id alone, so that a photo is shifted in one
way for good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from segmodels.taxonomy import UNLABELLED, Taxonomy
from train.analysis.framing import draw

__all__ = ["SHIFTS", "Shift", "shifted"]

Shift = Callable[[np.ndarray, np.ndarray, Taxonomy, str], tuple[np.ndarray, np.ndarray]]
"""Takes a photo uint8 `(H, W, 3)`, its truth uint8 `(H, W)`, the truth's taxonomy and the photo's id; gives both."""

_SKIN_FACTOR = 0.45
_SKIN_SOFTNESS = 2.0  # pixels
_LIGHT_FACTOR = 0.2
_LIGHT_NOISE = 8.0  # of 255
_JPEG_QUALITY = 15
_BLUR = 1 / 240  # of the longer side
_TILT = 20.0  # degrees


def shifted(
    name: str, photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str
) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its truth after a shift; what is given is not changed.

    Args:
        name: Key in `SHIFTS`.
        photo: uint8 `(H, W, 3)` RGB.
        truth: uint8 `(H, W)` class ids.
        taxonomy: Classes of the truth; `dark-skin` needs one that has Skin.
        photo_id: Source of whatever is random.

    Returns:
        Photo and truth, of equal height and width.

    Raises:
        KeyError: If there is no such shift, or the taxonomy has no Skin.
    """
    return SHIFTS[name](photo, truth, taxonomy, photo_id)


def _grey(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    return cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), truth


def _dark_skin(
    photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str
) -> tuple[np.ndarray, np.ndarray]:
    skin = (truth == taxonomy["Skin"].id).astype(np.float32)
    factor = 1 - (1 - _SKIN_FACTOR) * cv2.GaussianBlur(skin, (0, 0), _SKIN_SOFTNESS)
    return np.rint(photo * factor[:, :, None]).astype(np.uint8), truth


def _low_light(
    photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(int(draw(photo_id, "low-light") * 2**64))
    noise = generator.standard_normal(photo.shape, np.float32) * _LIGHT_NOISE
    return np.rint(photo * np.float32(_LIGHT_FACTOR) + noise).clip(0, 255).astype(np.uint8), truth


def _jpeg(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    ]
    _, file = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), options)
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was written a line above
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), truth


def _blur(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    return cv2.GaussianBlur(photo, (0, 0), _BLUR * max(truth.shape)), truth


def _tilt(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    height, width = truth.shape
    angle = _TILT if draw(photo_id, "tilt") < 0.5 else -_TILT
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    turned = cv2.warpAffine(photo, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    ids = cv2.warpAffine(
        truth, turn, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=UNLABELLED
    )
    return turned, ids


def _half(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    return _reduced(photo, truth, 2)


def _quarter(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    return _reduced(photo, truth, 4)


def _reduced(photo: np.ndarray, truth: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Photo and truth at a whole fraction of their height and width, at least one pixel each."""
    height, width = (max(1, round(side / factor)) for side in truth.shape)
    return (
        cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA),
        cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT),
    )


SHIFTS: Mapping[str, Shift] = {
    "grey": _grey,
    "dark-skin": _dark_skin,
    "low-light": _low_light,
    "jpeg": _jpeg,
    "blur": _blur,
    "tilt": _tilt,
    "half": _half,
    "quarter": _quarter,
}
"""Shift by the name that the command line uses."""
