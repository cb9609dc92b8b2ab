"""The palette of an archive has the colours that its garments have, and counts them as the page does."""

from dataclasses import replace

import pytest

from dashboard.trends.section import Question
from segmodels.archive.facts import Facts, View
from segmodels.archive.palette import real_palette
from segmodels.archive.store import Archive
from segmodels.taxonomy import OUTFIT_15


def test_real_colours_with_the_counts_of_the_page(expected: Question) -> None:
    north = View(tags=(("market", ("North",)),))
    for view in (View(), View(counting="raw"), View(garments=("Coat",)), View(colours=("blue",)), north):
        found = expected.facts.main_colours(view).groupby(["class", "name"])["garments"].sum()
        page = expected.facts.colours(view, fine=True)
        counted = {(OUTFIT_15.names[row["class"]], row["colour"]): row["garments"] for row in page.to_dict("records")}
        assert found.to_dict() == pytest.approx(counted, rel=1e-6) and counted


def test_a_palette_is_made_of_the_garments_and_not_of_the_names(write) -> None:  # type: ignore[no-untyped-def]
    place = write("twenty", photos=20)
    with Archive(place).reader() as reader:
        facts = Facts(reader, OUTFIT_15)
        swatches = real_palette(facts, View(), ["Coat", "Hat", "Romper"])
        assert [(each.group, each.name, each.hex, each.share) for each in swatches] == [
            ("Coat", "navy", "#203050", 1.0),
            ("Hat", "white", "#ffffff", 1.0),
        ]
        assert [each.count for each in swatches] == [20, 7]
        none = real_palette(facts, replace(View(), garments=("Romper",)))
        assert none == []
