"""What `train.processor` gains in a training step, as a ratio against the step without it: part of `make bench`.

Each turn is a process of its own, since what `keep_memory` sets cannot be taken back, and the turns alternate.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time

import torch

from segmodels.architectures import build
from segmodels.device import has_fast_bf16, keep_memory
from train.losses import cross_entropy
from train.processor import widen_depthwise

TURNS, STEPS = 3, 6
BATCH, SIDE, CLASSES = 8, 320, 15


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


def main() -> None:
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


if __name__ == "__main__":
    main()
