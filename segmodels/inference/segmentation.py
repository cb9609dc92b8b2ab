"""The result of a segmenter, and its export formats: PNG, JSON, COCO, supervision."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from segmodels.colour import Colour, dominant_colours_of
from segmodels.errors import GarmentscopeError
from segmodels.extras import missing_extra
from segmodels.inference.boxes import Box, box_of
from segmodels.inference.kinds import Kind
from segmodels.inference.presence import LIKELY
from segmodels.photo import as_stored
from segmodels.taxonomy import Taxonomy

if TYPE_CHECKING:
    from supervision import Detections

__all__ = ["Garment", "Person", "Segmentation", "measure", "paint"]


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a photo.

    Args:
        box: Left, top, width, height in pixels of the photo.
        confidence: Confidence, 0..1.
        detected: Whether a detector found the person; False where the box is what was found in the photo, or all of it.
        presence: Calibrated probability that the person shows a garment of a class, 0..1, by name of each garment and
            accessory class, found or not; None if the checkpoint has no calibration.
    """

    box: tuple[int, int, int, int]
    confidence: float
    detected: bool
    presence: Mapping[str, float] | None = None

    def presence_of(self, name: str) -> float | None:
        """Calibrated probability that the person shows a garment of a class, 0..1; None without a calibration.

        Args:
            name: Name of a garment or accessory class.
        """
        value = None if self.presence is None else self.presence.get(name)
        return None if value is None else float(value)

    def likely(self, name: str) -> bool:
        """Whether a class counts as shown: its presence is at least `LIKELY`; True without a calibration.

        Args:
            name: Name of a garment or accessory class.
        """
        presence = self.presence_of(name)
        return presence is None or presence >= LIKELY

    def to_json(self) -> dict[str, Any]:
        """The person with the keys of the command line's JSON."""
        presence = self.presence
        return {
            "box": list(self.box),
            "confidence": round(self.confidence, 4),
            "detected": self.detected,
            "presence": None if presence is None else {name: round(value, 4) for name, value in presence.items()},
        }


@dataclass(frozen=True, slots=True)
class Garment:
    """All pixels of one class on one person.

    Args:
        name: Name of the class.
        person: Index into the segmentation's people.
        area_share: Share of the photo's pixels, 0..1.
        outfit_share: Share of the person's garment and accessory pixels, 0..1.
        confidence: Mean of the network's probability over the pixels, 0..1.
        box: Left, top, width, height in pixels of the photo.
        colours: Dominant colours, the largest share first.
        kind: What it is within its class; None if that is not certain, or the checkpoint has no kinds of the class.
        kind_probabilities: Calibrated probability of each kind of the class, 0..1; None if the checkpoint has none, or
            if the garment is much larger than all that taught them, such as shoes without a wearer.
        embedding: Vector of length 127, one int8 a dimension, near those of garments that look alike; None if the
            checkpoint has none.
    """

    name: str
    person: int
    area_share: float
    outfit_share: float
    confidence: float
    box: tuple[int, int, int, int]
    colours: tuple[Colour, ...]
    kind: Kind | None = None
    kind_probabilities: Mapping[str, float] | None = None
    embedding: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """The garment with the keys of the command line's JSON."""
        return {
            "class": self.name,
            "kind": self.kind.to_json() if self.kind else None,
            "person": self.person,
            "area_share": round(self.area_share, 5),
            "outfit_share": round(self.outfit_share, 5),
            "confidence": round(self.confidence, 4),
            "box": list(self.box),
            "colours": [{"hex": c.hex, "name": c.name, "share": round(c.share, 4)} for c in self.colours],
        }


@dataclass(frozen=True)
class Segmentation:
    """Every pixel's class, and the people and garments they make up.

    Args:
        taxonomy: Taxonomy of the class map.
        class_map: Class map, uint8 `(H, W)`, at the photo's own size.
        confidence: uint8 `(H, W)`: the network's probability of that class, 0..255.
        people: People in the photo, at least one.
        garments: Garments and accessories; of a person, the largest first.
        model: Catalog name of the checkpoint.
        revision: Revision of the checkpoint.
        seconds: Seconds from decoded photo to garments.
        owners: Index into the people for each pixel, uint8 `(H, W)`; all of the first person if left out.
        has_kinds: Whether the checkpoint tells kinds of garments apart.
        calibration_revision: `Calibration.revision` of the checkpoint; None without a calibration.
        kinds_revision: `Kinds.revision` of the checkpoint; None without kinds.
        embedding_revision: `Embedding.revision` of the checkpoint; None without an embedding.
        orientation: EXIF orientation of the photo's file, 1 to 8 (CIPA DC-008, tag 0x0112); 1 where it has none.
        upright: Whether maps and boxes are of the photo turned upright, as `orientation` says; False for what
            `as_stored` gives only.

    Raises:
        ValueError: If the maps are not uint8 of one shape, an id is outside the taxonomy, there is nobody, a garment
            or a pixel belongs to nobody, or there is no such orientation.
    """

    taxonomy: Taxonomy
    class_map: np.ndarray
    confidence: np.ndarray
    people: tuple[Person, ...]
    garments: tuple[Garment, ...]
    model: str
    revision: str
    seconds: float
    owners: np.ndarray | None = None
    has_kinds: bool = False
    orientation: int = 1
    upright: bool = True
    calibration_revision: str | None = None
    kinds_revision: str | None = None
    embedding_revision: str | None = None

    def __post_init__(self) -> None:
        maps = {"class_map": self.class_map, "confidence": self.confidence}
        for name, values in (maps if self.owners is None else {**maps, "owners": self.owners}).items():
            if values.dtype != np.uint8 or values.shape != self.class_map.shape or values.ndim != 2:
                raise ValueError(f"{name} must be uint8 (H, W) like the class map, not {values.dtype} {values.shape}.")
        if int(self.class_map.max()) >= len(self.taxonomy):
            raise ValueError(f"The class map has the id {self.class_map.max()}, which is beyond {self.taxonomy.name}.")
        if not self.people:
            raise ValueError("A segmentation has at least one person.")
        if any(not 0 <= garment.person < len(self.people) for garment in self.garments):
            raise ValueError(f"A garment belongs to nobody: there are {len(self.people)} people.")
        if self.owners is not None and int(self.owners.max()) >= len(self.people):
            raise ValueError(f"A pixel belongs to nobody: there are {len(self.people)} people.")
        if not 1 <= self.orientation <= 8:
            raise ValueError(f"An EXIF orientation is 1 to 8, not {self.orientation}.")

    @property
    def height(self) -> int:
        """Height of the photo, in pixels."""
        return int(self.class_map.shape[0])

    @property
    def width(self) -> int:
        """Width of the photo, in pixels."""
        return int(self.class_map.shape[1])

    def mask(self, garment: Garment) -> np.ndarray:
        """The pixels of a garment, bool `(H, W)`."""
        mask = np.asarray(self.class_map == self.taxonomy[garment.name].id)
        return mask if self.owners is None else mask & (self.owners == garment.person)

    def presence_of(self, garment: Garment) -> float | None:
        """Calibrated probability that the garment's person shows one of its class, 0..1; None without a calibration."""
        return self.people[garment.person].presence_of(garment.name)

    def likely(self, garment: Garment) -> bool:
        """Whether a garment counts: its presence is at least `LIKELY`; True without a calibration."""
        return self.people[garment.person].likely(garment.name)

    def as_stored(self) -> Segmentation:
        """The same for the pixels as the photo's file stores them, for programs that ignore EXIF.

        Maps and boxes are turned back, so that they fit what Pillow's `Image.open` gives, for instance. It is the
        segmentation itself if the photo was not turned.
        """
        if self.orientation == 1 or not self.upright:
            return self
        box = partial(_stored_box, height=self.height, width=self.width, orientation=self.orientation)
        return replace(
            self,
            class_map=as_stored(self.class_map, self.orientation),
            confidence=as_stored(self.confidence, self.orientation),
            people=tuple(replace(person, box=box(person.box)) for person in self.people),
            garments=tuple(replace(garment, box=box(garment.box)) for garment in self.garments),
            owners=None if self.owners is None else as_stored(self.owners, self.orientation),
            upright=False,
        )

    def to_json(self, photo: str = "", photo_id: str = "") -> dict[str, Any]:
        """All but the pixels, with the keys of the command line's JSON.

        Args:
            photo: File name of the photo.
            photo_id: SHA-256 of the photo's file in hex digits, as in archives; the key is left out without one.
        """
        return {
            "photo": photo,
            **({"photo_id": photo_id} if photo_id else {}),
            "model": self.model,
            "revision": self.revision,
            "taxonomy": self.taxonomy.name,
            "width": self.width,
            "height": self.height,
            "orientation": self.orientation,
            "seconds": round(self.seconds, 4),
            "people": [person.to_json() for person in self.people],
            "garments": [garment.to_json() for garment in self.garments],
        }

    def to_coco(self, photo: str = "", *, polygons: bool = False) -> dict[str, Any]:
        """COCO's detection format: one annotation per class and person but the background's, likely or not.

        `segmodels.annotations` has this and other formats, for any number of photos.

        Args:
            photo: File name of the photo.
            polygons: Whether segmentations are polygons; compressed run lengths, which are exact, if not.
        """
        from segmodels.annotations import to_coco

        return to_coco([(photo, self)], polygons)

    def to_supervision(self) -> Detections:
        """The garments as the `Detections` of the package supervision, in their order, one detection per garment.

        `xyxy` is float32 `(n, 4)`: left, top, right and bottom in pixels, where right and bottom are the first column
        and row outside the box. `mask` is bool `(n, H, W)`, `class_id` int64 `(n,)`, `confidence` float32 `(n,)`.
        `data` holds `class_name`, str `(n,)`, `person`, int64 `(n,)`, the index into the people, and `presence`,
        float32 `(n,)`, 0..1, NaN without a calibration.

        The extra `supervision` takes version 0.30 or newer, which uses the OpenCV that is installed. Older ones require
        opencv-python, which overwrites the files of the opencv-python-headless that Garmentscope requires.

        Raises:
            GarmentscopeError: If the package supervision is not installed.
        """
        if problem := missing_extra("supervision", "supervision", what="to_supervision"):
            raise GarmentscopeError(problem)
        from supervision import Detections

        boxes = np.array([garment.box for garment in self.garments], np.float32).reshape(-1, 4)
        names = [garment.name for garment in self.garments]
        masks = np.empty((len(names), self.height, self.width), bool)
        for mask, garment in zip(masks, self.garments, strict=True):
            mask[:] = self.mask(garment)
        return Detections(
            xyxy=np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]),
            mask=masks,
            confidence=np.array([garment.confidence for garment in self.garments], np.float32),
            class_id=np.array([self.taxonomy[name].id for name in names], np.int64),
            data={
                "class_name": np.array(names, str),
                "person": np.array([garment.person for garment in self.garments], np.int64),
                "presence": np.array([self.presence_of(garment) for garment in self.garments], np.float32),
            },
        )

    def to_pil(self) -> Image.Image:
        """The class map as a picture with a palette: a pixel's value is its class id, its colour that of the class."""
        image = Image.fromarray(self.class_map)
        image.putpalette(self.taxonomy.palette[: len(self.taxonomy)].tobytes())
        return image

    def class_map_png(self) -> bytes:
        """The class map as a palette PNG: a pixel's value is its class id, its colour that of the class."""
        return _png(self.to_pil())

    def overlay(self, photo: np.ndarray, opacity: float = 0.55) -> np.ndarray:
        """The photo with every class but the background laid over it, uint8 `(H, W, 3)`.

        Args:
            photo: uint8 `(H, W, 3)`, the one that was segmented.
            opacity: Opacity of the colours, 0..1.
        """
        self._check(photo)
        return paint(photo, self.class_map, self.taxonomy, opacity)

    def overlay_png(self, photo: np.ndarray, opacity: float = 0.55) -> bytes:
        """`overlay` as an RGB PNG.

        Args:
            photo: uint8 `(H, W, 3)`, the one that was segmented.
            opacity: Opacity of the colours, 0..1.
        """
        return _png(Image.fromarray(self.overlay(photo, opacity)))

    def cutout_png(self, photo: np.ndarray, garment: Garment) -> bytes:
        """One garment on a transparent ground, cut to its box, as an RGBA PNG; transparent pixels hold no colour.

        Args:
            photo: uint8 `(H, W, 3)`, the one that was segmented.
            garment: One of the segmentation's.
        """
        self._check(photo)
        x, y, width, height = garment.box
        region = np.s_[y : y + height, x : x + width]
        mask = self.mask(garment)[region][..., None]
        return _png(Image.fromarray(np.concatenate([photo[region] * mask, mask * np.uint8(255)], axis=2)))

    def _check(self, photo: np.ndarray) -> None:
        if photo.shape[:2] != self.class_map.shape:
            raise ValueError(f"The photo {photo.shape} is not the one of this class map {self.class_map.shape}.")


def measure(
    photo: np.ndarray,
    taxonomy: Taxonomy,
    class_map: np.ndarray,
    confidence: np.ndarray,
    detected: Sequence[Person] = (),
    owners: np.ndarray | None = None,
) -> tuple[tuple[Person, ...], tuple[Garment, ...]]:
    """The people of a photo and the garments on them.

    Where nobody was detected there is one person, who spans what was found, or the whole photo with a confidence of 0
    where nothing was.

    Args:
        photo: uint8 `(H, W, 3)`.
        taxonomy: Taxonomy of the class map.
        class_map: uint8 `(H, W)`.
        confidence: uint8 `(H, W)`, 0..255.
        detected: The people whom a detector found.
        owners: Index of the person for each pixel, uint8 `(H, W)`; all of the first person if left out.
    """
    people = tuple(detected)
    if not people:
        found = class_map > 0
        box = box_of(found)
        if box is None:
            return (Person((0, 0, class_map.shape[1], class_map.shape[0]), 0.0, detected=False),), ()
        people = (Person(_pixels(box), float(confidence[found].mean()) / 255, detected=False),)
    garments: list[Garment] = []
    for index in range(len(people)):
        theirs = class_map if owners is None or len(people) == 1 else np.where(owners == index, class_map, np.uint8(0))
        garments.extend(_garments(photo, taxonomy, theirs, confidence, index))
    return people, tuple(garments)


def _garments(
    photo: np.ndarray, taxonomy: Taxonomy, class_map: np.ndarray, confidence: np.ndarray, person: int
) -> list[Garment]:
    """The garments of a class map that holds one person's only, the largest first."""
    span = box_of(class_map > 0)
    if span is None:
        return []
    x, y, width, height = _pixels(span)
    inside = np.s_[y : y + height, x : x + width]
    pixels = np.bincount(class_map[inside].ravel(), minlength=len(taxonomy))
    worn = int(sum(pixels[garment.id] for garment in taxonomy.worn))
    garments, parts = [], []
    for garment in taxonomy.worn:
        if not pixels[garment.id]:
            continue
        mask = class_map[inside] == garment.id
        part = box_of(mask)
        assert part is not None
        left, top, part_width, part_height = _pixels(part)
        cut = np.s_[top : top + part_height, left : left + part_width]
        parts.append((photo[inside][cut], mask[cut]))
        garments.append(
            Garment(
                name=garment.name,
                person=person,
                area_share=float(pixels[garment.id] / class_map.size),
                outfit_share=float(pixels[garment.id] / worn),
                confidence=float(confidence[inside][mask].mean()) / 255,
                box=(x + left, y + top, part_width, part_height),
                colours=(),
            )
        )
    garments = [
        replace(garment, colours=colours) for garment, colours in zip(garments, dominant_colours_of(parts), strict=True)
    ]
    return sorted(garments, key=lambda garment: -garment.outfit_share)


def _stored_box(box: tuple[int, int, int, int], height: int, width: int, orientation: int) -> tuple[int, int, int, int]:
    """A box in the photo as its file stores it.

    Args:
        box: Left, top, width, height in pixels of the upright photo.
        height: Height of the upright photo, in pixels.
        width: Width of the upright photo, in pixels.
        orientation: EXIF orientation, 1 to 8.
    """
    x, y, across, down = box
    right, below = width - x - across, height - y - down  # from the other two edges
    places = {
        2: (right, y, across, down),
        3: (right, below, across, down),
        4: (x, below, across, down),
        5: (y, x, down, across),
        6: (y, right, down, across),
        7: (below, right, down, across),
        8: (below, x, down, across),
    }
    return places.get(orientation, box)


def _pixels(box: Box) -> tuple[int, int, int, int]:
    x, y, width, height = (int(side) for side in box)
    return x, y, width, height


def paint(photo: np.ndarray, class_map: np.ndarray, taxonomy: Taxonomy, opacity: float = 0.55) -> np.ndarray:
    """A photo with every class but the background laid over it, uint8 `(H, W, 3)`.

    Args:
        photo: uint8 `(H, W, 3)`.
        class_map: uint8 `(H, W)`.
        taxonomy: Taxonomy of the class map.
        opacity: Opacity of the colours, 0..1.
    """
    shown = photo.copy()
    painted = class_map > 0
    colours = taxonomy.palette[class_map[painted]]
    shown[painted] = np.rint(photo[painted] * (1 - opacity) + colours * opacity).astype(np.uint8)
    return shown


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
