"""How long the Trends page takes to ask, on made-up archives that grow: `make bench`, or with sizes as arguments.

    PYTHONPATH=. python tests/bench_trends.py [--kinds] [--keep FOLDER] [PHOTOS ...]

Every query is asked on two threads and has a second at a million photos. Its baseline is the same query at the size
before: growth of 1 is as fast as the archive grows. It is taken from the processor's seconds, in which others who use
the machine do not count. `view` is what a visitor waits for: queries, statistics and figure. Each size has a process of
its own, whose peak of memory is printed. Archives are kept, and taken again, where a folder is named.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from dashboard.trends.coloured import colour_section, pair_section, palette_section
from dashboard.trends.moves import forecast_section, line_section, movement_section
from dashboard.trends.section import Builder, Question
from dashboard.trends.together import companion_section, lift_section, matrix_section, network_section, rule_section
from dashboard.trends.worn import area_section, share_section
from segmodels.archive.facts import PERIODS, Conditions, Facts, View
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.taxonomy import OUTFIT_15

SIZES = (10_000, 100_000, 1_000_000)
TURNS = 5
THREADS = 2
LONGEST = 1.0  # seconds of a query at a million photos
CLASSES = {name: name for name in ("Footwear", "Coat", "Pants", "Shirt")}
KINDS = {"Footwear": "Boots", "Coat": "Coat", "Pants": "Jeans", "Shirt": "T-shirt/top"}
OPENING = "open the archive (behind a bar)"


class Cost(NamedTuple):
    """Seconds by the clock and of the processor, and GiB where they were measured."""

    seconds: float
    processor: float
    memory: float = 0.0


Ask = Callable[[Facts, int], object]
"""A query; the number of the turn makes a filter that was not asked for before."""


def main() -> None:
    """Prints a table: seconds by size, and growth against the size before, as a ratio to the archive's growth."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", nargs="*", type=int, default=SIZES)
    parser.add_argument("--kinds", action="store_true", help="count kinds in place of classes")
    parser.add_argument("--keep", type=Path, help="folder of the archives, which are taken from there or written")
    asked = parser.parse_args()
    found: dict[int, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for size in sorted(asked.photos):
            for task in (
                _write,
                _measure_kinds if asked.kinds else _measure,
            ):  # a process each, for what it holds is measured
                with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                    found[size] = alone.submit(task, (asked.keep or Path(scratch)) / f"made-up-{size}", size).result()
            print(f"{size:,} photos done.", file=sys.stderr)
    _print(found)


def _print(found: dict[int, dict[str, Cost]]) -> None:
    sizes = list(found)
    names = list(found[sizes[0]])
    growth = {
        (size, name): found[size][name].processor / found[before][name].processor / (size / before)
        for before, size in pairwise(sizes)
        for name in names
    }
    print(
        f"{THREADS} threads, {TURNS} turns, median seconds. Growth: of the processor's seconds since the size before,"
    )
    print("as a ratio to the archive's growth. In the last five minutes", end=" ")
    print(f"{os.getloadavg()[1]:.1f} processes ran or waited on {os.cpu_count()} cores.")
    print(" " * 46 + "".join(f"{size:>12,d}{'growth' * (size != sizes[0]):>8}" for size in sizes))
    for name in names:
        cells = (
            f"{found[size][name].seconds:12.3f}" + (f"{growth[size, name]:8.2f}" if size != sizes[0] else " " * 8)
            for size in sizes
        )
        print(f"{name:<46}{''.join(cells)}".rstrip())
    for size in sizes:
        print(f"{size:,} photos: peak memory of the process {found[size][OPENING].memory:.2f} GiB")
    asked = [name for name in names if name != OPENING]
    slowest = max(asked, key=lambda name: found[sizes[-1]][name].seconds)
    print(
        f"slowest at {sizes[-1]:,}: {slowest}, {found[sizes[-1]][slowest].seconds:.2f} s (wanted: under {LONGEST:.0f})"
    )
    if growth:
        fastest = max(asked, key=lambda name: growth[sizes[-1], name])
        print(f"growing fastest: {fastest}, {growth[sizes[-1], fastest]:.2f} (wanted: at most 1)")


def _write(folder: Path, size: int) -> dict[str, Cost]:
    make_archive(Archive(folder), size)
    return {}


def _measure_kinds(folder: Path, size: int) -> dict[str, Cost]:
    return _measure(folder, size, kinds=True)


def _measure(folder: Path, size: int, *, kinds: bool = False) -> dict[str, Cost]:
    """What each query takes; beside the opening the peak of memory."""
    garments = KINDS if kinds else CLASSES
    with Archive(folder).reader() as reader:
        reader.query(f"SET threads TO {THREADS}")
        facts: list[Facts] = []
        opening = _timed(lambda: facts.append(Facts(reader, OUTFIT_15, kinds=kinds)))
        assert facts[0].size(View()).photos == size, "another archive lies there"
        found = {}
        for name, ask in {**_queries(garments), **_filters(garments), **_views()}.items():
            turns = [_timed(partial(ask, facts[0], turn)) for turn in range(TURNS + 1)][1:]  # the first warms up
            found[name] = Cost(*(statistics.median(values) for values in zip(*turns, strict=True)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {OPENING: opening._replace(memory=peak), **found}


def _timed(ask: Callable[[], object]) -> Cost:
    started, used = time.perf_counter(), time.process_time()
    ask()
    return Cost(time.perf_counter() - started, time.process_time() - used)


def _queries(garments: Mapping[str, str]) -> dict[str, Ask]:
    """Everything that is asked of a view that is open."""
    whole = View()
    shoes, coat, pants, shirt = (garments[name] for name in ("Footwear", "Coat", "Pants", "Shirt"))
    behind = {
        "all": Conditions(),
        "a garment": Conditions(worn=("Hat",)),
        "one without another": Conditions(worn=(shoes,), not_worn=(coat,)),
        "a colour": Conditions(coloured=((coat, "olive"),)),
        "two colours": Conditions(coloured=((pants, "blue"), (shirt, "white"))),
        "a garment of a month": Conditions(worn=(coat,), period="month", start=date(2023, 5, 1)),
    }
    raw = View(counting="raw")
    asked: dict[str, Ask] = {"size": lambda facts, _: facts.size(whole)}
    for view, name in ((whole, "counts"), (raw, "raw counts")):
        asked[name] = lambda facts, _, view=view: facts.counts(view)
        asked[f"{name}, triples"] = lambda facts, _, view=view: facts.counts(view, triples=True)
        for period in PERIODS:
            asked[f"{name} by {period}"] = lambda facts, _, view=view, period=period: facts.counts_by_period(
                view, period
            )
    asked["pair by month"] = lambda facts, _: facts.pair_by_period(whole, "Shorts", pants, "month")
    asked["areas"] = lambda facts, _: facts.areas(whole)
    for fine in (False, True):
        name = "fine" if fine else "basic"
        asked[f"colours, {name}"] = lambda facts, _, fine=fine: facts.colours(whole, fine=fine)
        asked[f"colour pairs, {name}"] = lambda facts, _, fine=fine: facts.colour_pairs(whole, pants, shirt, fine=fine)
    for period in PERIODS:
        asked[f"colours by {period}"] = lambda facts, _, period=period: facts.colours(whole, period=period)
    for name, those in behind.items():
        asked[f"count: {name}"] = lambda facts, _, those=those: facts.count(whole, those)
        asked[f"expected: {name}"] = lambda facts, _, those=those: facts.expected(whole, those)
        asked[f"photos: {name}"] = lambda facts, _, those=those: facts.photos(whole, those)
    asked["photos: 5,000 names"] = lambda facts, _: facts.photos(whole, limit=5000)
    return asked


def _filters(garments: Mapping[str, str]) -> dict[str, Ask]:
    """A filter that nobody asked for before: its table is made."""
    day, shoes, coat = timedelta(1), garments["Footwear"], garments["Coat"]
    hues = ("blue", "red", "green", "brown", "gray", "pink")  # what is found of colours is kept whatever the dates

    def everything(turn: int) -> View:
        return View(
            date(2022, 3, 1) + turn * day,
            date(2024, 9, 1),
            (("market", ("North",)), ("season", ("winter", "summer"))),
            (shoes,),
            ("black", "white", hues[turn]),
        )

    views: dict[str, Callable[[int], View]] = {
        "dates": lambda turn: View(first=date(2022, 6, 1) + turn * day),
        "a tag": lambda turn: View(date(2021, 1, 1) + turn * day, tags=(("market", ("North",)),)),
        "garments": lambda turn: View(date(2021, 1, 1) + turn * day, garments=(shoes, "Bag")),
        "colours": lambda turn: View(colours=("white", hues[turn])),
        "colours of a garment": lambda turn: View(garments=(shoes,), colours=(hues[turn],)),
        "share, raw": lambda turn: View(min_share=0.05 + turn / 1000, counting="raw"),
        "confidence, raw": lambda turn: View(min_confidence=0.7 + turn / 1000, counting="raw"),
        "share, of a garment, raw": lambda turn: View(min_share=0.06 + turn / 1000, garments=(shoes,), counting="raw"),
        "everything": everything,
        "everything, raw": lambda turn: replace(
            everything(turn), min_share=0.03 + turn / 1000, min_confidence=0.65, counting="raw"
        ),
    }
    asked: dict[str, Ask] = {}
    for name, view in views.items():
        asked[f"new filter: {name}"] = lambda facts, turn, view=view: facts.size(view(turn))
    small, coats = View(min_share=0.05, counting="raw"), View(garments=(coat,))
    asked["areas under a share, raw"] = lambda facts, _: facts.areas(small)
    asked["colours under a share, raw"] = lambda facts, _: facts.colours(small)
    asked["areas with a garment"] = lambda facts, _: facts.areas(coats)
    asked["colours with a garment"] = lambda facts, _: facts.colours(coats)
    asked["counts with a garment"] = lambda facts, _: facts.counts(coats)
    return asked


def _views() -> dict[str, Ask]:
    """What each view asks, computes and draws."""
    views: dict[str, Builder] = {
        "shares": share_section,
        "areas": area_section,
        "lines": line_section,
        "rising and falling": movement_section,
        "colours rising and falling": lambda question: movement_section(question, of="colours"),
        "forecast": forecast_section,
        "matrix": matrix_section,
        "triples": lambda question: rule_section(question, parts=3),
        "companions": companion_section,
        "lift over time": lift_section,
        "network": network_section,
        "palettes": lambda question: palette_section(question, fine=True),
        "one garment": colour_section,
        "two garments": pair_section,
    }
    return {
        f"view: {name}": lambda facts, _, build=build: build(Question(facts, View())) for name, build in views.items()
    }


if __name__ == "__main__":
    main()
