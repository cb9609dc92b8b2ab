"""A table that makes classes and kinds of a source's names."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import Dataset, DatasetError, open_dataset
from segmodels.datasets.kinds import KINDS_TABLE, save_kinds_table
from segmodels.taxonomy import OUTFIT_15, UNLABELLED

NAMES = {1: "skirt", 2: "gown", 3: "clutch", 4: "leggings", 5: "tights", 6: "slacks", 7: "hanger"}
TABLE = """name,class,kind
skirt,Dress,skirt
gown,Dress,gown
leggings,Pants,leggings
tights,Pants,leggings
slacks,Pants,trousers
hanger,Background,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photo whose mask holds each name in two columns of its own, and two unlabelled ones last."""
    for part in ("photos", "masks"):
        (tmp_path / part).mkdir()
    mask = np.repeat(np.arange(9, dtype=np.uint8), 2)[None].repeat(16, axis=0)
    mask[:, 16:] = UNLABELLED
    Image.fromarray(np.full((16, 18, 3), 90, np.uint8)).save(tmp_path / "photos" / "a.png")
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES.values()), "utf-8")
    return tmp_path


def opened(folder: Path, table: str = TABLE) -> Dataset:
    (folder / KINDS_TABLE).write_text(table, "utf-8")
    return open_dataset(f"masks:{folder}")


def test_names_become_kinds_of_broader_classes(folder: Path) -> None:
    plain = open_dataset(f"masks:{folder}")
    dataset = opened(folder)
    assert dataset.taxonomy.names == ("Background", "Dress", "clutch", "Pants")
    assert [each.group for each in dataset.taxonomy.classes] == ["background", "garment", "accessory", "garment"]
    assert dataset.read_truth("a")[0, ::2].tolist() == [0, 1, 1, 2, 3, 3, 3, 0, UNLABELLED]
    assert dataset.pair("a")[1][0].tolist() == dataset.drawn_pair("a")[1].truth[0].tolist()
    assert dataset.kinds == {
        "Dress": {"skirt": ("skirt",), "gown": ("gown",)},
        "Pants": {"leggings": ("leggings", "tights"), "trousers": ("slacks",)},
    }
    assert dataset.read_labels is not None
    assert dataset.read_labels("a")[0, ::2].tolist() == [*range(8), UNLABELLED]
    assert [dataset.labels[number] for number in range(1, 8)] == list(NAMES.values())
    assert dataset.aliases["tights"] == "Pants" and "hanger" not in dataset.aliases
    assert dataset.name == plain.name and dataset.reading != plain.reading
    assert dataset.notes[-1] == f"{folder / KINDS_TABLE} makes 3 classes and 4 kinds of them."


def test_another_table_is_another_reading(folder: Path) -> None:
    one, other = opened(folder), opened(folder, TABLE.replace("tights,Pants", "tights,Socks"))
    assert one.reading != other.reading and other.taxonomy.names[-1] == "Socks"


def test_the_names_of_the_15_make_it_one_of_them(folder: Path) -> None:
    others = [each.name for each in OUTFIT_15.classes[1:] if each.name not in ("Dress", "Pants", "Bag")]
    (folder / "classes.txt").write_text("\n".join([*NAMES.values(), *others]), "utf-8")
    dataset = opened(folder, TABLE + "clutch,Bag,\n")
    assert dataset.taxonomy is OUTFIT_15
    found = [OUTFIT_15.names[number] for number in dataset.read_truth("a")[0, :16:2]]
    assert found == ["Background", "Dress", "Dress", "Bag", "Pants", "Pants", "Pants", "Background"]


def test_a_class_with_one_kind_has_none(folder: Path) -> None:
    assert opened(folder, "name,class,kind\nskirt,Dress,skirt\ngown,Dress,\n").kinds == {}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,class\nskirt,Dress\n", "needs the columns name, class and kind in its first line"),
        ("name,class,kind\nkilt,Dress,kilt\n", "names kilt, and masks-"),
        ("name,class,kind\nskirt,,skirt\n", "line 2: the name is 'skirt' and the class ''. Write both"),
        ("name,class,kind\nskirt\n", "line 2: the name is 'skirt' and the class ''. Write both"),
        ("name,class,kind\nskirt,Dress,a\nskirt,Dress,b\n", "line 3: skirt stands there twice"),
        (f"name,class,kind\nskirt,Dress,{'k' * 81}\n", "line 2: the kind is no name of up to 80 characters"),
        ("name,class,kind\nskirt,Dress,a\ngown,dress,b\n", "has the class dress twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_sentence(folder: Path, table: str, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        opened(folder, table)
    assert said in str(caught.value) and str(folder) in str(caught.value)


def test_a_table_to_begin_with(tmp_path: Path) -> None:
    names = [("skirt", "Dress"), ("dress", "Dress"), ("bag", "accessory"), ("hat", "none"), ("shirt", None)]
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    categories = [
        {"id": number, "name": name, "supercategory": broader} for number, (name, broader) in enumerate(names)
    ]
    images = [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}]
    (tmp_path / "looks.json").write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    path = save_kinds_table(open_dataset(f"coco:{tmp_path / 'looks.json'}"))
    assert path.read_text("utf-8").splitlines() == [
        "name,class,kind",
        "skirt,Dress,skirt",
        "dress,Dress,dress",
        "bag,bag,",
        "hat,hat,",
        "shirt,shirt,",
    ]
    dataset = open_dataset(f"coco:{tmp_path / 'looks.json'}")
    assert dataset.kinds == {"Dress": {"skirt": ("skirt",), "dress": ("dress",)}}
    with pytest.raises(DatasetError, match="is there already"):
        save_kinds_table(dataset)
