"""Expected counts against sums over the rows, written out one by one."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from math import prod
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_rows import parts_of, rows_of

from segmodels.archive.facts import Conditions, Facts, View
from segmodels.archive.rows import SCHEMA
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.colour import FINE_COLOURS
from segmodels.taxonomy import OUTFIT_15

WORN = [garment.name for garment in OUTFIT_15.worn]
BASIC = {fine: basic for basic, names in FINE_COLOURS.items() for fine in names}


@dataclass(frozen=True)
class Outfit:
    """A row's person: presence by class, basic colour and share by class found, photo, day and market."""

    presence: dict[str, float]
    colours: dict[str, str]
    shares: dict[str, float]
    photo: str
    day: date
    market: str


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("archive"))
    make_archive(archive, 400, seed=5)
    return archive


@pytest.fixture(scope="module")
def facts(archive: Archive) -> Iterator[Facts]:
    with archive.reader() as reader:
        yield Facts(reader, OUTFIT_15)


@pytest.fixture(scope="module")
def outfits(archive: Archive) -> list[Outfit]:
    found = []
    for row in rows_of(archive).to_dict("records"):
        for person, presence in enumerate(row["presence"]):
            own = [garment for garment in row["garments"] if garment["person"] == person]
            found.append(
                Outfit(
                    dict(zip(WORN, map(float, presence), strict=True)),
                    {garment["class"]: BASIC[garment["colours"][0]["name"]] for garment in own},
                    {garment["class"]: garment["outfit_share"] for garment in own},
                    row["photo_id"],
                    row["taken_at"].date(),
                    dict(row["tags"])["market"],
                )
            )
    assert len(found) > 420
    return found


def test_expected_counts_are_sums_of_probabilities(facts: Facts, outfits: list[Outfit]) -> None:
    assert facts.has_presence and facts.countings == ("expected", "raw") and facts.counting_of(View()) == "expected"
    found = facts.counts(View(), triples=True)
    assert found.size == len(outfits) == facts.size(View()).outfits and found.three is not None
    for one, other, third in itertools.combinations(range(len(WORN)), 3):
        names = [WORN[place] for place in (one, other, third)]
        assert found.each[one] == pytest.approx(sum(each.presence[names[0]] for each in outfits))
        both = sum(each.presence[names[0]] * each.presence[names[1]] for each in outfits)
        assert found.together[one, other] == found.together[other, one] == pytest.approx(both)
        all_of = sum(prod(each.presence[name] for name in names) for each in outfits)
        for order in itertools.permutations((one, other, third)):
            assert found.three[order] == pytest.approx(all_of)


def test_raw_counts_are_of_what_was_found(facts: Facts, outfits: list[Outfit]) -> None:
    found = facts.counts(View(counting="raw"))
    assert found.each.tolist() == [sum(name in each.colours for each in outfits) for name in WORN]
    assert found.each.dtype == np.int64 and isinstance(found.size, int)


def test_an_outfit_counts_with_the_probability_that_it_meets_a_filter_on_garments(
    facts: Facts, outfits: list[Outfit]
) -> None:
    view = View(first=date(2022, 3, 1), tags=(("market", ("North",)),), garments=("Coat", "Hat"), colours=("blue",))
    weights = [
        each.presence["Coat"] * each.presence["Hat"]
        if each.day >= date(2022, 3, 1) and each.market == "North" and "blue" in map(each.colours.get, ("Coat", "Hat"))
        else 0.0
        for each in outfits
    ]
    found = facts.counts(view)
    assert found.size == pytest.approx(sum(weights)) and found.size > 0
    for place, name in enumerate(WORN):
        chances = [1.0 if name in ("Coat", "Hat") else each.presence[name] for each in outfits]
        assert found.each[place] == pytest.approx(sum(w * p for w, p in zip(weights, chances, strict=True)))
    missing: dict[str, float] = {}
    for each, weight in zip(outfits, weights, strict=True):
        missing[each.photo] = missing.get(each.photo, 1.0) * (1 - weight)
    size = facts.size(view)
    assert size.photos == pytest.approx(sum(1 - chance for chance in missing.values()), rel=1e-5)
    assert size.outfits == size.dated == pytest.approx(sum(weights))


def test_a_filter_on_colours_alone_takes_any_garment_found_in_them(facts: Facts, outfits: list[Outfit]) -> None:
    fitting = [{name for name, colour in each.colours.items() if colour in ("blue", "gray")} for each in outfits]
    weights = [
        1 - prod(1 - each.presence[name] for name in names) for each, names in zip(outfits, fitting, strict=True)
    ]
    found = facts.counts(View(colours=("blue", "gray")))
    assert found.size == pytest.approx(sum(weights))
    for place, name in enumerate(WORN):
        both = sum(
            each.presence[name] * (1.0 if name in names else weight)
            for each, names, weight in zip(outfits, fitting, weights, strict=True)
        )
        assert found.each[place] == pytest.approx(both), "worn, and a garment in one of the colours is worn"


@pytest.mark.parametrize("view", [View(), View(garments=("Coat",)), View(colours=("blue",))])
def test_colours_and_areas_count_each_garment_with_its_presence(
    facts: Facts, outfits: list[Outfit], view: View
) -> None:
    def weight(each: Outfit, name: str) -> float:
        """Probability that the garment is worn and the outfit meets the filter."""
        if view.garments:
            return each.presence["Coat"] * (1.0 if name == "Coat" else each.presence[name])
        blue = [other for other, colour in each.colours.items() if colour == "blue"]
        met = 1.0 if not view.colours or name in blue else 1 - prod(1 - each.presence[other] for other in blue)
        return each.presence[name] * met

    expected: dict[tuple[str, str], float] = {}
    for each in outfits:
        for name, colour in each.colours.items():
            expected[name, colour] = expected.get((name, colour), 0.0) + weight(each, name)
    for row in facts.colours(view).itertuples():
        name = OUTFIT_15.names[int(row[1])]
        assert row.garments == pytest.approx(expected.pop((name, row.colour)), rel=1e-5)
    assert sum(expected.values()) == 0
    areas = facts.areas(view).set_index("class")
    weights = np.array([weight(each, "Coat") for each in outfits if "Coat" in each.colours])
    shares = np.array([each.shares["Coat"] for each in outfits if "Coat" in each.colours])
    found = areas.loc[OUTFIT_15["Coat"].id]
    assert found["share"] == pytest.approx(np.average(shares, weights=weights))
    size = weights.sum() ** 2 / (weights**2).sum()
    variance = np.average((shares - found["share"]) ** 2, weights=weights) * size / (size - 1)
    assert (found["garments"], found["size"]) == pytest.approx((weights.sum(), size))
    assert found["deviation"] == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_colours_of_two_garments_count_with_both_presences(facts: Facts, outfits: list[Outfit]) -> None:
    found = facts.colour_pairs(View(), "Coat", "Footwear")
    assert len(found) > 10
    for row in found.itertuples():
        expected = sum(
            each.presence["Coat"] * each.presence["Footwear"]
            for each in outfits
            if (each.colours.get("Coat"), each.colours.get("Footwear")) == (row.first, row.second)
        )
        assert row.outfits == pytest.approx(expected)


def test_time_divides_the_counts(facts: Facts, outfits: list[Outfit]) -> None:
    view = View(garments=("Footwear",))
    found = facts.counts_by_period(view, "year").set_index(["start", "garment"])
    pair = facts.pair_by_period(view, "Coat", "Bag", "year")
    assert len(found) == 3 * len(WORN)
    for number, year in enumerate((2022, 2023, 2024)):
        own = [each.presence for each in outfits if each.day.year == year]
        coats = found.loc[(f"{year}-01-01", "Coat")]
        assert coats["of"] == pair["of"][number] == pytest.approx(sum(each["Footwear"] for each in own))
        assert coats["outfits"] == pytest.approx(sum(each["Footwear"] * each["Coat"] for each in own))
        both = sum(each["Footwear"] * each["Coat"] * each["Bag"] for each in own)
        assert pair["outfits"][number] == pytest.approx(both)
    assert facts.periods(view, "year") == [date(year, 1, 1) for year in (2022, 2023, 2024)]


def test_photos_are_those_that_probably_fit(facts: Facts, outfits: list[Outfit]) -> None:
    view = View(garments=("Footwear",))
    chances = [
        each.presence["Footwear"] * each.presence["Coat"] * (1 - each.presence["Bag"])
        for each in outfits
        if each.colours.get("Coat") == "blue"
    ]
    asked = Conditions(worn=("Coat",), not_worn=("Bag",), coloured=(("Coat", "blue"),))
    assert facts.expected(view, asked) == pytest.approx(sum(chances))
    likely = sum(chance >= 0.5 for chance in chances)
    assert facts.count(view, asked) == likely > 0
    found = facts.photos(view, asked)
    assert len(found) == likely and found["day"].is_monotonic_decreasing


def test_the_likeliest_photos_come_first_where_none_is_likely(facts: Facts, outfits: list[Outfit]) -> None:
    chance = {each.photo: 0.0 for each in outfits}
    for each in outfits:
        chance[each.photo] = max(chance[each.photo], each.presence["Hat"] * each.presence["Scarf/Tie"])
    found = facts.photos(View(), Conditions(worn=("Hat", "Scarf/Tie")), likely=False, limit=5)
    shown = [chance[photo] for photo in found["photo_id"]]
    assert shown[0] == pytest.approx(max(chance.values())) and shown == sorted(shown, reverse=True)


def test_least_shares_and_confidences_are_for_raw_counts(facts: Facts) -> None:
    least = View(min_share=0.3, min_confidence=0.9)
    assert facts.counts(least).each.tolist() == facts.counts(View()).each.tolist()
    raw = facts.counts(View(min_share=0.3, min_confidence=0.9, counting="raw"))
    assert raw.each.sum() < facts.counts(View(counting="raw")).each.sum()


def test_outfits_without_presence_count_as_what_was_found(archive: Archive, tmp_path) -> None:  # type: ignore[no-untyped-def]
    part = Archive(tmp_path / "part")
    version, rows = archive.versions()[0], pq.read_table(parts_of(archive)[0])
    place = SCHEMA.get_field_index("presence")
    kept = pa.array([None if n % 4 == 0 else value for n, value in enumerate(rows["presence"].to_pylist())])
    part.writer(version).append(rows.set_column(place, SCHEMA.field(place), kept.cast(SCHEMA.field(place).type)))
    none = Archive(tmp_path / "none")
    nothing = pa.nulls(rows.num_rows, SCHEMA.field(place).type)
    none.writer(version).append(rows.set_column(place, SCHEMA.field(place), nothing))
    with part.reader() as reader, none.reader() as other:
        some, without = Facts(reader, OUTFIT_15), Facts(other, OUTFIT_15)
        people = [len(each) for each in rows["people"].to_pylist()]
        assert some.has_presence and some.lacking == sum(people[::4])
        assert some.countings == ("raw", "expected") and some.counting_of(View()) == "raw"
        assert without.countings == ("raw",) and without.counting_of(View(counting="expected")) == "raw"
        found = some.counts(View(counting="expected"))
        names = [OUTFIT_15[name].id for name in WORN]
        expected = np.zeros(len(WORN))
        for masks, presence in zip(rows["outfits"].to_pylist(), kept.to_pylist(), strict=True):
            bits = [[mask >> number & 1 for number in names] for mask in masks]
            expected += np.sum(bits if presence is None else presence, axis=0)
        assert found.each == pytest.approx(expected)
        assert some.counts(View()).each.tolist() == without.counts(View(counting="expected")).each.tolist()


def test_the_oldest_views_make_room(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.reader() as reader:
        facts = Facts(reader, OUTFIT_15)

        def kept() -> int:
            tables = "SELECT count(*) AS n FROM duckdb_tables() WHERE starts_with(table_name, 'view_')"
            return int(reader.query(tables)["n"].iloc[0])

        views = [View(garments=(name,), colours=("blue",)) for name in WORN]
        sizes = [facts.size(view).outfits for view in views]
        assert kept() == 12
        facts.size(replace(views[-1], first=date(2023, 1, 1)))
        assert facts.size(View(garments=("Coat",), first=date(2023, 1, 1))).outfits and kept() == 12, (
            "nothing is copied"
        )
        facts.size(View(colours=("blue",)))
        assert kept() == 12, "the oldest is gone"
        monkeypatch.setattr("segmodels.archive.view_queries._MOST_KEPT_ROWS", 0)
        assert [facts.size(view).outfits for view in views] == pytest.approx(sizes)
        assert kept() == 1


def joint(p: float, q: float, r: float) -> float:
    """Probability of two events of which the errors have the correlation r."""
    return max(0.0, p + q - 1, min(p, q, p * q + r * (p * (1 - p) * q * (1 - q)) ** 0.5))


def test_errors_that_exclude_each_other_lower_the_joint_counts(archive: Archive, outfits: list[Outfit]) -> None:
    """Coat and Bag are seldom both worn where the network hesitates; Hat and Glasses are, more often than by chance."""
    correlations = np.zeros((len(WORN),) * 2)
    for first, second, r in (("Coat", "Bag", -0.8), ("Hat", "Glasses", 0.4)):
        one, other = WORN.index(first), WORN.index(second)
        correlations[one, other] = correlations[other, one] = r
    with archive.reader() as reader:
        facts = Facts(reader, OUTFIT_15, correlations=correlations.tolist())
        found = facts.counts(View(), triples=True)
        coat, bag, hat, glasses = (WORN.index(name) for name in ("Coat", "Bag", "Hat", "Glasses"))
        expected = {
            (one, other): sum(joint(each.presence[WORN[one]], each.presence[WORN[other]], r) for each in outfits)
            for one, other, r in ((coat, bag, -0.8), (hat, glasses, 0.4), (coat, hat, 0.0))
        }
        for (one, other), value in expected.items():
            assert found.together[one, other] == found.together[other, one] == pytest.approx(value)
        assert found.each == pytest.approx([sum(each.presence[name] for each in outfits) for name in WORN])
        # Of a triple, the pair's ratio to independence; of a filter, the share given that the garment is worn.
        alone = sum(each.presence["Coat"] * each.presence["Bag"] for each in outfits)
        triple = sum(prod(each.presence[name] for name in ("Coat", "Bag", "Shirt")) for each in outfits)
        ratio = expected[coat, bag] / alone
        assert found.three is not None
        assert found.three[bag, WORN.index("Shirt"), coat] == pytest.approx(triple * ratio)
        filtered = facts.counts(View(garments=("Bag",)))
        assert filtered.each[coat] == pytest.approx(expected[coat, bag], rel=1e-5)
        assert filtered.size == pytest.approx(found.each[bag], rel=1e-5)
        by_month = facts.pair_by_period(View(), "Coat", "Bag", "month")
        assert by_month["outfits"].sum() == pytest.approx(expected[coat, bag])
        assert facts.expected(View(), Conditions(worn=["Coat", "Bag"])) == pytest.approx(expected[coat, bag])
        left = facts.expected(View(), Conditions(worn=["Bag"], not_worn=["Coat"]))
        assert left == pytest.approx(found.each[bag] - expected[coat, bag])
        raw = facts.counts(View(counting="raw"))
        both = sum({"Coat", "Bag"} <= set(each.colours) for each in outfits)
        assert raw.together[coat, bag] == both


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -5.0, 1e30, None])
def test_a_presence_that_is_no_probability_counts_as_what_was_found(
    value: float | None, archive: Archive, tmp_path: Path
) -> None:
    rows = pq.read_table(parts_of(archive)[0])
    place = SCHEMA.get_field_index("presence")
    odd = [
        [[value, *person[1:]] for person in photo] if number % 4 == 0 else photo
        for number, photo in enumerate(rows["presence"].to_pylist())
    ]
    spoilt = Archive(tmp_path)
    spoilt.writer(archive.versions()[0]).append(
        rows.set_column(place, SCHEMA.field(place), pa.array(odd, SCHEMA.field(place).type))
    )
    first = OUTFIT_15[WORN[0]].id
    expected = np.zeros(len(WORN))
    for masks, presence in zip(rows["outfits"].to_pylist(), odd, strict=True):
        for mask, person in zip(masks, presence, strict=True):
            expected += [mask >> first & 1 if person[0] is value else person[0], *person[1:]]
    with spoilt.reader() as reader:
        facts = Facts(reader, OUTFIT_15)
        assert facts.counts(View(counting="expected")).each == pytest.approx(expected)
