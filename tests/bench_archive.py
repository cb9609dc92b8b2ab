"""How far an ingest is from the network alone: photos a second of both, in turn, on the same photos: `make bench`.

The network is timed in two ways, each with all threads on one photo and with a thread on each, of which the faster
counts. *Looks*: from decoded photos to probabilities, which is what decoding and colours must not keep waiting; nothing
is read, decoded, put at the photo's size, measured, named or written. *Forward passes*: those of the detector and of
all looks, on inputs that lie ready, so that nothing is cut and no class gets a probability either.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut
from torch import nn

from segmodels.archive.ingest import analyse_here, ingest, version_of
from segmodels.archive.sources import from_uploads
from segmodels.archive.store import Archive
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import find_photos, open_photo

PHOTOS = 64
TURNS = 3
TARGET = 0.85

Pass = Callable[[], object]


def main() -> None:
    """Prints photos a second of both, and their ratio. Takes a folder of photos if one is named."""
    segmenter = load_segmenter("fpn")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _made_photos(Path(scratch, "photos"))
        paths = find_photos([folder])[:PHOTOS]
        files = [(path.name, path.read_bytes()) for path in paths]
        photos = [open_photo(path) for path in paths]
        passes = _passes(segmenter, photos)
        looks: list[Pass] = [partial(_look, segmenter, photo) for photo in photos]
        threads = torch.get_num_threads()

        def together(tasks: list[Pass]) -> None:
            for task in tasks:
                task()

        def apart(tasks: list[Pass]) -> None:
            torch.set_num_threads(1)
            with ThreadPoolExecutor(threads) as pool:
                deque(pool.map(lambda task: task(), tasks), maxlen=0)
            torch.set_num_threads(threads)

        def take_in() -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as place:
                engine = partial(analyse_here, segmenter)
                report = ingest(from_uploads(files), Archive(place), version_of(segmenter), engine)
            assert report.added == len(files), report

        ways: dict[str, list[Pass]] = {
            "looks": [partial(together, looks), partial(apart, looks)],
            "forward passes": [partial(together, passes), partial(apart, passes)],
            "ingest": [take_in],
        }
        seconds: dict[str, list[list[float]]] = {name: [[] for _ in tasks] for name, tasks in ways.items()}
        for turn in range(TURNS + 1):
            for name, tasks in ways.items():
                for task, taken in zip(tasks, seconds[name], strict=True):
                    started = time.perf_counter()
                    task()
                    if turn:
                        taken.append(time.perf_counter() - started)
    rates = {name: len(files) / min(map(statistics.median, taken)) for name, taken in seconds.items()}
    print(f"{threads} threads, {len(files)} photos, {len(passes)} forward passes, {TURNS} turns, median")
    for name, rate in rates.items():
        print(f"{name:<16}{rate:8.2f} photos a second")
    print(f"ingest / looks:          {rates['ingest'] / rates['looks']:.2f} (wanted: at least {TARGET})")
    print(f"ingest / forward passes: {rates['ingest'] / rates['forward passes']:.2f}")


def _look(segmenter: Segmenter, photo: np.ndarray) -> None:
    """All looks at a photo's people, the detector's included."""
    segmenter._fill_probabilities([photo], segmenter._regions_of_interest([photo]))


def _passes(segmenter: Segmenter, photos: list[np.ndarray]) -> list[Pass]:
    """The forward passes that the segmenter makes for these photos, on the inputs that it made."""
    detector = segmenter.detector.network
    inputs: list[tuple[nn.Module | None, torch.Tensor]] = []
    hooks = [
        network.register_forward_pre_hook(lambda seen, given: inputs.append((seen, given[0])))
        for network in segmenter.networks
    ]
    hooks.append(detector.backbone.register_forward_pre_hook(lambda _, given: inputs.append((None, given[0]))))
    for photo in photos:
        segmenter.segment(photo)
    for hook in hooks:
        hook.remove()

    def forward(network: nn.Module | None, batch: torch.Tensor) -> None:
        with torch.inference_mode(), segmenter.precision.autocast():
            if network:
                network(batch)
            else:
                detector.head(list(detector.backbone(batch).values()))
        if segmenter.device.type == "cuda":
            torch.cuda.synchronize()

    return [partial(forward, network, batch) for network, batch in inputs]


def _made_photos(folder: Path) -> Path:
    """The astronaut in 64 lights, at the size of a photo of Clothing Co-Parsing."""
    folder.mkdir()
    portrait = Image.fromarray(astronaut()).resize((550, 825))
    for number in range(PHOTOS):
        out = io.BytesIO()
        portrait.point([min(255, int(level * (0.7 + number / 100))) for level in range(256)] * 3).save(out, "JPEG")
        (folder / f"look{number:02d}.jpg").write_bytes(out.getvalue())
    return folder


if __name__ == "__main__":
    main()
