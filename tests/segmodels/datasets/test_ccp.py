import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segmodels.datasets import DATASETS, DatasetError, matlab, read_ccp
from segmodels.datasets.ccp import read_ccp_tags
from segmodels.photo import PhotoError
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15

LABELS = {  # by photo: as in the data set, ids into the list of labels
    "0001": np.arange(59, dtype=np.uint8).repeat(2)[None].repeat(30, axis=0),  # 30 x 118, all labels
    "0003": np.full((24, 20), CCP_59.index("jeans"), np.uint8),
    "0536": np.zeros((20, 24), np.uint8),
}
NOWHERE = [CCP_59.index(label) for label in ("intimate", "panties", "swimwear")]


def cells(labels: tuple[str, ...]) -> np.ndarray:
    """A MATLAB cell array of one row."""
    array = np.empty((1, len(labels)), object)
    array[0] = list(labels)
    return array


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small data set in exactly CCP's layout."""
    for folder in ("photos", "annotations/pixel-level", "annotations/image-level"):
        (tmp_path / folder).mkdir(parents=True)
    savemat(tmp_path / "label_list.mat", {"label_list": cells(CCP_59)})
    for photo_id, drawn in LABELS.items():
        labels = np.where(np.isin(drawn, NOWHERE), 0, drawn).astype(np.uint8)
        write_mask(tmp_path, photo_id, labels)
        pixels = np.zeros((*labels.shape, 3), np.uint8)
        pixels[..., 0] = np.arange(labels.shape[1])
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{photo_id}.jpg", quality=95)
    Image.new("RGB", (30, 30)).save(tmp_path / "photos" / "1001.jpg")  # has only tags
    savemat(tmp_path / "annotations/image-level/1001.mat", {"tags": np.array([[0, 14, 58]], np.uint8)})
    savemat(tmp_path / "annotations/image-level/1002.mat", {"tags": np.array([[0, 33, 200]], np.uint8)})
    return tmp_path


def write_mask(root: Path, photo_id: str, labels: np.ndarray) -> None:
    savemat(root / "annotations/pixel-level" / f"{photo_id}.mat", {"groundtruth": labels}, do_compression=True)


def test_what_is_written_is_read(root: Path) -> None:
    dataset = read_ccp(root)
    assert dataset.name == "ccp" and dataset.root == root and dataset.taxonomy is OUTFIT_15
    assert dataset.ids == ("0001", "0003", "0536"), "photos with masks only, sorted"
    for photo_id, labels in LABELS.items():
        photo, truth = dataset.pair(photo_id)
        assert photo.dtype == truth.dtype == np.uint8
        assert photo.shape == (*labels.shape, 3) and truth.shape == labels.shape
        expected = [[CCP_TO_OUTFIT_15.get(CCP_59[label], "Background") for label in row] for row in labels[:1]]
        assert [OUTFIT_15.names[class_id] for class_id in truth[0]] == expected[0]
        assert (truth == truth[0]).all()
    assert dataset.photo_path("0003") == root / "photos" / "0003.jpg"
    assert dataset.photo("1001").shape == (30, 30, 3)


def test_the_reader_is_registered() -> None:
    assert DATASETS["ccp"] is read_ccp


def test_tags_leave_out_null(root: Path) -> None:
    assert read_ccp_tags(root) == {"1001": frozenset({"dress", "wedges"}), "1002": frozenset({"purse"})}


def test_tags_that_are_no_numbers(root: Path) -> None:
    savemat(root / "annotations/image-level/1002.mat", {"tags": np.array([1.5])})
    with pytest.raises(DatasetError, match=r"1002\.mat: tags is float64; expected whole numbers"):
        read_ccp_tags(root)


def test_a_mask_that_states_more_than_the_largest_photo(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "annotations/pixel-level/0003.mat"
    write_mask(root, "0003", np.zeros((2000, 1000), np.uint8))
    assert path.stat().st_size < 5000
    monkeypatch.setattr(matlab, "_MOST_BYTES", 1_000_000)
    with pytest.raises(DatasetError, match=r"0003\.mat is damaged \(it holds more than 1 MB\)"):
        read_ccp(root).read_truth("0003")
    savemat(path, {"groundtruth": np.zeros((2, 2), np.uint8)})
    content = path.read_bytes()
    size = np.array([2, 2], "<i4").tobytes()
    assert content.count(size) == 1
    path.write_bytes(content.replace(size, np.array([2**30, 2**30], "<i4").tobytes()))
    with pytest.raises(DatasetError, match=r"0003\.mat is damaged \(groundtruth is given 1073741824 x 1073741824"):
        read_ccp(root).read_truth("0003")


def test_a_mask_that_is_compressed_twice_is_refused(root: Path) -> None:
    path = root / "annotations/pixel-level/0003.mat"
    write_mask(root, "0003", np.zeros((20, 10), np.uint8))
    content = path.read_bytes()
    again = zlib.compress(content[128:])
    path.write_bytes(content[:128] + struct.pack("<II", 15, len(again)) + again)
    with pytest.raises(DatasetError, match=r"0003\.mat is damaged \(it is compressed twice\)"):
        read_ccp(root).read_truth("0003")


def test_select_keeps_the_order_and_names_what_is_missing(root: Path) -> None:
    dataset = read_ccp(root)
    assert dataset.select(["0536", "0001"]) == ("0536", "0001")
    with pytest.raises(DatasetError, match=r"2 of 3 ids are not in ccp at .*: 0002, 1001\.$"):
        dataset.select(["0002", "0001", "1001"])
    with pytest.raises(DatasetError, match=r"7 of 7 ids .*: 2000, 2001, 2002, 2003, 2004 and 2 more\.$"):
        dataset.select([f"200{n}" for n in range(7)])


@pytest.mark.parametrize("missing", ["photos", "annotations/pixel-level", "label_list.mat"])
def test_a_folder_that_is_not_the_data_set(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DatasetError) as caught:
        read_ccp(root)
    assert str(caught.value).startswith(f"{root / missing} is missing.")
    assert "https://github.com/bearpaw/clothing-co-parsing" in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="photos is missing"):
        read_ccp(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="image-level is missing"):
        read_ccp_tags(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "labels", [CCP_59[:-1], (*CCP_59, "crown"), CCP_59[::-1], ("", *CCP_59[1:])], ids=["few", "many", "order", "empty"]
)
def test_another_list_of_labels(root: Path, labels: tuple[str, ...]) -> None:
    savemat(root / "label_list.mat", {"label_list": cells(labels)})
    with pytest.raises(DatasetError, match=f"label_list.mat holds {len(labels)} labels that are not CCP's 59"):
        read_ccp(root)


def test_a_list_of_labels_that_is_none(root: Path) -> None:
    savemat(root / "label_list.mat", {"label_list": np.arange(59)})
    with pytest.raises(DatasetError, match="labels that are not CCP's 59"):
        read_ccp(root)
    savemat(root / "label_list.mat", {"labels": cells(CCP_59)})
    with pytest.raises(DatasetError, match="label_list.mat has no variable label_list"):
        read_ccp(root)


def damaged() -> dict[str, bytes]:
    """What can become of a .mat file."""
    out = io.BytesIO()
    savemat(out, {"groundtruth": LABELS["0001"]}, do_compression=True)
    whole = out.getvalue()
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF
    return {
        "nothing": b"",
        "text": b"This is a text, and not a short one." * 10,
        "header": whole[:100],
        "little": whole[:21],
        "half": whole[: len(whole) // 2],
        "last byte": whole[:-1],
        "flipped": bytes(flipped),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(600),
        "noise": np.random.default_rng(0).integers(0, 256, 500, np.uint8).tobytes(),
    }


@pytest.mark.parametrize("data", damaged().values(), ids=damaged().keys())
def test_a_damaged_mask_is_named(root: Path, data: bytes) -> None:
    path = root / "annotations/pixel-level/0003.mat"
    path.write_bytes(data)
    dataset = read_ccp(root)
    with pytest.raises(DatasetError) as caught:
        dataset.pair("0003")
    assert str(caught.value).startswith(f"{path} ")
    assert dataset.pair("0001")[1].max() == 14, "the others are read"


def test_a_missing_mask_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"1001\.mat is missing"):
        read_ccp(root).read_truth("1001")


def test_another_variable(root: Path) -> None:
    savemat(root / "annotations/pixel-level/0003.mat", {"truth": LABELS["0003"]})
    with pytest.raises(DatasetError, match=r"0003\.mat has no variable groundtruth"):
        read_ccp(root).pair("0003")


@pytest.mark.parametrize("labels", [np.zeros((24, 20)), np.zeros((24, 20, 3), np.uint8), np.zeros((24, 20), np.int16)])
def test_a_mask_of_another_type(root: Path, labels: np.ndarray) -> None:
    write_mask(root, "0003", labels)
    with pytest.raises(DatasetError, match=r"0003\.mat: groundtruth is .*; expected uint8 \(H, W\)"):
        read_ccp(root).pair("0003")


@pytest.mark.parametrize("shape", [(20, 24), (12, 10), (24, 21)])
def test_a_mask_of_another_size(root: Path, shape: tuple[int, int]) -> None:
    write_mask(root, "0003", np.zeros(shape, np.uint8))
    with pytest.raises(DatasetError) as caught:
        read_ccp(root).pair("0003")
    assert f"ccp 0003: the mask is {shape[1]} x {shape[0]} pixels, its photo 20 x 24." in str(caught.value)


@pytest.mark.parametrize(
    ("label", "name"), [*((label, f" ({CCP_59[label]})") for label in NOWHERE), (59, ""), (255, "")]
)
def test_a_label_that_no_table_knows_is_an_error_if_a_pixel_carries_it(root: Path, label: int, name: str) -> None:
    labels = LABELS["0003"].copy()
    labels[7, 5] = label
    write_mask(root, "0003", labels)
    dataset = read_ccp(root)
    with pytest.raises(DatasetError) as caught:
        dataset.pair("0003")
    assert f"0003.mat: label {label}{name} belongs to none of the 15 classes" in str(caught.value)


def test_a_missing_or_damaged_photo_is_named(root: Path) -> None:
    path = root / "photos" / "0003.jpg"
    path.write_bytes(path.read_bytes()[:100])
    (root / "photos" / "0536.jpg").unlink()
    dataset = read_ccp(root)
    for photo_id in ("0003", "0536"):
        with pytest.raises(PhotoError, match=f"{photo_id}.jpg"):
            dataset.pair(photo_id)
