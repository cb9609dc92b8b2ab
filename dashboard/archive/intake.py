"""What files that arrive together mean: photos, with or without a table of dates and tags, the table, or a feed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segmodels.archive.feeds import Feed, is_feed_file, read_feed
from segmodels.archive.metadata import Metadata, parse_metadata
from segmodels.archive.place import ArchiveError
from segmodels.archive.sources import Found, from_uploads, is_table, read_tables
from segmodels.class_maps import is_listing

__all__ = ["Intake", "sort_files"]


@dataclass
class Intake:
    """Files that arrived together.

    Args:
        found: Photos, and tables in ZIPs.
        table: Name and content of the CSV, or of the feed, if there is one.
        feed: Pictures of the table, if it holds addresses and there is no other file; known after `read`.
    """

    found: Found
    table: tuple[str, bytes] | None = None
    feed: Feed | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no photo, nothing that was rejected and nothing to be said."""
        return not (self.found.sources or self.found.rejected or self.found.notes)

    def read(self, *, encoding: str | None = None, day_first: bool | None = None) -> Metadata | None:
        """The rows of the feed, or of the table and those in ZIPs; None if there are none.

        It may be called again with another encoding or order.

        Args:
            encoding: Encoding of the tables, by Python's name; found out if left out.
            day_first: Whether `03/04/2024` is 3 April; found out from the other dates if left out.

        Raises:
            ArchiveError: If the table is no such CSV and no feed.
        """
        reading: dict[str, Any] = {"encoding": encoding, "day_first": day_first}
        self.feed = None
        metadata = None
        if self.table:
            name, data = self.table
            if self.is_empty and not self.found.tables and (feed := read_feed(data, name, **reading)):
                self.feed = feed
                return feed.metadata
            metadata = parse_metadata(data, name, **reading)
        return read_tables(self.found, metadata, **reading)


def sort_files(files: Sequence[tuple[str, bytes]]) -> Intake:
    """Tells photos and ZIPs from the one table or feed beside them.

    Args:
        files: Name and content of each file.

    Raises:
        ArchiveError: If there are two tables or feeds, a feed that is no table has other files beside it, or a ZIP is
            damaged.
    """
    tables = [file for file in files if is_feed_file(file[0]) and not is_listing(*file)]
    if len(tables) > 1:
        raise ArchiveError(f"{tables[0][0]} and {tables[1][0]} are two tables or feeds. Keep one.")
    table = tables[0] if tables else None
    if table and not is_table(table[0]) and len(files) > 1:
        raise ArchiveError(f"{table[0]} is a feed, which brings its own photos. Send it alone.")
    return Intake(from_uploads(file for file in files if file is not table), table)
