import io
from pathlib import Path

import numpy as np
import pytest
from annotated import a_class_map, a_look, a_photo, farthest, save_photo
from own_classes import KIMONO
from PIL import Image

from segmodels.annotations import ANNOTATION_FORMATS, annotation_files, names_apart
from segmodels.datasets import open_dataset
from segmodels.inference.segmentation import Segmentation

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


_PLACES = {
    "coco": ("", "coco:coco.json"),
    "masks": ("photos", "masks:."),
    "yolo": ("images", "yolo:data.yaml"),
    "labelstudio": ("", "labelstudio:tasks.json"),
    "cvat": ("images", "cvat:annotations.xml"),
}
"""Where photos lie beside an export, and how the export is named."""


def export(kind: str, folder: Path, look: Segmentation, name: str = "a.png") -> None:
    for path, content in annotation_files(kind, [(name, look)]):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def read_back(kind: str, folder: Path, look: Segmentation) -> np.ndarray:
    """The class map that the reader of a format gives for the photo upright."""
    export(kind, folder, look)
    photos, source = _PLACES[kind.partition("-")[0]]
    save_photo(folder / photos / "a.png", look.orientation)
    name, _, path = source.partition(":")
    dataset = open_dataset(f"{name}:{folder / path}", None)
    assert dataset.taxonomy == look.taxonomy, "the names are those of the 15"
    (photo_id,) = dataset.ids
    photo, truth = dataset.pair(photo_id)
    assert (photo == a_photo()).all()
    return truth


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("stored", [False, True])
def test_masks_come_back_identical_however_the_photo_is_turned(tmp_path: Path, orientation: int, stored: bool) -> None:
    look = a_look(orientation=orientation)
    for kind in ("coco", "masks"):
        given = look.as_stored() if stored else look
        assert (read_back(kind, tmp_path / kind, given) == a_class_map()).all(), kind


@pytest.mark.parametrize("orientation", [1, 6, 3])
def test_polygons_come_back_within_a_pixel(tmp_path: Path, orientation: int) -> None:
    look = a_look(orientation=orientation)
    for kind in ("coco-polygons", "yolo"):
        given = read_back(kind, tmp_path / kind, look)
        for class_id in set(np.unique(a_class_map())) - {0}:  # a pixel between two outlines may be in neither
            assert farthest(a_class_map() == class_id, given == class_id) < 1, (kind, class_id)


@pytest.mark.parametrize("kind", ANNOTATION_FORMATS)
def test_every_export_is_read_back_with_photos_that_lie_elsewhere(tmp_path: Path, kind: str) -> None:
    names = ["summer/a.png", "summer/images/a.png", "b.png"]  # the second moves YOLO's labels
    photos, out = tmp_path / "photos", tmp_path / "out"
    for path, content in annotation_files(kind, [(name, a_look()) for name in names]):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    for name in names:
        save_photo(photos / name)
    name, _, path = _PLACES[kind.partition("-")[0]][1].partition(":")
    dataset = open_dataset(f"{name}:{out / path}", photos)
    assert dataset.taxonomy == a_look().taxonomy, "the names are those of the 15"
    assert set(dataset.ids) == {name.removesuffix(".png") for name in names} and dataset.faults == ()
    for photo_id in dataset.ids:
        truth = dataset.pair(photo_id)[1]
        if "polygons" in kind or kind == "yolo":
            for class_id in set(np.unique(a_class_map())) - {0}:
                assert farthest(a_class_map() == class_id, truth == class_id) < 1, (kind, class_id)
        else:
            assert (truth == a_class_map()).all()


def test_an_index_png_has_8_bits_and_no_palette() -> None:
    (mask, classes) = annotation_files("masks", [("summer/a.jpg", a_look(KIMONO))])
    assert mask.path == "masks/summer/a.png" and mask.content[24:26] == b"\x08\x00", "bit depth 8, grey"
    with Image.open(io.BytesIO(mask.content)) as image:
        assert image.mode == "L" and (np.asarray(image) == a_class_map() % 5).all()
    assert classes == ("classes.txt", b"Background\nKimono\nObi <sash>\nLeft hand\nTote bag\n")


@pytest.mark.parametrize("kind", ANNOTATION_FORMATS)
def test_a_photo_without_anybody_and_no_photo_at_all(kind: str) -> None:
    look = a_look()
    nobody = Segmentation(
        look.taxonomy, np.zeros_like(look.class_map), look.confidence, look.people, (), "fake", "abc123", 0.1
    )
    assert all(content is not None for _, content in annotation_files(kind, [("a.jpg", nobody)]))
    list(annotation_files(kind, []))


def test_names_that_would_share_a_file_are_told_apart() -> None:
    names = [
        "a.jpg",
        "A.JPG",
        "b/a.jpg",
        "a.png",
        "a-2.jpg",
        "..\\x?.jpg",
        "/etc/../a:b.jpg",
        "e\u0301.jpg",
        "\u00e9.png",
    ]
    assert list(names_apart(names)) == [
        "a.jpg",
        "A-2.JPG",
        "b/a.jpg",
        "a-3.png",
        "a-2-2.jpg",
        ".._x_.jpg",
        "etc/a_b.jpg",
        "e\u0301.jpg",
        "\u00e9-2.png",
    ]


def test_supervision_reads_coco_and_yolo(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    look = a_look()
    for kind, photos in (("coco", "coco"), ("coco-polygons", "coco-polygons"), ("yolo", "yolo/images")):
        export(kind, tmp_path / kind, look)
        save_photo(tmp_path / photos / "a.png")
        if kind == "yolo":
            found = supervision.DetectionDataset.from_yolo(
                str(tmp_path / photos), str(tmp_path / kind / "labels"), str(tmp_path / kind / "data.yaml"), True
            )
        else:
            found = supervision.DetectionDataset.from_coco(
                str(tmp_path / photos), str(tmp_path / kind / "coco.json"), force_masks=True
            )
        ((_, _, detections),) = list(found)
        assert len(detections) == 9
        for mask, class_id in zip(detections.mask, detections.class_id, strict=True):
            wanted = look.class_map == look.taxonomy[found.classes[class_id]].id
            person = look.owners == (1 if mask[:, 50:].any() else 0)
            if kind == "coco":
                assert (mask == (wanted & person)).all()
            elif kind == "coco-polygons" or found.classes[class_id] not in ("Coat", "Shirt"):  # seams join their parts
                assert farthest(wanted & person, mask) < 2, "it cuts off the fractions, and fills the border, too"
