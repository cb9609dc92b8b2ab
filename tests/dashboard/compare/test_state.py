import io

import numpy as np
import pytest
from own_classes import KIMONO
from PIL import Image

from dashboard.compare.agreement import Finding
from dashboard.compare.conventions import TruthFile, read_truth_file
from dashboard.compare.state import CompareState, connected
from dashboard.shared.analysed import Analysed, Plane, UploadedPhoto
from segmodels.mappings import shipped_mappings
from segmodels.taxonomy import OUTFIT_15


def finding(model: str) -> Finding:
    plane = Plane.of(np.zeros((2, 2), np.uint8))
    photo = UploadedPhoto("look.jpg", b"", 2, 2, b"")
    return Finding(Analysed(photo, OUTFIT_15, plane, plane, (), (), model, "abc", 0.1), 1, 1)


def mask() -> TruthFile:
    out = io.BytesIO()
    Image.fromarray(np.ones((2, 2), np.uint8)).save(out, "PNG")
    return read_truth_file("truth.png", out.getvalue(), (2, 2), [OUTFIT_15])


@pytest.fixture
def state() -> CompareState:
    """One photo, on which two of three models have run."""
    findings = {("a", model): finding(model) for model in ("fpn", "unet")}
    return CompareState(models=["unet", "fcn", "fpn"], findings=findings, shown="a")


def test_a_comparison_is_of_the_models_chosen_that_have_run(state: CompareState) -> None:
    found = state.comparison("a")
    assert found is not None and [each.model for each in found.findings] == ["unet", "fpn"]
    assert state.comparison("b") is None


def test_a_comparison_is_made_anew_only_for_other_findings_or_another_mask(state: CompareState) -> None:
    first = state.comparison("a")
    assert state.comparison("a") is first and first is not None and first.truth is None
    pair = state.side_by_side(first.findings[:1])
    assert pair is not first and state.comparison("a") is first, "each has its own place"
    state.masks["a"] = mask()
    judged = state.comparison("a")
    assert judged is not None and judged.truth is not None and (judged.truth == 1).all()
    state.models = ["fpn"]
    alone = state.comparison("a")
    assert alone is not None and [each.model for each in alone.findings] == ["fpn"]


def test_starting_over_keeps_the_models_and_asks_for_empty_uploaders(state: CompareState) -> None:
    state.comparison("a")
    state.masks["a"] = mask()
    state.unloaded["torn"], state.sentences, state.intake = "torn", ["x"], 2
    state.start_over()
    assert state == CompareState(models=["unet", "fcn", "fpn"], intake=3)


def test_models_are_compared_with_the_first_ones_as_far_as_mappings_connect_them() -> None:
    atr = next(each.taxonomy() for each in shipped_mappings() if each.source == "ATR_18")
    taxonomies = {"fpn": OUTFIT_15, "own": KIMONO, "segformer": atr}
    kept, (sentence,) = connected(taxonomies, ())
    assert kept == ["fpn", "segformer"]
    assert sentence.startswith("own is left out. own has the classes of kimono shop, and no mapping says what Kimono")
    assert connected({"own": KIMONO, **taxonomies}, ())[0] == ["own"]
