"""Any picture that Pillow has loaded, as upright sRGB: profiles, CMYK, Adobe RGB, deep greys, transparency, EXIF."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms, ImageFilter

__all__ = ["EXIF_DETAILS", "UPRIGHT", "orientation_of", "to_srgb", "upright"]

_ORIENTATION_TAG = 0x0112

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a photo upright, by EXIF orientation (CIPA DC-008, tag 0x0112)."""

EXIF_DETAILS = 0x8769
"""Tag of the EXIF directory that holds the camera's details (CIPA DC-008, 4.6.3)."""

# Adobe RGB as cameras mark it (DCF 2.0): an uncalibrated colour space and the interoperability index R03.
_INTEROPERABILITY, _COLOUR_SPACE_TAG, _INDEX_TAG = 0xA005, 0xA001, 0x0001
_LUT_SIDE = 33


def to_srgb(image: Image.Image) -> Image.Image:
    """A loaded image in sRGB (IEC 61966-2-1) and over white, mode RGB, not turned upright yet."""
    if image.mode.startswith("I;16"):
        image_8bit: Image.Image = Image.fromarray(_grey_16_to_8(np.asarray(image)))
    elif image.mode in ("I", "F"):
        image_8bit = Image.fromarray(_grey_32_to_8(np.asarray(image)))
    elif image.mode == "1":
        image_8bit = image.convert("L")
    elif image.mode == "LAB":
        return _through_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))) or image.convert("RGB")
    else:
        image_8bit = image
    flat = _over_white(image_8bit)
    if image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        # Pillow takes each CMYK JPEG for an inverted one, as Adobe's programs write them; without their marker 0 is
        # no ink, as libvips and ImageMagick have it.
        flat = Image.fromarray(255 - np.asarray(flat), "CMYK")
    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = _through_profile(flat, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None  # a corrupt profile is as good as none
        if converted is not None:
            return converted
    elif flat.mode == "RGB" and _is_adobe_rgb(image):
        return flat.filter(_adobe_to_srgb())
    return flat.convert("RGB")


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF says that a camera has stored Adobe RGB."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(EXIF_DETAILS).get(_COLOUR_SPACE_TAG)
        index = str(exif.get_ifd(_INTEROPERABILITY).get(_INDEX_TAG, "")).strip(" \0")
    except Exception:  # EXIF that cannot be read says nothing
        return False
    return space == 2 or (space == 0xFFFF and index == "R03")


@cache
def _adobe_to_srgb() -> ImageFilter.Color3DLUT:
    """Adobe RGB (1998) to sRGB (IEC 61966-2-1), both with white D65; colours outside sRGB are clipped."""
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    from_xyz = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])
    steps = np.linspace(0, 1, _LUT_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red runs fastest
    linear = np.stack([red, green, blue], axis=-1).reshape(-1, 3) ** (563 / 256) @ (from_xyz @ to_xyz).T
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ImageFilter.Color3DLUT(_LUT_SIDE, srgb.astype(np.float32).ravel())


def _grey_16_to_8(values: np.ndarray) -> np.ndarray:
    return ((values.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)  # = round(value / 257)


def _grey_32_to_8(values: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max())
    steps = (255.0, 65535.0) if largest > 1 else (1.0, 255.0)
    white = next((step for step in steps if largest <= step), largest)
    return np.rint(np.clip(values * (255.0 / white), 0, 255)).astype(np.uint8)


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode == "RGBa":
        image = image.convert("RGBA")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image | None:
    """The image in sRGB; None if the profile is for other channels than the image's."""
    channels = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}[image.mode]
    if profile.profile.xcolor_space.strip() != channels:
        return None
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), image.mode, "RGB")
    if image.mode == "RGB":
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        moved = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice), transform))
        if np.abs(moved.astype(int) - lattice).max() <= 1:  # sRGB under any name
            return image
    return ImageCms.applyTransform(image, transform)


def upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """A picture turned upright by the EXIF orientation of the image that it was made from."""
    if image.format == "TIFF":  # done by Pillow when it loads one
        return rgb
    method = UPRIGHT.get(orientation_of(image))
    return rgb if method is None else rgb.transpose(method)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # EXIF that cannot be read says nothing
        return 1
    return orientation if isinstance(orientation, int) and orientation in UPRIGHT else 1
