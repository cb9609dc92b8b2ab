from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_rows import VERSION, made

from segmodels.archive import duplicates
from segmodels.archive.__main__ import main
from segmodels.archive.duplicates import load_duplicates, near_duplicates
from segmodels.archive.facts import Conditions, Facts, View
from segmodels.archive.rows import as_table, bits
from segmodels.archive.store import Archive, Reader, Version
from segmodels.taxonomy import OUTFIT_15

BASE = 0x0F5A_33CC_9966_E187
RED, DARK_RED, GREY = "#c02030", "#b01c2a", "#616161"  # 5.5 apart in CIELAB; the grey has the red's lightness


def row(name: str, fingerprint: int | None = BASE, colour: str = RED, **changes: Any) -> dict[str, Any]:
    """A photo of 400 x 600 pixels with a coat of one colour; its id is its name."""
    colours = [{"hex": colour, "name": "red", "share": 0.9}] if colour else []
    coat = {"class": "Coat", "person": 0, "area_share": 0.3, "outfit_share": 1.0, "confidence": 0.9}
    garments = [coat | {"box": [0, 0, 10, 10], "colours": colours}] if colour else []
    return {
        "photo_id": name,
        "file_name": f"{name}.jpg",
        "taken_at": None,
        "tags": {},
        "width": 400,
        "height": 600,
        "model": VERSION.model,
        "revision": VERSION.revision,
        "taxonomy": VERSION.taxonomy,
        "analysed_at": datetime(2024, 5, 1),
        "people": [{"box": [0, 0, 40, 60], "confidence": 0.5, "detected": False}],
        "garments": garments,
        "class_map": b"",
        "outfits": bits(garments, 1, OUTFIT_15),
        "monochrome": False,
        "fingerprint": fingerprint,
    } | changes


@contextmanager
def reading(archive: Archive, *rows: dict[str, Any]) -> Iterator[Reader]:
    archive.writer(VERSION).append(as_table(list(rows)))
    with archive.reader() as reader:
        yield reader


def groups(found: pd.DataFrame) -> list[list[str]]:
    """Ids by group, the one that counts first."""
    return [part["photo_id"].tolist() for _, part in found.groupby("group")]


def test_copies_of_a_photo_are_a_group_and_the_largest_counts(archive: Archive) -> None:
    copies = [row("a", BASE ^ 1 << 62), row("b", width=800, height=1200), row("c", BASE ^ 0b101, DARK_RED)]
    with reading(archive, *copies, row("other", ~BASE), row("old", None)) as reader:
        found = near_duplicates(reader)
    assert groups(found) == [["b", "a", "c"]] and found["kept"].tolist() == [True, False, False]
    assert found["file_name"].tolist() == ["b.jpg", "a.jpg", "c.jpg"] and found["width"].tolist() == [800, 400, 400]


def test_of_equal_size_the_first_analysed_counts_then_the_first_id(archive: Archive) -> None:
    with reading(archive, row("b"), row("c", analysed_at=datetime(2024, 4, 30)), row("a")) as reader:
        assert groups(near_duplicates(reader)) == [["c", "a", "b"]]


def test_three_bits_apart_is_another_photo(archive: Archive) -> None:
    with reading(archive, row("a"), row("b", BASE ^ 0b111)) as reader:
        assert near_duplicates(reader).empty


def test_a_chain_of_copies_is_one_group(archive: Archive) -> None:
    with reading(archive, row("a"), row("b", BASE ^ 0b11), row("c", BASE ^ 0b1111)) as reader:
        assert groups(near_duplicates(reader)) == [["a", "b", "c"]]


@pytest.mark.parametrize("first", range(0, 64, 3))
def test_two_wrong_bits_anywhere_are_found(archive: Archive, first: int) -> None:
    with reading(archive, row("a"), row("b", _signed(BASE ^ 1 << first ^ 1 << (first * 7 + 5) % 64))) as reader:
        assert groups(near_duplicates(reader)) == [["a", "b"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "#2030c0"},
        {"colour": ""},
        {"width": 420},
        {"colour": GREY},
    ],
)
def test_another_colour_or_shape_is_another_photo(archive: Archive, changes: dict[str, Any]) -> None:
    with reading(archive, row("a"), row("b", **changes)) as reader:
        assert near_duplicates(reader).empty


def test_of_a_photo_in_colour_and_in_grey_the_one_in_colour_counts(archive: Archive) -> None:
    grey = row("a", colour=GREY, width=800, height=1200, monochrome=True)
    with reading(archive, grey, row("b")) as reader:
        assert groups(near_duplicates(reader)) == [["b", "a"]]


def test_photos_with_nothing_worn_are_compared_by_fingerprint_and_shape(archive: Archive) -> None:
    with reading(archive, row("a", colour=""), row("b", colour=""), row("c", ~BASE, "")) as reader:
        assert groups(near_duplicates(reader)) == [["a", "b"]]


def test_many_white_photos_do_not_hide_copies(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 photos with one fingerprint, each is compared with two; those of one colour still meet."""
    monkeypatch.setattr(duplicates, "_NEXT", 2)
    hues = [f"#{shade:02x}{shade:02x}{shade:02x}" for shade in np.linspace(10, 250, 100).astype(int)]
    white = [row(f"{copy}-{number:03d}", BASE, hue) for number, hue in enumerate(hues) for copy in "abc"]
    with reading(archive, *white) as reader:
        found = near_duplicates(reader).set_index("photo_id")["group"]
    assert len(found) == 300
    assert all(found[f"a-{number:03d}"] == found[f"{copy}-{number:03d}"] for number in range(100) for copy in "bc")


def test_a_million_random_fingerprints_have_no_pairs_and_a_planted_one_is_found() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 1_000_000, np.uint64)
    hashes[7] = hashes[999_999] ^ np.uint64(1 << 40 | 1)
    found = {tuple(sorted(pair)) for pair in duplicates._pairs(hashes).tolist()}
    assert found == {(7, 999_999)}


def test_facts_count_a_group_once_unless_told_otherwise(archive: Archive) -> None:
    copies = [row("a", tags={"market": "North"}), row("b", width=800, height=1200, tags={"market": "South"})]
    with reading(archive, *copies, row("c", ~BASE, tags={"market": "North"})) as reader:
        facts = Facts(reader, OUTFIT_15)
        assert facts.duplicates == 1
        for view, outfits, left_out in (
            (View(), 2, 1),
            (View(duplicates=True), 3, 0),
            (View(tags=(("market", ("North",)),)), 1, 1),
            (View(tags=(("market", ("South",)),)), 1, 0),
            (View(tags=(("market", ("North",)),), duplicates=True), 2, 0),
            (View(min_share=0.5), 2, 1),
        ):
            size = facts.size(view)
            assert (size.photos, size.outfits, facts.near_duplicates(view)) == (outfits, outfits, left_out), view
            assert facts.counts(view).size == facts.count(view) == outfits
        assert set(facts.photos(View())["photo_id"]) == {"b", "c"}
        assert facts.colours(View())["garments"].sum() == 2


def test_without_fingerprints_nothing_is_a_duplicate(archive: Archive) -> None:
    with reading(archive, row("a", None), row("b", None)) as reader:
        assert load_duplicates(reader) is None
        facts = Facts(reader, OUTFIT_15)
        assert facts.duplicates is None and facts.size(View()).photos == 2 and facts.near_duplicates(View()) == 0


def test_photos_without_colours_are_left_out_of_colours_alone(archive: Archive) -> None:
    rows = [row("a"), row("b", ~BASE, GREY, monochrome=True), row("c", 99, monochrome=None)]
    with reading(archive, *rows) as reader:
        facts = Facts(reader, OUTFIT_15)
        assert facts.monochrome(View()) == 1 and facts.monochrome(View(colours=("red",))) == 0
        assert facts.size(View()).outfits == 3 and facts.counts(View()).each.sum() == 3
        assert facts.colours(View())[["colour", "garments"]].values.tolist() == [["red", 2]]
        assert facts.size(View(colours=("red",))).outfits == 2
        assert facts.count(View(), Conditions(coloured=[("Coat", "red")])) == 2


def test_expected_counts_leave_out_the_same(archive: Archive) -> None:
    """Four photos, of which two are one in two files and one is black and white; each shows a coat at times."""
    worn = [garment.name for garment in OUTFIT_15.worn]

    def shown(coat: float) -> list[list[float]]:
        return [[coat if name == "Coat" else 0.0 for name in worn]]

    rows = [
        row("a", width=800, height=1200, presence=shown(0.75)),
        row("b", presence=shown(0.5)),
        row("c", ~BASE, GREY, monochrome=True, presence=shown(0.25)),
        row("d", 99, presence=shown(0.5)),
    ]
    with reading(archive, *rows) as reader:
        facts = Facts(reader, OUTFIT_15)
        assert facts.counting_of(View()) == "expected" and facts.near_duplicates(View()) == 1
        each = dict(zip(facts.counts(View()).names, facts.counts(View()).each, strict=True))
        assert each["Coat"] == 1.5
        assert facts.counts(View(duplicates=True)).each.sum() == 2
        assert facts.size(View(garments=("Coat",))).outfits == 1.5
        assert facts.size(View(garments=("Coat",), colours=("red",))).outfits == 1.25
        assert facts.size(View(colours=("red",), duplicates=True)).outfits == 1.75
        assert facts.colours(View())[["colour", "garments"]].values.tolist() == [["red", 1.25]]
        assert facts.monochrome(View()) == 1
        assert facts.monochrome(View(garments=("Coat",))) == 0, "it shows a coat with a probability of 0.25"


def test_the_command_lists_the_groups(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--archive", archive.place.location]
    assert main(["duplicates", *where]) == 1
    assert "holds no archive yet" in capsys.readouterr().err
    old = Version("OUTFIT_15", "old", "1")
    archive.writer(old).append(made("x", version=old))
    copies = [row("a"), row("b", width=800, height=1200), row("c", ~BASE)]
    archive.writer(VERSION).append(as_table(copies))
    assert main(["duplicates", *where]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "fake (revision abc123, OUTFIT_15): 1 group of near-duplicates among 3 photos.",
        "b.jpg (800 x 1,200 pixels)",
        "  a.jpg (400 x 600 pixels)",
        "old (revision 1, OUTFIT_15): near-duplicates cannot be found, as the photos were added by an earlier "
        "Garmentscope.",
    ]
    assert main(["duplicates", "--csv", *where]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "photo_id,group,kept,file_name,width,height,taxonomy,model,revision",
        "b,1,True,b.jpg,800,1200,OUTFIT_15,fake,abc123",
        "a,1,False,a.jpg,400,600,OUTFIT_15,fake,abc123",
    ]
    assert main(["show", *where]) == 0
    said = capsys.readouterr().out
    assert "3 photos (1 near-duplicate of others), 3 outfits" in said and "1 photo, 1 outfit" in said


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits
