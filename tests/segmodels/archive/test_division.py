"""Kinds in place of classes, against sums over the rows, written out one by one."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from math import prod, sqrt
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from archive_rows import VERSION, made, parts_of

from segmodels.archive.counts import add_up
from segmodels.archive.division import Division, divide, has_kinds, kinds_there
from segmodels.archive.facts import Conditions, Facts, View
from segmodels.archive.outfits import companions, pairs, triples
from segmodels.archive.place import ArchiveError
from segmodels.archive.rows import as_table, bits
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import KINDS, make_archive
from segmodels.taxonomy import CFPD_23, OUTFIT_15

CLASSES = [garment.name for garment in OUTFIT_15.worn]
JEANS, NOT_CERTAIN = "Jeans", "Pants (kind not certain)"
RAW = View(counting="raw")


@dataclass(frozen=True)
class Outfit:
    """A row's person: the probability of each part, and the parts that are certain, with their colours."""

    presence: dict[str, float]
    classes: dict[str, float]
    certain: dict[str, str]


@pytest.fixture(scope="module")
def division() -> Division:
    return divide(OUTFIT_15, KINDS)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("archive"))
    make_archive(archive, 400, seed=5)
    return archive


@pytest.fixture(scope="module")
def facts(archive: Archive) -> Iterator[Facts]:
    with archive.reader() as reader:
        yield Facts(reader, OUTFIT_15, kinds=True)


@pytest.fixture(scope="module")
def outfits(archive: Archive, division: Division) -> list[Outfit]:
    part = {(name, kind): division.parts[name][place] for name, own in KINDS.items() for place, kind in enumerate(own)}
    found = []
    rows = [row for part in parts_of(archive) for row in pq.read_table(part).to_pylist()]
    for row in rows:
        for person, presence in enumerate(row["presence"]):
            classes = dict(zip(CLASSES, map(float, presence), strict=True))
            own = {
                garment["class"]: (kind, garment["colours"][0]["name"])
                for garment, kind in zip(row["garments"], row["kinds"], strict=True)
                if garment["person"] == person
            }
            chances: dict[str, float] = {}
            certain: dict[str, str] = {}
            for name in CLASSES:
                kind, colour = own.get(name, (None, ""))
                rest = division.parts[name][-1]
                if kind is None:
                    chances[rest] = classes[name]
                else:
                    for each, chance in dict(kind["probabilities"]).items():
                        chances[part[name, each]] = classes[name] * float(chance)
                if name in own:
                    named = kind["name"] if kind else None
                    certain[part[name, named] if named else rest] = colour
            found.append(
                Outfit({each.name: chances.get(each.name, 0.0) for each in division.taxonomy.worn}, classes, certain)
            )
    assert len(found) > 420 and any(NOT_CERTAIN in each.certain for each in found)
    return found


def test_kinds_take_the_places_of_their_classes(division: Division) -> None:
    names = division.taxonomy.names
    assert division.parts["Pants"] == ("Trousers", "Jeans", "Leggings", NOT_CERTAIN)
    assert division.parts["Hat"] == ("Hat",) and division.class_of["Skirt"] == "Dress" and "Pants" not in names
    order = division.taxonomy.display_order
    assert order.index("Jeans") == order.index("Trousers") + 1 and order.index("Hat") == 0
    assert NOT_CERTAIN in division.rests and "Hat" not in division.rests
    assert {each.group for each in division.taxonomy.classes if each.name in division.parts["Pants"]} == {"garment"}
    assert len({each.colour for each in division.taxonomy.classes}) == len(division.taxonomy)


def test_parts_of_one_name_are_told_apart() -> None:
    found = divide(
        OUTFIT_15, {"Pants": ["plain", "hat", "short, wide"], "Coat": ["plain", "coat"], "Unknown": ["a", "b"]}
    )
    assert found.parts["Pants"] == ("Plain (Pants)", "Hat (Pants)", "Short; wide", NOT_CERTAIN)
    assert found.parts["Coat"] == ("Plain (Coat)", "Coat", "Coat (kind not certain)")
    assert found.parts["Hat"] == ("Hat",) and "Unknown" not in found.parts


def test_too_many_kinds_are_a_sentence() -> None:
    kinds = {name: [f"{name} {number}" for number in range(4)] for name in CFPD_23.names[1:16]}
    with pytest.raises(ArchiveError, match="63 can be counted. Count by class"):
        divide(CFPD_23, kinds)


def test_an_archive_knows_its_kinds(archive: Archive, tmp_path: Path) -> None:
    with archive.reader() as reader:
        assert has_kinds(reader) and kinds_there(reader) == {name: tuple(own) for name, own in KINDS.items()}
    plain = Archive(tmp_path)
    plain.writer(VERSION).append(made("a" * 64))
    with plain.reader() as reader:
        assert not has_kinds(reader) and kinds_there(reader) == {}
        facts = Facts(reader, OUTFIT_15, kinds=True)
        assert set(facts.taxonomy.names) == set(OUTFIT_15.names) and facts.counts(View()).size == 1


def test_expected_counts_are_presence_times_the_probability_of_the_kind(facts: Facts, outfits: list[Outfit]) -> None:
    found = facts.counts(View(), triples=True)
    assert found.three is not None and found.size == len(outfits)
    class_of = facts.class_of
    for one, other, third in itertools.combinations(range(len(found.names)), 3):
        names = [found.names[place] for place in (one, other, third)]
        assert found.each[one] == pytest.approx(sum(each.presence[names[0]] for each in outfits), abs=1e-4)
        if class_of(names[0]) == class_of(names[1]):
            assert found.together[one, other] == 0
        else:
            both = sum(each.presence[names[0]] * each.presence[names[1]] for each in outfits)
            assert found.together[one, other] == found.together[other, one] == pytest.approx(both, rel=1e-4, abs=1e-3)
        if len({class_of(name) for name in names}) < 3:
            assert found.three[one, other, third] == 0
        else:
            all_of = sum(prod(each.presence[name] for name in names) for each in outfits)
            assert found.three[third, one, other] == pytest.approx(all_of, rel=1e-3, abs=1e-3)


def test_raw_counts_are_of_kinds_that_are_named_and_of_the_rest(facts: Facts, outfits: list[Outfit]) -> None:
    found = facts.counts(RAW, triples=True)
    assert found.each.tolist() == [sum(name in each.certain for each in outfits) for name in found.names]
    assert found.each.dtype == np.int64 and found.three is not None and found.three.dtype == np.int64
    jeans, shirt, bag = (found.names.index(name) for name in (JEANS, "T-shirt/top", "Bag"))
    both = sum({JEANS, "T-shirt/top"} <= set(each.certain) for each in outfits)
    assert found.together[jeans, shirt] == both > 0
    assert found.three[bag, jeans, shirt] == sum({JEANS, "T-shirt/top", "Bag"} <= set(each.certain) for each in outfits)
    colours = facts.colours(RAW, fine=True)
    jeans_colours = colours[colours["class"] == facts.taxonomy[JEANS].id].set_index("colour")["garments"].to_dict()
    assert jeans_colours == Counter(each.certain[JEANS] for each in outfits if JEANS in each.certain)


def test_wears_jeans_is_a_filter(facts: Facts, outfits: list[Outfit]) -> None:
    view = View(garments=(JEANS,))
    weights = [each.presence[JEANS] for each in outfits]
    found = facts.counts(view)
    assert found.size == pytest.approx(sum(weights))
    for place, name in enumerate(found.names):
        same = facts.class_of(name) == "Pants"
        chances = [float(name == JEANS) if same else each.presence[name] for each in outfits]
        assert found.each[place] == pytest.approx(sum(w * p for w, p in zip(weights, chances, strict=True)), abs=1e-3)
    assert facts.size(replace(view, counting="raw")).outfits == sum(JEANS in each.certain for each in outfits)
    likely = Conditions(worn=(JEANS,))
    assert facts.count(View(), likely) == sum(each.presence[JEANS] >= 0.5 for each in outfits)
    assert facts.expected(View(), Conditions(worn=(JEANS, "Trousers"))) == 0


def test_a_filter_on_colours_knows_that_kinds_exclude_each_other(archive: Archive, facts: Facts) -> None:
    """As many outfits have a blue garment whether garments are named by class or by kind."""
    with archive.reader() as reader:
        classes = Facts(reader, OUTFIT_15)
        view = View(colours=("blue",))
        assert facts.size(view).outfits == pytest.approx(classes.size(view).outfits, rel=1e-5)
        one, other = facts.colours(View()), classes.colours(View())
        assert one["garments"].sum() == pytest.approx(other["garments"].sum(), rel=1e-5)


def test_photos_behind_a_kind(facts: Facts, outfits: list[Outfit]) -> None:
    shown = facts.photos(View(), Conditions(worn=(JEANS,)), limit=1000)
    assert len(shown) == sum(each.presence[JEANS] >= 0.5 for each in outfits)


def test_kinds_occur_together_as_their_classes_do(archive: Archive) -> None:
    """With correlated errors, the outfits with a coat and pants of any kinds are those with both classes."""
    correlations = np.zeros((len(CLASSES), len(CLASSES)))
    coat, pants = CLASSES.index("Coat"), CLASSES.index("Pants")
    correlations[coat, pants] = correlations[pants, coat] = -0.6
    with archive.reader() as reader, archive.reader() as second:
        classes = Facts(reader, OUTFIT_15, correlations=correlations.tolist())
        facts = Facts(second, OUTFIT_15, correlations=correlations.tolist(), kinds=True)
        assert facts.division
        found, whole = facts.counts(View()), classes.counts(View())
        places = [[found.names.index(part) for part in facts.division.parts[name]] for name in ("Coat", "Pants")]
        assert found.together[np.ix_(*places)].sum() == pytest.approx(whole.together[coat, pants], rel=1e-4)
        years = facts.pair_by_period(View(), JEANS, "Jacket/cardigan", "year")
        one, other = found.names.index(JEANS), found.names.index("Jacket/cardigan")
        assert years["outfits"].sum() == pytest.approx(found.together[one, other], rel=1e-4)
        with_coats = View(garments=("Jacket/cardigan",))
        assert facts.counts(with_coats).each[one] == pytest.approx(found.together[one, other], rel=1e-3)


def test_sums_of_kinds_by_hand() -> None:
    """A coat with p 0.8 and jeans or trousers with 0.3 and 0.2, whose class has the correlation 0.5 with the coat."""
    presence = np.array([[0.8], [0.3], [0.2]], np.float32)
    correlations = np.array([[0, 0.5, 0.5], [0.5, 0, 0], [0.5, 0, 0]])
    found = add_up(
        ("Coat", "Jeans", "Trousers"),
        [(np.ones(1, np.float32), presence)],
        correlations=correlations,
        classes=("Coat", "Pants", "Pants"),
        triples=True,
    )
    both = 0.8 * 0.5 + 0.5 * sqrt(0.8 * 0.2 * 0.5 * 0.5)
    assert found.together == pytest.approx(
        np.array([[0.8, 0.6 * both, 0.4 * both], [0.6 * both, 0.3, 0], [0.4 * both, 0, 0.2]])
    )
    assert found.three is not None and found.three[0, 1, 2] == 0


def test_a_skirt_with_a_top_and_a_dress_are_different_outfits(tmp_path: Path) -> None:
    """In each of four years 40 outfits, of which 10, 15, 20 and 25 are a skirt with a top, and the others a dress."""
    with_top = {2020: 10, 2021: 15, 2022: 20, 2023: 25}

    def row(year: int, number: int) -> dict[str, object]:
        worn = [("Dress", "skirt"), ("Shirt", "t-shirt/top")] if number < with_top[year] else [("Dress", "dress")]
        plain = made(f"{year}-{number}", taken=datetime(year, 6, 1)).to_pylist()[0]
        garments = [
            {"class": name, "person": 0, "area_share": 0.2, "outfit_share": 0.5, "confidence": 0.9}
            | {"box": [0, 0, 9, 9], "colours": []}
            for name, _ in worn
        ]
        kinds = [
            {"name": kind, "probabilities": [(each, float(each == kind)) for each in KINDS[name]]}
            for name, kind in worn
        ]
        return {**plain, "garments": garments, "kinds": kinds, "outfits": bits(garments, 1, OUTFIT_15)}

    archive = Archive(tmp_path)
    archive.writer(VERSION).append(as_table([row(year, number) for year in with_top for number in range(40)]))
    with archive.reader() as reader, archive.reader() as second:
        classes, facts = Facts(reader, OUTFIT_15), Facts(second, OUTFIT_15, kinds=True)
        found = pairs(facts.counts(RAW)).query("outfits > 0").set_index(["first", "second"])
        years = facts.pair_by_period(RAW, "Skirt", "T-shirt/top", "year").set_index("start")["outfits"]
        whole = pairs(classes.counts(RAW)).query("outfits > 0").set_index(["first", "second"])
    assert {frozenset(key): outfits for key, outfits in found["outfits"].items()} == {
        frozenset(("Skirt", "T-shirt/top")): 70
    }
    assert found["lift"].tolist() == [pytest.approx(160 / 70)]  # always together
    assert whole["outfits"].tolist() == [70] and whole["lift"].tolist() == [pytest.approx(1)]
    assert {start.year: outfits for start, outfits in years.items()} == with_top


def test_kinds_of_one_class_are_no_pair(facts: Facts) -> None:
    counts = facts.counts(View(), triples=True)
    for table in (pairs(counts), triples(counts)):
        names = table[[name for name in ("first", "second", "then") if name in table]]
        classes = [{facts.class_of(name) for name in row} for row in names.to_numpy()]
        assert classes and all(len(each) == names.shape[1] for each in classes)
    assert not {"Trousers", "Leggings", JEANS} & set(companions(counts, JEANS)["garment"])
