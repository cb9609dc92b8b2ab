from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import Dataset
from segmodels.taxonomy import OUTFIT_15
from train.analysis import reliability
from train.analysis.reliability import CONFIDENCES, SHARES, choose_thresholds, lines, measure_reliability, rates


def test_thresholds_that_leave_out_what_is_wrong() -> None:
    truth = np.array([[True], [True], [False], [False]])
    share = np.array([[0.2], [0.03], [0.008], [-1.0]])  # the third is a speck that is not worn
    confidence = np.array([[0.9], [0.9], [0.9], [-1.0]])
    least_share, least_confidence = choose_thresholds(truth, share, confidence)
    assert least_share == min(share for share in SHARES if share > 0.008)
    assert least_confidence == CONFIDENCES[0], "of equals, the lowest"


def test_a_garment_that_nobody_wears_has_no_say() -> None:
    truth = np.array([[True, False], [False, False]])
    share = np.array([[0.001, 0.3], [-1.0, 0.3]])
    assert choose_thresholds(truth, share, np.ones_like(share)) == (0.0, 0.0)


def test_rates_by_hand() -> None:
    truth = np.array([[True, False], [True, False], [False, False], [False, False]])
    judged = np.array([[True, False], [False, True], [True, False], [False, False]])
    found = rates(truth, judged, ("Hat", "Bag"))
    assert found["Hat"] == {
        "precision": 0.5,
        "recall": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
        "worn": 2,
        "not_worn": 2,
    }
    assert found["Bag"]["sensitivity"] is None and found["Bag"]["specificity"] == 0.75
    assert lines({"garments": found})[1] == "Bag        worn in   0: precision 0.00, specificity 0.75"


def test_a_photo_that_is_also_among_those_with_masks_is_left_out(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate([dataset.ids[0], "8001", "8002", "8003"]):
        Image.new("RGB", (40, 60), (number, 0, 0)).save(tmp_path / f"{name}.png")
    (tmp_path / "8003.png").write_bytes((tmp_path / f"{dataset.ids[0]}.png").read_bytes())
    mine = replace(dataset, ids=dataset.ids[:1], photo_path=lambda photo_id: tmp_path / f"{photo_id}.png")
    monkeypatch.setattr(reliability, "read_ccp", lambda data: mine)
    monkeypatch.setattr(reliability, "read_ccp_tags", lambda data: {name: {"hat"} for name in ("8001", "8002", "8003")})
    monkeypatch.setattr(reliability, "read_ids", lambda path: ["8001", "8002", "8003"])
    looked_at = []
    segmenter = SimpleNamespace(
        taxonomy=OUTFIT_15,
        checkpoint=SimpleNamespace(name="blind", revision="0"),
        segment=lambda photo: looked_at.append(photo[0, 0, 0]) or SimpleNamespace(garments=()),
    )
    found = measure_reliability(segmenter, tmp_path)["OUTFIT_15"]  # type: ignore[arg-type]
    assert looked_at == [1, 2]
    assert found["photos"] == 1 and found["garments"]["Hat"]["sensitivity"] == 0
