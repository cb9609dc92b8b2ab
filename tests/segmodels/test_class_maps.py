"""Class maps and cut-outs among photos."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segmodels.class_maps import class_maps

LISTING = {
    "photo": "a.jpg",
    "model": "fpn",
    "taxonomy": "OUTFIT_15",
    "width": 6,
    "height": 4,
    "people": [],
    "garments": [],
}


def png(mode: str = "P", size: tuple[int, int] = (6, 4)) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(np.zeros(size[::-1], np.uint8))
    if mode == "P":
        picture.putpalette(bytes(range(45)))
    (picture if mode == "P" else picture.convert(mode)).save(file, "PNG")
    return file.getvalue()


def listing(**values: Any) -> bytes:
    return json.dumps(LISTING | values).encode()


@pytest.mark.parametrize(
    ("files", "made"),
    [
        ({"a.jpg": b"", "a.png": png(), "a.json": listing()}, {"a.png"}),
        ({"x/y/a.png": png(), "x/y/a.json": listing()}, {"x/y/a.png"}),
        ({"a.png": png("RGB"), "a.json": listing()}, set()),  # a photo, and an answer of the API that lies beside it
        ({"a.png": png(), "a.json": listing(width=7)}, set()),
        ({"a.png": png(), "a.json": b'{"photo": "a.png"}'}, set()),
        ({"a.png": png(), "a.json": b"[" * 100_000}, set()),
        ({"a.png": png(), "b.json": listing()}, set()),
        ({"a.png": b"", "a.json": listing()}, set()),
        ({"out/masks/a.png": png("L"), "out/classes.txt": b"Bag"}, {"out/masks/a.png"}),
        ({"masks/a.png": png("L"), "classes.txt": b"Bag"}, {"masks/a.png"}),
        ({"masks/masks/x/a.png": png("L"), "masks/classes.txt": b"Bag"}, {"masks/masks/x/a.png"}),
        ({"masks/a.png": png("RGB"), "classes.txt": b"Bag"}, set()),
        ({"masks/a.png": png("L")}, set()),
        (
            {
                "z/1/class_map.png": png(),
                "z/1/garments.json": listing(),
                "z/1/dress.png": png("RGBA"),
                "z/1/less_likely/bag.png": png("RGBA"),
                "z/2/dress.png": png("RGBA"),
            },
            {"z/1/class_map.png", "z/1/dress.png", "z/1/less_likely/bag.png"},
        ),
    ],
)
def test_what_earlier_runs_made_is_known(files: dict[str, bytes], made: set[str]) -> None:
    assert class_maps(files, files.__getitem__) == made


def test_a_file_that_cannot_be_read_is_taken_for_a_photo() -> None:
    def read(name: str) -> bytes:
        raise PermissionError(name)

    assert class_maps(["a.png", "a.json", "masks/a.png", "classes.txt"], read) == set()
