"""Black-and-white and toned photos: their colours say nothing about the colours of the clothes.

A photo is monochrome if its pixels have no chroma (black and white), or if one curve from black to white holds their
colours (sepia, a blue tone, duotone): then chroma is a function of lightness. The pixels of a brown dress in warm light
on a brown floor lie on such a curve too; those of a person in colour do not. So toned photos are only recognised where
skin or hair is seen. The README of `segmodels.archive` has the error rates.
"""

from __future__ import annotations

import cv2
import numpy as np

from segmodels.photo import reduced

__all__ = ["is_monochrome"]

_SIDE = 128  # pixels of the longest side of the copy that is looked at
_GREY = 2.0  # chroma in CIELAB: above what JPEG adds to black and white (1), below what a camera sees in grey (3)
_BODY = 0.01  # least share of skin and hair for a tone to be looked for
_KNOTS = 50  # points of the curve
_LEAST_PIXELS = 4 * _KNOTS
_MIDTONES = 30, 80  # lightness at which a tone shows
_TINT = 3.0  # least chroma along the tone of the midtones of a photo with a tint
_NEAR = 3.0, 5.0  # largest distances from the curve of 95 % and 99 % of the pixels
_NEAR_IF_TINTED = 6.0, 12.0  # the same where all midtones have the tint: strong tones bend the curve


def is_monochrome(photo: np.ndarray, body_share: float) -> bool:
    """Whether a photo is black and white, or toned such as in sepia.

    Up to 1 % of the pixels may have any colour, such as a date stamp.

    Args:
        photo: uint8 `(H, W, 3)` RGB.
        body_share: Share of the photo that is skin or hair, 0..1; below 1 % only black and white is recognised.
    """
    lightness, chroma = _lab(photo)
    if np.percentile(np.hypot(*chroma.T), 99) < _GREY:
        return True
    if body_share < _BODY or len(lightness) < _LEAST_PIXELS:
        return False
    near = np.percentile(_off_curve(lightness, chroma), (95, 99))
    return bool((near < _NEAR).all() or ((near < _NEAR_IF_TINTED).all() and _tint(lightness, chroma) > _TINT))


def _lab(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lightness `(n,)` and a, b `(n, 2)` of the pixels of a small copy, float32."""
    lab = cv2.cvtColor(reduced(photo, _SIDE).astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    return lab[:, 0], lab[:, 1:]


def _off_curve(lightness: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Distance of each pixel in a and b from the curve through the medians of pixels of like lightness, `(n,)`."""
    order = np.argsort(lightness)
    parts = order[: len(order) // _KNOTS * _KNOTS].reshape(_KNOTS, -1)
    at, knots = lightness[parts].mean(axis=1), np.median(chroma[parts], axis=1)
    curve = np.stack([np.interp(lightness, at, knots[:, axis]) for axis in (0, 1)], axis=1)
    return np.asarray(np.hypot(*(chroma - curve).T))


def _tint(lightness: np.ndarray, chroma: np.ndarray) -> float:
    """Chroma along the main direction that 99 % of the midtones exceed; negative where some have the opposite hue."""
    midtones = (lightness > _MIDTONES[0]) & (lightness < _MIDTONES[1])
    if not midtones.any():
        return 0.0
    direction = np.linalg.svd(chroma, full_matrices=False)[2][0]
    along = chroma @ direction
    return float(np.percentile(along[midtones] * np.sign(np.median(along)), 1))
