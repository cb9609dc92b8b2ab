import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segmodels.datasets import Dataset, DatasetError
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.segmentation.pseudo_labels import labelled_by, pseudo_labels_trained_on, with_pseudo_labels

SHIRT, COAT, HAT = (OUTFIT_15[name].id for name in ("Shirt", "Coat", "Hat"))


def seen(**shares: float) -> torch.Tensor:
    """Probabilities `(15, 10, 10)` that are the same everywhere; the rest is background."""
    probability = torch.zeros(len(OUTFIT_15), 10, 10)
    for name, share in shares.items():
        probability[OUTFIT_15[name].id] = share
    probability[0] = 1 - probability.sum(dim=0)
    return probability


def test_a_class_that_the_tags_deny_is_forbidden() -> None:
    probability = seen(Coat=0.6, Shirt=0.4)
    assert (labelled_by(probability, {"Coat"}) == COAT).all()
    assert (labelled_by(probability, {"Shirt"}) == SHIRT).all()


def test_hair_and_skin_need_no_tag() -> None:
    assert (labelled_by(seen(Hair=0.9), {"Shirt"}) == OUTFIT_15["Hair"].id).all()


def test_a_class_that_the_tags_assert_is_encouraged_until_it_is_found() -> None:
    probability = seen(Shirt=0.8)
    probability[HAT, 0, :5], probability[SHIRT, 0, :5], probability[0, 0, :5] = 0.35, 0.6, 0.05
    without, encouraged = labelled_by(probability, {"Shirt"}), labelled_by(probability, {"Shirt", "Hat"})
    assert not (without == HAT).any()
    assert (encouraged[0, :5] == HAT).all() and (encouraged[1:] == without[1:]).all()


def test_encouragement_has_an_end() -> None:
    assert not (labelled_by(seen(Shirt=0.99, Hat=0.001), {"Shirt", "Hat"}) == HAT).any()


def test_where_the_networks_are_not_sure_nothing_is_labelled() -> None:
    assert (labelled_by(seen(Shirt=0.4, Coat=0.35), {"Shirt"}) == SHIRT).all()
    probability = seen(Shirt=0.4, Coat=0.3)
    probability[:, 0, 0] = 0
    probability[COAT, 0, 0] = 1
    assert (labelled_by(probability, {"Shirt", "Coat"})[1:] == UNLABELLED).all()


def test_where_the_tags_forgot_a_garment_nothing_is_labelled() -> None:
    probability = seen(Shirt=0.9)
    probability[:, 0, :5] = 0
    probability[COAT, 0, :5], probability[SHIRT, 0, :5] = 0.95, 0.05
    class_map = labelled_by(probability, {"Shirt"})
    assert (class_map[0, :5] == UNLABELLED).all() and (class_map[1:] == SHIRT).all()
    assert (labelled_by(seen(Coat=0.95, Shirt=0.05), {"Shirt"}) == SHIRT).all(), "that is a shirt taken for a coat"


def test_pseudo_labelled_photos_join_the_others(dataset: Dataset, tmp_path: Path) -> None:
    own = dataset.ids[0]
    Image.fromarray(np.full((4, 3), SHIRT, np.uint8)).save(tmp_path / "9999.png")
    Image.fromarray(np.full((4, 3), COAT, np.uint8)).save(tmp_path / f"{own}.png")

    joined, ids = with_pseudo_labels(dataset, tmp_path)

    assert ids == ["9999"] and joined.ids == (*dataset.ids, "9999")
    assert (joined.read_truth("9999") == SHIRT).all()
    assert np.array_equal(joined.read_truth(own), dataset.read_truth(own)), "a true mask is never replaced"


def test_an_empty_or_damaged_folder_is_one_sentence(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no pseudo-labels. Make them"):
        with_pseudo_labels(dataset, tmp_path)
    (tmp_path / "9999.png").write_bytes(b"no picture")
    joined, _ = with_pseudo_labels(dataset, tmp_path)
    with pytest.raises(DatasetError, match="9999.png cannot be read"):
        joined.read_truth("9999")


def test_what_the_networks_behind_them_were_trained_on(tmp_path: Path) -> None:
    assert pseudo_labels_trained_on(tmp_path) == []
    (tmp_path / "labels.json").write_text('{"photos": 1, "teachers": ["fpn 0123"]}')
    assert pseudo_labels_trained_on(tmp_path) == [], "of an earlier version"
    fits = [{"dataset": "ccp", "fold": 0, "folds": 5}]
    (tmp_path / "labels.json").write_text(json.dumps({"photos": 1, "trained_on": fits}))
    assert pseudo_labels_trained_on(tmp_path) == fits
    for damaged in ("{", "[]", '{"trained_on": 1}'):
        (tmp_path / "labels.json").write_text(damaged)
        with pytest.raises(DatasetError, match=r"labels\.json is damaged"):
            pseudo_labels_trained_on(tmp_path)
