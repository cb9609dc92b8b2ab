"""Grounds, and people and things pasted on them."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import skimage.data

from segmodels.inference.boxes import Box, cut
from train.detector.source import Source, corners, whole_of

__all__ = ["make_ground", "paste_person", "paste_thing", "photographed", "surroundings"]

_STRIP = 0.1  # of the photo's width
_GAP = 0.03
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


def paste_person(
    source: Source,
    random: np.random.Generator,
    scene: np.ndarray,
    classes: np.ndarray,
    box: Box,
    index: int,
    grow: bool,
) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """Cuts a person out of their photo and pastes them so that they fill a box of a scene, in place.

    Args:
        source: Source of the person.
        random: Random generator that decides on the light.
        scene: Picture, uint8 `(H, W, 3)`.
        classes: Class ids of the picture, uint8 `(H, W)`.
        box: Box to fill, in pixels of the scene; it may reach beyond it.
        index: Index of the person's photo.
        grow: Whether they keep some of the ground around them, and the light of their photo.

    Returns:
        The rectangle of the scene that was touched, and which of its pixels are covered, bool; None if the box lies
        beside the scene.
    """
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
    return _lay(scene, classes, colour, alpha, truth[part], x, y, scale)


def paste_thing(source: Source, random: np.random.Generator, scene: np.ndarray, classes: np.ndarray) -> None:
    """A piece of some ground in the shape of a rectangle, an ellipse or a person."""
    tall = max(8, round(scene.shape[0] * random.uniform(0.1, 0.6)))
    wide = max(6, round(tall * np.exp(random.uniform(np.log(0.3), np.log(2)))))
    colour = make_ground(source, random, tall, wide)
    alpha = np.zeros((tall, wide), np.uint8)
    shape = random.integers(3)
    if shape == 0:
        alpha[1:-1, 1:-1] = 255
    elif shape == 1:
        cv2.ellipse(alpha, (wide // 2, tall // 2), (wide // 2 - 1, tall // 2 - 1), 0, 0, 360, 255, -1)
    else:
        index = int(random.integers(len(source)))
        truth = source.pair(index)[1]
        box = source.people[index] or whole_of(truth)
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
) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """Blends a piece into a scene, and its truth into the scene's, in place, its top left corner at x, y.

    Returns:
        The rectangle of the scene that it touches, and which of its pixels it covers, bool; None if it lies beside it.
    """
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + size[0], scene.shape[1]), min(y + size[1], scene.shape[0])
    if right <= left or bottom <= top:
        return None
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    inside = np.s_[top - y : bottom - y, left - x : right - x]
    pixels = cv2.resize(np.ascontiguousarray(colour), size, interpolation=how)[inside]
    share = cv2.resize(alpha, size, interpolation=how)[inside].astype(np.float32)[..., None] / 255
    laid = cv2.resize(np.ascontiguousarray(truth), size, interpolation=cv2.INTER_NEAREST_EXACT)[inside]
    target = np.s_[top:bottom, left:right]
    scene[target] = np.rint(scene[target] * (1 - share) + pixels * share).astype(np.uint8)
    covered = share[..., 0] > 0.5
    classes[target] = np.where(covered, laid, classes[target])
    return target, covered


def make_ground(source: Source, random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 `(height, width, 3)` without people: from beside a person, from a stored picture, or plain."""
    which = random.random()
    if which < 0.6:
        beside = surroundings(source, random, height, width, int(random.integers(len(source))))
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


def surroundings(source: Source, random: np.random.Generator, height: int, width: int, index: int) -> np.ndarray | None:
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


def photographed(scene: np.ndarray, random: np.random.Generator) -> np.ndarray:
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
