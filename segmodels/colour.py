"""The colours of a garment: their shares, and the names that fashion retailers use for them.

Differences between colours are CIEDE2000 (Sharma, Wu & Dalal 2005, *The CIEDE2000 color-difference formula*), as
scikit-image computes it, over CIELAB with the D65 white of sRGB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

__all__ = ["BASIC_COLOURS", "FINE_COLOURS", "Colour", "dominant_colours", "dominant_colours_of", "name_colour"]

BASIC_COLOURS = (
    *("black", "white", "gray", "beige", "brown", "red"),
    *("pink", "orange", "yellow", "green", "blue", "purple"),
)
"""The basic colour names, by which trends are counted."""

FINE_COLOURS: Mapping[str, Mapping[str, str]] = {
    "black": {"black": "#060607 #17171a #2a292b"},
    "white": {"white": "#fcfcfc #e8eaf0 #eaf3f6", "off-white": "#f0ede7 #e8eee3", "ivory": "#fbf8ec"},
    "gray": {
        "charcoal": "#404145",
        "dark gray": "#5a5b5d",
        "gray": "#808182 #6d6d6f #767676 #98999a #98a0a8",
        "light gray": "#b4b5b6",
        "silver": "#cbcccf #dadadb #dae0e2",
        "slate": "#646c76",
    },
    "beige": {
        "cream": "#f0e4c8 #f5f3dc",
        "beige": "#dac9ae",
        "sand": "#cdb995",
        "stone": "#c2b8a9 #a89985",
        "khaki": "#a89a78 #85754f",
        "nude": "#dfc0a8",
    },
    "brown": {
        "taupe": "#887869",
        "tan": "#cca678",
        "camel": "#c19a6b",
        "cognac": "#94552c",
        "brown": "#6b4a33 #6e3527",
        "mocha": "#7d6251",
        "chocolate": "#432c20 #2f1e14",
    },
    "red": {
        "red": "#d21f26 #f01c14 #94201c",
        "crimson": "#a9152f",
        "brick": "#8f3c33",
        "burgundy": "#661427 #471319",
    },
    "pink": {
        "blush": "#efcfca",
        "pink": "#f2a6be",
        "dusty rose": "#bf868b",
        "rose": "#d8627f",
        "hot pink": "#f5408f #fb5cc0",
        "fuchsia": "#cf1c8c #f41ee8",
        "salmon": "#f2968a #fa8072",
    },
    "orange": {
        "peach": "#f7c4a2",
        "coral": "#fb7550",
        "orange": "#f28322 #fca510 #f2ad6a",
        "terracotta": "#bf6646",
        "rust": "#9e4420 #c9561c",
    },
    "yellow": {
        "pale yellow": "#f5ebae",
        "yellow": "#f6d626 #f8f060",
        "gold": "#d6ab3c",
        "mustard": "#bd9024",
    },
    "green": {
        "mint": "#b4e2cb",
        "pistachio": "#cfe0a2 #e6f79a",
        "sage": "#a2af90",
        "lime": "#a9d52f #38f02c #ddf53c",
        "green": "#2f8f45",
        "emerald": "#0d8a66",
        "forest green": "#1f4a30 #14302a",
        "army green": "#555940 #46432f",
        "olive": "#6c6b34",
    },
    "blue": {
        "baby blue": "#b4d2ea #d0e2f0",
        "sky blue": "#86bce6",
        "turquoise": "#3cc8c8",
        "teal": "#15737a",
        "petrol": "#1e4552",
        "dusty blue": "#8ca6c4",
        "denim": "#51698a",
        "indigo": "#2c3b56",
        "steel blue": "#5a87ad",
        "blue": "#2565c0 #5b72ae",
        "cobalt": "#1240a8 #1a20f4",
        "navy": "#1a2140 #0c0c70",
    },
    "purple": {
        "lavender": "#c6bbe2 #e4e1fa #8f8bbb",
        "lilac": "#c39fca",
        "mauve": "#9b7a93",
        "purple": "#63308a #7d42b8 #4b0f80",
        "plum": "#5c2750 #33203a",
    },
}
"""The fine names under the basic name that each belongs to, in sRGB: one typical code, or several for a wide one."""

_NAMES = tuple(
    (fine, basic) for basic, colours in FINE_COLOURS.items() for fine, codes in colours.items() for _ in codes.split()
)
_CODES = " ".join(codes for colours in FINE_COLOURS.values() for codes in colours.values())
_TYPICAL = rgb2lab(np.frombuffer(bytes.fromhex(_CODES.replace("#", "")), np.uint8).reshape(-1, 3))


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour of a garment: `#rrggbb` in sRGB, its fine and basic name, its share (0..1) of the garment's pixels."""

    hex: str
    name: str
    basic: str
    share: float


# How colours are grouped. Light falls unevenly on cloth: within one dye lightness varies most, chroma less and hue
# hardly, so that differences weigh accordingly (the parametric factors kL, kC and kH of CIEDE2000).
_SHADING = {"kL": 2.4, "kC": 1.5, "kH": 1.0}
_SAME = 11.0  # groups nearer than this are one colour
_LEAST = 0.05  # share below which a colour is a button, a crease or the background shining through
_SAMPLE = 4096  # number of pixels that are used
_GROUPS = 8  # number of groups before those of one colour are merged
_LARGEST = 1 << 20  # pixels of the box around a mask beyond which it is thinned first


def dominant_colours(photo: np.ndarray, mask: np.ndarray, *, limit: int = 3) -> tuple[Colour, ...]:
    """The dominant colours of a garment, the largest first.

    The mask loses its outermost pixels, where the background bleeds in, unless nothing would be left. At most 4,096
    pixels are used, chosen deterministically: same photo and mask, same colours.

    Args:
        photo: uint8 `(H, W, 3)` sRGB.
        mask: bool `(H, W)`, true where the garment is.
        limit: Most colours to return.

    Returns:
        Colours of at least 5 % each, no name twice. Their shares, rounded to four places, are of all the garment's
        pixels, so they sum to 1 or less. Empty if the mask is.

    Raises:
        ValueError: If a shape or dtype is wrong, or `limit` is below 1.
    """
    return dominant_colours_of([(photo, mask)], limit=limit)[0]


def dominant_colours_of(
    garments: Sequence[tuple[np.ndarray, np.ndarray]], *, limit: int = 3
) -> list[tuple[Colour, ...]]:
    """Dominant colours of several garments, photo and mask of each, in less time than one after another."""
    for photo, mask in garments:
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise ValueError(f"Expected a photo of uint8 (H, W, 3), got {photo.dtype} {photo.shape}.")
        if mask.dtype != np.bool_ or mask.shape != photo.shape[:2]:
            raise ValueError(f"Expected a mask of bool {photo.shape[:2]}, got {mask.dtype} {mask.shape}.")
    if limit < 1:
        raise ValueError(f"Expected a limit of 1 or more, got {limit}.")
    pixels = [_garment_pixels(photo, mask) for photo, mask in garments]
    seen = [index for index, theirs in enumerate(pixels) if len(theirs)]
    if not seen:
        return [()] * len(garments)
    ends = np.cumsum([len(pixels[index]) for index in seen])[:-1]
    labs = np.split(rgb2lab(np.concatenate([pixels[index] for index in seen])).astype(np.float32), ends)
    labels = _join(labs, [_group(lab) for lab in labs])
    sizes = [np.bincount(each) for each in labels]
    largest_first = [np.argsort(-each, kind="stable") for each in sizes]
    typical = [
        [_typical(lab, np.flatnonzero(each == label)) for label in order]
        for lab, each, order in zip(labs, labels, largest_first, strict=True)
    ]
    names = iter(_nearest_names(np.concatenate([lab[places] for lab, places in zip(labs, typical, strict=True)])))
    colours: list[tuple[Colour, ...]] = [()] * len(garments)
    for index, places, size, order in zip(seen, typical, sizes, largest_first, strict=True):
        found: dict[str, Colour] = {}
        for place, count in zip(places, size[order], strict=True):
            fine, basic = next(names)
            code, share = "#" + pixels[index][place].tobytes().hex(), int(count) / len(pixels[index])
            if fine in found:  # two groups of one name are one colour to the reader
                code, share = found[fine].hex, share + found[fine].share
            found[fine] = Colour(code, fine, basic, share)
        largest = sorted(found.values(), key=lambda colour: (-colour.share, colour.hex))[:limit]
        colours[index] = tuple(
            replace(colour, share=round(colour.share, 4)) for colour in largest if colour.share >= _LEAST
        )
    return colours


def name_colour(colour: Sequence[float] | np.ndarray, *, space: Literal["rgb", "lab"] = "rgb") -> tuple[str, str]:
    """Name of a colour: the nearest of `FINE_COLOURS` by CIEDE2000.

    Args:
        colour: Three numbers: sRGB 0..255, or CIELAB under D65 (L 0..100, a, b).
        space: Colour space of the numbers.

    Returns:
        The fine name and the basic name, one of `BASIC_COLOURS`.
    """
    lab = np.asarray(colour, float)
    if space == "rgb":
        lab = rgb2lab(lab / 255)
    return _nearest_names(lab[None])[0]


def _nearest_names(lab: np.ndarray) -> list[tuple[str, str]]:
    """Fine and basic name of each of `(n, 3)` colours in CIELAB."""
    return [_NAMES[nearest] for nearest in np.argmin(_difference(_TYPICAL[None], lab[:, None]), axis=1)]


def _typical(lab: np.ndarray, members: np.ndarray) -> int:
    """The pixel among `members` that is nearest to their median, so that the colour is one that there is."""
    theirs = lab[members]
    return int(members[np.argmin(((theirs - np.median(theirs, axis=0)) ** 2).sum(axis=1))])


def _garment_pixels(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 `(n, 3)`: up to `_SAMPLE` pixels of the garment, without its rim."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return np.empty((0, 3), np.uint8)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    photo, mask = photo[box], mask[box]
    step = math.ceil(math.sqrt(mask.size / _LARGEST))
    if step > 1 and np.count_nonzero(mask[::step, ::step]) >= _SAMPLE:
        photo, mask = photo[::step, ::step], mask[::step, ::step]
    padded = np.pad(mask, 1).astype(np.uint8)  # the box's own border is rim as well
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    where = np.flatnonzero(inner if inner.any() else mask)
    if len(where) > _SAMPLE:
        where = where[np.random.default_rng(0).choice(len(where), _SAMPLE, replace=False, shuffle=False)]
    return np.asarray(photo[np.divmod(where, mask.shape[1])])


def _group(lab: np.ndarray) -> np.ndarray:
    """Groups of like pixels by k-means, seeded as k-means++ does (Arthur & Vassilvitskii 2007).

    Args:
        lab: float32 `(n, 3)`.

    Returns:
        int `(n,)`: group of each pixel.
    """
    generator = np.random.default_rng(0)
    channels = np.ascontiguousarray(lab.T)  # sums over whole rows are several times as fast as over triples
    distances = [_squared_distance(channels, int(generator.integers(len(lab))))]
    nearest = distances[0]
    while len(distances) < _GROUPS and nearest.max() >= 1:  # some pixel differs visibly from all seeds
        seed = generator.choice(len(lab), p=nearest.astype(float) / nearest.sum(dtype=float))
        distances.append(_squared_distance(channels, int(seed)))
        nearest = np.minimum(nearest, distances[-1])
    labels = np.argmin(distances, axis=0).astype(np.int32)
    if len(distances) > 1:
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 0.5)
        _, labels, _ = cv2.kmeans(lab, len(distances), labels[:, None], criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    used = np.bincount(labels.ravel()) > 0
    return np.asarray((np.cumsum(used) - 1)[labels.ravel()])


def _squared_distance(channels: np.ndarray, pixel: int) -> np.ndarray:
    """Squared distances of the columns of `(3, n)` to one of them."""
    distance: np.ndarray = ((channels - channels[:, pixel, None]) ** 2).sum(axis=0)
    return distance


def _join(labs: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each garment's labels after joining, nearest pair first, all groups that are one colour in more and less light.

    All garments take each step together, because a call of CIEDE2000 costs more than what it computes.
    """
    counts = [np.bincount(theirs).astype(float) for theirs in labels]
    centres = [
        np.stack([np.bincount(theirs, channel) for channel in lab.T], axis=1) / count[:, None]
        for lab, theirs, count in zip(labs, labels, counts, strict=True)
    ]
    joined = [np.arange(len(count)) for count in counts]  # the label of each group by now
    going_on = [index for index, count in enumerate(counts) if len(count) > 1]
    while going_on:
        sides = [len(counts[index]) for index in going_on]
        ones = np.concatenate(
            [np.repeat(centres[index], side, axis=0) for index, side in zip(going_on, sides, strict=True)]
        )
        others = np.concatenate(
            [np.tile(centres[index], (side, 1)) for index, side in zip(going_on, sides, strict=True)]
        )
        distances = np.split(_difference(ones, others, **_SHADING), np.cumsum(np.square(sides))[:-1])
        closer = []
        for index, side, distance in zip(going_on, sides, distances, strict=True):
            matrix = distance.reshape(side, side)
            np.fill_diagonal(matrix, np.inf)
            first, second = sorted(divmod(int(np.argmin(matrix)), side))
            if matrix[first, second] >= _SAME:
                continue
            one, other = counts[index][first], counts[index][second]
            centre = (centres[index][first] * one + centres[index][second] * other) / (one + other)
            centres[index][first], counts[index][first] = centre, one + other
            rest = np.arange(side) != second
            centres[index], counts[index] = centres[index][rest], counts[index][rest]
            joined[index] = np.where(joined[index] == second, first, joined[index])
            joined[index] -= joined[index] > second
            if side > 2:
                closer.append(index)
        going_on = closer
    return [label[theirs] for label, theirs in zip(joined, labels, strict=True)]


def _difference(one: np.ndarray, other: np.ndarray, **weights: float) -> np.ndarray:
    return np.asarray(deltaE_ciede2000(one, other, **weights))
