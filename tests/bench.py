"""What a photo costs, as ratios against a baseline in the same run: `make bench`.

Without arguments, the default model against its bare networks, and against a plain FPN of segmentation-models-pytorch;
`PYTHONPATH=. python tests/bench.py A B ...` times the checkpoints in these folders against the first. `--plain FOLDER`
is as without arguments, with the checkpoint in that folder for the default model. Each figure is the median of several
turns, taken in turn with the baseline, so that a busy machine slows both.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from skimage.data import astronaut
from torch import nn

from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.extras import missing_extra
from segmodels.inference.segmenter import Segmenter

TURNS = 15
PLAIN = "a plain FPN on EfficientNet-Lite0, 320 x 320"
OPENVINO = "segment on OpenVINO"


def main(folders: list[str]) -> None:
    """Prints a table: seconds, and how many times the baseline."""
    photo = cv2.copyMakeBorder(astronaut(), 157, 156, 19, 19, cv2.BORDER_REPLICATE)  # 825 x 550
    if folders and folders[0] != "--plain":
        segmenters = {folder: Segmenter(load_checkpoint(Path(folder))) for folder in folders}
        measure({folder: partial(segmenter.segment, photo) for folder, segmenter in segmenters.items()})
    else:
        segmenter = Segmenter(load_checkpoint(Path(folders[1]))) if folders else load_segmenter("fpn")
        tasks = _parts(segmenter, photo)
        if not missing_extra("openvino", "openvino"):
            compiled = Segmenter(segmenter.checkpoint, torch.device("cpu"), runtime="openvino")
            tasks[f"{OPENVINO}, photo of {photo.shape[1]} x {photo.shape[0]}"] = partial(compiled.segment, photo)
        medians = measure(tasks)
        if segmenter.checkpoint.kinds:
            print(f"kinds make a photo {kinds_cost(segmenter, photo):.2f} times as long (wanted: at most 1.05)")
        for part in ("segment,", OPENVINO):
            for median in [median for name, median in medians.items() if name.startswith(part)][:1]:
                print(f"{part.rstrip(',')} runs at {medians[PLAIN] / median:.2f} times the speed of {PLAIN}")


def kinds_cost(segmenter: Segmenter, photo: np.ndarray) -> float:
    """Processor's seconds of a photo with kinds over those without, medians of twice as many turns, taken in turn."""
    without = Segmenter(replace(segmenter.checkpoint, kinds=None), segmenter.device, precision=segmenter.precision)
    seconds: dict[Segmenter, list[float]] = {without: [], segmenter: []}
    for turn in range(2 * TURNS + 2):
        for each in (*seconds,) if turn % 2 else (*reversed(seconds),):
            started = time.process_time()
            each.segment(photo)
            if turn >= 2:
                seconds[each].append(time.process_time() - started)
    return statistics.median(seconds[segmenter]) / statistics.median(seconds[without])


def _parts(segmenter: Segmenter, photo: np.ndarray) -> dict[str, Callable[[], object]]:
    """A model's bare networks, all that it does to a photo, and a network as the library gives it."""
    config = segmenter.checkpoint.config
    members = [config, *config.ensemble]
    sizes = " + ".join(f"{one.height} x {one.width}" for one in members)
    batches = [torch.rand(1, 3, one.height, one.width).to(memory_format=torch.channels_last) for one in members]
    phone = cv2.resize(photo, (3000, 4500), interpolation=cv2.INTER_LINEAR)

    def run(networks: Iterable[nn.Module]) -> None:
        with torch.inference_mode(), segmenter.precision.autocast():
            for network, batch in zip(networks, batches, strict=True):
                network(batch)

    trained = segmenter.checkpoint.network.to(memory_format=torch.channels_last)
    unfolded = list(trained) if isinstance(trained, nn.ModuleList) else [trained]
    plain = smp.FPN("tu-tf_efficientnet_lite0", encoder_weights=None, classes=15).eval()
    square = torch.rand(1, 3, 320, 320)

    def run_plain() -> None:
        with torch.inference_mode():
            plain(square)

    return {
        f"bare networks, {sizes} (baseline)": partial(run, segmenter.networks),
        "the same with their batch norms not folded": partial(run, unfolded),
        PLAIN: run_plain,
        f"segment, photo of {photo.shape[1]} x {photo.shape[0]}": partial(segmenter.segment, photo),
        f"segment, photo of {phone.shape[1]} x {phone.shape[0]}": partial(segmenter.segment, phone),
    }


def measure(tasks: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Times the tasks in turn, the first is the baseline; the median seconds of each by name."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(TURNS + 2):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    baseline = next(iter(medians.values()))
    print(f"{torch.get_num_threads()} threads, {TURNS} turns, median")
    for name, median in medians.items():
        print(f"{name:<52}{median:8.3f} s{median / baseline:8.2f} x")
    return medians


if __name__ == "__main__":
    main(sys.argv[1:])
