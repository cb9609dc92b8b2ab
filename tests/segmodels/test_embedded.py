"""What ships: ten networks that run, and what is said of them and of those that are described only."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from segmodels.architectures import ARCHITECTURES
from segmodels.catalog import EMBEDDED, list_described, load_segmenter
from segmodels.checkpoint import count_parameters, read_config, read_metrics
from segmodels.evidence import EVIDENCE_FILE, read_evidence, total
from segmodels.metrics import ConfusionMatrix
from segmodels.taxonomy import OUTFIT_15

MOST_BYTES, MOST_BYTES_OF_ALL = 25_000_000, 120_000_000
NAMES = sorted({*ARCHITECTURES, "fpn_portrait"})
JUDGED = sorted(folder.parent.name for folder in EMBEDDED.glob(f"*/{EVIDENCE_FILE}"))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """NASA's portrait of Eileen Collins, which scikit-image ships."""
    return np.asarray(skimage.data.astronaut())


def test_all_of_it_fits() -> None:
    sizes = {path: path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()}
    assert max(sizes.values()) <= MOST_BYTES and sum(sizes.values()) <= MOST_BYTES_OF_ALL


@pytest.mark.parametrize("name", NAMES)
def test_each_network_that_ships_sees_the_person(name: str, photo: np.ndarray) -> None:
    segmenter = load_segmenter(name)
    assert (
        segmenter.checkpoint.config.architecture == name.removesuffix("_portrait") and segmenter.taxonomy is OUTFIT_15
    )
    segmentation = segmenter.segment(photo)
    assert segmentation.class_map.shape == photo.shape[:2]
    (person,) = segmentation.people
    x, y, width, height = person.box
    found = segmentation.class_map != 0
    inside = found[y : y + height, x : x + width]
    assert person.detected and inside.mean() > 0.1 and inside.sum() > 0.9 * found.sum()


@pytest.mark.parametrize("name", JUDGED)
def test_the_photos_behind_the_scores_add_up_to_them(name: str) -> None:
    evidence, _ = read_evidence(EMBEDDED / name / EVIDENCE_FILE)
    rows = {row.photo_id: row for row in evidence}
    evaluations = read_metrics(EMBEDDED / name)["evaluations"]
    assert evaluations
    for each in evaluations:
        ids = each.get("ids", list(rows))  # an older file names none: all of its rows are of one run
        matrix = total([rows[photo_id] for photo_id in ids], OUTFIT_15)
        written = ConfusionMatrix(OUTFIT_15.names, np.array(each["scores"]["confusion_matrix"]))
        assert np.array_equal(matrix.counts, written.counts) and len(ids) == each["scores"]["photos"]
        assert each["scores"]["mean_iou"] == pytest.approx(matrix.mean_iou, abs=1e-9)


def test_the_comparison_is_on_photos_that_none_of_it_was_trained_on() -> None:
    compared = {name: read_metrics(EMBEDDED / name)["evaluations"] for name in JUDGED if name != "fpn"}
    assert set(compared) >= set(ARCHITECTURES) - {"fpn"} | {
        "fpn_compare",
        "fpn_inacio",
        "fpn_portrait",
        "fpn_random",
    }
    (ids,) = {tuple(each["ids"]) for evaluations in compared.values() for each in evaluations}
    fold = {line.split(",")[0] for line in _folds().read_text().splitlines() if line.split(",")[1] == "0"}
    assert set(ids) == fold and len(ids) == 158
    for name in compared:
        training = read_config(EMBEDDED / name).training
        assert training["recipe"]["fold"] == 0 and training["epoch"] >= 1
        assert (training["recipe"]["pseudo"] == "") == (name != "fpn_portrait"), "whose recipe is another one anyway"


def test_a_description_says_what_it_is_and_how_to_get_it() -> None:
    described = list_described()
    assert {"fcn_resnet50", "atrous_resnet50"} <= set(described)
    for name, folder in described.items():
        config = read_config(folder)
        assert config.training["parameters"] == count_parameters(config)
        assert config.training["command"].endswith(f"--out runs/{name}")


def _folds() -> Path:
    return Path(__file__).parents[2] / "train" / "splits" / "ccp_folds.csv"
