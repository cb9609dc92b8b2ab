import json
from xml.etree import ElementTree

import numpy as np
import pytest
from annotated import HEIGHT, WIDTH, a_look, farthest
from own_classes import KIMONO
from pycocotools import mask as coco_mask

from segmodels.annotations import annotation_files
from segmodels.annotations.label_studio import brush_runs
from segmodels.taxonomy import OUTFIT_15


def decoded(data: list[int], height: int, width: int) -> np.ndarray:
    """What rle-pack's `decode` reads, as its source has it; the four channels `(H, W, 4)`."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    number, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < number:
        is_run = read(1)
        count = 1 + read(sizes[read(2)])
        values += [read(word)] * count if is_run else [read(word) for _ in range(count)]
    return np.array(values, np.uint8).reshape(height, width, 4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (200, 300)])
def test_runs_of_a_brush_are_those_of_rle_pack(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(shape[0])
    for mask in (generator.random(shape) < 0.5, np.ones(shape, bool), np.zeros(shape, bool)):
        channels = decoded(brush_runs(mask), *shape)
        assert (channels == np.where(mask, 255, 0)[..., None]).all()


def test_runs_by_hand() -> None:
    """One row of two pixels, the second filled: 8 values, 4 of 0 and 4 of 255."""
    head = f"{8:032b}001110010001101111111"
    bits = head + "10001100000000" + "10001111111111"
    padded = bits + "0" * (-len(bits) % 8)
    assert brush_runs(np.array([[False, True]])) == [int(padded[at : at + 8], 2) for at in range(0, len(padded), 8)]


def test_a_task_has_a_prediction_whose_masks_are_the_garments() -> None:
    look = a_look()
    files = dict(annotation_files("labelstudio", [("summer/a b.jpg", look)]))
    assert list(files) == ["tasks.json", "labeling_config.xml"]
    (task,) = json.loads(files["tasks.json"])
    assert task["data"]["image"] == "/data/local-files/?d=summer/a%20b.jpg"
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "fake abc123" and 0 < prediction["score"] < 1
    seen = np.zeros((HEIGHT, WIDTH), np.uint8)
    for result in prediction["result"]:
        assert (result["type"], result["from_name"], result["to_name"]) == ("brushlabels", "brush", "image")
        assert (result["original_width"], result["original_height"], result["image_rotation"]) == (WIDTH, HEIGHT, 0)
        (name,) = result["value"]["brushlabels"]
        seen[decoded(result["value"]["rle"], HEIGHT, WIDTH)[..., 3] > 0] = OUTFIT_15[name].id
    assert (seen == look.class_map).all()
    assert len({result["id"] for result in prediction["result"]}) == len(prediction["result"]) == 9


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_polygons_are_in_percent() -> None:
    look = a_look()
    (task,) = json.loads(dict(annotation_files("labelstudio-polygons", [("a.jpg", look)]))["tasks.json"])
    by_name: dict[str, list[list[float]]] = {}
    for result in task["predictions"][0]["result"]:
        assert result["type"] == "polygonlabels" and result["from_name"] == "polygon" and result["value"]["closed"]
        points = np.array(result["value"]["points"]) * (WIDTH / 100, HEIGHT / 100)
        by_name.setdefault(result["value"]["polygonlabels"][0], []).append(points.ravel().tolist())
    assert set(by_name) == {"Hair", "Skin", "Coat", "Shirt", "Pants", "Bag", "Socks"}
    for name, parts in by_name.items():
        drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, HEIGHT, WIDTH))).astype(bool)
        assert farthest(look.class_map == OUTFIT_15[name].id, drawn) < 1


def test_the_interface_has_every_class_as_brush_and_polygon() -> None:
    config = dict(annotation_files("labelstudio", [("a.jpg", a_look(KIMONO))]))["labeling_config.xml"]
    root = ElementTree.fromstring(config)
    assert root.find("Image").get("value") == "$image"  # type: ignore[union-attr]
    for tag, name in (("BrushLabels", "brush"), ("PolygonLabels", "polygon")):
        tool = root.find(tag)
        assert tool is not None and tool.get("name") == name and tool.get("toName") == "image"
        labels = [(label.get("value"), label.get("background")) for label in tool.findall("Label")]
        assert labels == [(name, KIMONO[name].colour) for name in ("Kimono", "Obi <sash>", "Left hand", "Tote bag")]
