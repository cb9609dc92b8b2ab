"""The commands that take care of an archive: delete, rename, merge, split, retag, undo, compact, check, log."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from typing import Any

from segmodels.archive import care
from segmodels.archive.changes import foreign_files, read_log
from segmodels.archive.check import check, mend
from segmodels.archive.merging import merge
from segmodels.archive.selection import Selection, parse_day, parse_tag
from segmodels.archive.store import Archive, ArchiveError
from segmodels.archive.tagging import retag
from segmodels.arguments import path_argument, place_argument
from segmodels.files import writable_name, write_whole
from segmodels.sentences import first_line, listed, visible

__all__ = ["COMMANDS", "add_commands", "run_command", "user"]

COMMANDS = ("delete-photos", "delete", "rename", "merge", "split", "retag", "undo", "compact", "check", "log")

_NAMED = 5


def add_commands(commands: Any) -> None:
    """Adds the commands to a parser.

    Args:
        commands: What `add_subparsers` gives.
    """
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("archive", type=place_argument, metavar="ARCHIVE", help="folder or URI of the archive")
    photos = commands.add_parser("delete-photos", parents=[place], help="delete photos from an archive")
    photos.add_argument("--id", action="append", default=[], metavar="ID", help="id of a photo; may be repeated")
    photos.add_argument(
        "--file", action="append", default=[], metavar="NAME", help="file name, or a pattern with * and ?; repeatable"
    )
    photos.add_argument("--tag", action="append", default=[], metavar="TAG=VALUE", help="a tag; repeatable")
    photos.add_argument("--since", metavar="DAY", help="first day, such as 2024-03-31")
    photos.add_argument("--until", metavar="DAY", help="last day, included")
    photos.add_argument(
        "--for-good", action="store_true", help="a privacy request: at once, everywhere, without undo, with a receipt"
    )
    photos.add_argument(
        "--receipt", type=path_argument, metavar="FILE", help="where to write the receipt; else it is shown"
    )
    photos.add_argument("--confirm", metavar="DELETE", help="the word DELETE, instead of being asked for it")
    delete = commands.add_parser("delete", parents=[place], help="delete a whole archive, for good")
    delete.add_argument("--confirm", metavar="NAME", help="name of the archive, instead of being asked for it")
    rename = commands.add_parser("rename", parents=[place], help="give an archive another name or place")
    rename.add_argument(
        "target", type=place_argument, metavar="NEW", help="new name in the same folder, or a path, or a URI"
    )
    merge = commands.add_parser("merge", parents=[place], help="add another archive's photos; that one stays")
    merge.add_argument("other", type=place_argument, metavar="OTHER", help="folder or URI of the other archive")
    split = commands.add_parser(
        "split", parents=[place], help="make an archive for each value of a tag; this one stays"
    )
    split.add_argument("--tag", required=True, metavar="TAG", help="the tag, such as market")
    split.add_argument(
        "--into", type=place_argument, metavar="FOLDER", help="folder of the new archives; that of this one if left out"
    )
    tags = commands.add_parser("retag", parents=[place], help="give photos the dates and tags of a CSV")
    tags.add_argument(
        "csv", type=path_argument, metavar="CSV", help="as for ingest: a column file_name, dates, and any tags"
    )
    tags.add_argument("--encoding", metavar="NAME", help="encoding of the CSV; found out if left out")
    tags.add_argument("--dates", choices=["day-first", "month-first"], help="what 03/04/2024 means in the CSV")
    commands.add_parser("undo", parents=[place], help="undo the last deletion, new tags, merge or mending")
    commands.add_parser("compact", parents=[place], help="make few large parts of many small ones")
    checked = commands.add_parser("check", parents=[place], help="look for damage and say what can be saved")
    checked.add_argument("--mend", action="store_true", help="put what can be saved in the place of damaged parts")
    log = commands.add_parser("log", parents=[place], help="show what was done to an archive, the newest first")
    log.add_argument("--json", action="store_true", help="one JSON object a line, with the receipts of deletions")


def run_command(parsed: argparse.Namespace, archive: Archive) -> int:
    """Runs one of `COMMANDS`: 0 if all went well, 1 if something failed, 2 if the word was not typed.

    Raises:
        ArchiveError: If it cannot be done.
        OSError: If a file cannot be read or written.
    """
    command = parsed.command
    if command == "delete-photos":
        return _delete_photos(parsed, archive)
    if command == "delete":
        return _delete(parsed, archive)
    if command == "check":
        return _check(archive, mending=parsed.mend)
    if command == "log":
        return _log(archive, as_json=parsed.json)
    if command == "rename":
        target = Archive(_beside(archive, parsed.target))
        care.rename(archive, target, user())
        print(f"The archive is now {target.place.location}.")
    elif command == "merge":
        print(f"{merge(archive, Archive(parsed.other), user())} {parsed.other} stays as it is.")
    elif command == "split":
        _split(parsed, archive)
    elif command == "retag":
        _retag(parsed, archive)
    elif command == "undo":
        undone = care.undo(archive, user())
        print(f"Undone: {undone}.")
    else:
        before, after = care.compact(archive, user())
        print(f"{before:,} parts became {after:,}." if before != after else "Nothing to join.")
    return 0


def user() -> str:
    """Name of who runs the command; empty if the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _delete_photos(parsed: argparse.Namespace, archive: Archive) -> int:
    selection = Selection(
        parsed.id,
        parsed.file,
        list(map(parse_tag, parsed.tag)),
        parse_day(parsed.since) if parsed.since else None,
        parse_day(parsed.until) if parsed.until else None,
    )
    if selection.is_empty:
        raise ArchiveError("Choose which photos to delete: by --file, --tag, --since, --until or --id.")
    matches = care.find_photos(archive, selection)
    if not matches.photos and not parsed.for_good:
        raise ArchiveError(f"No photo of {archive.place.name} meets these conditions. Nothing was deleted.")
    more = f" and {matches.photos - len(matches.names):,} more" if matches.photos > len(matches.names) else ""
    print(
        f"{matches.photos:,} photos: {visible(', '.join(map(str, matches.names)))}{more}"
        if matches.photos
        else "No photo in use meets these conditions."
    )
    what = (
        "for good (there is no undo, and the undo of earlier changes ends)"
        if parsed.for_good
        else "(undo brings them back)"
    )
    if not _confirmed(parsed.confirm, "DELETE", f"delete them {what}"):
        return 2
    watched = sys.stderr.isatty()

    def progress(share: float) -> None:
        if watched:
            end = "\n" if share == 1 else ""
            print(f"\r{share:4.0%} of the parts that hold them are written anew", end=end, file=sys.stderr, flush=True)

    deleted = care.delete_photos(archive, selection, for_good=parsed.for_good, by=user(), progress=progress)
    print(deleted)
    if deleted.receipt:
        if parsed.receipt:
            try:
                write_whole(parsed.receipt, deleted.receipt_bytes().decode())
            except OSError as error:
                print(
                    f"The receipt cannot be written to {parsed.receipt}: {first_line(error)}. The photos are deleted; "
                    "log --json shows the receipt.",
                    file=sys.stderr,
                )
                return 1
            print(f"The receipt is in {parsed.receipt}, and in the log of the archive.")
        else:
            print(deleted.receipt_bytes().decode(), end="")
    return 0


def _delete(parsed: argparse.Namespace, archive: Archive) -> int:
    name = archive.place.name
    if not _confirmed(parsed.confirm, name, f"delete {archive.place.location} for good"):
        return 2
    rows = care.delete_archive(archive)
    print(f"{archive.place.location} is deleted, with {rows:,} rows.")
    if foreign := foreign_files(archive.place):
        print(f"Files there that are not the archive's own stay: {listed(foreign, _NAMED)}.")
    return 0


def _confirmed(given: str | None, word: str, doing: str) -> bool:
    """Whether the word was typed."""
    if given is None and sys.stdin.isatty():
        given = input(f"Type {word} to {doing}: ")
    if given == word:
        return True
    print(f"Nothing was deleted. To {doing}, type {word} when asked, or add --confirm {word!r}.", file=sys.stderr)
    return False


def _split(parsed: argparse.Namespace, archive: Archive) -> None:
    name = archive.place.name

    def target_of(value: str) -> Archive:
        called = f"{name} {writable_name(value)}"
        return Archive(f"{parsed.into.rstrip('/')}/{called}" if parsed.into else _beside(archive, called))

    for value, rows in care.split(archive, parsed.tag, target_of, user()).items():
        print(f"{target_of(value).place.location}: {rows:,} rows")


def _retag(parsed: argparse.Namespace, archive: Archive) -> None:
    file = parsed.csv
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ArchiveError(f"{file} cannot be read: {error.strerror}.") from None
    day_first = parsed.dates == "day-first" if parsed.dates else None
    report = retag(archive, data, file.name, encoding=parsed.encoding, day_first=day_first, by=user())
    print(report)
    for note in report.notes:
        print(note)


def _check(archive: Archive, *, mending: bool) -> int:
    health = mend(archive, user()) if mending else check(archive)
    print(health)
    for damage in health.damaged:
        print(damage, file=sys.stderr)
    for note in health.notes:
        print(note)
    if health.is_good:
        return 0
    if mending:
        print("What can be read is in new parts; undo brings the damaged ones back. Ingest the lost photos again.")
        return 0
    parts = listed([damage.part for damage in health.damaged], _NAMED)
    print(f"Restore {parts} from a backup, or run the same command with --mend.", file=sys.stderr)
    return 1


def _log(archive: Archive, *, as_json: bool) -> int:
    entries = read_log(archive.place)
    for entry in entries:
        print(json.dumps(entry.to_json(), ensure_ascii=False) if as_json else entry)
    if not entries:
        print(f"{archive.place.location} has no log yet.", file=sys.stderr)
    return 0 if entries else 1


def _beside(archive: Archive, target: str) -> str:
    """A path or URI as it is; a mere name stands for that name beside an archive."""
    return target if "/" in target or os.sep in target else archive.place.beside(target)
