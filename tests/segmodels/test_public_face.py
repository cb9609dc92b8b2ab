"""`import segmodels`: ten names, each loaded when it is asked for."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segmodels
from segmodels import GarmentscopeError, load_segmenter, open_photo
from segmodels.photo import PhotoError

PUBLIC = {
    *("OUTFIT_15", "Garment", "GarmentscopeError", "Person", "Segmentation", "Taxonomy", "__version__"),
    *("list_models", "load_segmenter", "open_photo"),
}


def test_the_names_are_these() -> None:
    assert set(segmodels.__all__) == PUBLIC
    assert all(getattr(segmodels, name) is not None for name in PUBLIC)
    assert set(dir(segmodels)) >= PUBLIC
    assert segmodels.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        segmodels.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import segmodels", set()),
        ("from segmodels import open_photo, OUTFIT_15, GarmentscopeError, list_models; list_models()", {"PIL"}),
        ("from segmodels import load_segmenter", {"PIL"}),
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str, loaded: set[str]) -> None:
    heavy = {"torch", "pandas", "streamlit", "plotly", "PIL"}
    code = f"import sys; {code}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= loaded


def test_a_photo_is_an_array_a_path_bytes_or_a_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (80, 60, 3), np.uint8)
    path = tmp_path / "outfit.png"
    Image.fromarray(pixels).save(path)
    segmenter = load_segmenter("fpn")
    expected = segmenter.segment(pixels)
    for photo in (path, str(path), path.read_bytes(), Image.open(path), Image.fromarray(pixels)):
        found = segmenter.segment(photo)
        assert np.array_equal(found.class_map, expected.class_map) and found.garments == expected.garments


def test_a_picture_is_turned_upright_and_loses_its_transparency() -> None:
    image = Image.fromarray(np.full((40, 60, 3), 90, np.uint8))
    exif = image.getexif()
    exif[274] = 6  # a quarter turn
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif)
    assert open_photo(Image.open(stream)).shape == (60, 40, 3)
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert open_photo(clear).min() == 255


def test_what_is_no_photo_is_one_family_of_errors(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(GarmentscopeError, match="text.jpg"):
        load_segmenter("fpn").segment(tmp_path / "text.jpg")
    closed = Image.open(io.BytesIO(_png()))
    closed.close()
    with pytest.raises(PhotoError, match="Open it again"):
        open_photo(closed)
    with pytest.raises(PhotoError, match="The photo"):
        open_photo(Image.new("RGB", (1, 1)))


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "PNG")
    return stream.getvalue()


def test_a_segmentation_has_every_form() -> None:
    photo = np.full((64, 48, 3), 120, np.uint8)
    found = load_segmenter("fpn").segment(photo)
    assert np.array_equal(np.asarray(found.to_pil()), found.class_map)
    assert found.to_json()["photo"] == "" and found.to_coco("a.png")["images"][0]["file_name"] == "a.png"
    assert found.overlay(photo).shape == photo.shape
