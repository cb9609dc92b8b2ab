"""Care of archives: photos deleted, archives split, renamed and deleted, parts joined, the last change undone.

Each function takes the lock of the archive, and is done as a whole or not at all, also if the process is killed
(`segmodels.archive.changes`). What is done is in the archive's log, without names of photos.
"""

from __future__ import annotations

import errno
import json
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmodels.archive.changes import (
    ALERTS,
    MOVING,
    SHOWS,
    VIEWS,
    WEBHOOK,
    changing,
    is_removed,
    kept_parts,
    note,
    read_log,
    remove_everything,
    rewriting,
    settle,
    stray_thumbnails,
    sweep_thumbnails,
    take_back,
    visible_parts,
)
from segmodels.archive.lists import forget_files, list_names
from segmodels.archive.log import LogEntry
from segmodels.archive.parts import chosen_rows, look_of, opened, read_columns
from segmodels.archive.place import Place
from segmodels.archive.selection import COLUMNS, Selection, chosen
from segmodels.archive.store import Archive, ArchiveError, Version, join_small_parts
from segmodels.archive.thumbnails import (
    THUMBNAILS,
    copy_thumbnails,
    has_thumbnails,
    is_photo_id,
    remove_thumbnails,
)

__all__ = [
    "Deleted",
    "Matches",
    "NoPhotoError",
    "add_rows",
    "compact",
    "delete_archive",
    "delete_photos",
    "find_photos",
    "must_exist",
    "rename",
    "split",
    "tag_values",
    "undo",
]


_MOVED = (".owner", ".sharing.json", SHOWS, WEBHOOK, *ALERTS)  # files that go with an archive to another place


class NoPhotoError(ArchiveError):
    """A selection that chooses no photo."""


@dataclass(frozen=True)
class Matches:
    """Photos that a selection chooses.

    Args:
        photos: Number of photos.
        rows: Number of rows: a photo that several models analysed has several.
        names: File names of the first ones.
        ids: Ids of the photos with these names.
    """

    photos: int
    rows: int
    names: Sequence[str]
    ids: Sequence[str]


@dataclass(frozen=True)
class Deleted:
    """What was deleted.

    Args:
        photos: Number of photos.
        rows: Number of their rows, one for each model.
        receipt: The receipt of a privacy request, as in the log; None if the photos can be brought back.
    """

    photos: int
    rows: int
    receipt: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        photos = "1 photo" if self.photos == 1 else f"{self.photos:,} photos"
        return f"{photos} deleted{', for good' if self.receipt else ''}."

    def receipt_bytes(self) -> bytes:
        """The receipt as JSON in UTF-8."""
        return (json.dumps(self.receipt, indent=1, ensure_ascii=False) + "\n").encode()


def find_photos(archive: Archive, selection: Selection, names: int = 5) -> Matches:
    """Photos that a selection chooses; nothing is changed.

    Args:
        archive: The archive.
        selection: The conditions.
        names: Number of file names to give, at most.

    Raises:
        ArchiveError: If the archive cannot be read.
    """
    ids: set[str] = set()
    first: dict[str, str] = {}
    rows = 0
    for part in visible_parts(archive.place) if not selection.is_empty else ():
        table = read_columns(archive.place, part, selection.columns)
        found = table.filter(pa.array(chosen(table, selection)))
        rows += found.num_rows
        ids.update(found["photo_id"].to_pylist())
        shown = found.slice(0, names)
        first |= dict(zip(shown["photo_id"].to_pylist(), shown["file_name"].to_pylist(), strict=True))
    keys = list(first)[:names]
    return Matches(len(ids), rows, [first[key] or "" for key in keys], keys)


def delete_photos(
    archive: Archive,
    selection: Selection,
    *,
    for_good: bool = False,
    by: str = "",
    progress: Callable[[float], None] | None = None,
) -> Deleted:
    """Deletes the rows of photos, of all models: garments, class maps, tags, dates and fingerprints.

    They can be brought back with `undo` until the next change, but for their thumbnails, which go at once. If they are
    deleted for good, nothing is left of them in the archive: the copy for undo goes too, with what it holds of earlier
    changes, and so do their lines in the lists of rejected and unmatched files, also of files that are no photo of the
    archive, if they are chosen by name alone. Thumbnails that belong to no photo go as well.

    Args:
        archive: The archive.
        selection: Which photos.
        for_good: Whether this is a privacy request.
        by: Who does it, for the log.
        progress: Function that is called with the share of the parts that are written anew, 0 to 1.

    Raises:
        NoPhotoError: If no photo meets the conditions.
        ArchiveError: If no condition is given, or the archive cannot be read or written. The photos count then as
            before, unless it says otherwise; what is to be deleted for good may have lost thumbnails and lines in the
            lists, and can be deleted again. Also if photos are being added to an archive from which some are to be
            deleted for good.
    """
    if selection.is_empty:
        raise ArchiveError("Choose which photos to delete: by file name, tag, date or id.")
    place = archive.place
    _must_be_there(archive)
    ids: set[str] = set()
    names: set[str] = set()
    kept: dict[str, np.ndarray] = {}
    rows = parts = 0
    with _alone(archive) if for_good else nullcontext(), changing(place), rewriting(place) as rewrite:
        copies = kept_parts(place) if for_good else []
        for part in [*visible_parts(place), *copies]:
            table = _to_choose_from(place, part, selection, for_good=for_good)
            if table is None:
                continue
            gone = chosen(table, selection)
            if not gone.any():
                continue
            here = table.filter(pa.array(gone))
            ids.update(here["photo_id"].to_pylist())
            names.update(name for name in here["file_name"].to_pylist() if name)
            rows, parts = rows + here.num_rows, parts + 1
            if part not in copies:
                kept[part] = ~gone
        rewrite.keep(kept, progress)
        strays = stray_thumbnails(place) if for_good else []
        lines = _forget(place, selection, names) if for_good else 0
        if not (ids or lines or any(_photo_of(name) in selection.ids for name in strays)):
            raise NoPhotoError(
                f"No photo of {archive.place.name} meets these conditions. Nothing was deleted. Receipts of earlier "
                "deletions are in the log."
            )
        details: dict[str, Any] = {"photos": len(ids), "rows": rows, "parts": parts}
        if for_good:  # the receipt last: a process that is killed before leaves the rows, by which it is done again
            for name in strays:
                place.remove(name)
            thumbnails = len(strays) + _remove_thumbnails(place, ids)
            details |= {"thumbnails": thumbnails, "lines": lines, "for_good": True, "sha256": sorted(ids)}
        entry = LogEntry("delete", by, details).dated()
        rewrite.commit(entry, keep=not for_good)
        try:
            if for_good:
                settle(place)
            else:
                _remove_thumbnails(place, ids)
        except ArchiveError as error:
            left = "not all of their files" if for_good else "not all of their thumbnails"
            raise ArchiveError(
                f"The photos do not count any more, but {left} could be removed. {error} Mend the archive to remove "
                "what is left."
            ) from error
    if not for_good:
        return Deleted(len(ids), rows)
    return Deleted(len(ids), rows, {"archive": archive.place.name, **entry.to_json()})


def delete_archive(archive: Archive) -> int:
    """Deletes an archive with all its files, its log among them; there is no undo.

    Returns:
        Number of rows that it had.

    Raises:
        ArchiveError: If there is none, photos are being added to it, or a file cannot be removed. In the last case the
            archive does not count any more, and what is left goes with the next attempt. Files in its folder that are
            not its own stay; `changes.foreign_files` names them.
    """
    must_exist(archive)
    with _alone(archive), changing(archive.place):
        rows = sum(map(partial(_rows, archive.place), visible_parts(archive.place)))
        _remove(archive.place)
    archive.place.remove_folder()
    return rows


def rename(archive: Archive, target: Archive, by: str = "") -> None:
    """Gives an archive another place, with its log and its lists.

    On one disk the folder is renamed. Otherwise the rows are copied, and the old archive is deleted once the new one is
    complete, but for files that are not its own; if the process is killed before, do it again.

    Args:
        archive: The archive.
        target: The new place, in which there is nothing yet.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If there is no archive, something is in the new place, photos are being added to the archive, or
            it cannot be written.
    """
    must_exist(archive)
    entry = LogEntry("rename", by, {"from": archive.place.name, "to": target.place.name}).dated()
    with _alone(archive), changing(archive.place):
        if _was_copied(archive.place, target):
            _remove(archive.place)
        elif _exists(target):
            raise ArchiveError(f"{target.place.name} exists already. Choose another name. Nothing was changed.")
        elif _move(archive.place, target.place):
            note(target.place, entry)
        else:
            archive.place.write(MOVING, _moving(archive.place, entry.id))
            _copy(archive, target, entry)
            _remove(archive.place)
    archive.place.remove_folder()


def split(archive: Archive, tag: str, target_of: Callable[[str], Archive], by: str = "") -> dict[str, int]:
    """Makes a new archive for each value of a tag; the archive itself stays as it is.

    If it was stopped, do it again: archives that it made already are passed over.

    Args:
        archive: The archive.
        tag: Tag by which it is split; photos without it are in none of the new archives.
        target_of: Gives the new archive for a value.
        by: Who does it, for the log.

    Returns:
        Number of rows of each value.

    Raises:
        ArchiveError: If no photo has the tag, two values would share a place, or another archive is in one.
    """
    values = tag_values(archive, tag)
    if not values:
        raise ArchiveError(f"No photo of {archive.place.name} has the tag {tag!r}. Choose another one.")
    targets = {value: target_of(value) for value in values}
    if len({_one_name(target.place.location) for target in targets.values()}) < len(targets):
        raise ArchiveError(f"Two values of {tag!r} would share a name. Give them values that differ in more.")
    entries = {
        value: LogEntry("split", by, {"from": archive.place.name, "tag": tag, "value": value}) for value in values
    }
    missing = [value for value in values if not _was_made(targets[value], entries[value])]
    for value in missing:
        if _exists(targets[value]):
            raise ArchiveError(f"{targets[value].place.name} exists already. Rename or delete it. Nothing was changed.")
    for value in missing:
        selection = Selection(tags=[(tag, value)])
        add_rows(targets[value], archive, entries[value], partial(chosen, selection=selection))
    return values


def tag_values(archive: Archive, tag: str) -> dict[str, int]:
    """Number of rows with each value of a tag, the most frequent first."""
    counts: dict[str, int] = {}
    for part in visible_parts(archive.place):
        tags = read_columns(archive.place, part, ["tags"])["tags"]
        found = pc.value_counts(pc.map_lookup(tags, pa.scalar(tag), "first"))
        for each in found.to_pylist():
            if each["values"] is not None:
                counts[each["values"]] = counts.get(each["values"], 0) + each["counts"]
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def compact(archive: Archive, by: str = "") -> tuple[int, int]:
    """Makes few large parts of many small ones, which are read faster.

    Args:
        archive: The archive.
        by: Who does it, for the log.

    Returns:
        Number of parts before and after.

    Raises:
        ArchiveError: If a part cannot be read or written; then nothing has changed.
    """
    place = archive.place
    must_exist(archive)
    with changing(place), rewriting(place) as rewrite:
        before = visible_parts(place)
        for version in archive.versions():
            join_small_parts(rewrite, place, visible_parts(place, version.folder), 2)
        if rewrite.is_begun:
            rewrite.commit(LogEntry("compact", by, {"parts": len(before)}))
        return len(before), len(visible_parts(place))


def undo(archive: Archive, by: str = "") -> LogEntry:
    """Undoes the last change, if it was a deletion, a merge or new tags.

    Args:
        archive: The archive.
        by: Who does it, for the log.

    Returns:
        Entry of the change that was undone.

    Raises:
        ArchiveError: If there is nothing to undo.
    """
    _must_be_there(archive)
    with changing(archive.place):
        undone = take_back(archive.place, by)
    with suppress(ArchiveError):  # those of photos that a merge added; the next ingest or mending removes what is left
        sweep_thumbnails(archive.place)
    return undone


def add_rows(
    target: Archive, source: Archive, entry: LogEntry, choose: Callable[[pa.Table], np.ndarray] | None = None
) -> int:
    """Adds rows of an archive to another, without those that it has, all at once.

    Args:
        target: Archive that gets the rows.
        source: Archive that has them.
        entry: Entry for the log, to which their number is added.
        choose: Function that gives which rows of a part are wanted, bool `(rows,)`; all if left out.

    Returns:
        Number of rows that were added.

    Raises:
        ArchiveError: If one of the archives cannot be read or written; then nothing has changed.
    """
    added = 0
    for version in source.versions():
        target.keep_taxonomy(version, source.taxonomy(version))
    with changing(target.place), rewriting(target.place) as rewrite:
        is_new = not visible_parts(target.place)
        for version in source.versions():
            known = [_ids(read_columns(target.place, part, ["photo_id"])) for part in _parts(target, version)]
            for part in _parts(source, version):
                table = read_columns(source.place, part, COLUMNS)
                ids = _ids(table)
                wanted = choose(table) if choose else np.ones(len(ids), bool)
                wanted &= ~pc.is_in(ids, pa.chunked_array(known, ids.type)).to_numpy(False)
                wanted[np.setdiff1d(np.arange(len(ids)), _first(ids))] = False
                if wanted.any():
                    known.append(new := ids.filter(pa.array(wanted)))
                    copy_thumbnails(source.place, target.place, new.to_pylist())
                    added += int(wanted.sum())
                    if wanted.all():
                        rewrite.copy(part, source.place)
                    else:
                        rewrite.write(version.folder, chosen_rows(source.place, part, wanted))
        if rewrite.is_begun or entry.what != "merge":  # a merge of nothing ends no undo
            rewrite.commit(replace(entry, details={**(entry.details or {}), "rows": added}), keep=not is_new)
    return added


def _ids(table: pa.Table) -> pa.LargeStringArray:
    return table["photo_id"].cast(pa.large_string()).combine_chunks()


def _first(ids: pa.LargeStringArray) -> np.ndarray:
    """Place of the first row of each id, int64 `(ids,)`."""
    first: np.ndarray = np.unique(ids.dictionary_encode().indices.to_numpy(zero_copy_only=False), return_index=True)[1]
    return first


def _copy(source: Archive, target: Archive, entry: LogEntry) -> None:
    """Copies an archive with its lists and its log."""
    lists = list_names(source.place)
    for name in source.place.files(without=THUMBNAILS):
        if name in _MOVED or name in lists or name.startswith(("log/", f"{VIEWS}/")):
            target.place.write(name, source.place.read(name))
    add_rows(target, source, entry)


def _move(old: Place, new: Place) -> bool:
    """Renames the folder of an archive; False if the two are not on one disk.

    Raises:
        ArchiveError: If it cannot be renamed.
    """
    if old.local is None or new.local is None:
        return False
    try:
        new.local.parent.mkdir(parents=True, exist_ok=True)
        old.local.rename(new.local)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise ArchiveError(f"{new.name} exists already. Choose another name. Nothing was changed.") from None
        raise ArchiveError(f"{old.location} cannot be renamed: {error.strerror}. Nothing was changed.") from error
    return True


@contextmanager
def _alone(archive: Archive) -> Iterator[None]:
    """Makes sure that nobody adds photos to an archive.

    Raises:
        ArchiveError: If somebody does.
    """
    with archive.place.lock(".ingest", wait=False) as alone:
        if not alone:
            raise ArchiveError(f"Photos are being added to {archive.place.name}. Wait until that is done, or stop it.")
        yield


def _was_made(target: Archive, entry: LogEntry) -> bool:
    """Whether an archive was made by the same action before, according to its log."""
    wanted = (entry.details or {}).items()
    return _exists(target) and any(
        each.what == entry.what and wanted <= (each.details or {}).items() for each in read_log(target.place)
    )


def _moving(place: Place, move: str) -> bytes:
    """What stands in an archive that is copied to another place: the id of that, and the parts that count."""
    return "\n".join([move, *visible_parts(place)]).encode()


def _was_copied(place: Place, target: Archive) -> bool:
    """Whether an archive is whole in another place already, of a move that was stopped before the old one went."""
    try:
        said = place.read(MOVING)
    except OSError:
        return False
    move = said.decode("utf-8", "replace").partition("\n")[0]
    copied = _exists(target) and any(each.id == move for each in read_log(target.place))
    return copied and said == _moving(place, move)


def _one_name(location: str) -> str:
    """What two locations share that are one on some disk."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", location).casefold())


def _to_choose_from(place: Place, part: str, selection: Selection, *, for_good: bool) -> pa.Table | None:
    """The rows of a part or a copy of one for `chosen`; None for a damaged copy, which goes in any case.

    Raises:
        ArchiveError: If it cannot be read.
    """
    try:
        return read_columns(place, part, selection.columns)
    except ArchiveError as error:
        if not (for_good and _is_damage(error)):
            raise
        if part.endswith(".parquet"):
            raise ArchiveError(
                f"{place.location}/{part} is damaged and may hold such a photo. Mend the archive first: check it, and "
                "have what is damaged replaced."
            ) from error
        return None


def _forget(place: Place, selection: Selection, names: set[str]) -> int:
    """Removes the lines of deleted files from the lists, and of those that are chosen by name; gives their number."""
    patterns = selection.patterns
    by_name = not (selection.ids or selection.tags or selection.since or selection.until)
    return forget_files(place, names.union(selection.files).difference(patterns), patterns if by_name else ())


def _is_damage(error: ArchiveError) -> bool:
    """Whether an error on reading a part will be there the next time too."""
    return isinstance(error.__cause__, Exception) and not look_of(error.__cause__).passing


def _photo_of(thumbnail: str) -> str:
    return thumbnail.rpartition("/")[2].partition("-")[0]


def _remove_thumbnails(place: Place, ids: Collection[str]) -> int:
    """Removes the thumbnails of photos; gives the number of files."""
    return remove_thumbnails(place, sorted(filter(is_photo_id, ids))) if has_thumbnails(place) else 0


def _remove(place: Place) -> None:
    remove_everything(place)
    for lock in (".alerts", ".ingest", ".lock"):  # while they are held: whoever waits for them makes new ones
        place.remove(lock)


def _rows(place: Place, part: str) -> int:
    """Number of rows of a part; none if it is damaged."""
    try:
        with opened(place, part) as file:
            return int(file.metadata.num_rows)
    except ArchiveError:
        return 0


def _exists(archive: Archive) -> bool:
    return bool(visible_parts(archive.place))


def _must_be_there(archive: Archive) -> None:
    if not archive.place.files(without=THUMBNAILS):
        raise ArchiveError(f"{archive.place.location} holds no archive yet. Check the path.")


def must_exist(archive: Archive) -> None:
    """Makes sure that there is an archive.

    Raises:
        ArchiveError: If there is none.
    """
    if not _exists(archive):
        if is_removed(archive.place):  # by a process that was killed
            with archive.place.lock():
                if is_removed(archive.place):  # still: nobody has made a new one meanwhile
                    _remove(archive.place)
            archive.place.remove_folder()
        raise ArchiveError(f"{archive.place.location} holds no archive yet. Check the path.")


def _parts(archive: Archive, version: Version) -> list[str]:
    return visible_parts(archive.place, version.folder)
