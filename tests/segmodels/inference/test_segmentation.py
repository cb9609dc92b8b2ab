import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segmodels.errors import GarmentscopeError
from segmodels.inference.boxes import box_of
from segmodels.inference.presence import LIKELY
from segmodels.inference.segmentation import Garment, Person, Segmentation, measure
from segmodels.taxonomy import OUTFIT_15, Taxonomy

HEIGHT, WIDTH = 60, 40


def a_map() -> np.ndarray:
    """Hair over a shirt over pants, a bag that touches the border; rows and columns differ."""
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[5:10, 18:24] = OUTFIT_15["Hair"].id
    class_map[10:30, 12:30] = OUTFIT_15["Shirt"].id
    class_map[30:55, 14:28] = OUTFIT_15["Pants"].id
    class_map[25:33, 34:40] = OUTFIT_15["Bag"].id
    return class_map


def a_photo() -> np.ndarray:
    photo = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)
    class_map = a_map()
    photo[class_map == OUTFIT_15["Shirt"].id] = (200, 30, 30)
    photo[class_map == OUTFIT_15["Pants"].id] = (20, 30, 70)
    photo[class_map == OUTFIT_15["Bag"].id] = (15, 15, 15)
    return photo


def a_segmentation(class_map: np.ndarray | None = None, taxonomy: Taxonomy = OUTFIT_15) -> Segmentation:
    class_map = a_map() if class_map is None else class_map
    confidence = np.full(class_map.shape, 204, np.uint8)
    people, garments = measure(a_photo(), taxonomy, class_map, confidence)
    return Segmentation(taxonomy, class_map, confidence, people, garments, "fake", "abc123", 0.123456)


def garment_of(segmentation: Segmentation, name: str) -> Garment:
    return next(garment for garment in segmentation.garments if garment.name == name)


# --- Measuring --------------------------------------------------------------------------------------------------------


def test_garments_by_hand() -> None:
    segmentation = a_segmentation()
    assert [garment.name for garment in segmentation.garments] == ["Shirt", "Pants", "Bag"], "largest first, no hair"
    shirt, pants, bag = segmentation.garments
    pixels = 20 * 18, 25 * 14, 8 * 6
    assert [garment.area_share for garment in segmentation.garments] == [n / (HEIGHT * WIDTH) for n in pixels]
    assert [garment.outfit_share for garment in segmentation.garments] == [n / sum(pixels) for n in pixels]
    assert shirt.box == (12, 10, 18, 20) and pants.box == (14, 30, 14, 25) and bag.box == (34, 25, 6, 8)
    assert {garment.person for garment in segmentation.garments} == {0}
    assert [garment.colours[0].basic for garment in segmentation.garments] == ["red", "blue", "black"]
    assert shirt.colours[0].share == 1


def test_outfit_shares_sum_to_one_and_area_shares_to_what_is_worn() -> None:
    class_map = np.random.default_rng(0).integers(0, 15, (HEIGHT, WIDTH), np.uint8)
    segmentation = a_segmentation(class_map)
    assert len(segmentation.garments) == 12
    assert sum(garment.outfit_share for garment in segmentation.garments) == pytest.approx(1)
    worn = np.isin(class_map, [garment.id for garment in OUTFIT_15.worn])
    assert sum(garment.area_share for garment in segmentation.garments) == pytest.approx(worn.mean())
    for garment in segmentation.garments:
        assert garment.area_share == (class_map == OUTFIT_15[garment.name].id).mean()
        assert (segmentation.mask(garment) == (class_map == OUTFIT_15[garment.name].id)).all()


def test_the_one_person_spans_what_was_found() -> None:
    (person,) = a_segmentation().people
    assert person == Person((12, 5, 28, 50), pytest.approx(0.8), detected=False)


def test_confidence_is_the_mean_over_the_garments_own_pixels() -> None:
    class_map = a_map()
    confidence = np.full((HEIGHT, WIDTH), 255, np.uint8)
    shirt = class_map == OUTFIT_15["Shirt"].id
    confidence[shirt] = np.arange(shirt.sum()) % 100
    people, garments = measure(a_photo(), OUTFIT_15, class_map, confidence)
    by_name = {garment.name: garment.confidence for garment in garments}
    assert by_name["Shirt"] == pytest.approx(float(confidence[shirt].mean()) / 255)
    assert by_name["Pants"] == by_name["Bag"] == 1
    assert people[0].confidence == pytest.approx(float(confidence[class_map > 0].mean()) / 255)


def test_hair_and_skin_alone_are_a_person_without_garments() -> None:
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[10:20, 5:9] = OUTFIT_15["Skin"].id
    segmentation = a_segmentation(class_map)
    assert segmentation.people[0].box == (5, 10, 4, 10) and segmentation.garments == ()


def test_where_nothing_is_found_the_person_spans_the_photo() -> None:
    segmentation = a_segmentation(np.zeros((HEIGHT, WIDTH), np.uint8))
    assert segmentation.people == (Person((0, 0, WIDTH, HEIGHT), 0.0, detected=False),)
    assert segmentation.garments == ()


def test_one_pixel_is_a_garment() -> None:
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[-1, -1] = OUTFIT_15["Hat"].id
    (hat,) = a_segmentation(class_map).garments
    assert hat.box == (WIDTH - 1, HEIGHT - 1, 1, 1) and hat.outfit_share == 1 and len(hat.colours) == 1


def two_people() -> Segmentation:
    """The same clothes, the bag another's."""
    class_map, owners = a_map(), np.zeros((HEIGHT, WIDTH), np.uint8)
    owners[:, 32:] = 1
    class_map[12:20, 34:40] = OUTFIT_15["Shirt"].id
    confidence = np.full(class_map.shape, 204, np.uint8)
    seen = Person((10, 4, 22, 53), 0.9, detected=True), Person((33, 10, 7, 25), 0.7, detected=True)
    people, garments = measure(a_photo(), OUTFIT_15, class_map, confidence, seen, owners)
    assert people == seen
    return Segmentation(OUTFIT_15, class_map, confidence, people, garments, "fake", "abc123", 0.1, owners)


def test_garments_belong_to_whoever_wears_them() -> None:
    segmentation = two_people()
    assert [(garment.person, garment.name) for garment in segmentation.garments] == [
        (0, "Shirt"),
        (0, "Pants"),
        (1, "Shirt"),
        (1, "Bag"),
    ]
    mine, _, theirs, bag = segmentation.garments
    assert mine.outfit_share == pytest.approx(360 / 710) and theirs.outfit_share == bag.outfit_share == 0.5
    assert theirs.box == (34, 12, 6, 8) and theirs.area_share == 48 / (HEIGHT * WIDTH)
    assert segmentation.mask(mine).sum() == 360 and segmentation.mask(theirs).sum() == 48
    annotations = segmentation.to_coco("a.jpg")["annotations"]
    hair = (0, 30)
    assert [(row["person"], row["area"]) for row in annotations] == [(0, 360), (0, 350), (1, 48), (1, 48), hair]


def with_presence() -> Segmentation:
    """Two people: the first surely wears the shirt, hardly the pants; the second the bag, just so, and no shirt."""
    segmentation = two_people()
    nothing = dict.fromkeys((garment.name for garment in OUTFIT_15.worn), 0.01)
    presence = {"Shirt": 0.98, "Pants": 0.37516, "Hat": 0.62}, {"Shirt": 0.499, "Bag": LIKELY}
    people = [
        replace(person, presence=nothing | each) for person, each in zip(segmentation.people, presence, strict=True)
    ]
    return replace(segmentation, people=tuple(people))


def test_a_garment_counts_from_presence_one_half_of_its_class_on_its_person() -> None:
    segmentation = with_presence()
    assert [segmentation.presence_of(garment) for garment in segmentation.garments] == [0.98, 0.37516, 0.499, 0.5]
    assert [segmentation.likely(garment) for garment in segmentation.garments] == [True, False, False, True]
    assert segmentation.people[0].likely("Hat") and not segmentation.people[1].likely("Hat")


def test_without_a_calibration_every_garment_counts() -> None:
    segmentation = two_people()
    assert [segmentation.presence_of(garment) for garment in segmentation.garments] == [None] * 4
    assert all(segmentation.likely(garment) for garment in segmentation.garments)


def test_presence_is_in_coco_and_json_and_changes_no_share() -> None:
    raw, calibrated = two_people(), with_presence()
    annotations = calibrated.to_coco("a.jpg")["annotations"]
    assert [row["presence"] for row in annotations] == [0.98, 0.3752, 0.499, 0.5, None], "hair has none"
    assert [row["presence"] for row in raw.to_coco("a.jpg")["annotations"]] == [None] * 5
    assert calibrated.to_json()["garments"] == raw.to_json()["garments"]
    assert calibrated.to_json()["people"][0]["presence"]["Pants"] == 0.3752


def test_supervision_gets_presence() -> None:
    pytest.importorskip("supervision")
    presence = with_presence().to_supervision().data["presence"]
    assert presence.dtype == np.float32 and presence == pytest.approx([0.98, 0.37516, 0.499, 0.5])
    presence = two_people().to_supervision().data["presence"]
    assert presence.dtype == np.float32 and presence.shape == (4,) and np.isnan(presence).all()


def test_a_pixel_of_nobody_is_an_error() -> None:
    segmentation = two_people()
    with pytest.raises(ValueError, match=r"A pixel belongs to nobody: there are 2 people\."):
        replace(segmentation, owners=np.full((HEIGHT, WIDTH), 2, np.uint8))
    with pytest.raises(ValueError, match="owners must be uint8"):
        replace(segmentation, owners=np.zeros((HEIGHT, WIDTH), bool))


# --- A segmentation that contradicts itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"class_map": np.zeros((4, 4), np.int64)}, "class_map must be uint8"),
        ({"class_map": np.zeros((4, 4, 1), np.uint8)}, "class_map must be uint8"),
        ({"confidence": np.ones((HEIGHT, WIDTH), np.float32)}, "confidence must be uint8 .* not float32"),
        ({"confidence": np.ones((WIDTH, HEIGHT), np.uint8)}, r"confidence must be uint8 .* \(40, 60\)"),
        ({"class_map": np.full((HEIGHT, WIDTH), 15, np.uint8)}, "has the id 15, which is beyond OUTFIT_15"),
        ({"class_map": np.full((HEIGHT, WIDTH), 255, np.uint8)}, "has the id 255"),
        ({"people": ()}, "at least one person"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(a_segmentation(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("person", [-1, 1])
def test_a_garment_on_nobody_is_refused(person: int) -> None:
    segmentation = a_segmentation()
    with pytest.raises(ValueError, match="belongs to nobody: there are 1 people"):
        replace(segmentation, garments=(replace(segmentation.garments[0], person=person),))


@pytest.mark.parametrize("shape", [(WIDTH, HEIGHT, 3), (HEIGHT - 1, WIDTH, 3)])
def test_another_photo_is_refused(shape: tuple[int, int, int]) -> None:
    segmentation, photo = a_segmentation(), np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match="is not the one of this class map"):
        segmentation.overlay_png(photo)
    with pytest.raises(ValueError, match="is not the one of this class map"):
        segmentation.cutout_png(photo, segmentation.garments[0])


# --- The forms in which it leaves -------------------------------------------------------------------------------------


def test_class_map_png_holds_the_ids_and_the_colours() -> None:
    segmentation = a_segmentation()
    image = Image.open(io.BytesIO(segmentation.class_map_png()))
    assert image.format == "PNG" and image.mode == "P" and image.size == (WIDTH, HEIGHT)
    assert (np.asarray(image) == segmentation.class_map).all()
    palette = image.getpalette("RGB")
    assert palette is not None
    assert palette[:45] == OUTFIT_15.palette[:15].ravel().tolist()
    assert (np.asarray(image.convert("RGB")) == OUTFIT_15.palette[segmentation.class_map]).all()


@pytest.mark.parametrize("class_id", [0, 14])
def test_class_map_png_of_one_class_keeps_its_id(class_id: int) -> None:
    class_map = np.full((HEIGHT, WIDTH), class_id, np.uint8)
    image = Image.open(io.BytesIO(a_segmentation(class_map).class_map_png()))
    assert (np.asarray(image) == class_id).all()


def test_json_has_exactly_the_keys_of_the_design() -> None:
    listing = a_segmentation().to_json("look.jpg")
    assert list(listing) == [
        *("photo", "model", "revision", "taxonomy", "width", "height", "orientation", "seconds", "people", "garments")
    ]
    assert [list(person) for person in listing["people"]] == [["box", "confidence", "detected", "presence"]]
    keys = ["class", "kind", "person", "area_share", "outfit_share", "confidence", "box", "colours"]
    assert all(list(garment) == keys for garment in listing["garments"])
    assert all(list(c) == ["hex", "name", "share"] for garment in listing["garments"] for c in garment["colours"])
    assert json.loads(json.dumps(listing, allow_nan=False)) == listing


def test_json_by_hand() -> None:
    listing = a_segmentation().to_json("look.jpg")
    garments = listing.pop("garments")
    assert listing == {
        "photo": "look.jpg",
        "model": "fake",
        "revision": "abc123",
        "taxonomy": "OUTFIT_15",
        "width": WIDTH,
        "height": HEIGHT,
        "orientation": 1,
        "seconds": 0.1235,
        "people": [{"box": [12, 5, 28, 50], "confidence": 0.8, "detected": False, "presence": None}],
    }
    colours = garments[2].pop("colours")
    assert garments[2] == {
        "class": "Bag",
        "kind": None,
        "person": 0,
        "area_share": 0.02,
        "outfit_share": round(48 / 758, 5),
        "confidence": 0.8,
        "box": [34, 25, 6, 8],
    }
    assert colours == [{"hex": "#0f0f0f", "name": "black", "share": 1.0}]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_segmentation_turned_back_fits_the_stored_pixels(orientation: int) -> None:
    upright = replace(two_people(), orientation=orientation)
    stored = upright.as_stored()
    assert stored.to_json()["orientation"] == orientation
    if orientation == 1:
        assert stored is upright
        return
    assert not stored.upright and (stored.height, stored.width) == (
        (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)
    )
    assert stored.as_stored() is stored
    for garment, before in zip(stored.garments, upright.garments, strict=True):
        mask = stored.mask(garment)
        assert mask.sum() == upright.mask(before).sum()
        assert garment.box == tuple(map(int, box_of(mask) or ()))
    corner = {2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (-1, 0), 7: (-1, -1), 8: (0, -1)}[orientation]
    marked = replace(upright, class_map=np.zeros((HEIGHT, WIDTH), np.uint8), garments=())
    marked.class_map[0, 0] = 1
    assert marked.as_stored().class_map[corner] == 1, "where EXIF has the upright photo's top left corner"


def test_there_is_no_other_orientation() -> None:
    with pytest.raises(ValueError, match="orientation is 1 to 8, not 9"):
        replace(a_segmentation(), orientation=9)


def test_supervision_gets_masks_ids_and_names() -> None:
    supervision = pytest.importorskip("supervision")
    segmentation = a_segmentation()
    detections = segmentation.to_supervision()
    assert type(detections) is supervision.Detections and len(detections) == 3
    assert detections.xyxy.tolist() == [[12, 10, 30, 30], [14, 30, 28, 55], [34, 25, 40, 33]]
    assert detections.mask.dtype == bool and detections.mask.shape == (3, HEIGHT, WIDTH)
    for mask, garment in zip(detections.mask, segmentation.garments, strict=True):
        assert np.array_equal(mask, segmentation.mask(garment))
    assert detections.class_id.tolist() == [OUTFIT_15[name].id for name in ("Shirt", "Pants", "Bag")]
    assert detections.confidence == pytest.approx([0.8, 0.8, 0.8])
    assert detections.data["class_name"].tolist() == ["Shirt", "Pants", "Bag"]
    bag = detections[detections.data["class_name"] == "Bag"]
    assert bag.area.tolist() == [48] and bag.data["person"].tolist() == [0]
    drawn = supervision.MaskAnnotator(opacity=1).annotate(np.zeros((HEIGHT, WIDTH, 3), np.uint8), bag)
    assert np.array_equal(drawn.any(axis=2), a_map() == OUTFIT_15["Bag"].id)


def test_supervision_gets_two_people_and_nothing() -> None:
    pytest.importorskip("supervision")
    detections = two_people().to_supervision()
    assert detections.data["person"].tolist() == [0, 0, 1, 1] and detections.area.tolist() == [360, 350, 48, 48]
    nothing = a_segmentation(np.zeros((HEIGHT, WIDTH), np.uint8)).to_supervision()
    assert nothing.is_empty() and nothing.xyxy.shape == (0, 4) and nothing.mask.shape == (0, HEIGHT, WIDTH)


def test_without_supervision_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(GarmentscopeError) as caught:
        a_segmentation().to_supervision()
    assert str(caught.value) == (
        'to_supervision needs supervision, which is not installed: pip install "garmentscope[supervision]"'
    )


def test_cutout_is_the_garment_on_a_transparent_ground() -> None:
    segmentation, photo = a_segmentation(), a_photo()
    segmentation.class_map[12, 15] = 0  # a hole in the shirt
    shirt = garment_of(segmentation, "Shirt")
    image = Image.open(io.BytesIO(segmentation.cutout_png(photo, shirt)))
    assert image.format == "PNG" and image.mode == "RGBA" and image.size == (18, 20)
    pixels = np.asarray(image)
    opaque = np.full((20, 18), 255)
    opaque[2, 3] = 0
    assert (pixels[..., 3] == opaque).all()
    colours = photo[10:30, 12:30].copy()
    colours[2, 3] = 0  # what is transparent holds no photo
    assert (pixels[..., :3] == colours).all()


def test_overlay_paints_everything_but_the_background() -> None:
    segmentation, photo = a_segmentation(), a_photo()
    before = photo.copy()

    def shown(opacity: float) -> np.ndarray:
        image = Image.open(io.BytesIO(segmentation.overlay_png(photo, opacity)))
        assert image.mode == "RGB" and image.size == (WIDTH, HEIGHT)
        return np.asarray(image)

    found = segmentation.class_map > 0
    assert (shown(0) == photo).all()
    assert (shown(1)[found] == OUTFIT_15.palette[segmentation.class_map][found]).all()
    assert (shown(0.5)[~found] == photo[~found]).all()
    mean = (photo[found].astype(int) + OUTFIT_15.palette[segmentation.class_map][found]) / 2
    assert np.abs(shown(0.5)[found] - mean).max() <= 0.5
    assert (photo == before).all(), "the photo itself is left alone"
