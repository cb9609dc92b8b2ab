"""Seconds and peak memory of changes of an archive: two halves merged, photos deleted, tags, a new name: `make bench`.

The photos are made up (`segmodels.archive.synthetic`); their number is an argument, a million if left out. A second one
is the folder of an archive of so many that was made before, which is copied. Each change runs in a process of its own,
whose peak memory is given.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from segmodels.archive import care
from segmodels.archive.check import check
from segmodels.archive.merging import merge
from segmodels.archive.parts import read_columns
from segmodels.archive.selection import Selection
from segmodels.archive.similar import read_looks
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.archive.tagging import retag

DELETED = 100


def main() -> None:
    """Prints a line for each change."""
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if len(sys.argv) > 2:
            shutil.copytree(sys.argv[2], folder / "one")
        else:
            make_archive(Archive(folder / "one"), photos)
        parts = sorted((folder / "one").glob("*/*/*.parquet"))
        for part in parts[: len(parts) // 2]:
            half = folder / "half" / part.parent.relative_to(folder / "one")
            half.mkdir(parents=True, exist_ok=True)
            part.rename(half / part.name)
        table = read_columns(Archive(folder / "half").place, _first(folder / "half"), ["photo_id", "file_name"])
        near = table["photo_id"].to_pylist()[:DELETED]
        names = [f"made-up-{number:07d}.jpg" for number in range(0, photos, photos // DELETED)]
        csv = "file_name,market\n" + "".join(f"{name},West\n" for name in names)
        done: dict[str, Callable[[], object]] = {
            "Merge of two halves": lambda: merge(Archive(folder / "one"), Archive(folder / "half")),
            f"Find {DELETED} photos by name": lambda: care.find_photos(Archive(folder / "one"), Selection(files=names)),
            f"Delete {DELETED} photos of one part": lambda: care.delete_photos(
                Archive(folder / "one"), Selection(ids=near)
            ),
            "Undo": lambda: care.undo(Archive(folder / "one")),
            f"Delete {DELETED} photos of all parts": lambda: care.delete_photos(
                Archive(folder / "one"), Selection(files=names[1:])
            ),
            f"Tags of {DELETED} photos from a CSV": lambda: retag(Archive(folder / "half"), csv.encode(), "looks.csv"),
            "Rename": lambda: care.rename(Archive(folder / "one"), Archive(folder / "other")),
            "Check": lambda: check(Archive(folder / "other")),
            "Delete the archive": lambda: care.delete_archive(Archive(folder / "other")),
        }
        done = {"Read outfits, and the nearest to one": lambda: _nearest(folder / "half")} | done
        print(f"{photos:,} photos")
        for name, work in done.items():
            seconds, cpu, memory = _measured(work)
            print(f"{name:40} {seconds:7.2f} s {cpu:7.2f} s of CPU {memory / 2**30:7.2f} GiB", flush=True)


def _nearest(place: Path) -> None:
    """Reads the outfits of an archive and asks for the nearest to one; prints the seconds of the second alone."""
    archive = Archive(place)
    looks = read_looks(archive, archive.versions()[0])
    begun = time.perf_counter()
    looks.nearest(0)
    print(f"{f'Nearest of {len(looks.outfits):,} outfits':40} {time.perf_counter() - begun:7.2f} s", flush=True)


def _measured(work: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds of something, those of the processor, and the peak memory of its process in bytes."""
    forks = multiprocessing.get_context("fork")
    here, there = forks.Pipe(duplex=False)

    def run() -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        work()
        seconds = time.perf_counter() - begun, time.process_time() - cpu
        there.send((*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0))

    process = forks.Process(target=run)
    process.start()
    there.close()
    try:
        measured: tuple[float, float, float] = here.recv()
    except EOFError:
        raise SystemExit("the change failed") from None
    process.join()
    return measured


def _first(folder: Path) -> str:
    return min(part.relative_to(folder).as_posix() for part in folder.glob("*/*/*.parquet"))


if __name__ == "__main__":
    main()
