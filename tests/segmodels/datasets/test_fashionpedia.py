import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from segmodels.datasets import DatasetError, open_dataset
from segmodels.taxonomy import IMATERIALIST_47

# The categories as the annotation files have them: ids 0 to 45.
CATEGORIES = [
    {"id": each.id - 1, "name": each.name, "supercategory": "garment parts" if each.group == "part" else "upperbody"}
    for each in IMATERIALIST_47.classes[1:]
]
SHIRT, SLEEVE = 0, 31


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def write(root: Path, part: str, folder: str, rows: list[dict[str, Any]], *, categories: Any = None) -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30)).save(root / folder / "0a1b.jpg")
    content = {
        "images": [{"id": 1, "file_name": "0a1b.jpg", "width": 40, "height": 30, "license": 4}],
        "annotations": [{"image_id": 1, "iscrowd": 0, "attribute_ids": [1], **row} for row in rows],
        "categories": categories or CATEGORIES,
    }
    path = root / f"instances_attributes_{part}2020.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_two_parts_and_a_sleeve_on_its_shirt(tmp_path: Path) -> None:
    shirt = {"category_id": SHIRT, "segmentation": box(0, 0, 30, 20)}
    sleeve = {"category_id": SLEEVE, "segmentation": box(20, 0, 40, 10)}
    write(tmp_path, "train", "train", [sleeve, shirt])
    write(tmp_path, "val", "test", [shirt])
    dataset = open_dataset("fashionpedia", tmp_path)
    assert dataset.ids == ("train/0a1b", "val/0a1b") and dataset.taxonomy == IMATERIALIST_47
    truth = dataset.pair("train/0a1b")[1]
    shirts, sleeves = IMATERIALIST_47["shirt, blouse"].id, IMATERIALIST_47["sleeve"].id
    assert (truth[:10, 20:] == sleeves).all() and (truth == sleeves).sum() == 200, "the smaller one is on top"
    assert (truth == shirts).sum() == 600 - 100
    assert (dataset.pair("val/0a1b")[1] == shirts).sum() == 600
    assert dataset.draw_truth and dataset.draw_truth("train/0a1b").contested == 100
    alone = open_dataset(f"coco:{tmp_path / 'instances_attributes_train2020.json'}", tmp_path / "train")
    assert alone.taxonomy == IMATERIALIST_47 and (alone.pair("0a1b")[1] == truth).all()


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no instances_attributes_train2020\.json or _val2020\.json"):
        open_dataset("fashionpedia", tmp_path)
    path = write(tmp_path, "val", "elsewhere", [])
    with pytest.raises(DatasetError, match="has no folder test or val with the photos"):
        open_dataset("fashionpedia", tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "val")
    assert open_dataset("fashionpedia", tmp_path).ids == ("val/0a1b",)
    with pytest.raises(DatasetError, match="has no photo train/0a1b"):
        open_dataset("fashionpedia", tmp_path).read_truth("train/0a1b")
    write(tmp_path, "val", "val", [], categories=CATEGORIES[:20])
    with pytest.raises(DatasetError, match=f"{path.name} does not have Fashionpedia's 46 categories"):
        open_dataset("fashionpedia", tmp_path)
