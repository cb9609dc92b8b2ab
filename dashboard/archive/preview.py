"""The first rows of a table of metadata as they are understood, before anything is stored."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from segmodels.archive.decoding import ENCODINGS
from segmodels.archive.metadata import Entry, Metadata

__all__ = ["ROWS", "date_text", "encoding_choices", "first_rows"]

ROWS = 5
"""Number of rows that are shown."""

_MOST_TAGS = 8


def first_rows(metadata: Metadata) -> pd.DataFrame:
    """A table of the first rows: photo, date, and the tags that most of them have."""
    shown = metadata.entries[:ROWS]
    tags = list(dict.fromkeys(name for entry in shown for name in entry.tags))[:_MOST_TAGS]
    columns: dict[str, Sequence[str]] = {
        metadata.name_column or "file_name": [entry.name for entry in shown],
        metadata.date_column or "date": [date_text(entry) for entry in shown],
    }
    return pd.DataFrame(columns | {name: [entry.tags.get(name, "") for entry in shown] for name in tags})


def date_text(entry: Entry) -> str:
    """The date of a row, with what it names where that is no day; empty without one."""
    if entry.taken_at is None:
        return ""
    if entry.precision == "day":
        return entry.taken_at.isoformat(" ", "minutes").removesuffix(" 00:00")
    return f"{entry.precision} from {entry.taken_at.date().isoformat()}"


def encoding_choices(metadata: Metadata) -> list[str]:
    """Encodings to choose from, the likeliest first; none where the encoding is certain."""
    if metadata.encoding == "utf-8" or metadata.encoding.startswith("utf-16"):
        return []
    return list(dict.fromkeys([*metadata.encodings, *ENCODINGS]))
