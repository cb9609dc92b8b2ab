"""Outfits like another one, on archives whose outfits are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from archive_rows import VERSION, made

from segmodels.archive.__main__ import main
from segmodels.archive.care import delete_photos, undo
from segmodels.archive.place import ArchiveError
from segmodels.archive.rows import as_table, bits
from segmodels.archive.selection import Selection
from segmodels.archive.similar import COLOURS, FEATURES, GARMENTS, KINDS, Looks, read_looks
from segmodels.archive.store import Archive
from segmodels.taxonomy import OUTFIT_15

Worn = dict[str, tuple[str, dict[str, float]]]
WORN = [garment.name for garment in OUTFIT_15.worn]
GOWN, SHIRT_DRESS = {"gown": 0.9, "shirt dress": 0.1}, {"gown": 0.2, "shirt dress": 0.8}


def row(name: str, *people: Worn, presence: float = 1.0, **more: Any) -> dict[str, Any]:
    """A photo of people, each with colour and kinds of each garment."""
    garments: list[dict[str, Any]] = []
    kinds: list[dict[str, Any] | None] = []
    for person, worn in enumerate(people):
        for garment, (colour, own) in worn.items():
            colours = [{"hex": colour, "name": "red", "share": 1.0}] if colour else []
            garments.append({"class": garment, "person": person, "area_share": 0.1, "colours": colours})
            kinds.append({"name": None, "probabilities": list(own.items())} if own else None)
    plain: dict[str, Any] = made(name).to_pylist()[0]
    return plain | {
        "people": plain["people"] * len(people),
        "garments": garments,
        "kinds": kinds,
        "outfits": bits(garments, len(people), OUTFIT_15),
        "presence": [[presence if name in worn else 0.0 for name in WORN] for worn in people],
        "tags": {},
        **more,
    }


@pytest.fixture
def looks(archive: Archive) -> Looks:
    red, blue = "#c00000", "#0000c0"
    archive.writer(VERSION).append(
        as_table(
            [
                row("asked", {"Dress": (red, GOWN), "Footwear": (red, {})}),
                row("same", {"Dress": (red, GOWN), "Footwear": (red, {})}),
                row("other-kind", {"Dress": (red, SHIRT_DRESS), "Footwear": (red, {})}),
                row("other-colour", {"Dress": (blue, GOWN), "Footwear": (blue, {})}),
                row("more", {"Dress": (red, GOWN), "Footwear": (red, {}), "Hat": (blue, {})}),
                row("nothing", {"Pants": (red, {})}),
                row("grey", {"Dress": (red, GOWN), "Footwear": (red, {})}, monochrome=True),
                row("two", {"Pants": (blue, {})}, {"Dress": (red, GOWN), "Footwear": (red, {})}),
                row("unknown", {"Dress": (red, GOWN), "Footwear": (red, {})}, presence=0.5),
            ]
        )
    )
    return read_looks(archive, VERSION)


def test_distances_are_those_of_the_definition(looks: Looks) -> None:
    names = looks.outfits["file_name"].str.removesuffix(".jpg") + looks.outfits["person"].astype(str)
    found = dict(zip(names, looks.distances(looks.find("asked.jpg")), strict=True))
    expected = {
        "asked0": 0.0,
        "same0": 0.0,
        "other-kind0": KINDS * 0.7,
        "other-colour0": COLOURS,
        "more0": GARMENTS / 3,
        "nothing0": 1.0,
        "grey0": 0.0,
        "two0": 1.0,
        "two1": 0.0,
        "unknown0": GARMENTS / 2,
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_nearest_come_first_and_the_photo_itself_does_not(looks: Looks) -> None:
    nearest = looks.nearest(looks.find("asked"), 4)
    assert "asked" not in set(nearest["photo_id"]) and len(nearest) == 4
    assert list(nearest["distance"]) == sorted(nearest["distance"])
    assert set(nearest["photo_id"][:3]) == {"same", "grey", "two"}
    assert len(looks.nearest(0, 1000)) == len(looks.outfits) - 1
    two = looks.find("two.jpg", person=1)
    assert set(looks.nearest(two, 2)["photo_id"]) <= {"asked", "same", "grey"}
    hidden = replace(looks, outfits=looks.outfits.assign(hidden=True))
    assert hidden.nearest(0).empty


@pytest.mark.parametrize(
    ("photo", "person", "sentence"),
    [
        ("gone.jpg", 0, "The archive has no photo gone.jpg with an outfit."),
        ("two.jpg", 2, "two.jpg has 2 outfits, and none of person 3."),
        ("asked", 1, "asked has 1 outfit, and none of person 2."),
    ],
)
def test_what_is_not_there_is_a_sentence(looks: Looks, photo: str, person: int, sentence: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        looks.find(photo, person)
    assert str(caught.value).startswith(sentence)


def with_embeddings(*vectors: tuple[int, int], revision: str = "e1") -> dict[str, Any]:
    return {"embeddings": [np.array(each, np.int8).tobytes() for each in vectors], "embedding_revision": revision}


def mixed(*names: str) -> list[dict[str, Any]]:
    """Dresses and shoes: some with features, some of another fit, and some of before there were any."""
    worn: Worn = {"Dress": ("#c00000", GOWN), "Footwear": ("#c00000", {})}
    more = {
        "asked": with_embeddings((127, 0), (127, 0)),
        "near": with_embeddings((90, 90), (127, 0)),
        "far": with_embeddings((-127, 0), (127, 0)),
        "other-fit": with_embeddings((127, 0), (127, 0), revision="e2"),
        "old": {},
    }
    return [row(name, worn, **more[name]) for name in names]


def by_name(looks: Looks, name: str) -> dict[str, float]:
    found = dict(zip(looks.outfits["file_name"], looks.distances(looks.find(name)), strict=True))
    return {key.removesuffix(".jpg"): value for key, value in found.items()}


def test_features_count_among_outfits_of_one_fit(archive: Archive) -> None:
    archive.writer(VERSION).append(as_table(mixed("asked", "near", "far")))
    looks = read_looks(archive, VERSION)
    near = (1 - np.sqrt(0.5)) / 2 / 2  # of two garments one is alike
    assert by_name(looks, "asked") == pytest.approx(
        {"asked": 0, "near": FEATURES * near, "far": FEATURES / 2}, abs=1e-3
    )
    assert looks.likeness(0).endswith("and features of the network") and looks.caution(0) == ""


def test_a_garment_that_is_lacking_is_neither_alike_nor_unlike(archive: Archive) -> None:
    shoes = row("shoes", {"Footwear": ("#c00000", {})}) | with_embeddings((127, 0))
    archive.writer(VERSION).append(as_table([*mixed("asked", "near"), shoes]))
    found = by_name(read_looks(archive, VERSION), "asked")
    assert found["shoes"] == pytest.approx(
        (1 - FEATURES) * GARMENTS / (GARMENTS + COLOURS) / 2 + FEATURES / 4, abs=1e-3
    )
    assert found["near"] < found["shoes"], "whose features are those of the shoes asked for"
    assert by_name(read_looks(archive, VERSION), "shoes")["asked"] < found["shoes"], "which has all that is asked for"


def test_features_of_two_fits_are_never_compared_and_rows_without_any_do_not_come_first(archive: Archive) -> None:
    writer = archive.writer(VERSION)
    writer.append(as_table(mixed("asked", "near", "far", "other-fit")))
    old = as_table(mixed("old"))
    with archive.place.writing(f"{VERSION.folder}/old.parquet") as stream:
        pq.write_table(old.drop_columns(["embeddings", "embedding_revision"]), stream)
    other = replace(VERSION, revision="def456")
    archive.writer(other).append(as_table([each | {"revision": "def456"} for each in mixed("near")]))
    looks = read_looks(archive, VERSION)
    found = by_name(looks, "asked")
    assert len(found) == 5, "none of other weights"
    assert found["other-fit"] == found["old"] == pytest.approx(FEATURES * np.mean([0, 0.0732, 0.5]), abs=1e-3)
    assert found["near"] < found["old"] < found["far"]
    assert looks.caution(looks.find("asked")).startswith("Features of 2 outfits are estimated")
    assert set(by_name(looks, "old").values()) == {0.0}, "as before there were features"
    assert looks.likeness(looks.find("old")) == "garments, kinds and colours"
    assert "re-analyse" in looks.caution(looks.find("old"))
    assert writer.compact(2) == 1
    assert by_name(read_looks(archive, VERSION), "asked") == found


def test_nothing_of_an_embedding_stays_when_its_photo_is_deleted(archive: Archive) -> None:
    vectors = {
        name: np.random.default_rng(at).integers(-127, 127, (2, 32)) for at, name in enumerate(("asked", "near"))
    }
    rows = [each | with_embeddings(*map(tuple, vectors[each["photo_id"]])) for each in mixed("asked", "near")]
    archive.writer(VERSION).append(as_table(rows))
    secret = rows[0]["embeddings"][0]

    def kept() -> bool:
        files = Path(archive.place.location).rglob("*.*")
        return any(
            secret in pq.read_table(file)["embeddings"].to_pylist()[0] for file in files if "parquet" in file.name
        )

    assert kept()
    delete_photos(archive, Selection(ids=["asked"]))
    assert kept(), "in the copy for undo"
    undo(archive)
    assert by_name(read_looks(archive, VERSION), "asked")["near"] > 0
    delete_photos(archive, Selection(ids=["asked"]), for_good=True)
    assert not kept() and read_looks(archive, VERSION).embeddings.any()


def test_an_archive_without_presence_and_kinds(archive: Archive) -> None:
    without = {"presence": None, "kinds": None}
    rows = [row(name, {garment: ("", {})}) | without for name, garment in (("a", "Hat"), ("b", "Hat"), ("c", "Bag"))]
    archive.writer(VERSION).append(as_table(rows))
    looks = read_looks(archive, VERSION)
    assert looks.kinds.shape == (3, 0) and np.isnan(looks.lab).all()
    assert looks.distances(looks.find("a")).tolist() == [0.0, 0.0, 1.0]


def test_the_command(looks: Looks, archive: Archive, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["similar", archive.place.location, "two.jpg", "--person", "2", "--number", "9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8 and lines[0].startswith("0.000  ") and lines[-1] == "1.000  nothing.jpg"
    assert main(["similar", archive.place.location, "asked", "--csv", "--number", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "photo_id,file_name,day,person,distance"
    (tmp_path / "other.jpg").write_bytes(b"not in the archive")
    assert main(["similar", archive.place.location, str(tmp_path / "other.jpg")]) == 1
    assert f"The archive has no photo {tmp_path / 'other.jpg'} with an outfit" in capsys.readouterr().err
