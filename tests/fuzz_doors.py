"""Tries hostile inputs at every door for a fixed time: `make fuzz`, or `make fuzz SECONDS=60 SEED=7`.

A worker makes inputs (`fuzz_inputs`), a block of each door in turn, and puts each through the door: the command line,
the pages, an ingest. This process watches it. A finding is: an exception or a traceback, a sentence with Python's words
in it, something done before that is lost, more than `SECONDS_A_STEP` of processor time for one step (or `PATIENCE` of
waiting: the machine may do much else), more than `MEMORY` in all.

The input of a finding is saved in `runs/fuzz`, with its door, seed and reason, and stays there;
`PYTHONPATH=. python tests/fuzz_doors.py --again runs/fuzz/NAME` puts it through the door once more. The seed of a block
makes the same inputs again, as long as `fuzz_inputs` stays the same.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
SECONDS_A_STEP = 10.0
"""Most seconds of processor time that one step of an input may take: a command, or one run of a page."""
PATIENCE = 60.0
"""Most seconds that a step may take by the clock, on a machine that does much else."""
MEMORY = 1.5 * 1024**3
"""Most bytes of resident memory."""
BLOCK = 6  # inputs of a door before the next door has its turn
WORKER_SECONDS = 240.0  # then a new one starts, with empty caches
WARM_UP = 180.0
PAGES_OF = {
    "photos": ("segment",),
    "zips": ("archive",),
    "metadata": ("archive", "trends"),
    "checkpoints": ("models", "evaluation", "compare"),
    "parts": ("archive", "trends"),
    "links": ("segment", "compare", "evaluation", "dataset", "archive", "trends", "models"),
}
"""The doors, and the pages that they lead to."""
PYTHON = re.compile(
    r"Traceback|\b(?:[A-Z]\w+Error|Exception)\b|\[Errno|object has no attribute|NoneType|unsupported operand|<class '|"
    r"0x[0-9a-f]{8,}|positional argument|list index|out of bounds|not subscriptable|codec can't|\bnumpy\b|pyarrow\.|"
    r"cannot reshape|could not convert string|invalid literal for|not iterable"
)
"""Words that no sentence for a person has."""


# --- The process that watches -----------------------------------------------------------------------------------------


def main() -> int:
    """Runs for the time that was asked for: 0 without a finding, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--doors", nargs="+", metavar="DOOR", help="some of: photos zips metadata checkpoints parts links"
    )
    parser.add_argument("--again", type=Path, metavar="FOLDER", help="put a saved input through its door once more")
    parser.add_argument("--keep", type=Path, default=ROOT / "runs" / "fuzz", metavar="FOLDER")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        _Worker(arguments.work, arguments.doors).run(arguments.seed)
        return 0
    if arguments.again:
        door = json.loads((arguments.again / "finding.json").read_text("utf-8"))["door"]
        with tempfile.TemporaryDirectory() as folder:
            return _Worker(Path(folder), [door]).again(door, arguments.again)
    return _watch(arguments.seconds, arguments.seed, arguments.doors or [], arguments.keep)


def _watch(seconds: float, seed: int, doors: list[str], keep: Path) -> int:
    end = time.monotonic() + seconds
    inputs: dict[str, int] = {}
    findings: list[str] = []
    peak = 0
    turn = 0
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            watched = _Watched(Path(folder), seed + 1000 * turn, doors, keep)
            reason = watched.until(min(end, time.monotonic() + WORKER_SECONDS + WARM_UP))
            peak = max(peak, watched.peak)
            for door, count in watched.inputs.items():
                inputs[door] = inputs.get(door, 0) + count
            if reason and watched.door == "start":
                sys.exit(f"The worker did not start: {reason}")
            if reason:
                watched.keep(watched.door, reason, Path(folder, "input"))
            findings += watched.kept
            turn += 1
    tried = ", ".join(f"{count:,} {door}" for door, count in sorted(inputs.items()))
    print(f"Seed {seed}, {seconds:.0f} s: {tried or 'nothing'} tried; memory at most {peak / 1024**2:,.0f} MB.")
    print(f"{len(findings)} findings." if findings else "No finding.")
    return 1 if findings else 0


class _Watched:
    """A worker as its watcher sees it: what it said, what it uses.

    Args:
        folder: Folder in which the worker works; `input` in it is what it is trying now.
        seed: Seed of the worker.
        doors: Names of the doors; all if empty.
        findings: Folder in which findings are saved.

    Attributes:
        kept: A line for each finding.
    """

    def __init__(self, folder: Path, seed: int, doors: list[str], findings: Path) -> None:
        self.seed, self.door, self.peak = seed, "start", 0
        self.inputs: dict[str, int] = {}
        self.kept: list[str] = []
        self._folder, self._place = folder, findings
        self._step, self._since, self._used = "the start", time.monotonic(), 0.0
        self._process = subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--work",
                str(folder),
                "--seed",
                str(seed),
                *(["--doors", *doors] if doors else []),
            ],
            env={**_clean(), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("wb"),
            text=True,
        )
        self._usage = psutil.Process(self._process.pid)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def until(self, end: float) -> str:
        """Watches until a moment; gives the reason why the worker had to be ended before, or an empty text."""
        begun = time.monotonic()
        reason = ""
        while not reason and time.monotonic() < end and self._process.poll() is None:
            time.sleep(0.1)
            with contextlib.suppress(psutil.Error):
                self.peak = max(self.peak, self._usage.memory_info().rss)
                used, waited = self._processor() - self._used, time.monotonic() - self._since
                if self.door == "start":
                    reason = "it did not start" if waited > WARM_UP else ""
                elif used > SECONDS_A_STEP or waited > PATIENCE:
                    reason = f"{self._step} takes more than {used:.0f} s of processor time, {waited:.0f} s by the clock"
                elif self._usage.memory_info().rss > MEMORY:
                    reason = f"{self._step} takes {self._usage.memory_info().rss / 1024**3:.2f} GB of memory"
            if time.monotonic() - begun > WORKER_SECONDS and self.door != "start":
                break
        if not reason and self._process.poll() not in (None, 0):
            said = (self._folder / "stderr").read_text("utf-8", "replace").strip()[-2000:]
            reason = f"{self._step} ended the process with {self._process.returncode}: {said}"
        self._process.kill()
        self._process.wait()
        self._listener.join(5)
        return reason

    def _processor(self) -> float:
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(psutil.Error):
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "step":
                    self._used, self._since, self._step = self._processor(), time.monotonic(), rest
                elif word == "door":
                    self.door = rest
                    self.inputs[rest] = self.inputs.get(rest, 0) + 1
                elif word == "finding":
                    number, _, said = rest.partition(" ")
                    self.keep(self.door, json.loads(said), self._folder / f"finding{number}")

    def keep(self, door: str, reason: str, files: Path) -> None:
        """Saves a finding and says so."""
        place = self._place / f"{time.strftime('%m%d-%H%M%S')}-{door}-{os.urandom(2).hex()}"
        place.mkdir(parents=True)
        if files.is_dir():
            shutil.copytree(files, place, dirs_exist_ok=True)
        said = {"door": door, "seed": self.seed, "reason": reason}
        (place / "finding.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
        self.kept.append(f"{place}: {reason}")
        print(self.kept[-1], flush=True)


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GARMENTSCOPE_")}


# --- The process that tries -------------------------------------------------------------------------------------------


class Finding(Exception):
    """What must not happen, in words."""


class _Worker:
    """Makes inputs and puts them through the doors.

    Args:
        folder: An empty folder to work in.
        doors: Names of the doors that are tried; all if left out.
    """

    def __init__(self, folder: Path, doors: list[str] | None = None) -> None:
        self.folder = folder
        self._findings = 0
        self._doors = doors or list(PAGES_OF)
        for name, place in (("CACHE", "cache"), ("MODELS", "models"), ("ARCHIVE", "archives/good")):
            (folder / place).mkdir(parents=True, exist_ok=True)
            os.environ[f"GARMENTSCOPE_{name}"] = str(folder / place)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        warnings.simplefilter("ignore")
        import logging

        logging.disable(logging.CRITICAL)
        self._prepare()
        self.doors: dict[str, Callable[[Path], None]] = {
            "photos": self._photo,
            "zips": self._zip,
            "metadata": self._metadata,
            "checkpoints": self._checkpoint,
            "parts": self._part,
            "links": self._link,
        }

    def run(self, seed: int) -> None:
        """Tries one block of inputs after the other until it is killed."""
        import fuzz_inputs as inputs
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import seed as seeded

        strategies = {
            "photos": inputs.photos(),
            "zips": inputs.zips(),
            "metadata": inputs.metadata(),
            "checkpoints": inputs.checkpoints(self.sample),
            "parts": inputs.parts(self.folder / "sample-archive"),
            "links": inputs.links(),
        }
        rules = settings(
            max_examples=BLOCK,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        def block(door: str, seed: int) -> None:
            @seeded(seed)
            @rules
            @given(strategies[door])
            def each(files: dict[str, bytes]) -> None:
                self._try(door, files)

            each()

        while True:
            for door in self._doors:
                block(door, seed)
            seed += 1

    def again(self, door: str, saved: Path) -> int:
        """Puts a saved input through its door."""
        try:
            self.doors[door](saved)
        except Exception:
            traceback.print_exc()
            return 1
        print("No finding.")
        return 0

    def _try(self, door: str, files: dict[str, bytes]) -> None:
        place = self.folder / "input"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
        self._say(f"step {door}")
        self._say(f"door {door}")
        try:
            self.doors[door](place)
        except Exception as error:
            said = str(error) if isinstance(error, Finding) else traceback.format_exc()
            self._findings += 1
            shutil.copytree(place, self.folder / f"finding{self._findings}")
            self._say(f"finding {self._findings} {json.dumps(said[-3000:])}")
        for left in self.folder.glob("try-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _say(self, line: str) -> None:
        print(line, file=sys.__stdout__, flush=True)

    # --- what the doors need

    def _prepare(self) -> None:
        """A tiny checkpoint with all its files, an archive, and every page once: imports take long."""
        from tiny_model import save_tiny

        from segmodels.archive.store import Archive
        from segmodels.archive.synthetic import make_archive
        from segmodels.checkpoints.catalog import EMBEDDED

        self.sample = self.folder / "models" / "tiny"
        save_tiny(self.sample, side=64, crop="box", seed=3)
        shutil.copy(EMBEDDED / "fpn" / "metrics.json", self.sample)
        calibration = json.loads((EMBEDDED / "fpn" / "calibration.json").read_text("utf-8")) | {"weights": ""}
        (self.sample / "calibration.json").write_text(json.dumps(calibration), "utf-8")
        make_archive(Archive(self.folder / "archives" / "good"), 200, seed=1)
        for name in {page for door in self._doors for page in PAGES_OF[door]}:
            self._page(name).run()
        gc.collect()
        gc.freeze()  # else Streamlit would have all that is imported collected after each run of a page

    def _page(self, name: str) -> Any:
        from streamlit.testing.v1 import AppTest

        return AppTest.from_file(str(ROOT / "dashboard" / "app_pages" / f"{name}.py"), default_timeout=600)

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._say(f"step {name}")
        yield

    def _new(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"try-{name}-", dir=self.folder))

    def _command(self, *arguments: str | Path) -> int:
        """A command of the product; what it says must be sentences."""
        from segmodels.__main__ import main as garmentscope

        words = list(map(str, arguments))
        out, err = io.StringIO(), io.StringIO()
        with (
            self._step("garmentscope " + " ".join(words[:2])),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = garmentscope(words)
            except SystemExit as error:
                code = int(error.code or 0)
        if code not in (0, 1, 2):
            raise Finding(f"{words[:2]} ended with {code}")
        if found := PYTHON.search(err.getvalue()):
            raise Finding(f"{words[:2]} says {_around(err.getvalue(), found)}")
        return code

    def _looked_at(self, page: Any, name: str) -> Any:
        """A run of a page without an exception, and with sentences only."""
        with self._step(f"page {name}"):
            page.run()
        if page.exception:
            raise Finding(
                f"page {name} fails: " + "\n".join([page.exception[0].message, *page.exception[0].stack_trace])
            )
        for kind in (page.error, page.warning, page.info, page.caption, page.markdown):
            for element in kind:
                if found := PYTHON.search(element.value):
                    raise Finding(f"page {name} says {_around(element.value, found)}")
        return page

    def _photos_between(self, name: bytes, data: bytes) -> Path:
        """A folder with a photo between two good ones."""
        from fuzz_inputs import photo

        folder = self._new("photos")
        (folder / "a.jpg").write_bytes(photo("JPEG", 0))
        (folder / "z.jpg").write_bytes(photo("JPEG", 3))
        taken = Path(os.fsdecode(name)).stem.lower() in ("a", "z")  # their results would have other names
        with contextlib.suppress(OSError):
            (folder / os.fsdecode(b"b.jpg" if taken else name)).write_bytes(data)
        return folder

    # --- the doors

    def _photo(self, given: Path) -> None:
        name, data = (given / "name").read_bytes(), (given / "photo").read_bytes()
        folder, out, archive = self._photos_between(name, data), self._new("out"), self._new("archive")
        self._command("segment", folder, "--out", out, "--model", self.sample, "--export", "coco")
        for good in ("a", "z"):
            for ending in ("png", "json"):
                if not (out / f"{good}.{ending}").is_file() or not (out / f"{good}.{ending}").stat().st_size:
                    raise Finding(f"{good}.{ending} is not there")
        for listing in out.glob("*.json"):
            json.loads(listing.read_text("utf-8"))
        self._command("archive", "ingest", folder, "--archive", archive, "--model", self.sample)
        self._whole(archive, 2)
        legible = os.fsdecode(name).encode("utf-8", "replace").decode()
        page = self._page("segment")
        from fuzz_inputs import photo
        from streamlit_page import state_of

        from dashboard.segment.state import SegmentState

        state = state_of(page, SegmentState)
        state.model = "tiny"
        page.run()
        page.file_uploader[0].upload("first.jpg", photo("JPEG", 0), "image/jpeg")
        self._looked_at(page, "segment")
        page.file_uploader[0].upload(legible, data, "image/jpeg")
        self._looked_at(page, "segment")
        if "first.jpg" not in [done.name for done in state_of(page, SegmentState).photos.values()]:
            raise Finding("the page Segment has lost the photo that was done")
        self._looked_at(page, "segment")

    def _whole(self, place: Path, least: int) -> None:
        """An archive can be read, and has at least so many photos, each once."""
        from segmodels.archive.store import Archive

        archive = Archive(place)
        with archive.reader(archive.versions()[0]) as reader:
            ids = list(reader.query("SELECT photo_id, garments, class_map, tags FROM photos")["photo_id"])
        if len(ids) < least or len(set(ids)) < len(ids):
            raise Finding(f"the archive has {len(ids)} rows of {len(set(ids))} photos; {least} were done before")

    def _zip(self, given: Path) -> None:
        archive = self._new("archive")
        first = self._photos_between(b"a.jpg", b"")
        self._command("archive", "ingest", first, "--archive", archive, "--model", self.sample)
        self._command("archive", "ingest", given / "photos.zip", "--archive", archive, "--model", self.sample)
        self._whole(archive, 2)
        self._command("archive", "show", "--archive", archive)
        self._upload_to_archive("photos.zip", (given / "photos.zip").read_bytes())

    def _upload_to_archive(self, name: str, data: bytes) -> None:
        page = self._page("archive")
        page.run()
        page.file_uploader[0].upload(name, data, "application/octet-stream")
        self._looked_at(page, "archive")

    def _metadata(self, given: Path) -> None:
        folder, archive = self._photos_between(b"b.jpg", b"no photo"), self._new("archive")
        table = given / "looks.csv"
        self._command("archive", "ingest", folder, "--archive", archive, "--model", self.sample)
        more = _one_of(table, [[], [], ["--dates", "day-first"], ["--encoding", "gbk"]])
        self._command(
            "archive", "ingest", folder, "--archive", archive, "--metadata", table, "--model", self.sample, *more
        )
        self._whole(archive, 2)
        self._upload_to_archive("looks.csv", table.read_bytes())
        with _environment("GARMENTSCOPE_ARCHIVE", f"{archive}"):
            self._looked_at(self._page("archive"), "archive")
            page = self._page("trends")
            page.query_params["archive"] = archive.name
            page.query_params["tab"] = "How it moves"
            self._looked_at(page, "trends")

    def _checkpoint(self, given: Path) -> None:
        models = self._new("models")
        folder = models / "odd"
        shutil.copytree(given, folder)
        name, _, target = (folder / "odd").read_text("utf-8").partition("\n")
        (folder / "odd").unlink()
        (folder / "finding.json").unlink(missing_ok=True)
        if target:
            (folder / name).unlink(missing_ok=True)
            if target == "pipe":
                os.mkfifo(folder / name)
            elif target == "folder":
                (folder / name).mkdir()
            else:
                (folder / name).symlink_to(name if target == "itself" else target)
        shutil.copytree(self.sample, models / "sound")
        photos, out = self._photos_between(b"b.jpg", b"no photo"), self._new("out")
        with _environment("GARMENTSCOPE_MODELS", str(models)):
            self._command("models")
            self._command("models", "--json")
            self._command("segment", photos, "--out", out, "--model", folder)
            if list(out.iterdir()) and len(list(out.glob("*.json"))) != 2:
                raise Finding("the model was taken, but not every good photo is done")
            page = self._looked_at(self._page("models"), "models")
            if not any(">sound<" in str(each.proto) for each in page.get("html")):
                raise Finding("the page Models has lost the sound model")
            self._looked_at(self._page("evaluation"), "evaluation")
            page = self._page("compare")
            page.query_params["models"] = "odd,sound"
            self._looked_at(page, "compare")

    def _part(self, given: Path) -> None:
        place = self._new("archive")
        part = (given / "part.parquet").read_bytes()
        odd = place / "odd" / (given / "version").read_text("utf-8") / "20240101T000000000000-00000000.parquet"
        odd.parent.mkdir(parents=True, exist_ok=True)
        odd.write_bytes(part)
        good = self.folder / "archives" / "good"
        self._command("archive", "show", "--archive", place / "odd")
        self._command("archive", "duplicates", "--archive", place / "odd")
        with _environment("GARMENTSCOPE_ARCHIVE", f"{place / 'odd'}{os.pathsep}{good}"):
            page = self._looked_at(self._page("archive"), "archive")
            if not any("<dd>200</dd>" in str(each.proto) for each in page.get("html")):
                raise Finding("the page Archive has lost the good archive")
            from dashboard.trends.tabs import TABS

            page = self._page("trends")
            page.query_params["archive"] = "odd"
            page.query_params["tab"] = tab = _one_of(given / "part.parquet", [tab.name for tab in TABS])
            self._looked_at(page, f"trends {tab}")

    def _link(self, given: Path) -> None:
        asked = json.loads((given / "link.json").read_text("utf-8"))
        page = self._page(asked["page"])
        for key, values in asked["link"].items():
            page.query_params[key] = values
        self._looked_at(page, asked["page"])
        self._looked_at(page, asked["page"])


def _one_of(file: Path, choices: list[Any]) -> Any:
    """One of several, always the same for the same file: not every input goes every way, as time is short."""
    return choices[zlib.crc32(file.read_bytes()) % len(choices)]


def _around(text: str, found: re.Match[str]) -> str:
    return repr(text[max(0, found.start() - 300) : found.end() + 300])


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ[name]
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ[name] = before


if __name__ == "__main__":
    sys.exit(main())
