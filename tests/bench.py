"""What a photo costs, as ratios against the bare network in the same run: `make bench`.

Each figure is the median of several turns, taken in turn with the baseline, so that a busy machine slows both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import torch
from skimage.data import astronaut

from segmodels.catalog import load_segmenter

TURNS = 15


def main() -> None:
    """Prints a table: seconds, and how many times the baseline."""
    segmenter = load_segmenter("fpn")
    config = segmenter.checkpoint.config
    batch = torch.rand(1, 3, config.height, config.width).to(memory_format=torch.channels_last)
    photo = cv2.copyMakeBorder(astronaut(), 157, 156, 19, 19, cv2.BORDER_REPLICATE)  # 825 x 550
    phone = cv2.resize(photo, (3000, 4500), interpolation=cv2.INTER_LINEAR)

    def network() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=segmenter._bf16):
            segmenter.networks[0](batch)

    trained = segmenter.checkpoint.network.to(memory_format=torch.channels_last)

    def unfolded() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=segmenter._bf16):
            (trained[0] if isinstance(trained, torch.nn.ModuleList) else trained)(batch)

    tasks: dict[str, Callable[[], object]] = {
        f"bare network, {config.height} x {config.width} (baseline)": network,
        "the same with its batch norms not folded": unfolded,
        f"segment, photo of {photo.shape[1]} x {photo.shape[0]}": lambda: segmenter.segment(photo),
        f"segment, photo of {phone.shape[1]} x {phone.shape[0]}": lambda: segmenter.segment(phone),
    }
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
        print(f"{name:<44}{median:8.3f} s{median / baseline:8.1f} x")


if __name__ == "__main__":
    main()
