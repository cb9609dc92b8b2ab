from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from made_ccp import write_ccp

from segmodels.datasets import DatasetError, read_ccp
from segmodels.inference.presence import Calibration, ClassCalibration, feature_names
from segmodels.inference.segmentation import Segmentation, measure
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import CFPD_23, OUTFIT_15
from train.analysis.truth import compare_with_truth

NAMES = [garment.name for garment in OUTFIT_15.worn]
ONE = ClassCalibration(intercept=0.0, weights=(0.0,) * len(feature_names(OUTFIT_15)), share_error=0.0)
PRESENCE = dict.fromkeys(NAMES, 0.0) | {"Shirt": 1.0, "Pants": 1.0, "Scarf/Tie": 0.125}


class Finds:
    """Stands for a segmenter that finds a red shirt and a coat on everybody, and expects what `PRESENCE` says."""

    taxonomy = OUTFIT_15
    checkpoint = SimpleNamespace(
        name="fake", calibration=Calibration(taxonomy="OUTFIT_15", classes=dict.fromkeys(NAMES, ONE))
    )

    def segment(self, photo: np.ndarray) -> Segmentation:
        class_map = np.zeros(photo.shape[:2], np.uint8)
        class_map[16:30, 20:30] = OUTFIT_15["Shirt"].id
        class_map[40:50, 20:30] = OUTFIT_15["Coat"].id
        confidence = np.full_like(class_map, 255)
        people, garments = measure(photo, OUTFIT_15, class_map, confidence)
        people = tuple(replace(person, presence=PRESENCE) for person in people)
        return Segmentation(OUTFIT_15, class_map, confidence, people, garments, "fake", "1", 0.0)


def test_true_raw_and_expected_counts(tmp_path: Path) -> None:
    """Eight people, of whom all wear a shirt, trousers and shoes, and one a scarf."""
    dataset = read_ccp(write_ccp(tmp_path / "ccp"))
    found = compare_with_truth(cast(Segmenter, Finds()), dataset, dataset.ids)
    shares = found.shares.set_index("garment")
    assert found.photos == 8
    for name, values in {
        "Shirt": [1, 1, 1],
        "Coat": [0, 1, 0],
        "Pants": [1, 0, 1],
        "Scarf/Tie": [1 / 8, 0, 1 / 8],
    }.items():
        assert shares.loc[name, ["true", "raw", "expected"]].tolist() == pytest.approx(values)
    # Raw counts miss trousers, shoes and the scarf, and have a coat too many; expected ones lack the shoes.
    errors = found.errors()["shares"]
    assert errors["raw"] == pytest.approx((1 + 1 + 1 / 8 + 1) / 12) and errors["expected"] == pytest.approx(1 / 12)
    # Intervals of 0 of 8 outfits reach to a third, so that they hold the share of the scarf.
    assert found.coverage == {"raw": pytest.approx(9 / 12), "expected": pytest.approx(11 / 12)}
    shirt = found.colours.set_index(["garment", "colour"]).loc[("Shirt", "red")]
    assert shirt[["true", "raw", "expected"]].tolist() == [1, 1, 1]
    assert "| Scarf/Tie | 12.5% | 0.0% | 12.5% |" in found.lines()
    assert found.to_json()["photos"] == 8


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    dataset = read_ccp(write_ccp(tmp_path / "ccp"))

    class Other(Finds):
        taxonomy = CFPD_23

    class Raw(Finds):
        checkpoint = SimpleNamespace(name="fake", calibration=None)

    with pytest.raises(DatasetError, match="ccp is in OUTFIT_15, the model in CFPD_23"):
        compare_with_truth(cast(Segmenter, Other()), dataset, dataset.ids)
    with pytest.raises(DatasetError, match="fake has no calibration"):
        compare_with_truth(cast(Segmenter, Raw()), dataset, dataset.ids)
