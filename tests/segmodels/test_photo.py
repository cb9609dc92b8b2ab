import io
import os
import re
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, features

from segmodels import photo as module
from segmodels.archive.sources import find_sources
from segmodels.photo import (
    MAX_BYTES,
    MAX_PIXELS,
    MIN_SIDE,
    PHOTO_SUFFIXES,
    PhotoError,
    date_taken,
    find_photos,
    open_photo,
    read_stored,
)

# --- Files made for the tests -----------------------------------------------------------------------------------------


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def smooth(height: int, width: int, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def flat(colour: object, mode: str = "RGB", size: tuple[int, int] = (32, 24)) -> Image.Image:
    return Image.new(mode, size, colour)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + png_chunk(b"IEND", b"")


def tiff(width: int, height: int, data: bytes, bits: list[int], photometric: int, sample_format: int = 1) -> bytes:
    """An uncompressed little-endian TIFF of one strip."""
    count = len(bits)
    tags = 9
    after = 8 + 2 + tags * 12 + 4
    bits_at, data_at = after, after + 2 * count

    def entry(tag: int, kind: int, number: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, number, value)

    entries = (
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, count, bits[0] if count == 1 else bits_at),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, photometric),
        entry(273, 4, 1, data_at),
        entry(277, 3, 1, count),
        entry(279, 4, 1, len(data)),
        entry(339, 3, 1, sample_format),
    )
    return (
        b"II*\0" + struct.pack("<IH", 8, tags) + b"".join(entries) + bytes(4) + struct.pack(f"<{count}H", *bits) + data
    )


def s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile (ICC.1:2001-04)."""
    name = b"made by a test\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, data, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        content = value + bytes(-len(value) % 4)
        table += tag + struct.pack(">II", at + len(data), len(content))
        data += content
    size = at + len(data)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, kind, space, connection)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + s15(0.9642, 1.0, 0.8249)
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + data


def display_p3() -> bytes:
    """Primaries of Display P3 adapted to D50 (as in Apple's profile), with a gamma of 2.2."""
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))
    columns = {
        b"rXYZ": (0.51512, 0.2412, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407),
    }
    tags = {name: b"XYZ " + bytes(4) + s15(*column) for name, column in columns.items()}
    return icc(b"RGB ", b"XYZ ", b"mntr", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma))


def cmyk_profile() -> bytes:
    """A press whose inks are weak: full magenta over full yellow prints as Lab (50, 40, 30)."""
    identity = b"".join(struct.pack(">B", level) for level in range(256))
    grid = b""
    for ink in np.ndindex(2, 2, 2, 2):
        lab = (50, 40, 30) if ink == (0, 1, 1, 0) else (100 - 25 * sum(ink), 0, 0)
        grid += bytes([round(lab[0] * 2.55), lab[1] + 128, lab[2] + 128])
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return icc(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut + identity * 4 + grid + identity * 3})


def refusal(source: bytes | str | Path, **options: object) -> str:
    with pytest.raises(PhotoError) as caught:
        open_photo(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".") and len(message) < 200
    return message


# --- What comes back --------------------------------------------------------------------------------------------------


def test_photo_from_bytes_from_a_path_and_from_a_string(tmp_path: Path) -> None:
    image = smooth(40, 30)
    path = tmp_path / "look.png"
    image.save(path)
    for source in (path, str(path), path.read_bytes()):
        photo = open_photo(source)
        assert photo.dtype == np.uint8 and photo.shape == (40, 30, 3)
        assert photo.flags.c_contiguous and photo.flags.writeable and photo.flags.owndata
        np.testing.assert_array_equal(photo, np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_every_format(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    photo = open_photo(encode(flat((200, 60, 30)), kind))
    assert photo.shape == (24, 32, 3)
    assert np.abs(photo.astype(int) - (200, 60, 30)).max() <= 4


@pytest.mark.parametrize("options", [{"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "packbits"}])
def test_compressed_tiff(options: dict[str, str]) -> None:
    photo = open_photo(encode(flat((200, 60, 30)), "TIFF", **options))
    assert np.abs(photo.astype(int) - (200, 60, 30)).max() <= 4


# Where the top left corner of the stored picture is seen (CIPA DC-008, tag 0x0112), and whether sides are swapped.
ORIENTATIONS = {
    1: ("top", "left", False),
    2: ("top", "right", False),
    3: ("bottom", "right", False),
    4: ("bottom", "left", False),
    5: ("top", "left", True),
    6: ("top", "right", True),
    7: ("bottom", "right", True),
    8: ("bottom", "left", True),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation(kind: str, orientation: int) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:8, :8] = (255, 0, 0)
    stored[:8, -8:] = (0, 0, 255)  # tells a flip from a turn
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(encode(Image.fromarray(stored), kind, exif=exif if kind == "TIFF" else exif.tobytes()))

    vertical, horizontal, swapped = ORIENTATIONS[orientation]
    assert photo.shape == ((48, 32, 3) if swapped else (32, 48, 3))

    def corner(rows: str, columns: str) -> np.ndarray:
        return photo[3 if rows == "top" else -4, 3 if columns == "left" else -4].astype(int)

    across = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
    assert np.abs(corner(vertical, horizontal) - (255, 0, 0)).max() < 60
    blue = (across[vertical], horizontal) if swapped else (vertical, across[horizontal])
    assert np.abs(corner(*blue) - (0, 0, 255)).max() < 60


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x09\0"]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_corrupt_exif_is_ignored(kind: str, exif: bytes) -> None:
    assert open_photo(encode(flat((10, 200, 30)), kind, exif=exif)).shape == (24, 32, 3)


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_unknown_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert open_photo(encode(flat("red"), "JPEG", exif=exif)).shape == (24, 32, 3)


def test_only_the_first_frame() -> None:
    frames = [flat("red"), flat("lime")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "MPO", "HEIF"):
        photo = open_photo(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert photo.shape == (24, 32, 3), kind
        assert np.abs(photo.astype(int) - (255, 0, 0)).max() <= 6, kind


# --- Modes, depths, transparency, colour spaces -----------------------------------------------------------------------


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (0x8080, 128), (32768, 128), (0x4040, 64), (65535, 255)])
def test_16_bit_grey_is_scaled(value: int, expected: int) -> None:
    values = np.full((24, 32), value, np.uint16)
    assert (open_photo(encode(Image.fromarray(values), "PNG")) == expected).all()
    assert (open_photo(encode(Image.fromarray(values), "TIFF")) == expected).all()


def test_16_bit_rgb_is_scaled() -> None:
    pixel = (0x8080, 0x4040, 0xFFFF)
    rows = (b"\0" + struct.pack(">3H", *pixel) * 32) * 24
    np.testing.assert_array_equal(open_photo(png(32, 24, 16, 2, rows))[5, 5], (128, 64, 255))
    strip = struct.pack("<3H", *pixel) * 32 * 24
    np.testing.assert_array_equal(open_photo(tiff(32, 24, strip, [16] * 3, 2))[5, 5], (128, 64, 255))


def test_16_bit_grey_with_alpha() -> None:
    rows = (b"\0" + struct.pack(">2H", 0, 0x8080) * 32) * 24
    assert abs(int(open_photo(png(32, 24, 16, 4, rows))[5, 5, 0]) - 127) <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        ([0.0, 32896.0, 65535.0], [0, 128, 255]),
        ([0.0, 5.02e5, 1e6], [0, 128, 255]),
        ([-3.0, float("nan"), 1.0], [0, 0, 255]),
        ([0.0, float("inf"), 1.0], [0, 0, 255]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
    ],
)
def test_float_tiff(values: list[float], expected: list[int]) -> None:
    grid = np.repeat(np.array([values], np.float32), 24, axis=0).repeat(8, axis=1)
    photo = open_photo(encode(Image.fromarray(grid), "TIFF"))
    np.testing.assert_array_equal(photo[0, ::8, 0], expected)


def test_32_bit_integer_tiff() -> None:
    grid = np.repeat(np.array([[0, 32896, 65535]], np.int32), 24, axis=0).repeat(8, axis=1)
    np.testing.assert_array_equal(open_photo(encode(Image.fromarray(grid), "TIFF"))[0, ::8, 0], [0, 128, 255])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "HEIF"])
def test_transparency_is_laid_over_white(kind: str) -> None:
    values = np.zeros((24, 32, 4), np.uint8)
    values[:, :16] = (255, 0, 0, 255)
    values[:, 16:] = (0, 0, 0, 0)
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = open_photo(encode(Image.fromarray(values), kind, **options)).astype(int)
    assert np.abs(photo[12, 4] - (255, 0, 0)).max() <= 3
    assert np.abs(photo[12, 28] - (255, 255, 255)).max() <= 3


def test_half_transparent_black_is_grey() -> None:
    for image in (flat((0, 0, 0, 128), "RGBA"), flat((0, 128), "LA")):
        assert (open_photo(encode(image, "PNG")) == 127).all()


def test_transparent_palette() -> None:
    image = flat(0, "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (16, 0, 32, 24))
    for transparency in (1, b"\xff\x00"):
        photo = open_photo(encode(image, "PNG", transparency=transparency))
        np.testing.assert_array_equal(photo[5, 5], (255, 0, 0))
        np.testing.assert_array_equal(photo[5, 25], (255, 255, 255))
    np.testing.assert_array_equal(open_photo(encode(image, "GIF", transparency=1))[5, 25], (255, 255, 255))


def test_one_transparent_colour() -> None:
    assert (open_photo(encode(flat("lime"), "PNG", transparency=(0, 255, 0))) == 255).all()


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_a_png_with_megabytes_of_history_or_profile_is_read(kind: str) -> None:
    image = smooth(40, 30)
    text = zlib.compress(b"history " * 500_000)
    before = {"zTXt": b"XML\0\0", "iTXt": b"XML\0\1\0\0\0", "iCCP": b"profile\0\0"}[kind]
    body = kind.encode() + before + text
    whole = encode(image, "PNG")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    np.testing.assert_array_equal(open_photo(whole[:33] + chunk + whole[33:]), np.asarray(image))


def test_1_bit() -> None:
    image = flat(0, "1")
    image.paste(1, (16, 0, 32, 24))
    for kind in ("PNG", "TIFF", "BMP"):
        photo = open_photo(encode(image, kind))
        assert (photo[:, :16] == 0).all() and (photo[:, 16:] == 255).all()


def without_adobe_marker(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xee")
    assert jpeg[at + 4 : at + 9] == b"Adobe"
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def test_cmyk_red_is_red() -> None:
    red = flat((0, 255, 255, 0), "CMYK")
    adobe = encode(red, "JPEG", quality=100)
    for file in (adobe, encode(red, "TIFF")):
        assert np.abs(open_photo(file).astype(int) - (255, 0, 0)).max() <= 3
    # Pillow stores amounts of ink inverted, as Adobe does; without Adobe's marker they are taken as they are.
    plain = without_adobe_marker(encode(flat((255, 0, 0, 255), "CMYK"), "JPEG", quality=100))
    assert np.abs(open_photo(plain).astype(int) - (255, 0, 0)).max() <= 3


def test_cmyk_through_its_profile() -> None:
    red = flat((0, 255, 255, 0), "CMYK")
    expected = (181, 90, 71)  # Lab (50, 40, 30)
    for kind in ("JPEG", "TIFF"):
        photo = open_photo(encode(red, kind, icc_profile=cmyk_profile())).astype(int)
        assert np.abs(photo - expected).max() <= 8, kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_wide_gamut_becomes_srgb(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    file = encode(flat((200, 100, 100)), kind, icc_profile=display_p3())
    photo = open_photo(file).astype(int)
    assert np.abs(photo - (214, 95, 98)).max() <= 5  # P3's primaries reach further, so sRGB needs more red


def test_wide_gamut_with_alpha() -> None:
    photo = open_photo(encode(flat((200, 100, 100, 255), "RGBA"), "PNG", icc_profile=display_p3())).astype(int)
    assert np.abs(photo - (214, 95, 98)).max() <= 3


def test_an_srgb_profile_changes_no_pixel() -> None:
    image = smooth(40, 30)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(open_photo(encode(image, "PNG", icc_profile=profile)), np.asarray(image))


@pytest.mark.parametrize("profile", [b"no profile", display_p3()[:200], cmyk_profile()])
def test_a_useless_profile_is_ignored(profile: bytes) -> None:
    image = smooth(40, 30)
    np.testing.assert_array_equal(open_photo(encode(image, "PNG", icc_profile=profile)), np.asarray(image))


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"Just a few words.\n", "text"),
        ("Ein Kleid, tr\u00e8s chic".encode(), "text"),
        ("BMW, a text that starts like a BMP".encode("ascii"), "text"),
        ("words".encode("utf-16"), "text"),
        (b"<!DOCTYPE html><html>404", "web page"),
        (b"%PDF-1.7\n\xe2\xe3", "PDF"),
        (b"PK\x03\x04\x14\0\0\0", "ZIP"),
        (b"Rar!\x1a\x07\0", "RAR"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "run git lfs pull"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (bytes(500), "zeros"),
        (b"\x93\x01\x02\x03\x04", "not a photo"),
        (encode(flat("red"), "ICO"), "not a photo"),
        (encode(flat("red"), "PPM"), "not a photo"),
    ],
)
def test_files_that_are_no_photos(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "look.jpg"
    path.write_bytes(content)
    for message in (refusal(content, name="look.jpg"), refusal(path)):
        assert "look.jpg" in message and what in message
        assert "JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP" in message


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "look.jpg"
    path.touch()
    assert refusal(path) == f"{path} is empty (0 bytes). Copy or download it again."
    assert refusal(b"", name="look.jpg") == "look.jpg is empty (0 bytes). Copy or download it again."
    assert refusal(b"").startswith("The photo is empty")


def test_truncated_jpeg_says_how_far_it_goes() -> None:
    file = encode(smooth(118, 90), "JPEG", quality=95)
    rows = []
    for share in (0.5, 0.7, 0.9):
        message = refusal(file[: int(len(file) * share)], name="look.jpg")
        found = re.fullmatch(r"look.jpg is cut off after (\d+) of 118 rows. Copy or download it again.", message)
        assert found, message
        rows.append(int(found[1]))
    assert rows == sorted(set(rows)) and rows[0] > 0 and rows[-1] < 118


def test_truncated_png_says_how_far_it_goes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 90, 3), np.uint8)
    file = encode(Image.fromarray(noise), "PNG")
    found = re.search(r"after (\d+) of 100 rows", refusal(file[: len(file) // 2]))
    assert found and abs(int(found[1]) - 50) <= 3


def test_truncated_progressive_jpeg_claims_no_rows() -> None:
    file = encode(smooth(118, 90), "JPEG", progressive=True)
    assert refusal(file[: len(file) // 2]) == "The photo is cut off: its end is missing. Copy or download it again."


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files_of_every_format(kind: str, share: float) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    file = encode(smooth(64, 48), kind)
    assert "is cut off" in refusal(file[: int(len(file) * share)], name="look")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_damage_in_the_middle_is_not_called_a_cut() -> None:
    file = bytearray(encode(smooth(64, 48), "PNG"))
    file[len(file) // 2] ^= 0xFF
    assert "is damaged" in refusal(bytes(file))


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    return b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xff\xc0" + frame


HUGE = {
    "jpeg": jpeg_header(30_000, 30_000),
    "png": png(30_000, 30_000, 8, 2, b""),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 30_000, 30_000, 0, 0, 0) + b"\x2c" + bytes(40),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30_000, -30_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "webp": b"RIFF"
    + struct.pack("<I4s4sI", 100, b"WEBP", b"VP8X", 10)
    + bytes(4)
    + (29_999).to_bytes(3, "little") * 2
    + bytes(80),
    "tiff": tiff(30_000, 30_000, b"", [8] * 3, 2),
    "heic": encode(flat("red", size=(64, 64)), "HEIF").replace(
        b"ispe" + struct.pack(">III", 0, 64, 64), b"ispe" + struct.pack(">III", 0, 30_000, 30_000)
    ),
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_photos_are_refused_from_the_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    message = refusal(HUGE[kind], name="huge")
    most = 210 if kind == "jpeg" else 64
    assert f"{most} million" in message and message.startswith("huge ") and message.endswith("Save it smaller.")
    if kind != "tiff":
        assert "30,000 x 30,000" in message


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_between_pillows_warning_and_error(kind: str) -> None:
    width, height = 10_000, 10_000
    file = (
        tiff(width, height, b"", [8] * 3, 2)
        if kind == "TIFF"
        else b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    assert "10,000 x 10,000" in refusal(file)


def test_the_limits_themselves() -> None:
    assert MAX_PIXELS == 50_000_000
    assert open_photo(png(8_000, 6_250, 1, 0, bytes(1001 * 6_250))).shape == (6_250, 8_000, 3)
    assert "64 million" in refusal(png(8_000, 8_001, 1, 0, bytes(1001 * 8_001)))
    assert open_photo(encode(flat("red", size=(MIN_SIDE, MIN_SIDE)), "PNG")).shape == (MIN_SIDE, MIN_SIDE, 3)


@pytest.mark.parametrize("size", [(1, 1), (MIN_SIDE - 1, 400), (400, MIN_SIDE - 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_too_small(size: tuple[int, int], kind: str) -> None:
    message = refusal(encode(flat("red", size=size), kind), name="dot")
    assert message.startswith(f"dot is only {size[0]} x {size[1]} pixels")


def test_too_many_bytes(tmp_path: Path) -> None:
    file = encode(smooth(40, 30), "PNG")
    path = tmp_path / "look.png"
    path.write_bytes(file)
    for source in (file, path):
        assert "MB allowed" in refusal(source, max_bytes=len(file) - 1)
        open_photo(source, max_bytes=len(file))
    big = file + bytes(MAX_BYTES)
    assert "20 MB allowed" in refusal(big)
    assert open_photo(big, max_bytes=None).shape == (40, 30, 3)


def test_paths_that_hold_no_photo(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "none.jpg")
    assert "does not exist" in refusal(tmp_path / "none.jpg", name="look")
    assert refusal("look\0.jpg").startswith("look\N{REPLACEMENT CHARACTER}.jpg is not a path")
    assert refusal(tmp_path / ("x" * 300), name="look") == "look cannot be reached: File name too long."
    (tmp_path / "link.jpg").symlink_to(tmp_path / "link.jpg")
    assert "cannot be reached" in refusal(tmp_path / "link.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in refusal(tmp_path / "pipe.jpg")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "look.png"
    flat("red").save(path)

    def deny(*_: object, **__: object) -> None:  # root may read everything, so chmod proves nothing
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    assert "may not be read" in refusal(path)


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert "memory" in refusal(encode(flat("red"), "PNG"))


@pytest.mark.parametrize("error", [SyntaxError, struct.error, ValueError, EOFError, zlib.error, KeyError, RuntimeError])
def test_whatever_a_decoder_raises(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error("boom")

    with monkeypatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", fail)
        assert "is damaged" in refusal(encode(flat("red"), "PNG"))
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", fail)
        assert "is damaged" in refusal(encode(flat("red"), "PNG"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "to_srgb", fail)
        assert "stores its colours" in refusal(encode(flat("red"), "PNG"))


def test_names_stay_on_one_line() -> None:
    assert refusal(b"", name="a\nb\x1b[31m\udcff.jpg").startswith("a\N{REPLACEMENT CHARACTER}b")


# --- Manners ----------------------------------------------------------------------------------------------------------


def test_warning_filters_are_as_before() -> None:
    before = list(warnings.filters)
    files = [encode(smooth(64, 48, seed), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff") for seed in range(4)]
    files += [file[:300] for file in files]
    gate = threading.Barrier(4)

    def open_some(_: int) -> int:
        gate.wait()
        failed = 0
        for file in files * 5:
            try:
                open_photo(file)
            except PhotoError:
                failed += 1
        return failed

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(open_some, range(4))) == [20] * 4
    assert warnings.filters == before
    assert Image.MAX_IMAGE_PIXELS is not None and not ImageFile.LOAD_TRUNCATED_IMAGES


def test_importing_registers_heif_once() -> None:
    assert Image.ID.count("HEIF") == 1


FUZZED = {
    "jpeg": encode(smooth(40, 32), "JPEG"),
    "progressive": encode(smooth(40, 32), "JPEG", progressive=True),
    "png": encode(smooth(40, 32), "PNG"),
    "webp": encode(smooth(40, 32), "WEBP"),
    "heic": encode(smooth(40, 32), "HEIF"),
    "gif": encode(smooth(40, 32), "GIF"),
    "bmp": encode(smooth(40, 32), "BMP"),
}


@pytest.mark.parametrize("kind", FUZZED)
def test_fuzz(kind: str) -> None:
    generator = np.random.default_rng(20240607)
    opened = refused = 0
    for _ in range(100):
        file = bytearray(FUZZED[kind])
        if generator.random() < 0.5:
            del file[generator.integers(len(file)) :]
        if file and generator.random() < 0.7:
            reach = len(file) if generator.random() < 0.5 else min(len(file), 200)
            for at in generator.integers(0, reach, generator.integers(1, 6)):
                file[at] = generator.integers(256)
        try:
            photo = open_photo(bytes(file))
        except PhotoError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
            assert min(photo.shape[:2]) >= MIN_SIDE
            opened += 1
    assert refused > 20 and opened > 5


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_find_photos(tmp_path: Path) -> None:
    for name in (
        "b.JPG",
        "a.png",
        "notes.txt",
        ".hidden.jpg",
        "z/1.heic",
        "z/.cache/2.jpg",
        ".git/3.jpg",
        "c/d/4.webp",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    single = tmp_path / "odd.dat"
    single.touch()
    folder = tmp_path / "photos"
    expected = [folder / name for name in ("a.png", "b.JPG", "c/d/4.webp", "z/1.heic")]
    assert find_photos([folder]) == expected
    assert find_photos([single, folder, single]) == [single, *expected]
    assert find_photos([folder / "z/1.heic", folder])[:2] == [folder / "z/1.heic", folder / "a.png"]
    assert find_photos([]) == []


def test_find_photos_without_a_path(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="none does not exist"):
        find_photos([tmp_path / "none"])


def test_a_folder_that_cannot_be_listed_costs_only_its_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "closed/b.png", "open/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    real = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    passed_over: dict[Path, str] = {}
    assert find_photos([tmp_path], passed_over) == [tmp_path / "a.png", tmp_path / "open/c.png"]
    sentence = f"{tmp_path / 'closed'} cannot be listed: Permission denied. Change its permissions."
    assert passed_over == {tmp_path / "closed": sentence}
    found = find_sources(tmp_path)
    assert [source.name for source in found.sources] == ["a.png", "open/c.png"]
    assert found.rejected == [("closed", sentence)]
    for paths, rest in (([tmp_path], None), ([tmp_path / "closed"], passed_over)):
        with pytest.raises(PhotoError, match="closed cannot be listed"):
            find_photos(paths, rest)


def test_suffixes() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PHOTO_SUFFIXES)
    assert len(set(PHOTO_SUFFIXES)) == len(PHOTO_SUFFIXES)


def test_public_names() -> None:
    assert module.__all__ == [
        "MAX_BYTES",
        "MAX_PIXELS",
        "MAX_READ_PIXELS",
        "MAX_STORED_PIXELS",
        "MIN_SIDE",
        "PHOTO_SUFFIXES",
        "Photo",
        "PhotoError",
        "StoredPhoto",
        "as_stored",
        "date_taken",
        "decode_photo",
        "find_photos",
        "open_photo",
        "over_limit",
        "read_stored",
        "reduced",
    ]


def test_a_fresh_interpreter_reads_heic(tmp_path: Path) -> None:
    path = tmp_path / "look.heic"
    path.write_bytes(encode(flat("red"), "HEIF"))
    code = "import sys; from segmodels.photo import open_photo; print(open_photo(sys.argv[1]).shape)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(24, 32, 3)" and done.stderr == ""


@pytest.mark.parametrize(
    ("exposed", "digitised", "changed", "expected"),
    [
        ("2024:03:31 08:30:15", "2024:04:01 00:00:00", "2025:01:01 00:00:00", datetime(2024, 3, 31, 8, 30, 15)),
        ("0000:00:00 00:00:00", "2024:04:01 00:00:00", "2025:01:01 00:00:00", datetime(2024, 4, 1)),
        ("    :  :     :  :  ", "", "2025:01:01 00:00:00\0", datetime(2025, 1, 1)),
        ("soon", "2024:02:30 00:00:00", "", None),
        ("2021-07-06 12:00:00", "", "", datetime(2021, 7, 6, 12)),
        ("2021/07/06 12:00:00", "", "", datetime(2021, 7, 6, 12)),
        ("2021-07-06T12:00:05.250+02:00", "", "", datetime(2021, 7, 6, 12, 0, 5)),
        ("2021:07:06 1:05:00 PM", "", "", datetime(2021, 7, 6, 13, 5)),
        ("2021:07:06 12:05 AM", "", "", datetime(2021, 7, 6, 0, 5)),
        ("2021:07:06", "", "", datetime(2021, 7, 6)),
        ("2021:07:06 25:00:00", "2021.7.6 9:00", "", datetime(2021, 7, 6, 9)),
    ],
)
def test_the_date_is_that_of_the_exposure_else_what_comes_nearest(
    exposed: str, digitised: str, changed: str, expected: datetime | None
) -> None:
    exif = Image.Exif()
    exif[0x0132] = changed
    exif.get_ifd(0x8769).update({0x9003: exposed, 0x9004: digitised})
    for kind in ("JPEG", "PNG", "WEBP"):
        out = io.BytesIO()
        Image.new("RGB", (20, 20)).save(out, kind, exif=exif)
        assert date_taken(out.getvalue()) == expected


def test_a_file_without_exif_or_that_is_no_photo_has_no_date() -> None:
    out = io.BytesIO()
    Image.new("RGB", (20, 20)).save(out, "PNG")
    assert date_taken(out.getvalue()) is None
    assert date_taken(b"a letter to the tailor") is None


def test_a_reduced_copy_has_the_means_of_areas_and_a_small_photo_stays() -> None:
    photo = np.zeros((40, 20, 3), np.uint8)
    photo[:20] = 200, 100, 50
    photo[20:22, :2] = 80
    small = module.reduced(photo, 20)
    assert small.shape == (20, 10, 3) and small.dtype == np.uint8
    assert (small[:10] == (200, 100, 50)).all() and (small[10, 0] == 80).all() and not small[11:].any()
    assert module.reduced(photo, 40) is photo
    assert module.reduced(np.zeros((2000, 3, 3), np.uint8), 20).shape == (20, 1, 3)


# --- How a photo lies in its file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_map_of_the_stored_pixels_turns_with_the_photo(tmp_path: Path, kind: str, orientation: int) -> None:
    bright = np.zeros((24, 40), np.uint8)
    bright[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo"
    path.write_bytes(encode(Image.fromarray(bright).convert("RGB"), kind, exif=exif))
    photo, stored = open_photo(path), read_stored(path)
    assert stored.upright_size == photo.shape[1::-1]
    if kind == "HEIF":  # its container turns it, not EXIF
        orientation = 1
    assert (stored.width, stored.height, stored.orientation) == (40, 24, orientation)
    assert ((photo[..., 0] > 127) == (stored.upright(bright) > 127)).all()
    assert (module.as_stored(stored.upright(bright), orientation) == bright).all()
    decoded = module.decode_photo(path)
    assert decoded.orientation == orientation and (decoded.pixels == photo).all()
    with Image.open(path) as picture:
        assert module.decode_photo(picture).orientation == orientation
    assert photo.shape[:2] == ((40, 24) if orientation > 4 else (24, 40))


def test_how_something_else_lies_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for content, sentence in (
        (b"", "is empty"),
        (b"text", "is text, not a photo"),
        (b"\xff\xd8\xff\xe0", "is damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(PhotoError, match=sentence):
            read_stored(path)
    with pytest.raises(PhotoError, match="does not exist"):
        read_stored(tmp_path / "none.jpg")


# --- Cameras ----------------------------------------------------------------------------------------------------------


def camera_exif(space: int, index: str | None) -> Image.Exif:
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    details[0xA001] = space
    if index:
        details[0xA005] = {1: index}
    return exif


@pytest.mark.parametrize(("space", "index"), [(0xFFFF, "R03"), (2, None)])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_adobe_rgb_that_exif_alone_states_becomes_srgb(kind: str, space: int, index: str | None) -> None:
    options: dict[str, object] = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    file = encode(flat((200, 60, 50)), kind, exif=camera_exif(space, index), **options)
    found = open_photo(file)[12, 16].astype(int)
    assert np.abs(found - (231, 57, 46)).max() <= 2


@pytest.mark.parametrize(("space", "index"), [(1, "R98"), (0xFFFF, None), (0xFFFF, "R98")])
def test_other_colour_spaces_of_exif_change_nothing(space: int, index: str | None) -> None:
    file = encode(flat((200, 60, 50)), "PNG", exif=camera_exif(space, index))
    assert (open_photo(file) == (200, 60, 50)).all()


def test_a_profile_goes_before_exif() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = encode(flat((200, 60, 50)), "PNG", exif=camera_exif(0xFFFF, "R03"), icc_profile=profile)
    assert (open_photo(file) == (200, 60, 50)).all()


def test_greys_of_adobe_rgb_stay_grey() -> None:
    file = encode(flat((128, 128, 128)), "PNG", exif=camera_exif(0xFFFF, "R03"))
    (value,) = set(open_photo(file).ravel().tolist())
    assert abs(value - 129) <= 1  # ((128 / 255) ^ 2.2) by the curve of sRGB


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_of_more_pixels_than_are_read_is_halved_and_says_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 5_000)
    image = smooth(121, 90)
    notes: list[str] = []
    found = open_photo(encode(image, kind), name="look.jpg", notes=notes)
    assert found.shape == (61, 45, 3)
    expected = np.asarray(image.resize((45, 61), Image.Resampling.BOX)).astype(int)
    assert np.abs(found - expected).mean() < 4
    assert notes[0].startswith("look.jpg is 90 x 121 pixels and was read at 1/2 of its width and height")
    assert len(notes) == 1


def test_a_camera_of_50_megapixels_is_read_at_half_its_size() -> None:
    notes: list[str] = []
    file = encode(Image.new("L", (8_688, 5_792), 128), "JPEG")
    assert open_photo(file, notes=notes).shape == (2_896, 4_344, 3)
    assert "8,688 x 5,792" in notes[0]


def test_more_than_pillow_opens_is_read_by_rows_and_a_progressive_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 5_000)
    monkeypatch.setattr(module, "MAX_READ_PIXELS", 5_000)
    monkeypatch.setattr(module, "MAX_STORED_PIXELS", {"JPEG": 100_000, "progressive JPEG": 5_000})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    assert open_photo(encode(smooth(300, 200), "JPEG")).shape == (75, 50, 3)
    assert "200 x 300" in refusal(encode(smooth(300, 200), "JPEG", progressive=True))
    assert "200 x 300" in refusal(encode(smooth(300, 200), "PNG"))


def test_a_halved_photo_is_turned_upright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 5_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_photo(encode(smooth(120, 90), "JPEG", exif=exif)).shape == (45, 60, 3)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_read_and_said(progressive: bool, missing: int) -> None:
    file = encode(smooth(118, 90), "JPEG", quality=90, progressive=progressive)
    notes: list[str] = []
    assert (open_photo(file[:-missing], name="look.jpg", notes=notes) == open_photo(file)).all()
    assert notes == ["look.jpg lacks its end marker; all of its rows could be read."]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [8, 40, 400])
def test_a_jpeg_that_lacks_data_is_refused(progressive: bool, missing: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    file = encode(Image.fromarray(noise), "JPEG", quality=90, progressive=progressive)
    assert "is cut off" in refusal(file[:-missing])
