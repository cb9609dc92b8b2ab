from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import DATASETS, DatasetError
from segmodels.datasets.flatlay import read_flatlays
from segmodels.photo import PhotoError
from segmodels.taxonomy import OUTFIT_15

HEADER = "file,label,class,sender,kids,part"
ROWS = ("b.jpg,Polo,Shirt,7,False,train", "a.jpg,Shoes,Footwear,8,True,train", "c.png,Skirt,Dress,9,False,test")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a set of the given rows, with a photo each of those above; gives its folder."""

    def make(*rows: str, header: str = HEADER) -> Path:
        (tmp_path / "photos").mkdir()
        for name, colour in {"a.jpg": 10, "b.jpg": 90, "c.png": 200}.items():
            Image.new("RGB", (24, 16), (colour,) * 3).save(tmp_path / "photos" / name)
        (tmp_path / "flatlay.csv").write_text("\n".join([header, *rows]) + "\n")
        return tmp_path

    return make


def test_a_photo_has_a_label_a_class_a_sender_and_a_part(write: Callable[..., Path]) -> None:
    flatlays = read_flatlays(write(*ROWS))
    assert [photo.id for photo in flatlays.photos] == ["a", "b", "c"] and len(flatlays) == 3
    shoes, polo, skirt = flatlays.photos
    assert (shoes.label, shoes.garment, shoes.sender, shoes.kids, shoes.part) == (
        *("Shoes", "Footwear", "8"),
        *(True, "train"),
    )
    assert (polo.kids, skirt.part) == (False, "test")
    assert flatlays.taxonomy is OUTFIT_15
    pixels = flatlays.open(polo)
    assert pixels.shape == (16, 24, 3) and pixels.dtype == np.uint8 and abs(int(pixels.mean()) - 90) <= 2


def test_parts_and_ids_select(write: Callable[..., Path]) -> None:
    flatlays = read_flatlays(write(*ROWS))
    assert [photo.id for photo in flatlays.part("train").photos] == ["a", "b"]
    assert [photo.id for photo in flatlays.part("test").photos] == ["c"]
    assert [photo.id for photo in flatlays.select(["c", "a"]).photos] == ["c", "a"]
    with pytest.raises(DatasetError, match=r"2 of 3 ids are not flat-lays at .*: x, y\.$"):
        flatlays.select(["a", "x", "y"])
    with pytest.raises(DatasetError, match="no photo of part 'choice'; parts are train and test"):
        flatlays.part("choice")


def test_a_photo_that_is_missing_is_an_error_when_it_is_opened(write: Callable[..., Path]) -> None:
    flatlays = read_flatlays(write("z.jpg,Hat,Hat,1,False,train"))
    with pytest.raises(PhotoError, match=r"z\.jpg"):
        flatlays.open(flatlays.photos[0])


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("../a.jpg,Hat,Hat,1,False,train", r"line 2: '\.\./a\.jpg' is not the name of a file"),
        (",Hat,Hat,1,False,train", "line 2: '' is not the name of a file"),
        ("a.jpg,Hat,Helmet,1,False,train", "line 2: 'Helmet' is not a garment of OUTFIT_15"),
        ("a.jpg,Hat,Skin,1,False,train", "line 2: 'Skin' is not a garment"),
        ("a.jpg,Hat,Hat,1,yes,train", "line 2: kids is 'yes'; it must be True or False"),
        ("a.jpg,Hat,Hat,1,False,dev", "line 2: part is 'dev'; it must be train or test"),
        ("a.jpg,Hat", "line 2: '' is not a garment"),
    ],
)
def test_a_wrong_row_is_named(write: Callable[..., Path], row: str, sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        read_flatlays(write(row))


def test_a_photo_that_stands_there_twice_is_an_error(write: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match="line 3: a occurs twice"):
        read_flatlays(write(ROWS[1], "a.png,Hat,Hat,1,False,train"))


def test_other_columns_are_an_error(write: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match=r"flatlay\.csv has no column sender, part\. Get the file again\.$"):
        read_flatlays(write("a.jpg,Hat,Hat,False", header="file,label,class,kids"))


def test_a_set_without_a_photo_is_an_error(write: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match="lists no photo"):
        read_flatlays(write())


def test_a_file_that_is_no_text_is_an_error(write: Callable[..., Path]) -> None:
    root = write()
    (root / "flatlay.csv").write_bytes(b"file,label,class,sender,kids,part\n\xff\xfe,,,,,\n")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_flatlays(root)


def test_a_missing_folder_says_where_the_photos_are_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"photos is missing\. .*clothing-dataset; name the folder"):
        read_flatlays(tmp_path)


def test_it_is_no_data_set_of_pixels() -> None:
    assert "flatlay" not in DATASETS
