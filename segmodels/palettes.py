"""Palettes for design programs: ASE (Adobe), GPL (GIMP, Inkscape, Krita), hex codes, and CSV with CIELAB values."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from skimage.color import lab2rgb, rgb2lab

from segmodels.csv_text import csv_bytes, for_excel

__all__ = ["PALETTE_FORMATS", "PaletteFormat", "Swatch", "mean_colour"]


@dataclass(frozen=True)
class Swatch:
    """A colour of a palette.

    Args:
        name: Name of the colour.
        hex: The colour, `#rrggbb` in sRGB.
        group: Name of the group that it belongs to, such as the garment; empty for none.
        share: Share of the colour in its group, 0..1; None if unknown.
        count: Number of garments of this colour, which may be expected and not whole; None for the colour of one.
    """

    name: str
    hex: str
    group: str = ""
    share: float | None = None
    count: float | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue in sRGB, 0..255."""
        red, green, blue = bytes.fromhex(self.hex.removeprefix("#"))
        return red, green, blue

    @property
    def lab(self) -> tuple[float, float, float]:
        """Lightness, a* and b* in CIELAB with the white D65 and the observer of 2 degrees."""
        lightness, a, b = rgb2lab(np.array(self.rgb, np.uint8)).tolist()
        return lightness, a, b

    @property
    def title(self) -> str:
        """Group and name."""
        return f"{self.group} {self.name}".strip()


def mean_colour(hexes: Sequence[str], weights: Sequence[float]) -> str:
    """Mean of colours in CIELAB, as `#rrggbb`.

    Args:
        hexes: Colours, each `#rrggbb` in sRGB; at least one.
        weights: A weight for each, with a sum above 0.
    """
    codes = np.frombuffer(bytes.fromhex("".join(each.removeprefix("#") for each in hexes)), np.uint8).reshape(-1, 3)
    mean = np.average(rgb2lab(codes), axis=0, weights=weights)
    return f"#{np.rint(np.clip(lab2rgb(mean), 0, 1) * 255).astype(np.uint8).tobytes().hex()}"


def _ase(swatches: Sequence[Swatch], title: str) -> bytes:
    """Adobe Swatch Exchange: big-endian blocks, names in UTF-16 with a final zero, RGB from 0 to 1."""
    blocks = []
    for group, members in groupby(swatches, lambda each: each.group or title):
        blocks.append(_block(0xC001, _utf16(group)))
        for each in members:
            values = struct.pack(">4s3fH", b"RGB ", *(part / 255 for part in each.rgb), 0)  # 0: a global colour
            blocks.append(_block(0x0001, _utf16(each.title) + values))
        blocks.append(_block(0xC002, b""))
    return b"ASEF" + struct.pack(">HHI", 1, 0, len(blocks)) + b"".join(blocks)


def _block(kind: int, content: bytes) -> bytes:
    return struct.pack(">HI", kind, len(content)) + content


def _utf16(text: str) -> bytes:
    """A text with its length in units of UTF-16, the final zero included."""
    encoded = text[:200].encode("utf-16-be", "replace") + b"\0\0"
    return struct.pack(">H", len(encoded) // 2) + encoded


def _gpl(swatches: Sequence[Swatch], title: str) -> bytes:
    lines = ["GIMP Palette", f"Name: {_one_line(title)}", "Columns: 0", "#"]
    for each in swatches:
        red, green, blue = each.rgb
        lines.append(f"{red:3d} {green:3d} {blue:3d}\t{_one_line(each.title)}")
    return "\n".join([*lines, ""]).encode("utf-8", "replace")


def _hex(swatches: Sequence[Swatch], title: str) -> bytes:
    return "".join(f"{each.hex.lower()}\n" for each in swatches).encode()


def _csv(swatches: Sequence[Swatch], title: str) -> bytes:
    columns = ["group", "name", "hex", "red", "green", "blue", "lab_l", "lab_a", "lab_b", "share", "count"]
    rows: Iterable[Sequence[object]] = (
        [each.group, each.name, each.hex.lower(), *each.rgb, *(round(part, 3) for part in each.lab),
         None if each.share is None else round(each.share, 4), None if each.count is None else round(each.count, 1)]
        for each in swatches
    )  # fmt: skip
    return for_excel(csv_bytes([columns, *rows]))


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True)
class PaletteFormat:
    """A format of palettes.

    Args:
        label: Label for people.
        ending: Ending of its files, without the dot.
        mime: Media type.
        write: Function that gives the file of swatches and a title.
    """

    label: str
    ending: str
    mime: str
    write: Callable[[Sequence[Swatch], str], bytes]


PALETTE_FORMATS: Mapping[str, PaletteFormat] = {
    "ase": PaletteFormat("Adobe (ASE)", "ase", "application/octet-stream", _ase),
    "gpl": PaletteFormat("GIMP (GPL)", "gpl", "text/plain", _gpl),
    "hex": PaletteFormat("Hex codes", "hex", "text/plain", _hex),
    "csv": PaletteFormat("CSV with Lab", "csv", "text/csv", _csv),
}
"""The formats by key. The CSV has a row for each swatch: sRGB 0..255, CIELAB (D65, 2 degrees), share and count."""
