import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_annotations import NAMES, PHOTOS, truth
from PIL import Image

from segmodels.datasets import Dataset, DatasetError, open_dataset, read_labelstudio

FILES = Path(__file__).parent / "files"
WIDTH, HEIGHT = 40, 30

Write = Callable[..., Path]


def polygon(label: str, points: list[Any], kind: str = "polygonlabels", **more: object) -> dict[str, Any]:
    return {
        "id": "a",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": {"points": points, kind: [label]},
        **more,
    }


def task(*results: dict[str, Any], image: str = "a.png", **more: object) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"id": 1, "result": list(results)}], **more}


HALF = [[0, 0], [50, 0], [50, 100], [0, 100]]
SKIRT = polygon("skirt", HALF)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an export beside its photos."""

    def write(*tasks: Any, photos: tuple[str, ...] = ("a.png",), orientation: int = 1) -> Path:
        for name in photos:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(tmp_path / name, exif=exif)
        path = tmp_path / "export.json"
        path.write_text(json.dumps(list(tasks)), "utf-8")
        return path

    return write


def named(dataset: Dataset, photo_id: str) -> np.ndarray:
    """Names of the classes by pixel, in lower case."""
    return np.array([name.lower() for name in dataset.taxonomy.names])[dataset.pair(photo_id)[1]]


def test_an_export_whose_strokes_the_tools_own_library_packed() -> None:
    dataset = open_dataset(f"labelstudio:{FILES / 'labelstudio.json'}", FILES / "photos")
    assert dataset.ids == ("0a1b2c3d-front", "0a1b2c3d-side") and dataset.name == "labelstudio-labelstudio"
    assert dataset.taxonomy.names == ("Background", "belt", "boots", "skirt") and dataset.faults == ()
    for photo_id, name in zip(dataset.ids, PHOTOS, strict=True):
        assert dataset.photo_path(photo_id) == FILES / "photos" / f"{name}.png", "without what an upload is given"
        assert (named(dataset, photo_id) == np.array(NAMES)[truth(name)]).all()
    assert dataset.columns == {"shoot": {"0a1b2c3d-front": "s1", "0a1b2c3d-side": "s2"}}
    assert dataset.notes == (
        "2 photos have several annotations, of which the newest is taken: 0a1b2c3d-front, 0a1b2c3d-side.",
        "The labels of brush, polygon are one list of classes.",
    )


def test_percent_are_of_the_sides_and_the_smaller_is_on_top(write: Write) -> None:
    belt = polygon("belt", [[25, 10], [75, 10], [75, 20], [25, 20]])
    dataset = read_labelstudio(write(task(belt, SKIRT)))
    expected = np.full((HEIGHT, WIDTH), "background", object)
    expected[:, :20] = "skirt"
    expected[3:6, 10:30] = "belt"
    assert (named(dataset, "a") == expected).all()
    assert dataset.draw_truth and dataset.draw_truth("a").contested == 30


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/upload/12/0a1b2c3d-a.png", "0a1b2c3d-a.png"),
        ("/data/upload/12/0a1b2c3d-a.png", "deep/a.PNG"),
        ("/data/local-files/?d=shoot%201/a.png", "shoot 1/a.png"),
        ("/data/local-files/?d=x/y/shoot%201/a.jpg", "a.png"),
        ("https://example.com/bucket/a.png?Signature=x", "a.png"),
        ("s3://bucket/photos/a.jpeg", "photos/a.png"),
    ],
)
def test_where_a_photo_is(write: Write, address: str, file: str) -> None:
    dataset = read_labelstudio(write(task(SKIRT, image=address), photos=(file,)))
    assert dataset.photo_path(dataset.ids[0]).name == Path(file).name
    assert (dataset.read_truth(dataset.ids[0]) == 1).sum() == WIDTH * HEIGHT // 2


def test_the_newest_annotation_that_was_not_cancelled(write: Write) -> None:
    changed = {"id": 1, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-03-01T00:00:00Z", "result": []}
    newer = {"id": 2, "created_at": "2026-02-01T00:00:00+00:00", "result": [SKIRT]}
    cancelled = {"id": 3, "created_at": "2026-04-01T00:00:00Z", "result": [SKIRT], "was_cancelled": True}
    first = {**task(), "annotations": [changed, newer, cancelled]}
    second = {**task(SKIRT, image="b.png"), "id": 2}
    third = {**task(image="c.png"), "annotations": [cancelled]}
    dataset = read_labelstudio(write(first, second, third, photos=("a.png", "b.png", "c.png")))
    assert dataset.ids == ("a", "b")
    assert not dataset.read_truth("a").any(), "the newest one is empty"
    assert dataset.notes == (
        "1 photo has several annotations, of which the newest is taken: a.",
        "1 photo has no annotation, or only a cancelled one, and is left out: c.",
    )


def test_two_photos_in_a_task(write: Write) -> None:
    two = task(polygon("skirt", HALF, to_name="front"), polygon("belt", HALF, to_name="back"))
    two["data"] = {"front": "f.png", "back": "b.png", "shoot": "A7"}
    dataset = read_labelstudio(write(two, photos=("f.png", "b.png")))
    assert set(named(dataset, "f").ravel()) == {"background", "skirt"}
    assert set(named(dataset, "b").ravel()) == {"background", "belt"}
    assert dataset.columns == {"shoot": {"f": "A7", "b": "A7"}}
    two["annotations"][0]["result"].append(polygon("belt", HALF, to_name="side"))
    assert read_labelstudio(write(two)).faults == (
        f"{dataset.truth_path('f')}, task 1, annotations[0]: side is none of its photos back, front.",
    )


def test_labels_that_stand_apart_from_the_shape_and_what_is_no_region(write: Write) -> None:
    shape = polygon("", HALF, kind="polygon")
    del shape["value"]["polygon"]
    choice = {"id": "b", "type": "choices", "from_name": "season", "to_name": "image", "value": {"choices": ["SS"]}}
    dataset = read_labelstudio(write(task(shape, polygon("skirt", HALF, kind="labels"), choice)))
    assert (dataset.read_truth("a") == 1).sum() == WIDTH * HEIGHT // 2


@pytest.mark.parametrize(("orientation", "rows"), [(3, slice(0, 10)), (4, slice(0, 10)), (1, slice(0, 10))])
def test_a_photo_is_marked_as_a_browser_shows_it(write: Write, orientation: int, rows: slice) -> None:
    top = polygon("skirt", [[0, 0], [100, 0], [100, 100 / 3], [0, 100 / 3]])
    truth = read_labelstudio(write(task(top), orientation=orientation)).read_truth("a")
    assert truth[rows].all() and not truth[10:].any()


def test_a_photo_that_was_marked_as_its_file_has_it(write: Write) -> None:
    dataset = read_labelstudio(write(task(SKIRT), orientation=6))
    assert dataset.draw_truth and dataset.draw_truth("a").turned
    photo, truth = dataset.pair("a")
    assert photo.shape[:2] == truth.shape == (WIDTH, HEIGHT)
    assert truth[:20].all() and not truth[20:].any(), "the left half lies on top after a turn to the right"


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (polygon("skirt", HALF, kind="rectanglelabels"), r"result\[1\]: it is a box, not a brush stroke or polygon\."),
        (polygon("skirt", HALF, original_width=41), r"its regions are of photos of 40 x 30, 41 x 30 pixels"),
        (polygon("skirt", HALF, original_width=10**6, original_height=10**6), "1000000 x 1000000 pixels, which cannot"),
        (polygon("skirt", HALF, original_width=None), "its photo is given None x 30 pixels"),
        (polygon("skirt", HALF, image_rotation=90), "was turned by 90 degrees in Label Studio"),
        (polygon("skirt", [[0, 0], [float("nan"), 0], [1, 1]]), "a number that is no place in a photo"),
        (polygon("skirt", [[0, 0], [-900, 0], [1, 1]]), "reaches far outside"),
        (polygon("skirt", [[0, 0], [1]]), "its points are not a list of two numbers each"),
        (polygon("skirt", [[0, 0], [1, 1]]), "a polygon has 4 numbers"),
        ({**SKIRT, "value": {"points": HALF, "polygonlabels": ["skirt", "belt"]}}, "it has 2 labels, not one"),
        ({**SKIRT, "value": {"points": HALF}}, "it has 0 labels, not one"),
        ({**SKIRT, "value": {"polygonlabels": ["skirt"]}}, "neither a brush stroke nor a polygon"),
        ({**SKIRT, "value": {"rle": [0, 0, 18, 192], "brushlabels": ["skirt"]}}, "its brush strokes are damaged"),
        ({**SKIRT, "value": {"rle": [256], "brushlabels": ["skirt"]}}, "its brush strokes are damaged"),
        (
            {**SKIRT, "value": {"rle": [255] * 12, "brushlabels": ["skirt"]}},
            "its brush strokes are of 1,073,741,824 pixels, not of 40 x 30",
        ),
    ],
)
def test_a_region_that_cannot_be_read_leaves_its_photo_out(write: Write, result: dict[str, Any], sentence: str) -> None:
    path = write(task(SKIRT, result), {**task(SKIRT, image="b.png"), "id": 2}, photos=("a.png", "b.png"))
    dataset = read_labelstudio(path)
    assert (dataset.read_truth("b") == dataset.taxonomy["skirt"].id).sum() == WIDTH * HEIGHT // 2
    with pytest.raises(DatasetError, match=sentence) as raised:
        dataset.pair("a")
    assert str(raised.value).startswith(f"{path}, task 1, a, ") and str(raised.value).count("\n") == 0


def test_tasks_that_are_none_are_named(write: Write) -> None:
    path = write(
        task(SKIRT),
        7,
        {"id": 3, "data": {"image": "data:image/png;base64,AAAA"}, "annotations": []},
        {"id": 4, "data": {"image": "x.png"}, "annotations": 5},
        {"id": 5, "data": {"image": "y.png"}, "annotations": [{"result": None}]},
    )
    dataset = read_labelstudio(path)
    assert dataset.ids == ("a",) and dataset.faults == (
        f"{path}, [1]: it is no task with data.",
        f"{path}, task 3: its data names no photo.",
        f"{path}, task 4: its annotations are not a list.",
        f"{path}, task 5, annotations[0]: it has no list of results.",
    )


def test_a_photo_that_is_not_there(write: Write) -> None:
    path = write(task(SKIRT, image="/data/upload/1/0a1b2c3d-b.png"))
    with pytest.raises(DatasetError, match=r"task 1: there is no file 0a1b2c3d-b\.png or b\.png among the photos\."):
        read_labelstudio(path).read_truth("0a1b2c3d-b")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"{", "is not JSON"),
        (b"\xff\xfe[\x00", "is not UTF-8 text"),
        (b'{"images": []}', "is not a list of tasks. Export it from Label Studio as JSON."),
        (b'[{"image": "a.png", "label": []}]', "has tasks without data, as JSON-MIN has"),
        (b"[]", "has no photo with an annotation"),
        (json.dumps([task()]).encode(), "no annotation has a label of a brush or polygon"),
        (json.dumps([task(polygon(" ", HALF))]).encode(), "the name of class 0 is ''"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        read_labelstudio(path)
    with pytest.raises(DatasetError, match="cannot be read: No such file or directory"):
        read_labelstudio(tmp_path / "none.json")


PREDICTED = {"id": 1, "data": {"image": "a.png"}, "predictions": [{"id": 3, "result": [SKIRT]}]}


def test_predictions_where_no_task_has_an_annotation(write: Write) -> None:
    older = {"id": 2, "result": [polygon("hat", HALF)]}
    task_ = {**PREDICTED, "predictions": [*PREDICTED["predictions"], older], "annotations": []}  # type: ignore[misc]
    dataset = read_labelstudio(write(task_))
    assert (named(dataset, "a")[:, :20] == "skirt").all() and dataset.taxonomy.names == ("Background", "skirt")
    assert dataset.notes == (
        "No task has an annotation; the predictions are taken, which a network made.",
        "1 photo has several predictions, of which the newest is taken: a.",
    )


def test_predictions_are_no_truth_beside_annotations(write: Write) -> None:
    dataset = read_labelstudio(write(PREDICTED, {**task(SKIRT, image="b.png"), "predictions": [7]}, photos=("b.png",)))
    assert dataset.ids == ("b",)
    assert dataset.notes == ("1 photo has no annotation, or only a cancelled one, and is left out: a.",)


def test_labels_that_the_interface_offers_are_classes(write: Write) -> None:
    path = write(task(SKIRT))
    config = path.with_name("labeling_config.xml")
    config.write_text(
        '<View><Image name="i"/><BrushLabels name="b"><Label value="Hat"/></BrushLabels>'
        '<RectangleLabels name="r"><Label value="Box"/></RectangleLabels></View>'
    )
    assert read_labelstudio(path).taxonomy.names == ("Background", "Hat", "skirt")
    for content, sentence in (("<View>", "is not XML"), ("<!DOCTYPE a><View/>", "declares a document type")):
        config.write_text(content)
        with pytest.raises(DatasetError, match=f"labeling_config.xml {sentence}"):
            read_labelstudio(path)


def test_two_variables_that_name_one_photo(write: Write) -> None:
    both = {**task(SKIRT), "data": {"image": "/data/local-files/?d=a.png", "photo": "a.png"}}
    dataset = read_labelstudio(write(both))
    assert (named(dataset, "a")[:, :20] == "skirt").all() and dataset.notes == () == dataset.faults
