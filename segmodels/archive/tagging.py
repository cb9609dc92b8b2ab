"""Dates and tags from a CSV for photos that are in an archive already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from segmodels.archive.changes import changing, rewriting, visible_parts
from segmodels.archive.log import LogEntry
from segmodels.archive.metadata import Metadata, join, parse_metadata, unify_tags
from segmodels.archive.parts import read_columns
from segmodels.archive.store import Archive, ArchiveError, Change, Version, retag_part
from segmodels.sentences import listed

__all__ = ["Retagged", "apply_metadata", "retag", "spelt_as_before"]

_NAMED = 3


@dataclass(frozen=True)
class Retagged:
    """What became of the rows of a CSV.

    Args:
        photos: Number of photos whose tags or date changed.
        unchanged: Number of photos with a row that have these tags and this date already.
        rows_without_photo: Names in the CSV that match no photo of the archive.
        photos_without_row: Number of photos without a row in the CSV.
        notes: Further sentences for the user.
    """

    photos: int
    unchanged: int
    rows_without_photo: list[str] = field(default_factory=list)
    photos_without_row: int = 0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        which = "1 photo has" if self.photos == 1 else f"{self.photos:,} photos have"
        text = f"{which} new tags or dates, {self.unchanged:,} had them already."
        if self.rows_without_photo:
            count = len(self.rows_without_photo)
            rows = "1 row matches" if count == 1 else f"{count:,} rows match"
            text += f" {rows} no photo: {listed(self.rows_without_photo, _NAMED)}."
        return text


def retag(
    archive: Archive,
    data: bytes,
    name: str,
    *,
    encoding: str | None = None,
    day_first: bool | None = None,
    by: str = "",
) -> Retagged:
    """Gives photos of an archive the tags and dates of a CSV, as if they were ingested again with it.

    Rows find their photos as in an ingest, by the names that the photos had. The tags of a row replace all tags that
    its photo has; its date replaces the one that the photo has, if the row has one. Photos without a row stay as they
    are. The change can be undone until the next one.

    Args:
        archive: The archive.
        data: The CSV.
        name: Name of the CSV, for messages.
        encoding: Encoding of the CSV, by Python's name; found out if left out.
        day_first: Whether `03/04/2024` is 3 April; found out from the other dates if left out.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If the file is no such CSV, matches no photo, or the archive cannot be read or written; then
            nothing has changed.
    """
    return apply_metadata(archive, parse_metadata(data, name, encoding=encoding, day_first=day_first), by)


def apply_metadata(archive: Archive, metadata: Metadata, by: str = "") -> Retagged:
    """`retag` with a CSV that is read already.

    Args:
        archive: The archive.
        metadata: Rows of the CSV.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If no row matches a photo, or the archive cannot be read or written; then nothing has changed.
    """
    place = archive.place
    versions = archive.versions()
    if not versions:
        raise ArchiveError(f"{place.location} holds no archive yet. Ingest photos into it first.")
    metadata, notes = spelt_as_before(metadata, archive, versions)
    with changing(place), rewriting(place) as rewrite:
        parts = visible_parts(place)
        ids: dict[str, set[str]] = {}
        for part in parts:
            table = read_columns(place, part, ["photo_id", "file_name"])
            for key, file_name in zip(table["photo_id"].to_pylist(), table["file_name"].to_pylist(), strict=True):
                ids.setdefault(file_name or "", set()).add(key)
        joined = join(metadata, list(ids))
        notes += [*metadata.notes, *joined.notes]
        if several := [file_name for file_name in joined.entries if len(ids[file_name]) > 1]:
            notes.append(f"Several photos are called {listed(several, _NAMED)}: their rows were not used.")
        changes = {
            key: Change(entry.tags, entry.taken_at, entry.precision)
            for file_name, entry in joined.entries.items()
            if len(ids[file_name]) == 1
            for key in ids[file_name]
        }
        if not changes:
            names = listed([entry.name for entry in metadata.entries], _NAMED)
            raise ArchiveError(
                f"No row of the CSV matches a photo of the archive. Its rows name {names}. "
                f"The photos of the archive are called {listed(list(ids), _NAMED)}."
                if metadata.entries
                else "The CSV has no row. Nothing was changed."
            )
        changed: set[str] = set()
        for part in parts:
            changed |= retag_part(rewrite, place, part, changes)
        if changed:
            details = {"photos": len(changed), "rows_without_photo": len(joined.without_photo)}
            rewrite.commit(LogEntry("retag", by, details), keep=True)
    return Retagged(
        len(changed),
        len(changes) - len(changed),
        joined.without_photo,
        sum(map(len, ids.values())) - len(changes),
        notes,
    )


def spelt_as_before(metadata: Metadata, archive: Archive, versions: Sequence[Version]) -> tuple[Metadata, list[str]]:
    """The rows with the tags of the archive where they differ in case alone, and a sentence on that.

    Args:
        metadata: The rows.
        archive: The archive.
        versions: Versions whose tags are looked at; those that are not there are passed over.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for version in set(versions).intersection(archive.versions()):
        with archive.reader(version) as reader:
            found = reader.query(
                "SELECT key, value, count(*) n FROM (SELECT unnest(map_entries(tags), recursive := true) FROM photos) "
                "GROUP BY ALL ORDER BY n DESC, key, value"
            )
        for key, value, number in zip(found["key"], found["value"], found["n"], strict=True):
            counts[str(key), str(value)] += int(number)
    known: dict[str, list[str]] = {}
    for (key, value), _ in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        known.setdefault(key, []).append(value)
    entries, changed = unify_tags(metadata.entries, known)
    notes = [f"Tags were spelt as in the archive: {listed(changed, _NAMED)}."] if changed else []
    return replace(metadata, entries=entries), notes
