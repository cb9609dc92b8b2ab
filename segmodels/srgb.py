"""Any picture that Pillow has loaded, as upright sRGB: profiles, P3, HDR, CMYK, Adobe RGB, deep greys, EXIF."""

from __future__ import annotations

import io
from collections.abc import Callable
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

# TIFF 6.0: BitsPerSample, PhotometricInterpretation and SampleFormat, with their values.
_BITS_TAG, _PHOTOMETRIC_TAG, _FORMAT_TAG = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


def to_srgb(image: Image.Image) -> Image.Image:
    """A loaded image in sRGB (IEC 61966-2-1) and over white, mode RGB, not turned upright yet."""
    if image.mode.startswith("I;16"):
        image_8bit: Image.Image = _grey_16_to_8(image)
    elif image.mode in ("I", "F"):
        image_8bit = Image.fromarray(_grey_32_to_8(_unsigned(image)))
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
    elif flat.mode == "RGB" and (coded := image.info.get("cicp")):
        return flat.filter(lut) if (lut := _coded_to_srgb(*coded)) else flat
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
    """Adobe RGB (1998) to sRGB (IEC 61966-2-1), both with white D65."""
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    from_xyz = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])
    return _table(lambda values: values ** (563 / 256), from_xyz @ to_xyz)


@cache
def _coded_to_srgb(primaries: int, transfer: int) -> ImageFilter.Color3DLUT | None:
    """Colours of the code points of ITU-T H.273 in sRGB; None where they are sRGB already, or not known here.

    Light above the reference white of 203 cd/m2 (ITU-R BT.2408) of an HDR photo is clipped.
    """
    if (matrix := _TO_LINEAR_SRGB.get(primaries)) is None or (primaries == _BT709 and transfer not in _HDR):
        return None
    return _table(_HDR.get(transfer, _linear), np.array(matrix))


def _table(to_linear: Callable[[np.ndarray], np.ndarray], matrix: np.ndarray) -> ImageFilter.Color3DLUT:
    """A table from one RGB to sRGB: by way of light; the filter clips what lies outside of it."""
    steps = np.linspace(0, 1, _LUT_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red runs fastest
    matrix = matrix / matrix.sum(axis=1, keepdims=True)  # white stays white
    linear = np.maximum(to_linear(np.stack([red, green, blue], axis=-1).reshape(-1, 3)) @ matrix.T, 0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ImageFilter.Color3DLUT(_LUT_SIDE, srgb.astype(np.float32).ravel())


def _linear(values: np.ndarray) -> np.ndarray:
    """Light of values of sRGB."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _perceptual(values: np.ndarray) -> np.ndarray:
    """Light of values of PQ (SMPTE ST 2084), as a multiple of the reference white."""
    root = values ** (32 / 2523)
    nits: np.ndarray = 10_000 * (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
    return nits / _WHITE


def _hybrid(values: np.ndarray) -> np.ndarray:
    """Light of values of HLG (ITU-R BT.2100) on a screen of 1,000 cd/m2, as a multiple of the reference white."""
    scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    brightness = scene @ np.array([0.2627, 0.678, 0.0593])
    light: np.ndarray = 1000 * scene * np.maximum(brightness, 1e-6)[:, None] ** 0.2
    return light / _WHITE


_WHITE = 203.0  # cd/m2
_BT709 = 1
_HDR = {16: _perceptual, 18: _hybrid}  # transfer characteristics of H.273
_TO_LINEAR_SRGB = {  # colour primaries of H.273: those of sRGB, BT.2020 and Display P3
    _BT709: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    9: ((1.66049, -0.58764, -0.07285), (-0.12455, 1.1329, -0.00835), (-0.01815, -0.10058, 1.11873)),
    12: ((1.22494, -0.22494, 0.0), (-0.04206, 1.04206, 0.0), (-0.01964, -0.07864, 1.09828)),
}


def _grey_16_to_8(image: Image.Image) -> Image.Image:
    """Greys of up to 16 bits; Pillow leaves those of 12 bits as they are, and neither inverts nor makes transparent."""
    values = np.asarray(image).astype(np.uint32)
    bits = _tiff_tag(image, _BITS_TAG) or 16
    if bits < 16:
        values *= 65535 // (2**bits - 1)
    grey = ((np.minimum(values, 65535) * 255 + 32895) >> 16).astype(np.uint8)  # = round(value / 257)
    if _tiff_tag(image, _PHOTOMETRIC_TAG) == _WHITE_IS_ZERO:
        grey = 255 - grey
    if isinstance(clear := image.info.get("transparency"), int):
        grey = np.where(values == clear, np.uint8(255), grey)  # over white
    return Image.fromarray(grey)


def _unsigned(image: Image.Image) -> np.ndarray:
    """Greys of 32 bits, of which Pillow takes those from 2^31 on for negative ones."""
    values = np.asarray(image)
    if image.mode == "I" and values.min() < 0 and _tiff_tag(image, _FORMAT_TAG) == _UNSIGNED:
        return values.view(np.uint32) / 65537.0  # = 0..65535
    return values


def _tiff_tag(image: Image.Image, tag: int) -> int | None:
    """The first value of a TIFF's tag; None where there is none, or it is no TIFF."""
    value = getattr(image, "tag_v2", {}).get(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None


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
