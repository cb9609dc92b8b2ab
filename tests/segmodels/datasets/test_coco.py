import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_annotations import NAMES, PHOTOS
from drawn_annotations import truth as drawn_truth
from PIL import Image
from pycocotools import mask as coco_mask

from segmodels.datasets import Dataset, DatasetError, open_dataset, read_coco
from segmodels.inference.segmentation import Person, Segmentation, measure
from segmodels.photo import PhotoError
from segmodels.taxonomy import OUTFIT_15, UNLABELLED

WIDTH, HEIGHT = 40, 30
SHIRT, POCKET = 7, 3  # ids in the file; classes are numbered in their order, so Pocket is 1 and Shirt is 2
CATEGORIES = [{"id": SHIRT, "name": "Shirt"}, {"id": POCKET, "name": "Pocket"}]

Write = Callable[..., Path]


def rectangle(left: int, top: int, right: int, bottom: int) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def compressed(mask: np.ndarray) -> dict[str, Any]:
    runs = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    flat = mask.T.ravel()
    edges = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1), flat.size]
    counts = np.diff(edges).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def annotation(segmentation: object, category: object = SHIRT, image: object = 1, **more: object) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **more}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a JSON file and its photos."""

    def write(annotations: list[Any], *, images: tuple[str, ...] = ("a.jpg",), **replaced: object) -> Path:
        rows = [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT} for number, name in enumerate(images, 1)
        ]
        for name in images:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(tmp_path / name)
        content = {"images": rows, "annotations": annotations, "categories": CATEGORIES, **replaced}
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content), "utf-8")
        return path

    return write


def truth_of(dataset: Dataset, photo_id: str = "a") -> np.ndarray:
    return dataset.pair(photo_id)[1]


def test_polygons_in_several_parts(write: Write) -> None:
    dataset = read_coco(write([annotation([rectangle(2, 3, 12, 9), rectangle(20, 10, 25, 30)])]))
    assert dataset.ids == ("a",) and dataset.name == "coco-instances"
    assert dataset.taxonomy.names == ("Background", "Pocket", "Shirt")
    assert [garment.group for garment in dataset.taxonomy.classes] == ["background", "garment", "garment"]
    photo, truth = dataset.pair("a")
    assert photo.shape == (HEIGHT, WIDTH, 3) and truth.dtype == np.uint8
    expected = np.zeros((HEIGHT, WIDTH), int)
    expected[3:9, 2:12] = expected[10:30, 20:25] = 2
    assert (truth == expected).all()
    assert dataset.draw_truth and dataset.draw_truth("a").contested == 0


def test_an_annotation_file_made_by_pycocotools_reads_the_same(write: Write) -> None:
    masks = [np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.4 for seed in range(5)]
    for mask in [*masks, np.ones((HEIGHT, WIDTH), bool), box(0, 0, 1, 1), box(39, 29, 40, 30)]:
        for encode in (compressed, uncompressed):
            dataset = read_coco(write([annotation(encode(mask.astype(np.uint8)))]))
            assert (truth_of(dataset) == 2 * mask).all()


def test_the_smaller_mask_is_on_top_whichever_comes_first(write: Write) -> None:
    shirt, pocket = annotation(compressed(box(0, 0, 20, 20))), annotation([rectangle(15, 5, 25, 10)], POCKET)
    for rows in ([shirt, pocket], [pocket, shirt]):
        dataset = read_coco(write(rows))
        truth = truth_of(dataset)
        assert (truth == 1).sum() == 50 and (truth == 2).sum() == 400 - 25
        assert dataset.draw_truth and dataset.draw_truth("a").contested == 25
    same = read_coco(write([shirt, annotation(uncompressed(box(0, 0, 20, 20)), POCKET)]))
    assert (truth_of(same) == 1).sum() == 400, "of two of one size the later one"
    twice = read_coco(write([shirt, annotation(compressed(box(5, 5, 10, 10)))]))
    assert twice.draw_truth and twice.draw_truth("a").contested == 0, "of one class"


def test_a_crowd_is_unlabelled_beneath_what_is_marked(write: Write) -> None:
    crowd = annotation(uncompressed(box(0, 0, 10, 10)), POCKET, iscrowd=1)
    dataset = read_coco(write([annotation([rectangle(5, 0, 30, 10)]), crowd]))
    truth = truth_of(dataset)
    assert (truth[:10, :5] == UNLABELLED).all() and (truth[:10, 5:30] == 2).all()
    assert (truth == UNLABELLED).sum() == 50
    assert dataset.draw_truth and dataset.draw_truth("a").contested == 0


def test_a_photo_without_annotations_is_background(write: Write) -> None:
    dataset = read_coco(write([annotation([rectangle(2, 3, 12, 9)])], images=("a.jpg", "sub/b.png")))
    assert dataset.ids == ("a", "sub/b")
    assert not truth_of(dataset, "sub/b").any()


def test_photos_elsewhere_and_names_in_another_spelling(write: Write, tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Röcke/é.JPG")
    path = write([annotation([rectangle(0, 0, 4, 4)])], images=(decomposed,))
    images = [{"id": 1, "file_name": unicodedata.normalize("NFC", "Röcke\\é.jpg"), "width": WIDTH, "height": HEIGHT}]
    content = json.loads(path.read_text("utf-8")) | {"images": images}
    other = tmp_path / "annotations" / "train.json"
    other.parent.mkdir()
    other.write_text(json.dumps(content), "utf-8")
    for dataset in (
        read_coco(other),
        open_dataset(f"coco:{other}", tmp_path),
        read_coco(other, tmp_path / "Ro\u0308cke"),
    ):
        assert dataset.ids == (unicodedata.normalize("NFC", "Röcke/é"),)
        assert (truth_of(dataset, dataset.ids[0]) == 2).sum() == 16


def test_categories_that_are_a_known_taxonomy(write: Write) -> None:
    names = [*OUTFIT_15.names[:0:-1], "background"]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    dataset = read_coco(write([annotation([rectangle(0, 0, 4, 4)], 1)], categories=categories))
    assert dataset.taxonomy is OUTFIT_15
    assert truth_of(dataset)[0, 0] == 14, "Socks"


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (30, 30)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_that_lies_turned_in_its_file(
    write: Write, tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    width, height = size
    red = np.zeros((height, width, 3), np.uint8)
    red[:8, :12] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    row = {"id": 1, "file_name": "a.png", "width": width, "height": height}
    path = write([annotation([rectangle(0, 0, 12, 8)])], images=())
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"images": [row]}), "utf-8")
    Image.fromarray(red).save(tmp_path / "a.png", exif=exif)
    dataset = read_coco(path)
    photo, truth = dataset.pair("a")
    assert photo.shape[:2] == ((width, height) if orientation > 4 else (height, width))
    assert ((photo[..., 0] == 255) == (truth == 2)).all() and (truth == 2).sum() == 96
    assert dataset.draw_truth and dataset.draw_truth("a").turned == (orientation != 1)


def test_annotations_of_the_upright_photo_stay(write: Write, tmp_path: Path) -> None:
    path = write([annotation([rectangle(0, 0, 12, 8)])])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(tmp_path / "a.jpg", exif=exif)
    dataset = read_coco(path)
    assert (dataset.pair("a")[1][:8, :12] == 2).all()
    assert dataset.draw_truth and not dataset.draw_truth("a").turned


GOOD = [rectangle(0, 0, 4, 4)]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (annotation(GOOD, 99), "a.jpg, annotations[0]: category 99 is not in the list of categories."),
        (
            annotation([[1, 2, 3]]),
            "annotations[0]: a polygon has 3 numbers; it needs an x and a y for each of 3 or more",
        ),
        (annotation([[1, 2, 3, 4, 5, float("nan")]]), "annotations[0]: a polygon has a number that is no place in a"),
        (annotation([[1, 2, 3, 4, 5, 10**400]]), "annotations[0]: a polygon has a number that is no place in a photo"),
        (annotation([[1, 2, 3, 4, 5, 5000]]), "annotations[0]: a polygon reaches far outside of the 40 x 30 pixels"),
        (annotation([[1, 2, 3, 4, 5, "6"]]), "annotations[0]: a polygon is not a list of numbers."),
        (annotation([]), "annotations[0]: it has no segmentation, such as a polygon."),
        (annotation({"size": [30, 40], "counts": [3, 5]}), "its run lengths are of 8 pixels, not of 1200."),
        (annotation({"size": [30, 40], "counts": [-3, 1203]}), "its run lengths are damaged."),
        (annotation({"size": [30, 40], "counts": "zzzz"}), "annotations[0]: its run lengths are damaged."),
        (annotation({"size": [30, 40], "counts": "PP"}), "annotations[0]: its run lengths are damaged."),
        (annotation({"size": [30, 40], "counts": "o" * 99}), "annotations[0]: its run lengths are damaged."),
        (annotation({"size": [30, 40], "counts": "\u00e9"}), "annotations[0]: its run lengths are damaged."),
        (annotation({"size": [9, 9], "counts": [81]}), "the size of its run lengths is [9, 9], not [30, 40] as of its"),
    ],
)
def test_a_damaged_annotation_takes_its_photo_only(write: Write, row: dict[str, Any], sentence: str) -> None:
    dataset = read_coco(write([row, annotation(GOOD, image=2)], images=("a.jpg", "b.jpg")))
    with pytest.raises(DatasetError) as caught:
        dataset.pair("a")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert (truth_of(dataset, "b") == 2).sum() == 16


def test_every_damaged_annotation_is_named(write: Write) -> None:
    dataset = read_coco(write([annotation(GOOD, 99), annotation(GOOD), annotation([[1, 2, 3]])]))
    with pytest.raises(
        DatasetError, match=r"annotations\[0\]: category 99 .*, annotations\[2\]: a polygon has 3 numbers"
    ):
        dataset.pair("a")


def test_missing_photos_and_sizes_that_are_not_theirs(write: Write, tmp_path: Path) -> None:
    dataset = read_coco(write([annotation(GOOD)], images=("a.jpg", "b.jpg")))
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(PhotoError, match=r"a\.jpg does not exist"):
        read_coco(tmp_path / "instances.json").pair("a")
    Image.new("RGB", (50, 20)).save(tmp_path / "b.jpg")
    with pytest.raises(DatasetError, match=r"json: b\.jpg is 40 x 30 pixels, its photo 50 x 20\."):
        dataset.pair("b")


def test_rows_that_belong_to_no_photo_are_faults(write: Write, tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT},
        {"id": 1, "file_name": "b.jpg", "width": WIDTH, "height": HEIGHT},
        {"id": 3},
        {"id": 4, "file_name": "c.jpg", "width": 1e9, "height": HEIGHT},
        {"id": 5, "file_name": "d.jpg"},
        {"id": 6, "file_name": "d.png"},
    ]
    path = write([annotation(GOOD), annotation(GOOD, image=77)])
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"images": images}), "utf-8")
    dataset = read_coco(path)
    assert dataset.ids == ("a", "c")
    assert dataset.faults == (
        f"{path}, images[1]: the id 1 of b.jpg is a.jpg's too.",
        f"{path}, images[2]: the id is 3 and the file_name None; both are needed.",
        f"{path}, annotations[1]: there is no image with the id 77.",
        f"{path} has 2 images of the name d ('d.jpg', 'd.png'); all are left out.",
    )
    with pytest.raises(DatasetError, match=r"c\.jpg is given 1000000000\.0 x 30 pixels, which cannot be"):
        dataset.read_truth("c")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"images": "\xff"}', "is not UTF-8 text. Save it as UTF-8."),
        (b"[]", "has no list images. Export it again as COCO instances."),
        (b'{"images": [], "annotations": [3], "categories": []}', "has no list annotations."),
        (b'{"images": [], "annotations": [], "categories": []}', "names no class beside the background."),
        (b'{"images": [], "annotations": [], "categories": [{"id": 1, "name": "Shirt"}]}', "names no photo that can"),
        (
            b'{"images": [], "annotations": [], "categories": [{"id": "1"}]}',
            "a category has the id '1' and the name None",
        ),
        (
            b'{"images":[],"annotations":[],"categories":[{"id":1,"name":"Hat"},{"id":2,"name":"Hat"}]}',
            "classes 1 and 2 are both called Hat. Rename one.",
        ),
    ],
)
def test_files_that_are_not_coco(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "instances.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_coco(path)
    assert sentence in str(caught.value) and str(path) in str(caught.value)


def test_too_many_classes(write: Write) -> None:
    categories = [{"id": number, "name": f"c{number}"} for number in range(255)]
    with pytest.raises(DatasetError, match=r"names 255 classes; 254 beside the background are allowed"):
        read_coco(write([], categories=categories))
    taxonomy = read_coco(write([], categories=categories[1:])).taxonomy
    assert len(taxonomy) == 255
    assert len({garment.colour for garment in taxonomy.classes[:73]}) == 73


def test_a_file_outside_of_the_folder_is_not_opened(write: Write, tmp_path: Path) -> None:
    path = write([annotation(GOOD)], images=("photos/a.jpg", "secret.jpg"))
    row = {"id": 1, "file_name": "../secret.jpg", "width": WIDTH, "height": HEIGHT}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"images": [row]}), "utf-8")
    dataset = read_coco(path, tmp_path / "photos")
    with pytest.raises(PhotoError, match=r"photos/secret\.jpg does not exist"):
        dataset.pair(dataset.ids[0])
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        read_coco(path, tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"none\.json cannot be read: No such file"):
        read_coco(tmp_path / "none.json")


def test_a_photo_is_not_taken_for_another_of_its_name(write: Write, tmp_path: Path) -> None:
    write([], images=("y/a.jpg", "z/b.jpg"))
    names = ["x/a.jpg", "y/a.jpg", "p/b.jpg", "q/b.jpg", "elsewhere/z/b.jpg"]
    rows = [{"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT} for number, name in enumerate(names)]
    path = tmp_path / "instances.json"

    def readable(rows: list[dict[str, Any]]) -> list[str]:
        path.write_text(json.dumps({"images": rows, "annotations": [], "categories": CATEGORIES}), "utf-8")
        dataset = read_coco(path)
        return [photo_id for photo_id in dataset.ids if dataset.photo_path(photo_id).is_file()]

    assert readable(rows) == ["y/a"], "three are z/b.jpg by their last part, and none by its whole path"
    assert readable(rows[:1]) == ["x/a"] and readable(rows[4:]) == ["elsewhere/z/b"]


def test_a_file_that_datumaro_wrote() -> None:
    files = Path(__file__).parent / "files"
    dataset = read_coco(files / "coco" / "annotations" / "instances_default.json", files / "photos")
    for name in PHOTOS:
        names = np.array([each.lower() for each in dataset.taxonomy.names])
        assert (names[dataset.pair(name)[1]] == np.array(NAMES)[drawn_truth(name)]).all()
    assert dataset.notes == ("3 of 4 annotations are crowds, taken for masks.",)


def test_masks_that_cvat_writes_as_crowds(write: Write) -> None:
    polygons = [annotation([rectangle(0, 0, 10, 10)]) for _ in range(3)]
    mask = annotation(uncompressed(box(20, 20, 30, 30)), POCKET, iscrowd=1)
    assert (truth_of(read_coco(write([*polygons, mask])))[20:, 20:30] == UNLABELLED).all()
    dataset = read_coco(write([*polygons, {**mask, "attributes": {"occluded": False}}]))
    assert (truth_of(dataset)[20:, 20:30] == 1).all()
    assert dataset.notes == ("1 of 4 annotations are crowds, taken for masks.",)


@pytest.mark.parametrize(("upright", "turned"), [(True, False), (False, True), (None, True)])
def test_a_photo_upside_down_is_as_its_row_says(write: Write, tmp_path: Path, upright: object, turned: bool) -> None:
    rows = [{"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT, "orientation": 3, "upright": upright}]
    path = write([annotation([rectangle(0, 0, WIDTH, 10)])])
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "images": rows}), "utf-8")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.jpg", exif=exif)
    dataset = read_coco(path)
    assert dataset.draw_truth and dataset.columns == {}
    drawn = dataset.draw_truth("a")
    assert drawn.turned is turned and drawn.truth[-1 if turned else 0].all() and not drawn.truth[15].any()


def test_what_segment_writes_comes_back_as_it_was(tmp_path: Path) -> None:
    """Run lengths are exact: noise, two people, one class on both, pixels at every edge."""
    generator = np.random.default_rng(4)
    class_map = generator.integers(0, len(OUTFIT_15), (HEIGHT, WIDTH), np.uint8)
    owners = generator.integers(0, 2, (HEIGHT, WIDTH), np.uint8)
    photo = generator.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    people = tuple(Person((0, 0, WIDTH, HEIGHT), 0.9, detected=True) for _ in range(2))
    sure = np.full((HEIGHT, WIDTH), 200, np.uint8)
    found = measure(photo, OUTFIT_15, class_map, sure, people, owners)
    segmentation = Segmentation(OUTFIT_15, class_map, sure, *found, "fpn", "", 0.1, owners)
    Image.fromarray(photo).save(tmp_path / "a.png")
    path = tmp_path / "found.json"
    path.write_text(json.dumps(segmentation.to_coco("a.png")), "utf-8")
    dataset = read_coco(path)
    assert dataset.taxonomy.names == OUTFIT_15.names and (truth_of(dataset) == class_map).all()


def test_supercategories_are_groups(write: Write) -> None:
    categories = [
        {"id": 1, "name": "obi", "supercategory": "Accessory"},
        {"id": 2, "name": "hem", "supercategory": "garment parts"},
        {"id": 3, "name": "bag", "supercategory": "none"},
        {"id": 4, "name": "hat", "supercategory": "garment"},
    ]
    dataset = read_coco(write([], categories=categories))
    assert [each.group for each in dataset.taxonomy.classes[1:]] == ["accessory", "part", "accessory", "garment"]


def test_photos_with_another_ending_and_columns(write: Write, tmp_path: Path) -> None:
    path = write([annotation([rectangle(0, 0, 10, 10)])], images=("sub/a.png", "sub/b.png"))
    content = json.loads(path.read_text("utf-8"))
    content["images"][0].update(file_name="photos/a.JPEG", shoot="A7", license=3, tags=["x"])
    content["images"][1].update(file_name="b.jpg", shoot="B1")
    path.write_text(json.dumps(content), "utf-8")
    dataset = read_coco(path)
    assert dataset.ids == ("b", "photos/a")
    assert [dataset.photo_path(photo_id).name for photo_id in dataset.ids] == ["b.png", "a.png"]
    assert dataset.columns == {"shoot": {"photos/a": "A7", "b": "B1"}, "license": {"photos/a": "3"}}
    content["images"][1]["file_name"] = "a.png"
    path.write_text(json.dumps(content), "utf-8")
    again = read_coco(path)
    assert again.photo_path("a").name == "a.png", "the nearer name is first"
    assert not again.photo_path("photos/a").exists(), "and no file stands for two"
