from pathlib import Path

import pytest

from segmodels.mappings import MappingError, mapping_beside, read_mapping, shipped_mappings
from segmodels.taxonomy import (
    CCP_59,
    CCP_TO_OUTFIT_15,
    CFPD_23,
    CFPD_LABELS,
    CFPD_TO_OUTFIT_15,
    IMATERIALIST_47,
    OUTFIT_15,
    make_taxonomy,
)

BY_NAME = {each.source: each for each in shipped_mappings()}
GOOD = """
from = "kimono shop"
to = "OUTFIT_15"
[classes]
Backdrop = "Background"
Kimono = ["Coat", "Dress"]
Obi = "ignore"
"""


def test_the_mappings_that_ship() -> None:
    sizes = {name: len(each.classes) for name, each in BY_NAME.items()}
    assert sizes == {"ATR_18": 18, "CCP_59": 59, "CFPD_23": 23, "FASHIONPEDIA_46": 47, "LIP_20": 20}
    for mapping in BY_NAME.values():
        assert mapping.target == "OUTFIT_15" and mapping.about
        assert {name for names in mapping.classes.values() for name in names} <= set(OUTFIT_15.names)
        assert "Background" in next(iter(mapping.classes.values()))
        assert len(mapping.taxonomy()) == len(mapping.classes)


def test_they_have_the_classes_of_the_data_sets_in_their_order() -> None:
    assert tuple(BY_NAME["CCP_59"].classes) == CCP_59
    assert tuple(BY_NAME["CFPD_23"].classes) == CFPD_23.names
    assert tuple(BY_NAME["FASHIONPEDIA_46"].classes) == IMATERIALIST_47.names
    # https://huggingface.co/mattmdjaga/segformer_b2_clothes, id2label
    atr = "Background Hat Hair Sunglasses Upper-clothes Skirt Pants Dress Belt Left-shoe Right-shoe Face Left-leg"
    assert tuple(BY_NAME["ATR_18"].classes) == (*atr.split(), "Right-leg", "Left-arm", "Right-arm", "Bag", "Scarf")
    # https://github.com/GoGoDuck912/Self-Correction-Human-Parsing, simple_extractor.py
    lip = "Background Hat Hair Glove Sunglasses Upper-clothes Dress Coat Socks Pants Jumpsuits Scarf Skirt Face"
    sides = ("Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe", "Right-shoe")
    assert tuple(BY_NAME["LIP_20"].classes) == (*lip.split(), *sides)


def test_the_tables_of_the_readers_are_those_of_the_files() -> None:
    ccp, cfpd = BY_NAME["CCP_59"].classes, BY_NAME["CFPD_23"].classes
    assert {name: to[0] for name, to in ccp.items() if to} == dict(CCP_TO_OUTFIT_15)
    assert [name for name, to in ccp.items() if not to] == ["intimate", "panties", "swimwear"]
    assert [CFPD_TO_OUTFIT_15[label] for label in CFPD_LABELS] == [to for (to,) in cfpd.values()]


@pytest.mark.parametrize(
    ("mapping", "name", "classes"),
    [
        ("ATR_18", "Skirt", ("Dress",)),
        ("ATR_18", "Upper-clothes", ("Coat", "Shirt")),
        ("LIP_20", "Skirt", ("Dress",)),
        ("CFPD_23", "Stockings", ("Socks",)),
        ("CCP_59", "tights", ("Pants",)),
        ("CCP_59", "stockings", ("Socks",)),
        ("FASHIONPEDIA_46", "skirt", ("Dress",)),
        ("FASHIONPEDIA_46", "tights, stockings", ()),
        ("FASHIONPEDIA_46", "sleeve", ()),
    ],
)
def test_single_classes(mapping: str, name: str, classes: tuple[str, ...]) -> None:
    assert BY_NAME[mapping].classes[name] == classes


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    assert mapping_beside(tmp_path) is None
    file.write_text(GOOD)
    mapping = mapping_beside(tmp_path)
    assert mapping and (mapping.source, mapping.target, mapping.about) == ("kimono shop", "OUTFIT_15", "")
    assert mapping.of(make_taxonomy("other", ["bg", "obi", "KIMONO"])) == (("Background",), (), ("Coat", "Dress"))
    with pytest.raises(MappingError, match="does not name Tote bag, a class of other. Add it to"):
        mapping.of(make_taxonomy("other", ["bg", "Obi", "Tote bag"]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("from = ", "is not TOML"),
        ("from = " + "9" * 5000, "is not TOML"),
        (GOOD.replace("from", "form"), "has the unknown key form. The keys are about, classes, from, to."),
        (GOOD.replace('to = "OUTFIT_15"', ""), 'does not say to. Write to = "NAME OF A TAXONOMY".'),
        ('from = "a"\nto = "b"\nabout = 3', "about must be a text"),
        ('from = "a"\nto = "b"\n', "has no table [classes]"),
        (GOOD + "kimono = 'Coat'\n", "names Kimono and kimono, which are the same"),
        (GOOD.replace('"ignore"', "3"), 'Obi must be the name of a class, a list of names, or "ignore"'),
        (GOOD.replace('"ignore"', "[]"), "Obi must be the name of a class"),
    ],
)
def test_a_bad_file_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(MappingError) as caught:
        read_mapping(tmp_path / "m.toml")
    assert sentence in str(caught.value) and str(caught.value).endswith(".")


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file or directory"):
        read_mapping(tmp_path / "gone.toml")
    (tmp_path / "m.toml").write_bytes(b'from = "\xff"')
    with pytest.raises(MappingError, match="is not UTF-8 text"):
        read_mapping(tmp_path / "m.toml")
