"""Sixty outfits whose counts are known, as an archive with dates, tags, colours and photos."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dashboard.trends.section import Question
from segmodels.archive.facts import Facts, View
from segmodels.archive.ingest import Outcome, ingest
from segmodels.archive.metadata import parse_metadata
from segmodels.archive.rows import as_table, bits, photo_id
from segmodels.archive.sources import Source, find_sources
from segmodels.archive.store import Archive, Version
from segmodels.inference.class_map import small_map
from segmodels.taxonomy import OUTFIT_15

VERSION = Version("OUTFIT_15", "fake", "abc123")
BLUE, WHITE, RED = ("#203050", "navy"), ("#ffffff", "white"), ("#d21f26", "red")

Write = Callable[..., Path]
"""Takes a folder's name, how many photos, and what differs from the sixty; gives the archive's folder."""


def jpeg(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 60), (number * 4 % 256, 90, 120)).save(out, "JPEG")
    return out.getvalue() + bytes([number])


def worn(number: int) -> dict[str, tuple[str, str]]:
    """What the outfit of a photo is made of, with its colours."""
    found = {"Footwear": BLUE}
    if number < 30:
        found["Coat"] = BLUE
    if number < 30 and number % 3 == 0:
        found["Hat"] = WHITE
    return found | ({"Pants": BLUE, "Shirt": WHITE} if number % 2 == 0 else {"Dress": WHITE})


def day(number: int) -> datetime:
    return datetime(2023, 1 + number % 12, 1 + number // 12)


def presence(number: int) -> list[list[float]]:
    """Probabilities for a network that is right nine times in ten, in display order."""
    return [[0.9 if garment.name in worn(number) else 0.1 for garment in OUTFIT_15.worn]]


def row(
    number: int,
    version: Version,
    taken: datetime | None,
    parts: dict[str, tuple[str, str]] | None = None,
    chances: list[list[float]] | None = None,
) -> dict[str, Any]:
    garments = [
        {
            "class": name,
            "person": 0,
            "area_share": 0.1,
            "outfit_share": 0.25,
            "confidence": 0.9,
            "box": [0, 0, 10, 10],
            "colours": [{"hex": hue, "name": colour, "share": 0.9}],
        }
        for name, (hue, colour) in (worn(number) if parts is None else parts).items()
    ]
    figure = np.zeros((60, 40), np.uint8)
    for place, garment in enumerate(garments):
        figure[place * 10 : place * 10 + 10] = OUTFIT_15[str(garment["class"])].id
    return {
        "photo_id": photo_id(jpeg(number)),
        "file_name": f"look{number:02d}.jpg",
        "taken_at": taken,
        "tags": {"market": "North" if number % 2 == 0 else "South"},
        "width": 40,
        "height": 60,
        "model": version.model,
        "revision": version.revision,
        "taxonomy": version.taxonomy,
        "analysed_at": datetime(2024, 5, 1),
        "people": [{"box": [0, 0, 40, 60], "confidence": 0.5, "detected": False}],
        "garments": garments,
        "class_map": small_map(figure, OUTFIT_15, 60),
        "outfits": bits(garments, 1, OUTFIT_15),
        "presence": chances,
    }


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    root = tmp_path_factory.mktemp("archives")

    def make(
        name: str,
        photos: int = 60,
        version: Version = VERSION,
        dated: Callable[[int], datetime | None] = day,
        chances: Callable[[int], list[list[float]] | None] = lambda number: None,
        changes: Callable[[int], dict[str, Any]] = lambda number: {},
    ) -> Path:
        rows = [
            row(number, version, dated(number), chances=chances(number)) | changes(number) for number in range(photos)
        ]
        Archive(root / name).writer(version).append(as_table(rows))
        return root / name

    return make


@pytest.fixture(scope="session")
def sixty(write: Write) -> Path:
    return write("sixty")


@pytest.fixture(scope="session")
def copied(write: Write) -> Path:
    """The sixty, of which 58 is a copy of 56, and 0 to 2 are black and white."""

    def changes(number: int) -> dict[str, Any]:
        taken_of = 56 if number == 58 else number
        return {"fingerprint": taken_of * 0x1234_5678_9ABC_DEF, "monochrome": number < 3}

    return write("copied", changes=changes)


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive of 60 photos, and the same with 120 more, which change the default of every choice.

    Before: nobody wears a coat, Footwear is the most frequent, hats are white, 98 days, one model, and of the only tag
    the first value is North. After: dresses are the most frequent, hats are mostly red, 458 days, and two models; a
    tag `brand` comes first, and of the tag `market` South does.
    """
    root = tmp_path_factory.mktemp("grown")
    few, many = root / "before" / "looks", root / "after" / "looks"
    first = datetime(2023, 1, 1)
    rows = []
    for number in range(60):
        parts = {name: hue for name, hue in worn(number).items() if name != "Coat"}
        rows.append(row(number, VERSION, first + timedelta(number * 98 // 59), parts))
    later = []
    for number in range(120):
        parts = {"Dress": RED, "Coat": RED, "Hat": RED, "Shirt": RED} if number % 8 else {"Dress": RED}
        taken = first + timedelta(100 + number * 3)
        tags = {"brand": "A" if number < 110 else "B"} | ({"market": "South"} if number < 60 else {})
        later.append(row(60 + number, VERSION, taken, parts) | {"tags": tags})
    Archive(few).writer(VERSION).append(as_table(rows))
    Archive(many).writer(VERSION).append(as_table([*rows, *later]))
    other = Version("OUTFIT_15", "other", "xyz")
    Archive(many).writer(other).append(as_table([row(number, other, day(number)) for number in range(60)]))
    return few, many


@pytest.fixture(scope="session")
def likely(write: Write) -> Path:
    """The sixty, with the probability that each garment is worn."""
    return write("likely", chances=presence)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("looks")
    for number in range(60):
        (folder / f"look{number:02d}.jpg").write_bytes(jpeg(number))
    return folder


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Path:
    """The sixty as an ingest takes them in, with a CSV; what a network would see in them is known."""

    def engine(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        for source in sources:
            seen = row(int(source.name.removeprefix("look").removesuffix(".jpg")), VERSION, None)
            yield Outcome(source.name, photo_id(source.read()), seen | {"tags": {}, "date_precision": None})

    place = tmp_path_factory.mktemp("ingested")
    lines = [f"look{n:02d}.jpg,{day(n):%Y-%m-%d},{'South' if n % 2 else 'North'}" for n in range(60)]
    metadata = parse_metadata("\n".join(["file,date,market", *lines]).encode(), "looks.csv")
    report = ingest(find_sources(photo_folder), Archive(place), VERSION, engine, metadata)
    assert (report.added, report.rejected, report.photos_without_row) == (60, [], [])
    return place


@pytest.fixture(scope="session")
def question(sixty: Path) -> Iterator[Question]:
    with Archive(sixty).reader() as reader:
        yield Question(Facts(reader, OUTFIT_15), View())


@pytest.fixture(scope="session")
def expected(likely: Path) -> Iterator[Question]:
    with Archive(likely).reader() as reader:
        yield Question(Facts(reader, OUTFIT_15), View())
