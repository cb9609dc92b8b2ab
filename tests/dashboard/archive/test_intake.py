"""What files that arrive together mean, for the Archive page and the HTTP API alike."""

import io
import json
import zipfile

import pytest

from dashboard.archive.intake import sort_files
from segmodels.archive.place import ArchiveError

PHOTO = ("a.jpg", b"\xff\xd8\xff")
DATES = ("looks.csv", b"file_name;market;taken_at\na.jpg;Rome;03/04/2024\n")
ADDRESSES = ("feed.csv", b"name,image\na,https://shop.example/a.jpg\n")
PRODUCTS = ("products.json", b'{"products": [{"id": 1, "images": [{"src": "https://shop.example/a.jpg"}]}]}')


def zipped(*files: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, data in files:
            file.writestr(name, data)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("files", "photos", "is_feed", "rows"),
    [
        ((PHOTO,), 1, False, None),
        ((PHOTO, DATES), 1, False, 1),
        ((DATES,), 0, False, 1),
        ((ADDRESSES,), 0, True, 1),
        ((PRODUCTS,), 0, True, 1),
        ((("all.zip", zipped(PHOTO, DATES)),), 1, False, 1),
        ((PHOTO, ("looks.csv", b"file_name,image\na.jpg,https://shop.example/a.jpg\n")), 1, False, 1),
        ((("all.zip", zipped(DATES)), ADDRESSES), 0, False, 2),
        ((), 0, False, None),
    ],
)
def test_photos_tables_and_feeds(
    files: tuple[tuple[str, bytes], ...], photos: int, is_feed: bool, rows: int | None
) -> None:
    intake = sort_files(files)
    metadata = intake.read()
    assert (len(intake.found.sources), intake.feed is not None) == (photos, is_feed)
    assert (len(metadata.entries) if metadata else None) == rows
    assert intake.is_empty == (photos == 0)


def test_results_of_segment_are_no_feeds_and_no_photos() -> None:
    """Two of them were "two tables or feeds", and one was a feed, so that nothing of the folder was added."""
    keys = dict.fromkeys(("photo", "model", "taxonomy", "people", "garments"), "")
    listing = json.dumps(keys | {"width": 6, "height": 4}).encode()
    intake = sort_files([PHOTO, ("a.json", listing), ("b.json", listing), DATES])
    assert [each.name for each in intake.found.sources] == ["a.jpg"] and intake.table == DATES
    assert intake.found.notes == ["Files of the upload that are no photos were passed over: 2 others (a.json, b.json)."]


def test_reading_again_with_another_order() -> None:
    intake = sort_files([DATES])
    metadata = intake.read()
    assert metadata and metadata.ambiguous_dates
    days = [each.entries[0].taken_at for first in (True, False) if (each := intake.read(day_first=first))]
    assert [(day.month, day.day) for day in days if day] == [(4, 3), (3, 4)]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ((DATES, ADDRESSES), "looks.csv and feed.csv are two tables or feeds. Keep one."),
        ((PHOTO, PRODUCTS), "products.json is a feed, which brings its own photos. Send it alone."),
        ((("all.zip", b"PK\x03\x04" + bytes(99)),), "all.zip"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(files: tuple[tuple[str, bytes], ...], sentence: str) -> None:
    with pytest.raises(ArchiveError, match=f"^{sentence}"):
        sort_files(files)
