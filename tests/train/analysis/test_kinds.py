from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.ccp import CCP_KINDS
from segmodels.datasets.flatlay import FlatLay, FlatLays
from segmodels.evaluation.results import EvaluatedPhotos, Results
from segmodels.inference.kinds import ClassKinds, Kinds, KindsConfig
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15
from train.analysis.kinds import fitting
from train.analysis.kinds import samples as sampling
from train.analysis.kinds.fitting import Lesson
from train.analysis.kinds.judging import judge, judgement_line, with_judgements
from train.analysis.kinds.samples import FLATLAY_KINDS, KindSample, Source, label_of_mask, label_of_tags

CCP = Dataset(
    name="ccp",
    root=Path(),
    taxonomy=OUTFIT_15,
    ids=(),
    photo_path=Path,
    truth_path=Path,
    read_truth=lambda _: np.zeros((1, 1), np.uint8),
    labels=CCP_59,
    aliases=CCP_TO_OUTFIT_15,
    kinds=CCP_KINDS,
)
PHOTOS: dict[Source, EvaluatedPhotos] = {
    "masks": EvaluatedPhotos(dataset="ccp", split="fold", fold=0),
    "tags": EvaluatedPhotos(dataset="ccp", split="ids", ids_file="tags"),
    "flat-lays": EvaluatedPhotos(dataset="flatlay", split="test"),
}


def samples(
    count: int,
    *,
    garment: str = "Dress",
    apart: float = 6.0,
    skirts: float = 0.5,
    seed: int = 0,
    source: Source = "tags",
) -> list[KindSample]:
    """Garments of two kinds: the first feature is normal around 0 or `apart`, the second says nothing."""
    random = np.random.default_rng(seed)
    kinds = list(CCP_KINDS[garment])
    found = []
    for number in range(count):
        second = number < skirts * count
        looks = random.normal(0, 1, 2) + np.array([apart * second, 0])
        found.append(KindSample(f"{seed}-{number}", source, "full", garment, kinds[second], features(*looks)))
    return found


def features(*looks: float, share: float = 0.3) -> np.ndarray:
    """Features of a garment, of which the last are as `pool_features` gives them: the log of each class's share."""
    return np.array([*looks, *[np.log(share)] * len(OUTFIT_15)], np.float32)


def fit(known: list[KindSample], **changes: object) -> Kinds:
    lesson = Lesson({name: tuple(of) for name, of in CCP_KINDS.items()}, "made up", PHOTOS, lambda each: True)
    return fitting.fit(known, replace(lesson, **changes), checkpoint())  # type: ignore[arg-type]


def checkpoint() -> Checkpoint:
    config = CheckpointConfig(
        architecture="fpn",
        arguments={},
        taxonomy="OUTFIT_15",
        classes=list(OUTFIT_15.names),
        height=64,
        width=64,
        mean=0.5,
        std=0.5,
    )
    return Checkpoint("fake", config, None, Results(), "0123456789ab")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _loose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A penalty for two features instead of hundreds."""
    monkeypatch.setattr(fitting, "_INVERSE_PENALTY", 1.0)


def test_every_label_is_one_of_its_class() -> None:
    for garment, kinds in CCP_KINDS.items():
        labels = [label for each in kinds.values() for label in each]
        assert len(labels) == len(set(labels))
        assert {CCP_TO_OUTFIT_15[label] for label in labels} == {garment} and set(labels) <= set(CCP_59)
    known = {kind for kinds in CCP_KINDS.values() for kind in kinds}
    assert set(FLATLAY_KINDS.values()) <= known


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({"skirt": 70, "dress": 30}, "skirt"),
        ({"skirt": 55, "dress": 45}, None),  # no kind has 60 % of the class
        ({"skirt": 29, "null": 71}, None),  # less than 30 % of the mask is of the class
        ({"skirt": 31, "shirt": 69}, "skirt"),
        ({"shirt": 100}, None),
        ({}, None),
    ],
)
def test_the_label_of_a_mask(counts: dict[str, int], kind: str | None) -> None:
    assert label_of_mask(counts, "Dress", CCP) == kind


def test_a_label_that_says_nothing_of_the_kind_counts_against_the_others() -> None:
    assert label_of_mask({"boots": 50, "shoes": 50}, "Footwear", CCP) is None
    assert label_of_mask({"boots": 70, "shoes": 30}, "Footwear", CCP) == "boots"


@pytest.mark.parametrize(
    ("tags", "garment", "kind"),
    [
        ({"skirt", "belt"}, "Dress", "skirt"),
        ({"skirt", "dress"}, "Dress", None),
        ({"heels", "pumps"}, "Footwear", "heels"),
        ({"heels", "shoes"}, "Footwear", None),
        ({"shoes"}, "Footwear", None),
        ({"boots"}, "Dress", None),
        ({"intimate", "jeans"}, "Pants", "jeans"),
    ],
)
def test_the_label_of_tags(tags: set[str], garment: str, kind: str | None) -> None:
    assert label_of_tags(tags, garment, CCP) == kind


def test_kinds_that_lie_apart_are_told_apart_and_others_do_not_ship() -> None:
    known = samples(120) + samples(120, garment="Glasses", apart=0.0, seed=1)
    known += samples(120, garment="Socks", skirts=0.95, seed=2)
    kinds = fit(known)
    assert set(kinds.config.classes) == {"Dress"} and kinds.config.weights == "0123456789ab"
    assert "too few garments" in kinds.config.left_out["Socks"] and "too few" in kinds.config.left_out["Coat"]
    assert "the most frequent kind alone 0.5" in kinds.config.left_out["Glasses"]
    (own,) = kinds.config.judgements
    assert own.how == "cross-validated" and own.garments == 120 and own.photos.number == 120
    assert own.accuracy.value > 0.98 and own.accuracy.low <= own.accuracy.value <= own.accuracy.high
    found = kinds.probabilities("Dress", features(6.0, 0.0))
    assert found is not None and found["skirt"] > 0.95
    (far,) = judge(kinds, samples(60, seed=3), PHOTOS)
    assert far.how == "held out" and far.accuracy.value > 0.95 and far.matrix[0][0] > 25
    assert "Dress, Clothing Co-Parsing, tags (60 photos), full, held out: 60 garments" in judgement_line(far)


def test_the_probabilities_are_calibrated() -> None:
    kinds = fit(samples(2000, apart=1.0))
    weight, bias = kinds.weights["Dress"], kinds.biases["Dress"]
    # Two normal distributions of variance 1, a distance of 1 apart: log odds are x - 1/2 (the second feature adds 0).
    assert (weight[1] - weight[0])[:2] == pytest.approx([1, 0], abs=0.15)
    assert bias[1] - bias[0] == pytest.approx(-0.5, abs=0.15)


def test_matrix_and_scores_by_hand() -> None:
    known = ClassKinds(names=("dress", "skirt"), thresholds=(0.6, 0.9))
    config = KindsConfig(taxonomy="OUTFIT_15", weights="a", classes={"Dress": known}, features=2, data="")
    weight = np.array([[0, 0], [1, 0]], np.float32)
    kinds = Kinds(config, {"Dress": weight}, {"Dress": np.zeros(2, np.float32)})
    rows = [("dress", -5.0), ("dress", -5.0), ("dress", 5.0), ("dress", 0.0), ("skirt", 5.0), ("skirt", 1.0)]
    some = [
        KindSample(str(number), "masks", "bust", "Dress", kind, np.array([x, 0], np.float32))
        for number, (kind, x) in enumerate(rows)
    ]
    (found,) = judge(kinds, some, PHOTOS)
    assert found.matrix == ((2, 1, 1), (0, 1, 1))  # log odds 0 and 1 give 0.5 and 0.73, below 0.6 and 0.9
    assert found.answered == pytest.approx(4 / 6) and found.accuracy.value == pytest.approx(3 / 4)
    assert found.majority == pytest.approx(3 / 4) and found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.accuracy_of_all == pytest.approx(5 / 6)  # 0.5 counts as a dress
    assert found.framing == "bust" and found.photos.number == 6
    assert found.photo_ids == (("0\n1", "2", "3"), ("", "4", "5"))


def test_kinds_are_not_told_of_garments_that_are_larger_than_those_that_taught() -> None:
    """Such as shoes without a wearer, all of which were boots."""
    some = samples(120)
    kinds = fit([*some, replace(some[-1], features=features(0.0, 0.0, share=0.5))])
    known = kinds.config.classes["Dress"]
    assert (known.largest, known.share_feature) == (0.6, OUTFIT_15["Dress"].id - len(OUTFIT_15))
    assert kinds.probabilities("Dress", features(6.0, 0.0, share=0.61)) is None
    assert kinds.probabilities("Dress", features(6.0, 0.0, share=0.59)) is not None
    alone = [replace(each, features=features(*each.features[:2], share=0.9)) for each in samples(60, seed=3)]
    always = replace(kinds.config, classes={"Dress": replace(known, thresholds=(0.0, 0.0))})
    for each in (kinds, replace(kinds, config=always)):
        (found,) = judge(each, alone, PHOTOS)
        assert found.garments == 60 and found.answered == found.accuracy_of_all == 0
    assert fit([*some, replace(some[-1], features=features(0.0, 0.0, share=0.9))]).config.classes["Dress"].largest == 1
    tiny = [replace(each, features=features(*each.features[:2], share=0.002)) for each in some]
    assert fit(tiny).config.classes["Dress"].largest == pytest.approx(0.0024)


def test_a_class_that_fails_on_other_photos_goes_with_its_scores() -> None:
    kinds = fit(samples(120))
    good = judge(kinds, samples(60, seed=3), PHOTOS)
    assert set(with_judgements(kinds, good).config.classes) == {"Dress"}
    turned = [replace(each, kind="dress" if each.kind == "skirt" else "skirt") for each in samples(60, seed=3)]
    failed = with_judgements(kinds, judge(kinds, turned, PHOTOS))
    assert not failed.config.classes and not failed.config.judgements and not failed.weights
    assert "held out" in failed.config.left_out["Dress"]


def test_flat_lays_and_parts_alone_do_not_decide() -> None:
    kinds = fit(samples(120))
    turned = [
        replace(each, kind="dress" if each.kind == "skirt" else "skirt", source="flat-lays")
        for each in samples(60, seed=3)
    ]
    assert set(with_judgements(kinds, judge(kinds, turned, PHOTOS)).config.classes) == {"Dress"}


def test_too_few_garments_are_a_sentence() -> None:
    with pytest.raises(DatasetError, match="too few garments for the kinds of any class"):
        fit(samples(10))


def test_flat_lays_that_teach_say_the_kind_and_are_not_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_MOST_FLATLAYS", 2)
    photos = [
        FlatLay(f"{label}{number}{part}", "f.jpg", label, garment, "1", False, part)  # type: ignore[arg-type]
        for label, garment in (("Skirt", "Dress"), ("Pants", "Pants"))
        for number in range(3)
        for part in ("train", "test")
    ]
    found = sampling.teaching(FlatLays(Path(), tuple(photos)))
    assert [photo.label for photo in found.photos] == ["Skirt", "Skirt"]
    assert {photo.part for photo in found.photos} == {"train"}


def test_what_was_observed_is_not_observed_again(tmp_path: Path) -> None:
    first, second = samples(1), samples(1, garment="Coat", seed=4)
    asked: list[str] = []

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        asked.append(photo_id)
        if photo_id == "broken":
            raise DatasetError("It has no mask.")
        return {"a": [replace(each, photo_id="a") for each in first + second], "b": []}[photo_id]

    wanted = [("full", "a"), ("full", "b"), ("full", "broken")]
    found = sampling._observe(wanted, observe, "tags", tmp_path)
    again = sampling._observe(wanted, observe, "tags", tmp_path)
    assert asked == ["a", "b", "broken", "broken"]
    assert [(each.photo_id, each.garment, each.kind, each.source, each.framing) for each in again] == [
        ("a", "Dress", "skirt", "tags", "full"),
        ("a", "Coat", "jacket/cardigan", "tags", "full"),
    ]
    assert all((one.features == other.features).all() for one, other in zip(found, again, strict=True))
    sampling._observe([("full", "a")], observe, "masks", tmp_path)
    sampling._observe([("bust", "a")], observe, "tags", tmp_path)
    assert asked[4:] == ["a", "a"]


def test_features_of_other_weights_or_labels_are_not_used(tmp_path: Path) -> None:
    one = sampling.features_of(tmp_path, "0123456789ab", CCP)
    assert one == sampling.features_of(tmp_path, "0123456789ab", CCP) and one.is_dir()
    assert one != sampling.features_of(tmp_path, "a" * 12, CCP)
    assert one != sampling.features_of(tmp_path, "0123456789ab", replace(CCP, kinds={"Dress": CCP_KINDS["Dress"]}))


def of_five_folds(count: int, apart: float) -> list[KindSample]:
    """Garments on photos of five folds, by turns of two kinds; their looks differ by `apart`."""
    random = np.random.default_rng(0)
    return [
        KindSample(
            str(number), "masks", "full", "Dress", "ab"[number % 2], features(random.normal(apart * (number % 2), 1))
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("apart", "ship"), [(3.0, True), (0.0, False)])
def test_what_is_scored_did_not_choose(apart: float, ship: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds chosen on the scored photos themselves would find 15 % above the majority in noise."""
    own = of_five_folds(100, apart)
    lesson = Lesson(
        kinds={"Dress": ("a", "b")},
        data="made up",
        photos={"masks": EvaluatedPhotos(dataset="coco-looks", split="all")},
        choice=lambda each: True,
        folds={each.photo_id: int(each.photo_id) // 2 % 5 for each in own},
        judged_elsewhere=False,
    )
    seen: list[set[int]] = []
    chosen = fitting._chosen

    def watch(odds: np.ndarray, truth: np.ndarray, wanted: float) -> tuple[float, tuple[float, ...]]:
        seen.append({len(truth)})
        return chosen(odds, truth, wanted)

    monkeypatch.setattr(fitting, "_chosen", watch)
    kinds = fitting.fit(own, lesson, checkpoint())
    assert seen == [{100}, *[{80}] * 5]  # for use, and five times for the scores
    assert ("Dress" in kinds.config.classes) == ship
    with pytest.raises(DatasetError, match="b was found on 6 photos, wanted 12"):
        fitting.fit([each for each in own if each.kind == "a" or int(each.photo_id) < 12], lesson, checkpoint())
