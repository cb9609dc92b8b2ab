import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import DatasetError, dataset_name, open_dataset, read_yolo

WIDTH, HEIGHT = 40, 20
SHIRT = "0 0.1 0.1 0.6 0.1 0.6 0.9 0.1 0.9"  # pixels 4 to 24, 2 to 18
POCKET = "1 0.5 0.2 0.7 0.2 0.7 0.4 0.5 0.4"  # pixels 20 to 28, 4 to 8


def photo(path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(path, **options)  # type: ignore[arg-type]


def labels(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", "utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, name in (("train", "a.jpg"), ("train", "b.png"), ("val", "c.jpg")):
        photo(tmp_path / "images" / part / name)
    labels(tmp_path / "labels" / "train" / "a.txt", SHIRT, "", POCKET)
    labels(tmp_path / "labels" / "val" / "c.txt", POCKET)
    (tmp_path / "data.yaml").write_text("names: [Shirt, Pocket]\ntrain: images/train\nval: images/val\n", "utf-8")
    return tmp_path


def test_polygons(root: Path) -> None:
    dataset = open_dataset(f"yolo:{root / 'data.yaml'}")
    assert dataset.ids == ("images/train/a", "images/train/b", "images/val/c")
    assert dataset.taxonomy.names == ("Background", "Shirt", "Pocket") and dataset.faults == ()
    truth = dataset.pair("images/train/a")[1]
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[2:18, 4:24] = 1
    expected[4:8, 20:28] = 2
    assert (truth == expected).all()
    assert dataset.draw_truth and dataset.draw_truth("images/train/a").contested == 16
    assert not dataset.pair("images/train/b")[1].any(), "it has no labels"
    assert (dataset.pair("images/val/c")[1] == 2).sum() == 32


@pytest.mark.parametrize(
    "text",
    [
        "names:\n  0: Shirt\n  1: Pocket\ntrain: images/train\ntest: ''\nval: [images/val, images/train]\nnc: 2\n",
        "names: {0: Shirt, 1: Pocket}\npath: .\ntrain: images\n",
        "names: [Shirt, Pocket]\ntrain: ../images/train\nval: ../images/val\n",
    ],
)
def test_ways_to_write_it(root: Path, text: str) -> None:
    (root / "data.yaml").write_text(text, "utf-8")
    dataset = read_yolo(root / "data.yaml")
    assert len(dataset.ids) == 3 and dataset.faults == ()
    assert sum(int(dataset.read_truth(photo_id).sum()) for photo_id in dataset.ids) == 304 + 2 * 32 + 2 * 32


def test_a_file_that_lies_elsewhere(root: Path, tmp_path: Path) -> None:
    moved = tmp_path / "lists" / "clothes.yaml"
    moved.parent.mkdir()
    moved.write_bytes((root / "data.yaml").read_bytes())
    dataset = read_yolo(moved, root)
    assert len(dataset.ids) == 3 and dataset.name == "yolo-clothes" == dataset_name(f"yolo:{moved}")
    assert read_yolo(root / "data.yaml").name == f"yolo-{root.name.replace('_', '-')}"
    assert dataset_name("ccp") == "ccp"


def test_names_in_another_spelling(root: Path) -> None:
    photo(root / "images" / "val" / unicodedata.normalize("NFC", "é.JPG"))
    labels(root / "labels" / "val" / unicodedata.normalize("NFD", "é.txt"), POCKET)
    dataset = read_yolo(root / "data.yaml")
    assert (dataset.read_truth(unicodedata.normalize("NFC", "images/val/é")) == 2).sum() == 32


def test_polygons_are_of_the_upright_photo(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(root / "images" / "val" / "c.jpg", exif=exif)
    dataset = read_yolo(root / "data.yaml")
    truth = dataset.pair("images/val/c")[1]
    assert truth.shape == (WIDTH, HEIGHT)
    assert (truth[8:16, 10:14] == 2).all() and (truth == 2).sum() == 32


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("2 0.1 0.1 0.6 0.1 0.6 0.9", "a.txt, line 2: '2' is not the number of a class."),
        ("shirt 0.1 0.1 0.6 0.1 0.6 0.9", "line 2: 'shirt' is not the number of a class."),
        ("0 0.5 0.5 0.1 0.1", "line 2: it is a box, not a polygon."),
        ("0 0.5 0.5 0.1", "line 2: a polygon has 3 numbers; it needs an x and a y for each of 3 or more points."),
        ("0 0.1 0.1 0.6 0.1 0.6 x", "line 2: the polygon holds something other than numbers."),
        ("0 0.1 0.1 0.6 0.1 0.6 nan", "line 2: the polygon has a number that is no share between 0 and 1."),
        ("0 0.1 0.1 0.6 0.1 0.6 9", "line 2: the polygon has a number that is no share between 0 and 1."),
    ],
)
def test_a_damaged_row_takes_its_photo_only(root: Path, row: str, sentence: str) -> None:
    labels(root / "labels" / "train" / "a.txt", SHIRT, row)
    dataset = read_yolo(root / "data.yaml")
    with pytest.raises(DatasetError) as caught:
        dataset.pair("images/train/a")
    assert sentence in str(caught.value)
    assert (dataset.pair("images/val/c")[1] == 2).sum() == 32


def test_damaged_files(root: Path) -> None:
    (root / "labels" / "train" / "a.txt").write_bytes(b"\xff\xfe0")
    labels(root / "labels" / "train" / "z.txt", SHIRT)
    for name in ("d.jpg", "d.png"):
        photo(root / "images" / "val" / name)
    labels(root / "labels" / "val" / "d.txt", SHIRT)
    (root / "images" / "val" / "c.jpg").write_bytes(b"rubbish")
    dataset = read_yolo(root / "data.yaml")
    assert dataset.ids == ("images/train/a", "images/train/b", "images/val/c")
    with pytest.raises(DatasetError, match=r"a\.txt is not UTF-8 text"):
        dataset.pair("images/train/a")
    with pytest.raises(DatasetError, match=r"c\.jpg is text, not a photo"):
        dataset.read_truth("images/val/c")
    assert dataset.faults == (
        f"{root / 'labels' / 'train' / 'z.txt'} has no photo in {root / 'images' / 'train'}.",
        f"{root / 'images' / 'val'} has 2 photos of the name images/val/d (d.jpg, d.png).",
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"names: [", "data.yaml is not YAML ("),
        (b"names: !!python/object/apply:os.system ['true']", "data.yaml is not YAML ("),
        (b"\xff", "data.yaml is not UTF-8 text."),
        (b"- 3", "data.yaml has no names."),
        (b"train: images/train", "names must be a list of names, or names by number."),
        (b"names: [1, 2]", "names must be a list of names, or names by number."),
        (b"names: {a: Shirt}", "names must be a list of names, or names by number."),
        (b"names: [Shirt]\ntrain: nowhere", "data.yaml leads to no photo. "),
        (b"names: [Shirt]\ntrain: nowhere", "train is 'nowhere', which is no folder in "),
        (b"names: [Shirt]\ntrain: ../..", "train is '../..', which is no folder in "),
        (b"names: [Shirt]\ntrain: /", "train is '/', which is no folder in "),
        (b"names: [Shirt]\ntrain: " + b"x" * 300, "which is no folder in "),
        (b"names: [Shirt]\ntrain: 3", "train is 3, which is no folder in "),
    ],
)
def test_files_that_cannot_be_used(root: Path, content: bytes, sentence: str) -> None:
    (root / "data.yaml").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_yolo(root / "data.yaml")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_labels_without_photos_go_with_those_in_another_folder(root: Path, tmp_path: Path) -> None:
    photos = tmp_path / "elsewhere"
    for name in ("a.jpg", "c.JPG", "more.jpg"):
        photo(photos / name)
    (root / "images").rename(tmp_path / "moved")
    dataset = open_dataset(f"yolo:{root / 'data.yaml'}", photos)
    assert dataset.ids == ("a", "c"), "more.jpg has no labels and was perhaps never looked at"
    assert dataset.faults == () and (dataset.pair("c")[1] == 2).sum() == 32
    labels(root / "labels" / "val" / "lost.txt", POCKET)
    assert read_yolo(root / "data.yaml", photos).faults == (
        f"{root / 'labels' / 'val' / 'lost.txt'} has no photo in {photos}.",
    )


def test_labels_without_photos_ask_for_their_folder(root: Path, tmp_path: Path) -> None:
    (root / "images").rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match=r"is no folder in .* The labels are there, in .*train\. Name the folder of"):
        read_yolo(root / "data.yaml")
    with pytest.raises(DatasetError, match="Nor has a photo in .* the name of a file of labels beside data.yaml."):
        read_yolo(root / "data.yaml", tmp_path / "moved" / "val" / "..")


def test_a_path_of_another_machine(root: Path) -> None:
    text = "path: /content/datasets/outfits\nnames: [Shirt, Pocket]\ntrain: images/train\n"
    (root / "data.yaml").write_text(text, "utf-8")
    assert read_yolo(root / "data.yaml").ids == ("images/train/a", "images/train/b")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_pipe_in_the_place_of_labels_is_not_waited_for(root: Path) -> None:
    (root / "labels" / "train" / "a.txt").unlink()
    os.mkfifo(root / "labels" / "train" / "a.txt")
    with pytest.raises(DatasetError, match=r"a\.txt cannot be read: .*not a regular file"):
        read_yolo(root / "data.yaml").pair("images/train/a")
