import base64
import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from portrait import portrait
from pycocotools import mask as coco_mask

from dashboard.components.viewer import Stage, encode_photo, encode_stage
from dashboard.shared.analysed import (
    Analysed,
    Plane,
    UploadedPhoto,
    analyse,
    annotations_name,
    as_annotations,
    as_csv,
    class_map_png,
    cut_out,
    file_name,
    heading,
    write_zip,
)
from dashboard.shared.photo_file import file_digest
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.inference.kinds import Kind
from segmodels.inference.segmentation import Person, Segmentation, measure
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.taxonomy import OUTFIT_15


def packed(photos: list[Analysed], kind: str = "coco") -> io.BytesIO:
    out = io.BytesIO()
    write_zip(photos, out, kind)
    return out


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter("fpn")


@pytest.fixture(scope="module")
def astronaut(segmenter: Segmenter) -> Analysed:
    return analyse(segmenter, "astronaut.png", portrait())


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # pycocotools
def test_what_was_found_is_the_same_in_every_form(astronaut: Analysed) -> None:
    class_map = np.asarray(Image.open(io.BytesIO(class_map_png(astronaut))))
    assert class_map.shape == (512, 512)
    assert astronaut.listing["garments"], "the embedded network finds no garment on a person in a bright suit"
    rows = json.loads(as_annotations([astronaut], "coco"))["annotations"]
    assert {row["category_id"] for row in rows} == set(np.unique(class_map)) - {0}
    for garment, row, annotation in zip(astronaut.garments, astronaut.listing["garments"], rows, strict=False):
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
    shown = cut[..., 3] == 255
    assert (cut[shown, :3] == photo[y : y + height, x : x + width][shown]).all()


def test_the_csv_has_a_row_per_garment_and_one_for_a_photo_without_any(astronaut: Analysed) -> None:
    bare = replace(astronaut, photo=replace(astronaut.photo, name="wall.jpg"), garments=())
    rows = list(csv.DictReader(io.StringIO(as_csv([astronaut, bare]).decode())))
    assert [row["class"] for row in rows] == [garment.name for garment in astronaut.garments] + [""]
    assert rows[-1]["photo"] == "wall.jpg"
    assert float(rows[0]["outfit_share"]) == astronaut.listing["garments"][0]["outfit_share"]
    assert rows[0]["colour_1_name"] == astronaut.listing["garments"][0]["colours"][0]["name"]


def test_the_zip_holds_everything_of_two_photos_with_one_name(astronaut: Analysed) -> None:
    with zipfile.ZipFile(packed([astronaut, astronaut])) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        coco = json.loads(archive.read("annotations/coco.json"))
    per_photo = 2 + len(astronaut.garments)
    assert len(names) == len(set(names)) == 2 + 2 * per_photo
    assert [(image["id"], image["file_name"]) for image in coco["images"]] == [
        (1, "astronaut.png"),
        (2, "astronaut-2.png"),
    ]
    ids = [annotation["id"] for annotation in coco["annotations"]]
    classes = len(np.unique(astronaut.class_map.pixels())) - 1
    assert ids == list(range(1, 2 * classes + 1))
    assert {annotation["image_id"] for annotation in coco["annotations"]} == {1, 2}


def test_annotations_of_one_photo_and_of_many(astronaut: Analysed) -> None:
    other = replace(astronaut, taxonomy=replace(astronaut.taxonomy, name="OTHER"))
    assert annotations_name([astronaut], "coco") == "astronaut-coco.json"
    assert annotations_name([astronaut], "cvat-polygons") == "astronaut-cvat-polygons.xml"
    assert annotations_name([astronaut], "labelstudio") == "astronaut-labelstudio.zip"
    assert annotations_name([astronaut, astronaut], "coco") == "garmentscope-coco.json"
    assert annotations_name([astronaut, other], "coco") == "garmentscope-coco.zip"
    assert as_annotations([astronaut], "cvat").startswith(b"<?xml")
    for photos, kind, wanted in (
        ([astronaut, astronaut], "masks", ["masks/astronaut.png", "masks/astronaut-2.png", "classes.txt"]),
        ([astronaut, other], "coco", ["coco.json", "2/coco.json"]),
    ):
        with zipfile.ZipFile(io.BytesIO(as_annotations(photos, kind))) as archive:
            assert archive.namelist() == wanted


def test_the_zip_has_the_annotations_that_were_chosen(astronaut: Analysed) -> None:
    with zipfile.ZipFile(packed([astronaut], "yolo")) as archive:
        found = [name for name in archive.namelist() if name.startswith("annotations/")]
    assert found == ["annotations/labels/astronaut.txt", "annotations/data.yaml"]


def test_a_turned_photo_says_so(segmenter: Segmenter) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.open(io.BytesIO(portrait())).convert("RGB").resize((300, 200)).save(out, "JPEG", exif=exif)
    found = analyse(segmenter, "turned.jpg", out.getvalue())
    assert (found.listing["width"], found.listing["height"], found.listing["orientation"]) == (200, 300, 6)
    (image,) = json.loads(as_annotations([found], "coco"))["images"]
    assert (image["width"], image["height"], image["orientation"], image["upright"]) == (200, 300, 6, True)


def test_a_bad_file_is_answered_with_its_name(segmenter: Segmenter) -> None:
    with pytest.raises(PhotoError, match=r"notes\.jpg is text"):
        analyse(segmenter, "notes.jpg", b"a letter to the tailor, much longer than any header")


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
    kept = replace(astronaut, people=tuple(replace(person, presence=None) for person in astronaut.people))
    garments = tuple({**garment, "presence": None} for garment in kept.listing["garments"])
    stage = Stage(pixels, found.class_map, found.confidence, astronaut.name, "one", "two", garments)
    assert kept.stage("one", "two") == encode_stage(stage)


def two_people(*presence: dict[str, float] | None) -> Analysed:
    """Two people, left and right, each with the outline of a coat on 8 rows, pants on 6 and a bag on 2."""
    class_map = np.zeros((20, 20), np.uint8)
    for name, rows in (("Coat", slice(0, 8)), ("Pants", slice(8, 14)), ("Bag", slice(16, 18))):
        class_map[rows] = OUTFIT_15[name].id
    owners = np.zeros((20, 20), np.uint8)
    owners[:, 10:] = 1
    photo, confidence = np.full((20, 20, 3), 99, np.uint8), np.full((20, 20), 204, np.uint8)
    nothing = dict.fromkeys((garment.name for garment in OUTFIT_15.worn), 0.02)
    boxes = (0, 0, 10, 20), (10, 0, 10, 20)
    people = [
        Person(box, 0.9, detected=True, presence=None if each is None else nothing | each)
        for box, each in zip(boxes, presence or (None, None), strict=True)
    ]
    seen, garments = measure(photo, OUTFIT_15, class_map, confidence, people, owners)
    found = Segmentation(OUTFIT_15, class_map, confidence, seen, garments, "fake", "abc", 0.1, owners)
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "PNG")
    return Analysed.of(UploadedPhoto("pair.png", out.getvalue(), 20, 20, encode_photo(photo)), found)


DOUBTED = {"Coat": 0.38, "Pants": 0.97, "Bag": 0.6}, {"Coat": 0.95, "Pants": 0.1234567, "Bag": 0.2, "Hat": 0.62}


def test_the_heading_counts_what_is_likely_outlined_or_not() -> None:
    assert heading(two_people(*DOUBTED)) == "4 garments on 2 people"  # pants and bag; coat and a hat without pixels
    assert heading(two_people()) == "6 garments on 2 people"
    assert heading(two_people({}, {"Coat": 0.5})) == "1 garment on 2 people"
    assert heading(two_people({}, {})) == "No garments on 2 people"


def test_the_viewer_gets_apart_what_is_less_likely_and_what_is_not_outlined() -> None:
    stage = two_people(*DOUBTED).stage()

    def rows(field: str) -> list[tuple[str, int, float]]:
        return [(row["class"], row["person"], row["presence"]) for row in stage[field]]

    assert rows("garments") == [("Pants", 0, 0.97), ("Bag", 0, 0.6), ("Coat", 1, 0.95)]
    assert rows("less_likely") == [("Coat", 0, 0.38), ("Pants", 1, 0.1234567), ("Bag", 1, 0.2)]
    assert stage["not_outlined"] == [{"class": "Hat", "person": 1, "presence": 0.62}]
    assert stage["title"] == "4 garments on 2 people" and "below 50% it is not counted" in stage["caption"]
    numbers = np.asarray(Image.open(io.BytesIO(base64.b64decode(stage["less_likely_map"]))))
    expected = np.zeros((20, 20), np.uint8)
    expected[:8, :10], expected[8:14, 10:], expected[16:18, 10:] = 1, 2, 3
    np.testing.assert_array_equal(numbers, expected)


def test_without_a_calibration_every_garment_is_listed_and_the_caption_says_so() -> None:
    stage = two_people().stage()
    assert len(stage["garments"]) == 6 and stage["less_likely"] == stage["not_outlined"] == []
    assert stage["less_likely_map"] is None
    assert "this model has no calibration, so every garment it found is listed" in stage["caption"]


def test_the_csv_has_presence_and_every_garment() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([two_people(*DOUBTED), two_people()]).decode())))
    assert [row["class"] for row in rows] == ["Coat", "Pants", "Bag"] * 4
    assert [row["presence"] for row in rows] == ["0.38", "0.97", "0.6", "0.95", "0.1235", "0.2"] + [""] * 6
    assert {row["outfit_share"] for row in rows if row["class"] == "Coat"} == {"0.5"}, "as measured"


def test_the_zip_sets_cut_outs_of_less_likely_garments_apart() -> None:
    with zipfile.ZipFile(packed([two_people(*DOUBTED), two_people()])) as archive:
        names = set(archive.namelist())
        listing = json.loads(archive.read("001-pair/garments.json"))
    first = {name.removeprefix("001-pair/") for name in names if name.startswith("001-pair/")}
    likely = {"pants.png", "bag.png", "coat-2.png"}
    assert first == {"class_map.png", "garments.json", *likely} | {
        f"less_likely/{name}.png" for name in ("coat", "pants-2", "bag-2")
    }
    assert not any("less_likely" in name for name in names if name.startswith("002-pair/"))
    assert len(listing["garments"]) == 6 and listing["people"][1]["presence"]["Pants"] == 0.1235


def test_kinds_are_in_the_csv_the_file_names_and_the_table() -> None:
    plain = two_people(*DOUBTED)
    skirt = Kind("t-shirt/top", 0.9111)
    first, *others = plain.garments
    analysed = replace(plain, garments=(replace(first, kind=skirt), *others), has_kinds=True)
    rows = list(csv.DictReader(io.StringIO(as_csv([analysed]).decode())))
    assert [(row["kind"], row["kind_probability"]) for row in rows] == [("t-shirt/top", "0.9111"), *[("", "")] * 5]
    assert file_name(analysed.garments[0]) == "coat-t-shirt-top"
    assert file_name(others[0]) == file_name(plain.garments[1])
    stage = analysed.stage()
    listed = [*stage["garments"], *stage["less_likely"]]
    assert [row["kind"] for row in listed if row["kind"]] == [{"name": "t-shirt/top", "probability": 0.9111}]
    assert "its kind and that kind's probability" in stage["caption"]
    assert "its kind" not in plain.stage()["caption"]


def test_the_zip_decodes_each_photo_once_and_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def pixels(photo: UploadedPhoto) -> np.ndarray:
        decoded.append(photo.name)
        return read(photo)

    read = UploadedPhoto.pixels
    monkeypatch.setattr(UploadedPhoto, "pixels", pixels)
    pair, done = two_people(), list[int]()
    assert len(pair.garments) > 1
    write_zip([pair, two_people()], io.BytesIO(), progress=done.append)
    assert decoded == ["pair.png"] * 2
    assert done == [1, 2]


def test_a_cut_out_holds_no_colour_where_it_is_transparent() -> None:
    pair = two_people()
    for garment in pair.garments:
        pixels = np.asarray(Image.open(io.BytesIO(cut_out(pair, garment))))
        assert pixels.shape[2] == 4 and (pixels[..., 3] == 255).any()
        assert not pixels[pixels[..., 3] == 0].any()


def test_no_cell_of_the_csv_runs_as_a_formula() -> None:
    pair = two_people()
    name = '=HYPERLINK("http-x","a").jpg'
    evil = replace(pair, photo=replace(pair.photo, name=name))
    rows = list(csv.DictReader(io.StringIO(as_csv([evil]).decode())))
    assert {row["photo"] for row in rows} == {f"'{name}"}
    assert {row["photo_id"] for row in rows} == {file_digest(pair.photo.data)} == {pair.listing["photo_id"]}


def test_every_system_can_unpack_the_zip() -> None:
    """A folder of the ZIP was called as the photo is, and Windows forbids `|`, `\\` and a space at the end."""
    pair = two_people()
    evil = [replace(pair, photo=replace(pair.photo, name=name)) for name in ("a|b.jpg", "..\\..\\x.jpg", "last .jpg")]
    with zipfile.ZipFile(packed(evil)) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist() if "/" in name}
    assert folders == {"annotations", "001-a_b", "002-.._.._x", "003-last"}
