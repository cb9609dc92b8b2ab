import csv
import hashlib
from pathlib import Path

import pytest

from segmodels.datasets import DatasetError
from train.split import SPLITS, fold_ids, read_ids


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("ccp_folds.csv", "07f285ea0e592fb35344108da09635d3ca5c3b758c9227feab60c3ab1d3857fe"),
        ("ccp_tags_reserved.txt", "e267e81e50d550afa15ef9ee30ca3aa02db42aa54bf83ce8c7eb688c17c63c81"),
        ("ccp_test.txt", "296dec09e2c75da3bce740f6f3798800580e9f6b84b4636986f6e90d79b305a1"),
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


def test_no_folds_are_stored() -> None:
    with pytest.raises(DatasetError, match=r"No folds are stored for cfpd; there should be cfpd_folds\.csv"):
        fold_ids("cfpd", 0)


def test_ids_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("0003\n\n 0001 \r\n0002")
    assert read_ids(path) == ["0003", "0001", "0002"]


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
