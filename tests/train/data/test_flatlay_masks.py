import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import DatasetError
from segmodels.datasets.flatlay import FlatLays, read_flatlays
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.data.flatlay_masks import (
    MASKS_FILE,
    Outline,
    mask_flatlays,
    masked_flatlays,
    outline_garment,
    reason_to_drop,
)

FLOOR, CLOTH = (190, 180, 160), (40, 60, 150)
PANTS = OUTFIT_15["Pants"].id


def noisy(photo: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 6, photo.shape)
    return (photo + noise).clip(0, 255).astype(np.uint8)


def trousers(height: int = 320, width: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Trousers on a floor, and their true mask; between the legs the floor is a little darker."""
    truth = np.zeros((height, width), np.uint8)
    outer = np.array([[70, 40], [170, 40], [200, 280], [40, 280]])
    gap = np.array([[120, 130], [150, 281], [90, 281]])
    cv2.fillPoly(truth, [outer], 1)
    cv2.fillPoly(truth, [gap], 0)
    photo = np.empty((height, width, 3), float)
    photo[:] = FLOOR
    photo[200:, :] -= 12
    photo[truth > 0] = CLOTH
    return noisy(photo), truth > 0


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def good(**changes: Any) -> Outline:
    values: dict[str, Any] = {"share": 0.4, "edge": 0.1, "agreement": 0.95, "disputed": 0.0}
    return Outline(mask=np.zeros((2, 2), np.uint8), **{**values, **changes})


def test_trousers_are_outlined_and_the_floor_between_the_legs_is_not() -> None:
    photo, truth = trousers()
    outline = outline_garment(photo)
    assert outline.mask.shape == truth.shape and outline.mask.dtype == np.uint8
    assert iou(outline.mask == 1, truth) > 0.95
    assert not outline.mask[220:270, 115:125].any(), "the gap"
    assert outline.share == pytest.approx(truth.mean(), abs=0.01)
    assert outline.agreement > 0.9 and outline.edge == 0 and outline.disputed == 0
    assert reason_to_drop(outline) == ""


def test_the_same_photo_has_the_same_outline() -> None:
    photo, _ = trousers()
    assert (outline_garment(photo).mask == outline_garment(photo).mask).all()


def test_what_goes_on_beyond_the_rectangle_is_unlabelled() -> None:
    photo = np.empty((200, 200, 3), float)
    photo[:] = FLOOR
    photo[:120, 60:140] = CLOTH  # down from the upper edge
    mask = outline_garment(noisy(photo)).mask
    assert (mask[60:110, 70:130] == 1).all()
    assert set(np.unique(mask[:4, 75:125])) <= {1, UNLABELLED}, "garment or unknown, never background"
    assert (mask[:, :40] == 0).all()


def test_a_network_settles_what_becomes_of_a_piece_of_the_floors_colour() -> None:
    photo = np.empty((320, 240, 3), float)
    photo[:] = (180, 170, 150)
    photo[16:304, 12:228] = (
        200,
        190,
        170,
    )  # the floor is brighter under the rectangle, and ends up in the first outline
    photo[60:260, 50:190] = CLOTH
    asked = []

    def sees(value: bool) -> Any:
        def foreground(shown: np.ndarray) -> np.ndarray:
            asked.append(shown.shape)
            return np.full(shown.shape[:2], value)

        return foreground

    pixels = noisy(photo)
    alone, floor, garment = (
        outline_garment(pixels),
        outline_garment(pixels, sees(False)),
        outline_garment(pixels, sees(True)),
    )
    assert alone.disputed == garment.disputed > 0.2 and floor.disputed == 0
    assert asked == [(320, 240, 3)] * 2, "once a photo"
    assert reason_to_drop(garment) == "disputed piece" and reason_to_drop(floor) == ""


def test_a_network_is_not_asked_without_need() -> None:
    photo = np.empty((320, 240, 3), float)
    photo[:] = FLOOR
    photo[60:260, 50:190] = CLOTH

    def never(shown: np.ndarray) -> np.ndarray:
        raise AssertionError

    assert outline_garment(noisy(photo), never).share == pytest.approx(200 * 140 / (320 * 240), abs=0.01)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"share": 0.08, "edge": 0.35, "agreement": 0.8, "disputed": 0.06}, ""),
        ({"share": 0.079}, "too small"),
        ({"share": 0.86}, "too large"),
        ({"edge": 0.36}, "reaches the edge"),
        ({"agreement": 0.79}, "two outlines differ"),
        ({"disputed": 0.07}, "disputed piece"),
        ({"share": 0.01, "agreement": 0.0}, "too small"),
    ],
)
def test_reasons_to_drop(changes: dict[str, float], reason: str) -> None:
    assert reason_to_drop(good(**changes)) == reason


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (9, 9)])
def test_tiny_and_plain_photos_are_dropped_without_an_error(size: tuple[int, int]) -> None:
    outline = outline_garment(np.full((*size, 3), 120, np.uint8))
    assert outline.mask.shape == size and reason_to_drop(outline)


@pytest.fixture
def flatlays(tmp_path: Path) -> FlatLays:
    """Trousers, a plain sheet on which nothing is seen, a file that is no photo; and one of the test."""
    root = tmp_path / "flatlay"
    (root / "photos").mkdir(parents=True)
    Image.fromarray(trousers()[0]).save(root / "photos" / "pants.png")
    Image.fromarray(noisy(np.full((160, 120, 3), 150.0))).save(root / "photos" / "sheet.png")
    (root / "photos" / "broken.png").write_bytes(b"no photo")
    rows = [
        "file,label,class,sender,kids,part",
        "pants.png,Pants,Pants,1,False,train",
        "sheet.png,Hat,Hat,2,False,train",
        "broken.png,Hat,Hat,2,False,train",
        "tested.png,Hat,Hat,3,False,test",
    ]
    (root / "flatlay.csv").write_text("\n".join(rows) + "\n")
    return read_flatlays(root)


def test_masks_are_written_and_accounted_for(flatlays: FlatLays, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    (out).mkdir()
    (out / "sheet.png").write_bytes(b"an older mask")
    summary = mask_flatlays(flatlays.part("train"), out)
    assert (summary["photos"], summary["kept"], summary["classes"]) == (3, 1, {"Pants": 1})
    assert sum(summary["dropped"].values()) == 2 and summary["dropped"]["cannot be read"] == 1
    assert sorted(path.name for path in out.iterdir()) == [MASKS_FILE, "pants.png"]
    with (out / MASKS_FILE).open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["broken", "pants", "sheet"]
    assert (
        rows["pants"]["kept"] == "True" and rows["pants"]["reason"] == "" and 0.2 < float(rows["pants"]["share"]) < 0.4
    )
    assert rows["sheet"]["kept"] == "False" and rows["sheet"]["reason"]
    assert rows["broken"]["reason"] == "cannot be read" and rows["broken"]["share"] == ""
    with Image.open(out / "pants.png") as image:
        assert image.mode == "P" and image.size == (240, 320)
        assert image.getpalette()[3 * PANTS : 3 * PANTS + 3] == list(OUTFIT_15.palette[PANTS])  # type: ignore[index]


def test_the_same_call_goes_on_after_a_stop(
    flatlays: FlatLays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, training = tmp_path / "masks", flatlays.part("train")
    mask_flatlays(training.select(["sheet"]), out)
    with monkeypatch.context() as patch:
        patch.setattr("train.data.flatlay_masks.tqdm", stopped_after(1))
        with pytest.raises(KeyboardInterrupt):
            mask_flatlays(training, out)
    assert len((out / MASKS_FILE).read_text().splitlines()) == 3, "the header, the sheet, and one more"
    first = mask_flatlays(training, out)
    assert (first["photos"], first["kept"]) == (3, 1)
    (out / "pants.png").unlink()
    assert mask_flatlays(training, out) == first and not (out / "pants.png").exists(), "nothing is done twice"
    with (out / MASKS_FILE).open(newline="") as file:
        assert sorted(row["id"] for row in csv.DictReader(file)) == ["broken", "pants", "sheet"]


def stopped_after(count: int) -> Any:
    """Stands for tqdm: somebody stops the run."""

    def bar(photos: list[Any], **_: Any) -> Any:
        yield from photos[:count]
        raise KeyboardInterrupt

    return bar


def test_a_folder_of_something_else_is_an_error(flatlays: FlatLays, tmp_path: Path) -> None:
    (tmp_path / MASKS_FILE).write_text("id,why\n")
    with pytest.raises(DatasetError, match=r"masks\.csv has other columns than id, class, .*Take an empty folder"):
        mask_flatlays(flatlays.part("train"), tmp_path)


def test_masks_make_a_data_set_to_train_on(flatlays: FlatLays, tmp_path: Path) -> None:
    mask_flatlays(flatlays.part("train"), tmp_path / "masks")
    dataset = masked_flatlays(flatlays, tmp_path / "masks")
    assert dataset.ids == ("pants",) and dataset.taxonomy is OUTFIT_15 and dataset.name == "flatlay"
    photo, truth = dataset.pair("pants")
    assert photo.shape == (320, 240, 3) and set(np.unique(truth)) == {0, PANTS}
    assert iou(truth == PANTS, trousers()[1]) > 0.95


def test_a_damaged_or_foreign_mask_is_an_error(flatlays: FlatLays, tmp_path: Path) -> None:
    Image.fromarray(np.full((320, 240), OUTFIT_15["Hat"].id, np.uint8)).save(tmp_path / "pants.png")
    dataset = masked_flatlays(flatlays, tmp_path)
    with pytest.raises(DatasetError, match=r"pants\.png is no mask of a Pants\. Make it again"):
        dataset.read_truth("pants")
    (tmp_path / "pants.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"pants\.png cannot be read"):
        dataset.read_truth("pants")
    with pytest.raises(DatasetError, match="holds no mask of these flat-lays"):
        masked_flatlays(flatlays, tmp_path / "nowhere")


def test_photos_of_the_test_get_no_mask(flatlays: FlatLays, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="tested belongs to part 'test', which nothing is trained on"):
        mask_flatlays(flatlays, tmp_path / "masks")
    assert not (tmp_path / "masks").exists()
