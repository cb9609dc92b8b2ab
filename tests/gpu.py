"""Trains, judges and ingests for real on one GPU, beside the processor, on photos that are made up: `make gpu`.

Each step runs in a process of its own, so that one that fails or hangs takes no other with it and the peak of its
memory is its own. Steps on the processor see fewer photos, and those for which no time is left are not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from made_ccp import HEIGHT, WIDTH, write_ccp

from segmodels.architectures import ARCHITECTURES
from segmodels.archive.ingest import analyse_here, ingest, version_of
from segmodels.archive.sources import find_sources
from segmodels.archive.store import Archive
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.datasets import read_ccp
from segmodels.device import describe_device, list_devices, pick_device, pick_precision
from segmodels.inference.segmenter import Segmenter
from train.analysis.evaluate import evaluate
from train.detector.fit import PersonRecipe, fit_person
from train.recipe import Recipe
from train.segmentation.callbacks import ResumeFile
from train.segmentation.fit import fit

ROOT = Path(__file__).parents[1]
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # else `tests/dashboard` stands before `dashboard`
TIME = 450.0  # seconds of all steps, after which nothing new begins
STEP_TIME = 150.0  # seconds after which a step is taken for one that hangs
CHOICE = 2  # photos of each size that choose the epoch


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    Args:
        photos: Photos of the data set.
        zoom: Factor on the size of a photo, which is 72 x 48.
        height: Height of the networks' input.
        width: Width of the networks' input.
        batch: Photos of a training step.
        repeats: How often an epoch shows each photo.
        epochs: Epochs of the fit that is killed.
        scenes: Scenes of the detector's epoch.
        side: Side of a scene.
        model: Model of the ingest; None for the checkpoint that the first step has trained.
        arguments: Arguments by architecture.
        workers: Processes that read photos.
    """

    photos: int = 48
    zoom: int = 8
    height: int = 384
    width: int = 192
    batch: int = 8
    repeats: int = 8
    epochs: int = 6
    scenes: int = 512
    side: int = 256
    model: str | None = "fpn"
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    workers: int = min(8, max(1, (os.cpu_count() or 2) - 1))


GPU = Size()
PROCESSOR = replace(GPU, photos=10, repeats=1, scenes=32, epochs=3)
TINY = Size(
    photos=6,
    zoom=1,
    height=64,
    width=32,
    batch=2,
    repeats=1,
    epochs=3,
    scenes=8,
    side=64,
    model=None,
    arguments={"segnet": {"width": 0.1}, "unet_classic": {"width": 0.05}, "densenet": {"decoder_width": 0.25}},
    workers=0,
)
SIZES = {"gpu": GPU, "processor": PROCESSOR, "tiny": TINY}


@dataclass(frozen=True)
class Work:
    """What a step works with.

    Args:
        device: The device that computes.
        size: How much there is to do.
        data: Folder of the data set.
        folder: Folder of all runs on this device.
    """

    device: torch.device
    size: Size
    data: Path
    folder: Path

    @property
    def ids(self) -> list[str]:
        """Ids of the photos."""
        return [f"{number:04}" for number in range(1, self.size.photos + 1)]

    def recipe(self, architecture: str, epochs: int = 2) -> Recipe:
        """A short training from random weights."""
        size = self.size
        return Recipe(
            architecture=architecture,
            arguments=dict(size.arguments.get(architecture, {})),
            imagenet=False,
            height=size.height,
            width=size.width,
            cache_side=size.zoom * HEIGHT,
            batch_size=size.batch,
            epochs=epochs,
            average=0.9,
        )

    def fit(self, recipe: Recipe, out: str) -> tuple[Path, list[dict[str, float]]]:
        """Trains with validation; the checkpoint, and the learning curve."""
        ids = self.ids
        checkpoint = fit(
            recipe,
            self.data,
            self.folder / out,
            ids=(ids[CHOICE:] * self.size.repeats, ids[:CHOICE]),
            workers=self.size.workers,
            each_epoch=False,
            precision=pick_precision(None, self.device),
        )
        return checkpoint, json.loads((checkpoint / "metrics.json").read_text())["learning_curve"]

    def rate(self, epoch: Mapping[str, float]) -> float:
        """Photos a second of an epoch, those that are validated on included."""
        return ((self.size.photos - CHOICE) * self.size.repeats + CHOICE) / epoch["seconds"]


def fits(architecture: str, work: Work) -> float:
    """Two epochs; the rate is that of the second."""
    checkpoint, curve = work.fit(work.recipe(architecture), f"fit-{architecture}")
    assert [epoch["epoch"] for epoch in curve] == [1, 2], f"the learning curve is {curve}"
    assert all(np.isfinite(value) for epoch in curve for value in epoch.values()), f"the learning curve is {curve}"
    load_checkpoint(checkpoint)
    return work.rate(curve[-1])


def resumes(work: Work) -> float:
    """A fit in another process, which ends by SIGKILL after its first epoch, and the rest of it here."""
    out, recipe = "killed", work.recipe("fpn", work.size.epochs)
    resume = work.folder / out / "resume.ckpt"
    code = subprocess.run(
        _command("fit that is killed", work, work.folder / "killed.json"), cwd=ROOT, env=_ENVIRONMENT
    ).returncode
    assert code == -signal.SIGKILL, f"it was over, with exit code {code}, before it was killed"
    before = torch.load(resume, map_location="cpu", weights_only=True)
    done = int(before["epoch"]) + 1
    assert done < recipe.epochs, "it was killed after its last epoch"
    _, curve = work.fit(recipe, out)
    assert [epoch["epoch"] for epoch in curve] == list(range(1, recipe.epochs + 1)), f"the learning curve is {curve}"
    assert curve[:done] == before["curve"][:done], "it began anew"
    return work.rate(curve[-1])


def is_killed(work: Work) -> float:
    """A fit that kills its own process after its first epoch, as soon as that is kept."""
    keep = ResumeFile.on_train_epoch_end

    def keep_and_die(file: ResumeFile, *given: Any) -> None:
        keep(file, *given)
        os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(ResumeFile, "on_train_epoch_end", keep_and_die):
        work.fit(work.recipe("fpn", work.size.epochs), "killed")
    return 0.0


def evaluates(work: Work) -> float:
    """Judges what the first step has trained."""
    segmenter = Segmenter(load_checkpoint(work.folder / "fit-fpn" / "checkpoint"), work.device)
    dataset = read_ccp(work.data)
    segmenter.segment_batch([dataset.photo(work.ids[0])] * segmenter.batch_photos)  # the first time is slow
    started = time.perf_counter()
    judgement = evaluate(segmenter, dataset, work.ids)
    seconds = time.perf_counter() - started
    assert judgement.scores["photos"] == len(work.ids), f"the scores are {judgement.scores}"
    return len(work.ids) / seconds


def detects(work: Work) -> float:
    """One epoch of the person detector, judged; the rate is in scenes, the judging included."""
    size, ids = work.size, work.ids
    recipe = PersonRecipe(
        side=size.side,
        second_side=size.side,
        cache_side=size.zoom * HEIGHT,
        batch_size=2 * size.batch,
        epoch_scenes=size.scenes,
        epochs=1,
        bystanders=False,
    )
    precision = pick_precision(None, work.device)
    with mock.patch("train.detector.fit.fold_ids", return_value=(ids[CHOICE:], ids[:CHOICE])):
        started = time.perf_counter()
        folder = fit_person(recipe, work.data, work.folder / "person", workers=size.workers, precision=precision)
        seconds = time.perf_counter() - started
    (epoch,) = json.loads((folder / "metrics.json").read_text())["curve"]
    assert np.isfinite(epoch["loss"]), f"the learning curve is {epoch}"
    return size.scenes / seconds


def ingests(work: Work) -> float:
    """Takes the photos into an archive, with the model that ships."""
    name = work.size.model or str(work.folder / "fit-fpn" / "checkpoint")
    segmenter = load_segmenter(name, work.device)
    found = find_sources(work.data / "photos")
    found = replace(found, sources=found.sources[: work.size.photos])
    first = read_ccp(work.data).photo(work.ids[0])
    segmenter.segment_batch([first] * segmenter.batch_photos)  # the first time is slow
    archive = Archive(work.folder / "archive")
    report = ingest(found, archive, version_of(segmenter), partial(analyse_here, segmenter))
    assert (report.added, report.rejected) == (work.size.photos, []), f"the report is {report}"
    return work.size.photos / report.seconds


STEPS: dict[str, Callable[[Work], float]] = {
    **{f"fit {name}": partial(fits, name) for name in ARCHITECTURES},
    "fit fpn, killed and resumed": resumes,
    "evaluate": evaluates,
    "fit-person, one epoch of scenes": detects,
    "ingest": ingests,
}
HIDDEN = {"fit that is killed": is_killed}


@dataclass(frozen=True)
class Measured:
    """What became of a step.

    Args:
        rate: Photos a second.
        megabytes: Peak of the memory: on CUDA what tensors took, elsewhere what the process did.
        error: Why there is no figure; empty if there is one.
        skipped: Whether the step was not begun for want of time.
    """

    rate: float = 0.0
    megabytes: float = 0.0
    error: str = ""
    skipped: bool = False

    def __str__(self) -> str:
        if self.error or self.skipped:
            return f"{'failed' if self.error else 'no time left':>20}"
        return f"{self.rate:12.1f}{self.megabytes:8.0f}"


def measure(step: str, work: Work) -> Measured:
    """Runs a step in this process."""
    try:
        rate = {**STEPS, **HIDDEN}[step](work)
    except Exception as error:
        traceback.print_exc()
        return Measured(error=" ".join(f"{type(error).__name__}: {error}".split()))
    return Measured(rate, _peak(work.device))


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1024**2
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024**2 if sys.platform == "darwin" else 1024)


def measure_apart(step: str, work: Work, seconds: float) -> Measured:
    """Runs a step in a process of its own, which is ended after some seconds."""
    result = work.folder / "result.json"
    result.unlink(missing_ok=True)
    log = work.folder / f"{step.replace(' ', '-')}.log"
    with log.open("w") as output:
        # A group of its own: what it has started ends with it.
        process = subprocess.Popen(
            _command(step, work, result),
            cwd=ROOT,
            env=_ENVIRONMENT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            hangs = seconds >= STEP_TIME  # else it had less time, as the whole run must end
            return Measured(error=f"It was not over after {seconds:.1f} seconds.") if hangs else Measured(skipped=True)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if not result.is_file():
        last = (log.read_text(errors="replace").strip() or "nothing").rpartition("\n")[2]
        return Measured(error=f"The process ended with code {code}; its last words were: {last}")
    measured = Measured(**json.loads(result.read_text()))
    if measured.error:
        print(log.read_text(errors="replace"), file=sys.stderr)
    return measured


def _command(step: str, work: Work, result: Path) -> list[str]:
    size = next(name for name, size in SIZES.items() if size is work.size)
    return [
        sys.executable,
        __file__,
        "--step",
        step,
        size,
        str(work.device),
        str(work.data),
        str(work.folder),
        str(result),
    ]


def run(
    device: torch.device,
    folder: Path,
    sizes: Sequence[Size],
    steps: Sequence[str] = tuple(STEPS),
    engine: Callable[[str, Work, float], Measured] = measure_apart,
) -> int:
    """Runs steps on a device, and those that are done beside it on the processor, and prints a table.

    Args:
        device: Where the steps run.
        folder: An empty one to work in.
        sizes: How much there is to do on the device, and on the processor beside it; of one size, on the device alone.
        steps: Keys of `STEPS`.
        engine: Function that runs one step.

    Returns:
        Number of the steps that failed.
    """
    began = time.monotonic()
    data = write_ccp(folder / "ccp", sizes[0].photos, sizes[0].zoom)
    places = [device, torch.device("cpu")][: len(sizes)]
    found: list[dict[str, Measured]] = []
    for place, size in zip(places, sizes, strict=True):
        work = Work(place, size, data, folder / place.type)
        work.folder.mkdir()
        column: dict[str, Measured] = {}
        for step in steps:
            left = TIME - (time.monotonic() - began)
            column[step] = engine(step, work, min(STEP_TIME, left)) if left > 0 else Measured(skipped=True)
            print(f"{place}, {step}: {str(column[step]).strip()}", file=sys.stderr, flush=True)
        found.append(column)
    _print_table(places, sizes, found)
    print(f"{time.monotonic() - began:.0f} s in all")
    missing = [step for step in steps if found[0][step].skipped]
    return len(missing) + sum(bool(measured.error) for column in found for measured in column.values())


def _print_table(
    places: Sequence[torch.device], sizes: Sequence[Size], found: Sequence[Mapping[str, Measured]]
) -> None:
    for place, size in zip(places, sizes, strict=True):
        precision = pick_precision(None, place).name
        print(
            f"{place}: {describe_device(place)}, precision {precision}, {size.photos} photos of "
            f"{size.zoom * HEIGHT} x {size.zoom * WIDTH}, input {size.height} x {size.width}, batches of {size.batch}"
        )
    print(f"{'':<34}" + "".join(f"{f'on {place}':>20}" for place in places) + (" times" if len(places) > 1 else ""))
    print(f"{'step':<34}" + "".join(f"{'photos/s':>12}{'MB':>8}" for _ in places))
    for step in found[0]:
        columns = [column[step] for column in found]
        ratio = f"{columns[0].rate / columns[1].rate:6.1f}" if all(one.rate for one in columns) and columns[1:] else ""
        print(f"{step:<34}" + "".join(map(str, columns)) + ratio)
        for place, measured in zip(places, columns, strict=True):
            if measured.error:
                print(f"  on {place}: {measured.error}")


def main(arguments: list[str] | None = None) -> int:
    """Runs all steps; 0 if each did its work, or there is no GPU."""
    parser = argparse.ArgumentParser(prog="PYTHONPATH=. python tests/gpu.py", description=__doc__)
    parser.add_argument("--device", help="cuda, cuda:N, mps, or cpu to try the script without a GPU")
    parser.add_argument("--tiny", action="store_true", help="photos of 72 x 48 and small networks, to try the script")
    parser.add_argument("--only", nargs="+", metavar="STEP", choices=STEPS, default=list(STEPS), help="these steps")
    parser.add_argument("--step", nargs=6, help=argparse.SUPPRESS)  # what `measure_apart` starts
    asked = parser.parse_args(arguments)
    if asked.step:
        step, size, device, data, folder, result = asked.step
        measured = measure(step, Work(torch.device(device), SIZES[size], Path(data), Path(folder)))
        Path(result).write_text(json.dumps(asdict(measured)))
        return bool(measured.error)
    if asked.device is None and (there := list_devices()) == ["cpu"]:
        print(f"No GPU here: PyTorch {torch.__version__} finds {there[0]} only; `--device cpu` tries the steps on it.")
        return 0
    device = pick_device(asked.device)
    sizes = [TINY if asked.tiny else PROCESSOR if device.type == "cpu" else GPU]
    if device.type != "cpu":
        sizes.append(TINY if asked.tiny else PROCESSOR)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GARMENTSCOPE_CACHE"] = str(Path(folder) / "cache")
        return bool(run(device, Path(folder), sizes, asked.only))


if __name__ == "__main__":
    sys.exit(main())
