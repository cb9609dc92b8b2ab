"""The lists beside the parts of an archive: `rejected.csv`, and `unmatched.csv` with those of earlier CSVs."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count

import pyarrow as pa

from segmodels.archive.changes import LISTS
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.selection import are_called
from segmodels.archive.sources import Rejected
from segmodels.archive.thumbnails import THUMBNAILS
from segmodels.csv_text import csv_bytes, original

__all__ = ["forget_files", "list_names", "write_rejected", "write_unmatched"]

_FIELD_LIMIT = threading.Lock()  # the limit is one for the whole process


def list_names(place: Place) -> list[str]:
    """Names of the lists that are there, `rejected.csv` first, then the newest.

    Raises:
        ArchiveError: If the archive cannot be listed.
    """
    names = [name for name in place.files(without=THUMBNAILS) if LISTS.fullmatch(name)]
    return sorted(names, key=lambda name: (name[0], len(name), name))


def write_rejected(place: Place, looked_at: Collection[str], rejected: Sequence[Rejected]) -> None:
    """Updates `rejected.csv`, in the lock of the archive.

    Args:
        place: Place of the archive.
        looked_at: Names of all files that were looked at; the lines of others stay.
        rejected: Files that are not in the archive.

    Raises:
        ArchiveError: If it cannot be written.
    """
    rows = _read(place, "rejected.csv")
    kept = [row for row in rows or () if row.get("file") and row["file"] not in looked_at]
    if rows is None and not rejected:
        return
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    fresh = [{"file": file, "reason": reason, "at": now} for file, reason in rejected]
    place.write("rejected.csv", _as_csv(["file", "reason", "at"], [*kept, *fresh]))


def write_unmatched(place: Place, rows_without_photo: Sequence[str], photos_without_row: Sequence[str]) -> None:
    """Writes `unmatched.csv`, in the lock of the archive; that of the ingest before is kept under the next free number.

    Args:
        place: Place of the archive.
        rows_without_photo: Names in the CSV that match no photo.
        photos_without_row: Photos without a row in the CSV.

    Raises:
        ArchiveError: If it cannot be written.
    """
    lists = {"no photo": rows_without_photo, "no row": photos_without_row}
    rows = [{"file": name, "missing": missing} for missing, names in lists.items() for name in names]
    try:
        data = place.read("unmatched.csv")
    except (ArchiveError, OSError):
        data = b""
    if data.count(b"\n") > 1:
        taken = set(place.files(without=THUMBNAILS))
        number = next(each for each in count(1) if f"unmatched-{each}.csv" not in taken)
        place.write(f"unmatched-{number}.csv", data)
    place.write("unmatched.csv", _as_csv(["file", "missing"], rows))


def forget_files(place: Place, names: Collection[str], patterns: Collection[str] = ()) -> int:
    """Removes the lines on some files from all lists, in the lock of the archive.

    Args:
        place: Place of the archive.
        names: Names of the files, of which a name without folders means that in any folder.
        patterns: Names with `*` and `?`, in the same way.

    Returns:
        Number of lines.

    Raises:
        ArchiveError: If a list cannot be written.
    """
    removed = 0
    for name in list_names(place):
        rows = _read(place, name) or []
        files = pa.chunked_array([pa.array([row.get("file", "") for row in rows], pa.string())])
        gone = are_called(files, names, patterns)
        kept = [row for row, is_gone in zip(rows, gone, strict=True) if not is_gone]
        if len(kept) < len(rows):
            removed += len(rows) - len(kept)
            place.write(name, _as_csv(list(rows[0]), kept))
    return removed


def _read(place: Place, name: str) -> list[dict[str, str]] | None:
    """The rows of a list; None if it is not there."""
    try:
        text = place.read(name).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    with _FIELD_LIMIT:
        usual = csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a field is never longer than the file
        try:
            lines = csv.DictReader(io.StringIO(text, newline=""))
            return [{key: original(value) for key, value in row.items() if isinstance(value, str)} for row in lines]
        finally:
            csv.field_size_limit(usual)


def _as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    return csv_bytes([columns, *([row.get(column, "") for column in columns] for row in rows)])
