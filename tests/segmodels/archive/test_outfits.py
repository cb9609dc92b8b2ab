import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from mlxtend.frequent_patterns import apriori, association_rules

from segmodels.archive.counts import Counts
from segmodels.archive.facts import Conditions, Facts, View
from segmodels.archive.movements import forecast, movements
from segmodels.archive.outfits import (
    NotEnoughError,
    by_period,
    colour_pairs,
    colour_shares,
    colours_by_period,
    companions,
    pair_lift_by_period,
    pairs,
    rules,
    triples,
    worn,
)
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.taxonomy import OUTFIT_15

WORN = [garment.name for garment in OUTFIT_15.worn]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    """20,000 made-up photos of three years, with planted trends."""
    archive = Archive(tmp_path_factory.mktemp("archive"))
    make_archive(archive, 20_000, seed=1)
    with archive.reader() as reader:
        yield Facts(reader, OUTFIT_15)


def random_outfits(size: int = 400) -> tuple[Counts, pd.DataFrame]:
    """Counts of random outfits, and the outfits as one column of bools a garment."""
    random = np.random.default_rng(0)
    often = np.where(np.array(WORN) == "Hat", 0.1, random.uniform(0.2, 0.7, len(WORN)))
    table = pd.DataFrame(random.random((size, len(WORN))) < often, columns=WORN)
    table["Hat"] |= table["Coat"] & (random.random(size) < 0.5)
    return counts_of(table), table


def counts_of(table: pd.DataFrame) -> Counts:
    bits = table.to_numpy(np.int64)
    three = np.einsum("ni,nj,nk->ijk", bits, bits, bits)
    return Counts(tuple(WORN), len(table), bits.sum(axis=0), bits.T @ bits, three)


def test_shares_and_their_changes() -> None:
    counts, table = random_outfits()
    found = worn(counts, counts).set_index("garment")
    for name in WORN:
        assert found.loc[name, "outfits"] == table[name].sum()
        assert found.loc[name, "share"] == pytest.approx(table[name].mean())
        assert found.loc[name, "low"] < found.loc[name, "share"] < found.loc[name, "high"]
    assert (found["change"] == 0).all() and not found["significant"].any()


def test_pairs_and_triples_as_mlxtend_has_them() -> None:
    counts, table = random_outfits()
    rules = association_rules(
        apriori(table, 0.001, use_colnames=True, max_len=3), metric="support", min_threshold=0.001
    )
    expected = {
        (frozenset(rule.antecedents), frozenset(rule.consequents)): rule for rule in rules.itertuples(index=False)
    }
    for row in pairs(counts).itertuples():
        rule = expected[frozenset([row.first]), frozenset([row.second])]
        assert (row.support, row.confidence, row.lift) == pytest.approx((rule.support, rule.confidence, rule.lift))
        assert row.jaccard == pytest.approx(rule.jaccard)
    found = triples(counts, least=1)
    assert len(found) > 300
    for row in found.itertuples():
        rule = expected[frozenset([row.first, row.second]), frozenset([row.then])]
        assert (row.support, row.confidence, row.lift) == pytest.approx((rule.support, rule.confidence, rule.lift))


def test_a_rule_goes_in_the_direction_of_the_larger_confidence() -> None:
    counts, table = random_outfits()
    found = rules(counts, least=1)
    assert len(found) == len(pairs(counts)) == 66 and found["lift"].is_monotonic_decreasing
    for row in found.itertuples():
        assert row.confidence == pytest.approx(table[row.second][table[row.first]].mean())
        assert row.reverse == pytest.approx(table[row.first][table[row.second]].mean())
        assert row.reverse <= row.confidence
    assert ("Hat", "Coat") in set(zip(found["first"], found["second"], strict=True))


def test_a_planted_pair_is_significant_and_chance_is_not() -> None:
    counts, _ = random_outfits()
    found = pairs(counts)
    significant = set(zip(found["first"][found["significant"]], found["second"][found["significant"]], strict=True))
    assert ("Hat", "Coat") in significant and len(significant) <= 3


def test_a_garment_that_is_never_worn_has_no_lift() -> None:
    coats = pd.DataFrame([[name == "Coat" for name in WORN]] * 10)
    found = pairs(counts_of(coats)).set_index(["first", "second"]).loc[("Hat", "Coat")]
    assert np.isnan(found["lift"]) and np.isnan(found["p"]) and not found["significant"]
    assert worn(counts_of(coats.iloc[:0]))["share"].isna().all()


def test_companions_are_shares_with_and_without() -> None:
    counts, table = random_outfits()
    found = companions(counts, "Coat")
    assert found.iloc[0]["garment"] == "Hat" and found.iloc[0]["significant"]
    assert found.iloc[0]["share"] == pytest.approx(table["Hat"][table["Coat"]].mean())
    assert found.iloc[0]["other_share"] == pytest.approx(table["Hat"][~table["Coat"]].mean())
    assert set(found["garment"]) == set(WORN) - {"Coat"}


def test_companions_of_a_garment_that_everybody_wears_have_nobody_to_compare_with() -> None:
    """The sums of a filter on the garment are rounded: its outfits may be a little more than all."""
    together = np.array([[129.34364319, 42.7], [42.7, 42.70001]])
    found = companions(Counts(("Coat", "Hat"), 129.34362793, together.diagonal(), together), "Coat").iloc[0]
    assert found["share"] == pytest.approx(42.7 / 129.34362793)
    assert np.isnan(found["change"]) and found["p"] == 1 and not found["significant"]


def test_pairs_of_a_sliver_of_an_outfit() -> None:
    together = np.array([[0.3, 0.1], [0.1, 0.2]])
    found = pairs(Counts(("Coat", "Hat"), 0.4, together.diagonal(), together)).iloc[0]
    assert found["lift"] == pytest.approx(0.1 * 0.4 / (0.3 * 0.2))
    assert found["p"] == 1 and not found["significant"]


def test_growth_as_statsmodels_fits_it() -> None:
    random = np.random.default_rng(4)
    starts = pd.date_range("2022-01-01", periods=36, freq="MS")
    years = ((starts - starts[0]).days / 365.25).to_numpy()
    sizes = random.integers(50, 300, 36)
    odds = -1 + 0.4 * years + 0.8 * np.cos(2 * np.pi * years)
    series = pd.DataFrame(
        {"start": starts, "garment": "Hat", "outfits": random.binomial(sizes, 1 / (1 + np.exp(-odds))), "of": sizes}
    )
    found = movements(series, "month", ["garment"]).iloc[0]
    design = np.stack([np.ones(36), years, np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)], axis=1)
    answer = np.stack([series["outfits"], sizes - series["outfits"]], axis=1)
    fitted = sm.GLM(answer, design, family=sm.families.Binomial()).fit()
    scale = max(1, fitted.pearson_chi2 / fitted.df_resid)
    assert found["growth"] == pytest.approx(np.exp(fitted.params[1]))
    assert found["low"] == pytest.approx(np.exp(fitted.params[1] - 1.959964 * fitted.bse[1] * np.sqrt(scale)), rel=1e-5)
    assert found["low"] < np.exp(0.4) < found["high"] and found["significant"]


def test_the_planted_trends_are_found_and_nothing_else(facts: Facts) -> None:
    found = movements(by_period(facts.counts_by_period(View(), "month")), "month", ["garment"])
    assert set(found["garment"][found["significant"]]) == {"Hat", "Socks"}
    coats = View(garments=("Coat",))
    colours = colours_by_period(facts.colours(coats, fine=True, period="month"), OUTFIT_15)
    found = movements(colours[colours["garment"] == "Coat"], "month", ["garment", "colour"])
    assert set(found["colour"][found["significant"]]) == {"olive"}


def test_planted_shares_lie_in_the_intervals_of_expected_counts_and_not_of_raw_ones(facts: Facts) -> None:
    north, shorts = View(tags=(("market", ("North",)),)), View(garments=("Shorts",))
    planted = [
        *((north, "Hat", year, 0.08 + 0.16 * (year - 2021.5) / 3) for year in (2022, 2023, 2024)),
        *((shorts, "Socks", year, 0.2 + 0.4 * (year - 2021.5) / 3) for year in (2022, 2023, 2024)),
        *((north, "Bag", year, 0.35) for year in (2022, 2023, 2024)),
    ]
    missed = {"expected": 0, "raw": 0}
    for view, name, year, share in planted:
        for counting in ("expected", "raw"):
            counts = facts.counts_by_period(replace(view, counting=counting), "year")
            found = by_period(counts).set_index(["start", "garment"]).loc[(pd.Timestamp(year, 1, 1), name)]
            missed[counting] += not found["low"] < share < found["high"]
    assert missed["expected"] <= 1 and missed["raw"] >= 7


def test_a_planted_lift_lies_in_the_interval_of_expected_counts(facts: Facts) -> None:
    found = pair_lift_by_period(facts.pair_by_period(View(), "Socks", "Shorts", "year"))
    for row, time in zip(found.itertuples(), (1 / 6, 3 / 6, 5 / 6), strict=True):
        with_shorts = 0.2 + 0.4 * time
        assert row.low < with_shorts / (0.15 * with_shorts + 0.85 * 0.15) < row.high


def test_chance_alone_is_rarely_called_significant() -> None:
    random = np.random.default_rng(6)
    starts, called = pd.date_range("2022-01-01", periods=24, freq="MS"), 0
    for _ in range(200):
        series = pd.DataFrame(
            [(start, name, random.binomial(80, 0.2), 80) for name in WORN for start in starts],
            columns=["start", "garment", "outfits", "of"],
        )
        called += bool(movements(series, "month", ["garment"])["significant"].any())
    assert called / 200 < 0.03, "Benjamini and Hochberg promise 0.01 where nothing moves"


def test_a_trend_of_one_market_is_not_seen_in_the_other(facts: Facts) -> None:
    south = View(tags=(("market", ("South",)),))
    found = movements(by_period(facts.counts_by_period(south, "month")), "month", ["garment"])
    assert not found.set_index("garment").loc["Hat", "significant"], "hats rise in the North only"


def test_a_movement_needs_periods() -> None:
    series = pd.DataFrame({"start": pd.date_range("2024-01-01", periods=5), "garment": "Hat", "outfits": 3, "of": 9})
    with pytest.raises(NotEnoughError, match="at least 6 periods with dated photos; there are 5"):
        movements(series, "week", ["garment"])


def test_a_forecast_follows_the_season_and_says_how_far_off_it_was(facts: Facts) -> None:
    series = by_period(facts.counts_by_period(View(), "month"))
    coats = series[series["garment"] == "Coat"]
    found = forecast(coats, "month")
    assert found.seasonal and found.tested == 6
    assert list(found.table["start"].dt.date) == [date(2025, month, 1) for month in range(1, 7)]
    assert found.table["share"][0] == pytest.approx(0.55, abs=0.05) and found.table["share"][5] < 0.2
    assert (found.table["low"] < found.table["share"]).all() and (found.table["share"] < found.table["high"]).all()
    assert found.error < 0.04


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [(slice(0, 11), "at least 12 months in a row; there are 11"), ([*range(10), *range(12, 20)], "in every month")],
)
def test_a_forecast_needs_enough(facts: Facts, rows: slice | list[int], sentence: str) -> None:
    series = by_period(facts.counts_by_period(View(), "month"))
    with pytest.raises(NotEnoughError, match=sentence):
        forecast(series[series["garment"] == "Coat"].iloc[rows], "month")


def test_a_pairs_lift_moves(facts: Facts) -> None:
    found = pair_lift_by_period(facts.pair_by_period(View(), "Shorts", "Socks", "year"))
    assert list(found["lift"]) == sorted(found["lift"]) and len(found) == 3
    assert (found["low"] < found["lift"]).all() and (found["lift"] < found["high"]).all()


def test_palettes_and_colour_pairs(facts: Facts) -> None:
    palette = colour_shares(facts.colours(View()), OUTFIT_15)
    assert palette.groupby("garment")["share"].sum().round(9).eq(1).all()
    found = colour_pairs(facts.colour_pairs(View(), "Pants", "Shirt"))
    total = worn(facts.counts(View(garments=("Pants", "Shirt")))).set_index("garment").loc["Shirt", "outfits"]
    assert found["outfits"].sum() == pytest.approx(total), "they are certain in the made-up outfits"
    assert not found["significant"].any(), "the made-up colours of two garments have nothing to do with each other"


def test_counts_are_those_of_the_rows(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    make_archive(archive, 300, seed=5)
    with archive.reader() as reader:
        rows = reader.query("SELECT * FROM photos").to_dict("records")
        facts = Facts(reader, OUTFIT_15)
        view = View(
            first=date(2022, 6, 1),
            tags=(("market", ("North",)),),
            garments=("Shirt",),
            min_share=0.1,
            min_confidence=0.7,
            counting="raw",
        )
        expected = {}
        for row, person in [(each, person) for each in rows for person in range(len(each["people"]))]:
            held = {
                garment["class"]
                for garment in row["garments"]
                if garment["person"] == person
                and np.float32(garment["outfit_share"]) >= np.float32(0.1)
                and garment["confidence"] >= 0.7
            }
            north = dict(row["tags"])["market"] == "North"
            if north and row["taken_at"] >= pd.Timestamp(2022, 6, 1) and "Shirt" in held:
                expected[frozenset(held)] = expected.get(frozenset(held), 0) + 1
        found = facts.counts(view, triples=True)
        assert found.size == sum(expected.values()) > 0 and found.each.dtype == np.int64
        for one, other, third in itertools.combinations_with_replacement(range(len(WORN)), 3):
            names = {WORN[one], WORN[other], WORN[third]}
            held = sum(n for outfit, n in expected.items() if names <= outfit)
            if len(names) == 3:
                assert found.three is not None and found.three[one, other, third] == held
            elif len(names) == 2:
                assert found.together[one, third] == found.together[third, one] == held
            else:
                assert found.each[one] == held

        shown = facts.photos(view, Conditions(worn=["Shirt", "Footwear"]), limit=1000)
        assert len(shown) == sum(n for held, n in expected.items() if {"Shirt", "Footwear"} <= held)
        assert shown["class_map"].notna().all() and shown["day"].is_monotonic_decreasing
        size = facts.size(view)
        assert size.outfits == sum(expected.values()) and size.first >= date(2022, 6, 1)


def test_filters_by_colour_and_unknown_tags(facts: Facts) -> None:
    blue = facts.photos(View(garments=("Coat",), colours=("blue",)), Conditions(coloured=[("Coat", "blue")]), limit=50)
    assert len(blue) == 50
    assert facts.photos(View(garments=("Coat",), colours=("blue",)), Conditions(coloured=[("Coat", "red")])).empty
    assert facts.size(View(tags=(("brand", ("x",)),))).outfits == 0
    for garments in itertools.combinations(("Romper", "Dress", "Pants"), 3):
        assert facts.counts(View(garments=garments)).size == 0
