from pathlib import Path

import numpy as np
import pytest

from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.mappings import MappingError, common_classes, read_mapping, shipped_mappings
from segmodels.taxonomy import CFPD_23, OUTFIT_15, UNLABELLED, make_taxonomy

ATR, CCP, _, FASHIONPEDIA, LIP = (each.taxonomy() for each in shipped_mappings())


def test_one_taxonomy_is_not_mapped() -> None:
    common = common_classes({"fpn": OUTFIT_15, "unet": OUTFIT_15})
    assert common.is_whole and common.taxonomy is OUTFIT_15 and common.shown is OUTFIT_15 and common.remark() == ""
    counts = np.arange(225).reshape(15, 15)
    assert common.map_counts(counts, OUTFIT_15, OUTFIT_15) is counts


def test_classes_that_one_does_not_tell_apart_are_one_and_those_it_has_not_are_left_out() -> None:
    common = common_classes({"fpn": OUTFIT_15, "segformer": ATR})
    names = ["Background", "Bag", "Coat or Shirt", "Dress", "Footwear", "Glasses", "Hair", "Hat", "Pants or Shorts"]
    assert list(common.taxonomy.names) == [*names, "Scarf/Tie", "Skin"]
    assert common.left_out == ("Romper", "Socks")
    assert common.shown.names[11:] == ("Romper", "Socks")
    assert common.remark() == (
        "Scored on 11 of the 15 classes of OUTFIT_15, which all can name. Counted as one: Coat and Shirt; Pants and "
        "Shorts. Left out: Romper, Socks, which segformer cannot name."
    )
    assert common.taxonomy["Coat or Shirt"].colour == OUTFIT_15["Coat"].colour
    assert common.taxonomy.display_order[-1] == "Background" and common.taxonomy.display_order[0] == "Hat"
    own = common.shown_ids(OUTFIT_15)
    assert own[OUTFIT_15["Coat"].id] == own[OUTFIT_15["Shirt"].id] == 2
    assert (own[OUTFIT_15["Romper"].id], own[OUTFIT_15["Socks"].id], own[15]) == (11, 12, UNLABELLED)
    assert common.true_ids(OUTFIT_15)[OUTFIT_15["Socks"].id] == UNLABELLED
    assert common.predicted_ids(OUTFIT_15)[OUTFIT_15["Socks"].id] == 11, "any other class"
    theirs = common.shown_ids(ATR)
    shoes = [ATR["Left-shoe"].id, ATR["Right-shoe"].id]
    assert theirs[shoes].tolist() == [4, 4] and theirs[ATR["Upper-clothes"].id] == 2
    assert common.shown_name(ATR, "Skirt") == "Dress" and common.shown_name(OUTFIT_15, "Socks") == "Socks"


def test_every_mapping_meets_every_other() -> None:
    sizes = {
        "ATR_18": 11,
        "CCP_59": 15,
        "CFPD_23": 14,  # no romper
        "FASHIONPEDIA_46": 13,  # hair and skin are part of the background
        "LIP_20": 13,  # bags are, and Pants and Shorts are one
    }
    for mapping in shipped_mappings():
        assert len(common_classes({"fpn": OUTFIT_15, "other": mapping.taxonomy()})) == sizes[mapping.source]
    both = common_classes({"a": ATR, "b": LIP})
    assert len(both) == 10 and both.target is OUTFIT_15
    assert both.members[0] == ("Background", "Bag")
    assert len(common_classes({"a": ATR, "b": LIP, "c": FASHIONPEDIA, "d": CFPD_23, "e": CCP})) == 8


def test_counts_by_hand() -> None:
    """Truth in OUTFIT_15, the prediction of an ATR network and of one in OUTFIT_15."""
    common = common_classes({"truth": OUTFIT_15, "segformer": ATR})
    assert common.taxonomy.names[2:4] == ("Coat or Shirt", "Dress")
    counts = np.zeros((15, 18), np.int64)
    counts[OUTFIT_15["Coat"].id, ATR["Upper-clothes"].id] = 5
    counts[OUTFIT_15["Shirt"].id, ATR["Upper-clothes"].id] = 3
    counts[OUTFIT_15["Shirt"].id, ATR["Skirt"].id] = 2
    counts[OUTFIT_15["Dress"].id, ATR["Skirt"].id] = 4
    counts[OUTFIT_15["Dress"].id, ATR["Dress"].id] = 1
    counts[OUTFIT_15["Socks"].id, ATR["Left-leg"].id] = 9  # ATR has no socks
    mapped = common.map_counts(counts, OUTFIT_15, ATR)
    assert mapped.shape == (11, 12) and mapped.sum() == 15
    assert (mapped[2, 2], mapped[2, 3], mapped[3, 3]) == (8, 2, 5)
    matrix = ConfusionMatrix(common.taxonomy.names, mapped)
    assert matrix.iou[2] == pytest.approx(8 / 10) and matrix.iou[3] == pytest.approx(5 / 7)
    assert matrix.mean_iou == pytest.approx((8 / 10 + 5 / 7) / 2)

    counts = np.zeros((15, 15), np.int64)
    counts[OUTFIT_15["Coat"].id, OUTFIT_15["Shirt"].id] = 5  # one class here
    counts[OUTFIT_15["Dress"].id, OUTFIT_15["Dress"].id] = 6
    counts[OUTFIT_15["Dress"].id, OUTFIT_15["Socks"].id] = 2  # wrong, though not one of the classes
    counts[OUTFIT_15["Socks"].id, OUTFIT_15["Socks"].id] = 9
    matrix = ConfusionMatrix(common.taxonomy.names, common.map_counts(counts, OUTFIT_15, OUTFIT_15))
    assert matrix.counts[:, 11].sum() == 2
    assert (matrix.iou[2], matrix.iou[3]) == (1.0, pytest.approx(6 / 8))
    assert matrix.pixel_accuracy == pytest.approx(11 / 13) and matrix.mean_iou == pytest.approx((1 + 6 / 8) / 2)
    assert matrix.precision[3] == 1.0 and matrix.recall[3] == pytest.approx(6 / 8)


def test_classes_left_out_on_purpose_do_not_count() -> None:
    common = common_classes({"fpn": OUTFIT_15, "fashionpedia": FASHIONPEDIA})
    assert "Left out of fashionpedia: headband, head covering, hair accessory; tights, stockings; hood; " in (
        common.remark()
    )
    counts = np.zeros((15, 47), np.int64)
    counts[OUTFIT_15["Coat"].id, FASHIONPEDIA["sleeve"].id] = 7
    counts[OUTFIT_15["Coat"].id, FASHIONPEDIA["jacket"].id] = 2
    counts[OUTFIT_15["Hair"].id, 0] = 3
    mapped = common.map_counts(counts, OUTFIT_15, FASHIONPEDIA)
    assert mapped.sum() == 5 and mapped[0, 0] == 3


def test_classes_of_ones_own_that_have_the_names_of_others() -> None:
    own = make_taxonomy("mine", ["bg", "coat", "DRESS"])
    common = common_classes({"fpn": OUTFIT_15, "mine": own})
    assert common.taxonomy.names == ("Background", "Coat", "Dress")
    assert common.left_out == () and common.true_ids(OUTFIT_15)[OUTFIT_15["Shirt"].id] == 0, "background for mine"
    other = make_taxonomy("again", ["backdrop", "Dress", "Coat"])
    same = common_classes({"mine": own, "again": other})
    assert same.shown_ids(other)[:3].tolist() == [0, 2, 1] and len(same) == 3


def test_what_no_mapping_connects_is_a_sentence() -> None:
    own = make_taxonomy("kimono shop", ["bg", "Kimono", "Coat"])
    with pytest.raises(MappingError) as caught:
        common_classes({"fpn": OUTFIT_15, "mine": own})
    assert str(caught.value) == (
        "mine has the classes of kimono shop, and no mapping says what Kimono would be in OUTFIT_15. Write a mapping, "
        "and put it as mapping.toml into the folder of the checkpoint, or name it with --mapping."
    )


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    own = make_taxonomy("kimono shop", ["bg", "Kimono", "Obi"])
    file = tmp_path / "kimono.toml"
    text = 'from = "kimono shop"\nto = "OUTFIT_15"\n[classes]\nbg = "Background"\nKimono = ["Coat", "Dress"]\n'
    file.write_text(text + 'Obi = "ignore"\n')
    common = common_classes({"fpn": OUTFIT_15, "mine": own}, [read_mapping(file)])
    assert common.taxonomy.names == ("Background", "Coat or Dress") and len(common.left_out) == 12
    assert common.shown_ids(own)[:3].tolist() == [0, 1, UNLABELLED]
    file.write_text(text)
    with pytest.raises(MappingError, match="does not name Obi, a class of kimono shop"):
        common_classes({"fpn": OUTFIT_15, "mine": own}, [read_mapping(file)])
    file.write_text(text.replace('"Dress"', '"Robe"') + 'Obi = "Scarf/Tie"\n')
    with pytest.raises(MappingError, match=r"Robe, which is no class of OUTFIT_15\. Its classes are Background, Bag,"):
        common_classes({"fpn": OUTFIT_15, "mine": own}, [read_mapping(file)])
    file.write_text(text.replace('"Background"', '"Hair"') + 'Obi = "Scarf/Tie"\n')
    with pytest.raises(MappingError, match="must map bg to Background, the background"):
        common_classes({"fpn": OUTFIT_15, "mine": own}, [read_mapping(file)])
    file.write_text(text.replace("kimono shop", "shop"))
    with pytest.raises(MappingError) as caught:
        common_classes({"fpn": OUTFIT_15, "mine": own}, [read_mapping(file)])
    assert str(caught.value) == (
        f'{file} maps the classes of shop, and those of mine are kimono shop. Write from = "kimono shop" there.'
    )
    file.write_text(text.replace("OUTFIT_15", "SHOES") + 'Obi = "ignore"\n')
    with pytest.raises(MappingError, match="maps kimono shop to SHOES; a mapping to OUTFIT_15 is needed"):
        common_classes({"fpn": OUTFIT_15, "mine": own}, [read_mapping(file)])


def test_nothing_is_said_where_everything_is_scored() -> None:
    first, second = (make_taxonomy(name, ["Background", "Kimono", "Obi"], {"Obi": "accessory"}) for name in "ab")
    assert common_classes({"a": first, "b": second}).remark() == ""
    other = make_taxonomy("c", ["Background", "Obi", "Kimono"], {"Obi": "garment"})
    assert (
        len(common_classes({"a": first, "c": other})) == 3 and common_classes({"a": first, "c": other}).remark() == ""
    )
    part = make_taxonomy("d", ["Background", "Kimono"])
    assert common_classes({"a": first, "d": part}).remark() == (
        "Scored on 2 of the 3 classes of a, which all can name. Counted as one: Background and Obi."
    )
