"""From a photo to its segmentation: crop, network, and the class map back at the photo's own size."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from segmodels.checkpoint import Checkpoint
from segmodels.device import has_fast_bf16, pick_device
from segmodels.person import Box, box_of, cut, frame_around
from segmodels.segmentation import Segmentation, measure
from segmodels.taxonomy import Taxonomy

__all__ = ["SMALLEST_GARMENT", "Segmenter"]

SMALLEST_GARMENT = 0.001
"""Share of the outfit's pixels below which a class is taken for noise and becomes background."""

_STRIP_PIXELS = 1 << 20
_MIN_COMPONENT = 0.1
_WORTH_A_SECOND_LOOK = 0.85


class Segmenter:
    """A checkpoint that runs. One instance serves any number of threads.

    Args:
        checkpoint: Whose network is moved to the device.
        device: The first GPU, or the processor, if left out.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device | None = None) -> None:
        self.checkpoint = checkpoint
        self.device = device or pick_device()
        self.network: nn.Module = checkpoint.network.to(self.device).to(memory_format=torch.channels_last).eval()
        self._bf16 = has_fast_bf16(self.device)

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes of its class maps."""
        return self.checkpoint.taxonomy

    def segment(self, photo: np.ndarray) -> Segmentation:
        """Finds the garments of a photo.

        Args:
            photo: uint8 `(H, W, 3)` RGB, upright.

        Raises:
            ValueError: If the photo is of another type or shape.
        """
        return self.segment_batch([photo])[0]

    def segment_batch(self, photos: Sequence[np.ndarray]) -> list[Segmentation]:
        """Finds the garments of several photos, each uint8 `(H, W, 3)`, each look of the network taken for all at once.

        Raises:
            ValueError: If a photo is of another type or shape.
        """
        for photo in photos:
            if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
                raise ValueError(f"A photo is uint8 (H, W, 3), not {photo.dtype} {photo.shape}.")
        if not photos:
            return []
        started = time.perf_counter()
        frames = [self._whole(photo) for photo in photos]
        config = self.checkpoint.config
        probabilities = self._look(photos, frames, last=config.crop == "none")
        if config.crop == "found":
            closer = {
                index: frame
                for index in range(len(photos))
                if (frame := self._closer(probabilities[index], frames[index]))
            }
            if closer:
                seen = self._look([photos[index] for index in closer], list(closer.values()), last=True)
                for position, (index, frame) in enumerate(closer.items()):
                    frames[index] = frame
                    probabilities[index] = seen[position]
        looked = time.perf_counter()
        results = []
        for photo, frame, probability in zip(photos, frames, probabilities, strict=True):
            begun = time.perf_counter()
            class_map, confidence = _at_photo_size(probability, frame, photo.shape[0], photo.shape[1])
            _drop_specks(class_map, self.taxonomy)
            people, garments = measure(photo, self.taxonomy, class_map, confidence)
            results.append(
                Segmentation(
                    taxonomy=self.taxonomy,
                    class_map=class_map,
                    confidence=confidence,
                    people=people,
                    garments=garments,
                    model=self.checkpoint.name,
                    revision=self.checkpoint.revision,
                    seconds=(looked - started) / len(photos) + time.perf_counter() - begun,
                )
            )
        return results

    def _whole(self, photo: np.ndarray) -> Box:
        config = self.checkpoint.config
        return frame_around(Box(0, 0, photo.shape[1], photo.shape[0]), config.aspect)

    def _closer(self, probability: torch.Tensor, frame: Box) -> Box | None:
        """The frame of the last look: around what the first found; None if nothing was, or it need not be repeated."""
        config = self.checkpoint.config
        found = (probability.argmax(dim=0) > 0).cpu().numpy().astype(np.uint8)
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(found)
        if count < 2:
            return None
        areas = statistics[1:, cv2.CC_STAT_AREA]
        kept = 1 + np.flatnonzero(areas >= _MIN_COMPONENT * areas.max())
        box = box_of(np.isin(labels, kept))
        assert box is not None
        x, y = frame.width / config.width, frame.height / config.height
        box = Box(frame.x + box.x * x, frame.y + box.y * y, box.width * x, box.height * y)
        closer = frame_around(box, config.aspect, config.margin)
        if min(closer.height / frame.height, closer.width / frame.width) < _WORTH_A_SECOND_LOOK:
            return closer
        return frame if config.mirror or config.scales != [1.0] else None

    def _look(self, photos: Sequence[np.ndarray], frames: Sequence[Box], *, last: bool) -> list[torch.Tensor]:
        """Probabilities float32 `(C, height, width)` in each photo's frame; the last look is averaged over scales."""
        config = self.checkpoint.config
        size = (config.height, config.width)
        scales = config.scales if last else [1.0]
        total = torch.zeros(len(photos), len(config.classes), *size, device=self.device)
        for scale in scales:
            seen = self._probability(
                photos, frames, round(size[0] * scale), round(size[1] * scale), last and config.mirror
            )
            total += functional.interpolate(seen, size, mode="bilinear", antialias=True) if scale != 1 else seen
        return list(_open(total / len(scales), config.opening_kernel))

    def _probability(
        self, photos: Sequence[np.ndarray], frames: Sequence[Box], height: int, width: int, mirror: bool
    ) -> torch.Tensor:
        """Probabilities float32 `(N, C, height, width)` of the crops, averaged with the mirrored crops'."""
        config = self.checkpoint.config
        crops = np.stack([cut(photo, frame, height, width) for photo, frame in zip(photos, frames, strict=True)])
        batch = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2)
        batch = batch.float().div_(255).sub_(config.mean).div_(config.std).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            probability: torch.Tensor = self.network(batch).float().softmax(dim=1)
            if mirror:
                mirrored = self.network(batch.flip(dims=[3])).float().softmax(dim=1)
                probability = (probability + mirrored.flip(dims=[3])) / 2
        return probability


def _open(probability: torch.Tensor, kernel: int) -> torch.Tensor:
    """Morphological opening of each class's map `(N, C, h, w)`: erosion, then dilation (Inácio et al. §IV-C).

    Args:
        probability: To open.
        kernel: Side of the square, odd; 0 and 1 change nothing.
    """
    if kernel < 2:
        return probability
    eroded = -functional.max_pool2d(-probability, kernel, stride=1, padding=kernel // 2)
    return functional.max_pool2d(eroded, kernel, stride=1, padding=kernel // 2)


def _at_photo_size(probability: torch.Tensor, frame: Box, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Class map and confidence, uint8 `(height, width)`; what lies outside the frame is background.

    Up-sampling and argmax go strip by strip, so that 50 megapixels of 15 classes never stand in memory at once.

    Args:
        probability: float32 `(C, h, w)` inside the frame.
        frame: In pixels of the photo; may reach beyond it.
        height: Of the photo.
        width: Of the photo.
    """
    class_map = np.zeros((height, width), np.uint8)
    confidence = np.full((height, width), 255, np.uint8)
    left, top = round(frame.x), round(frame.y)
    right, bottom = max(left + 1, round(frame.x + frame.width)), max(top + 1, round(frame.y + frame.height))  # as `cut`
    columns = range(max(left, 0), min(right, width))
    rows = range(max(top, 0), min(bottom, height))
    x = _between_samples(probability.shape[2], right - left, columns.start - left, len(columns))
    step = max(1, _STRIP_PIXELS // max(1, len(columns)))
    for start in range(rows.start, rows.stop, step):
        count = min(step, rows.stop - start)
        y = _between_samples(probability.shape[1], bottom - top, start - top, count)
        value, index = _interpolate(_interpolate(probability, 1, *y), 2, *x).max(dim=0)  # over (C, count, columns)
        part = np.s_[start : start + count, columns.start : columns.stop]
        class_map[part] = index.to(torch.uint8).cpu().numpy()
        confidence[part] = value.mul(255).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()
    return class_map, confidence


def _between_samples(source: int, target: int, start: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where targets `start` to `start + count` of `target` lie among `source` samples: index below, share above."""
    position = ((torch.arange(start, start + count) + 0.5) * (source / target) - 0.5).clamp_(0, source - 1)
    below = position.long()
    return below, position - below


def _interpolate(values: torch.Tensor, dim: int, below: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Linear interpolation of `(C, h, w)` along one dimension."""
    device = values.device
    shape = [-1 if axis == dim else 1 for axis in range(3)]
    low = values.index_select(dim, below.to(device))
    high = values.index_select(dim, (below + 1).clamp_(max=values.shape[dim] - 1).to(device))
    return low.lerp_(high, share.to(device).view(shape))


def _drop_specks(class_map: np.ndarray, taxonomy: Taxonomy) -> None:
    """Turns garments that hold next to no pixels into background, in place."""
    pixels = np.bincount(class_map.ravel(), minlength=len(taxonomy))
    worn = sum(pixels[garment.id] for garment in taxonomy.worn)
    for garment in taxonomy.worn:
        if 0 < pixels[garment.id] < SMALLEST_GARMENT * worn:
            class_map[class_map == garment.id] = 0
