import json
from dataclasses import replace

import numpy as np
import pytest
from annotated import HEIGHT, WIDTH, a_class_map, a_look, farthest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from segmodels.annotations import to_coco
from segmodels.taxonomy import OUTFIT_15

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


def test_there_is_one_annotation_for_each_class_and_person() -> None:
    look = a_look()
    coco = to_coco([("a.jpg", look)])
    named = [(row["person"], OUTFIT_15.names[row["category_id"]]) for row in coco["annotations"]]
    worn = [(garment.person, garment.name) for garment in look.garments]
    assert set(worn) == {(0, "Pants"), (0, "Coat"), (0, "Shirt"), (0, "Bag"), (1, "Bag"), (1, "Shirt"), (1, "Socks")}
    assert named == [*worn, (0, "Hair"), (0, "Skin")]


def test_run_lengths_decode_to_the_masks() -> None:
    first, second = a_look(), replace(a_look(), class_map=np.ascontiguousarray(a_class_map()[::-1]))
    coco = json.loads(json.dumps(to_coco([("a.jpg", first), ("b.jpg", second)]), allow_nan=False))
    assert [(image["id"], image["file_name"], image["width"], image["height"]) for image in coco["images"]] == [
        (1, "a.jpg", WIDTH, HEIGHT),
        (2, "b.jpg", WIDTH, HEIGHT),
    ]
    assert [row["id"] for row in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
    for number, look in ((1, first), (2, second)):
        seen = np.zeros((HEIGHT, WIDTH), np.uint8)
        assert look.owners is not None
        for row in coco["annotations"]:
            if row["image_id"] != number:
                continue
            mask = coco_mask.decode(row["segmentation"]).astype(bool)
            assert (mask == ((look.class_map == row["category_id"]) & (look.owners == row["person"]))).all()
            assert row["area"] == mask.sum() == coco_mask.area(row["segmentation"])
            assert row["bbox"] == coco_mask.toBbox(row["segmentation"]).tolist() and row["iscrowd"] == 0
            assert not seen[mask].any()
            seen[mask] = row["category_id"]
        assert (seen == look.class_map).all()


def test_score_and_presence() -> None:
    look = a_look()
    rows = to_coco([("a.jpg", look)])["annotations"]
    for row, garment in zip(rows, look.garments, strict=False):
        assert row["score"] == round(garment.confidence, 4) and row["presence"] == 0.25
    hair = rows[len(look.garments)]
    assert hair["score"] == round(float(look.confidence[a_class_map() == OUTFIT_15["Hair"].id].mean()) / 255, 4)
    assert hair["presence"] is None
    raw = replace(look, people=tuple(replace(person, presence=None) for person in look.people))
    assert {row["presence"] for row in to_coco([("a.jpg", raw)])["annotations"]} == {None}


def test_categories_are_all_but_the_background_under_the_ids_of_the_class_map() -> None:
    categories = to_coco([("a.jpg", a_look())])["categories"]
    assert [(each["id"], each["name"], each["supercategory"]) for each in categories] == [
        (each.id, each.name, each.group) for each in OUTFIT_15.classes[1:]
    ]


def test_polygons_keep_within_a_pixel_as_pycocotools_draws_them() -> None:
    look = a_look()
    for row in to_coco([("a.jpg", look)], polygons=True)["annotations"]:
        assert all(len(part) >= 6 and len(part) % 2 == 0 for part in row["segmentation"])
        drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(row["segmentation"], HEIGHT, WIDTH)))
        assert look.owners is not None
        mask = (look.class_map == row["category_id"]) & (look.owners == row["person"])
        assert farthest(mask, drawn.astype(bool)) < 1
        assert row["area"] == mask.sum()
    assert a_look().to_coco("a.jpg", polygons=True) == to_coco([("a.jpg", look)], polygons=True)


def test_pycocotools_takes_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    for polygons in (False, True):
        coco = COCO()
        coco.dataset = to_coco([("a.jpg", a_look())], polygons)
        coco.createIndex()
        (socks,) = coco.getAnnIds(catIds=coco.getCatIds(catNms=["Socks"]))
        drawn = coco.annToMask(coco.loadAnns(socks)[0])
        assert (drawn == (a_class_map() == OUTFIT_15["Socks"].id)).mean() >= (1 if not polygons else 0.99)
    assert "index created" in capsys.readouterr().out


def test_nothing_and_two_taxonomies() -> None:
    assert to_coco([])["annotations"] == to_coco([])["images"] == to_coco([])["categories"] == []
    other = replace(OUTFIT_15, name="OTHER")
    with pytest.raises(ValueError, match="one taxonomy, not OTHER, OUTFIT_15"):
        to_coco([("a.jpg", a_look()), ("b.jpg", a_look(taxonomy=other))])
