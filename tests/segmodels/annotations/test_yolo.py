import numpy as np
import yaml
from annotated import HEIGHT, WIDTH, a_look, farthest
from own_classes import KIMONO

from segmodels.annotations import annotation_files
from segmodels.taxonomy import OUTFIT_15


def test_a_row_is_a_garment_and_fills_its_pixels() -> None:
    import cv2

    look = a_look()
    files = dict(annotation_files("yolo", [("summer/a.jpg", look)]))
    assert list(files) == ["labels/summer/a.txt", "data.yaml"]
    rows = [line.split() for line in files["labels/summer/a.txt"].decode().splitlines()]
    wanted = [(garment.name, garment.person) for garment in look.garments] + [("Hair", 0), ("Skin", 0)]
    assert [int(row[0]) for row in rows] == [OUTFIT_15[name].id - 1 for name, _ in wanted]
    assert look.owners is not None
    for row, (name, person) in zip(rows, wanted, strict=True):
        shares = np.array(row[1:], float).reshape(-1, 2)
        assert len(shares) >= 3 and shares.min() >= 0 and shares.max() <= 1
        mask = (look.class_map == OUTFIT_15[name].id) & (look.owners == person)
        # as Ultralytics draws it, at eight times the size, but for the seams
        large = np.zeros((HEIGHT * 8, WIDTH * 8), np.uint8)
        cv2.fillPoly(large, [np.rint(shares * (WIDTH, HEIGHT) * 8).astype(np.int32)], 1)
        large = cv2.morphologyEx(large, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        assert farthest(np.kron(mask, np.ones((8, 8))) > 0, large > 0) < 8 * 1.1, name


def test_names_count_from_zero_without_the_background() -> None:
    content = yaml.safe_load(dict(annotation_files("yolo", [("a.jpg", a_look(KIMONO))]))["data.yaml"])
    assert content["names"] == {0: "Kimono", 1: "Obi <sash>", 2: "Left hand", 3: "Tote bag"}
    assert content["train"] == content["val"] == "images" and "path" not in content


def test_labels_lie_where_ultralytics_looks_for_them() -> None:
    """Of `images/shop/images/a.jpg`, the last `images` becomes `labels`."""
    files = dict(annotation_files("yolo", [("shop/images/a.jpg", a_look())]))
    assert next(iter(files)) == "images/shop/labels/a.txt"
