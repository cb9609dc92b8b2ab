"""The SQL of the README gives the numbers of the Trends page."""

import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from segmodels.archive.facts import Facts, View
from segmodels.archive.outfits import by_period, colour_shares, worn
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.taxonomy import OUTFIT_15

README = Path(__file__).parents[3] / "segmodels" / "archive" / "README.md"
EVERY = View(duplicates=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sql") / "archive"
    make_archive(Archive(folder), 1500, 7)
    return folder


def test_each_query_gives_what_the_page_shows(place: Path) -> None:
    views, *queries = re.findall(r"```sql\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    connection = duckdb.connect()
    connection.execute(views.replace("archive/**", f"{place.as_posix()}/**"))

    def answer(number: int, keys: list[str], value: str) -> dict[object, float]:
        return connection.execute(queries[number]).df().set_index(keys)[value].to_dict()

    assert len(queries) == 5
    with Archive(place).reader() as reader:
        facts = Facts(reader, OUTFIT_15)
        shares = worn(facts.counts(EVERY)).set_index("garment")
        assert answer(0, ["garment"], "outfits") == pytest.approx(shares["outfits"].to_dict(), rel=1e-5)
        assert answer(0, ["garment"], "share") == pytest.approx(shares["share"].to_dict(), rel=1e-5)

        lines = by_period(facts.counts_by_period(EVERY, "month"))
        lines = lines.assign(start=pd.to_datetime(lines["start"])).set_index(["start", "garment"])
        for column in ("share", "of"):
            assert answer(1, ["start", "garment"], column) == pytest.approx(lines[column].to_dict(), rel=1e-5)

        colours = colour_shares(facts.colours(EVERY, fine=True), OUTFIT_15).set_index(["garment", "colour"])
        assert answer(2, ["garment", "colour"], "share") == pytest.approx(colours["share"].to_dict(), rel=1e-4)

        north = worn(facts.counts(View(duplicates=True, tags=(("market", ("North",)),)))).set_index("garment")
        assert len(north) and north["outfits"].sum() < 0.9 * shares["outfits"].sum()
        assert answer(3, ["garment"], "outfits") == pytest.approx(north["outfits"].to_dict(), rel=1e-5)

        raw = worn(facts.counts(View(duplicates=True, counting="raw"))).set_index("garment")["outfits"]
        assert answer(4, ["garment"], "outfits") == raw[raw > 0].to_dict()
