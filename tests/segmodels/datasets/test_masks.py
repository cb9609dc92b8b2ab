import json
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import Dataset, DatasetError, open_dataset, read_masks
from segmodels.taxonomy import UNLABELLED

WIDTH, HEIGHT = 20, 30


def photo(path: Path, width: int = WIDTH, height: int = HEIGHT, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (90, 120, 150)).save(path, exif=exif)


def mask(path: Path, value: int = 1, width: int = WIDTH, height: int = HEIGHT, mode: str = "L") -> None:
    """A mask with the value in its upper left 4 x 3 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((height, width), np.uint16 if mode == "I;16" else np.uint8)
    values[:3, :4] = value
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    image.save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photo(tmp_path / "photos" / "a.jpg")
    photo(tmp_path / "photos" / "b.jpg")
    mask(tmp_path / "masks" / "a.png", 1)
    mask(tmp_path / "masks" / "b.png", 2, mode="P")
    (tmp_path / "classes.txt").write_text("background\nShirt\nTrousers\n", "utf-8")
    return tmp_path


def shown(dataset: Dataset, photo_id: str) -> list[int]:
    """Class of the corner that `mask` marks, class beside it, and number of pixels of the former."""
    truth = dataset.pair(photo_id)[1]
    return [int(truth[0, 0]), int(truth[3, 4]), int((truth == truth[0, 0]).sum())]


def test_the_folder_itself_may_be_named_for_the_photos(root: Path) -> None:
    assert open_dataset(f"masks:{root}", root).ids == open_dataset(f"masks:{root}", root / "photos").ids == ("a", "b")


def test_index_and_palette(root: Path) -> None:
    dataset = open_dataset(f"masks:{root}")
    assert dataset.ids == ("a", "b") and dataset.taxonomy.names == ("Background", "Shirt", "Trousers")
    assert dataset.faults == ()
    assert shown(dataset, "a") == [1, 0, 12] and shown(dataset, "b") == [2, 0, 12]
    assert dataset.read_truth("a").dtype == np.uint8


def test_16_bits_black_and_white_and_unlabelled(root: Path) -> None:
    mask(root / "masks" / "a.png", 2, mode="I;16")
    Image.fromarray(np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) < 100).save(root / "masks" / "b.png")
    dataset = read_masks(root)
    assert shown(dataset, "a") == [2, 0, 12] and shown(dataset, "b")[::2] == [1, 100]
    mask(root / "masks" / "a.png", UNLABELLED)
    assert shown(read_masks(root), "a") == [UNLABELLED, 0, 12]


@pytest.mark.parametrize(
    ("file", "text", "names", "corner"),
    [
        ("classes.txt", "\ufeffShirt\r\nTrousers\r\n", ("Shirt", "Trousers"), 1),
        ("classes.txt", "_background_\nShirt", ("Shirt",), 1),
        ("classes.json", '["Shirt", "Hat"]', ("Shirt", "Hat"), 1),
        ("classes.json", '["Background", "Shirt", "Hat"]', ("Shirt", "Hat"), 1),
        ("classes.json", '{"5": "Hat", "1": "Shirt"}', ("Shirt", "Hat"), 1),
        ("classes.json", '{"0": "Hat", "1": "Shirt"}', ("Hat", "Shirt"), 2),
    ],
)
def test_lists_of_classes(root: Path, file: str, text: str, names: tuple[str, ...], corner: int) -> None:
    (root / "classes.txt").unlink()
    (root / file).write_text(text, "utf-8")
    dataset = read_masks(root)
    assert dataset.taxonomy.names == ("Background", *names)
    assert dataset.read_truth("a")[0, 0] == corner


def test_other_layouts(tmp_path: Path) -> None:
    together = tmp_path / "together"
    for name in ("x/a.PNG", "b.jpg"):
        photo(together / name)
        mask(together / f"{Path(name).with_suffix('')}_mask.png")
    photo(together / "photo_mask_of_c.jpg")
    (together / "classes.txt").write_text("Shirt\n", "utf-8")
    dataset = read_masks(together)
    assert dataset.ids == ("b", "x/a") and shown(dataset, "x/a") == [1, 0, 12]
    assert dataset.faults == (f"{together / 'photo_mask_of_c.jpg'} has no mask in {together}.",)
    apart = tmp_path / "apart"
    photo(tmp_path / "elsewhere" / "a.jpg")
    mask(apart / "labels" / "a_mask.png")
    (apart / "classes.txt").write_text("Shirt\n", "utf-8")
    assert shown(open_dataset(f"masks:{apart}", tmp_path / "elsewhere"), "a") == [1, 0, 12]
    beside = tmp_path / "beside"
    photo(beside / "a.png")
    mask(beside / "masks" / "a.png")
    (beside / "classes.txt").write_text("Shirt\n", "utf-8")
    dataset = read_masks(beside)
    assert dataset.ids == ("a",) and dataset.faults == () and shown(dataset, "a") == [1, 0, 12]


def test_names_in_another_spelling(root: Path) -> None:
    name = "Röcke/é"
    photo(root / "photos" / unicodedata.normalize("NFD", f"{name}.JPG"))
    mask(root / "masks" / unicodedata.normalize("NFC", f"{name}.PNG"))
    assert unicodedata.normalize("NFC", name) in read_masks(root).ids


def test_a_photo_that_lies_turned_in_its_file(root: Path) -> None:
    photo(root / "photos" / "a.jpg", orientation=6)  # a quarter turn clockwise
    dataset = read_masks(root)
    photo_, truth = dataset.pair("a")
    assert photo_.shape[:2] == truth.shape == (WIDTH, HEIGHT)
    assert (truth[:4, -3:] == 1).all() and (truth == 1).sum() == 12
    assert dataset.draw_truth and dataset.draw_truth("a").turned and not dataset.draw_truth("b").turned
    mask(root / "masks" / "a.png", 1, HEIGHT, WIDTH)
    assert shown(dataset, "a") == [1, 0, 12] and not dataset.draw_truth("a").turned


def test_files_without_their_other_half(root: Path) -> None:
    photo(root / "photos" / "c.jpg")
    mask(root / "masks" / "d.png")
    for name in ("e.jpg", "e.png"):
        photo(root / "photos" / name)
    mask(root / "masks" / "e.png")
    photo(root / "photos" / "f.jpg")
    mask(root / "masks" / "f.png")
    mask(root / "masks" / "f_mask.png")
    dataset = read_masks(root)
    assert dataset.ids == ("a", "b")
    assert dataset.faults == (
        f"{root / 'photos' / 'c.jpg'} has no mask in {root / 'masks'}.",
        f"{root / 'masks' / 'd.png'} has no photo in {root / 'photos'}.",
        f"{root / 'photos'} has 2 photos of the name e (e.jpg, e.png).",
        f"{root / 'masks'} has 2 masks of the name f (f.png, f_mask.png).",
    )


def test_damaged_masks_take_their_photo_only(root: Path) -> None:
    mask(root / "masks" / "a.png", 9)
    dataset = read_masks(root)
    with pytest.raises(DatasetError, match=r"a\.png: no class has the number 9; the last one is 2\."):
        dataset.pair("a")
    mask(root / "masks" / "a.png", 700, mode="I;16")
    with pytest.raises(DatasetError, match=r"a\.png: no class has the number 700"):
        dataset.pair("a")
    mask(root / "masks" / "a.png", 1, 10, 10)
    with pytest.raises(DatasetError, match=r"a\.png is 10 x 10 pixels, its photo 20 x 30\. Mark the photo"):
        dataset.pair("a")
    photo(root / "masks" / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png is RGB, not an index or palette PNG\."):
        dataset.pair("a")
    whole = (root / "masks" / "b.png").read_bytes()
    for content in (b"", b"rubbish", whole[:60]):
        (root / "masks" / "a.png").write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.png is missing, damaged or no PNG \(.*\)\. Export it again\."):
            dataset.pair("a")
    assert shown(dataset, "b") == [2, 0, 12]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_pipe_in_the_place_of_a_mask_is_not_waited_for(root: Path) -> None:
    (root / "masks" / "a.png").unlink()
    os.mkfifo(root / "masks" / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png is missing, damaged or no PNG \(it is not a regular file\)"):
        read_masks(root).pair("a")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("classes.txt", b"\xff\xfeS", "classes.txt is not UTF-8 text. Save it as UTF-8."),
        ("classes.txt", b"", "classes.txt names no class beside the background."),
        ("classes.txt", b"Shirt\n\nHat\n", "the name of class 2 is ''. Give it 1 to 80 characters on one line."),
        ("classes.txt", b"Shirt\nShirt\n", "classes 1 and 2 are both called Shirt. Rename one."),
        ("classes.txt", b"background\nbg\nHat\n", "classes 0 and 1 are both the background. Remove one."),
        ("classes.txt", b"x\n" * 99_999, "classes.txt has more than 64 KB"),
        ("classes.json", b"[", "classes.json is not JSON"),
        ("classes.json", b"3", "classes.json is neither a list of names nor names by number."),
        ("classes.json", b"[3]", "classes.json is neither a list of names nor names by number."),
        ("classes.json", b'{"255": "Hat"}', "'255' is not a number from 0 to 254."),
        ("classes.json", b'{"x": "Hat"}', "'x' is not a number from 0 to 254."),
        ("classes.json", b'{"1": "Hat", "01": "Bag"}', "'01' is not a number from 0 to 254."),
        ("classes.json", b'{"' + b"9" * 5000 + b'": "Hat"}', "99' is not a number from 0 to 254."),
        ("labelmap.txt", b"Hat:1," + b"9" * 5000 + b",1::", "is not name:red,green,blue:: as CVAT writes it."),
    ],
)
def test_lists_of_classes_that_cannot_be_used(root: Path, file: str, content: bytes, sentence: str) -> None:
    (root / "classes.txt").unlink()
    (root / file).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_masks(root)
    assert sentence in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_a_name_that_is_no_text_takes_its_photo_only(root: Path) -> None:
    for folder, ending in (("photos", ".jpg"), ("masks", ".png")):
        (root / folder / f"a{ending}").rename(root / folder / os.fsdecode(b"\xe9t\xe9" + ending.encode()))
    dataset = open_dataset(f"masks:{root}")
    assert dataset.ids == ("b",)
    assert dataset.faults == (r"'\udce9t\udce9': the name of the photo is not Unicode text. Rename it.",)
    for path in root.glob("*/b.*"):
        path.unlink()
    with pytest.raises(DatasetError, match="has no photo that can be used"):
        open_dataset(f"masks:{root}")


def test_folders_that_cannot_be_used(root: Path, tmp_path: Path) -> None:
    (root / "classes.json").write_text(json.dumps(["Hat"]), "utf-8")
    with pytest.raises(DatasetError, match=r"holds classes\.txt and classes\.json\. Remove one\."):
        read_masks(root)
    (root / "classes.txt").unlink()
    (root / "classes.json").unlink()
    with pytest.raises(DatasetError, match=r"holds no classes\.txt\. Write the name of one class a line\."):
        read_masks(root)
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        read_masks(tmp_path / "nowhere")
    (root / "empty" / "photos").mkdir(parents=True)
    (root / "empty" / "classes.txt").write_text("Hat", "utf-8")
    with pytest.raises(DatasetError, match="No photo in .*photos has a mask of the same name in .*empty"):
        read_masks(root / "empty")
