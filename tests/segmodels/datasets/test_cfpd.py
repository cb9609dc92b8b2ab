from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segmodels.datasets import DATASETS, DatasetError, read_cfpd
from segmodels.datasets.cfpd import read_cfpd_colours
from segmodels.photo import PhotoError
from segmodels.taxonomy import CFPD_23, CFPD_COLOURS, CFPD_LABELS, CFPD_TO_OUTFIT_15, OUTFIT_15

WriteCfpd = Callable[..., Path]

HEIGHT, WIDTH, SUPERPIXELS = 60, 40, 425
# As in the data set: 425 superpixels, here strips of a few pixels each down the rows, counted from 0.
STRIPS = (np.arange(HEIGHT * WIDTH) * SUPERPIXELS // (HEIGHT * WIDTH)).reshape(HEIGHT, WIDTH)
LABELS = np.arange(SUPERPIXELS) % 23 + 1  # category of each superpixel, from 1
COLOUR_LABELS = np.arange(SUPERPIXELS) % 13 + 1
# Fine ids that number 1..117 and 1..60, no two groups of the same size in a row.
FINE = [list(range(place + 1, 118, 23)) for place in range(23)]
FINE_COLOURS = [list(range(place + 1, 61, 13)) for place in range(13)]


@pytest.fixture
def root(write_cfpd: WriteCfpd) -> Path:
    return write_cfpd(
        {"3": STRIPS, "12": STRIPS[::-1]}, {"3": LABELS, "12": LABELS}, {"3": COLOUR_LABELS, "12": COLOUR_LABELS}
    )


def rewrite(root: Path, photo: str, name: str, data: np.ndarray) -> None:
    """Replaces one dataset of a photo's group, L0 or L1."""
    with h5py.File(root / "fashon_parsing_data.mat", "r+") as file:
        del file[f"#refs#/{photo}/{name}"]
        file[f"#refs#/{photo}/{name}"] = data


def test_what_is_written_is_read(root: Path) -> None:
    dataset = read_cfpd(root)
    assert dataset.name == "cfpd" and dataset.root == root and dataset.taxonomy is CFPD_23
    assert dataset.ids == ("12", "3"), "ids are names, sorted"
    assert dataset.photo_path("3") == root / "image" / "3.jpg"
    assert dataset.truth_path("3") == root / "fashon_parsing_data.mat"
    photo, truth = dataset.pair("3")
    assert photo.shape == (HEIGHT, WIDTH, 3) and truth.shape == (HEIGHT, WIDTH) and truth.dtype == np.uint8
    assert (truth == LABELS[STRIPS] - 1).all()
    assert (dataset.pair("12")[1] == truth[::-1]).all()


def test_in_the_15_classes(root: Path) -> None:
    dataset = read_cfpd(root, OUTFIT_15)
    assert dataset.taxonomy is OUTFIT_15
    truth = dataset.pair("3")[1]
    for label, name in enumerate(CFPD_LABELS, 1):
        assert set(truth[LABELS[STRIPS] == label]) == {OUTFIT_15[CFPD_TO_OUTFIT_15[name]].id}


def test_the_reader_is_registered() -> None:
    assert DATASETS["cfpd"] is read_cfpd


def test_colours(root: Path) -> None:
    colours = read_cfpd_colours(root)
    assert colours.names == CFPD_COLOURS and colours.ids == ("12", "3")
    found = colours.read("3")
    assert found.dtype == np.uint8 and found.shape == (HEIGHT, WIDTH)
    assert (found == COLOUR_LABELS[STRIPS] - 1).all()


@pytest.mark.parametrize("nameless", [False, True], ids=["beside the names", "in their stead"])
def test_lists_of_fine_ids(write_cfpd: WriteCfpd, nameless: bool) -> None:
    labels = np.arange(SUPERPIXELS) % 117 + 1
    colour_labels = np.arange(SUPERPIXELS) % 60 + 1
    root = write_cfpd(
        {"1": STRIPS}, {"1": labels}, {"1": colour_labels}, fine=(FINE, FINE_COLOURS), nameless=nameless,
        table="all_color_name",
    )  # fmt: skip
    assert (read_cfpd(root).read_truth("1") == (labels[STRIPS] - 1) % 23).all()
    assert (read_cfpd_colours(root).read("1") == (colour_labels[STRIPS] - 1) % 13).all()
    assert read_cfpd_colours(root).names == CFPD_COLOURS


def test_lists_that_share_an_id(write_cfpd: WriteCfpd) -> None:
    shared = [*FINE[:-1], [1]]
    root = write_cfpd({"1": STRIPS}, {"1": LABELS}, {"1": COLOUR_LABELS}, fine=(shared, FINE_COLOURS))
    with pytest.raises(DatasetError, match="all_category_name leads neither to CFPD's 23 names nor to 23 lists"):
        read_cfpd(root)


def test_names_are_followed_through_the_references(write_cfpd: WriteCfpd) -> None:
    """Another order of names is another meaning of the labels."""
    names = list(reversed(CFPD_LABELS))
    root = write_cfpd({"1": STRIPS}, {"1": LABELS}, {"1": COLOUR_LABELS}, names=names)
    assert (read_cfpd(root).read_truth("1") == 23 - LABELS[STRIPS]).all()


def test_a_file_without_fashion_dataset(root: Path) -> None:
    with h5py.File(root / "fashon_parsing_data.mat", "r+") as file:
        del file["fashion_dataset"]
    assert read_cfpd(root).ids == ("12", "3")


@pytest.mark.parametrize("missing", ["image", "fashon_parsing_data.mat"])
def test_a_folder_that_is_not_the_data_set(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    for read in (read_cfpd, read_cfpd_colours):
        with pytest.raises(DatasetError) as caught:
            read(root)
        assert str(caught.value).startswith(f"{root / missing} is missing. Colorful Fashion Parsing Data is available")
        assert "https://github.com/hrsma2i/dataset-CFPD" in str(caught.value)


@pytest.mark.parametrize(
    ("label", "shown"), [(24, "24"), (0, "0"), (-1, "-1"), (2.5, "2.5"), (float("nan"), "nan"), (float("inf"), "inf")]
)
def test_an_unknown_label_is_an_error_if_a_pixel_carries_it(root: Path, label: float, shown: str) -> None:
    rewrite(root, "L0", "category_label", np.array([[*LABELS[:-1], label]]))
    dataset = read_cfpd(root)
    with pytest.raises(DatasetError, match=rf"mat, photo 3: category_label {shown} is unknown\. Colorful"):
        dataset.pair("3")
    assert dataset.pair("12")[1].max() == 22, "the others are read"
    rewrite(root, "L0", "segmentation", np.minimum(STRIPS, SUPERPIXELS - 2).T.astype(np.float32))
    assert dataset.pair("3")[1].shape == (HEIGHT, WIDTH), "no pixel is of the superpixel that carries it"


def test_an_unknown_name(write_cfpd: WriteCfpd) -> None:
    names = ["crown" if name == "hat" else name for name in CFPD_LABELS]
    root = write_cfpd(
        {"1": STRIPS, "2": STRIPS}, {"1": LABELS, "2": [1] * SUPERPIXELS}, {"1": COLOUR_LABELS, "2": COLOUR_LABELS},
        names=names,
    )  # fmt: skip
    dataset = read_cfpd(root)
    with pytest.raises(DatasetError, match=r"photo 1: category_label 11 \(crown\) is unknown"):
        dataset.pair("1")
    assert not dataset.pair("2")[1].any()


@pytest.mark.parametrize("value", [SUPERPIXELS, -1, 0.5, float("nan")])
def test_a_superpixel_without_a_label(root: Path, value: float) -> None:
    pixels = STRIPS.T.astype(np.float32)
    pixels[3, 5] = value
    rewrite(root, "L0", "segmentation", pixels)
    with pytest.raises(DatasetError, match=rf"photo 3: superpixel {value:g} has no label; there are 425"):
        read_cfpd(root).pair("3")


def test_a_mask_of_another_size(root: Path) -> None:
    rewrite(root, "L0", "segmentation", STRIPS.astype(np.float32))
    with pytest.raises(DatasetError, match="cfpd 3: the mask is 60 x 40 pixels, its photo 40 x 60"):
        read_cfpd(root).pair("3")
    rewrite(root, "L0", "segmentation", STRIPS.ravel().astype(np.float32))
    with pytest.raises(DatasetError, match=r"photo 3: segmentation is \(2400,\); expected \(W, H\)"):
        read_cfpd(root).pair("3")


def test_a_missing_part_is_named(root: Path) -> None:
    with h5py.File(root / "fashon_parsing_data.mat", "r+") as file:
        del file["#refs#/L0/category_label"]
    dataset = read_cfpd(root)
    with pytest.raises(DatasetError, match=r"fashon_parsing_data\.mat lacks a part: .*category_label"):
        dataset.pair("3")
    with h5py.File(root / "fashon_parsing_data.mat", "r+") as file:
        del file["all_category_name"]
    with pytest.raises(DatasetError, match=r"fashon_parsing_data\.mat lacks a part: .*all_category_name"):
        read_cfpd(root)


def test_a_damaged_file_is_named(root: Path) -> None:
    path = root / "fashon_parsing_data.mat"
    whole = path.read_bytes()
    for data in (b"", b"no HDF5" * 99, whole[: len(whole) // 2], whole[:600] + bytes(len(whole) - 600)):
        path.write_bytes(data)
        with pytest.raises(DatasetError) as caught:
            read_cfpd(root)
        assert str(caught.value).startswith(f"{path} is damaged or not a MATLAB 7.3 file (")
    savemat(path, {"all_category_name": np.zeros(23)})  # MATLAB 5
    with pytest.raises(DatasetError, match="is damaged or not a MATLAB 7.3 file"):
        read_cfpd(root)


def test_a_missing_or_damaged_photo_is_named(root: Path) -> None:
    (root / "image" / "3.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "image" / "12.jpg").unlink()
    for photo_id in ("3", "12"):
        with pytest.raises(PhotoError, match=f"{photo_id}.jpg"):
            read_cfpd(root).pair(photo_id)


def test_a_photo_that_the_file_does_not_hold(root: Path) -> None:
    Image.new("RGB", (40, 60)).save(root / "image" / "7.jpg")
    with pytest.raises(DatasetError, match=r"fashon_parsing_data\.mat has no entry for photo 7\."):
        read_cfpd(root).pair("7")
