import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import DATASETS, Dataset, DatasetError, read_imaterialist
from segmodels.photo import PhotoError
from segmodels.taxonomy import IMATERIALIST_47

HEIGHT, WIDTH = 24, 18
HEADER = "ImageId,EncodedPixels,Height,Width,ClassId\n"
FIRST, SECOND = "00000663ed1ff0c4e0132b9b9ac53f6e", "0000fe7c9191fba733c8a69cfaf962b7"
SHIRT, SLEEVE, DRESS, SHOE = 0, 31, 10, 23


def encoded(mask: np.ndarray) -> str:
    """Runs as the data set has them: from 1, down the columns."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return " ".join(f"{start + 1} {end - start}" for start, end in edges.reshape(-1, 2))


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def row(
    photo: str, mask: np.ndarray | str, class_id: int | str, *, height: object = HEIGHT, width: object = WIDTH
) -> str:
    runs = mask if isinstance(mask, str) else encoded(mask)
    return f"{photo}.jpg,{runs},{height},{width},{class_id}\n"


ROWS = [  # the rows of two photos take turns; a sleeve comes before the shirt that it lies on
    row(FIRST, box(4, 8, 2, 6), f"{SLEEVE}_115_136"),
    row(SECOND, box(2, 20, 5, 12), f"{DRESS}_2_141_313"),
    row(FIRST, box(3, 14, 2, 15), SHIRT),
    row(SECOND, box(18, 24, 5, 9), SHOE),
    row(FIRST, box(20, 24, 0, 3), SHOE),
]


def write(root: Path, rows: list[str], *, header: str = HEADER) -> Path:
    (root / "train").mkdir(exist_ok=True)
    (root / "train.csv").write_text(header + "".join(rows), encoding="utf-8")
    for photo in (FIRST, SECOND):
        Image.new("RGB", (WIDTH, HEIGHT), (10, 20, 30)).save(root / "train" / f"{photo}.jpg")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path, ROWS)


def expected(*parts: tuple[np.ndarray, int]) -> np.ndarray:
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    for mask, class_id in parts:
        truth[mask] = class_id + 1
    return truth


def test_what_is_written_is_read(root: Path) -> None:
    dataset = read_imaterialist(root)
    assert dataset.name == "imaterialist" and dataset.taxonomy is IMATERIALIST_47
    assert dataset.ids == (FIRST, SECOND)
    assert dataset.photo_path(FIRST) == root / "train" / f"{FIRST}.jpg"
    photo, truth = dataset.pair(FIRST)
    assert photo.shape == (HEIGHT, WIDTH, 3) and truth.dtype == np.uint8 and truth.flags.c_contiguous
    sleeve_on_shirt = [(box(3, 14, 2, 15), SHIRT), (box(4, 8, 2, 6), SLEEVE), (box(20, 24, 0, 3), SHOE)]
    assert (truth == expected(*sleeve_on_shirt)).all()
    shoe_on_dress = [(box(2, 20, 5, 12), DRESS), (box(18, 24, 5, 9), SHOE)]
    assert (dataset.pair(SECOND)[1] == expected(*shoe_on_dress)).all()


def test_the_reader_is_registered() -> None:
    assert DATASETS["imaterialist"] is read_imaterialist


def test_runs_of_the_paper() -> None:
    """Castro & Ramirez: '1 3' are the pixels 1, 2 and 3; they lie under one another."""
    assert encoded(box(0, 3, 0, 1)) == "1 3"


def test_ends_of_the_photo(tmp_path: Path) -> None:
    last = HEIGHT * WIDTH
    truth = read_imaterialist(write(tmp_path, [row(FIRST, f"1 1 {last} 1", SHOE)])).pair(FIRST)[1]
    assert truth[0, 0] == truth[-1, -1] == SHOE + 1 and np.count_nonzero(truth) == 2


def test_quotes_line_ends_and_other_columns_in_another_order(tmp_path: Path) -> None:
    header = "\ufeffNote,ClassId,Width,Height,EncodedPixels,ImageId\r\n"
    lines = [f'x,"{SHOE}_5",{WIDTH},{HEIGHT},"{encoded(box(1, 3, 1, 3))}","{FIRST}.jpg"\r\n', "\r\n"]
    dataset = read_imaterialist(write(tmp_path, lines, header=header))
    assert (dataset.pair(FIRST)[1] == expected((box(1, 3, 1, 3), SHOE))).all()


def test_a_row_without_runs_is_background(tmp_path: Path) -> None:
    assert not read_imaterialist(write(tmp_path, [row(FIRST, "", SHOE)])).pair(FIRST)[1].any()


def test_names_of_the_classes_decide_where_they_are_given(root: Path) -> None:
    names = [garment.name for garment in IMATERIALIST_47.classes[1:]]
    path = root / "label_descriptions.json"
    path.write_text(json.dumps({"categories": [{"id": i, "name": name} for i, name in enumerate(names)]}))
    assert read_imaterialist(root).read_truth(FIRST).max() == SLEEVE + 1
    path.write_text(json.dumps({"categories": [{"id": 45 - i, "name": name} for i, name in enumerate(names)]}))
    assert set(np.unique(read_imaterialist(root).read_truth(SECOND))) == {0, 46 - DRESS, 46 - SHOE}
    path.write_text(json.dumps({"categories": [{"id": DRESS, "name": "dress"}, {"id": SHOE, "name": "clog"}]}))
    with pytest.raises(DatasetError, match=rf"train\.csv, photo {SECOND}: class {SHOE} is not one of the 46"):
        read_imaterialist(root).read_truth(SECOND)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"categories": [{"id": "x", "name": "hat"}]}', '{"categories": [1]}']
)
def test_damaged_names_of_the_classes(root: Path, text: str) -> None:
    (root / "label_descriptions.json").write_text(text)
    with pytest.raises(DatasetError, match=r"label_descriptions\.json is damaged"):
        read_imaterialist(root)


@pytest.mark.parametrize("missing", ["train", "train.csv"])
def test_a_folder_that_is_not_the_data_set(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DatasetError) as caught:
        read_imaterialist(root)
    assert str(caught.value).startswith(
        f"{root / missing} is missing. iMaterialist 2019 is available at https://www.kag"
    )


@pytest.mark.parametrize("header", ["", "ImageId,EncodedPixels,Height,Width\n", ROWS[0]])
def test_another_header(tmp_path: Path, header: str) -> None:
    with pytest.raises(DatasetError, match=r"train\.csv has no column .*ClassId\."):
        read_imaterialist(write(tmp_path, ROWS, header=header))


def test_a_row_without_a_photo(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"train\.csv, byte {len(HEADER)}: the row names no photo"):
        read_imaterialist(write(tmp_path, [",1 3,24,18,0\n"]))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (row(FIRST, "1 3 7", 0), "EncodedPixels holds 3 numbers; runs are pairs of a start and a length"),
        (row(FIRST, "431 3", 0), "the run 431 3 goes past the end of 18 x 24 pixels"),
        (row(FIRST, "433 1", 0), "the run 433 1 goes past the end of 18 x 24 pixels"),
        (row(FIRST, "9223372036854775807 9223372036854775807", 0), "goes past the end of 18 x 24 pixels"),
        (row(FIRST, "1 99999999999999999999", 0), "EncodedPixels holds something other than whole numbers"),
        (row(FIRST, "1 x", 0), "EncodedPixels holds something other than whole numbers"),
        (row(FIRST, "1.5 2", 0), "EncodedPixels holds something other than whole numbers"),
        (row(FIRST, "0 3", 0), "EncodedPixels holds a start or a length below 1"),
        (row(FIRST, "5 -3", 0), "EncodedPixels holds a start or a length below 1"),
        (row(FIRST, "5 0", 0), "EncodedPixels holds a start or a length below 1"),
        (row(FIRST, "1 3", ""), "ClassId is '', which is not a whole number"),
        (row(FIRST, "1 3", "hat"), "ClassId is 'hat', which is not a whole number"),
        (row(FIRST, "1 3", 0, height="2e1"), "Height is '2e1', which is not a whole number"),
        (row(FIRST, "1 3", 0, width=-18), "Width is '-18', which is not a whole number"),
        (row(FIRST, "1 3", 0, width=0), "0 x 24 pixels is not a possible size of a photo"),
        (row(FIRST, "1 3", 0, height=10**9), "18 x 1000000000 pixels is not a possible size of a photo"),
        (f"{FIRST}.jpg,1 3 8", "the row has 2 fields instead of 5"),
        (f"{FIRST}.jpg", "the row has 1 fields instead of 5"),
    ],
)
def test_a_damaged_row_is_named_and_the_other_photo_read(tmp_path: Path, line: str, sentence: str) -> None:
    dataset = read_imaterialist(write(tmp_path, [ROWS[1], line]))
    with pytest.raises(DatasetError) as caught:
        dataset.pair(FIRST)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'train.csv'}, byte {len(HEADER + ROWS[1])}, photo {FIRST}: ")
    assert f"{sentence}. iMaterialist 2019 is available" in said
    assert (dataset.pair(SECOND)[1] == expected((box(2, 20, 5, 12), DRESS))).all()


def test_an_unknown_class_is_an_error_if_a_pixel_carries_it(tmp_path: Path) -> None:
    covered = [row(FIRST, box(2, 6, 2, 6), 46), row(FIRST, box(2, 4, 2, 6), SHOE), row(FIRST, box(4, 6, 2, 6), SHIRT)]
    assert set(np.unique(read_imaterialist(write(tmp_path, covered)).read_truth(FIRST))) == {0, SHOE + 1, SHIRT + 1}
    with pytest.raises(DatasetError, match=rf"train\.csv, photo {FIRST}: class 46 is not one of the 46"):
        read_imaterialist(write(tmp_path, covered[:2])).read_truth(FIRST)


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    dataset = read_imaterialist(write(tmp_path, [row(FIRST, "1 3", 0, height=18, width=24), *ROWS]))
    with pytest.raises(DatasetError, match=rf"the rows of photo {FIRST} give it two sizes, 24 x 18 and 18 x 24"):
        dataset.pair(FIRST)
    dataset = read_imaterialist(write(tmp_path, [row(FIRST, "1 3", 0, height=18, width=24)]))
    with pytest.raises(DatasetError, match="the mask is 24 x 18 pixels, its photo 18 x 24"):
        dataset.pair(FIRST)


def test_a_missing_or_damaged_photo_is_named(root: Path) -> None:
    (root / "train" / f"{FIRST}.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "train" / f"{SECOND}.jpg").unlink()
    for photo_id in (FIRST, SECOND):
        with pytest.raises(PhotoError, match=f"{photo_id}.jpg"):
            read_imaterialist(root).pair(photo_id)


def test_a_photo_without_rows_and_a_table_that_is_gone(root: Path) -> None:
    dataset: Dataset = read_imaterialist(root)
    with pytest.raises(DatasetError, match=r"train\.csv has no row of photo nobody\."):
        dataset.read_truth("nobody")
    (root / "train.csv").unlink()
    with pytest.raises(DatasetError, match=r"train\.csv cannot be read"):
        dataset.read_truth(FIRST)


def test_a_long_table_is_never_in_memory(tmp_path: Path) -> None:
    """30,000 rows of 6,000 photos, far from one another, 24 MB of runs: the places of the rows are kept, no more."""
    photos, rows = 6_000, 5
    (tmp_path / "train").mkdir()
    runs = " ".join(f"{start} 2" for start in range(1, 440, 3))  # about 800 characters
    with (tmp_path / "train.csv").open("w") as file:
        file.write(HEADER)
        for class_id in range(rows):
            file.writelines(f"{photo:032x}.jpg,{class_id + 1} 1 {runs},30,18,{class_id}_9\n" for photo in range(photos))
    size = (tmp_path / "train.csv").stat().st_size
    read_imaterialist(tmp_path)  # Python's own table of names may grow at any time, and does so before this ends
    tracemalloc.start()
    try:
        dataset = read_imaterialist(tmp_path)
        truth = dataset.read_truth(dataset.ids[-1])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(dataset.ids) == photos and truth.shape == (30, 18) and truth.any()
    assert size > 20_000_000 and peak < 5_000_000, (size, peak)
