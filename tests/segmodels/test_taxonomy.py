import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from own_classes import KIMONO
from skimage.color import deltaE_ciede2000, rgb2lab

from segmodels.taxonomy import (
    CCP_59,
    CCP_TO_OUTFIT_15,
    CFPD_23,
    CFPD_COLOURS,
    CFPD_LABELS,
    CFPD_TO_CFPD_23,
    CFPD_TO_OUTFIT_15,
    IMATERIALIST_47,
    OUTFIT_15,
    TAXONOMIES,
    UNLABELLED,
    GarmentClass,
    Taxonomy,
    TaxonomyError,
    label_lookup,
    make_taxonomy,
    taxonomy_entries,
    taxonomy_of,
)

# Table I of Inácio, Brilhador & Lopes, as printed: the number, the label, the original labels.
TABLE_I = """
1   BG          Accessories, Belt, BG, Bra, Bracelet, Earrings, Gloves, Necklace, Ring, Wallet, Watch
2   Bag         Bag, Purse
3   Coat        Blazer, Cape, Cardigan, Coat, Jacket, Suit
4   Dress       Dress, Skirt
5   Footwear    Boots, Clogs, Flats, Heels, Loafers, Pumps, Sandal, Shoes, Sneakers, Wedges
6   Glasses     Glasses, Sunglasses
7   Hair        Hair
8   Hat         Hat
9   Pants       Jeans, Leggings, Pants, Tights
10  Romper      BodySuit, Romper
11  Scarf/Tie   Scarf, Tie
12  Shirt       Blouse, Hoodie, Jumper, Shirt, Sweater, Sweatshirt, T-shirt, Top, Vest
13  Shorts      Shorts
14  Skin        Skin
15  Socks       Socks, Stockings
"""
ROWS = [re.fullmatch(r"(\d+)\s+(\S+)\s+(.+)", line).groups() for line in TABLE_I.strip().splitlines()]  # type: ignore[union-attr]
CCP_SPELLING = {"bg": "null", "sandal": "sandals"}
CFPD_SPELLING = {"bg": "bk", "leggings": "legging", "shoes": "shoe", "stockings": "stocking", "sunglasses": "sunglass"}


def test_classes_are_table_i_in_its_order() -> None:
    named = [(int(number) - 1, "Background" if label == "BG" else label) for number, label, _ in ROWS]
    assert [(garment.id, garment.name) for garment in OUTFIT_15.classes] == named
    assert OUTFIT_15.names == tuple(name for _, name in named)
    assert len(OUTFIT_15) == 15


def test_ccp_labels_go_where_table_i_sends_them() -> None:
    expected = {
        CCP_SPELLING.get(original.lower(), original.lower()): "Background" if label == "BG" else label
        for _, label, originals in ROWS
        for original in originals.split(", ")
    }
    assert dict(CCP_TO_OUTFIT_15) == expected


def test_every_ccp_label_but_three_has_a_class() -> None:
    assert set(CCP_TO_OUTFIT_15) <= set(CCP_59)
    assert set(CCP_59) - set(CCP_TO_OUTFIT_15) == {"intimate", "panties", "swimwear"}


def test_ccp_59_is_alphabetic_after_null() -> None:
    assert len(CCP_59) == len(set(CCP_59)) == 59
    assert CCP_59[0] == "null"
    assert list(CCP_59[1:]) == sorted(CCP_59[1:])


def test_groups() -> None:
    groups = {
        group: {garment.name for garment in OUTFIT_15.classes if garment.group == group}
        for group in ("background", "body", "accessory")
    }
    assert groups == {
        "background": {"Background"},
        "body": {"Hair", "Skin"},
        "accessory": {"Bag", "Glasses", "Hat", "Scarf/Tie"},
    }
    assert {garment.name for garment in OUTFIT_15.classes if not garment.is_worn} == {"Background", "Hair", "Skin"}


def test_worn_is_in_display_order_and_leaves_out_body_and_background() -> None:
    names = [garment.name for garment in OUTFIT_15.worn]
    assert names == [name for name in OUTFIT_15.display_order if name not in ("Background", "Hair", "Skin")]
    assert len(names) == 12


def test_palette_holds_the_colour_of_each_class_and_black_beyond() -> None:
    palette = OUTFIT_15.palette
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    for garment in OUTFIT_15.classes:
        assert re.fullmatch("#[0-9A-F]{6}", garment.colour)
        assert "#{:02X}{:02X}{:02X}".format(*palette[garment.id]) == garment.colour
    assert not palette[15:].any()


# Vision without one kind of cone, on linear RGB: Machado, Oliveira & Fernandes 2009, severity 1.
VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


@pytest.mark.parametrize(
    ("taxonomy", "vision", "least"),
    [
        (OUTFIT_15, "normal", 12),
        (OUTFIT_15, "protan", 9.5),
        (OUTFIT_15, "deutan", 9.5),
        (CFPD_23, "normal", 12),
        (CFPD_23, "protan", 9.5),
        (CFPD_23, "deutan", 9.5),
        (IMATERIALIST_47, "normal", 10),
        (IMATERIALIST_47, "protan", 6.5),
        (IMATERIALIST_47, "deutan", 6.5),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_no_two_colours_look_the_same(taxonomy: Taxonomy, vision: str, least: float) -> None:
    srgb = taxonomy.palette[: len(taxonomy)] / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))
    one, other = np.array(list(itertools.combinations(range(len(taxonomy)), 2))).T
    distances = deltaE_ciede2000(lab[one], lab[other])
    nearest = int(np.argmin(distances))
    pair = taxonomy.names[one[nearest]], taxonomy.names[other[nearest]]
    assert distances[nearest] >= least, (distances[nearest], pair)


@pytest.mark.parametrize("taxonomy", [CFPD_23, IMATERIALIST_47], ids=lambda taxonomy: taxonomy.name)
def test_every_taxonomy_begins_with_background(taxonomy: Taxonomy) -> None:
    assert taxonomy.names[0] == "Background" and taxonomy.display_order[-1] == "Background"
    assert [garment.name for garment in taxonomy.classes if garment.group == "background"] == ["Background"]
    shared = [garment.name for garment in taxonomy.classes if garment.name in OUTFIT_15.names]
    assert "Background" in shared
    for name in shared:
        assert (taxonomy[name].colour, taxonomy[name].group) == (OUTFIT_15[name].colour, OUTFIT_15[name].group)


def test_cfpd_has_23_categories_and_13_colours() -> None:
    assert len(CFPD_23) == len(CFPD_LABELS) == len(set(CFPD_LABELS)) == 23
    assert len(CFPD_COLOURS) == len(set(CFPD_COLOURS)) == 13
    # A description of the file takes the characters of the names for fine ids: 117 of them, and 60 of the colours.
    assert (sum(map(len, CFPD_LABELS)), sum(map(len, CFPD_COLOURS))) == (117, 60)
    assert CFPD_LABELS[0] == "bk" and sorted(CFPD_LABELS[1:]) == list(CFPD_LABELS[1:])
    assert [CFPD_TO_CFPD_23[label] for label in CFPD_LABELS] == list(CFPD_23.names)
    assert {garment.name for garment in CFPD_23.classes if garment.group == "body"} == {"Face", "Hair", "Skin"}
    for label, name in CFPD_TO_CFPD_23.items():
        assert name.lower().startswith(label.lower()) or label == "bk"


def test_cfpd_labels_go_where_table_i_sends_them() -> None:
    expected = {
        CFPD_SPELLING.get(original.lower(), original.lower()): "Background" if label == "BG" else label
        for _, label, originals in ROWS
        for original in originals.split(", ")
    }
    assert set(CFPD_TO_OUTFIT_15) == set(CFPD_LABELS)
    assert CFPD_TO_OUTFIT_15["face"] == "Skin", "in no row of Table I"
    for label in set(CFPD_LABELS) - {"face"}:
        assert CFPD_TO_OUTFIT_15[label] == expected[label.lower()]


def test_imaterialist_has_46_classes_and_background() -> None:
    names = IMATERIALIST_47.names
    assert len(IMATERIALIST_47) == 47
    # Names that the organisers' label_descriptions.json gives to these numbers.
    given = {0: "shirt, blouse", 10: "dress", 15: "headband, head covering, hair accessory", 21: "tights, stockings"}
    given |= {23: "shoe", 26: "umbrella", 27: "hood", 31: "sleeve", 35: "zipper", 45: "tassel"}
    assert {number: names[number + 1] for number in given} == given
    parts = [garment.id - 1 for garment in IMATERIALIST_47.classes if garment.group == "part"]
    assert parts == list(range(27, 46)), "27 garments and accessories, 19 parts"
    assert len(IMATERIALIST_47.worn) == 27


def test_registry_names_agree() -> None:
    assert OUTFIT_15 in TAXONOMIES.values()
    assert all(name == taxonomy.name for name, taxonomy in TAXONOMIES.items())


def test_class_by_name() -> None:
    assert OUTFIT_15["Scarf/Tie"].id == 10
    with pytest.raises(KeyError, match=r"OUTFIT_15 has no class 'Trousers'; it has Background, Bag, .*Socks\."):
        OUTFIT_15["Trousers"]


def one(number: int, name: str) -> GarmentClass:
    return GarmentClass(number, name, "garment", "#102030")


@pytest.mark.parametrize(
    ("classes", "order", "sentence"),
    [
        ((one(0, "A"), one(2, "B")), ("A", "B"), "ids must run from 0 to 1 without gaps"),
        ((one(1, "A"), one(0, "B")), ("A", "B"), "ids must run from 0 to 1 without gaps"),
        ((one(0, "A"), one(1, "A")), ("A", "A"), "a class name occurs twice"),
        ((one(0, "A"), one(1, "B")), ("A",), "display_order must hold each class name exactly once"),
        ((one(0, "A"), one(1, "B")), ("A", "B", "B"), "display_order must hold each class name exactly once"),
        ((one(0, "A"), one(1, "B")), ("A", "C"), "display_order must hold each class name exactly once"),
    ],
)
def test_a_taxonomy_that_contradicts_itself(
    classes: tuple[GarmentClass, ...], order: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"Taxonomy T: {sentence}"):
        Taxonomy("T", classes, order)


def test_label_lookup() -> None:
    small = Taxonomy("T", (one(0, "A"), one(1, "B")), ("A", "B"))
    table = label_lookup(["x", "unknown", "y"], {"y": "A", "x": "B", "elsewhere": "A"}, small)
    assert table.dtype == np.uint8 and table.shape == (256,)
    assert table[:3].tolist() == [1, UNLABELLED, 0]
    assert (table[3:] == UNLABELLED).all()
    with pytest.raises(KeyError, match="T has no class 'C'"):
        label_lookup(["x"], {"x": "C"}, small)


def test_label_lookup_over_ccp() -> None:
    table = label_lookup(CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15)
    assert {label: OUTFIT_15.names[table[i]] for i, label in enumerate(CCP_59) if table[i] != UNLABELLED} == dict(
        CCP_TO_OUTFIT_15
    )
    assert set(np.unique(table[:59])) == {*range(15), UNLABELLED}


# --- Taxonomies of one's own ------------------------------------------------------------------------------------------


def test_groups_are_guessed_from_the_words_of_a_name() -> None:
    expected = {
        "body": ["Hair", "left arm", "Right-leg", "face skin", "upper_body"],
        "accessory": ["Tote bags", "Sunglasses", "hair accessory", "wrist watch", "Scarf/Tie", "belt"],
        "garment": ["Kimono", "leg warmer", "Bodysuit", "upper clothes", "Shoes", "T-shirt", "Dress"],
    }
    names = [name for group in expected.values() for name in group]
    made = make_taxonomy("mine", ["Wall", *names])
    assert {group: [each.name for each in made.classes if each.group == group] for group in expected} == expected
    assert made.classes[0] == GarmentClass(0, "Wall", "background", "#837B78")


def test_what_is_given_is_taken_and_the_background_is_listed_last() -> None:
    made = make_taxonomy("mine", ["bg", "hat", "cuff"], {"cuff": "part"}, {"hat": "#00ff00"})
    assert made.display_order == ("hat", "cuff", "bg")
    assert made["cuff"].group == "part" and made["hat"].group == "accessory"
    assert made["hat"].colour == "#00FF00"
    assert make_taxonomy("mine", ["bg", "hat"])["hat"].colour == OUTFIT_15["Hat"].colour


@pytest.mark.parametrize(("count", "least"), [(2, 30), (16, 15), (31, 10), (255, 3.5)])
def test_made_colours_are_apart(count: int, least: float) -> None:
    made = make_taxonomy("mine", ["Background", *(f"thing {number}" for number in range(1, count))])
    again = make_taxonomy("mine", made.names)
    assert again == made
    lab = rgb2lab(made.palette[:count] / 255)
    one, other = np.array(list(itertools.combinations(range(count), 2))).T
    assert deltaE_ciede2000(lab[one], lab[other]).min() >= least


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mine", ["bg"]), "mine has 1 classes; a taxonomy has 2 to 255."),
        (("mine", [str(number) for number in range(256)]), "mine has 256 classes"),
        (("mine", ["bg", "hat", "hat"]), "mine has the class hat twice"),
        (("mine", ["bg", "hat", "Hat"]), "mine has the class Hat twice"),
        (("mine", ["bg", ""]), "'' is no name: a name has 1 to 80 printable characters"),
        (("mine", ["bg", " hat"]), "' hat' is no name"),
        (("mine", ["bg", "h\nat"]), "'h\\nat' is no name"),
        (("mine", ["bg", "h" * 81]), "is no name"),
        (("", ["bg", "hat"]), "'' is no name"),
        (("..", ["bg", "hat"]), ".. begins with a dot"),
        (("mine", ["bg", 3]), "must be texts"),
        (("mine", "bg"), "must be texts"),
        (("mine", ["hat", "Background"]), "Background is the background. Put it first."),
        (("mine", ["hat", "bg"], {"hat": "accessory"}), "hat is the first class, which is the background"),
        (("mine", ["bg", "hat"], {"cap": "accessory"}), "mine has no class cap; its classes are bg, hat."),
        (("mine", ["bg", "hat"], {"hat": "thing"}), "hat is in the group 'thing'; the groups are background, body, "),
        (("mine", ["bg", "hat"], None, {"hat": "red"}), "hat has the colour 'red'; a colour is written #RRGGBB."),
    ],
)
def test_classes_that_make_no_taxonomy(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        make_taxonomy(*arguments)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("taxonomy", [*TAXONOMIES.values(), KIMONO], ids=lambda taxonomy: taxonomy.name)
def test_json_holds_all_of_a_taxonomy(taxonomy: Taxonomy) -> None:
    assert Taxonomy.from_json(json.loads(json.dumps(taxonomy.to_json()))) == taxonomy


def test_json_without_an_order_lists_the_background_last() -> None:
    values = OUTFIT_15.to_json()
    del values["display_order"]
    assert Taxonomy.from_json(values).display_order == (*OUTFIT_15.names[1:], "Background")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classes": None}, "The classes of a taxonomy are a list of objects"),
        ({"classes": [{"name": "bg", "group": "background"}]}, "with the keys name, group and colour"),
        ({"classes": [{"name": 3, "group": "garment", "colour": "#000000"}]}, "must be texts"),
        ({"name": 5}, "must be texts"),
        ({"display_order": ["Backdrop"]}, "display_order must hold each class name exactly once"),
        ({"display_order": 5}, "display_order must hold each class name exactly once"),
    ],
)
def test_json_that_is_no_taxonomy(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(TaxonomyError, match=sentence):
        Taxonomy.from_json(KIMONO.to_json() | changes)
    with pytest.raises(TaxonomyError, match="an object with the keys name and classes"):
        Taxonomy.from_json([])


def test_the_taxonomy_of_a_config() -> None:
    assert taxonomy_of({"taxonomy": "CFPD_23", "classes": list(CFPD_23.names)}) is CFPD_23
    assert taxonomy_entries(CFPD_23) == {
        "taxonomy": "CFPD_23",
        "classes": list(CFPD_23.names),
        "own_taxonomy": None,
    }
    entries = taxonomy_entries(KIMONO)
    assert entries["own_taxonomy"]["classes"][2] == {
        "name": "Obi <sash>",
        "group": "garment",
        "colour": KIMONO["Obi <sash>"].colour,
    }
    assert taxonomy_of(entries) == KIMONO
    for changes, sentence in (
        ({"own_taxonomy": None}, "taxonomy must be one of OUTFIT_15, CFPD_23, IMATERIALIST_47, not 'kimono shop'"),
        ({"taxonomy": "other"}, "taxonomy must be 'kimono shop', the name of own_taxonomy, not 'other'"),
        ({"classes": ["Backdrop"]}, "its classes are not those of kimono shop, in their order"),
        ({"own_taxonomy": 3}, "an object with the keys name and classes"),
    ):
        with pytest.raises(TaxonomyError, match=sentence):
            taxonomy_of(entries | changes)
    with pytest.raises(TaxonomyError, match="own_taxonomy needs a name of its own; CFPD_23 is the name of other"):
        taxonomy_of(taxonomy_entries(make_taxonomy("CFPD_23", KIMONO.names)))


def test_same_classes_and_their_names_in_a_sentence() -> None:
    recoloured = make_taxonomy("kimono shop", KIMONO.names, None, {"Kimono": "#0000FF"})
    assert KIMONO.matches(recoloured) and recoloured != KIMONO
    assert not KIMONO.matches(make_taxonomy("kimono shop", KIMONO.names, {"Kimono": "accessory"}))
    assert not KIMONO.matches(make_taxonomy("other shop", KIMONO.names))
    assert OUTFIT_15.name_beside(KIMONO) == "OUTFIT_15"
    assert KIMONO.name_beside(KIMONO) == "another taxonomy of that name"
