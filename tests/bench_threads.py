"""What a photo costs on a free machine and beside one busy process, by how PyTorch's threads wait: `make bench`.

libgomp's own way (a thread spins 300,000 times before it sleeps) against ours (`segmodels.threads`); more counts can be
named: `PYTHONPATH=. python tests/bench_threads.py 1000 5000`. Each way has a process of its own that stays; they take
turns, one photo each. Wanted of ours: beside the busy process at most 2.5 times the seconds of the free machine, and on
the free machine at most 1.15 times those of libgomp's own way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from segmodels.threads import SPIN_COUNT

TURNS = 11
DEFAULT = 300_000
WORK = "work"


class Waiting:
    """A process whose threads wait in one way.

    Args:
        spins: Turns of libgomp's waiting loop.
    """

    def __init__(self, spins: int) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, WORK],
            env={**environment, "GOMP_SPINCOUNT": str(spins)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self) -> float:
        """How long a photo takes now."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Ends the process."""
        self._process.communicate()


def work() -> None:
    """What such a process does: a photo for each line, and its seconds as the answer."""
    import cv2
    from skimage.data import astronaut

    from segmodels.checkpoints.catalog import load_segmenter

    photo = cv2.copyMakeBorder(astronaut(), 157, 156, 19, 19, cv2.BORDER_REPLICATE)  # 825 x 550
    segmenter = load_segmenter("fpn", "cpu")
    for _ in range(2):
        segmenter.segment(photo)
    for _ in sys.stdin:
        started = time.perf_counter()
        segmenter.segment(photo)
        print(time.perf_counter() - started, flush=True)


def keep_busy() -> None:
    """Takes a core."""
    while True:
        pass


def measure(counts: Sequence[int]) -> dict[tuple[int, bool], list[float]]:
    """Seconds of a photo by spin count and whether the machine is busy."""
    ways = {count: Waiting(count) for count in counts}
    busy = multiprocessing.get_context("spawn").Process(target=keep_busy, daemon=True)
    busy.start()
    assert busy.pid is not None
    seconds: dict[tuple[int, bool], list[float]] = {(count, on): [] for count in counts for on in (False, True)}
    try:
        for turn in range(TURNS + 1):
            for on in (False, True):
                os.kill(busy.pid, signal.SIGCONT if on else signal.SIGSTOP)
                for count, way in ways.items():
                    took = way.seconds()
                    if turn:
                        seconds[count, on].append(took)
    finally:
        busy.kill()
        for way in ways.values():
            way.end()
    return seconds


def print_table(seconds: Mapping[tuple[int, bool], Sequence[float]]) -> None:
    """Prints medians and least values, and their ratios."""
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    print(f"segment, photo of 550 x 825, {os.cpu_count()} cores, {TURNS} turns, median (least){load}")
    print(f"{'GOMP_SPINCOUNT':<22}{'free machine':>18}{'one other busy':>18}{'busy/free':>16}{'free/default free':>20}")
    for count in dict.fromkeys(count for count, _ in seconds):
        free, busy, default = seconds[count, False], seconds[count, True], seconds[DEFAULT, False]
        name = {DEFAULT: " (libgomp's)", SPIN_COUNT: " (ours)"}.get(count, "")
        print(
            f"{f'{count}{name}':<22}{_two(free)} s{_two(busy)} s"
            f"{statistics.median(busy) / statistics.median(free):8.2f} ({min(busy) / min(free):.2f}) x"
            f"{statistics.median(free) / statistics.median(default):12.2f} ({min(free) / min(default):.2f}) x"
        )


def _two(values: Sequence[float]) -> str:
    return f"{statistics.median(values):8.3f} ({min(values):.3f})"


if __name__ == "__main__":
    if sys.argv[1:] == [WORK]:
        work()
    else:
        print_table(measure([DEFAULT, SPIN_COUNT, *(int(count) for count in sys.argv[1:] if int(count) != SPIN_COUNT)]))
