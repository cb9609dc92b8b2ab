import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.kinds import (
    KINDS_FILE,
    KINDS_WEIGHTS,
    ClassKinds,
    Kind,
    KindJudgement,
    Kinds,
    KindsConfig,
    KindsError,
    Proportion,
    read_kinds,
    read_kinds_config,
    write_kinds,
)
from segmodels.taxonomy import CFPD_23, OUTFIT_15

JUDGEMENT = KindJudgement(
    garment="Dress",
    photos=EvaluatedPhotos(dataset="ccp", split="ids", ids_file="ccp_test.txt", number=9),
    how="held out",
    framing="full",
    garments=10,
    answered=0.8,
    accuracy=Proportion(value=0.75, low=0.5, high=1.0),
    balanced_accuracy=0.75,
    majority=0.5,
    accuracy_of_all=0.7,
    matrix=((3, 1, 1), (1, 3, 1)),
)


def kinds() -> Kinds:
    """Dress or skirt by the first of two features: log odds of a skirt are twice that feature, less 1."""
    config = KindsConfig(
        taxonomy="OUTFIT_15",
        weights="0123456789ab",
        classes={"Dress": ClassKinds(names=("dress", "skirt"), thresholds=(0.5, 0.8))},
        features=2,
        data="made up",
        left_out={"Glasses": "too few"},
        judgements=(JUDGEMENT,),
    )
    return Kinds(
        config, {"Dress": np.array([[-1, 0], [1, 0]], np.float32)}, {"Dress": np.array([0.5, -0.5], np.float32)}
    )


DRESS = OUTFIT_15["Dress"].id - len(OUTFIT_15)
"""Place, from the end, of the log of a dress's share among features."""


def with_shares() -> Kinds:
    """The same with the classes' shares behind the two features, as the network's features have them."""
    own, more = kinds(), len(OUTFIT_15)
    weight = np.pad(own.weights["Dress"], ((0, 0), (0, more)))
    return Kinds(replace(own.config, features=2 + more), {"Dress": weight}, own.biases)


def test_probabilities_are_the_softmax_of_the_features() -> None:
    found = kinds().probabilities("Dress", np.array([2.0, 7.0], np.float32))
    assert found is not None
    assert found == pytest.approx({"dress": 1 / (1 + np.exp(3)), "skirt": 1 / (1 + np.exp(-3))})
    assert kinds().probabilities("Coat", np.zeros(2, np.float32)) is None


def test_features_of_another_input_are_a_sentence() -> None:
    with pytest.raises(KindsError, match=r"made for another input size .* for 2 features .* where 3 come\. Fit them"):
        kinds().probabilities("Dress", np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("skirt", "named"),
    [(0.81, Kind("skirt", 0.81)), (0.79, None), (0.51, None), (0.45, Kind("dress", 0.55)), (0.0, Kind("dress", 1.0))],
)
def test_a_kind_is_named_from_its_own_threshold(skirt: float, named: Kind | None) -> None:
    found = kinds().named("Dress", {"dress": round(1 - skirt, 2), "skirt": skirt})
    assert found == named


def test_a_garment_larger_than_those_that_taught_has_no_kind(tmp_path: Path) -> None:
    own = with_shares()
    known = {"Dress": replace(own.config.classes["Dress"], largest=0.4, share_feature=DRESS)}
    limited = replace(own, config=replace(own.config, classes=known))
    write_kinds(tmp_path, limited)
    found = read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    assert found is not None and found.config == limited.config
    assert found.revision == limited.revision != own.revision
    larger, smaller = np.zeros((2, 2 + len(OUTFIT_15)), np.float32)
    larger[0] = smaller[0] = 2
    larger[DRESS], smaller[DRESS] = np.log(0.41), np.log(0.39)
    assert found.probabilities("Dress", larger) is None
    assert found.probabilities("Dress", smaller) == own.probabilities("Dress", smaller) is not None


def test_a_file_without_limits_has_none(tmp_path: Path) -> None:
    write_kinds(tmp_path, kinds())
    listing = json.loads((tmp_path / KINDS_FILE).read_text())
    for known in listing["classes"].values():
        del known["largest"], known["share_feature"]
    (tmp_path / KINDS_FILE).write_text(json.dumps(listing))
    found = read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    assert found is not None and found.config == kinds().config and found.revision == kinds().revision


def test_far_features_give_certainty_not_an_overflow() -> None:
    assert kinds().probabilities("Dress", np.array([1e6, 0], np.float32)) == {"dress": 0.0, "skirt": 1.0}


def test_the_revision_tells_what_decides_from_what_only_scores(tmp_path: Path) -> None:
    own = kinds()
    stricter = {"Dress": ClassKinds(names=("dress", "skirt"), thresholds=(0.5, 0.9))}
    others = [
        replace(own, config=replace(own.config, classes=stricter)),
        replace(own, biases={"Dress": own.biases["Dress"] + 1}),
        replace(own, weights={"Dress": own.weights["Dress"] * 2}),
    ]
    assert len({each.revision for each in [own, *others]}) == 4
    assert replace(own, config=replace(own.config, judgements=(), data="others")).revision == own.revision
    write_kinds(tmp_path, own)
    found = read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    assert found is not None and found.revision == own.revision


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_kinds(tmp_path, kinds())
    found = read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    assert found is not None and found.config == kinds().config
    features = np.array([0.3, 1.0], np.float32)
    assert found.probabilities("Dress", features) == kinds().probabilities("Dress", features)
    assert sorted(path.name for path in tmp_path.iterdir()) == [KINDS_FILE, KINDS_WEIGHTS]


def test_a_checkpoint_without_the_files_has_none(tmp_path: Path) -> None:
    assert read_kinds(tmp_path, OUTFIT_15, "0123456789ab") is None
    assert read_kinds_config(tmp_path, OUTFIT_15) is None


def test_kinds_of_other_weights_are_refused(tmp_path: Path) -> None:
    write_kinds(tmp_path, kinds())
    with pytest.raises(KindsError, match=r"belongs to the weights 0123456789ab, and the network's are ffff\. Fit them"):
        read_kinds(tmp_path, OUTFIT_15, "ffff")


def test_kinds_of_other_classes_are_refused(tmp_path: Path) -> None:
    write_kinds(tmp_path, kinds())
    with pytest.raises(KindsError, match="is not of the classes of CFPD_23"):
        read_kinds(tmp_path, CFPD_23, "0123456789ab")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "is of version 2; this Garmentscope reads 1. Update it."),
        ({"version": "1"}, "is damaged: version"),
        ({"classes": {"Dress": {"names": ["dress"], "thresholds": [0.5]}}}, "not two names or more"),
        (
            {"classes": {"Dress": {"names": ["dress", "skirt"], "thresholds": [0.5, 0.8], "largest": 0.4}}},
            "the share_feature of Dress is that of another class",
        ),
        ({"classes": {"Dress": {"names": ["dress", "dress"], "thresholds": [0, 0]}}}, "not two names or more"),
        ({"classes": {"Dress": {"names": ["dress", "skirt"], "thresholds": [0.5]}}}, "not a threshold for each"),
        ({"classes": {"Dress": {"names": ["dress", "skirt"], "thresholds": [0.5, 1.5]}}}, "thresholds.1"),
        ({"classes": {}}, "a matrix is not one of the kinds of Dress"),
        ({"features": "many"}, "is damaged: features"),
    ],
)
def test_a_damaged_description_is_a_sentence(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write_kinds(tmp_path, kinds())
    path = tmp_path / KINDS_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(KindsError) as caught:
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_what_is_no_json_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / KINDS_FILE).write_text("{")
    with pytest.raises(KindsError, match="is damaged"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")


@pytest.mark.parametrize(
    ("tensors", "wrong"),
    [
        ({"Dress.weight": (2, 2)}, "Dress.bias"),
        ({"Dress.weight": (2, 3), "Dress.bias": (2,)}, "Dress.weight"),
        ({"Dress.weight": (2, 2), "Dress.bias": (2,), "Hat.bias": (2,)}, "Hat.bias"),
    ],
)
def test_tensors_are_exactly_those_described(tmp_path: Path, tensors: dict[str, tuple[int, ...]], wrong: str) -> None:
    write_kinds(tmp_path, kinds())
    save_file({name: np.zeros(shape, np.float32) for name, shape in tensors.items()}, tmp_path / KINDS_WEIGHTS)
    with pytest.raises(KindsError, match=f"the tensor {wrong} is missing, unknown or of another shape"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")


def test_missing_damaged_and_infinite_tensors_are_refused(tmp_path: Path) -> None:
    write_kinds(tmp_path, replace(kinds(), biases={"Dress": np.array([0, np.inf], np.float32)}))
    with pytest.raises(KindsError, match=r"Dress\.bias has values that are not numbers"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    (tmp_path / KINDS_WEIGHTS).write_bytes(b"\x00" * 20)
    with pytest.raises(KindsError, match="not a safetensors file"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    (tmp_path / KINDS_WEIGHTS).unlink()
    with pytest.raises(KindsError, match="is missing, damaged"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
    write_kinds(tmp_path, kinds())
    (tmp_path / KINDS_FILE).unlink()
    with pytest.raises(KindsError, match=r"is there without kinds\.json"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")


def test_it_needs_no_torch() -> None:
    code = "import sys, segmodels.inference.kinds; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ids_that_are_not_one_for_each_garment_are_damage(tmp_path: Path) -> None:
    write_kinds(tmp_path, kinds())
    path = tmp_path / KINDS_FILE
    described = json.loads(path.read_text())
    described["judgements"][0]["photo_ids"] = [["a\nb\nc", "d", "e"], ["f", "g\nh\ni", "j"]]
    path.write_text(json.dumps(described))
    assert read_kinds(tmp_path, OUTFIT_15, "0123456789ab") is not None
    described["judgements"][0]["photo_ids"][0][0] = "a\nb"
    path.write_text(json.dumps(described))
    with pytest.raises(KindsError, match="has not an id for each garment"):
        read_kinds(tmp_path, OUTFIT_15, "0123456789ab")
