"""Weeks of shows: a table by which photos get the tag `show`."""

from datetime import datetime
from pathlib import Path

import pytest
from archive_rows import VERSION, made

from segmodels.archive.__main__ import main
from segmodels.archive.calibration import opened_facts
from segmodels.archive.changes import foreign_files
from segmodels.archive.facts import View
from segmodels.archive.place import ArchiveError
from segmodels.archive.shows import parse_shows, read_shows
from segmodels.archive.store import Archive

TABLE = b"Name;From;To\nMilan's FW26;2026-02-24;2026-03-02\nParis FW26;2026-03-02;2026-03-10\n\n"


def test_photos_get_the_tag_of_their_day(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "looks")
    writer = archive.writer(VERSION)
    writer.append(made("milan", "milan2", taken=datetime(2026, 3, 1, 9), tags={"market": "IT"}))
    writer.append(made("both", taken=datetime(2026, 3, 2, 23)))
    writer.append(made("own", taken=datetime(2026, 3, 3), tags={"show": "Tokyo"}))
    writer.append(made("after", taken=datetime(2026, 3, 11)))
    writer.append(made("march", taken=datetime(2026, 3, 1), precision="month"))
    (tmp_path / "shows.csv").write_bytes(TABLE)
    assert main(["shows", str(tmp_path / "looks"), str(tmp_path / "shows.csv")]) == 0
    with opened_facts(archive, VERSION) as (facts, _):
        assert {name: facts.size(View(tags=(("show", (name,)),))).photos for name in facts.tags["show"]} == {
            "Milan's FW26": 2,
            "Paris FW26": 1,
            "Tokyo": 1,
        }
        assert facts.tags["market"] == ["IT"]
    assert foreign_files(archive.place) == []
    assert main(["shows", str(tmp_path / "looks"), "--remove"]) == 0 and read_shows(archive.place) == []


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (b"name,from\nParis,2026-03-02\n", "no column to"),
        (b"name,from,to\n", "no row"),
        (b"name,from,to\nParis,2026-03-02,March\n", "Line 2"),
        (b"name,from,to\n,2026-03-02,2026-03-03\n", "needs a name"),
        (b"name,from,to\nParis,2026-03-02,2026-03-01\n", "before it begins"),
        (b"\xff\xfe", "not in UTF-8"),
    ],
)
def test_a_table_that_is_none_is_refused(table: bytes, part: str) -> None:
    with pytest.raises(ArchiveError, match=part):
        parse_shows(table)
