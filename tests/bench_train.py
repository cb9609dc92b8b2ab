"""What training costs, as ratios against a baseline in the same run: part of `make bench`.

The first table is what `train.segmentation.depthwise` gains in a training step, against the step without it. The
second is the whole loop of `fit` (processes that load, crops on the device, step) against the bare step on one batch
that lies ready, on the best device and on the processor: wanted is 0.9.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import statistics
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from segmodels.architectures import build
from segmodels.device import (
    describe_device,
    has_fast_bf16,
    keep_memory,
    list_devices,
    pick_device,
    pick_precision,
    tune,
)
from segmodels.taxonomy import OUTFIT_15
from train.data.cache import Cache
from train.distributed import this_process
from train.recipe import RECIPES, Recipe, load_recipe
from train.segmentation import fit
from train.segmentation.cutting import cut_crops
from train.segmentation.depthwise import widen_depthwise
from train.segmentation.lightning_module import SegmentationModule
from train.segmentation.loaders import training_loader
from train.segmentation.losses import cross_entropy

TURNS, STEPS = 3, 6
BATCH, SIDE, CLASSES = 8, 320, 15
HEIGHT, WIDTH = 320, 160
CACHE_HEIGHT, CACHE_WIDTH = 427, 285
LOOP_STEPS = {"cpu": 16, "mps": 80, "cuda": 160}  # the later half counts, as the first finds batches loaded before it


def step_seconds(kept: bool, widened: bool) -> float:
    """Median seconds of a step of `fpn` on EfficientNet-Lite0, after two that do not count."""
    if kept:
        keep_memory(all_of_it=True)
    torch.manual_seed(0)
    network = build("fpn", CLASSES, {}).to(memory_format=torch.channels_last).train()
    if widened:
        widen_depthwise(network)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    photos = torch.rand(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    truth = torch.randint(0, CLASSES, (BATCH, SIDE, SIDE))
    seconds = []
    for _ in range(STEPS + 2):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(torch.device("cpu"))):
            loss = cross_entropy(network(photos), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


class Clock(Callback):
    """Notes when each step of a fit was over."""

    def __init__(self) -> None:
        self.over: list[float] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        steps = LOOP_STEPS[module.device.type]
        if batch_idx + 1 in (steps // 2, steps):
            _wait_for(module.device)
            self.over.append(time.perf_counter())


def loop_rate(device: str, workers: int) -> float:
    """Photos a second of the loop of `fit`, with so many processes that load."""
    module, cache, recipe = _made(device)
    clock, processes = Clock(), this_process()
    loader = training_loader(cache, recipe, workers, OUTFIT_15, processes)
    precision = pick_precision(None, torch.device(device))
    with tempfile.TemporaryDirectory() as out:
        fit._run(module, recipe, [clock], Path(out), loader, None, processes, precision)
    ((began, ended),) = pairwise(clock.over)
    steps = LOOP_STEPS[precision.device.type]
    return (steps - steps // 2) * recipe.batch_size / (ended - began)


def bare_rate(device: str) -> float:
    """Photos a second of the same steps on one batch of crops that lies ready."""
    module, cache, recipe = _made(device)
    place = torch.device(device)
    precision = pick_precision(None, place)
    module.to(place)
    (batch, *_) = training_loader(cache, recipe, 0, OUTFIT_15, this_process())
    photos, truth = cut_crops(batch.to(place), recipe)
    optimiser, scaler = module.configure_optimizers(), precision.scaler()
    steps = LOOP_STEPS[place.type]
    for step in range(steps):
        if step == steps // 2:
            _wait_for(place)
            began = time.perf_counter()
        with precision.autocast():
            loss = module.loss(module.network(photos), truth)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), recipe.clip)
        scaler.step(optimiser)
        scaler.update()
        assert module.average is not None
        module.average.update_parameters(module.network)
    _wait_for(place)
    return (steps - steps // 2) * recipe.batch_size / (time.perf_counter() - began)


def _made(device: str) -> tuple[SegmentationModule, Cache, Recipe]:
    """A network as `fit` prepares it, a cache of an epoch's photos of a person each, and the recipe `own/fpn`."""
    place = torch.device(device)
    tune(place, equal_batches=True)
    recipe = replace(
        load_recipe(RECIPES / "own" / "fpn.toml"),
        imagenet=False,
        height=HEIGHT,
        width=WIDTH,
        batch_size=BATCH,
        epochs=1,
        schedule="constant",
    )
    count = LOOP_STEPS[place.type] * BATCH
    pixels = np.random.default_rng(0).integers(0, 256, (count * CACHE_HEIGHT * CACHE_WIDTH, 3), np.uint8)
    truths = np.zeros((count, CACHE_HEIGHT, CACHE_WIDTH), np.uint8)
    for index, truth in enumerate(truths):
        truth[40:200, 90:190], truth[200:400, 95:185] = 1 + index % 14, 1 + index // 14 % 14
    cache = Cache(tuple(map(str, range(count))), ((CACHE_HEIGHT, CACHE_WIDTH),) * count, pixels, truths.ravel(), {}, ())
    torch.manual_seed(0)
    network = build(recipe.architecture, CLASSES, recipe.arguments).to(memory_format=torch.channels_last)
    module = SegmentationModule(network, recipe, OUTFIT_15.names, [1 / CLASSES] * CLASSES)
    if place.type == "cpu":
        keep_memory(all_of_it=True)
        widen_depthwise(module.network)
    return module.train(), cache, recipe


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _apart(function: Any, *arguments: object) -> Any:
    """What a function gives in a process of its own, which may have children."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare_loops() -> None:
    """Prints a table for each device: photos a second of the bare step and of the loop, and the ratio."""
    workers = min(8, max(1, (os.cpu_count() or 2) - 1))
    for device in dict.fromkeys([str(pick_device()), list_devices()[-1]]):
        bare, loop = [], []
        for _ in range(TURNS):
            bare.append(_apart(bare_rate, device))
            loop.append(_apart(loop_rate, device, workers))
        place = torch.device(device)
        print(
            f"{describe_device(place)}, precision {pick_precision(None, place).name}, {BATCH} of {HEIGHT} x {WIDTH}, "
            f"{workers} processes that load; median of {TURNS} turns"
        )
        rate = statistics.median(bare)
        print(f"{'bare step on a batch that lies ready (baseline)':<50}{rate:8.1f} photos/s{1:8.2f} x")
        print(
            f"{'whole loop of fit':<50}{statistics.median(loop):8.1f} photos/s{statistics.median(loop) / rate:8.2f} x"
        )


def compare_steps() -> None:
    """Prints a table: seconds a step, and the share of the baseline's."""
    variants = {
        f"training step, {BATCH} of {SIDE} x {SIDE} (baseline)": (False, False),
        "memory kept between steps": (True, False),
        "and depthwise convolutions in float32": (True, True),
    }
    found: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(TURNS):
        for name, variant in variants.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[name].append(pool.apply(step_seconds, variant))
    medians = {name: statistics.median(values) for name, values in found.items()}
    baseline = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:<44}{median:8.3f} s{median / baseline:8.2f} x")


def main() -> None:
    """Prints both tables."""
    compare_steps()
    compare_loops()


if __name__ == "__main__":
    main()
