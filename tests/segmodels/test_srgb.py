"""Colours that files store in other ways: deep greys of TIFF and PNG, and the code points of wide and HDR colours."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from segmodels.photo import open_photo

WIDTH, HEIGHT = 40, 60


def tiff(bits: int, photometric: int, pixels: bytes) -> bytes:
    """A TIFF of one grey strip, as scanners write it."""
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 277: 1, 278: HEIGHT, 279: len(pixels), 339: 1}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def twelve(value: int) -> bytes:
    """Two greys of 12 bits."""
    return bytes([value >> 4, (value & 15) << 4 | value >> 8, value & 255])


@pytest.mark.parametrize(
    "data",
    [
        tiff(16, 1, struct.pack("<H", 200 * 257) * WIDTH * HEIGHT),
        tiff(16, 0, struct.pack("<H", 55 * 257) * WIDTH * HEIGHT),
        tiff(12, 1, twelve(3212) * (WIDTH * HEIGHT // 2)),
        tiff(32, 1, struct.pack("<I", 200 * 0x1010101) * WIDTH * HEIGHT),
        tiff(8, 0, bytes([55]) * WIDTH * HEIGHT),
    ],
    ids=["16 bits", "16 bits, white is zero", "12 bits", "32 bits", "8 bits, white is zero"],
)
def test_deep_greys_of_scanners(data: bytes) -> None:
    photo = open_photo(data)
    assert photo.shape == (HEIGHT, WIDTH, 3) and np.abs(photo.astype(int) - 200).max() <= 1


def png(colour: tuple[int, ...], chunk: bytes, content: bytes) -> bytes:
    """A PNG of one colour, 16 bits deep where it has one channel, with a chunk more."""
    out = io.BytesIO()
    if len(colour) == 1:
        Image.fromarray(np.full((HEIGHT, WIDTH), colour[0], np.uint16)).save(out, "PNG")
    else:
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(out, "PNG")
    data, body = out.getvalue(), chunk + content
    return data[:33] + struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


def test_a_transparent_grey_of_16_bits_lies_over_white() -> None:
    assert (open_photo(png((200 * 257,), b"tRNS", struct.pack(">H", 200 * 257))) == 255).all()
    assert (open_photo(png((200 * 257,), b"tRNS", struct.pack(">H", 3))) == 200).all()


def heic(colour: tuple[int, int, int], primaries: int, transfer: int) -> bytes:
    out = io.BytesIO()
    picture = pillow_heif.from_pillow(Image.new("RGB", (64, 64), colour))
    codes = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    picture.save(out, quality=100, full_range_flag=1, **codes)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "HEIC"])
@pytest.mark.parametrize(
    ("colour", "primaries", "transfer", "expected"),
    [
        ((200, 60, 50), 1, 13, (200, 60, 50)),
        ((200, 60, 50), 2, 2, (200, 60, 50)),
        ((200, 60, 50), 12, 13, (218, 42, 39)),  # Display P3
        ((148, 148, 148), 9, 16, (255, 255, 255)),  # PQ: 203 cd/m2, the reference white
        ((91, 91, 91), 9, 16, (89, 89, 89)),  # PQ: a tenth of that
        ((191, 191, 191), 9, 18, (255, 255, 255)),  # HLG: three quarters of the signal
    ],
)
def test_colours_that_a_file_names_by_code_points_are_turned_into_srgb(
    kind: str, colour: tuple[int, int, int], primaries: int, transfer: int, expected: tuple[int, int, int]
) -> None:
    content = bytes([primaries, transfer, 0, 1])
    data = png(colour, b"cICP", content) if kind == "PNG" else heic(colour, primaries, transfer)
    assert np.abs(open_photo(data).reshape(-1, 3).mean(0) - expected).max() <= 3
