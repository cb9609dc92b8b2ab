"""Photos, a segmenter with random weights, and ways to take them in."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.archive.ingest import Report, analyse_here, ingest, version_of
from segmodels.archive.metadata import Metadata, parse_metadata
from segmodels.archive.sources import Found, find_sources
from segmodels.archive.store import Archive
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.inference.segmenter import Segmenter

Photo = Callable[..., bytes]


@pytest.fixture
def photo() -> Photo:
    """Makes the bytes of a small noisy JPEG; `taken` is put into its EXIF data as it is."""

    def make(seed: int = 0, taken: str = "") -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 4, 3), np.uint8)
        exif = Image.Exif()
        if taken:
            exif.get_ifd(0x8769)[0x9003] = taken
        out = io.BytesIO()
        Image.fromarray(pixels).resize((40, 60)).save(out, "JPEG", exif=exif)
        return out.getvalue()

    return make


@pytest.fixture
def folder(tmp_path: Path, photo: Photo) -> Path:
    """Six photos, two of them in a folder of their own."""
    place = tmp_path / "photos"
    (place / "more").mkdir(parents=True)
    for number in range(6):
        (place / ("more" if number > 3 else "") / f"look{number}.jpg").write_bytes(photo(number))
    return place


@pytest.fixture(scope="session")
def segmenter(more_models: Path) -> Segmenter:
    """Random weights, 64 x 64."""
    return load_segmenter(str(more_models / "tiny"))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def take(archive: Archive, segmenter: Segmenter) -> Callable[..., Report]:
    """Takes a folder, a ZIP or what was found into the archive, with a CSV given as text."""

    def run(place: Path | Found, metadata: str | Metadata | None = None, **options: object) -> Report:
        found = place if isinstance(place, Found) else find_sources(place)
        if isinstance(metadata, str):
            metadata = parse_metadata(metadata.encode(), "looks.csv")
        engine = partial(analyse_here, segmenter)
        return ingest(found, archive, version_of(segmenter), engine, metadata, **options)  # type: ignore[arg-type]

    return run
