"""The archive on disk or in a bucket: Parquet parts, written whole, read with DuckDB.

    DIR/<taxonomy>/<model>@<revision>/<time>-<random>.parquet
    DIR/<taxonomy>/<model>@<revision>/taxonomy.json

Rows of one version, that is of one model, revision and taxonomy, share a folder and are never mixed with others'. A
taxonomy that is not in `segmodels.taxonomy.TAXONOMIES` stands there too, as `Taxonomy.to_json` gives it. Each
part appears whole and never changes, so that readers never see a mixture. New tags, and small parts that become one,
make new parts, which take the place of the old ones all at once (see `changes`). Archives of versions that had no locks
on object stores may hold two rows of a photo. A `Reader` counts each photo once all the same, and the next `Writer`
removes duplicates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pyarrow import fs

from segmodels.archive.changes import visible_parts
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.reader import Reader
from segmodels.archive.version import Version
from segmodels.archive.writer import Change, Writer, join_small_parts, retag_part
from segmodels.files import MOST_JSON_BYTES, parse_json
from segmodels.sentences import first_line
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = [
    "Archive",
    "ArchiveError",
    "Change",
    "Reader",
    "Version",
    "Writer",
    "join_small_parts",
    "retag_part",
]

_TAXONOMY_FILE = "taxonomy.json"
_MOST_CLASSES = 63  # bits of an outfit, see `rows.bits`


class Archive:
    """A folder of parts.

    Args:
        location: A path, or a URI that pyarrow knows, such as `s3://bucket/folder`. It need not be there yet.
        filesystem: File system of `location`; by default the disk, or that of the URI.

    Raises:
        ArchiveError: If the place cannot be reached.
    """

    def __init__(self, location: str | Path, filesystem: fs.FileSystem | None = None) -> None:
        self.place = Place(location, filesystem)

    def versions(self) -> list[Version]:
        """Versions of the rows in the archive.

        Raises:
            ArchiveError: If it cannot be listed.
        """
        found = set()
        for name in visible_parts(self.place):
            folders = name.split("/")
            if len(folders) == 3 and "@" in folders[1]:
                model, _, revision = folders[1].partition("@")
                found.add(Version(unquote(folders[0]), unquote(model), unquote(revision)))
        return sorted(found)

    def reader(self, version: Version | None = None) -> Reader:
        """Opens the rows of one version for reading.

        Args:
            version: Version of the rows; may be left out if there is only one.

        Raises:
            ArchiveError: If there are no such rows, or no version is given and there are several.
        """
        versions = self.versions()
        if not versions:
            raise ArchiveError(f"{self.place.location} holds no archive yet. Ingest photos into it first.")
        if version is None and len(versions) > 1:
            raise ArchiveError(
                f"{self.place.location} holds rows of several models, which are not counted together: "
                f"{'; '.join(map(str, versions))}. Choose one."
            )
        version = version or versions[0]
        if version not in versions:
            raise ArchiveError(
                f"{self.place.location} holds no rows of {version}, only of {'; '.join(map(str, versions))}."
            )
        return Reader(self.place, version)

    def taxonomy(self, version: Version) -> Taxonomy:
        """The classes of the rows of a version.

        Raises:
            ArchiveError: If they are not known here and do not stand beside the rows, or the file is damaged.
        """
        if version.taxonomy in TAXONOMIES:
            return TAXONOMIES[version.taxonomy]
        name = f"{version.folder}/{_TAXONOMY_FILE}"
        try:
            taxonomy = Taxonomy.from_json(self._taxonomy_file(name))
        except FileNotFoundError:
            raise ArchiveError(f"{version} has classes that this app does not know. Update the app.") from None
        except (OSError, ValueError) as error:
            raise ArchiveError(
                f"{self.place.location}/{name} is damaged: {first_line(error)}. Ingest a photo with {version.model} "
                "again, which writes the file anew."
            ) from None
        if taxonomy.name != version.taxonomy:
            raise ArchiveError(
                f"{self.place.location}/{name} is of {taxonomy.name}, not of {version.taxonomy}. "
                "Put the right one there."
            )
        return taxonomy

    def keep_taxonomy(self, version: Version, taxonomy: Taxonomy) -> None:
        """Writes the classes of a version beside its rows, unless `TAXONOMIES` has them.

        Args:
            version: Version of the rows.
            taxonomy: Taxonomy of the name in `version`.

        Raises:
            ArchiveError: If it has too many classes for rows, the rows of the version are of other classes, or it
                cannot be written.
        """
        if len(taxonomy) > _MOST_CLASSES:
            raise ArchiveError(
                f"{taxonomy.name} has {len(taxonomy)} classes, and the rows of an archive hold {_MOST_CLASSES} at "
                "most. Use a model with fewer classes."
            )
        if version.taxonomy in TAXONOMIES:
            return
        with self.place.lock():
            try:
                there = Taxonomy.from_json(self._taxonomy_file(f"{version.folder}/{_TAXONOMY_FILE}"))
            except (OSError, ValueError):  # none yet, or a damaged one
                there = None
            if there == taxonomy:
                return
            if there and (not there.matches(taxonomy) or there.display_order != taxonomy.display_order):
                raise ArchiveError(
                    f"{self.place.location} holds rows of {version} with other classes, groups or order. Choose "
                    "another folder, or give the taxonomy another name."
                )
            content = json.dumps(taxonomy.to_json(), indent=1, ensure_ascii=False) + "\n"
            self.place.write(f"{version.folder}/{_TAXONOMY_FILE}", content.encode())

    def _taxonomy_file(self, name: str) -> Any:
        return parse_json(self.place.read(name, MOST_JSON_BYTES).decode("utf-8"))

    def writer(self, version: Version) -> Writer:
        """Opens the archive for adding rows of one version; others may do so at the same time.

        Raises:
            ArchiveError: If it cannot be written to, or a part is damaged.
        """
        return Writer(self.place, version)
