import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dashboard.dataset.folder import (
    FolderError,
    choices,
    index_labels,
    list_masks,
    make_stage,
    photos_with,
    read_pair,
    thumbnail,
)
from segmodels.taxonomy import CCP_59, OUTFIT_15


def test_the_photos_that_have_a_mask_are_listed(photo_folder: Path) -> None:
    assert list_masks(photo_folder) == tuple(f"{number:04}" for number in range(1, 17))


def test_another_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"nowhere, which is not a folder. Set it to the folder that has photos/"):
        list_masks(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="has no photos/"):
        list_masks(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(FolderError, match="has no annotations/pixel-level/"):
        list_masks(tmp_path)
    (tmp_path / "annotations" / "pixel-level").mkdir(parents=True)
    with pytest.raises(FolderError, match="has no mask"):
        list_masks(tmp_path)


def test_photos_are_found_by_class_and_label_the_largest_first(photo_folder: Path) -> None:
    index = index_labels(photo_folder, list_masks(photo_folder))
    assert not index.unreadable and len(index.ids) == 16
    assert (
        photos_with(index, choices()["Coat"])
        == photos_with(index, choices()["Coat: blazer"])
        == ("0016", "0012", "0008", "0004")
    )
    assert len(photos_with(index, choices()["Background: belt"])) == 16
    assert photos_with(index, choices()["Romper"]) == photos_with(index, choices()["Shirt: t-shirt"]) == ()
    assert len(photos_with(index, choices()["Shirt"])) == 16 and photos_with(index, choices()["Shirt"])[-1] == "0016"


def test_choices_are_classes_and_their_labels() -> None:
    listed = tuple(choices())
    assert listed[:6] == ("Hat", "Glasses", "Glasses: glasses", "Glasses: sunglasses", "Scarf/Tie", "Scarf/Tie: scarf")
    assert "Hat: hat" not in listed and "Background" not in listed and "Background: null" not in listed
    assert "Background: belt" in listed and len(set(listed)) == len(listed)


def test_what_cannot_be_read_is_named_and_the_others_are_there(own_photo_folder: Path) -> None:
    masks = own_photo_folder / "annotations" / "pixel-level"
    (masks / "0001.mat").write_bytes((masks / "0001.mat").read_bytes()[:-20])
    savemat(masks / "0002.mat", {"groundtruth": np.zeros((5, 5), np.uint8)})
    (own_photo_folder / "photos" / "0003.jpg").unlink()
    (own_photo_folder / "photos" / "0004.jpg").write_bytes(b"no photo")
    index = index_labels(own_photo_folder, list_masks(own_photo_folder))
    assert list(index.unreadable) == ["0001", "0002", "0003", "0004"] and len(index.ids) == 12
    assert "0001.mat is damaged" in index.unreadable["0001"]
    for photo_id, message in {
        "0001": r"0001\.mat is damaged",
        "0002": r"0002\.mat is 5 x 5 pixels; the photo is 48 x 72",
        "0003": r"0003\.jpg",
        "0004": r"0004\.jpg",
    }.items():
        with pytest.raises(FolderError, match=message):
            thumbnail(own_photo_folder, photo_id, masked=True)
        with pytest.raises(FolderError, match=message) as caught:
            make_stage(own_photo_folder, photo_id)
        assert str(own_photo_folder) not in str(caught.value) + index.unreadable[photo_id]
    (masks / "0005.mat").unlink()
    with pytest.raises(FolderError, match=r"0005\.mat cannot be read"):
        read_pair(own_photo_folder, "0005")


def test_no_readable_mask_at_all(own_photo_folder: Path) -> None:
    index = index_labels(own_photo_folder, ("9998", "9999"))
    assert (
        index.ids == () and list(index.unreadable) == ["9998", "9999"] and photos_with(index, choices()["Coat"]) == ()
    )


def test_a_small_picture_shows_the_mask_over_the_photo(photo_folder: Path) -> None:
    plain = np.asarray(Image.open(io.BytesIO(thumbnail(photo_folder, "0001", masked=False))), float)
    masked = np.asarray(Image.open(io.BytesIO(thumbnail(photo_folder, "0001", masked=True))), float)
    assert plain.shape == masked.shape == (72, 48, 3)
    shirt, wall, belt = (slice(14, 30), slice(16, 32)), (slice(0, 8), slice(0, 8)), (slice(65, 67), slice(16, 32))
    expected = 0.45 * np.array((220, 40, 40)) + 0.55 * OUTFIT_15.palette[OUTFIT_15["Shirt"].id]
    np.testing.assert_allclose(masked[shirt].mean(axis=(0, 1)), expected, atol=8)
    np.testing.assert_allclose(masked[wall], plain[wall], atol=16)
    np.testing.assert_allclose(masked[belt].mean(axis=(0, 1)), plain[belt].mean(axis=(0, 1)), atol=12)


def test_the_viewer_gets_the_truth_without_a_confidence(photo_folder: Path) -> None:
    stage = make_stage(photo_folder, "0004")
    assert stage["confidence"] is None and stage["name"] == "0004.jpg" and stage["title"] == "3 garments"
    assert [garment["class"] for garment in stage["garments"]] == ["Pants", "Shirt", "Coat"]
    assert all(garment["confidence"] is None for garment in stage["garments"])
    classes = np.asarray(Image.open(io.BytesIO(base64.b64decode(stage["class_map"]))))
    assert classes[50, 20] == OUTFIT_15["Pants"].id and classes[66, 20] == OUTFIT_15["Background"].id
    assert "48 x 72 pixels" in stage["caption"] and "jeans 19.4%, shirt" in stage["caption"]


def test_a_label_of_no_class_is_shown_as_unlabelled(own_photo_folder: Path) -> None:
    labels = np.zeros((72, 48), np.uint8)
    labels[:2], labels[2:4] = CCP_59.index("swimwear"), 77
    savemat(own_photo_folder / "annotations" / "pixel-level" / "0001.mat", {"groundtruth": labels})
    stage = make_stage(own_photo_folder, "0001")
    assert stage["title"] == "No garments" and "swimwear 2.8%, label 77 2.8%" in stage["caption"]
    assert thumbnail(own_photo_folder, "0001", masked=True)[:2] == b"\xff\xd8"
