import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scored import judged, prediction, truth

from dashboard.evaluation.pictures import (
    Card,
    PictureError,
    cards_html,
    colour_map,
    data_folder,
    find_data,
    open_own,
    own_photo,
    own_source,
    read_class_map,
    read_source,
)
from segmodels.settings import read_settings
from segmodels.taxonomy import OUTFIT_15, UNLABELLED


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGBA"))


def test_the_class_map_of_the_evidence_in_its_colours() -> None:
    class_map = read_class_map(judged(1)[3].class_map)
    assert (class_map == prediction(4, 1)).all()
    shown = pixels(colour_map(class_map, OUTFIT_15))
    assert (shown[..., :3] == OUTFIT_15.palette[class_map]).all() and (shown[..., 3] == 255).all()


def test_one_class_stands_out() -> None:
    class_map = truth(1)
    class_map[0, 0] = UNLABELLED
    alpha = pixels(colour_map(class_map, OUTFIT_15, "Coat"))[..., 3]
    coat = class_map == OUTFIT_15["Coat"].id
    assert (alpha[coat] == 255).all() and (alpha[~coat] < 100).all() and alpha[0, 0] == 0


@pytest.mark.parametrize("data", [b"", b"no picture", judged(1)[0].class_map[:60]])
def test_a_damaged_class_map_is_a_sentence(data: bytes) -> None:
    with pytest.raises(PictureError, match="damaged"):
        read_class_map(data)


def test_a_picture_that_is_no_class_map_is_refused() -> None:
    out = io.BytesIO()
    Image.new("L", (4000, 3000)).save(out, "PNG")
    with pytest.raises(PictureError, match="not a class map"):
        read_class_map(out.getvalue())


def test_photo_and_truth_come_from_the_folder(photo_folder: Path) -> None:
    source = read_source("ccp", data_folder("ccp", str(photo_folder)), "0001")
    assert (source.truth == truth(1)).all()
    assert Image.open(io.BytesIO(source.photo)).size == (40, 60)


@pytest.mark.parametrize(
    ("photo_id", "sentence"),
    [("0007", "0007.mat"), ("9999", "9999"), ("../photos/0001", "is not a valid photo id")],
)
def test_what_cannot_be_read_is_a_sentence(photo_folder: Path, photo_id: str, sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence):
        read_source("ccp", photo_folder, photo_id)


def test_without_the_folder_it_is_said_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="Set GARMENTSCOPE_DATA to the folder of Clothing Co-Parsing"):
        data_folder("ccp", "")
    with pytest.raises(PictureError, match="is not Clothing Co-Parsing"):
        data_folder("ccp", str(tmp_path))
    with pytest.raises(PictureError, match="Photos of shoes are not found from here, so only the prediction is shown"):
        data_folder("shoes", str(tmp_path))


def test_cards_escape_what_files_say() -> None:
    text = cards_html([Card("<b>1", "5 pixels", {"Photo": None, "Prediction": colour_map(truth(1), OUTFIT_15)})])
    assert "&lt;b&gt;1" in text and "<b><b>" not in text
    assert 'alt="Prediction of photo &lt;b&gt;1"' in text and "<small>Photo</small>" in text and "--pictures: 2" in text


def test_photo_and_truth_of_a_data_set_that_a_setting_names(photo_folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "shop"
    (masks / "masks").mkdir(parents=True)
    (masks / "classes.txt").write_text("background\nkilt\n")
    mask = np.zeros((60, 40), np.uint8)
    mask[:30] = 1
    Image.fromarray(mask).save(masks / "masks" / "0001.png")
    settings = read_settings({"GARMENTSCOPE_DATASETS": f"masks:{masks}={photo_folder / 'photos'}"})
    place = find_data("masks-shop", settings)
    assert place == (f"masks:{masks}", photo_folder / "photos")
    opened = open_own(*place)
    source = own_source(opened, "0001")
    assert source.truth.shape == (60, 40) and (source.truth[:30] == 1).all() and not source.truth[30:].any()
    assert own_photo(opened, "0001") == source.photo == read_source("ccp", photo_folder, "0001").photo
    for look in (own_source, own_photo):
        with pytest.raises(PictureError, match=r"masks-shop has no photo 9999 any more\."):
            look(opened, "9999")
    (masks / "classes.txt").unlink()
    with pytest.raises(PictureError, match="shop"):
        open_own(*place)
    assert find_data("ccp", read_settings({"GARMENTSCOPE_DATA": str(photo_folder)})) == ("ccp", photo_folder)
    with pytest.raises(PictureError, match="Name the data set in GARMENTSCOPE_DATASETS to see them"):
        find_data("coco-other", settings)
