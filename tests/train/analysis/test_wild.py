from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import DatasetError
from segmodels.inference.segmentation import Garment, Person, Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import IMATERIALIST_47, OUTFIT_15
from train.analysis.wild import FOUND_FROM, judge_wild, main_person, worn_by

HEADER = "file,framing,people,tags,unsure,light,skin"
ROWS = {  # red level of a photo: its row, and what is found on it by person
    10: ("bust,1,Shirt|Glasses|Skin,Coat,bw,dark", [{"Shirt": 0.6, "Coat": 0.4}]),
    20: ("bust,2,Dress|Hat,,normal,light", [{"Bag": 1.0}, {"Dress": 0.98, "Hat": 0.009, "Pants": 0.011}]),
    30: ("flat-lay,0,,Dress|Shirt,normal,none", [{"Dress": 1.0}]),
    40: ("full,1,Skin|Hair,,low,medium", [{}]),
}


def segmentation_of(people: list[dict[str, float]]) -> Segmentation:
    """People with the given shares of their outfits; each stands in a larger box than the one before."""
    empty = np.zeros((50, 50), np.uint8)
    boxes = [Person((0, 0, 10 + 10 * index, 20), 0.9 - 0.1 * index, detected=True) for index in range(len(people))]
    garments = [
        Garment(name, index, 0.1, share, 0.8, (0, 0, 5, 5), ())
        for index, outfit in enumerate(people)
        for name, share in outfit.items()
    ]
    return Segmentation(OUTFIT_15, empty, empty, tuple(boxes), tuple(garments), "fake", "abc123", 0.1)


class ByRow:
    """Stands for a segmenter: knows what is found on a photo by its red level."""

    taxonomy = OUTFIT_15

    def segment(self, photo: np.ndarray) -> Segmentation:
        return segmentation_of(ROWS[int(photo[0, 0, 0])][1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for red in ROWS:
        Image.new("RGB", (16, 16), (red, 0, 0)).save(tmp_path / "photos" / f"{red}.png")
    lines = [f"{red}.png,{row}" for red, (row, _) in ROWS.items()]
    (tmp_path / "wild.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return tmp_path


def test_scores_by_hand(folder: Path) -> None:
    scores = judge_wild(cast(Segmenter, ByRow()), folder).scores()
    # 10: Shirt is a hit, Glasses is missed, Coat is unsure, Skin is no garment.
    # 20: of the larger person Dress is a hit, Hat has less than 1 % and is missed, Pants is a false alarm.
    # 30: all is unsure. 40: nothing to find, nothing found.
    assert scores["photos"] == 4
    assert {key: scores[key] for key in ("hits", "false_alarms", "missed")} == {
        "hits": 2,
        "false_alarms": 1,
        "missed": 2,
    }
    assert scores["micro_f1"] == pytest.approx(4 / 7)
    assert scores["framing"]["bust"] == {"photos": 2, "micro_f1": 4 / 7, "hits": 2, "false_alarms": 1, "missed": 2}
    nothing = {"photos": 1, "micro_f1": None, "hits": 0, "false_alarms": 0, "missed": 0}
    assert scores["framing"]["flat-lay"] == scores["framing"]["full"] == nothing
    assert list(scores["light"]) == ["bw", "low", "normal"] and list(scores["skin"]) == [
        "dark",
        "light",
        "medium",
        "none",
    ]
    assert scores["light"]["bw"]["micro_f1"] == scores["skin"]["dark"]["micro_f1"] == pytest.approx(2 / 3)
    assert scores["light"]["normal"]["micro_f1"] == pytest.approx(2 / 4)
    assert {name: counts["micro_f1"] for name, counts in scores["classes"].items()} == {
        **{"Hat": 0.0, "Glasses": 0.0},
        **{"Shirt": 1.0, "Dress": 1.0, "Pants": 0.0},
    }


def test_twelve_classes_are_judged(folder: Path) -> None:
    names = judge_wild(cast(Segmenter, ByRow()), folder).names
    assert len(names) == 12 and not {"Background", "Hair", "Skin"} & set(names)


def test_the_main_person_has_the_largest_box() -> None:
    segmentation = segmentation_of([{"Shirt": 1.0}, {"Coat": 1.0}])
    assert segmentation.people[0].confidence > segmentation.people[1].confidence
    assert main_person(segmentation) == 1 and worn_by(segmentation, 1) == {"Coat"}


def test_a_class_is_found_from_one_percent_on() -> None:
    segmentation = segmentation_of([{"Shirt": 0.98, "Hat": FOUND_FROM, "Bag": 0.0099}])
    assert FOUND_FROM == 0.01 and worn_by(segmentation, 0) == {"Shirt", "Hat"}


def test_a_photo_that_cannot_be_read_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "10.png").write_bytes(b"no photo")
    scores = judge_wild(cast(Segmenter, ByRow()), folder).scores()
    assert scores["photos"] == 3 and scores["photos_left_out"] == 1
    assert "10.png is left out: " in capsys.readouterr().out
    for red in ROWS:
        (folder / "photos" / f"{red}.png").unlink()
    with pytest.raises(DatasetError, match="None of the 4 photos"):
        judge_wild(cast(Segmenter, ByRow()), folder)


def test_a_model_of_other_classes_is_an_error(folder: Path) -> None:
    other = ByRow()
    other.taxonomy = IMATERIALIST_47
    with pytest.raises(DatasetError, match="The tags are in OUTFIT_15, the model in IMATERIALIST_47"):
        judge_wild(cast(Segmenter, other), folder)
