import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dashboard.compare.ground_truth import MaskError, match_masks, read_mask
from segmodels.taxonomy import CCP_59, OUTFIT_15, UNLABELLED


def png(ids: np.ndarray, palette: bool = True) -> bytes:
    image = Image.fromarray(ids)
    if palette:
        image.putpalette(OUTFIT_15.palette.tobytes())
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def mat(packed: bool = True, **variables: object) -> bytes:
    out = io.BytesIO()
    savemat(out, variables, do_compression=packed)
    return out.getvalue()


def ids() -> np.ndarray:
    values = np.zeros((6, 4), np.uint8)
    values[2:5, 1:3] = OUTFIT_15["Coat"].id
    values[5] = UNLABELLED
    return values


@pytest.mark.parametrize("palette", [True, False])
def test_a_png_is_read_as_ids(palette: bool) -> None:
    np.testing.assert_array_equal(read_mask("look.png", png(ids(), palette), 4, 6), ids())


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_a_mask_of_ccp_is_merged_into_the_15_classes(packed: bool, kind: type) -> None:
    labels = np.zeros((6, 4), kind)
    labels[1], labels[2] = CCP_59.index("blazer"), CCP_59.index("tights")
    truth = read_mask("0001.mat", mat(packed, groundtruth=labels), 4, 6)
    assert truth.dtype == np.uint8
    assert [OUTFIT_15.names[value] for value in truth[:4, 0]] == ["Background", "Coat", "Pants", "Background"]


def colour_picture() -> bytes:
    return png(np.full((6, 4, 3), (200, 60, 50), np.uint8), palette=False)


def with_id(value: int) -> bytes:
    values = ids()
    values[0, 0] = value
    return png(values)


def unknown_storage() -> bytes:
    """A mask whose numbers are of an element type that there is not."""
    file = mat(packed=False, groundtruth=ids())
    at = file.index(b"groundtruth") + 16
    assert file[at : at + 4] == struct.pack("<I", 2)
    return file[:at] + struct.pack("<I", 0xFF09) + file[at + 4 :]


def bomb() -> bytes:
    """A variable that unpacks to 200 MB."""
    packed = zlib.compress(bytes(200_000_000), 1)
    return mat(groundtruth=ids())[:128] + struct.pack("<II", 15, len(packed)) + packed


BAD = {
    "text": (b"no mask at all", "is not a mask"),
    "a photo": (b"\xff\xd8\xff\xe0" + bytes(99), "is not a mask"),
    "colours": (colour_picture(), "its pixels are colours"),
    "another size": (png(np.zeros((8, 9), np.uint8)), "9 x 8 pixels; the photo is 4 x 6"),
    "an unknown id": (with_id(15), "contains the id 15"),
    "nothing labelled": (png(np.full((6, 4), UNLABELLED, np.uint8)), "has no labelled pixel"),
    "a PNG cut off": (png(ids())[:-40], "is damaged"),
    "a PNG of a few bytes": (png(ids())[:20], "is damaged"),
    "another variable": (mat(mask=ids()), "it has mask"),
    "words": (mat(groundtruth="Dear tailor"), "groundtruth is char"),
    "cells": (mat(groundtruth=np.array([ids(), "x"], object)), "groundtruth is cell"),
    "another size in a mat": (mat(groundtruth=np.zeros((8, 9), np.uint8)), "9 x 8 pixels; the photo is 4 x 6"),
    "an unknown label": (mat(groundtruth=np.full((6, 4), 59, np.uint8)), "label 59"),
    "broken numbers": (mat(groundtruth=np.full((6, 4), 0.5)), "has values other than 0 to 58"),
    "no numbers": (mat(groundtruth=np.full((6, 4), np.nan)), "has values other than 0 to 58"),
    "an unknown storage": (unknown_storage(), "does not have the size"),
    "too few pixels": (
        mat(False, groundtruth=ids()).replace(struct.pack("<II", 2, 24), struct.pack("<II", 2, 20)),
        "does not have the size",
    ),
    "a mat cut off": (mat(groundtruth=ids())[:150], "0001"),
    "a header alone": (b"MATLAB 5.0", "not a MATLAB 5 file"),
    "too much": (bomb(), "larger than a mask of this photo can"),
    "a newer mat": (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400), "not a MATLAB 5 file"),
}


@pytest.mark.parametrize(("data", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_is_no_mask_is_one_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(MaskError, match=r"^0001\.png[: ]") as caught:
        read_mask("0001.png", data, 4, 6)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_masks_find_their_photos_by_name() -> None:
    photos = ["a.jpg", "b.jpg", "c.jpg"]
    assert match_masks(["b.png", "a.mat"], photos, shown=2) == ({0: 1, 1: 0}, [])
    assert match_masks(["whatever.png"], photos, shown=2) == ({0: 2}, [])
    matched, sentences = match_masks(["b.png", "d.png", "b.mat"], photos, shown=0)
    assert matched == {0: 1}
    assert ["d.png matches no photo" in sentences[0], "b.mat is left out" in sentences[1]] == [True, True]


def test_of_two_photos_of_one_name_the_one_on_show_gets_the_mask() -> None:
    assert match_masks(["a.png", "a.mat"], ["a.jpg", "a.jpg"], shown=1) == ({0: 1, 1: 0}, [])


@pytest.mark.parametrize(
    ("mask", "photo"),
    [
        ("look_mask.png", "look.jpg"),
        ("look.jpg.png", "look.jpg"),
        ("LOOK.PNG", "look.jpg"),
        ("look-classes.png", "Look.JPG"),
        ("look.jpg_mask.png", "look.jpg"),
        ("cafe\u0301 label.png", "café.jpg"),
    ],
)
def test_masks_find_their_photos_by_the_names_that_tools_give_them(mask: str, photo: str) -> None:
    assert match_masks([mask, "b.png"], ["b.jpg", "a.jpg", photo], shown=1) == ({0: 2, 1: 0}, [])


def test_a_mask_of_the_very_name_goes_before_one_of_a_like_name() -> None:
    assert match_masks(["look_mask.png"], ["look.jpg", "look_mask.jpg"], shown=0) == ({0: 1}, [])


def saved(pixels: np.ndarray, mode: str | None = None) -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(out, "PNG")
    return out.getvalue()


def test_ids_of_16_bits_and_grey_saved_as_colours_are_read() -> None:
    wanted = ids()
    assert (read_mask("a.png", saved(wanted.astype(np.uint16)), 4, 6) == wanted).all()
    for mode in ("RGB", "RGBA", "LA"):
        assert (read_mask("a.png", saved(wanted, mode), 4, 6) == wanted).all()
    with pytest.raises(MaskError, match="contains the id 300; the largest is 255"):
        read_mask("a.png", saved(np.full((6, 4), 300, np.uint16)), 4, 6)
    with pytest.raises(MaskError, match="its pixels are colours"):
        read_mask("a.png", saved(np.dstack([wanted, wanted, wanted + 1])), 4, 6)


@pytest.mark.parametrize("mode", [None, "1", "RGB", "P"])
def test_a_black_and_white_mask_is_no_ground_truth(mode: str | None) -> None:
    pixels = np.zeros((6, 4), np.uint8)
    pixels[2:4] = 255
    with pytest.raises(MaskError, match=r"a\.png is black and white: it holds 0 and 255 only"):
        read_mask("a.png", saved(pixels, mode), 4, 6)
