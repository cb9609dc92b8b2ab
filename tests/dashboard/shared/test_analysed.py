import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from dashboard.components.viewer import Stage, encode_stage
from dashboard.shared.analysed import (
    Analysed,
    Plane,
    analyse,
    as_csv,
    as_zip,
    class_map_png,
    coco_text,
    cut_out,
    file_name,
)
from dashboard.shared.examples import example, example_count
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.taxonomy import OUTFIT_15


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter("fpn")


@pytest.fixture(scope="module")
def astronaut(segmenter: Segmenter) -> Analysed:
    return analyse(segmenter, *example(0))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # pycocotools
def test_what_was_found_is_the_same_in_every_form(astronaut: Analysed) -> None:
    class_map = np.asarray(Image.open(io.BytesIO(class_map_png(astronaut))))
    assert class_map.shape == (512, 512)
    assert astronaut.listing["garments"], "the embedded network finds no garment on a person in a bright suit"
    for garment, row, annotation in zip(
        astronaut.garments, astronaut.listing["garments"], json.loads(coco_text(astronaut))["annotations"], strict=True
    ):
        mask = coco_mask.decode(annotation["segmentation"]).astype(bool)
        assert (mask == (class_map == annotation["category_id"])).all()
        assert row["class"] == garment.name
        assert row["area_share"] == pytest.approx(mask.mean(), abs=1e-5)


def test_a_cut_out_shows_the_garment_and_nothing_else(astronaut: Analysed) -> None:
    garment = astronaut.garments[0]
    cut = np.asarray(Image.open(io.BytesIO(cut_out(astronaut, garment))))
    photo = np.asarray(Image.open(io.BytesIO(astronaut.photo.data)))
    x, y, width, height = garment.box
    assert cut.shape == (height, width, 4)
    assert (cut[..., 3] > 0).sum() == round(garment.area_share * 512 * 512)
    assert (cut[..., :3] == photo[y : y + height, x : x + width]).all()


def test_the_csv_has_a_row_per_garment_and_one_for_a_photo_without_any(astronaut: Analysed) -> None:
    bare = replace(astronaut, photo=replace(astronaut.photo, name="wall.jpg"), garments=())
    rows = list(csv.DictReader(io.StringIO(as_csv([astronaut, bare]).decode())))
    assert [row["class"] for row in rows] == [garment.name for garment in astronaut.garments] + [""]
    assert rows[-1]["photo"] == "wall.jpg"
    assert float(rows[0]["outfit_share"]) == astronaut.listing["garments"][0]["outfit_share"]
    assert rows[0]["colour_1_name"] == astronaut.listing["garments"][0]["colours"][0]["name"]


def test_the_zip_holds_everything_of_two_photos_with_one_name(astronaut: Analysed) -> None:
    with zipfile.ZipFile(io.BytesIO(as_zip([astronaut, astronaut]))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        coco = json.loads(archive.read("coco.json"))
    per_photo = 2 + len(astronaut.garments)
    assert len(names) == len(set(names)) == 2 + 2 * per_photo
    assert [image["id"] for image in coco["images"]] == [1, 2]
    ids = [annotation["id"] for annotation in coco["annotations"]]
    assert ids == list(range(1, 2 * len(astronaut.garments) + 1))
    assert {annotation["image_id"] for annotation in coco["annotations"]} == {1, 2}


def test_a_bad_file_is_answered_with_its_name(segmenter: Segmenter) -> None:
    with pytest.raises(PhotoError, match=r"notes\.jpg is text"):
        analyse(segmenter, "notes.jpg", b"a letter to the tailor, much longer than any header")


def test_examples_come_from_the_data_folder_where_there_is_one(tmp_path, monkeypatch) -> None:
    (tmp_path / "photos").mkdir()
    for number, colour in enumerate(["red", "blue"]):
        Image.new("RGB", (40, 60), colour).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.setenv("GARMENTSCOPE_DATA", str(tmp_path))
    assert [example(number).name for number in (0, 1, 2)] == ["0.png", "1.png", "0.png"]
    assert example_count() == 2
    monkeypatch.setenv("GARMENTSCOPE_DATA", str(tmp_path / "nowhere"))
    assert (example(0).name, example_count()) == ("astronaut.png", 1)


def test_cut_outs_of_two_people_are_two_files(astronaut: Analysed) -> None:
    garment = astronaut.garments[0]
    mask = astronaut.class_map.pixels() == OUTFIT_15[garment.name].id
    owners = np.zeros(mask.shape, np.uint8)
    owners[:, mask.any(axis=0).nonzero()[0].mean().astype(int) :] = 1
    pair = (garment, replace(garment, person=1))
    analysed = replace(astronaut, garments=pair, people=astronaut.people * 2, owners=Plane.of(owners))
    shown = [np.asarray(Image.open(io.BytesIO(cut_out(analysed, part))))[..., 3] > 0 for part in pair]
    assert shown[0].any() and shown[1].any() and not (shown[0] & shown[1]).any()
    assert shown[0].sum() + shown[1].sum() == mask.sum()
    assert file_name(pair[1]) == f"{file_name(garment)}-2"


def test_what_is_kept_is_small_and_is_what_was_found(segmenter: Segmenter, astronaut: Analysed) -> None:
    found, kept = segmenter.segment(astronaut.photo.pixels()), astronaut.segmentation()
    assert (kept.class_map == found.class_map).all() and kept.garments == found.garments
    assert np.abs(kept.confidence.astype(int) - found.confidence).max() <= 7, "half a step of 5 per cent"
    packed = len(astronaut.class_map.packed) + len(astronaut.confidence.packed) + len(astronaut.photo.shown)
    assert packed < (found.class_map.nbytes + found.confidence.nbytes) / 3


def test_the_viewer_gets_the_same_of_what_is_kept(segmenter: Segmenter, astronaut: Analysed) -> None:
    pixels = astronaut.photo.pixels()
    found = segmenter.segment(pixels)
    garments = tuple(astronaut.listing["garments"])
    stage = Stage(pixels, found.class_map, found.confidence, astronaut.name, "one", "two", garments)
    assert astronaut.stage("one", "two") == encode_stage(stage)
