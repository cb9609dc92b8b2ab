"""Made-up scenes with people in them: what the person detector is trained and judged on.

Clothing Co-Parsing shows one large person a photo. Zoom-out, mosaics, and people cut out and pasted on other grounds
give small people, several people and nobody (SSD's expansion, Liu et al. 2016 section 3.6; YOLOv4's mosaic, Bochkovskiy
et al. 2020; cut, paste and learn, Dwibedi et al. 2017). All randomness is a numpy generator's: a seed is a scene.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from segmodels.inference.boxes import (
    PADDING_GREY,
    Box,
    box_of,
    crop_around,
    cut,
    intersection_area,
    overlap_coefficient,
)
from train.detector.pasting import make_ground, paste_person, paste_thing, photographed, surroundings
from train.detector.source import Scene, Source, as_boxes, clipped, corners, person_box, whole_of

__all__ = ["SCENES", "make_scene", "whole_scene"]

_LEAST_VISIBLE = 0.35
_LEAST_HEIGHT = 22  # pixels of a scene of 256; smaller people are not asked for
_PART = (0.22, 0.85)  # heights of the person that a part of it shows


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
    picture[inside] = photographed(scene.picture, random)
    truth[inside] = scene.truth
    return scene._replace(picture=picture, truth=truth).moved(left, top)


def whole_scene(source: Source, index: int, side: int) -> Scene:
    """One whole photo on grey, nothing random."""
    return _part(source, index, crop_around(whole_of(source.pair(index)[0]), 1.0), side, side)


def _photo(source: Source, random: np.random.Generator, height: int, width: int, closest: float = 0.45) -> Scene:
    """A part of one photo, or a little more than all of it."""
    index = int(random.integers(len(source)))
    photo, person = source.pair(index)[0], source.people[index]
    frame = crop_around(whole_of(photo), height / width)
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
        (clipped(boxes, frame) - [frame.x, frame.y, frame.x, frame.y]) * (height / frame.height)
        for boxes in (as_boxes([corners(person)] if person else []), source.unknown(index))
    )
    return Scene(cut(photo, frame, height, width), cut(truth, frame, height, width, outside=0), people, unknown)


def _zoomed_out(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """People in the surroundings that their own photo shows beside them, mirrored until they fill the scene."""
    first = int(random.integers(len(source)))
    people = [first, *random.integers(len(source), size=_companions(random)).tolist()]
    ground = surroundings(source, random, height, width, first)
    if ground is None:
        return _peopled(source, random, make_ground(source, random, height, width), people)
    return _peopled(source, random, ground, people, soft=first)


def _pasted(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """People on a ground that is not their photo's."""
    people = random.integers(len(source), size=1 + _companions(random)).tolist()
    return _peopled(source, random, make_ground(source, random, height, width), people)


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
                picture[top:bottom, left:right] = make_ground(source, random, *size)
    return Scene(picture, truth, as_boxes(people), as_boxes(unknown))


def _nobody(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """A ground with nobody on it, and often with things pasted on it, so that an edge does not betray a person."""
    return _peopled(source, random, make_ground(source, random, height, width), [])


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
    return scene._replace(people=as_boxes([corners(shown)] if shown else []))


def _flatlay(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """Nobody: a garment that lies or hangs, or most of it."""
    if source.flatlays is None:
        return _nobody(source, random, height, width)
    photo = source.flatlays.pair(int(random.integers(len(source.flatlays))))[0]
    photo = np.rot90(photo, int(random.choice([0, 1, 2, 3], p=[0.7, 0.12, 0.06, 0.12])))
    frame = crop_around(whole_of(photo), height / width)
    scale = random.uniform(0.6, 1.1)
    x, y = (random.uniform(0, 1 - scale) if scale < 1 else (1 - scale) / 2 for _ in range(2))
    frame = Box(frame.x + x * frame.width, frame.y + y * frame.height, scale * frame.width, scale * frame.height)
    picture = cut(np.ascontiguousarray(photo), frame, height, width)
    return Scene(picture, np.zeros((height, width), np.uint8), as_boxes([]), as_boxes([]))


def _group(source: Source, random: np.random.Generator, height: int, width: int) -> Scene:
    """People side by side who fill a photo, one partly before the other, cut at the same height, some without heads.

    A person's box is around what is seen of them. Of whom too little is seen, as others stand before, is unknown.
    """
    drawn = random.integers(len(source), size=random.choice([2, 3, 4, 5], p=[0.5, 0.25, 0.15, 0.1])).tolist()
    group = [(index, person) for index in drawn if (person := source.people[index])]
    picture = make_ground(source, random, height, width)
    classes, owners = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    boxes = _side_by_side([person for _, person in group], random, height, width)
    for place in random.permutation(len(boxes)):
        laid = paste_person(source, random, picture, classes, boxes[place], group[place][0], grow=False)
        if laid:
            target, covered = laid
            owners[target][covered] = place + 1
    people: list[np.ndarray] = []
    unknown: list[np.ndarray] = []
    for place, box in enumerate(boxes):
        seen = box_of(owners == place + 1)
        if seen is None:
            continue
        fits = intersection_area(seen, box) >= _LEAST_VISIBLE * intersection_area(box, whole_of(picture))
        (people if fits else unknown).append(corners(seen))
    return Scene(picture, classes, as_boxes(people), as_boxes(unknown))


def _side_by_side(people: Sequence[Box], random: np.random.Generator, height: int, width: int) -> list[Box]:
    """Where the people of a group stand, of a scene of that height and width; their boxes may reach beyond it."""
    shown = random.uniform(*_PART) if random.random() < 0.75 else 1.0  # of a person's height
    tall = height * random.uniform(0.7, 1.0) / shown
    from_feet = shown < 1 and random.random() < 0.25
    line = height * random.uniform(0.9, 1.05) if from_feet else height * random.uniform(0.02, 0.2)  # of feet, or heads
    boxes, x = [], 0.0
    for person in people:
        mine = tall * random.uniform(0.88, 1.12) * (random.uniform(0.55, 0.8) if random.random() < 0.1 else 1)
        wide = mine * person.width / person.height
        y = line - mine if from_feet else line + max(0.0, tall - mine) * random.uniform(0.3, 0.9)
        boxes.append(Box(x, y, wide, mine))
        x += wide * random.uniform(0.6, 1.05)
    reach = max(box.x + box.width for box in boxes) if boxes else 1.0
    if reach > width * 1.15:  # step back until they fit
        scale = width * 1.15 / reach
        boxes = [
            Box(box.x * scale, height + (box.y - height) * scale, box.width * scale, box.height * scale)
            for box in boxes
        ]
        reach *= scale
    offset = random.uniform(min(0.0, width - reach), max(0.0, width - reach))
    return [box._replace(x=box.x + offset) for box in boxes]


_Maker = Callable[[Source, np.random.Generator, int, int], Scene]

SCENES: Mapping[str, tuple[float, _Maker]] = {
    "photo": (0.25, _photo),
    "zoomed_out": (0.25, _zoomed_out),
    "pasted": (0.22, _pasted),
    "mosaic": (0.16, _mosaic),
    "nobody": (0.12, _nobody),
    "part": (0.3, _part_of_a_person),
    "group": (0.3, _group),
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
        paste_thing(source, random, scene, classes)
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
            seen = intersection_area(box, whole_of(scene)) >= 0.6 * wide * tall
            if seen and all(overlap_coefficient(box, other) < 0.25 for other, _ in placed):
                placed.append((box, index))
                break
    placed.sort(key=lambda place: place[0].y + place[0].height)
    for box, index in placed:
        paste_person(source, random, scene, classes, box, index, grow=index == soft)
    return Scene(scene, classes, clipped(as_boxes([corners(box) for box, _ in placed]), whole_of(scene)), as_boxes([]))


def _mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
    return np.asarray((boxes * [-1, 1, -1, 1] + [width, 0, width, 0])[:, [2, 1, 0, 3]])
