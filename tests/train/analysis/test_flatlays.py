from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import DatasetError
from segmodels.datasets.flatlay import FlatLays, read_flatlays
from segmodels.inference.segmentation import Segmentation, measure
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import IMATERIALIST_47, OUTFIT_15, Taxonomy
from train.analysis.flatlays import NOTHING, choice_ids, judge_flatlays, largest_garment, training_ids

COLOURS = {"Shirt": (200, 0, 0), "Footwear": (0, 200, 0), "Hat": (0, 0, 200), "Skin": (200, 200, 0)}


def segmentation_of(photo: np.ndarray, taxonomy: Taxonomy = OUTFIT_15) -> Segmentation:
    """What a network finds that names pixels by colour."""
    class_map = np.zeros(photo.shape[:2], np.uint8)
    for name, colour in COLOURS.items():
        class_map[(photo == colour).all(axis=2)] = taxonomy[name].id
    confidence = np.full(class_map.shape, 200, np.uint8)
    people, garments = measure(photo, taxonomy, class_map, confidence)
    return Segmentation(taxonomy, class_map, confidence, people, garments, "fake", "abc123", 0.1)


class ByColour:
    """Stands for a segmenter."""

    taxonomy = OUTFIT_15

    def segment(self, photo: np.ndarray) -> Segmentation:
        return segmentation_of(photo)


def painted(*parts: tuple[str, int]) -> np.ndarray:
    """A photo of 40 rows that shows each class in so many of them, from the top."""
    photo = np.full((40, 20, 3), 120, np.uint8)
    row = 0
    for name, rows in parts:
        photo[row : row + rows] = COLOURS[name]
        row += rows
    return photo


@pytest.fixture
def flatlays(tmp_path: Path) -> FlatLays:
    """Four shirts and two hats: of the shirts two are found, of the hats one."""
    shown = {
        "s1": ("Shirt", painted(("Shirt", 20), ("Hat", 5))),
        "s2": ("Shirt", painted(("Shirt", 4), ("Skin", 20))),
        "s3": ("Shirt", painted(("Shirt", 4), ("Footwear", 9))),
        "s4": ("Shirt", painted(("Skin", 9))),
        "h1": ("Hat", painted(("Hat", 3))),
        "h2": ("Hat", painted(("Footwear", 3))),
    }
    (tmp_path / "photos").mkdir()
    lines = ["file,label,class,sender,kids,part"]
    for name, (garment, photo) in shown.items():
        Image.fromarray(photo).save(tmp_path / "photos" / f"{name}.png")
        lines.append(f"{name}.png,{garment},{garment},1,False,train")
    (tmp_path / "flatlay.csv").write_text("\n".join(lines) + "\n")
    return read_flatlays(tmp_path)


def test_scores_by_hand(flatlays: FlatLays) -> None:
    scores = judge_flatlays(cast(Segmenter, ByColour()), flatlays).scores()
    assert scores == {
        "photos": 6,
        "right": 3 / 6,
        "mean_over_classes": 0.5,
        "classes": {
            "Hat": {"photos": 2, "right": 0.5, "taken_for": {"Hat": 1, "Footwear": 1}},
            "Shirt": {"photos": 4, "right": 0.5, "taken_for": {"Shirt": 2, "Footwear": 1, NOTHING: 1}},
        },
    }


def test_the_mean_over_classes_weighs_classes_alike(flatlays: FlatLays) -> None:
    scores = judge_flatlays(cast(Segmenter, ByColour()), flatlays.select(["s1", "s2", "s3", "h2"])).scores()
    assert scores["right"] == 2 / 4 and scores["mean_over_classes"] == pytest.approx((2 / 3 + 0) / 2)


def test_a_photo_that_cannot_be_read_is_left_out_and_counted(flatlays: FlatLays, capsys: Any) -> None:
    flatlays.path(flatlays.photos[0]).write_bytes(b"no photo")
    scores = judge_flatlays(cast(Segmenter, ByColour()), flatlays).scores()
    assert scores["photos"] == 5 and scores["photos_left_out"] == 1
    assert f"{flatlays.photos[0].id} is left out: " in capsys.readouterr().out


def test_nothing_to_judge_is_an_error(flatlays: FlatLays) -> None:
    for photo in flatlays.photos:
        flatlays.path(photo).unlink()
    with pytest.raises(DatasetError, match="None of the 6 photos"):
        judge_flatlays(cast(Segmenter, ByColour()), flatlays)


def test_a_model_of_other_classes_is_an_error(flatlays: FlatLays) -> None:
    other = ByColour()
    other.taxonomy = IMATERIALIST_47
    with pytest.raises(DatasetError, match="Flat-lays are in OUTFIT_15, the model in IMATERIALIST_47"):
        judge_flatlays(cast(Segmenter, other), flatlays)


def test_the_largest_garment_of_anybody() -> None:
    segmentation = segmentation_of(painted(("Shirt", 6), ("Hat", 8), ("Skin", 20)))
    assert largest_garment(segmentation) == "Hat"
    assert largest_garment(replace(segmentation, garments=())) == NOTHING


def test_choice_and_training_share_no_photo_and_two_of_wild_are_in_neither() -> None:
    choice = choice_ids()
    assert len(choice) == len(set(choice)) == 226
    in_wild = {"95e66e02-b4ed-4fe9-b538-db6bac4fb7df", "a8a64c6f-acf9-4610-963f-7691d04690a9"}
    assert not in_wild & set(choice)


def test_what_is_kept_back_does_not_train(tmp_path: Path, write_flatlays: Callable[..., FlatLays]) -> None:
    kept_back = [choice_ids()[0], choice_ids()[-1], "95e66e02-b4ed-4fe9-b538-db6bac4fb7df"]
    flatlays = write_flatlays(train=["mine", *kept_back], test=["tested"])
    assert training_ids(flatlays) == ["mine"]


@pytest.fixture
def write_flatlays(tmp_path: Path) -> Callable[..., FlatLays]:
    """Writes a set of the given ids by part; none has a photo."""

    def make(**parts: list[str]) -> FlatLays:
        (tmp_path / "photos").mkdir()
        rows = [f"{photo_id}.jpg,Hat,Hat,1,False,{part}" for part, ids in parts.items() for photo_id in ids]
        (tmp_path / "flatlay.csv").write_text("\n".join(["file,label,class,sender,kids,part", *rows]) + "\n")
        return read_flatlays(tmp_path)

    return make
