"""Twenty visitors at once: how long each waits for its photo, and what memory the server keeps, beside another version.

`make bench` compares the working tree with the commit before the queue; `PYTHONPATH=. python tests/bench_visitors.py
--baseline X` with any other commit, or with a folder that holds the project. The two servers run one after the other on
the same machine, each alone on it. Each has a photo of its own of 825 x 550 pixels, the portrait that scikit-image
ships with other noise in a corner, as JPEG.

Printed are, for each server and round:

- the seconds from the moment at which a visitor chooses the file to the arrival of the viewer with its result, the
  upload included: median and slowest, in seconds and as ratios to the baseline's slowest of the same round;
- the processor time that the server spent on them meanwhile, which depends less on what else the machine does;
- the resident memory (RSS) of the server after its first photo, its highest while all visitors are served, once all
  have been served and are still connected, and after they have left. The last two are read `SETTLE` seconds later.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.data import astronaut
from visitors import memory, processor_time, served, visitor

REPOSITORY = Path(__file__).parents[1]
QUEUE = "dashboard/inference_queue.py"  # its path in the commit that brought it
VISITORS = 20
SETTLE = 12.0


@dataclass
class Figures:
    """What was measured of a server: seconds by visitor, seconds of processor time for all, memory in MB."""

    waits: list[float]
    processor: float
    after_first: float
    highest: float
    after_all: float
    after_leaving: float


def main() -> None:
    """Measures both servers, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--baseline", help="commit or folder; the parent of the commit that brought the queue")
    parser.add_argument("--rounds", type=int, default=1, help="times that both are measured, in turn")
    parser.add_argument("--visitors", type=int, default=VISITORS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        baseline = _project(arguments.baseline or _before_the_queue(), Path(folder))
        for number in range(1, arguments.rounds + 1):
            print(f"Round {number} of {arguments.rounds}: {arguments.visitors} visitors with a photo each at once")
            old = _measure(baseline, arguments.visitors)
            _print("baseline", old, max(old.waits))
            _print("this tree", _measure(REPOSITORY, arguments.visitors), max(old.waits))


def _print(name: str, found: Figures, slowest: float) -> None:
    median, worst = statistics.median(found.waits), max(found.waits)
    print(
        f"{name:<10} median {median:6.2f} s ({median / slowest:.2f} x the baseline's slowest), "
        f"slowest {worst:6.2f} s ({worst / slowest:.2f} x), first {min(found.waits):5.2f} s; "
        f"processor time {found.processor:.1f} s\n"
        f"{'':<10} memory: {found.after_first:,.0f} MB after the first photo, {found.highest:,.0f} at the most, "
        f"{found.after_all:,.0f} after all ({found.after_all - found.after_first:+,.0f}), "
        f"{found.after_leaving:,.0f} after they left ({found.after_leaving - found.after_first:+,.0f})",
        flush=True,
    )


def _before_the_queue() -> str:
    """The parent of the commit that brought the queue."""
    command = ["git", "log", "--diff-filter=A", "--format=%H", "-1", "--", QUEUE]
    commit = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
    if not commit:
        sys.exit(f"No commit added {QUEUE}: name a baseline with --baseline.")
    return f"{commit}^"


def _project(baseline: str, folder: Path) -> Path:
    """The folder of a version of the project."""
    if Path(baseline).is_dir():
        return Path(baseline)
    content = subprocess.run(["git", "archive", baseline], cwd=REPOSITORY, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _measure(project: Path, visitors: int) -> Figures:
    with served(project) as (port, pid):
        return asyncio.run(_visit(port, pid, visitors))


async def _visit(port: int, pid: int, count: int) -> Figures:
    async with visitor(port) as first:
        await first.ask(_photo(0))  # loads the network
        await first.ask(_photo(1))
    await asyncio.sleep(SETTLE)
    after_first = highest = memory(pid)
    async with contextlib.AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(visitor(port)) for _ in range(count)]
        photos = [_photo(10 + number) for number in range(count)]
        processor = processor_time(pid)
        asking = asyncio.gather(*(each.ask(photo) for each, photo in zip(visitors, photos, strict=True)))
        while not asking.done():
            await asyncio.wait([asking], timeout=0.2)
            highest = max(highest, memory(pid))
        processor = processor_time(pid) - processor
        await asyncio.sleep(SETTLE)
        after_all = memory(pid)
    await asyncio.sleep(SETTLE)
    return Figures(asking.result(), processor, after_first, highest, after_all, memory(pid))


def _photo(number: int) -> bytes:
    """A JPEG that differs from that of every other number."""
    photo = cv2.copyMakeBorder(astronaut(), 157, 156, 19, 19, cv2.BORDER_REPLICATE)
    photo[:32, :32] = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=92)
    return out.getvalue()


if __name__ == "__main__":
    main()
