"""Made-up scenes with people in them: what the person detector is trained and judged on.

Clothing Co-Parsing shows one large person a photo. Zoom-out, mosaics, and people cut out and pasted on other grounds
give small people, several people and nobody (SSD's expansion, Liu et al. 2016 section 3.6; YOLOv4's mosaic, Bochkovskiy
et al. 2020; cut, paste and learn, Dwibedi et al. 2017). All randomness is a numpy generator's: a seed is a scene.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import skimage.data

from segmodels.inference.boxes import (
    PADDING_GREY,
    Box,
    box_of,
    crop_around,
    cut,
    intersection_area,
    overlap_coefficient,
)
from train.data.cache import Cache

__all__ = ["SCENES", "Scene", "Source", "corners", "make_scene", "person_box", "whole_scene"]

_LEAST_VISIBLE = 0.35
_LEAST_HEIGHT = 22  # pixels of a scene of 256; smaller people are not asked for
_SMALLEST_PART = 0.1
_STRIP = 0.1  # of the photo's width
_GAP = 0.03
_PART = (0.22, 0.85)  # heights of the person that a part of it shows
_GROUNDS = (
    "brick",
    "cell",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "retina",
    "rocket",
    "text",
)


def person_box(truth: np.ndarray) -> Box | None:
    """The box around the person of a class map uint8 `(H, W)`, specks apart; None if there is nobody."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((truth > 0).astype(np.uint8))
    if count < 2:
        return None
    areas = statistics[1:, cv2.CC_STAT_AREA]
    return box_of(np.isin(labels, 1 + np.flatnonzero(areas >= _SMALLEST_PART * areas.max())))


class Scene(NamedTuple):
    """A picture and who is in it; boxes are float64 `(n, 4)`: left, top, right, bottom in pixels.

    Args:
        picture: uint8 `(H, W, 3)` RGB.
        truth: uint8 `(H, W)` class ids.
        people: Boxes of the people.
        unknown: Boxes of what may show somebody who is not among them.
    """

    picture: np.ndarray
    truth: np.ndarray
    people: np.ndarray
    unknown: np.ndarray

    def moved(self, x: float, y: float) -> Scene:
        """The same with its boxes moved."""
        offset = np.array([x, y, x, y])
        return self._replace(people=self.people + offset, unknown=self.unknown + offset)


class Source:
    """Where scenes take people and grounds from.

    Args:
        photos: Photos and truths, each with at most one person who is labelled.
        bystanders: Boxes of people whom the truth does not label, by id of the photo: `(n, 4)` as left, top, right,
            bottom in shares of the photo. Without them everything beside a person is unknown, and no ground is taken
            from there.
        flatlays: Photos of garments without a person; without them scenes of that kind are grounds.
    """

    def __init__(
        self, photos: Cache, bystanders: Mapping[str, np.ndarray] | None = None, flatlays: Cache | None = None
    ) -> None:
        self.photos = photos
        self.flatlays = flatlays
        self.people = [person_box(photos.pair(index)[1]) for index in range(len(photos))]
        self.bystanders = bystanders

    def __len__(self) -> int:
        return len(self.photos)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Photo uint8 `(H, W, 3)` and truth uint8 `(H, W)`."""
        return self.photos.pair(index)

    def unknown(self, index: int) -> np.ndarray:
        """Boxes, in pixels of the photo, that may show somebody who is not labelled."""
        height, width = self.photos.shapes[index]
        if self.bystanders is not None:
            listed = self.bystanders.get(self.photos.ids[index], np.empty((0, 4)))
            return np.asarray(listed * [width, height, width, height])
        person = self.people[index]
        if person is None:
            return _boxes([np.array([0, 0, width, height])])
        left, right = person.x - 0.02 * width, person.x + person.width + 0.02 * width
        return _boxes([np.array([0, 0, left, height]), np.array([right, 0, width, height])])


def make_scene(source: Source, random: np.random.Generator, side: int, kind: str | None = None) -> Scene:
    """A square scene.

    Args:
        source: Source of people and grounds.
        random: Random generator that decides everything.
        side: Side of the scene, in pixels; a scene that is no square lies in its middle, on grey, as a photo would.
        kind: Key in `SCENES`; drawn by their weights if left out.
    """
    if kind is None:
        weights = np.array([weight for weight, _ in SCENES.values()])
        kind = str(random.choice(list(SCENES), p=weights / weights.sum()))
    aspect = float(np.exp(random.uniform(np.log(0.55), np.log(1.8))))
    height, width = round(side * min(1, aspect)), round(side * min(1, 1 / aspect))
    scene = SCENES[kind][1](source, random, height, width)
    if random.random() < 0.5:
        people, unknown = (_mirrored(boxes, width) for boxes in (scene.people, scene.unknown))
        scene = Scene(scene.picture[:, ::-1], scene.truth[:, ::-1], people, unknown)
    picture = np.full((side, side, 3), PADDING_GREY, np.uint8)
    truth = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    inside = np.s_[top : top + height, left : left + width]
    picture[inside] = _photographed(scene.picture, random)
    truth[inside] = scene.truth
    return scene._replace(picture=picture, truth=truth).moved(left, top)


def whole_scene(source: Source, index: int, side: int) -> Scene:
    """One whole photo on grey, nothing random."""
    return _part(source, index, crop_around(_all(source.pair(index)[0]), 1.0), side, side)


def _photo(source: Source, random: np.random.Generator, height: int, width: int, closest: float = 0.45) -> Scene:
    """A part of one photo, or a little more than all of it."""
    index = int(random.integers(len(source)))
    photo, person = source.pair(index)[0], source.people[index]
    frame = crop_around(_all(photo), height / width)
    for _ in range(8):
        frame_height = photo.shape[0] * random.uniform(closest, 1.15)
        frame_width = frame_height * width / height
        if frame_width > photo.shape[1] and random.random() < 0.6:  # else grey bars stand beside the photo
            frame_width = float(photo.shape[1])
            frame_height = frame_width * height / width
        x = (photo.shape[1] - frame_width) * random.random()
        y = (photo.shape[0] - frame_height) * random.random()
        part = Box(x, y, frame_width, frame_height)
        if not person or intersection_area(person, part) >= _LEAST_VISIBLE * person.width * person.height:
            frame = part
            break
    return _part(source, index, frame, height, width)


def _part(source: Source, index: int, frame: Box, height: int, width: int) -> Scene:
    """What lies inside a frame of a photo."""
    photo, truth = source.pair(index)
    person = source.people[index]
    people, unknown = (
        (_inside(boxes, frame) - [frame.x, frame.y, frame.x, frame.y]) * (height / frame.height)
        for boxes in (_boxes([corners(person)] if person else []), source.unknown(index))
    )
    return Scene(cut(photo, frame, height, width), cut(truth, frame, height, width, outside=0), people, unknown)


def _zoomed_out(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """People in the surroundings that their own photo shows beside them, mirrored until they fill the scene."""
    first = int(random.integers(len(source)))
    people = [first, *random.integers(len(source), size=_companions(random)).tolist()]
    ground = _surroundings(source, random, height, width, first)
    if ground is None:
        return _peopled(source, random, _ground(source, random, height, width), people)
    return _peopled(source, random, ground, people, soft=first)


def _pasted(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """People on a ground that is not their photo's."""
    people = random.integers(len(source), size=1 + _companions(random)).tolist()
    return _peopled(source, random, _ground(source, random, height, width), people)


def _mosaic(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """Two to four photos or grounds side by side."""
    rows = [0, round(height * random.uniform(0.35, 0.65)), height] if random.random() < 0.75 else [0, height]
    columns = [0, round(width * random.uniform(0.35, 0.65)), width]
    picture = np.empty((height, width, 3), np.uint8)
    truth = np.zeros((height, width), np.uint8)
    people: list[np.ndarray] = []
    unknown: list[np.ndarray] = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            size = (bottom - top, right - left)
            if random.random() < 0.8:
                part = _photo(source, random, *size, closest=0.7).moved(left, top)
                people.extend(part.people)
                unknown.extend(part.unknown)
                picture[top:bottom, left:right] = part.picture
                truth[top:bottom, left:right] = part.truth
            else:
                picture[top:bottom, left:right] = _ground(source, random, *size)
    return Scene(picture, truth, _boxes(people), _boxes(unknown))


def _nobody(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """A ground with nobody on it, and often with things pasted on it, so that an edge does not betray a person."""
    return _peopled(source, random, _ground(source, random, height, width), [])


def _part_of_a_person(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """A photo cut at the waist, at the knees, to a bust, or closer: a part of the person fills most of it."""
    index = int(random.integers(len(source)))
    person = source.people[index]
    if person is None:
        return _photo(source, random, height, width)
    tall = person.height * random.uniform(*_PART)
    wide = tall * width / height
    first, last = person.y - 0.05 * person.height, person.y + 1.05 * person.height - tall
    top = (first, last, random.uniform(first, last), random.uniform(first, last))[random.integers(4)]
    truth = source.pair(index)[1]
    rows = truth[max(0, round(top)) : max(1, round(top + tall))]
    columns = np.flatnonzero((rows > 0).any(axis=0))
    middle = (columns[0] + columns[-1] + 1) / 2 if len(columns) else person.x + person.width / 2
    left = middle + random.uniform(-0.2, 0.2) * wide - wide / 2
    if wide <= truth.shape[1]:  # else grey bars stand beside the photo
        left = min(max(0.0, left), truth.shape[1] - wide)
    scene = _part(source, index, Box(left, top, wide, tall), height, width)
    shown = person_box(scene.truth)  # a shoulder may reach further than the legs that are shown
    return scene._replace(people=_boxes([corners(shown)] if shown else []))


def _flatlay(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """Nobody: a garment that lies or hangs, or most of it."""
    if source.flatlays is None:
        return _nobody(source, random, height, width)
    photo = source.flatlays.pair(int(random.integers(len(source.flatlays))))[0]
    photo = np.rot90(photo, int(random.choice([0, 1, 2, 3], p=[0.7, 0.12, 0.06, 0.12])))
    frame = crop_around(_all(photo), height / width)
    scale = random.uniform(0.6, 1.1)
    x, y = (random.uniform(0, 1 - scale) if scale < 1 else (1 - scale) / 2 for _ in range(2))
    frame = Box(frame.x + x * frame.width, frame.y + y * frame.height, scale * frame.width, scale * frame.height)
    picture = cut(np.ascontiguousarray(photo), frame, height, width)
    return Scene(picture, np.zeros((height, width), np.uint8), _boxes([]), _boxes([]))


_Maker = Callable[[Source, np.random.Generator, int, int], Scene]

SCENES: Mapping[str, tuple[float, _Maker]] = {
    "photo": (0.25, _photo),
    "zoomed_out": (0.25, _zoomed_out),
    "pasted": (0.22, _pasted),
    "mosaic": (0.16, _mosaic),
    "nobody": (0.12, _nobody),
    "part": (0.3, _part_of_a_person),
    "flatlay": (0.15, _flatlay),
}
"""Weight in training and maker of each kind of scene; a maker takes source, generator, height and width."""


def _companions(random: np.random.Generator) -> int:
    return int(random.choice([0, 1, 2, 3, 4], p=[0.45, 0.22, 0.15, 0.1, 0.08]))


def _peopled(
    source: Source,
    random: np.random.Generator,
    ground: np.ndarray,
    people: list[int],
    soft: int | None = None,
) -> Scene:
    """Pastes things and people on a ground, those who stand lower in front.

    Args:
        source: Source of the people.
        random: Random generator that decides where and how large they are.
        ground: uint8 `(H, W, 3)`.
        people: Indices of their photos.
        soft: Index of the photo that the ground comes from: that person keeps some of it around.
    """
    height, width = ground.shape[:2]
    scene, classes = ground.copy(), np.zeros((height, width), np.uint8)
    for _ in range(int(random.choice([0, 1, 2, 3], p=[0.55, 0.2, 0.15, 0.1]))):
        _paste_thing(source, random, scene, classes)
    least = _LEAST_HEIGHT / 256 * max(height, width)
    largest = random.uniform(0.25, 1.0) if random.random() < 0.7 else 0.35
    placed: list[tuple[Box, int]] = []
    for index in people:
        person = source.people[index]
        if person is None:
            continue
        for _ in range(12):
            tall = float(np.exp(random.uniform(np.log(least), np.log(max(least * 1.1, height * largest)))))
            wide = tall * person.width / person.height
            beyond = 0.3 if random.random() < 0.2 else 0.0
            left = random.uniform(-beyond * wide, max(width - wide * (1 - beyond), -beyond * wide + 1))
            top = random.uniform(0, max(1.0, height - tall * (1 - beyond)))
            box = Box(left, top, wide, tall)
            seen = intersection_area(box, _all(scene)) >= 0.6 * wide * tall
            if seen and all(overlap_coefficient(box, other) < 0.25 for other, _ in placed):
                placed.append((box, index))
                break
    placed.sort(key=lambda place: place[0].y + place[0].height)
    for box, index in placed:
        _paste_person(source, random, scene, classes, box, index, grow=index == soft)
    return Scene(scene, classes, _inside(_boxes([corners(box) for box, _ in placed]), _all(scene)), _boxes([]))


def _paste_person(
    source: Source,
    random: np.random.Generator,
    scene: np.ndarray,
    classes: np.ndarray,
    box: Box,
    index: int,
    grow: bool,
) -> None:
    photo, truth = source.pair(index)
    person = source.people[index]
    assert person is not None
    border = round(0.03 * person.height) if grow else 2
    top, left = max(0, int(person.y) - border), max(0, int(person.x) - border)
    part = np.s_[top : int(person.y + person.height) + border, left : int(person.x + person.width) + border]
    alpha = cv2.morphologyEx((truth[part] > 0) * np.uint8(255), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    if border > 2:
        alpha = cv2.dilate(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (border + 1, border + 1)))
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), border / 3), np.uint8)
    scale = box.height / person.height
    colour = photo[part]
    if not grow:
        colour = cv2.convertScaleAbs(colour, alpha=random.uniform(0.75, 1.25), beta=random.uniform(-20, 20))
    x, y = round(box.x - (person.x - left) * scale), round(box.y - (person.y - top) * scale)
    _lay(scene, classes, colour, alpha, truth[part], x, y, scale)


def _paste_thing(source: Source, random: np.random.Generator, scene: np.ndarray, classes: np.ndarray) -> None:
    """A piece of some ground in the shape of a rectangle, an ellipse or a person."""
    tall = max(8, round(scene.shape[0] * random.uniform(0.1, 0.6)))
    wide = max(6, round(tall * np.exp(random.uniform(np.log(0.3), np.log(2)))))
    colour = _ground(source, random, tall, wide)
    alpha = np.zeros((tall, wide), np.uint8)
    shape = random.integers(3)
    if shape == 0:
        alpha[1:-1, 1:-1] = 255
    elif shape == 1:
        cv2.ellipse(alpha, (wide // 2, tall // 2), (wide // 2 - 1, tall // 2 - 1), 0, 0, 360, 255, -1)
    else:
        index = int(random.integers(len(source)))
        truth = source.pair(index)[1]
        box = source.people[index] or _all(truth)
        alpha = cut((truth > 0).astype(np.uint8) * 255, box, tall, wide, outside=0)
    alpha = cv2.GaussianBlur(alpha, (3, 3), 0)
    x, y = (int(random.integers(-size // 4, scene.shape[axis])) for axis, size in ((1, wide), (0, tall)))
    _lay(scene, classes, colour, alpha, np.zeros_like(alpha), x, y, 1.0)


def _lay(
    scene: np.ndarray,
    classes: np.ndarray,
    colour: np.ndarray,
    alpha: np.ndarray,
    truth: np.ndarray,
    x: int,
    y: int,
    scale: float,
) -> None:
    """Blends a piece into a scene, and its truth into the scene's, in place, its top left corner at x, y."""
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + size[0], scene.shape[1]), min(y + size[1], scene.shape[0])
    if right <= left or bottom <= top:
        return
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    inside = np.s_[top - y : bottom - y, left - x : right - x]
    pixels = cv2.resize(np.ascontiguousarray(colour), size, interpolation=how)[inside]
    share = cv2.resize(alpha, size, interpolation=how)[inside].astype(np.float32)[..., None] / 255
    laid = cv2.resize(np.ascontiguousarray(truth), size, interpolation=cv2.INTER_NEAREST_EXACT)[inside]
    target = np.s_[top:bottom, left:right]
    scene[target] = np.rint(scene[target] * (1 - share) + pixels * share).astype(np.uint8)
    classes[target] = np.where(share[..., 0] > 0.5, laid, classes[target])


def _ground(source: Source, random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 `(height, width, 3)` without people: from beside a person, from a stored picture, or plain."""
    which = random.random()
    if which < 0.6:
        beside = _surroundings(source, random, height, width, int(random.integers(len(source))))
        if beside is not None:
            return beside
    if which < 0.85:
        picture = _pictures()[int(random.integers(len(_GROUNDS)))]
        size = random.uniform(0.25, 1.0)
        frame_width, frame_height = picture.shape[1] * size, picture.shape[0] * size
        frame_width, frame_height = (
            min(frame_width, frame_height * width / height),
            min(frame_height, frame_width * height / width),
        )
        frame = Box(
            random.uniform(0, picture.shape[1] - frame_width),
            random.uniform(0, picture.shape[0] - frame_height),
            frame_width,
            frame_height,
        )
        return cut(picture, frame, height, width)
    corners = random.integers(0, 256, (2, 2, 3)).astype(np.float32)
    if random.random() < 0.6:
        corners[:] = corners[0, 0] + random.normal(0, 25, (2, 2, 3))
    plain = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = random.uniform(0, 30) * (random.random() < 0.5)
    noise = random.normal(0, 1, (-(-height // 4), -(-width // 4), 1)).astype(np.float32)
    grains = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(plain + grain * grains, 0, 255).astype(np.uint8)


def _surroundings(
    source: Source, random: np.random.Generator, height: int, width: int, index: int
) -> np.ndarray | None:
    """The widest strip of a photo that shows nobody, continued by mirroring; None if there is none."""
    photo, person = source.pair(index)[0], source.people[index]
    free = np.ones(photo.shape[1] + 2, bool)
    free[[0, -1]] = False
    for left, _, right, _ in [*source.unknown(index), *([corners(person)] if person else [])]:
        free[1 + max(0, int(left - _GAP * photo.shape[1])) : max(1, 2 + int(right + _GAP * photo.shape[1]))] = False
    edges = np.flatnonzero(np.diff(free.astype(np.int8))).reshape(-1, 2)  # first of each run, first after it
    if not len(edges):
        return None
    left, right = edges[int(np.argmax(edges[:, 1] - edges[:, 0]))]
    if right - left < _STRIP * photo.shape[1]:
        return None
    strip = photo[:, left:right]
    scale = height / strip.shape[0] * (random.uniform(1.0, 2.0) if random.random() < 0.5 else 1.0)
    size = (max(2, round(strip.shape[1] * scale)), max(height, round(strip.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    strip = cv2.resize(np.ascontiguousarray(strip), size, interpolation=how)
    top = int(random.integers(0, size[1] - height + 1))
    strip = strip[top : top + height]
    start = int(random.integers(0, 2 * size[0]))
    columns = np.abs((np.arange(start, start + width) + size[0]) % (2 * size[0]) - size[0])  # there and back
    return np.ascontiguousarray(strip[:, np.clip(columns, 0, size[0] - 1)])


@cache
def _pictures() -> tuple[np.ndarray, ...]:
    """The stored pictures, uint8 `(H, W, 3)`, at most 400 pixels long."""
    pictures = []
    for name in _GROUNDS:
        picture = np.asarray(getattr(skimage.data, name)())
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        scale = min(1.0, 400 / max(picture.shape))
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        pictures.append(cv2.resize(np.ascontiguousarray(picture[..., :3]), size, interpolation=cv2.INTER_AREA))
    return tuple(pictures)


def _photographed(scene: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Light, colour, blur, noise and compression of a camera, uint8 in and out."""
    values = scene.astype(np.float32)
    if random.random() < 0.8:
        gain = random.uniform(0.75, 1.25) * random.uniform(0.93, 1.07, 3)
        middle = float(values.mean())
        values = (values - middle) * random.uniform(0.75, 1.25) + middle
        grey = values.mean(axis=2, keepdims=True)
        values = (grey + (values - grey) * random.uniform(0.6, 1.3)) * gain.astype(np.float32)
    if random.random() < 0.05:
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    if random.random() < 0.25:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), random.uniform(0.4, 1.1)), np.float32)
    if random.random() < 0.3:
        values += random.normal(0, random.uniform(1, 8), values.shape).astype(np.float32)
    taken = np.clip(values, 0, 255).astype(np.uint8)
    if random.random() < 0.3:
        quality = int(random.integers(35, 95))
        _, stored = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, quality])
        taken = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    return taken


def _all(image: np.ndarray) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def _boxes(boxes: list[np.ndarray]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 4)


def corners(box: Box) -> np.ndarray:
    """Left, top, right and bottom, float or int `(4,)`."""
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def _mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
    return np.asarray((boxes * [-1, 1, -1, 1] + [width, 0, width, 0])[:, [2, 1, 0, 3]])


def _inside(boxes: np.ndarray, frame: Box) -> np.ndarray:
    """The parts of boxes `(..., 4)` that lie inside a frame; without area where none does."""
    left, top, right, bottom = corners(frame)
    return np.asarray(np.clip(boxes, [left, top, left, top], [right, bottom, right, bottom]))
