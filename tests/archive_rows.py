"""Rows that no network has seen, and what an archive holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from segmodels.archive.rows import as_table
from segmodels.archive.store import Archive, Version

VERSION = Version("OUTFIT_15", "fake", "abc123")


def made(
    *names: str,
    version: Version = VERSION,
    tags: Mapping[str, str] | None = None,
    at: datetime | None = None,
    taken: datetime | None = None,
    precision: str | None = None,
) -> pa.Table:
    """Rows whose photo ids are the names."""
    return as_table(
        [
            {
                "photo_id": name,
                "file_name": f"{name}.jpg",
                "taken_at": taken,
                "date_precision": precision,
                "tags": tags or {},
                "width": 40,
                "height": 60,
                "model": version.model,
                "revision": version.revision,
                "taxonomy": version.taxonomy,
                "analysed_at": at or datetime(2024, 5, 1, 12),
                "people": [{"box": [0, 0, 40, 60], "confidence": 0.5, "detected": False}],
                "garments": [],
                "class_map": b"",
                "outfits": [0],
            }
            for name in names
        ]
    )


def rows_of(archive: Archive, columns: str = "*") -> pd.DataFrame:
    with archive.reader() as reader:
        return reader.query(f"SELECT {columns} FROM photos ORDER BY file_name")


def parts_of(archive: Archive) -> list[Path]:
    assert archive.place.local is not None
    return sorted(archive.place.local.glob("**/*.parquet"))


def append_many(place: str, name: str) -> None:
    """Fills an archive in small steps; a process that is spawned finds it here by the name of its module."""
    writer = Archive(place).writer(VERSION)
    for number in range(8):
        writer.append(made(f"{name}{number}", f"both{number}"))
        writer.compact(at_least=4)
