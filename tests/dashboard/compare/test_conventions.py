import io
import json

import numpy as np
import pytest
from PIL import Image

from dashboard.compare.conventions import (
    Prediction,
    coco_truths,
    is_class_list,
    read_class_list,
    read_truth_file,
)
from dashboard.compare.ground_truth import MaskError
from segmodels.inference.segmentation import Segmentation, measure
from segmodels.mappings import shipped_mappings
from segmodels.taxonomy import IMATERIALIST_47, OUTFIT_15, UNLABELLED, make_taxonomy

SIZE = (40, 60)
COAT, PANTS, HAIR = (OUTFIT_15[name].id for name in ("Coat", "Pants", "Hair"))
LIP = next(each.taxonomy() for each in shipped_mappings() if each.source == "LIP_20")


def png(ids: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    image = Image.fromarray(ids)
    if palette is not None:
        image.putpalette(palette.tobytes())
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def person(coat: int = COAT, pants: int = PANTS, hair: int = HAIR) -> np.ndarray:
    """Hair over a coat over pants."""
    ids = np.zeros(SIZE[::-1], np.uint8)
    ids[2:10, 10:30], ids[10:30, 10:30], ids[30:55, 10:30] = hair, coat, pants
    return ids


IN_LIP = person(LIP["Coat"].id, LIP["Pants"].id, LIP["Hair"].id)
FOUND = [Prediction("fpn", OUTFIT_15, person())]


def test_ids_of_the_models_are_taken_for_what_they_are() -> None:
    for predictions in (FOUND, []):
        file = read_truth_file("look.png", png(person()), SIZE, [OUTFIT_15], predictions=predictions)
        assert (file.chosen, file.question) == ("OUTFIT_15", "")
        np.testing.assert_array_equal(file.ids(*SIZE), person())


def test_ids_that_agree_better_as_others_are_asked_about() -> None:
    """LIP's hair, coat and pants are 2, 7 and 9, which OUTFIT_15 has as a coat, a hat and a romper."""
    assert sorted(np.unique(IN_LIP).tolist()) == [0, 2, 7, 9]
    file = read_truth_file("look.png", png(IN_LIP), SIZE, [OUTFIT_15], predictions=FOUND)
    assert not file.chosen and file.convention is None
    assert file.question == (
        "As ids of LIP_20, look.png agrees with the models on 100% of the person; as ids of OUTFIT_15 on 0%. What are "
        "its ids?"
    )
    assert file.conventions[0].name == "LIP_20" and "OUTFIT_15" in {each.name for each in file.conventions}
    assert file.words("LIP_20") == "LIP_20: 2 Hair, 7 Coat, 9 Pants"
    read = file.read_as("LIP_20")
    np.testing.assert_array_equal(read.ids(*SIZE), IN_LIP)
    assert read.convention and read.convention.taxonomy == LIP
    alone = read_truth_file("look.png", png(IN_LIP), SIZE, [OUTFIT_15])
    assert alone.chosen == "OUTFIT_15", "without a prediction nothing speaks against it"


def test_an_id_that_is_no_class_of_the_models_is_asked_about() -> None:
    ids = person()
    ids[55:58, 10:30] = 18
    file = read_truth_file("look.png", png(ids), SIZE, [OUTFIT_15])
    assert file.question == "look.png contains the id 18, which is no class of OUTFIT_15. What are its ids?"
    assert {each.name for each in file.conventions} == {"CFPD_23", "IMATERIALIST_47", "CCP_59", "LIP_20"}
    ids[0, 0] = 200
    with pytest.raises(MaskError, match="contains the id 18; class ids run from 0 to 14"):
        read_truth_file("look.png", png(ids), SIZE, [OUTFIT_15])


def test_a_palette_tells() -> None:
    ids = person(IMATERIALIST_47["coat"].id, IMATERIALIST_47["pants"].id, 0)
    plain = read_truth_file("look.png", png(ids), SIZE, [OUTFIT_15])
    assert plain.chosen == "OUTFIT_15"
    coloured = read_truth_file("look.png", png(ids, IMATERIALIST_47.palette), SIZE, [OUTFIT_15])
    assert coloured.chosen == "IMATERIALIST_47"
    assert read_truth_file("l.png", png(person(), OUTFIT_15.palette), SIZE, [OUTFIT_15]).chosen == "OUTFIT_15"


def test_0_and_255_are_asked_about() -> None:
    mask = np.where(person() > 0, UNLABELLED, 0).astype(np.uint8)
    file = read_truth_file("look.png", png(mask), SIZE, [OUTFIT_15], predictions=FOUND)
    assert file.question == "look.png has only the values 0 and 255. What is 255?" and not file.chosen
    names = [each.name for each in file.conventions]
    assert names[0] == "The person: everything but the background" and len(names) == 1 + 14 + 1
    worn = file.read_as(names[0])
    assert worn.convention and worn.convention.mapping
    np.testing.assert_array_equal(worn.ids(*SIZE), person() > 0)
    coat = file.read_as("Coat; 0 is everything else")
    assert coat.convention and coat.convention.taxonomy.names == ("Background", "Coat")
    unlabelled = file.read_as(names[-1])
    assert names[-1] == "Unlabelled; 0 is the background" and set(np.unique(unlabelled.ids(*SIZE))) == {0, UNLABELLED}
    with pytest.raises(MaskError, match="has no labelled pixel"):
        read_truth_file("look.png", png(np.full(SIZE[::-1], UNLABELLED, np.uint8)), SIZE, [OUTFIT_15])


def test_0_and_1_are_asked_about_if_1_is_the_person() -> None:
    mask = (person() > 0).astype(np.uint8)
    assert read_truth_file("look.png", png(mask), SIZE, [OUTFIT_15]).chosen == "OUTFIT_15"
    file = read_truth_file("look.png", png(mask), SIZE, [OUTFIT_15], predictions=FOUND)
    assert file.question and file.conventions[0].name == "The person: everything but the background"


def test_a_list_of_classes_tells() -> None:
    assert is_class_list("classes.txt", b"x") and is_class_list("classes.json", b'["a"]')
    assert is_class_list("names.json", b'{"1": "a"}')
    assert not is_class_list("coco.json", b'{"images": []}') and not is_class_list("look.png", b"")
    classes = read_class_list("classes.txt", b"Coat\nPants\n")
    ids = np.where(person() == COAT, 1, np.where(person() == PANTS, 2, 0)).astype(np.uint8)
    file = read_truth_file("look.png", png(ids), SIZE, [OUTFIT_15], classes)
    assert file.convention and file.convention.taxonomy.names == ("Background", "Coat", "Pants")
    np.testing.assert_array_equal(file.ids(*SIZE), ids)
    with pytest.raises(MaskError, match="contains the id 6, which the list of classes does not name"):
        read_truth_file("look.png", png(person()), SIZE, [OUTFIT_15], classes)
    with pytest.raises(MaskError, match="no mapping says what Kimono, Obi would be in OUTFIT_15"):
        read_truth_file("look.png", png(ids), SIZE, [OUTFIT_15], read_class_list("classes.json", b'["Kimono", "Obi"]'))
    for name, data in (("c.txt", b""), ("c.txt", b"\xff"), ("c.json", b"["), ("c.json", b'{"x": "Coat"}')):
        with pytest.raises(MaskError, match=r"\.$"):
            read_class_list(name, data)


def test_the_coco_file_that_segment_exports() -> None:
    photo = np.full((*SIZE[::-1], 3), 200, np.uint8)
    confidence = np.full(SIZE[::-1], 255, np.uint8)
    found = Segmentation(
        OUTFIT_15, person(), confidence, *measure(photo, OUTFIT_15, person(), confidence), "fpn", "a", 1
    )
    data = json.dumps(found.to_coco("look.png")).encode()
    truths = coco_truths("look-coco.json", data, {"look.png": png(photo), "other.png": png(photo)}, [OUTFIT_15])
    (file,) = truths.values()
    assert list(truths) == ["look.png"] and file.convention
    taxonomy = file.convention.taxonomy
    ids = file.ids(*SIZE)
    assert {taxonomy.names[value] for value in np.unique(ids)} >= {"Background", "Coat", "Pants"}
    np.testing.assert_array_equal(ids == taxonomy["Coat"].id, person() == COAT)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"{", "is not JSON"),
        (b'{"images": []}', "has no list"),
        (b'{"images": [], "annotations": [], "categories": [{"id": 1, "name": "Coat"}]}', "names no photo of this"),
        (
            b'{"images": [{"id": 1, "file_name": "look.png", "width": 7, "height": 7}], "annotations": [], '
            b'"categories": [{"id": 1, "name": "Coat"}]}',
            "is 7 x 7 pixels, its photo 40 x 60",
        ),
    ],
)
def test_a_bad_coco_file_is_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(MaskError) as caught:
        coco_truths("x.json", data, {"look.png": png(np.zeros((*SIZE[::-1], 3), np.uint8))}, [OUTFIT_15])
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_models_of_other_classes() -> None:
    mine = make_taxonomy("shop", ["Background", "Kimono"])
    with pytest.raises(MaskError, match="contains the id 2; class ids run from 0 to 1"):
        read_truth_file("look.png", png(person()), SIZE, [mine])
    ids = (person() > 0).astype(np.uint8)
    assert read_truth_file("look.png", png(ids), SIZE, [mine]).chosen == "shop"
