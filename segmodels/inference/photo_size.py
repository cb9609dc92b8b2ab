"""Class maps at the photo's own size, from probabilities at the input's size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.nn import functional

from segmodels.inference.boxes import Box, edges
from segmodels.inference.regions import Region
from segmodels.taxonomy import Taxonomy

__all__ = ["SMALLEST_GARMENT", "at_photo_size", "blend", "drop_specks", "merge", "open_maps"]

SMALLEST_GARMENT = 0.001
"""Share of the outfit's pixels below which a class is taken for noise and becomes background."""

_STRIP_PIXELS = 1 << 20


def blend(probability: torch.Tensor, crop: Box, other: torch.Tensor, other_crop: Box, share: float) -> None:
    """Averages another network's output over its crop into `(C, h, w)`, in place; beyond that crop nothing changes."""
    height, width = probability.shape[1:]
    x, y = width / crop.width, height / crop.height
    left, top, right, bottom = edges(
        Box((other_crop.x - crop.x) * x, (other_crop.y - crop.y) * y, other_crop.width * x, other_crop.height * y)
    )
    resized = functional.interpolate(other[None], (bottom - top, right - left), mode="bilinear")[0]
    inside = probability[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    left, top = max(-left, 0), max(-top, 0)
    inside.lerp_(resized[:, top : top + inside.shape[1], left : left + inside.shape[2]], share)


def open_maps(probability: torch.Tensor, kernel: int) -> torch.Tensor:
    """Morphological opening of each class's map `(N, C, h, w)`: erosion, then dilation (Inácio et al. §IV-C).

    Args:
        probability: Probabilities to open, `(N, C, h, w)`.
        kernel: Side of the square, odd; 0 and 1 change nothing.
    """
    if kernel < 2:
        return probability
    eroded = -functional.max_pool2d(-probability, kernel, stride=1, padding=kernel // 2)
    return functional.max_pool2d(eroded, kernel, stride=1, padding=kernel // 2)


def merge(regions: Sequence[Region], height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class map, confidence and owner of each pixel, uint8 `(height, width)`.

    Later regions lie in front; but the margin around a person's own box covers nobody.
    """
    owners = np.zeros((height, width), np.uint8)
    first, *others = regions
    assert first.probability is not None
    class_map, confidence = at_photo_size(first.probability, first.crop, height, width, first.limit)
    for owner, region in enumerate(others, start=1):
        assert region.probability is not None and region.person is not None
        classes, certainty = at_photo_size(region.probability, region.crop, height, width, region.limit)
        left, top, right, bottom = edges(region.person.box)
        uncovered = class_map == 0
        uncovered[top:bottom, left:right] = True
        worn = (classes > 0) & uncovered
        np.copyto(class_map, classes, where=worn)
        np.copyto(confidence, certainty, where=worn)
        owners[worn] = owner
        nothing = class_map == 0
        np.minimum(confidence, certainty, out=confidence, where=nothing)
    return class_map, confidence, owners


def at_photo_size(
    probability: torch.Tensor, crop: Box, height: int, width: int, limit: Box | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Class map and confidence, uint8 `(height, width)`; what lies outside the crop is background.

    Up-sampling and argmax go strip by strip, so that 50 megapixels of 15 classes never stand in memory at once.

    Args:
        probability: Probabilities inside the crop, float32 `(C, h, w)`.
        crop: Crop in pixels of the photo; may reach beyond it.
        height: Height of the photo, in pixels.
        width: Width of the photo, in pixels.
        limit: Box outside of which everything is background as well; None for no limit.
    """
    class_map = np.zeros((height, width), np.uint8)
    confidence = np.full((height, width), 255, np.uint8)
    left, top, right, bottom = edges(crop)
    limits = edges(limit) if limit else (0, 0, width, height)
    columns = range(max(left, limits[0], 0), min(right, limits[2], width))
    rows = range(max(top, limits[1], 0), min(bottom, limits[3], height))
    if not columns or not rows:  # a region beside the photo, as of a person in a very narrow one
        return class_map, confidence
    # What nowhere reaches the smallest mean over the classes is nowhere the likeliest.
    least = 0.9 * probability.mean(dim=0).min()
    ids = torch.nonzero(probability.amax(dim=(1, 2)) > least).flatten()
    probability = probability[ids]
    # In a very narrow photo few of the crop's columns are needed: most lie beside it, or there are more than it has.
    few = right - left > 2 * len(columns) or probability.shape[2] > 4 * len(columns)
    step = max(1, _STRIP_PIXELS // (len(columns) if few else right - left))
    if few:
        position = _positions(probability.shape[2], right - left, columns.start - left, len(columns))
        before = position.astype(int)
        needed = np.unique([before, np.minimum(before + 1, probability.shape[2] - 1)])
        probability = probability[:, :, torch.from_numpy(needed)]
        position = np.searchsorted(needed, before) + position - before
    for start in range(rows.start, rows.stop, step):
        count = min(step, rows.stop - start)
        bands = _rows_between(probability, bottom - top, start - top, count).cpu().numpy()
        part = np.s_[start : start + count, columns.start : columns.stop]
        most = np.zeros((count, len(columns)), np.float32)
        for id_, band in zip(ids.tolist(), bands, strict=True):
            if few:
                likely = _at_columns(band, position)
            else:
                likely = cv2.resize(band, (right - left, count))[:, columns.start - left : columns.stop - left]
            more = likely > most
            np.maximum(class_map[part], more * np.uint8(id_), out=class_map[part])  # the later class has the larger id
            np.maximum(likely, most, out=most)
        confidence[part] = (most * 255).round()
    return class_map, confidence


def _rows_between(probability: torch.Tensor, target: int, start: int, count: int) -> torch.Tensor:
    """Rows `start` to `start + count` of `(C, h, w)` interpolated to `target` rows: float32 `(C, count, w)`."""
    source = probability.shape[1]
    position = ((torch.arange(start, start + count) + 0.5) * (source / target) - 0.5).clamp_(0, source - 1)
    above = position.long()
    share = (position - above).to(probability.device)[:, None]
    low = probability.index_select(1, above.to(probability.device))
    high = probability.index_select(1, (above + 1).clamp_(max=source - 1).to(probability.device))
    return low.lerp_(high, share)


def _positions(source: int, target: int, start: int, count: int) -> np.ndarray:
    """Where columns `start` to `start + count` of `target` lie among `source` columns, float64 `(count,)`."""
    return np.asarray(np.clip((np.arange(start, start + count) + 0.5) * (source / target) - 0.5, 0, source - 1))


def _at_columns(band: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolates float32 `(h, w)` at positions between its columns: float32 `(h, positions)`."""
    before = position.astype(int)
    share = (position - before).astype(np.float32)
    return np.asarray(band[:, before] * (1 - share) + band[:, np.minimum(before + 1, band.shape[1] - 1)] * share)


def drop_specks(class_map: np.ndarray, taxonomy: Taxonomy, owners: np.ndarray, owner: int) -> None:
    """Turns a person's garments that hold next to no pixels into background, in place."""
    owned = owners == owner
    pixels = np.bincount(class_map[owned], minlength=len(taxonomy))
    worn = sum(pixels[garment.id] for garment in taxonomy.worn)
    for garment in taxonomy.worn:
        if 0 < pixels[garment.id] < SMALLEST_GARMENT * worn:
            class_map[owned & (class_map == garment.id)] = 0
