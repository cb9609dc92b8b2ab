"""Palettes read back by what each format says, without the code that wrote them."""

import csv
import io
import struct

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from segmodels.palettes import PALETTE_FORMATS, Swatch, mean_colour

SWATCHES = [
    Swatch("navy", "#1A2140", "Coat", 0.6, 12.34),
    Swatch("écru 生成", "#f0ede7", "Coat", 0.4, 8.0),
    Swatch("=red\nline", "#ff0000", "Hat"),
    Swatch("black", "#000000"),
]


def read_ase(data: bytes) -> list[tuple[str, list[tuple[str, list[float]]]]]:
    """Groups of named RGB colours of an Adobe Swatch Exchange file."""
    assert data[:4] == b"ASEF" and struct.unpack_from(">HH", data, 4) == (1, 0)
    (blocks,), place, groups = struct.unpack_from(">I", data, 8), 12, []
    for _ in range(blocks):
        kind, length = struct.unpack_from(">HI", data, place)
        block, place = data[place + 6 : place + 6 + length], place + 6 + length
        if kind == 0xC002:
            assert length == 0
            continue
        (units,) = struct.unpack_from(">H", block)
        name, rest = block[2 : 2 + 2 * units].decode("utf-16-be"), block[2 + 2 * units :]
        assert name.endswith("\0")
        if kind == 0xC001:
            assert not rest
            groups.append((name[:-1], []))
        else:
            assert kind == 0x0001 and rest[:4] == b"RGB " and len(rest) == 18
            groups[-1][1].append((name[:-1], list(struct.unpack_from(">3f", rest, 4))))
    assert place == len(data)
    return groups


def test_ase() -> None:
    groups = read_ase(PALETTE_FORMATS["ase"].write(SWATCHES, "Looks"))
    assert [name for name, _ in groups] == ["Coat", "Hat", "Looks"]
    found = [colour for _, colours in groups for colour in colours]
    assert [name for name, _ in found] == ["Coat navy", "Coat écru 生成", "Hat =red\nline", "black"]
    for (_, values), swatch in zip(found, SWATCHES, strict=True):
        assert "#" + bytes(round(255 * value) for value in values).hex() == swatch.hex.lower()


def test_gpl() -> None:
    first, name, *lines = PALETTE_FORMATS["gpl"].write(SWATCHES, "Looks\nof May").decode().splitlines()
    assert (first, name) == ("GIMP Palette", "Name: Looks of May")
    colours = [line for line in lines if line[0] != "#" and not line.startswith("Columns:")]
    found = [(bytes(map(int, line.split("\t")[0].split())).hex(), line.split("\t")[1]) for line in colours]
    assert found == [
        ("1a2140", "Coat navy"),
        ("f0ede7", "Coat écru 生成"),
        ("ff0000", "Hat =red line"),
        ("000000", "black"),
    ]


def test_hex_and_csv_with_lab() -> None:
    assert PALETTE_FORMATS["hex"].write(SWATCHES, "").decode().split() == [each.hex.lower() for each in SWATCHES]
    rows = list(csv.DictReader(io.StringIO(PALETTE_FORMATS["csv"].write(SWATCHES, "").decode("utf-8-sig"), newline="")))
    assert [row["hex"] for row in rows] == [each.hex.lower() for each in SWATCHES]
    red, black = rows[2], rows[3]
    assert [float(red[key]) for key in ("lab_l", "lab_a", "lab_b")] == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert [float(black[key]) for key in ("lab_l", "lab_a", "lab_b")] == pytest.approx([0, 0, 0], abs=0.01)
    assert (rows[0]["share"], rows[0]["count"], red["share"], red["name"]) == ("0.6", "12.3", "", "'=red\nline")


def test_a_mean_lies_between_its_colours() -> None:
    assert mean_colour(["#1a2140"] * 3, [1, 2, 3]) == "#1a2140"
    assert mean_colour(["#000000", "#ffffff"], [1, 0]) == "#000000"
    grey = mean_colour(["#000000", "#ffffff"], [1, 1])
    assert rgb2lab(np.frombuffer(bytes.fromhex(grey[1:]), np.uint8))[0] == pytest.approx(50, abs=0.5)
    mean, one, other = (
        rgb2lab(np.frombuffer(bytes.fromhex(code[1:]), np.uint8))
        for code in (mean_colour(["#1a2140", "#2c3b56"], [1, 1]), "#1a2140", "#2c3b56")
    )
    assert max(deltaE_ciede2000(mean, one), deltaE_ciede2000(mean, other)) < deltaE_ciede2000(one, other)
