from xml.etree import ElementTree

import numpy as np
import pytest
from annotated import HEIGHT, WIDTH, a_look, farthest
from own_classes import KIMONO
from pycocotools import mask as coco_mask

from segmodels.annotations import annotation_files
from segmodels.taxonomy import OUTFIT_15


def read(kind: str, name: str = "a.jpg", **options: object) -> ElementTree.Element:
    (file,) = annotation_files(kind, [(name, a_look(**options))])  # type: ignore[arg-type]
    assert file.path == "annotations.xml"
    return ElementTree.fromstring(file.content)


def test_masks_are_runs_along_the_rows_of_their_boxes() -> None:
    root = read("cvat", 'summer/a "b" & c.jpg')
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/size") == "1"
    (image,) = root.findall("image")
    assert image.attrib == {"id": "0", "name": 'summer/a "b" & c.jpg', "width": str(WIDTH), "height": str(HEIGHT)}
    seen = np.zeros((HEIGHT, WIDTH), np.uint8)
    for mask in image.findall("mask"):
        left, top, width, height = (int(mask.attrib[key]) for key in ("left", "top", "width", "height"))
        runs = [int(run) for run in mask.attrib["rle"].split(",")]
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
        assert inside.any(axis=0)[[0, -1]].all() and inside.any(axis=1)[[0, -1]].all()
        seen[top : top + height, left : left + width][inside] = OUTFIT_15[mask.attrib["label"]].id
    assert (seen == a_look().class_map).all() and len(image) == 9


def test_labels_are_the_classes_with_their_colours() -> None:
    labels = read("cvat", taxonomy=KIMONO).findall("meta/task/labels/label")
    assert [(label.findtext("name"), label.findtext("color")) for label in labels] == [
        (name, KIMONO[name].colour.lower()) for name in ("Kimono", "Obi <sash>", "Left hand", "Tote bag")
    ]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_parts_of_a_polygon_are_a_group() -> None:
    shapes = read("cvat-polygons").findall("image/polygon")
    coat = [shape for shape in shapes if shape.attrib["label"] == "Coat"]
    assert len(coat) == 2 and len({shape.attrib["group_id"] for shape in coat}) == 1
    assert all("group_id" not in shape.attrib for shape in shapes if shape.attrib["label"] == "Hair")
    for name in ("Coat", "Pants", "Hair", "Skin"):
        parts = [
            [float(value) for point in shape.attrib["points"].split(";") for value in point.split(",")]
            for shape in shapes
            if shape.attrib["label"] == name
        ]
        drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, HEIGHT, WIDTH))).astype(bool)
        assert farthest(a_look().class_map == OUTFIT_15[name].id, drawn) < 1


def test_a_name_that_xml_has_no_way_to_write() -> None:
    (image,) = read("cvat", "a\x01b.jpg").findall("image")
    assert image.attrib["name"] == "a\ufffdb.jpg"
