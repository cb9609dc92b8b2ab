"""From cached photos and truths to plans of crops: what each shows, and how it is augmented.

The processes that load only read: they choose what a crop shows, copy that region of the cached photo, and say how it
is to be placed. `train.segmentation.cutting` does the rest on the device, for a batch at once: sampling, pasting,
colour, noise and normalisation. What is random is drawn from the seed, the epoch and the place of a photo in the epoch
alone, so that neither the number of loading processes nor the size of a batch changes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from segmodels.inference.boxes import PADDING_GREY, Box, box_of, crop_around
from segmodels.taxonomy import UNLABELLED
from train.data.cache import Cache
from train.recipe import Recipe
from train.segmentation.capture import Capture, compressed, random_capture
from train.segmentation.distillation import SoftLabels
from train.segmentation.sampling import Draw, classes_shown

__all__ = ["LUMA", "CropPlan", "TrainingCrops", "ValidationCrops", "View"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Shares of red, green and blue in luma: ITU-R BT.601, as in `torchvision.transforms`."""

_YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float64)  # of NTSC; hue is its angle
_PART = (0.22, 0.85)  # heights of the person that a part of it shows
_PART_WIDTH = (0.6, 1.3)  # of that part, in its own heights
_ABOVE = 0.05  # heights of the person between the head, or the feet, and the edge of the photo
_TURNED = 0.3  # share of the flat-lays that lie on their side


class View(NamedTuple):
    """A region of a photo, and where the crop lies in it.

    Args:
        photo: uint8 `(h, w, 3)` RGB; its sides are multiples of `shrink`.
        truth: uint8 `(h, w)` class ids.
        place: float32 `(2, 3)`, from the crop to the region, both with coordinates from -1 to 1, as
            `torch.nn.functional.affine_grid` takes it.
        shrink: Rows and columns of pixels that are averaged into one before the crop is sampled.
        corner: First row and column of the region in the photo.
    """

    photo: np.ndarray
    truth: np.ndarray
    place: np.ndarray
    shrink: tuple[int, int]
    corner: tuple[int, int] = (0, 0)


class CropPlan(NamedTuple):
    """One crop before it is cut.

    Args:
        view: The region that the crop shows.
        pasted: Region of a garment's wearer, and the id of the garment's class; None for none.
        mixed: Region of another person, and the rectangle of the crop that shows it (top, bottom, left, right); None
            for none.
        colour: float32 `(3, 3)`, by which each RGB value is multiplied.
        lift: Multiple of the crop's mean luma that is added to each RGB value.
        capture: How the crop was photographed; JPEG is in the region already.
        skin: Id of the class whose pixels are skin; None where there is none.
        soft: What a teacher gives for the whole photo, uint8 `(C, h, w)`, and where the crop lies in it, as in `View`;
            None where no teacher was asked.
    """

    view: View
    pasted: tuple[View, int] | None = None
    mixed: tuple[View, tuple[int, int, int, int]] | None = None
    colour: np.ndarray = np.eye(3, dtype=np.float32)
    lift: float = 0.0
    capture: Capture = Capture()
    skin: int | None = None
    soft: tuple[np.ndarray, np.ndarray] | None = None


class TrainingCrops(Dataset[CropPlan]):
    """Plans of random crops about the person, a part of the person or the whole photo, augmented.

    Args:
        cache: Photos and truths.
        recipe: The experiment, which says what is random and how far.
        pasted: Ids of the recipe's `pasted` classes.
        skin: Id of the class whose pixels are skin; None where there is none.
        flatlays: Indices of the photos in the cache that show a garment without a person.
        soft: What a teacher gives for the photos; None without a teacher.
    """

    def __init__(
        self,
        cache: Cache,
        recipe: Recipe,
        pasted: Sequence[int] = (),
        skin: int | None = None,
        flatlays: Sequence[int] = (),
        soft: SoftLabels | None = None,
    ) -> None:
        self.cache = cache
        self.recipe = recipe
        self.skin = skin
        self.soft = soft
        self.flatlays = frozenset(flatlays)
        self.people = np.array([index for index in range(len(cache)) if index not in self.flatlays])
        shown = classes_shown(cache, max(pasted, default=-1) + 1)[self.people]
        self.donors = [(id_, self.people[shown[:, id_]]) for id_ in pasted if shown[:, id_].any()]

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, draw: Draw) -> CropPlan:
        recipe = self.recipe
        random = np.random.default_rng([recipe.seed, draw.epoch, draw.place, draw.photo])
        photo, truth = self.cache.pair(draw.photo)
        worn = draw.photo not in self.flatlays
        person = _person(self.cache, draw.photo, recipe, random)
        whole, corner = truth.shape, (0, 0)
        if worn and recipe.framing and random.random() < recipe.framing:
            top, bottom, left, right = _part_of(truth, person, random)
            photo, truth = photo[top:bottom, left:right], truth[top:bottom, left:right]
            person = person._replace(x=person.x - left, y=person.y - top)
            corner = (top, left)
        if not worn:
            box = _most_of(truth, random)
        elif self.cache.people is None:
            box = _shown(truth, recipe)
        else:
            box = _inside(person, truth)
        if worn and random.random() < recipe.whole_photo:
            box = _between(box, Box(0, 0, truth.shape[1], truth.shape[0]), random.random())
        left, top, right, bottom = recipe.jitter * random.uniform(-1, 1, 4)
        box = Box(
            box.x + left * box.width,
            box.y + top * box.height,
            box.width * (1 + right - left),
            box.height * (1 + bottom - top),
        )
        aspect = recipe.aspect
        if aspect is not None:
            aspect *= 1 + random.uniform(-1, 1) * recipe.stretch
        frame = crop_around(box, aspect, recipe.margin * random.random() * 2)
        flipped = recipe.flip and random.random() < 0.5
        angle = math.radians(recipe.rotation) * random.uniform(-1, 1) if random.random() < 0.5 else 0.0
        if not worn and random.random() < _TURNED:
            angle += math.pi / 2 * random.choice([-1, 1])

        def place(photo: np.ndarray, truth: np.ndarray, frame: Box) -> View:
            return _view(photo, truth, frame, recipe, angle, flipped)

        pasted = mixed = None
        if worn and self.donors and random.random() < recipe.paste:
            id_, donors = self.donors[random.integers(len(self.donors))]
            pasted = place(*self._on_body(int(random.choice(donors)), frame, person)), id_
        if worn and recipe.mix and random.random() < recipe.mix:
            theirs = place(*self._on_body(int(random.choice(self.people)), frame, person))
            mixed = theirs, (*_span(recipe.height, random), *_span(recipe.width, random))
        colour, lift = _random_colour(recipe, random)
        capture = random_capture(recipe, random)
        view = place(photo, truth, frame)
        view = view._replace(photo=compressed(view.photo, capture.quality))
        probability = self.soft.of_photo(draw.photo) if self.soft else None
        soft = None if probability is None else (probability, _in_the_photo(view, corner, whole))
        return CropPlan(view, pasted, mixed, colour, lift, capture, self.skin, soft)

    def _on_body(self, index: int, frame: Box, person: Box) -> tuple[np.ndarray, np.ndarray, Box]:
        """Photo and truth of another person, and the frame in which each pixel shows the same part of the body.

        Pasting is after Ghiasi et al. 2021, *Simple copy-paste is a strong data augmentation method*, whose places are
        random; mixing is CutMix (Yun et al. 2019), as French et al. 2020 use it for segmentation.

        Args:
            index: Index of the other photo.
            frame: The crop's frame.
            person: The person in the photo that the crop is cut from.
        """
        photo, truth = self.cache.pair(index)
        wearer = _person(self.cache, index, self.recipe)
        x, y = wearer.width / person.width, wearer.height / person.height
        left, top = wearer.x + (frame.x - person.x) * x, wearer.y + (frame.y - person.y) * y
        return photo, truth, Box(left, top, frame.width * x, frame.height * y)


class ValidationCrops(Dataset[CropPlan]):
    """Plans of the crop about the person with the recipe's margin, nothing random."""

    def __init__(self, cache: Cache, recipe: Recipe) -> None:
        self.cache = cache
        self.recipe = recipe

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, index: int) -> CropPlan:
        photo, truth = self.cache.pair(index)
        person = _person(self.cache, index, self.recipe)
        frame = crop_around(person, self.recipe.aspect, self.recipe.margin)
        return CropPlan(_view(photo, truth, frame, self.recipe))


def _view(
    photo: np.ndarray, truth: np.ndarray, frame: Box, recipe: Recipe, angle: float = 0.0, flipped: bool = False
) -> View:
    """The region of a photo that a crop shows.

    Args:
        photo: uint8 `(H, W, 3)`.
        truth: uint8 `(H, W)`.
        frame: What the crop shows before it is turned, in pixels of the photo; it may reach beyond it.
        recipe: The experiment, for the crop's size.
        angle: Rotation about the crop's centre, in radians.
        flipped: Whether the crop is mirrored.
    """
    half = np.array([recipe.width, recipe.height]) / 2
    scale = np.array([frame.width, frame.height]) / 2
    centre = np.array([frame.x, frame.y]) + scale
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    linear = scale[:, None] * (turn * half / half[:, None]) * np.array([-1 if flipped else 1, 1])
    reach = np.abs(linear).sum(axis=1) + 1  # in pixels, one more for the interpolation
    high, wide = truth.shape
    left, top = np.clip(np.floor(centre - reach), 0, [wide, high]).astype(int)
    right, bottom = np.clip(np.ceil(centre + reach), 0, [wide, high]).astype(int)
    x, y = (max(1, int(share)) for share in scale / half)
    rows, columns = (max(step, -(-length // step) * step) for length, step in ((bottom - top, y), (right - left, x)))
    region = np.full((rows, columns, 3), PADDING_GREY, np.uint8)
    ids = np.full((rows, columns), UNLABELLED, np.uint8)
    region[: bottom - top, : right - left] = photo[top:bottom, left:right]
    ids[: bottom - top, : right - left] = truth[top:bottom, left:right]
    size = np.array([columns, rows]) / 2
    shift = (centre - [left, top]) / size - 1
    place = np.column_stack([linear / size[:, None], shift]).astype(np.float32)
    return View(region, ids, place, (y, x), (int(top), int(left)))


def _in_the_photo(view: View, corner: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Where a crop lies in the whole photo, float32 `(2, 3)`, as `place` of a `View`.

    Args:
        view: The region that the crop shows, of a part of the photo.
        corner: First row and column of that part.
        shape: Height and width of the photo.
    """
    height, width = shape
    rows, columns = view.truth.shape
    top, left = view.corner[0] + corner[0], view.corner[1] + corner[1]
    place: np.ndarray = view.place * np.array([[columns / width], [rows / height]])
    place[:, 2] += [(2 * left + columns) / width - 1, (2 * top + rows) / height - 1]
    return place.astype(np.float32)


def _random_colour(recipe: Recipe, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """A random change of brightness, contrast, saturation and hue, as `colour` and `lift` of a `CropPlan`.

    The set is that of Inácio et al. (brightness, contrast) with saturation, hue and an occasional grey photo. All are
    linear in RGB: contrast is a stretch about the mean luma, saturation one about a pixel's own, hue a turn of the
    chroma plane of YIQ.
    """
    colour, lift = np.eye(3), 0.0
    grey = np.tile(LUMA, (3, 1))
    if random.random() < 0.8:
        jitter, saturation = recipe.colour_jitter, recipe.saturation_jitter
        bright, contrast = 1 + jitter * random.uniform(-1, 1, 2)
        strength = 1 + saturation * random.uniform(-1, 1)
        angle = 2 * math.pi * saturation / 10 * random.uniform(-1, 1)
        turn = np.eye(3)
        turn[1:, 1:] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        hue = np.linalg.inv(_YIQ) @ turn @ _YIQ
        colour = bright * contrast * hue @ (strength * np.eye(3) + (1 - strength) * grey)
        lift = bright * (1 - contrast)
    if random.random() < recipe.grey:
        colour = grey @ colour
    return colour.astype(np.float32), lift


def _span(side: int, random: np.random.Generator) -> tuple[int, int]:
    """First and last of a random stretch of 0.3 to 0.8 of so many pixels, the last not included."""
    length = round(side * random.uniform(0.3, 0.8))
    start = int(random.integers(side - length + 1))
    return start, start + length


def _part_of(truth: np.ndarray, person: Box, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a photo that shows a part of the person only: a bust, legs, or anything between.

    A quarter begins above the head, a quarter ends below the feet, and half lie anywhere.

    Args:
        truth: uint8 `(H, W)` class ids.
        person: The person's box.
        random: Source of the numbers.
    """
    height, width = truth.shape
    share = random.uniform(*_PART)
    first, last = -_ABOVE, 1 + _ABOVE - share
    start = (first, last, random.uniform(first, last), random.uniform(first, last))[random.integers(4)]
    top = int(np.clip(round(person.y + start * person.height), 0, height - 1))
    bottom = int(np.clip(round(person.y + (start + share) * person.height), top + 1, height))
    columns = np.flatnonzero(((truth[top:bottom] > 0) & (truth[top:bottom] != UNLABELLED)).any(axis=0))
    middle = (columns[0] + columns[-1] + 1) / 2 if len(columns) else person.x + person.width / 2
    wide = min(width, max(1, round((bottom - top) * random.uniform(*_PART_WIDTH))))
    left = int(np.clip(round(middle + random.uniform(-0.15, 0.15) * wide - wide / 2), 0, width - wide))
    return top, bottom, left, left + wide


def _most_of(truth: np.ndarray, random: np.random.Generator) -> Box:
    """The whole of a photo, or of 40 % of the photos a part with at least 0.7 of the sides."""
    height, width = truth.shape
    share = random.uniform(0.7, 1) if random.random() < 0.4 else 1.0
    x, y = random.uniform(0, 1 - share, 2)
    return Box(x * width, y * height, share * width, share * height)


def _person(cache: Cache, index: int, recipe: Recipe, random: np.random.Generator | None = None) -> Box:
    """The person of a photo that a crop is about; of several that the detector found a random one, or the nearest."""
    if cache.people is None:
        return _shown(cache.pair(index)[1], recipe)
    people = cache.people[index]
    return people[random.integers(len(people))] if random and len(people) > 1 else people[-1]


def _inside(box: Box, truth: np.ndarray) -> Box:
    """The part of a box that lies in a photo; all of the photo where none does."""
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(truth.shape[1], box.x + box.width), min(truth.shape[0], box.y + box.height)
    if right <= left or bottom <= top:
        return Box(0, 0, truth.shape[1], truth.shape[0])
    return Box(left, top, right - left, bottom - top)


def _shown(truth: np.ndarray, recipe: Recipe) -> Box:
    """What a crop is about: the person, or the whole photo where there is none or the recipe says so."""
    whole = Box(0, 0, truth.shape[1], truth.shape[0])
    return whole if recipe.crop == "none" else box_of((truth > 0) & (truth != UNLABELLED)) or whole


def _between(near: Box, far: Box, share: float) -> Box:
    """The box that lies `share` of the way from one to the other."""
    return Box(*(a + share * (b - a) for a, b in zip(near, far, strict=True)))
