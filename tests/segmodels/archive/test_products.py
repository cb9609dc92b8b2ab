"""One row of several pictures: what any of them shows, of the person that takes up most of each."""

from typing import Any

import pytest

from segmodels.archive.products import merged
from segmodels.archive.rows import Row


def garment(name: str, share: float, person: int = 0) -> dict[str, Any]:
    box, colours = [0, 0, 9, 9], [{"hex": f"#{int(share * 100):06d}", "name": "red", "share": 1.0}]
    return {"class": name, "person": person, "area_share": share, "outfit_share": 1.0, "box": box, "colours": colours}


def picture(number: int, *garments: dict[str, Any], presence: list[list[float]], bits: list[int], **more: Any) -> Row:
    people = [{"box": [number, 0, 9, 9]} for _ in bits]
    row: Row = {"photo_id": str(number), "people": people, "garments": list(garments), "presence": presence}
    kinds = [{"name": each["class"]} for each in garments]
    embeddings = [f"{each['class']} {number}".encode() for each in garments]
    row |= {"outfits": bits, "kinds": kinds, "embeddings": embeddings, "embedding_revision": "e1", "monochrome": False}
    return row | more


def test_the_highest_presence_and_the_largest_garment_of_each_class_count() -> None:
    front = picture(1, garment("Dress", 0.2), garment("Bag", 0.1), presence=[[0.9, 0.6, 0.1]], bits=[0b011])
    other = garment("Hat", 0.05, person=1)
    detail = picture(2, garment("Bag", 0.5), other, presence=[[0.1, 0.95, 0.3], [0.0, 0.0, 1.0]], bits=[0b010, 0b100])
    row = merged([front, detail])
    assert row["photo_id"] == "1" and row["people"] == front["people"]
    assert row["presence"] == [[0.9, 0.95, 0.3]] and row["outfits"] == [0b011]
    found = {each["class"]: each for each in row["garments"]}
    assert set(found) == {"Dress", "Bag"}, "the hat is of somebody beside"
    assert (found["Dress"]["box"], found["Bag"]["box"]) == ([0, 0, 9, 9], None)
    assert found["Bag"]["area_share"] == 0.5 and found["Bag"]["outfit_share"] == pytest.approx(0.5 / 0.7)
    assert [each["name"] for each in row["kinds"]] == [each["class"] for each in row["garments"]]
    assert sorted(row["embeddings"]) == [b"Bag 2", b"Dress 1"]
    without = {"embeddings": None, "embedding_revision": None}
    assert merged([front | without, detail | without])["embeddings"] is None


def test_a_picture_in_black_and_white_gives_no_colour_where_another_has_one() -> None:
    grey = picture(1, garment("Dress", 0.6), presence=[[0.5]], bits=[1], monochrome=True)
    coloured = picture(2, garment("Dress", 0.3), presence=[[0.4]], bits=[1])
    row = merged([grey, coloured])
    assert row["garments"][0]["colours"][0]["hex"] == "#000030" and row["monochrome"] is False
    assert merged([grey, grey])["monochrome"] is True


def test_the_kind_is_that_of_the_largest_picture_that_tells_one() -> None:
    """Shoes that lie alone have no kind; on a person they may."""
    boots, heels = {"name": "boots"}, {"name": "heels"}
    alone = picture(1, garment("Footwear", 0.6), presence=[[1.0]], bits=[1], kinds=[None])
    worn = picture(2, garment("Footwear", 0.1), presence=[[0.9]], bits=[1], kinds=[boots])
    far = picture(3, garment("Footwear", 0.02), presence=[[0.8]], bits=[1], kinds=[heels])
    row = merged([alone, far, worn])
    assert row["kinds"] == [boots] and row["garments"][0]["area_share"] == 0.6
    assert merged([alone, alone])["kinds"] == [None]
    without = {"kinds": None}
    assert merged([alone | without, worn | without])["kinds"] is None


def test_one_picture_stays_as_it_is_and_one_without_people_adds_nothing() -> None:
    alone = picture(1, garment("Hat", 0.1, 1), presence=[[0.0], [1.0]], bits=[0, 1])
    empty = picture(2, presence=[], bits=[])
    assert merged([alone]) is alone and merged([alone, empty]) is alone
    assert merged([empty, alone])["photo_id"] == "1"
