import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dashboard.compare import agreement
from dashboard.compare.agreement import (
    Comparison,
    Finding,
    agreements_csv,
    comparison_csv,
    comparison_json,
    comparison_picture,
    progress_text,
    strength_of,
)
from dashboard.components.viewer import encode_photo
from dashboard.shared.analysed import Analysed, UploadedPhoto
from dashboard.shared.model_links import parse_link
from segmodels.inference.segmentation import Person, Segmentation, measure
from segmodels.mappings import MappingError, shipped_mappings
from segmodels.taxonomy import OUTFIT_15, UNLABELLED, make_taxonomy

COAT, SHIRT = OUTFIT_15["Coat"].id, OUTFIT_15["Shirt"].id
WIDTH, HEIGHT = 60, 80


def finding(model: str, coat: slice, other: int = 0, sure: int = 255, name: str = "look.jpg") -> Finding:
    """A coat over some rows of the left half, and another class over the rest of it."""
    photo = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[:, :30] = other
    class_map[coat, :30] = COAT
    confidence = np.full((HEIGHT, WIDTH), sure, np.uint8)
    people, garments = measure(photo, OUTFIT_15, class_map, confidence)
    result = Segmentation(OUTFIT_15, class_map, confidence, people, garments, model, "abc", 0.25)
    taken = UploadedPhoto(name, b"", WIDTH, HEIGHT, encode_photo(photo))
    return Finding(Analysed.of(taken, result), 4_700_000, 9_500_000)


def strength(*findings: Finding, truth: np.ndarray | None = None) -> np.ndarray:
    maps = [each.reduced_class_map() for each in findings]
    return strength_of(maps, [each.reduced_confidence() for each in findings], truth)


FIRST = finding("fpn", slice(0, 40))
SECOND = finding("unet", slice(0, 20), sure=102)
THIRD = finding("fcn", slice(0, 0), other=SHIRT)


def truth() -> np.ndarray:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[:40, :30] = COAT
    values[:, 40:] = UNLABELLED
    return values


def test_pairs_agree_by_intersection_over_union() -> None:
    comparison = Comparison((FIRST, SECOND, THIRD))
    first = comparison.agreements[0]
    assert [(each.first, each.second) for each in comparison.agreements] == [
        ("fpn", "unet"),
        ("fpn", "fcn"),
        ("unet", "fcn"),
    ]
    assert first.iou["Coat"] == pytest.approx(0.5)
    assert first.iou["Background"] == pytest.approx((4800 - 1200) / (4800 - 600))
    assert first.iou["Shirt"] is None
    assert first.pixels == pytest.approx(1 - 600 / 4800)
    assert first.mean_iou == pytest.approx((0.5 + 3600 / 4200) / 2)
    assert comparison.agreements[1].iou["Shirt"] == 0


def test_two_that_are_sure_disagree_more_than_two_that_guess() -> None:
    guessed = strength(FIRST, SECOND)
    assert guessed.shape == (HEIGHT, WIDTH)
    assert guessed[30, 10] == pytest.approx(0.4)
    assert guessed[10, 10] == guessed[30, 50] == 0
    other = finding("unet", slice(0, 20))
    assert strength(FIRST, other)[30, 10] == 1
    assert Comparison((FIRST, other)).contested == pytest.approx(600 / 4800)


def test_with_three_models_it_is_the_mean_over_the_pairs() -> None:
    three = FIRST, finding("unet", slice(0, 20)), THIRD
    assert strength(*three)[10, 10] == pytest.approx(2 / 3)  # two say coat, one shirt
    assert strength(*three)[30, 10] == 1  # coat, background, shirt
    assert Comparison(three).contested == 0.5


def test_with_a_truth_disagreement_becomes_error() -> None:
    comparison = Comparison((FIRST, SECOND), truth())
    wrong = strength(FIRST, SECOND, truth=truth())
    assert wrong[10, 10] == 0
    assert wrong[30, 10] == pytest.approx(0.4 / 2)  # only the second is wrong
    assert (wrong[:, 40:] == 0).all()
    assert comparison.contested == pytest.approx(600 / (40 * HEIGHT))
    assert comparison.scores
    assert comparison.scores["fpn"]["mean_iou"] == 1
    assert comparison.scores["unet"]["classes"]["Coat"]["recall"] == 0.5


def test_models_that_agree_leave_the_map_pale() -> None:
    with Image.open(io.BytesIO(Comparison((FIRST, finding("unet", slice(0, 40)))).strength_png)) as image:
        shown = np.asarray(image)
    assert shown.shape == (HEIGHT, WIDTH, 3)
    assert (shown[..., 0] == shown[..., 2]).all()
    with Image.open(io.BytesIO(Comparison((FIRST, SECOND)).strength_png)) as image:
        red = np.asarray(image).astype(int)
    assert red[30, 10, 0] - red[30, 10, 2] > 60
    assert red[10, 10, 0] == red[10, 10, 2]


def test_a_comparison_is_of_one_photo_and_different_models() -> None:
    for findings, sentence in (
        ((), "at least one"),
        ((FIRST, FIRST), "twice"),
        ((FIRST, finding("unet", slice(0, 9), name="other.jpg")), "different photos"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Comparison(findings)


def test_no_garment_is_known() -> None:
    nothing = finding("fpn", slice(0, 0))
    assert nothing.summary == "No garments"
    assert not Comparison((nothing,)).has_garments
    assert Comparison((nothing, SECOND)).has_garments


def test_garments_are_counted_as_on_the_segment_page_person_by_person() -> None:
    class_map, owners = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[:40], class_map[40:60], owners[:, 30:] = COAT, SHIRT, 1
    photo, confidence = np.full((HEIGHT, WIDTH, 3), 200, np.uint8), np.full((HEIGHT, WIDTH), 255, np.uint8)
    pair = [Person((left, 0, 30, 60), 0.9, detected=True) for left in (0, 30)]
    people, garments = measure(photo, OUTFIT_15, class_map, confidence, pair, owners)
    found = Segmentation(OUTFIT_15, class_map, confidence, people, garments, "fpn", "abc", 0.25, owners)
    raw = Finding(Analysed.of(UploadedPhoto("pair.jpg", b"", WIDTH, HEIGHT, encode_photo(photo)), found), 1, 1)
    assert raw.summary == raw.analysed.stage()["title"] == "4 garments on 2 people", "of two classes"
    presence = {"Coat": 0.9, "Shirt": 0.7}, {"Coat": 0.8, "Shirt": 0.3}
    calibrated = tuple(replace(person, presence=each) for person, each in zip(people, presence, strict=True))
    doubted = replace(raw, analysed=replace(raw.analysed, people=calibrated))
    assert doubted.analysed.stage()["title"] == "3 garments on 2 people"
    assert doubted.summary == "3 garments on 2 people and 1 less likely"


def test_the_stage_is_named_after_its_model() -> None:
    stage = FIRST.stage(Comparison((FIRST,)).common)
    assert (stage["title"], stage["caption"]) == ("fpn", "1 garment, 0.25 s")
    assert FIRST.shares == {"Coat": 0.25}


def test_the_table_has_a_row_for_each_class_that_model_or_truth_names() -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_csv([Comparison((FIRST, THIRD))]).decode())))
    named = [(row["model"], row["class"], row["area_share"]) for row in rows]
    assert named[:2] == [("fpn", "Coat", "0.25"), ("fpn", "Background", "0.75")]
    assert named[2:] == [("fcn", "Shirt", "0.5"), ("fcn", "Background", "0.5")]
    assert {row["iou"] for row in rows} == {""}
    judged = list(csv.DictReader(io.StringIO(comparison_csv([Comparison((THIRD,), truth())]).decode())))
    coat = next(row for row in judged if row["class"] == "Coat")
    assert (coat["area_share"], coat["iou"], coat["bytes"]) == ("0.0", "0.0", "9500000")


def test_the_agreement_table_leaves_out_what_neither_names() -> None:
    (row,) = csv.DictReader(io.StringIO(agreements_csv([Comparison((FIRST, SECOND))]).decode()))
    assert (row["first"], row["second"], row["Coat"], row["Hat"]) == ("fpn", "unet", "0.5", "")


def test_the_json_sums_the_scores_over_the_photos() -> None:
    other = Comparison((finding("fpn", slice(0, 20), name="b.jpg"),), truth())
    document = json.loads(comparison_json([Comparison((FIRST,), truth()), other]))
    assert [photo["photo"] for photo in document["photos"]] == ["look.jpg", "b.jpg"]
    assert document["photos"][0]["models"][0]["scores"]["mean_iou"] == 1
    total = document["scores_over_photos"]
    assert total["photos"] == 2
    assert total["models"]["fpn"]["classes"]["Coat"]["iou"] == 0.75
    assert "scores_over_photos" not in json.loads(comparison_json([Comparison((FIRST, SECOND))]))


def test_the_picture_shows_every_overlay_and_the_map() -> None:
    with Image.open(io.BytesIO(comparison_picture(Comparison((FIRST, THIRD))))) as image:
        shown = np.asarray(image.convert("RGB"))
    tint = np.rint(200 * 0.45 + 0.55 * OUTFIT_15.palette[COAT])
    assert (np.abs(shown - tint).max(axis=2) <= 2).sum() == pytest.approx(40 * 30, abs=80)  # of fpn's coat alone
    assert shown.shape[1] > 3 * 240


def test_the_picture_writes_names_in_any_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that Pillow's own font lacks were boxes, and a long one ran out of the picture."""
    written: dict[str, int] = {}
    monkeypatch.setattr(agreement, "write_line", lambda draw, at, text, size, ink, width: written.update({text: width}))
    pair = [finding(model, slice(0, 40), name="Пальто.jpg") for model in ("fpn", "unet")]
    with Image.open(io.BytesIO(comparison_picture(Comparison(tuple(pair))))) as image:
        footer = next(text for text in written if text.startswith("Пальто.jpg; revisions: "))
        assert written[footer] < image.width
    assert all(width > 0 for width in written.values())


def test_a_link_names_models_once_and_those_there_are() -> None:
    assert parse_link("unet, fpn", ["fpn", "unet"]) == (["unet", "fpn"], [])
    assert parse_link("", ["fpn"]) == ([], [])
    chosen, sentences = parse_link("fpn,gone,fpn", ["fpn", "unet"])
    assert chosen == ["fpn"]
    assert ["names fpn twice" in sentences[0], 'Model "gone" not found' in sentences[1]] == [True, True]
    many = [f"m{number}" for number in range(12)]
    chosen, sentences = parse_link(",".join(many), many)
    assert (chosen, "first 9" in sentences[0]) == (many[:9], True)


def test_progress_says_who_is_done_who_runs_and_who_waits() -> None:
    models = ["unet", "linknet", "fpn", "fcn"]
    assert progress_text(models, 1) == "unet done, linknet running, 2 waiting."
    assert progress_text(models, 3, ["fpn"]) == "unet done, linknet done, fpn not loaded, fcn running."


ATR = next(each.taxonomy() for each in shipped_mappings() if each.source == "ATR_18")


def segformer(rows: slice) -> Finding:
    """Upper clothes over some rows of the left half, a left leg over the rest of it."""
    photo = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    class_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    class_map[:, :30] = ATR["Left-leg"].id
    class_map[rows, :30] = ATR["Upper-clothes"].id
    confidence = np.full((HEIGHT, WIDTH), 255, np.uint8)
    people, garments = measure(photo, ATR, class_map, confidence)
    result = Segmentation(ATR, class_map, confidence, people, garments, "segformer", "def", 0.5)
    return Finding(Analysed.of(UploadedPhoto("look.jpg", b"", WIDTH, HEIGHT, encode_photo(photo)), result), 1, 1)


def test_models_of_two_taxonomies_are_compared_in_common_classes() -> None:
    """fpn: a coat in rows 0 to 40 of the left half; segformer: upper clothes in 0 to 20, a leg in 20 to 80."""
    other = segformer(slice(0, 20))
    comparison = Comparison((FIRST, other))
    assert comparison.common.remark().startswith("Scored on 11 of the 15 classes of OUTFIT_15")
    (pair,) = comparison.agreements
    assert pair.iou["Coat or Shirt"] == pytest.approx(600 / 1200)
    assert pair.iou["Skin"] == 0 and pair.iou["Background"] == pytest.approx(2400 / 3600)
    assert pair.pixels == pytest.approx((2400 + 600) / 4800) and "Romper" not in pair.iou
    assert comparison.contested == pytest.approx(1800 / 4800)
    assert comparison.colour_of(other, "Upper-clothes") == OUTFIT_15["Coat"].colour
    stage = other.stage(comparison.common)
    assert [row["class"] for row in stage["garments"]] == ["Coat or Shirt"]
    (photo,) = json.loads(comparison_json([comparison]))["photos"]
    assert photo["models"][1]["garments"][0]["class"] == "Upper-clothes", "in its own words"
    assert photo["classes_compared"] == comparison.common.remark()
    rows = list(csv.DictReader(io.StringIO(comparison_csv([comparison]).decode())))
    assert {(row["model"], row["class"]) for row in rows} >= {("fpn", "Coat or Shirt"), ("segformer", "Skin")}
    with Image.open(io.BytesIO(comparison_picture(comparison))) as image:
        assert image.format == "PNG"


def test_models_cannot_disagree_on_a_class_that_one_of_them_cannot_name() -> None:
    """A coat in rows 0 to 40 of the left half and socks below; segformer has a leg there."""
    socks = finding("fpn", slice(0, 40), other=OUTFIT_15["Socks"].id)
    comparison = Comparison((socks, segformer(slice(0, 40))))
    assert comparison.contested == 0.0 and comparison.agreements[0].mean_iou == 1.0
    assert comparison.shown.names[11:] == ("Romper", "Socks") and 12 in comparison.found, "it is shown"


def test_scores_of_two_taxonomies_by_hand() -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:40, :30] = SHIRT
    labels[40:60, :30] = OUTFIT_15["Socks"].id  # ATR has none
    comparison = Comparison((FIRST, segformer(slice(0, 20))), labels)
    assert comparison.scores
    first, second = comparison.scores["fpn"]["classes"], comparison.scores["segformer"]["classes"]
    assert first["Coat or Shirt"]["iou"] == 1.0 and "Socks" not in first
    assert second["Coat or Shirt"]["iou"] == pytest.approx(600 / 1200)
    assert second["Skin"]["iou"] == 0.0, "600 pixels of skin where a shirt and 600 where background is true"
    assert comparison.scores["segformer"]["pixel_accuracy"] == pytest.approx((600 + 2400) / (4800 - 600))
    assert comparison.contested == pytest.approx(1200 / 4200)


def test_a_truth_in_other_classes_than_the_models() -> None:
    """A truth that knows a coat only: hair, skin and all other garments are part of its background."""
    mine = make_taxonomy("mine", ["Background", "Coat"])
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:40, :30] = 1
    comparison = Comparison((FIRST, THIRD), labels, mine)
    assert comparison.common.is_whole and comparison.scored.taxonomy.names == ("Background", "Coat")
    assert comparison.scores and comparison.scores["fpn"]["mean_iou"] == 1.0
    shirt = comparison.scores["fcn"]["classes"]
    assert (shirt["Coat"]["iou"], shirt["Background"]["iou"]) == (0, pytest.approx(3600 / 4800))
    assert [each.first for each in comparison.agreements] == ["fpn"], "agreement is in the models' own classes"
    with pytest.raises(MappingError, match="no mapping says what Kimono"):
        Comparison((FIRST,), labels, make_taxonomy("shop", ["Background", "Kimono"]))
