"""`python -m segmodels.archive ingest | re-analyse | show | duplicates | make-up`, and those of two more modules."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

import segmodels.streams  # noqa: F401  # before what takes long to import
from segmodels.archive import care_commands, team_commands
from segmodels.archive.care_commands import user
from segmodels.archive.duplicates import near_duplicates
from segmodels.archive.feeds import is_feed_file, read_feed
from segmodels.archive.fetching import Fetcher, feed_name, feed_photos, fetch_feed
from segmodels.archive.ingest import Engine, Progress, Report, analyse_here, ingest, prepared, version_of
from segmodels.archive.metadata import Metadata, join, parse_metadata
from segmodels.archive.rows import photo_id
from segmodels.archive.sentences import duration
from segmodels.archive.sources import Found, find_sources, read_tables
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.archive.watch import watch
from segmodels.arguments import path_argument, place_argument, refusal
from segmodels.checkpoints.catalog import DEFAULT_MODEL
from segmodels.checkpoints.errors import CheckpointError
from segmodels.csv_text import csv_bytes
from segmodels.device import DeviceError, add_device_arguments
from segmodels.extras import missing_extra
from segmodels.inference.memory import is_out_of_memory
from segmodels.sentences import listed, visible
from segmodels.settings import read_settings
from segmodels.streams import heed_sigterm, leave_pipe, stopped_status

_SHOWN = 10
_MOST_MADE_UP = 100_000_000  # photos
_LONGEST = 86_400  # seconds: a day


def main(arguments: list[str] | None = None) -> int:
    """Runs a command: 0 if all went well, 1 if something failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="garmentscope archive", description="Turns photos into data.")
    commands = parser.add_subparsers(dest="command", required=True)
    take = commands.add_parser("ingest", help="add the photos of a folder to an archive; run it again to continue")
    take.add_argument(
        "folder",
        type=place_argument,
        metavar="FOLDER",
        help="folder of photos, at any depth; a ZIP; a URI such as s3://bucket; or a product feed, as a file or an "
        "address: a CSV with addresses of photos, an export or products.json of Shopify, or Google Merchant Center",
    )
    take.add_argument("--metadata", type=path_argument, metavar="CSV", help="dates and tags by file name")
    take.add_argument(
        "--encoding", metavar="NAME", help="encoding of the CSV, such as gbk or cp1252; found out if left out"
    )
    take.add_argument(
        "--dates",
        choices=["day-first", "month-first"],
        help="what 03/04/2024 means in the CSV; found out from its other dates if left out",
    )
    take.add_argument(
        "--thumbnails",
        action="store_true",
        help="also keep each photo at 256 and 1,024 pixels in the archive, without metadata, for the gallery of Trends",
    )
    take.add_argument(
        "--blur-heads",
        action="store_true",
        help="with --thumbnails: make heads unrecognisable in them, as far as they are found",
    )
    take.add_argument(
        "--one-row-a-product", action="store_true", help="the pictures of a product of a feed become one outfit"
    )
    take.add_argument(
        "--allow-private",
        action="store_true",
        help="also fetch photos of a feed from private addresses and from other ports",
    )
    take.add_argument(
        "--videos", action="store_true", help="also take a frame of each scene of the videos in the folder"
    )
    take.add_argument(
        "--every",
        type=float,
        metavar="SECONDS",
        help="with --videos: count a scene as another one after so long without a cut, as on a runway",
    )
    take.add_argument(
        "--watch", action="store_true", help="go on taking photos that are put into the folder, until Ctrl+C"
    )
    take.add_argument(
        "--poll",
        type=float,
        metavar="SECONDS",
        help="with --watch: look at the whole folder again and again, as network folders need",
    )
    take.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME", help="catalog name, or folder of a checkpoint")
    take.add_argument("--engine", choices=["local", "ray"], default="local", help="where the photos are analysed")
    add_device_arguments(take)
    again = commands.add_parser(
        "re-analyse", help="bring rows up to date that another revision of a model, its calibration or its kinds made"
    )
    again.add_argument("archive", type=place_argument, metavar="ARCHIVE", help="folder or URI of the archive")
    again.add_argument(
        "--photos", type=place_argument, metavar="FOLDER", required=True, help="folder of its photos, as for ingest"
    )
    again.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME", help="catalog name, or folder of a checkpoint")
    again.add_argument("--all", action="store_true", help="analyse the photos of all rows of the model again")
    add_device_arguments(again)
    show = commands.add_parser("show", help="show what an archive contains")
    duplicates = commands.add_parser("duplicates", help="list near-duplicates: one photo in several files")
    duplicates.add_argument("--csv", action="store_true", help="write a CSV, one photo a line")
    similar = commands.add_parser("similar", help="list the outfits that look most like a photo's")
    similar.add_argument("archive", metavar="ARCHIVE", help="folder or URI of the archive")
    similar.add_argument(
        "photo", type=place_argument, metavar="PHOTO", help="file name or id of a photo in the archive, or its file"
    )
    similar.add_argument("--person", type=int, default=1, metavar="N", help="which person of the photo (default: 1)")
    similar.add_argument("--number", type=int, default=12, metavar="N", help="most outfits (default: 12)")
    similar.add_argument("--csv", action="store_true", help="write a CSV, one outfit a line")
    make_up = commands.add_parser("make-up", help="write an archive of made-up photos with planted trends")
    make_up.add_argument("photos", metavar="N", type=int)
    make_up.add_argument("--seed", type=int, default=0)
    for command in (take, make_up):
        command.add_argument(
            "--archive", type=place_argument, required=True, metavar="DIR", help="folder or URI of the archive"
        )
    for command in (show, duplicates):  # with or without the option, as all commands on an archive that is there
        place = command.add_mutually_exclusive_group(required=True)
        place.add_argument(
            "place", nargs="?", type=place_argument, metavar="ARCHIVE", help="folder or URI of the archive"
        )
        place.add_argument("--archive", type=place_argument, metavar="DIR", help="the same")
    care_commands.add_commands(commands)
    team_commands.add_commands(commands)
    parsed = parser.parse_args(arguments)
    if parsed.command == "similar" and not (parsed.number >= 1 and parsed.person >= 1):
        parser.error("--number and --person must be at least 1")
    if parsed.command == "make-up" and not 1 <= parsed.photos <= _MOST_MADE_UP:
        parser.error(f"N must be from 1 to {_MOST_MADE_UP:,}")
    if parsed.command == "make-up" and not 0 <= parsed.seed < 2**63:
        parser.error("the seed must be a number from 0 to 9223372036854775807")
    if parsed.command == "ingest" and parsed.poll is not None and not (parsed.watch and 0 < parsed.poll <= _LONGEST):
        parser.error(f"--poll is a number of seconds above 0 and up to {_LONGEST}, and goes with --watch")
    if parsed.command == "ingest" and parsed.blur_heads and not parsed.thumbnails:
        parser.error("--blur-heads goes with --thumbnails")
    if parsed.command == "ingest" and parsed.every is not None and not (parsed.videos and 0 < parsed.every <= _LONGEST):
        parser.error(f"--every is a number of seconds above 0 and up to {_LONGEST}, and goes with --videos")
    if parsed.command == "ingest" and parsed.engine == "ray" and (problem := missing_extra("ray", "ray")):
        print(problem, file=sys.stderr)
        return 2
    try:
        with heed_sigterm():
            status = _run(parsed, Archive(parsed.archive or parsed.place))
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        return leave_pipe()
    except KeyboardInterrupt:
        print("\nStopped. What is done so far is in the archive; run the same command to continue.", file=sys.stderr)
        return stopped_status()
    except (ArchiveError, CheckpointError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        print(refusal(error), file=sys.stderr)
        return 1


def _run(parsed: argparse.Namespace, archive: Archive) -> int:
    if parsed.command in care_commands.COMMANDS:
        return care_commands.run_command(parsed, archive)
    if parsed.command in team_commands.COMMANDS:
        return team_commands.run_command(parsed, archive)
    if parsed.command == "show":
        return _show(archive)
    if parsed.command == "duplicates":
        return _duplicates(archive, as_csv=parsed.csv)
    if parsed.command == "similar":
        return _similar(archive, parsed)
    if parsed.command == "make-up":
        from segmodels.archive.synthetic import make_archive

        made = make_archive(archive, parsed.photos, parsed.seed)
        print(f"{made:,} made-up {'photo' if made == 1 else 'photos'} added.")
        return 0
    return _reanalyse(parsed, archive) if parsed.command == "re-analyse" else _ingest(parsed, archive)


def _ingest(arguments: argparse.Namespace, archive: Archive) -> int:
    csv_file = arguments.metadata
    day_first = arguments.dates == "day-first" if arguments.dates else None
    reading: dict[str, Any] = {"encoding": arguments.encoding, "day_first": day_first}
    try:
        metadata = parse_metadata(csv_file.read_bytes(), csv_file.name, **reading) if csv_file else None
    except OSError as error:
        raise ArchiveError(f"{csv_file} cannot be read: {error.strerror}.") from None
    found = Found([], [])
    if not arguments.watch:
        found, metadata = _what_to_take(arguments, metadata, reading)
    from segmodels.checkpoints.catalog import load_segmenter

    segmenter = load_segmenter(arguments.model, arguments.device, precision=arguments.precision)
    version = version_of(segmenter)
    engine: Engine = partial(analyse_here, segmenter)
    if arguments.engine == "ray":
        from segmodels.archive.cluster import analyse_on_ray

        engine = partial(
            analyse_on_ray, arguments.model, version, device=arguments.device, precision=arguments.precision
        )

    def take(found: Found, metadata: Metadata | None) -> Report:
        line = _ProgressLine()
        blur = segmenter.taxonomy if arguments.blur_heads else None
        whole = prepared(engine, found, archive, version, thumbnails=arguments.thumbnails, blur=blur)
        try:
            report = ingest(found, archive, version, whole, metadata, line.show, segmenter.taxonomy, user())
        finally:
            line.end()
        _print(report, archive, metadata)
        return report

    if not arguments.watch:
        return 1 if take(found, metadata).rejected else 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service that is stopped
    print(f"Watching {arguments.folder}. Stop with Ctrl+C.", flush=True)

    def take_some(found: Found) -> None:
        take(found, _matching(csv_file, found, reading))
        sys.stdout.flush()

    watch(Path(arguments.folder), take_some, poll=arguments.poll)
    return 0


def _matching(csv_file: Path | None, found: Found, reading: Mapping[str, Any]) -> Metadata | None:
    """The rows of a CSV that belong to some photos, as the CSV is now."""
    if csv_file is None:
        return None
    metadata = parse_metadata(csv_file.read_bytes(), csv_file.name, **reading)
    metadata.entries = list(join(metadata, [source.name for source in found.sources]).entries.values())
    return metadata


def _what_to_take(
    arguments: argparse.Namespace, metadata: Metadata | None, reading: Mapping[str, Any]
) -> tuple[Found, Metadata | None]:
    """The photos of a folder, a ZIP, a URI or a feed, and the rows that belong to them."""
    place = arguments.folder
    address = place.lower().startswith(("http://", "https://"))
    if not address and not (is_feed_file(place) and Path(place).is_file()):
        found = find_sources(place)
        metadata = read_tables(found, metadata, **reading)
        if arguments.videos:
            from segmodels.archive.video import with_videos

            found, frames = with_videos(found, Path(place), arguments.every)
            if frames and metadata:
                metadata.entries += frames.entries
            metadata = metadata or frames
        return found, metadata
    if metadata:
        raise ArchiveError(f"{place} is a feed, which has its own dates and tags. Leave out --metadata.")
    anywhere = arguments.allow_private or read_settings().private_feeds
    data = fetch_feed(place, anywhere=anywhere) if address else Path(place).read_bytes()
    name = feed_name(place) if address else Path(place).name
    feed = read_feed(data, name, **reading)
    if feed is None:
        raise ArchiveError(
            f"{place} has no column of addresses of photos. To give dates and tags to photos, name their folder and "
            f"add --metadata {place}."
        )
    print(feed)
    found = feed_photos(feed, Fetcher(anywhere=anywhere), as_outfits=arguments.one_row_a_product)
    return found, feed.metadata


def _reanalyse(arguments: argparse.Namespace, archive: Archive) -> int:
    found = find_sources(arguments.photos)
    from segmodels.archive.renewal import fitted_of, renew
    from segmodels.checkpoints.catalog import load_segmenter

    segmenter = load_segmenter(arguments.model, arguments.device, precision=arguments.precision)
    checkpoint = segmenter.checkpoint
    line = _ProgressLine()
    try:
        renewal = renew(
            found,
            archive,
            version_of(segmenter),
            partial(analyse_here, segmenter),
            segmenter.taxonomy,
            gives=fitted_of(checkpoint),
            everything=arguments.all,
            progress=line.show,
            by=user(),
        )
    finally:
        line.end()
    print(renewal, *renewal.explanations(), sep="\n")
    for _, reason in renewal.rejected[:_SHOWN]:
        print(f"  {reason}", file=sys.stderr)
    return 0


def _show(archive: Archive) -> int:
    failed = 0
    for version in (versions := _versions(archive)):
        try:
            with archive.reader(version) as reader:
                row = reader.query(
                    "SELECT count(*) photos, count(taken_at) dated, min(taken_at) first, max(taken_at) last,"
                    " coalesce(sum(len(outfits)), 0) outfits FROM photos"
                ).iloc[0]
                alike = int((~near_duplicates(reader)["kept"]).sum())
                left_out = reader.left_out
        except ArchiveError as error:  # the other versions are there all the same
            failed += 1
            print(f"{version}: {error}", file=sys.stderr)
            continue
        dates = (
            f", {row.dated:,} dated {row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}" if row.dated else ", no dates"
        )
        alike_too = f" ({alike:,} near-duplicate{'' if alike == 1 else 's'} of others)" if alike else ""
        photos = f"{row.photos:,} photo{'' if row.photos == 1 else 's'}"
        outfits = f"{row.outfits:,.0f} outfit{'' if row.outfits == 1 else 's'}"
        print(f"{version}: {photos}{alike_too}, {outfits}{dates}")
        for sentence in left_out:
            print(sentence, file=sys.stderr)
    return 0 if versions and not failed else 1


def _duplicates(archive: Archive, *, as_csv: bool) -> int:
    """Lists the groups of near-duplicates of each version, with the photo that counts first."""
    tables = []
    for version in (versions := _versions(archive)):
        with archive.reader(version) as reader:
            compared = int(reader.query("SELECT count(fingerprint) n FROM photos")["n"].iloc[0])
            found = near_duplicates(reader)
        if as_csv:
            tables.append(found.assign(taxonomy=version.taxonomy, model=version.model, revision=version.revision))
            continue
        if not compared:
            print(f"{version}: near-duplicates cannot be found, as the photos were added by an earlier Garmentscope.")
            continue
        count = int(found["kept"].sum())
        print(f"{version}: {count:,} group{'' if count == 1 else 's'} of near-duplicates among {compared:,} photos.")
        for row in found.to_dict("records"):
            name = row["file_name"] if row["kept"] else f"  {row['file_name']}"
            print(f"{visible(str(name))} ({row['width']:,} x {row['height']:,} pixels)")
    if tables:
        table = pd.concat(tables)
        text = csv_bytes([list(table.columns), *table.itertuples(index=False)]).decode()
        print(text.replace("\r\n", "\n"), end="")
    return 0 if versions else 1


def _similar(archive: Archive, arguments: argparse.Namespace) -> int:
    """Lists the outfits nearest to that of a photo, in the first version that has it."""
    from segmodels.archive.similar import read_looks

    photo, file = arguments.photo, Path(arguments.photo)
    if file.is_file():
        photo = photo_id(file.read_bytes())
    versions = _versions(archive)
    for version in versions:
        looks = read_looks(archive, version)
        try:
            outfit = looks.find(photo, arguments.person - 1, arguments.photo)
        except ArchiveError:
            if version == versions[-1]:
                raise
            continue
        found = looks.nearest(outfit, arguments.number)
        if arguments.csv:
            print(
                csv_bytes([list(found.columns), *found.astype(object).where(found.notna(), "").itertuples(index=False)])
                .decode()
                .replace("\r\n", "\n"),
                end="",
            )
            return 0
        print(f"By {looks.likeness(outfit)}. {looks.caution(outfit)}".rstrip(), file=sys.stderr)
        for row in found.to_dict("records"):
            print(
                f"{row['distance']:.3f}  {row['file_name']}"
                + (f", person {row['person'] + 1}" if row["person"] else "")
            )
        return 0
    return 1


def _versions(archive: Archive) -> list[Version]:
    """The versions of an archive; says so if there are none."""
    versions = archive.versions()
    if not versions:
        print(
            f"{archive.place.location} holds no archive yet. Check the path, or ingest photos into it.", file=sys.stderr
        )
    return versions


def _print(report: Report, archive: Archive, metadata: Metadata | None) -> None:
    print(
        f"{report.added:,} {'photo' if report.added == 1 else 'photos'} added, {report.known:,} there already, "
        f"{report.doubled:,} {'duplicate' if report.doubled == 1 else 'duplicates'}, "
        + (f"{report.joined:,} part of the row of another, " if report.joined else "")
        + f"{report.retagged:,} with new tags, {len(report.rejected):,} rejected. "
        f"{report.seconds:,.0f} s, {report.added / max(report.seconds, 1e-9):,.2f} new photos per second."
    )
    for note in report.notes:
        print(note)
    if metadata and metadata.ambiguous_dates:
        print("To use these dates, run the same command with --dates day-first or --dates month-first.")
    if metadata and len(metadata.encodings) > 1:
        print(f"To read the CSV in another encoding, run the same command with --encoding {metadata.encodings[1]}.")
    _list("Rows of the CSV without a photo", report.rows_without_photo)
    _list("Photos without a row in the CSV", report.photos_without_row)
    if report.rows_without_photo or report.photos_without_row:
        print(f"The full lists are in {archive.place.location}/unmatched.csv.")
    if report.rejected:
        print(f"Rejected (full list in {archive.place.location}/rejected.csv):", file=sys.stderr)
        for _, reason in report.rejected[:_SHOWN]:
            print(f"  {reason}", file=sys.stderr)
        if (more := len(report.rejected) - _SHOWN) > 0:
            print(f"  and {more:,} more", file=sys.stderr)


def _list(title: str, names: Sequence[str]) -> None:
    if names:
        print(f"{title}: {listed(names, _SHOWN)}")


class _ProgressLine:
    """A progress line on stderr: overwritten in a terminal, else a new line now and then."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._every = 0.2 if self._watched else 10.0
        self._last = time.monotonic()
        self._open = False

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < self._every and progress.done < progress.total:
            return
        self._last = now
        left = progress.seconds_left
        text = f"{progress.done:,} of {progress.total:,} photos, {progress.photos_a_second:,.1f} per second"
        text += f", {duration(left)} left" if left else ""
        text += f", {progress.rejected:,} rejected" if progress.rejected else ""
        if self._watched:
            print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._open:
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
