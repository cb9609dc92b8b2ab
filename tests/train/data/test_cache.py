import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

import train.data.cache
from segmodels.datasets import Dataset, DatasetError, read_ccp, read_masks
from segmodels.taxonomy import OUTFIT_15
from train.data.cache import cache_folder, open_cache


@pytest.fixture
def reads(dataset: Dataset) -> tuple[Dataset, list[str]]:
    """The data set, and the ids whose truth was read."""
    read: list[str] = []

    def read_truth(photo_id: str) -> np.ndarray:
        read.append(photo_id)
        return dataset.read_truth(photo_id)

    return replace(dataset, read_truth=read_truth), read


def test_photos_and_truths_at_their_own_size(dataset: Dataset, tmp_path: Path) -> None:
    ids = ["0003", "0001"]
    cache = open_cache(dataset, ids, 640, folder=tmp_path)
    assert cache.ids == ("0003", "0001") and len(cache) == 2 and cache.rejected == {}
    for index, photo_id in enumerate(ids):
        photo, truth = dataset.pair(photo_id)
        kept_photo, kept_truth = cache.pair(index)
        assert kept_photo.dtype == kept_truth.dtype == np.uint8
        assert (kept_photo == photo).all() and (kept_truth == truth).all()


def test_larger_photos_shrink_to_the_long_side(dataset: Dataset, tmp_path: Path) -> None:
    cache = open_cache(dataset, ["0001", "0008"], 36, folder=tmp_path)
    assert cache.shapes == ((36, 24), (36, 24))
    for index, photo_id in enumerate(cache.ids):
        photo, truth = dataset.pair(photo_id)
        kept_photo, kept_truth = cache.pair(index)
        assert kept_photo.shape == (36, 24, 3) and kept_truth.shape == (36, 24)
        assert (kept_photo == cv2.resize(photo, (24, 36), interpolation=cv2.INTER_AREA)).all()
        assert set(np.unique(kept_truth)) <= set(np.unique(truth)), "ids are never mixed"


def test_the_second_open_decodes_nothing(reads: tuple[Dataset, list[str]], tmp_path: Path) -> None:
    dataset, read = reads
    first = open_cache(dataset, ["0001", "0002"], 64, folder=tmp_path)
    assert read == ["0001", "0002"]
    second = open_cache(dataset, ["0001", "0002"], 64, folder=tmp_path)
    assert read == ["0001", "0002"]
    assert (first.photos == second.photos).all() and (first.truths == second.truths).all()


def test_other_photos_or_another_side_are_another_cache(reads: tuple[Dataset, list[str]], tmp_path: Path) -> None:
    dataset, read = reads
    open_cache(dataset, ["0001"], 64, folder=tmp_path)
    assert open_cache(dataset, ["0001"], 32, folder=tmp_path).shapes == ((32, 21),)
    assert open_cache(dataset, ["0002"], 64, folder=tmp_path).ids == ("0002",)
    assert read == ["0001", "0001", "0002"]


def test_a_changed_photo_is_read_again(own_root: Path, tmp_path: Path) -> None:
    dataset = read_ccp(own_root)
    open_cache(dataset, ["0001"], 64, folder=tmp_path / "cache")
    path = own_root / "photos" / "0001.jpg"
    white = np.full((72, 48, 3), 255, np.uint8)
    path.write_bytes(cv2.imencode(".jpg", white)[1].tobytes())
    assert open_cache(dataset, ["0001"], 64, folder=tmp_path / "cache").photos.min() == 255


def test_a_corrected_mask_is_read_again(own_root: Path, tmp_path: Path) -> None:
    dataset = read_ccp(own_root)
    assert open_cache(dataset, ["0001"], 64, folder=tmp_path / "cache").truths.max() > 0
    savemat(own_root / "annotations" / "pixel-level" / "0001.mat", {"groundtruth": np.zeros((72, 48), np.uint8)})
    assert open_cache(dataset, ["0001"], 64, folder=tmp_path / "cache").truths.max() == 0


def test_a_damaged_photo_is_left_out_and_named(own_root: Path, tmp_path: Path) -> None:
    path = own_root / "photos" / "0002.jpg"
    path.write_bytes(path.read_bytes()[:300])
    (own_root / "annotations" / "pixel-level" / "0003.mat").write_bytes(b"")
    (own_root / "photos" / "0005.jpg").unlink()
    dataset = read_ccp(own_root)
    for _ in range(2):  # made, and opened again
        cache = open_cache(dataset, ["0001", "0002", "0003", "0004", "0005"], 64, folder=tmp_path / "cache")
        assert cache.ids == ("0001", "0004")
        assert list(cache.rejected) == ["0002", "0003", "0005"]
        assert "0002.jpg" in cache.rejected["0002"] and "0003.mat" in cache.rejected["0003"]
        assert cache.remarks() == [
            f"3 of 5 photos cannot be read and are left out; the first is 0002: {cache.rejected['0002']}"
        ]
        for index, photo_id in enumerate(cache.ids):
            photo = dataset.photo(photo_id)
            shrunk = cv2.resize(photo, cache.shapes[index][::-1], interpolation=cv2.INTER_AREA)
            assert (cache.pair(index)[0] == shrunk).all(), "those after the damaged one are in their place"


def test_photos_of_background_only_are_reported(own_root: Path, tmp_path: Path) -> None:
    for photo_id in ("0002", "0004"):
        path = own_root / "annotations" / "pixel-level" / f"{photo_id}.mat"
        savemat(path, {"groundtruth": np.zeros((72, 48), np.uint8)})
    for _ in range(2):  # made, and opened again
        cache = open_cache(read_ccp(own_root), ["0004", "0001", "0002"], 64, folder=tmp_path / "cache")
        assert cache.ids == ("0004", "0001", "0002") and cache.background_only == ("0004", "0002")
        assert cache.remarks() == ["Nothing but background is marked in 2 of them: 0004, 0002."]
    assert open_cache(read_ccp(own_root), ["0001"], 64, folder=tmp_path / "cache").remarks() == []


def test_nothing_half_written_stays(reads: tuple[Dataset, list[str]], tmp_path: Path) -> None:
    dataset, read = reads

    def read_truth(photo_id: str) -> np.ndarray:
        if photo_id == "0002":
            raise OSError(28, "No space left on device")
        return dataset.read_truth(photo_id)

    with pytest.raises(DatasetError, match="cannot be written: .*No space left on device"):
        open_cache(replace(dataset, read_truth=read_truth), ["0001", "0002"], 64, folder=tmp_path)
    assert read == ["0001"] and [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]
    assert open_cache(dataset, ["0001", "0002"], 64, folder=tmp_path).ids == ("0001", "0002")


def test_no_photo_can_be_read(own_root: Path, tmp_path: Path) -> None:
    for path in (own_root / "photos").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"^None of the 2 photos can be read\. The first: .*0001\.jpg"):
        open_cache(read_ccp(own_root), ["0001", "0002"], 64, folder=tmp_path / "cache")


def test_no_photos_asked_for(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="the split selects none of ccp at"):
        open_cache(dataset, [], 64, folder=tmp_path)


def test_a_folder_that_cannot_be_written(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError) as caught:
        open_cache(dataset, ["0001"], 64, folder=tmp_path / "file" / "cache")
    assert str(caught.value).startswith(f"The cache {tmp_path / 'file' / 'cache'}")
    assert "cannot be written" in str(caught.value) and "GARMENTSCOPE_CACHE" in str(caught.value)


def test_a_cache_without_an_index_is_made_again(reads: tuple[Dataset, list[str]], tmp_path: Path) -> None:
    dataset, read = reads
    open_cache(dataset, ["0001"], 64, folder=tmp_path)
    (home,) = tmp_path.iterdir()
    assert {path.name for path in home.iterdir()} == {".lock", "index.json", "photos.bin", "truths.bin"}
    (home / "index.json").unlink()
    (home / "photos.bin").write_bytes(b"half")
    cache = open_cache(dataset, ["0001"], 64, folder=tmp_path)
    assert read == ["0001", "0001"] and cache.photos.shape == (64 * 43, 3)


def test_where_caches_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Dataset) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    open_cache(dataset, ["0001"], 64)
    assert list((tmp_path / "mine").glob("ccp-*/index.json"))
    monkeypatch.delenv("GARMENTSCOPE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "garmentscope"


def test_a_data_set_that_moved_is_another_cache(own_root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    open_cache(read_ccp(own_root), ["0001"], 64, folder=cache)
    moved = shutil.copytree(own_root, tmp_path / "moved")
    open_cache(read_ccp(moved), ["0001"], 64, folder=cache)
    assert len(list(cache.iterdir())) == 2


def test_one_of_several_that_need_a_cache_decodes(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    writes = []
    real = train.data.cache._write

    def write(*given: Any) -> None:
        writes.append(given)
        begun.set()
        assert go_on.wait(60)
        real(*given)

    monkeypatch.setattr(train.data.cache, "_write", write)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(open_cache, dataset, dataset.ids, 64, folder=tmp_path)
        assert begun.wait(60)
        second = pool.submit(open_cache, dataset, dataset.ids, 64, folder=tmp_path)
        go_on.set()
        assert first.result().ids == second.result().ids == dataset.ids
    assert len(writes) == 1


def test_masks_whose_numbers_mean_other_classes_are_another_cache(tmp_path: Path) -> None:
    """Also where both sets of names are those of one taxonomy, whose classes then have other numbers."""
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((20, 20, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), np.ones((20, 20), np.uint8))
    names = list(OUTFIT_15.names[1:])
    found = []
    for order in (names, names[::-1]):
        (tmp_path / "classes.txt").write_text("\n".join(order), "utf-8")
        dataset = read_masks(tmp_path)
        assert dataset.taxonomy == OUTFIT_15
        cache = open_cache(dataset, ["a"], 64, folder=tmp_path / "cache")
        found.append(OUTFIT_15.names[cache.truths[0]])
    assert found == [names[0], names[-1]]
