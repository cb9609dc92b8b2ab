import pytest
from foreign_networks import ATR

from segmodels.foreign.labels import arrange
from segmodels.taxonomy import OUTFIT_15, TaxonomyError


def test_labels_of_a_known_set_are_its_taxonomy() -> None:
    found = arrange(ATR, "whatever")
    assert found.taxonomy.name == "ATR_18" and list(found.taxonomy.names) == ATR
    groups = {each.name: each.group for each in found.taxonomy.classes}
    assert {name for name, group in groups.items() if group == "body"} == {
        *("Hair", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm")
    }
    assert {name for name, group in groups.items() if group == "accessory"} == {
        *("Hat", "Sunglasses", "Belt", "Bag", "Scarf")
    }
    assert found.taxonomy["Upper-clothes"].colour == OUTFIT_15["Shirt"].colour
    assert found.channels == tuple((at,) for at in range(18))
    assert found.background == "Its background is the class Background."


def test_another_order_is_the_same_set() -> None:
    found = arrange(ATR[::-1], "whatever")
    assert list(found.taxonomy.names) == ATR and found.channels == tuple((17 - at,) for at in range(18))


def test_our_own_classes_keep_their_taxonomy() -> None:
    assert arrange([name.upper() for name in OUTFIT_15.names], "whatever").taxonomy is OUTFIT_15


def test_other_labels_with_the_background_elsewhere() -> None:
    found = arrange(["kimono", "unlabeled", "obi", "void"], "shop")
    assert found.taxonomy.name == "shop" and found.taxonomy.names == ("unlabeled", "kimono", "obi")
    assert found.channels == ((1, 3), (0,), (2,))
    assert found.background == "Its background is the classes unlabeled and void."


def test_labels_without_a_background() -> None:
    found = arrange(["wall", "person"], "rooms")
    assert found.taxonomy.names == ("Background", "wall", "person") and found.channels == ((), (0,), (1,))
    assert found.background == "It has no class for the background, so every pixel gets a class."
    assert arrange(["wall", "person"], "rooms", "wall").channels == ((0,), (1,))
    with pytest.raises(ValueError, match="its background is 'floor', and its classes are wall, person"):
        arrange(["wall", "person"], "rooms", "floor")


def test_labels_that_are_no_names_of_classes() -> None:
    found = arrange(["background", " bag ", "Bag", "", "x" * 99], "odd")
    assert found.taxonomy.names == ("background", "bag", "Bag (2)", "class 3", "x" * 80)
    with pytest.raises(TaxonomyError, match="2 to 255"):
        arrange([f"class {at}" for at in range(255)], "many")
