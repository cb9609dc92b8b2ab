import io
from datetime import timedelta

import numpy as np
import pytest
from archive_rows import parts_of, rows_of
from PIL import Image

from segmodels.archive import outfits
from segmodels.archive.facts import Facts, View
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import FIRST_DAY, LAST_DAY, make_archive
from segmodels.taxonomy import OUTFIT_15

PHOTOS = 40_000


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("made_up"))
    assert make_archive(archive, PHOTOS, seed=3) == PHOTOS
    return archive


def worn(name: str) -> str:
    """Probability that a person wears it."""
    return f"shown[{[garment.name for garment in OUTFIT_15.worn].index(name) + 1}]"


def shares(archive: Archive, value: str, weight: str = "1") -> dict[tuple[int, str], float]:
    """Of outfits, by year and market."""
    with archive.reader() as reader:
        rows = reader.query(
            f"SELECT year(taken_at) y, tags['market'] market, sum({weight} * {value}) / sum({weight}) share"
            f" FROM (SELECT taken_at, tags, unnest(presence) shown, unnest(outfits) mask FROM photos) GROUP BY ALL"
        )
    return {(int(year), market): share for year, market, share in rows.values.tolist()}


def test_the_planted_trends_are_there(made_up: Archive) -> None:
    hats = shares(made_up, worn("Hat"))
    assert hats[2024, "North"] > 0.19 > 0.13 > hats[2022, "North"]
    assert all(hats[year, "South"] == pytest.approx(0.08, abs=0.015) for year in (2022, 2023, 2024))
    socks = shares(made_up, worn("Socks"), worn("Shorts"))
    assert all(socks[2024, market] - socks[2022, market] > 0.18 for market in ("North", "South"))
    pants = shares(made_up, worn("Socks"), worn("Pants"))
    assert all(pants[2024, market] == pytest.approx(pants[2022, market], abs=0.03) for market in ("North", "South"))
    with made_up.reader() as reader:
        coats = reader.query(
            f"SELECT month(taken_at) m, avg({worn('Coat')}) share"
            " FROM (SELECT taken_at, unnest(presence) shown FROM photos) GROUP BY m ORDER BY m"
        )["share"]
        olive = reader.query(
            "SELECT year(taken_at) y, tags['market'] market, avg((g.colours[1].name = 'olive')::INT) share"
            " FROM (SELECT taken_at, tags, unnest(garments) g FROM photos) WHERE g.class = 'Coat' GROUP BY ALL"
        ).set_index(["y", "market"])["share"]
    assert coats[0] > 0.5 and coats[6] < 0.15
    assert olive[2024, "South"] > 0.17 and olive[2022, "South"] < 0.13
    assert all(olive[year, "North"] < 0.08 for year in (2022, 2023, 2024))


def test_a_class_map_shows_what_is_worn(made_up: Archive) -> None:
    with made_up.reader() as reader:
        rows = reader.query("SELECT class_map, garments, len(people) n FROM photos ORDER BY file_name LIMIT 300")
    never_covered, seen = {"Hat", "Footwear", "Bag", "Coat", "Glasses"}, set()
    for row in rows.itertuples():
        drawn = {OUTFIT_15.names[number] for number in np.unique(Image.open(io.BytesIO(row.class_map)))}
        found = {garment["class"] for garment in row.garments}
        assert drawn <= found | {"Background", "Hair", "Skin"}
        assert never_covered & drawn == never_covered & found
        seen |= drawn
    assert seen == set(OUTFIT_15.names) and set(rows["n"]) == {1, 2}


def test_expected_counts_are_right_and_raw_counts_are_not(made_up: Archive) -> None:
    planted = {"Footwear": 0.9, "Bag": 0.35, "Glasses": 0.18, "Scarf/Tie": 0.1, "Dress": 0.3, "Shirt": 0.68}
    with made_up.reader() as reader:
        facts = Facts(reader, OUTFIT_15)
        expected, raw = (
            outfits.worn(facts.counts(View(counting=counting))).set_index("garment")  # type: ignore[arg-type]
            for counting in ("expected", "raw")
        )
    low, high = expected["low"], expected["high"]
    missed = [name for name, share in planted.items() if not low[name] < share < high[name]]
    assert len(missed) <= 1, "95 % intervals"
    for name in ("Footwear", "Bag", "Glasses", "Scarf/Tie"):
        assert planted[name] < raw.loc[name, "low"], "false alarms that nobody took off"
        assert raw.loc[name, "share"] - planted[name] > 3 * abs(expected.loc[name, "share"] - planted[name])


def test_rows_agree_with_themselves_and_say_what_they_are(made_up: Archive) -> None:
    masks = " + ".join(f"CASE g.class WHEN '{c.name}' THEN {1 << c.id} ELSE 0 END" for c in OUTFIT_15.classes)
    with made_up.reader() as reader:
        off = reader.query(
            f"""WITH worn AS (SELECT photo_id, g.person p, sum({masks})::BIGINT mask, sum(g.outfit_share) whole
                FROM (SELECT photo_id, unnest(garments) g FROM photos) GROUP BY ALL)
            SELECT count(*) n FROM worn JOIN photos USING (photo_id)
            WHERE mask != outfits[p + 1] OR abs(whole - 1) > 1e-3
            """
        )["n"][0]
        assert off == 0
        row = reader.query(
            "SELECT count(*) photos, count(DISTINCT photo_id) ids, count(DISTINCT tags['market']) markets,"
            " count(DISTINCT tags['season']) seasons, bool_and(tags['source'] = 'made up') labelled,"
            " min(taken_at) first, max(taken_at) last,"
            " bool_and(len(outfits) = len(people) AND len(presence) = len(people)) outfits FROM photos"
        ).iloc[0]
    assert (row.photos, row.ids, row.markets, row.seasons) == (PHOTOS, PHOTOS, 2, 4)
    assert row.labelled and row.outfits
    assert row["first"] >= FIRST_DAY and row["last"] <= LAST_DAY + timedelta(days=1)
    assert [version.model for version in made_up.versions()] == ["made-up"]


def test_the_same_seed_is_the_same_archive_and_another_is_another(archive: Archive) -> None:
    assert make_archive(archive, 50, seed=1) == 50
    before = rows_of(archive, "* EXCLUDE (analysed_at)").astype(str)
    assert make_archive(archive, 50, seed=1) == 0
    for part in parts_of(archive):
        part.unlink()
    make_archive(archive, 50, seed=1)
    assert rows_of(archive, "* EXCLUDE (analysed_at)").astype(str).equals(before)
    assert make_archive(archive, 50, seed=2) == 50
    assert len(archive.versions()) == 2
