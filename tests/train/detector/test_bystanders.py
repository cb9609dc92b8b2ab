"""The list of people in the background."""

from pathlib import Path

import pytest

from segmodels.datasets import DatasetError
from train.detector.bystanders import read_bystanders


def test_bystanders_by_photo(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("id,left,top,right,bottom\n0001,0,0.5,0.25,1\n0001,0.5,0.5,0.75,1\n0004,0,0,1,1\n")
    listed = read_bystanders(path)
    assert listed["0001"].tolist() == [[0, 0.5, 0.25, 1], [0.5, 0.5, 0.75, 1]] and listed["0004"].shape == (1, 4)
    with pytest.raises(DatasetError, match="There is no list of bystanders"):
        read_bystanders(tmp_path / "nowhere.csv")


def test_the_stored_list_knows_only_shares_of_photos() -> None:
    listed = read_bystanders()
    assert len(listed) > 100
    for photo_id, of_photo in listed.items():
        assert len(photo_id) == 4
        assert (of_photo[:, :2] < of_photo[:, 2:]).all() and of_photo.min() >= 0 and of_photo.max() <= 1
