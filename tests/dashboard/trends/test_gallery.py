"""The pictures behind a number, their outlines and order, and the moodboard of those chosen."""

import io
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pptx import Presentation

from dashboard.evaluation.pictures import PictureError, read_class_map
from dashboard.trends.gallery import archive_picture, drawn, ordered, pictures_of
from dashboard.trends.moodboard import Tile, board_pdf, board_png, board_pptx
from dashboard.trends.section import Question
from segmodels.archive.behind import Behind
from segmodels.archive.facts import View
from segmodels.archive.place import Place
from segmodels.archive.thumbnails import LARGE, SMALL, write_thumbnails
from segmodels.inference.class_map import small_map
from segmodels.taxonomy import OUTFIT_15

Read = Callable[[str, str], bytes]


def picture(ink: str = "#808080", size: tuple[int, int] = (200, 300)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, ink).save(out, "PNG")
    return out.getvalue()


def test_matches_are_those_that_the_page_counts(expected: Question) -> None:
    for behind in (
        Behind(worn=("Coat",)),
        Behind(worn=("Hat", "Coat")),
        Behind(not_worn=("Coat",)),
        Behind(coloured=(("Coat", "blue"),)),
    ):
        for view in (View(), View(counting="raw"), View(garments=("Pants",))):
            found = expected.facts.matches(view, behind.conditions)
            assert len(found) == expected.facts.count(view, behind.conditions)
            listed = expected.facts.photos(view, behind.conditions, limit=100)
            assert sorted(found["photo_id"]) == sorted(listed["photo_id"])
            chances = found["chance"].tolist()
            assert chances == sorted(chances, reverse=True)
    every = expected.facts.matches(View(), Behind(worn=("Coat",)).conditions, likely=False)
    assert every["chance"].sum() == pytest.approx(expected.facts.expected(View(), Behind(worn=("Coat",)).conditions))
    assert set(found["hex"].dropna()) == {"#203050"}


def test_orders() -> None:
    days = pd.to_datetime(["2024-03-01", None, "2024-05-01", "2024-01-01"])
    inks = ["#ff0000", None, "#101010", "#e0e0e0"]
    found = pd.DataFrame({"photo_id": list("abcd"), "day": days, "hex": inks})
    assert "".join(ordered(found, "Presence")["photo_id"]) == "abcd"
    assert "".join(ordered(found, "Newest")["photo_id"]) == "cadb"
    assert "".join(ordered(found, "Oldest")["photo_id"]) == "dacb"
    assert "".join(ordered(found, "Colour")["photo_id"]) == "cdab"


def test_an_outline_lies_on_the_edge_of_its_garment() -> None:
    class_map = np.zeros((30, 20), np.uint8)
    class_map[10:20, 5:15] = OUTFIT_15["Coat"].id
    class_map[25:28, 5:15] = OUTFIT_15["Footwear"].id
    file = small_map(class_map, OUTFIT_15, 30)
    outlined = drawn(picture(size=(400, 600)), file, OUTFIT_15, ["Coat"], outlines=True, side=300)
    with Image.open(io.BytesIO(outlined)) as image:
        assert image.size == (200, 300)
        changed = np.abs(np.asarray(image).astype(int) - 128).max(axis=2) > 60
    assert changed[100:200, 50:55].any() and changed[95:105, 60:140].all(axis=1).any()
    assert not changed[120:180, 70:130].any() and not changed[240:].any() and not changed[:85].any()
    for damaged, outlines in ((file, False), (None, True), (b"no map", True)):
        plain = drawn(picture(), damaged, OUTFIT_15, [], outlines=outlines, side=300)
        with Image.open(io.BytesIO(plain)) as image:
            assert np.ptp(np.asarray(image)) < 5


def test_a_picture_is_the_thumbnail_else_the_photo_else_the_class_map(
    expected: Question, photo_folder: Path, tmp_path: Path
) -> None:
    asked = Behind(worn=("Hat",)).conditions
    rows = expected.facts.matches(View(), asked).head(3)
    maps = expected.facts.class_maps(rows["photo_id"].tolist())
    assert [read_class_map(data).shape for data in maps["class_map"]] == [(60, 40)] * 3
    name, identity = rows["file_name"].iloc[0], rows["photo_id"].iloc[0]
    with pytest.raises(PictureError, match="No thumbnail"):
        archive_picture(str(tmp_path), [], name, identity, SMALL)
    photo = archive_picture(str(tmp_path), [photo_folder], name, identity, LARGE)
    data = (photo_folder / name).read_bytes()
    assert sha256(data).hexdigest() == identity
    write_thumbnails(Place(tmp_path), identity, data)
    kept = archive_picture(str(tmp_path), [], name, identity, LARGE)
    assert kept[8:12] == b"WEBP" and photo[:2] == b"\xff\xd8"

    def read(file_name: str, photo_id: str) -> bytes:
        return archive_picture(str(tmp_path), [], file_name, photo_id, LARGE)

    draw = partial(drawn, taxonomy=OUTFIT_15, classes=["Hat"], outlines=True, side=300)
    shown = pictures_of(rows, maps, OUTFIT_15, read, draw)
    assert [each.is_photo for each in shown] == [True, False, False] and all(each.picture for each in shown)
    assert shown[0].caption == f"{name}, {rows['day'].iloc[0]:%Y-%m-%d}"


def test_a_moodboard_holds_each_picture_and_caption() -> None:
    inks = ["#ff0000", "#00ff00", "#0000ff", "#ffff00", "#00ffff"]
    tiles = [Tile(picture(ink), f"look\x07{place}.jpg") for place, ink in enumerate(inks)]
    with Image.open(io.BytesIO(board_png(tiles, "Coats 生", "60 photos"))) as image:
        assert image.width == 2000
        pixels = np.asarray(image).reshape(-1, 3)
    for ink in inks:
        assert (pixels == list(bytes.fromhex(ink[1:]))).all(axis=1).sum() > 50_000
    assert board_pdf(tiles, "Coats", "60 photos").startswith(b"%PDF")
    (slide,) = Presentation(io.BytesIO(board_pptx(tiles, "Coats", "60 photos"))).slides
    said = [each.text_frame.text for each in slide.shapes if each.has_text_frame]
    assert said == ["Coats", "60 photos", *(tile.caption.replace("\x07", " ") for tile in tiles)]
    places = [each for each in slide.shapes if each.shape_type == 13]
    assert len(places) == 5
    for place, one in enumerate(places):
        for other in places[place + 1 :]:
            apart = one.left + one.width <= other.left or other.left + other.width <= one.left
            assert apart or one.top + one.height <= other.top, "no picture lies on another"
