"""From cached photos and truths to what a step sees: crops, cut and augmented on the device that trains.

The processes that load only read: they choose what a crop shows, copy that region of the cached photo, and say how it
is to be placed. `cut_crops` does the rest on the device, for a batch at once: sampling, pasting, colour, noise and
normalisation. What is random is drawn from the seed, the epoch and the place of a photo in the epoch alone, so that
neither the number of loading processes nor the size of a batch changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import Dataset, Sampler

from segmodels.inference.boxes import PADDING_GREY, Box, box_of, crop_around
from segmodels.taxonomy import UNLABELLED
from train.data.cache import Cache
from train.distributed import Processes
from train.recipe import Recipe
from train.segmentation.capture import Capture, apply_captures, compressed, random_capture
from train.segmentation.distillation import SHRINK, SoftLabels, SoftTarget

__all__ = [
    "CropBatch",
    "CropPlan",
    "Draw",
    "EpochSampler",
    "TrainingCrops",
    "ValidationCrops",
    "View",
    "classes_shown",
    "cut_crops",
    "join_plans",
    "rarity_weights",
    "soft_targets",
]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in `torchvision.transforms`
_YIQ = np.array([_LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float64)  # of NTSC; hue is its angle
_PART = (0.22, 0.85)  # heights of the person that a part of it shows
_PART_WIDTH = (0.6, 1.3)  # of that part, in its own heights
_ABOVE = 0.05  # heights of the person between the head, or the feet, and the edge of the photo
_TURNED = 0.3  # share of the flat-lays that lie on their side


class Draw(NamedTuple):
    """A photo that an epoch takes.

    Args:
        photo: Index of the photo in the cache.
        epoch: Number of the epoch, from 0.
        place: Number of the photo in the epoch, over all processes, from 0.
    """

    photo: int
    epoch: int
    place: int


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


class CropBatch(NamedTuple):
    """Crops before they are cut, packed so that a batch is a few tensors on its way to the device.

    Args:
        pixels: uint8 `(P, 3)`, the regions' RGB, one region after the other.
        ids: uint8 `(P,)`, their class ids.
        places: float32 `(V, 2, 3)`, one for each region, as in `View`.
        colours: float32 `(N, 3, 3)`, one for each crop.
        lifts: float32 `(N,)`.
        shapes: Height, width and shrink of each region.
        own: Index of each crop's own region.
        pasted: Index of the crop, of the region that is pasted onto it, and of its class.
        mixed: Index of the crop and of the region that is mixed in, and the rectangle.
        captures: How each crop was photographed.
        skin: Id of the class whose pixels are skin; None where there is none.
        soft: What a teacher gives for the photo of a crop, and where the crop lies in it, by index of the crop.
    """

    pixels: torch.Tensor
    ids: torch.Tensor
    places: torch.Tensor
    colours: torch.Tensor
    lifts: torch.Tensor
    shapes: list[tuple[int, int, int, int]]
    own: list[int]
    pasted: list[tuple[int, int, int]]
    mixed: list[tuple[int, int, int, int, int, int]]
    captures: list[Capture]
    skin: int | None
    soft: dict[int, tuple[torch.Tensor, torch.Tensor]]

    def to(self, device: torch.device, non_blocking: bool = True) -> CropBatch:
        """The same batch on a device; what lies in pinned memory is brought there while the processor goes on."""
        return self._replace(
            pixels=self.pixels.to(device, non_blocking=non_blocking),
            ids=self.ids.to(device, non_blocking=non_blocking),
            places=self.places.to(device, non_blocking=non_blocking),
            colours=self.colours.to(device, non_blocking=non_blocking),
            lifts=self.lifts.to(device, non_blocking=non_blocking),
            soft={
                crop: (maps.to(device, non_blocking=non_blocking), place.to(device, non_blocking=non_blocking))
                for crop, (maps, place) in self.soft.items()
            },
        )


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


class EpochSampler(Sampler[Draw]):
    """Draws the photos of an epoch: with weights, with replacement; without, each photo once in random order.

    An epoch depends on seed and number alone, so that a fit that was stopped goes on as if it had not been. Several
    processes take turns in it, and each draws as many. An epoch of more photos than a step takes ends with a whole
    step.

    Args:
        photos: Number of photos.
        step: Photos of an optimiser step, over all processes.
        seed: The recipe's seed.
        processes: The processes that take turns.
        weights: Relative frequency of each photo; None for each once.
        samples: Photos of an epoch, with weights; 0 for as many as there are.
    """

    def __init__(
        self,
        photos: int,
        step: int,
        seed: int,
        processes: Processes,
        weights: np.ndarray | None = None,
        samples: int = 0,
    ) -> None:
        self.photos = photos
        drawn = samples or photos
        self.drawn = drawn - drawn % (step if drawn > step else processes.count)
        self.weights = None if weights is None else torch.from_numpy(weights)
        self.seed = seed
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.drawn // self.processes.count

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.photos, generator=generator)[: self.drawn]
        else:
            order = torch.multinomial(self.weights, self.drawn, replacement=True, generator=generator)
        for place in range(self.processes.rank, self.drawn, self.processes.count):
            yield Draw(int(order[place]), self.epoch, place)


def rarity_weights(cache: Cache, classes: int, flatlays: Sequence[int] = (), share: float = 0.0) -> np.ndarray:
    """How often each photo is drawn, relative to the others: float64 `(photos,)`.

    A person's photo weighs the largest `1 / sqrt(photos with class c)` over the classes c that it shows. Flat-lays
    weigh `1 / photos with class c`, so that each class lies there equally often.

    Args:
        cache: Photos and truths.
        classes: Number of classes.
        flatlays: Indices of the photos that show a garment without a person.
        share: Share of the flat-lays among what is drawn, 0..1.
    """
    shown = classes_shown(cache, classes)
    flat = np.zeros(len(cache), bool)
    flat[list(flatlays)] = True
    if flat.any():
        shown[flat, 0] = False  # each of them shows the background
    weights = np.zeros(len(cache))
    for part, power in ((~flat, 0.5), (flat, 1.0)):
        counts = np.maximum(shown[part].sum(axis=0), 1)
        weights[part] = (shown[part] / counts**power).max(axis=1)
    if flat.any():
        weights[flat] *= share / weights[flat].sum()
        weights[~flat] *= (1 - share) / weights[~flat].sum()
    return weights


def classes_shown(cache: Cache, classes: int) -> np.ndarray:
    """Bool `(photos, classes)`: whether a photo shows a class."""
    counts = [np.bincount(cache.pair(index)[1].ravel(), minlength=classes)[:classes] for index in range(len(cache))]
    return np.stack(counts) > 0


def join_plans(plans: Sequence[CropPlan]) -> CropBatch:
    """Packs the plans of a batch; the `collate_fn` of a loader."""
    views: list[View] = []

    def add(view: View) -> int:
        views.append(view)
        return len(views) - 1

    own = [add(plan.view) for plan in plans]
    pasted = [(n, add(plan.pasted[0]), plan.pasted[1]) for n, plan in enumerate(plans) if plan.pasted]
    mixed = [(n, add(plan.mixed[0]), *plan.mixed[1]) for n, plan in enumerate(plans) if plan.mixed]
    return CropBatch(
        pixels=torch.from_numpy(np.concatenate([view.photo.reshape(-1, 3) for view in views])),
        ids=torch.from_numpy(np.concatenate([view.truth.ravel() for view in views])),
        places=torch.from_numpy(np.stack([view.place for view in views])),
        colours=torch.from_numpy(np.stack([plan.colour for plan in plans])),
        lifts=torch.tensor([plan.lift for plan in plans], dtype=torch.float32),
        shapes=[(*view.truth.shape, *view.shrink) for view in views],
        own=own,
        pasted=pasted,
        mixed=mixed,
        captures=[plan.capture for plan in plans],
        skin=plans[0].skin,
        soft={
            n: (torch.from_numpy(plan.soft[0]), torch.from_numpy(plan.soft[1]))
            for n, plan in enumerate(plans)
            if plan.soft
        },
    )


def cut_crops(batch: CropBatch, recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Cuts and augments the crops of a batch on the device on which it lies. Nothing is read back from there.

    Args:
        batch: Batch from `join_plans`.
        recipe: The experiment: size of the input, its mean and standard deviation, and the noise.

    Returns:
        Photos, float32 `(N, 3, height, width)`, normalised, channels last; and truths, int64 `(N, height, width)`,
        `UNLABELLED` outside the photo.
    """
    photos, truths = _sampled(batch, recipe.height, recipe.width)
    count = len(batch.own)
    image, truth = photos[:count], truths[:count]  # a crop's own region stands at its own index
    for crop, view, id_ in batch.pasted:
        garment = truths[view] == id_
        image[crop] = torch.where(garment, photos[view], image[crop])
        truth[crop] = torch.where(garment, id_, truth[crop])
    for crop, view, top, bottom, left, right in batch.mixed:
        image[crop, :, top:bottom, left:right] = photos[view, :, top:bottom, left:right]
        truth[crop, top:bottom, left:right] = truths[view, top:bottom, left:right]
    image = image / 255
    luma = sum(share * mean for share, mean in zip(_LUMA.tolist(), image.mean(dim=(2, 3)).unbind(1), strict=True))
    # One matrix a crop is a grouped convolution of 1 x 1, the fastest form of it on every device.
    kernels, bias = batch.colours.flatten(0, 1)[..., None, None], (batch.lifts * luma).repeat_interleave(3)
    image = functional.conv2d(image.flatten(0, 1)[None], kernels, bias, groups=count).view_as(image)
    image = apply_captures(image, truth, batch.captures, batch.skin)
    image = image.clamp_(0, 1).sub_(recipe.mean).div_(recipe.std)
    return image.contiguous(memory_format=torch.channels_last), truth.long()


def soft_targets(batch: CropBatch, recipe: Recipe) -> SoftTarget | None:
    """What the teacher gives for the crops of a batch, on the device on which it lies; None if it was not asked.

    What is pasted or mixed in comes from another photo, and has no weight.

    Args:
        batch: Batch from `join_plans`.
        recipe: The experiment: size of the input.
    """
    if not batch.soft:
        return None
    height, width = recipe.height // SHRINK, recipe.width // SHRINK
    device = batch.places.device
    classes = len(next(iter(batch.soft.values()))[0])
    probability = torch.zeros(len(batch.own), classes, height, width, device=device)
    weight = torch.zeros(len(batch.own), height, width, device=device)
    for crop, (maps, place) in batch.soft.items():
        grid = _grid(place[None], height, width)
        probability[crop] = functional.grid_sample(maps[None].float() / 255, grid, align_corners=False)[0]
        weight[crop] = (grid.abs().amax(dim=-1) <= 1)[0]
    if batch.pasted:
        _, truths = _sampled(batch, height, width)
        for crop, view, id_ in batch.pasted:
            weight[crop] *= truths[view] != id_
    for crop, _, top, bottom, left, right in batch.mixed:
        weight[crop, top // SHRINK : -(-bottom // SHRINK), left // SHRINK : -(-right // SHRINK)] = 0
    return SoftTarget(probability, weight)


def _grid(places: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Where each pixel of crops is sampled, float32 `(V, height, width, 2)`: `affine_grid` without its product."""
    device, places = places.device, places[:, None, None]
    x = (torch.arange(width, device=device) * 2 + 1)[:, None] / width - 1  # centres of the pixels, from -1 to 1
    y = (torch.arange(height, device=device) * 2 + 1)[:, None, None] / height - 1
    return places[..., 0] * x + places[..., 1] * y + places[..., 2]


def _sampled(batch: CropBatch, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The crop of each region: photos float32 `(V, 3, height, width)`, 0..255, and truths float32 `(V, height, width)`.

    A photo that shrinks by two or more is averaged first, as bilinear sampling would miss pixels.
    """
    grids = _grid(batch.places, height, width)
    photos, truths = [], []
    start = 0
    for index, (rows, columns, *shrink) in enumerate(batch.shapes):
        region = slice(start, start + rows * columns)
        start += rows * columns
        grid = grids[index : index + 1]
        # Both samplers take what lies outside for 0, so that 0 is made the value that is wanted there.
        photo = batch.pixels[region].view(1, rows, columns, 3).permute(0, 3, 1, 2).float() - PADDING_GREY
        if shrink != [1, 1]:
            photo = functional.avg_pool2d(photo, shrink)
        photos.append(functional.grid_sample(photo, grid, align_corners=False))
        truth = batch.ids[region].view(1, 1, rows, columns).float() - UNLABELLED
        truths.append(functional.grid_sample(truth, grid, mode="nearest", align_corners=False))
    return torch.cat(photos) + PADDING_GREY, torch.cat(truths)[:, 0] + UNLABELLED


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
    grey = np.tile(_LUMA, (3, 1))
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
