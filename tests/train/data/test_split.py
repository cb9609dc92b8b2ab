import csv
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmodels.datasets import Dataset, DatasetError
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.data.split import (
    SPLITS,
    are_folds_of,
    fold_ids,
    folds_digest,
    folds_sentence,
    read_ids,
    stratified_folds,
    with_split,
)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("ccp_folds.csv", "07f285ea0e592fb35344108da09635d3ca5c3b758c9227feab60c3ab1d3857fe"),
        ("ccp_tags_reserved.txt", "e267e81e50d550afa15ef9ee30ca3aa02db42aa54bf83ce8c7eb688c17c63c81"),
        ("ccp_test.txt", "296dec09e2c75da3bce740f6f3798800580e9f6b84b4636986f6e90d79b305a1"),
        ("flatlay_choice.txt", "b35b9c03e832d1c3e08de96fde4280d5276ed42245904e9993fcd39223df71bb"),
        ("flatlay_in_wild.txt", "1417c1246b55da23246dd167bf3ee6c7ecb110729f8441d417ee8d1158469f5a"),
    ],
)
def test_the_split_is_fixed_for_good(name: str, digest: str) -> None:
    assert hashlib.sha256((SPLITS / name).read_bytes()).hexdigest() == digest


def test_five_folds_hold_798_photos_each_once() -> None:
    chosen = [fold_ids("ccp", fold)[1] for fold in range(5)]
    together = [photo_id for ids in chosen for photo_id in ids]
    assert len(together) == len(set(together)) == 798
    assert all(150 <= len(ids) <= 170 for ids in chosen)


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_is_chosen_by_and_the_others_train(fold: int) -> None:
    training, choice = fold_ids("ccp", fold)
    assert len(training) + len(choice) == 798
    assert not set(training) & set(choice)
    with (SPLITS / "ccp_folds.csv").open(newline="") as file:
        assert choice == [row["id"] for row in csv.DictReader(file) if int(row["fold"]) == fold]


def test_no_photo_of_the_test_is_in_a_fold() -> None:
    test = read_ids(SPLITS / "ccp_test.txt")
    training, choice = fold_ids("ccp", 0)
    assert len(test) == len(set(test)) == 101
    assert not set(test) & {*training, *choice}
    assert len({*test, *training, *choice}) == 899


def test_reserved_photos_are_in_no_other_part() -> None:
    reserved = read_ids(SPLITS / "ccp_tags_reserved.txt")
    training, choice = fold_ids("ccp", 0)
    assert len(reserved) == len(set(reserved)) == 300
    assert not set(reserved) & {*training, *choice, *read_ids(SPLITS / "ccp_test.txt")}


def test_ids_are_names_of_files() -> None:
    training, choice = fold_ids("ccp", 2)
    ids = [*training, *choice, *read_ids(SPLITS / "ccp_test.txt"), *read_ids(SPLITS / "ccp_tags_reserved.txt")]
    assert all(len(photo_id) == 4 and photo_id.isdigit() for photo_id in ids)


@pytest.mark.parametrize("fold", [-2, 5])
def test_no_such_fold(fold: int) -> None:
    with pytest.raises(DatasetError, match=f"ccp has folds 0 to 4, not {fold}"):
        fold_ids("ccp", fold)


def test_no_folds_are_stored_under_a_name() -> None:
    with pytest.raises(DatasetError, match=r"No folds are stored for cfpd; there should be cfpd_folds\.csv"):
        fold_ids("cfpd", 0)


READ: list[str] = []


def truth_of(photo_id: str) -> np.ndarray:
    """Shirt on every photo, a bag on every tenth, a romper on every hundredth, and nothing readable on photo 7."""
    READ.append(photo_id)
    if photo_id == "7":
        raise DatasetError("damaged")
    number = int(photo_id) if photo_id.isdigit() else 1
    names = ("Background", "Shirt", *(["Bag"] if number % 10 == 0 else []), *(["Romper"] if number % 100 == 0 else []))
    return np.array([[OUTFIT_15[name].id for name in names] + [UNLABELLED]], np.uint8)


def opened(name: str, ids: Sequence[str], parts: tuple[Dataset, ...] = ()) -> Dataset:
    """A data set of these ids; the folds ask for nothing but the truths."""
    here = Path("nowhere")
    return Dataset(name, here, OUTFIT_15, tuple(ids), here.joinpath, here.joinpath, truth_of, parts)


IDS = [f"{number}" for number in range(1, 2683)]


def test_folds_of_a_data_set_without_stored_ones_have_all_classes_alike() -> None:
    READ.clear()
    assert fold_ids(opened("cfpd", IDS), -1) == (IDS, []) and not READ, "all folds need no look at the photos"
    folds = [fold_ids(opened("cfpd", IDS), fold) for fold in range(5)]
    assert READ == IDS, "each truth is read once"
    assert sorted(photo_id for _, choice in folds for photo_id in choice) == sorted(IDS)
    for training, choice in folds:
        assert sorted(training + choice) == sorted(IDS)
        assert len(choice) in (536, 537)
        assert sum(int(photo_id) % 10 == 0 for photo_id in choice) in (53, 54)  # 268 bags
        assert sum(int(photo_id) % 100 == 0 for photo_id in choice) in (5, 6)  # 26 rompers
    assert fold_ids(opened("cfpd", IDS), 0) == folds[0], "for good"
    tenth = fold_ids(opened("cfpd", IDS), 0, 10)[1]
    assert len(tenth) in (268, 269) and sum(int(photo_id) % 100 == 0 for photo_id in tenth) in (2, 3)


def test_folds_of_combined_data_sets() -> None:
    training, choice = fold_ids("ccp", 1)
    test = read_ids(SPLITS / "ccp_test.txt")
    ccp, cfpd = opened("ccp", [*training, *choice, *test, "0536"]), opened("cfpd", IDS)
    both = opened("ccp_cfpd", [f"{part.name}-{each}" for part in (ccp, cfpd) for each in part.ids], (ccp, cfpd))
    for fold in (-1, 0, 1, 4):
        for own, shared in zip(fold_ids(ccp, fold), fold_ids(both, fold), strict=True):
            assert [each.removeprefix("ccp-") for each in shared if each.startswith("ccp-")] == own
        for own, shared in zip(fold_ids(cfpd, fold), fold_ids(both, fold), strict=True):
            assert [each.removeprefix("cfpd-") for each in shared if each.startswith("cfpd-")] == own
        together = {photo_id for part in fold_ids(both, fold) for photo_id in part}
        assert not together & {f"ccp-{photo_id}" for photo_id in test}
        assert len(together) == 798 + len(IDS) and together <= set(both.ids)


def test_an_open_ccp_has_its_stored_folds() -> None:
    assert fold_ids(opened("ccp", ["0002"]), 3) == fold_ids("ccp", 3)


def test_fewer_photos_than_folds() -> None:
    small = opened("small", ["1", "2", "3", "4"])
    with pytest.raises(DatasetError) as raised:
        fold_ids(small, 0)
    assert str(raised.value) == (
        "small: 4 photos are too few for 5 folds. Label more photos, or take fewer folds. "
        "All of them can be trained on with fold=-1."
    )
    assert fold_ids(small, -1) == (["1", "2", "3", "4"], [])
    with pytest.raises(DatasetError, match="small has folds 0 to 4, not 5"):
        fold_ids(small, 5)


def test_a_class_on_a_single_photo_is_in_one_fold() -> None:
    rare = opened("rare", ["1", "2", "3", "5", "6", "8", "100"])  # the last alone shows bag and romper
    assert [("100" in fold_ids(rare, fold)[1]) for fold in range(5)].count(True) == 1
    assert sorted(len(fold_ids(rare, fold)[1]) for fold in range(5)) == [1, 1, 1, 2, 2]


def test_ids_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("\ufeff0003\n\n 0001 \r\n0002\nsummer 2024/IMG 1", "utf-8")  # as Notepad saves it
    assert read_ids(path) == ["0003", "0001", "0002", "summer 2024/IMG 1"]


def test_a_file_of_ids_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    with pytest.raises(DatasetError, match=r"ids\.txt cannot be read"):
        read_ids(path)
    path.write_text("\n \n")
    with pytest.raises(DatasetError, match=r"ids\.txt is empty\. Write one id a line\."):
        read_ids(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"ids\.txt cannot be read"):
        read_ids(path)


def test_all_folds_train_and_none_chooses() -> None:
    training, choice = fold_ids("ccp", -1)
    assert len(training) == len(set(training)) == 798 and not choice


def test_another_number_of_folds_than_is_stored_is_made_of_the_same_photos() -> None:
    stored = fold_ids("ccp", -1)[0]
    ccp = opened("ccp", [*stored, "0536"])
    parts = [fold_ids(ccp, fold, 10) for fold in range(10)]
    assert sorted(photo for _, choice in parts for photo in choice) == sorted(stored)
    for train, choice in parts:
        assert set(train) | set(choice) == set(stored) and not set(train) & set(choice)
        assert len(choice) in (79, 80)
    with pytest.raises(DatasetError, match="ccp has folds 0 to 9, not 10"):
        fold_ids("ccp", 10, 10)
    with pytest.raises(DatasetError, match=r"ccp is stored in 5 folds, not in 10\."):
        fold_ids("ccp", 0, 10)


def test_stratified_folds_share_out_every_class() -> None:
    shown = {
        f"{number:03}": {1, *([2] if number < 50 else []), *([3] if number % 20 == 0 else [])} for number in range(100)
    }
    folds = stratified_folds(shown)
    assert list(folds) == sorted(shown) and folds == stratified_folds(dict(reversed(shown.items())))
    for class_id, number in ((1, 20), (2, 10), (3, 1)):
        assert [sum(folds[it] == fold for it in shown if class_id in shown[it]) for fold in range(5)] == [number] * 5


def test_photos_of_a_group_are_in_one_stratified_fold() -> None:
    shown = {f"{number:02}": {1 + number // 20} for number in range(40)}
    groups = {photo_id: photo_id[0] + str(int(photo_id[1]) // 5) for photo_id in shown}  # 8 groups of 5 photos
    folds = stratified_folds(shown, 4, groups)
    assert len({(groups[photo_id], fold) for photo_id, fold in folds.items()}) == 8
    for class_id in (1, 2):
        assert [sum(folds[it] == fold for it in shown if class_id in shown[it]) for fold in range(4)] == [5] * 4
    assert set(stratified_folds({"a": (), "b": ()}, 2).values()) == {0, 1}
    assert set(stratified_folds({"a": {0}, "b": {0}}, 2).values()) == {0, 1}
    with pytest.raises(DatasetError, match="8 groups are too few for 9 folds"):
        stratified_folds(shown, 9, groups)
    with pytest.raises(DatasetError, match="1 photo is too few for 5 folds"):
        stratified_folds({"a": {1}})


def test_a_file_tells_the_folds(tmp_path: Path) -> None:
    dataset = replace(opened("coco-x", [f"p{number}" for number in range(10)]), root=tmp_path)
    assert with_split(dataset) is dataset and folds_digest(dataset) == ""
    rows = [f"p{number},{number % 5}" for number in range(9)]
    path = tmp_path / "other.csv"
    path.write_text("\n".join(["id,fold", *rows, "gone,3"]), "utf-8")
    split = with_split(dataset, path)
    assert fold_ids(split, 3) == ([f"p{number}" for number in range(9) if number % 5 != 3], ["p3", "p8"])
    assert fold_ids(split, -1) == ([f"p{number}" for number in range(9)], [])
    assert folds_sentence(split, path) == (
        f"The folds are those of {path}, of 9 photos; 1 photo is not in it and left out. It also names 1 that coco-x "
        "does not have: gone."
    )
    path.rename(tmp_path / "split.csv")
    assert with_split(dataset).folds == split.folds and folds_digest(with_split(dataset)) == folds_digest(split) != ""
    (tmp_path / "split.csv").write_text("\n".join(["id,fold", *rows[:-1], "p8,0"]), "utf-8")
    assert folds_digest(with_split(dataset)) != folds_digest(split)


def test_the_folds_of_a_file_are_taken_as_they_are_however_many_are_asked_for() -> None:
    dataset = opened("coco-x", [f"p{number}" for number in range(10)])
    two = replace(dataset, folds={photo_id: int(photo_id[1:]) % 2 for photo_id in dataset.ids})
    assert fold_ids(two, 1, 5) == (["p0", "p2", "p4", "p6", "p8"], ["p1", "p3", "p5", "p7", "p9"])
    with pytest.raises(DatasetError, match="coco-x has folds 0 to 1, not 2"):
        fold_ids(two, 2, 5)
    one = replace(dataset, folds=dict.fromkeys(dataset.ids, 0))
    with pytest.raises(DatasetError, match="All 10 photos of coco-x are in fold 0, so none is left to train on"):
        fold_ids(one, 0)


def test_a_file_is_before_stored_folds_only_where_it_is_named(tmp_path: Path) -> None:
    dataset = replace(opened("ccp", ["0001", "0002", "0003"]), root=tmp_path)
    (tmp_path / "split.csv").write_text("id,fold\n0001,0\n0002,1\n", "utf-8")
    assert with_split(dataset) is dataset
    named = with_split(dataset, tmp_path / "split.csv")
    assert fold_ids(named, 0, 2) == (["0002"], ["0001"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", r"needs the columns id and fold in its first line; it has \[\]"),
        ("photo,fold\na,0\n", r"needs the columns id and fold in its first line; it has \['photo', 'fold'\]"),
        ("id,fold\nz,0\n", "names none of the 2 photos of coco-x. Ids are paths without endings, such as a"),
        ("id,fold\na,0\na,1\n", "line 3: a stands there twice"),
        ("id,fold\na,-1\n", "line 2: the id is 'a' and the fold '-1'; expected an id and a whole number from 0"),
        ("id,fold\na,x\n", "line 2: the id is 'a' and the fold 'x'"),
        ("id\na\n", r"needs the columns id and fold in its first line; it has \['id'\]"),
    ],
)
def test_files_that_tell_no_folds(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "split.csv").write_text(content, "utf-8")
    with pytest.raises(DatasetError, match=sentence):
        with_split(replace(opened("coco-x", ["a", "b"]), root=tmp_path))
    with pytest.raises(DatasetError, match=r"The split .*none\.csv cannot be read"):
        with_split(opened("coco-x", ["a", "b"]), tmp_path / "none.csv")


def test_folds_that_are_dealt_out_move_with_the_photos() -> None:
    before, more = opened("coco-x", IDS[:40]), opened("coco-x", IDS[:50])
    trained = folds_digest(before, 5)
    assert trained and are_folds_of(before, trained, 5)
    assert not are_folds_of(more, trained, 5) and not are_folds_of(before, trained, 4)
    assert folds_digest(before) == "", "no fold was left out"
    assert folds_digest(opened("ccp", ["0002"]), 5) == "", "stored folds never move"
    assert are_folds_of(before, "", 5), "an older checkpoint kept nothing"
    assert not are_folds_of(replace(before, folds={"1": 0}), "", 5)
