"""Load and long runs: does memory come back, and does it stay flat? `make load`, or of one alone, here sessions,
`PYTHONPATH=. python tests/load.py sessions`.

- `sessions`: 60 photos of 12 megapixels in one session, then 60 in sessions of ten that close. After they have closed
  the server's memory (RSS) is within `BACK` MB of the level after its first photo. What visitors leave is kept for a
  minute here (`GARMENTSCOPE_KEEP`): by default two hours, about 2 MB a photo of this size and 2 GB in all.
- `zip`: a ZIP of 1 GB that is uploaded on the Archive page and added. The highest memory of the server is at most
  `ZIP_SHARE` times its size above the level before.
- `ingest`: 2,500 small photos on the command line, then 10,000. The highest memory of the second is at most `FLAT` MB
  above that of the first. (Both end with what a start has not loaded: what joins parts, DuckDB for near-duplicates.)

The networks are small ones with random weights in `zip` and `ingest`: what is measured is the way, not the network.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import astronaut
from tiny_model import save_tiny
from visitors import memory, served, visitor

from segmodels.archive.store import Archive

ROOT = Path(__file__).parents[1]
BACK, ZIP_SHARE, FLAT = 200.0, 1.2, 60.0
A_SESSION = 10  # photos of a session that closes
LEFT = 200.0  # seconds from the end of a session to the reading: Streamlit keeps it for 120, then its minute begins


def main() -> int:
    """Runs what was asked for, and prints a line for each: 0 if all is within its bounds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="some of: sessions zip ingest (default: all)")
    parser.add_argument("--photos", type=int, default=60, help="photos of 12 megapixels, twice")
    parser.add_argument("--zip-mb", type=int, default=950, help="size of the ZIP; the uploader takes up to 1,000 MB")
    parser.add_argument("--small-photos", type=int, default=10_000, help="photos of the ingest")
    arguments = parser.parse_args()
    ways: dict[str, Callable[[], bool]] = {
        "sessions": lambda: _sessions(arguments.photos),
        "zip": lambda: _zip(arguments.zip_mb),
        "ingest": lambda: _ingest(arguments.small_photos),
    }
    kept = [ways[part]() for part in arguments.parts or ways]
    return 0 if all(kept) else 1


def _say(kept: bool, text: str) -> bool:
    print(f"{'kept    ' if kept else 'NOT KEPT'} {text}", flush=True)
    return kept


# --- Sessions ---------------------------------------------------------------------------------------------------------


def _sessions(photos: int) -> bool:
    portrait = Image.fromarray(astronaut()).resize((3000, 4000))  # 12 megapixels
    with served(ROOT, {"GARMENTSCOPE_KEEP": "1"}) as (port, pid):
        return asyncio.run(_visits(port, pid, portrait, photos))


async def _visits(port: int, pid: int, portrait: Image.Image, photos: int) -> bool:
    async with visitor(port) as first:
        await first.ask(_large(portrait, 0))
    await asyncio.sleep(10)
    level = memory(pid)
    async with visitor(port) as one:
        for number in range(photos):
            await one.ask(_large(portrait, 1 + number))
        held = memory(pid)
    await asyncio.sleep(LEFT)
    after_one = memory(pid)
    for start in range(0, photos, A_SESSION):
        async with visitor(port) as each:
            for number in range(start, min(start + A_SESSION, photos)):
                await each.ask(_large(portrait, 1000 + number))
    await asyncio.sleep(LEFT)
    after_many = memory(pid)
    kept = _say(
        after_one - level <= BACK,
        f"{photos} photos of 12 megapixels in one session: {level:,.0f} MB after the first photo, {held:,.0f} with "
        f"all, {after_one:,.0f} after the session ({after_one - level:+,.0f})",
    )
    return (
        _say(
            after_many - level <= BACK,
            f"{photos} more in sessions of {A_SESSION} that close: {after_many:,.0f} MB ({after_many - level:+,.0f})",
        )
        and kept
    )


def _large(portrait: Image.Image, number: int) -> bytes:
    """A JPEG of its own for each number; neighbouring colours could become the same bytes."""
    portrait.paste((number * 37 % 256, number * 101 % 256, number // 8 % 256), (0, 0, 64, 64))
    out = io.BytesIO()
    portrait.save(out, "JPEG", quality=90)
    return out.getvalue()


# --- A ZIP ------------------------------------------------------------------------------------------------------------


def _zip(megabytes: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        models, cache = Path(folder, "models"), Path(folder, "cache")
        save_tiny(models / "a-tiny")
        path, count = Path(folder, "photos.zip"), 0
        with zipfile.ZipFile(path, "w") as archive:
            while path.stat().st_size < megabytes * 1024**2:
                noise = np.random.default_rng(count).integers(0, 256, (1200, 1600, 3), np.uint8)
                out = io.BytesIO()
                Image.fromarray(noise).save(out, "PNG", compress_level=1)
                archive.writestr(f"look{count:04}.png", out.getvalue())
                count += 1
        size = path.stat().st_size / 1024**2
        with served(ROOT, {"GARMENTSCOPE_MODELS": str(models), "GARMENTSCOPE_CACHE": str(cache)}) as (port, pid):
            idle, highest = asyncio.run(_upload(port, pid, path, Path(cache, "archives"), count))
    share = (highest - idle) / size
    return _say(
        share <= ZIP_SHARE,
        f"a ZIP of {size:,.0f} MB, {count} photos: {idle:,.0f} MB before, {highest:,.0f} at the most, {share:.2f} "
        "times its size more",
    )


async def _upload(port: int, pid: int, path: Path, archives: Path, count: int) -> tuple[float, float]:
    async with visitor(port) as first:
        await first.ask(_large(Image.fromarray(astronaut()), 0))  # loads PyTorch and a network
    await asyncio.sleep(10)
    idle = highest = memory(pid)
    async with visitor(port, "archive") as one:
        content = await asyncio.to_thread(path.read_bytes)
        adding = asyncio.create_task(one.add("photos.zip", [content], "Add photos"))
        done = 0
        while done < count:
            await asyncio.sleep(0.1)
            highest = max(highest, memory(pid))
            if adding.done():
                adding.result()
                await asyncio.sleep(1)
                done = await asyncio.to_thread(_rows, archives)
    return idle, highest


def _rows(archives: Path) -> int:
    """Photos in the archives of a folder."""
    found = 0
    for place in archives.glob("*"):
        archive = Archive(place)
        for version in archive.versions():
            with archive.reader(version) as reader:
                found += int(reader.query("SELECT count(*) n FROM photos")["n"].iloc[0])
    return found


# --- An ingest --------------------------------------------------------------------------------------------------------


def _ingest(photos: int) -> bool:
    fewer = photos // 4
    with tempfile.TemporaryDirectory() as folder:
        model, source = Path(folder, "tiny"), Path(folder, "photos")
        save_tiny(model)
        source.mkdir()
        highest, found = [], []
        for first, end in ((0, fewer), (fewer, photos)):
            for number in range(first, end):
                noise = np.random.default_rng(number).integers(0, 256, (6, 4, 3), np.uint8)
                Image.fromarray(noise).resize((96, 144)).save(source / f"look{number:05}.jpg")
            place = Path(folder, "archives", str(end))
            highest.append(_highest_of_ingest(source, place, model))
            found.append(_rows(place.parent))
    return _say(
        found == [fewer, fewer + photos] and highest[1] - highest[0] <= FLAT,
        f"an ingest of {photos:,} small photos: {highest[1]:,.0f} MB at the most, and {highest[0]:,.0f} for {fewer:,} "
        f"({highest[1] - highest[0]:+,.0f})",
    )


def _highest_of_ingest(source: Path, place: Path, model: Path) -> float:
    """Highest memory, in MB, of a process that ingests a folder."""
    command = [sys.executable, "-m", "segmodels", "archive", "ingest", source, "--archive", place, "--model", model]
    highest = 0.0
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            time.sleep(0.05)
            try:
                highest = max(highest, memory(process.pid))
            except (OSError, StopIteration):
                break  # it has just ended
    return highest


if __name__ == "__main__":
    sys.exit(main())
