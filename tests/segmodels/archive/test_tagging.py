from datetime import datetime

import pytest
from archive_rows import VERSION, made, rows_of

from segmodels.archive.changes import last_undoable, read_log
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.archive.tagging import retag


def tags(archive: Archive, version: Version = VERSION) -> dict[str, dict[str, str]]:
    with archive.reader(version) as reader:
        found = reader.query("SELECT photo_id, map_entries(tags) AS tags FROM photos ORDER BY photo_id")
    return {row["photo_id"]: {each["key"]: each["value"] for each in row["tags"]} for row in found.to_dict("records")}


@pytest.fixture
def filled(archive: Archive) -> Archive:
    archive.writer(VERSION).append(made("a", "b", tags={"market": "North", "brand": "A"}))
    archive.writer(VERSION).append(made("c", tags={"market": "North"}, taken=datetime(2024, 1, 2)))
    return archive


def test_rows_find_their_photos_and_replace_all_tags_as_an_ingest_does(filled: Archive) -> None:
    report = retag(
        filled,
        b"file_name,taken_at,Market\nold/folder/A.JPG,2023-05-06,north\nc,,South\nnobody.jpg,,West\n",
        "looks.csv",
    )
    assert tags(filled) == {"a": {"market": "North"}, "b": {"market": "North", "brand": "A"}, "c": {"market": "South"}}
    days = rows_of(filled, "taken_at, file_name")["taken_at"]
    assert days[0] == datetime(2023, 5, 6) and days[2] == datetime(2024, 1, 2), "without a date the old one stays"
    assert (report.photos, report.unchanged, report.rows_without_photo) == (2, 0, ["nobody.jpg"])
    assert report.photos_without_row == 1
    assert any("spelt as in the archive: Market to market" in each for each in report.notes)
    again = retag(filled, b"file_name,market\na,north\n", "looks.csv")
    assert (again.photos, again.unchanged) == (0, 1)
    assert str(report) == ("2 photos have new tags or dates, 0 had them already. 1 row matches no photo: nobody.jpg.")
    (entry,) = read_log(filled.place)
    assert entry.what == "retag" and entry.details == {"photos": 2, "rows_without_photo": 1}
    assert last_undoable(filled.place) == entry


def test_all_models_rows_of_a_photo_are_retagged_in_one_change(filled: Archive) -> None:
    other = Version(VERSION.taxonomy, "other", "1")
    filled.writer(other).append(made("a", version=other))
    assert retag(filled, b"photo,brand\na.jpg,B\n", "looks.csv", by="me").photos == 1
    assert tags(filled)["a"] == tags(filled, other)["a"] == {"brand": "B"}


@pytest.mark.parametrize(
    ("csv", "sentence"),
    [
        (b"file_name,market\nx.jpg,South\n", r"No row of the CSV matches a photo.*name x\.jpg\. .*called a\.jpg"),
        (b"file_name,market\n", "The CSV has no row"),
        (b"market\nSouth\n", "no column with file names"),
    ],
)
def test_a_csv_that_fits_nothing_changes_nothing(filled: Archive, csv: bytes, sentence: str) -> None:
    before = filled.place.files()
    with pytest.raises(ArchiveError, match=sentence):
        retag(filled, csv, "looks.csv")
    assert filled.place.files() == before


def test_two_photos_of_one_name_are_not_guessed_at(filled: Archive) -> None:
    table = made("d")
    place = table.schema.get_field_index("file_name")
    filled.writer(VERSION).append(table.set_column(place, table.schema.field(place), [["a.jpg"]]))
    report = retag(filled, b"file_name,market\na.jpg,South\nb.jpg,South\n", "looks.csv")
    assert report.photos == 1 and any("Several photos are called a.jpg" in each for each in report.notes)


def test_an_archive_that_is_not_there_is_a_sentence(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match="holds no archive yet"):
        retag(archive, b"file_name,market\na,b\n", "looks.csv")
