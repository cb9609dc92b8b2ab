import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from made_ccp import write_ccp

from segmodels.datasets import DatasetError, read_ccp
from segmodels.inference.presence import Calibration, ClassCalibration, feature_names
from segmodels.inference.segmentation import Garment, Person, Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main
from train.analysis.truth import compare_with_truth

NAMES = [garment.name for garment in OUTFIT_15.worn]


def a_calibration() -> Calibration:
    weights = (0.0,) * len(feature_names(OUTFIT_15))
    one = ClassCalibration(intercept=0.0, weights=weights, share_error=0.01)
    return Calibration(taxonomy="OUTFIT_15", classes=dict.fromkeys(NAMES, one))


class Sees:
    """Stands for a segmenter: finds a shirt, a coat and trousers on everybody, with given presences."""

    taxonomy = OUTFIT_15

    def __init__(self, presence: Mapping[str, float], calibration: Calibration | None) -> None:
        self.presence = dict.fromkeys(NAMES, 0.0) | dict(presence)
        self.checkpoint = SimpleNamespace(name="sees", calibration=calibration)

    def segment(self, photo: np.ndarray) -> Segmentation:
        empty = np.zeros(photo.shape[:2], np.uint8)
        person = Person((0, 0, *photo.shape[1::-1]), 0.9, detected=True, presence=self.presence)
        found = [Garment(name, 0, 0.1, 0.5, 0.8, (0, 0, 1, 1), ()) for name in ("Shirt", "Coat", "Pants")]
        return Segmentation(OUTFIT_15, empty, empty, (person,), tuple(found), "sees", "abc123", 0.1)


def test_shares_and_lifts_by_hand(tmp_path: Path) -> None:
    """All of eight people wear a shirt, trousers and shoes, and one a scarf; none wears a coat."""
    dataset = read_ccp(write_ccp(tmp_path / "ccp"))
    segmenter = cast(Segmenter, Sees({"Shirt": 0.75, "Coat": 0.25, "Pants": 1.0}, a_calibration()))
    found = compare_with_truth(segmenter, dataset, dataset.ids)
    assert found.photos == 8
    shares = found.shares.set_index("garment")
    assert shares.loc["Shirt"].tolist() == pytest.approx([1, 1, 0.75])
    assert shares.loc["Coat"].tolist() == pytest.approx([0, 1, 0.25])
    assert shares.loc["Scarf/Tie"].tolist() == pytest.approx([1 / 8, 0, 0])
    # Raw: coat 1, footwear 1, scarf 1/8. Expected: shirt 1/4, coat 1/4, footwear 1, scarf 1/8.
    assert found.errors()["shares"]["raw"] == pytest.approx((1 + 1 + 1 / 8) / 12)
    assert found.errors()["shares"]["expected"] == pytest.approx((1 / 4 + 1 / 4 + 1 + 1 / 8) / 12)
    lifts = found.lifts.set_index(["first", "second"])
    assert lifts.index.tolist() == [("Shirt", "Pants")], "the only pair that all three know"
    assert lifts.loc[("Shirt", "Pants")].tolist() == pytest.approx([1, 1, 1])
    text = "\n".join(found.lines())
    assert "| Shirt | 100.0% | 100.0% | 75.0% |" in text
    json.dumps(found.to_json(), allow_nan=False)


def test_nothing_to_compare_is_no_number(tmp_path: Path) -> None:
    dataset = read_ccp(write_ccp(tmp_path / "ccp"))
    nobody = cast(Segmenter, Sees({}, a_calibration()))
    found = compare_with_truth(nobody, dataset, dataset.ids[:3])
    assert found.errors()["lifts"] == {"raw": None, "expected": None} and found.lifts.empty
    assert "| lift of a pair (0) | - | - |" in found.lines()
    json.dumps(found.to_json(), allow_nan=False)


def test_a_network_without_a_calibration_is_refused(tmp_path: Path) -> None:
    dataset = read_ccp(write_ccp(tmp_path / "ccp"))
    with pytest.raises(DatasetError, match="sees has no calibration, so it has raw counts only"):
        compare_with_truth(cast(Segmenter, Sees({}, None)), dataset, dataset.ids)


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("0001\n")
    assert main(["truth", "unet", "--data", str(write_ccp(tmp_path / "ccp")), "--ids", str(ids)]) == 1
    assert "unet has no calibration" in capsys.readouterr().err
