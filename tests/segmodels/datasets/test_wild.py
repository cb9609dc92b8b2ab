from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from segmodels.datasets import DatasetError
from segmodels.datasets.wild import read_wild

HEADER = "file,framing,people,tags,unsure,light,skin,source"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a set of the given rows and one photo, `a.png`; gives its folder."""

    def make(*rows: str, header: str = HEADER) -> Path:
        (tmp_path / "photos").mkdir()
        Image.new("RGB", (24, 16), (50, 60, 70)).save(tmp_path / "photos" / "a.png")
        (tmp_path / "wild.csv").write_text("\n".join([header, *rows]) + "\n")
        return tmp_path

    return make


def test_a_photo_has_tags_and_is_of_a_kind(write: Callable[..., Path]) -> None:
    wild = read_wild(
        write("a.png,bust,2,Shirt|Scarf/Tie|Skin,Coat,bw,dark,somewhere", "b.jpg,flat-lay,0,Dress,,low,none,x")
    )
    first, second = wild.photos
    assert first.tags == {"Shirt", "Scarf/Tie", "Skin"} and first.unsure == {"Coat"}
    assert (first.framing, first.people, first.light, first.skin) == ("bust", 2, "bw", "dark")
    assert second.tags == {"Dress"} and second.unsure == frozenset() and second.people == 0
    assert wild.open(first).shape == (16, 24, 3)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a/b.png,bust,1,Shirt,,bw,dark,x", "line 2: 'a/b.png' is not the name of a file"),
        ("a.png,bust,some,Shirt,,bw,dark,x", "line 2: people is 'some', which is not a whole number"),
        ("a.png,bust,1,Shirt|Cape,Tie,bw,dark,x", "line 2: Cape, Tie is not a class of OUTFIT_15"),
        ("a.png,bust,1,Shirt|Coat,Coat,bw,dark,x", "line 2: Coat cannot be in tags and in unsure"),
    ],
)
def test_a_wrong_row_is_named(write: Callable[..., Path], row: str, sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        read_wild(write(row))


def test_other_columns_or_no_rows_are_an_error(write: Callable[..., Path]) -> None:
    root = write(header="file,framing,people,tags")
    with pytest.raises(DatasetError, match=r"wild\.csv has no column unsure, light, skin\. Get the file again\.$"):
        read_wild(root)
    (root / "wild.csv").write_text(HEADER + "\n")
    with pytest.raises(DatasetError, match="lists no photo"):
        read_wild(root)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="photos is missing"):
        read_wild(tmp_path)
