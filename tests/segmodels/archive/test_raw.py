"""Raw photos: a DNG that is made here, and cameras whose files hold a JPEG."""

import io
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile
from PIL import Image

from segmodels.archive import raw as module
from segmodels.archive.raw import developed
from segmodels.archive.sources import find_sources, from_uploads
from segmodels.photo import PhotoError, date_taken, open_photo

TAKEN = datetime(2024, 3, 31, 10, 11, 12)


def dng(orientation: int = 1) -> bytes:
    """A raw photo of 128 x 96 pixels, brighter to the right, without a JPEG in it."""
    values = np.tile(np.linspace(500, 5000, 128).astype(np.uint16), (96, 1))
    values[::2, ::2] *= 3
    unit = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    tags: list[Any] = [
        (50706, "B", 4, b"\1\4\0\0", True),
        (50708, "s", 0, "Camera", True),
        (50721, "2i", 9, unit, True),
    ]
    tags += [(50778, "H", 1, 21, True), (274, "H", 1, orientation, True), (50717, "H", 1, 16383, True)]
    tags += [(33421, "H", 2, (2, 2), True), (33422, "B", 4, b"\0\1\1\2", True)]
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(values, photometric=32803, extratags=tags, metadata=None, datetime=f"{TAKEN:%Y:%m:%d %H:%M:%S}")
    return out.getvalue()


def test_a_raw_photo_without_a_jpeg_is_decoded_at_half_size_with_its_date() -> None:
    jpeg = developed(dng(), "look.dng")
    photo = open_photo(jpeg)
    assert photo.shape == (48, 64, 3) and date_taken(jpeg) == TAKEN
    assert photo[:, -8:].mean() > photo[:, :8].mean() + 50
    assert open_photo(developed(dng(orientation=6), "look.dng")).shape == (64, 48, 3)


@pytest.mark.parametrize(
    ("size", "flip", "shown"),
    [
        ((1200, 900), 6, (1200, 900)),
        ((900, 1200), 6, (1200, 900)),
        ((1200, 900), 0, (900, 1200)),
        ((160, 120), 0, (48, 64)),
    ],
)
def test_the_jpeg_of_the_camera_is_taken_unless_it_is_an_icon(
    size: tuple[int, int], flip: int, shown: tuple[int, int]
) -> None:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, "JPEG")
    camera = SimpleNamespace(
        extract_thumb=lambda: rawpy.Thumbnail(rawpy.ThumbFormat.JPEG, out.getvalue()),
        postprocess=lambda **_: np.zeros((48, 64, 3), np.uint8),
        other=SimpleNamespace(timestamp=TAKEN),
        sizes=SimpleNamespace(width=6000, height=4500, flip=flip),
    )
    jpeg = module._jpeg(camera)
    assert open_photo(jpeg).shape[:2] == shown and date_taken(jpeg) == TAKEN


def test_folders_and_uploads_take_raw_photos(tmp_path: Path) -> None:
    (tmp_path / "Look.DNG").write_bytes(dng())
    (tmp_path / "bad.nef").write_bytes(b"no photo" * 100)
    bad, look = sorted(find_sources(tmp_path).sources, key=lambda source: source.name.lower())
    assert date_taken(look.read()) == TAKEN
    with pytest.raises(
        PhotoError, match=r"bad\.nef is a raw photo that is damaged, or of a camera that is not known\."
    ):
        bad.read()
    assert from_uploads([("a.dng", dng())]).sources[0].read() == look.read()


def test_without_the_extra_the_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmodels.archive.sources.can_read_raw", lambda: False)
    (tmp_path / "a.dng").write_bytes(dng())
    found = find_sources(tmp_path)
    assert not found.sources and 'read after pip install "garmentscope[raw]" (a.dng)' in found.notes[0]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PhotoError, match=r'a\.dng is a raw photo, which needs rawpy.*"garmentscope\[raw\]"'):
        developed(b"", "a.dng")
