"""A visitor's photos: the garments found in each, and all formats for export.

A session keeps a photo as its file and the small JPEG that the viewer shows, and what was found as packed arrays: fifty
phone photos fit into some hundred megabytes. Every other format is made on demand.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from dashboard.components.viewer import MAX_SIDE, Stage, encode_photo, encode_stage, round_confidence
from dashboard.shared.photo_file import file_digest
from segmodels.annotations import ANNOTATION_FORMATS, AnnotationFile, annotation_files, names_apart
from segmodels.csv_text import csv_bytes
from segmodels.files import writable_name
from segmodels.inference.presence import LIKELY
from segmodels.inference.segmentation import Garment, Person, Segmentation
from segmodels.photo import Photo, decode_photo, open_photo
from segmodels.taxonomy import Taxonomy

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter
    from segmodels.mappings import CommonClasses

__all__ = [
    "Analysed",
    "Plane",
    "UploadedPhoto",
    "analyse",
    "annotations_name",
    "as_annotations",
    "as_csv",
    "class_map_png",
    "cut_out",
    "file_name",
    "garment_names",
    "heading",
    "json_text",
    "read_photo",
    "write_zip",
]


@dataclass(frozen=True, eq=False)
class UploadedPhoto:
    """A photo of a visitor that can be read.

    Args:
        name: File name as uploaded.
        data: The file.
        width: Width in pixels.
        height: Height in pixels.
        shown: The JPEG that the viewer shows.
        orientation: EXIF orientation of the file, 1 to 8.
        note: A sentence on how it was read, if that is to be known.
    """

    name: str
    data: bytes
    width: int
    height: int
    shown: bytes
    orientation: int = 1
    note: str = ""

    @property
    def stem(self) -> str:
        """The file name without folder and ending."""
        return PurePath(self.name).stem

    @property
    def original(self) -> bytes | None:
        """The file, if it has more pixels than what the viewer shows."""
        return self.data if max(self.width, self.height) > MAX_SIDE else None

    def pixels(self) -> np.ndarray:
        """The photo, decoded anew, uint8 `(H, W, 3)`."""
        return open_photo(self.data, name=self.name)


@dataclass(frozen=True, eq=False)
class Plane:
    """An array of ids or confidences, packed without loss.

    Args:
        shape: Height and width.
        packed: The pixels row by row, a byte each, packed with zlib.
    """

    shape: tuple[int, ...]
    packed: bytes

    @classmethod
    def of(cls, pixels: np.ndarray) -> Plane:
        """Packs uint8 `(H, W)` by runs alone, which takes about a third of zlib's usual time."""
        packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
        return cls(pixels.shape, packer.compress(pixels.tobytes()) + packer.flush())

    def pixels(self) -> np.ndarray:
        """The array, uint8 `(H, W)`, not to be written to."""
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Analysed:
    """A photo and what was found in it: a `Segmentation` whose arrays are packed.

    Args:
        photo: The photo.
        taxonomy: Taxonomy of the class map.
        class_map: Class map at the photo's own size.
        confidence: Confidence at the photo's own size, in the steps that the viewer shows.
        people: People in the photo.
        garments: Garments, as measured.
        model: Catalog name of the checkpoint.
        revision: Revision of the checkpoint.
        seconds: Seconds from decoded photo to garments.
        owners: Index of the person that each pixel belongs to; None for one person.
        has_kinds: Whether the checkpoint tells kinds of garments apart.
    """

    photo: UploadedPhoto
    taxonomy: Taxonomy
    class_map: Plane
    confidence: Plane
    people: tuple[Person, ...]
    garments: tuple[Garment, ...]
    model: str
    revision: str
    seconds: float
    owners: Plane | None = None
    has_kinds: bool = False

    @classmethod
    def of(cls, photo: UploadedPhoto, found: Segmentation) -> Analysed:
        """Packs what was found in a photo."""
        return cls(
            photo=photo,
            taxonomy=found.taxonomy,
            class_map=Plane.of(found.class_map),
            confidence=Plane.of(round_confidence(found.confidence)),
            people=found.people,
            garments=found.garments,
            model=found.model,
            revision=found.revision,
            seconds=found.seconds,
            owners=Plane.of(found.owners) if found.owners is not None and len(found.people) > 1 else None,
            has_kinds=found.has_kinds,
        )

    @property
    def name(self) -> str:
        """File name of the photo as uploaded."""
        return self.photo.name

    @property
    def size(self) -> int:
        """Size in memory of the photo and what was found in it, in bytes."""
        planes = (self.class_map, self.confidence, self.owners)
        return len(self.photo.data) + len(self.photo.shown) + sum(len(plane.packed) for plane in planes if plane)

    def segmentation(self) -> Segmentation:
        """What was found, with its arrays unpacked."""
        return Segmentation(
            taxonomy=self.taxonomy,
            class_map=self.class_map.pixels(),
            confidence=self.confidence.pixels(),
            people=self.people,
            garments=self.garments,
            model=self.model,
            revision=self.revision,
            seconds=self.seconds,
            owners=self.owners.pixels() if self.owners else None,
            has_kinds=self.has_kinds,
            orientation=self.photo.orientation,
        )

    def presence_of(self, garment: Garment) -> float | None:
        """Calibrated probability that the garment's person shows one of its class, 0..1; None without a calibration."""
        return self.people[garment.person].presence_of(garment.name)

    def likely(self, garment: Garment) -> bool:
        """Whether a garment counts; True without a calibration."""
        return self.people[garment.person].likely(garment.name)

    @property
    def is_calibrated(self) -> bool:
        """Whether the presence of the garments is known."""
        return any(person.presence is not None for person in self.people)

    @property
    def less_likely(self) -> tuple[Garment, ...]:
        """Garments that were found but do not count."""
        return tuple(garment for garment in self.garments if not self.likely(garment))

    @property
    def not_outlined(self) -> tuple[tuple[int, str], ...]:
        """Index of the person and name of the class, for each class that counts although no pixel of it was found."""
        found = {(garment.person, garment.name) for garment in self.garments}
        return tuple(
            (index, name)
            for index, person in enumerate(self.people)
            for name in person.presence or ()
            if person.likely(name) and (index, name) not in found
        )

    @cached_property
    def listing(self) -> dict[str, Any]:
        """The command line's JSON."""
        return self.segmentation().to_json(self.name, file_digest(self.photo.data))

    def stage(self, title: str = "", caption: str = "", common: CommonClasses | None = None) -> dict[str, Any]:
        """The stage for the viewer; takes some ten milliseconds per megapixel.

        Args:
            title: Heading; the number of garments that count if left out.
            caption: Line under the table; an explanation of its columns if left out.
            common: Classes, of which the stage is then, that the model has in common with others.
        """
        found = self.segmentation()
        name_of = partial(common.shown_name, self.taxonomy) if common else str
        rows = [
            {**row, "class": name_of(row["class"]), "presence": self.presence_of(garment)}
            for row, garment in zip(self.listing["garments"], self.garments, strict=True)
        ]
        likely = [self.likely(garment) for garment in self.garments]
        return encode_stage(
            Stage(
                photo=self.photo.shown,
                class_map=common.shown_ids(self.taxonomy)[found.class_map] if common else found.class_map,
                confidence=found.confidence,
                name=self.name,
                title=title or heading(self),
                caption=caption or _caption(self),
                garments=tuple(row for row, counts in zip(rows, likely, strict=True) if counts),
                less_likely=tuple(row for row, counts in zip(rows, likely, strict=True) if not counts),
                less_likely_map=_numbered(found, self.less_likely),
                people=tuple(person.box for person in self.people) if self.owners else (),
                owners=found.owners if self.owners else None,
                not_outlined=tuple(
                    {"class": name_of(name), "person": person, "presence": self.people[person].presence_of(name)}
                    for person, name in self.not_outlined
                ),
            )
        )


def read_photo(name: str, data: bytes) -> UploadedPhoto:
    """Reads a photo, to be analysed later.

    Args:
        name: File name, for messages and downloads.
        data: The file.

    Raises:
        PhotoError: If the file cannot be read; the message is for the visitor.
    """
    return _uploaded(name, data, decode_photo(data, name=name))


def analyse(segmenter: Segmenter, name: str, data: bytes) -> Analysed:
    """Reads a photo and finds its garments.

    Args:
        segmenter: Segmenter to use.
        name: File name, for messages and downloads.
        data: The file.

    Raises:
        PhotoError: If the file cannot be read; the message is for the visitor.
    """
    photo = decode_photo(data, name=name)
    return Analysed.of(_uploaded(name, data, photo), segmenter.segment(photo))


def class_map_png(analysed: Analysed) -> bytes:
    """The class map as a palette PNG at the photo's own size."""
    return analysed.segmentation().class_map_png()


def json_text(analysed: Analysed) -> str:
    """The command line's JSON."""
    return json.dumps(analysed.listing, indent=1, ensure_ascii=False)


def as_annotations(photos: Sequence[Analysed], kind: str) -> bytes:
    """Annotations of photos in a format: its file, or a ZIP where it has several.

    Args:
        photos: Photos of one model or several.
        kind: Key in `ANNOTATION_FORMATS`.
    """
    files = list(_annotation_files(photos, kind))
    if _one_file(photos, kind):
        return files[0].content
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(file.path, file.content)
    return out.getvalue()


def annotations_name(photos: Sequence[Analysed], kind: str) -> str:
    """The file name under which `as_annotations` is saved: `look-coco.json`, or `garmentscope-yolo.zip` of several."""
    stem = photos[0].photo.stem if len(photos) == 1 else "garmentscope"
    return f"{stem}-{kind}{PurePath(ANNOTATION_FORMATS[kind].only_file).suffix if _one_file(photos, kind) else '.zip'}"


def _one_file(photos: Sequence[Analysed], kind: str) -> bool:
    return bool(ANNOTATION_FORMATS[kind].only_file) and len({photo.taxonomy for photo in photos}) == 1


def _annotation_files(photos: Sequence[Analysed], kind: str) -> Iterator[AnnotationFile]:
    """The files of a format; photos in the classes of another model than the first lie in a folder `2/`, and so on."""
    named = list(zip(names_apart(photo.name for photo in photos), photos, strict=True))
    for number, taxonomy in enumerate(dict.fromkeys(photo.taxonomy for photo in photos), start=1):
        of_one = ((name, photo.segmentation()) for name, photo in named if photo.taxonomy == taxonomy)
        for file in annotation_files(kind, of_one):
            yield file if number == 1 else file._replace(path=f"{number}/{file.path}")


def cut_out(analysed: Analysed, garment: Garment) -> bytes:
    """One garment on a transparent ground, as PNG, at the photo's own resolution."""
    return analysed.segmentation().cutout_png(analysed.photo.pixels(), garment)


def as_csv(photos: Sequence[Analysed]) -> bytes:
    """One row per garment of every photo, likely or not, and one with empty garment columns for a photo without any.

    UTF-8. `presence` is that of the garment's class on its person, 0..1, and empty without a calibration; `kind` is
    empty where it is not certain.
    """
    columns = ["photo", "photo_id", "model", "revision", "person", "class", "area_share", "outfit_share", "confidence"]
    columns += ["presence", "kind", "kind_probability", "x", "y", "width", "height"]
    columns += [f"colour_{rank}_{part}" for rank in (1, 2, 3) for part in ("name", "hex", "share")]
    rows: list[dict[str, object]] = []
    for analysed in photos:
        listing = analysed.listing
        photo = {key: listing[key] for key in columns[:4]}
        if not listing["garments"]:
            rows.append(photo)
        for garment, found in zip(listing["garments"], analysed.garments, strict=True):
            row = photo | {key: garment[key] for key in columns[4:9]}
            if (presence := analysed.presence_of(found)) is not None:
                row["presence"] = round(presence, 4)
            if kind := garment["kind"]:
                row |= {"kind": kind["name"], "kind_probability": kind["probability"]}
            row |= dict(zip(("x", "y", "width", "height"), garment["box"], strict=True))
            for rank, colour in enumerate(garment["colours"][:3], start=1):
                row |= {f"colour_{rank}_{part}": colour[part] for part in ("name", "hex", "share")}
            rows.append(row)
    return csv_bytes([columns, *([row.get(column, "") for column in columns] for row in rows)])


def write_zip(
    photos: Sequence[Analysed],
    file: IO[bytes],
    kind: str = "coco",
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Class map, JSON and cut-outs of every photo, one folder a photo, with the CSV, and with annotations over all.

    Cut-outs of garments that do not count are in a folder `less_likely` of the photo's. Annotations are in the folder
    `annotations`.

    Args:
        photos: Photos of one model or several; each is decoded once, and one at a time is in memory.
        file: File that the ZIP is written to.
        kind: Format of the annotations, a key in `ANNOTATION_FORMATS`.
        progress: Function that is called with the number of photos that are done.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("garments.csv", as_csv(photos))
        for each in _annotation_files(photos, kind):
            archive.writestr(f"annotations/{each.path}", each.content)
        for number, analysed in enumerate(photos, start=1):
            folder = f"{number:03d}-{writable_name(analysed.photo.stem)}".rstrip(
                " ."
            )  # Windows forbids both at the end
            found, pixels = analysed.segmentation(), analysed.photo.pixels()
            archive.writestr(f"{folder}/class_map.png", found.class_map_png(), zipfile.ZIP_STORED)
            archive.writestr(f"{folder}/garments.json", json_text(analysed))
            for garment in analysed.garments:
                place = folder if analysed.likely(garment) else f"{folder}/less_likely"
                cut_out = found.cutout_png(pixels, garment)
                archive.writestr(f"{place}/{file_name(garment)}.png", cut_out, zipfile.ZIP_STORED)  # packed already
            progress(number)


def heading(analysed: Analysed) -> str:
    """The number of garments that count and, where there are several, of people: `8 garments on 2 people`."""
    count = sum(map(analysed.likely, analysed.garments)) + len(analysed.not_outlined)
    people = len(analysed.people)
    garments = "1 garment" if count == 1 else f"{count or 'No'} garments"
    return f"{garments} on {people} people" if people > 1 else garments


def garment_names(garment: Garment) -> list[str]:
    """Class of a garment and its kind, where there is one of another name."""
    kind = garment.kind.name if garment.kind else garment.name
    return [garment.name] if kind.casefold() == garment.name.casefold() else [garment.name, kind]


def file_name(garment: Garment) -> str:
    """The class of a garment as part of a file name, with its kind and a number from the second person on.

    Examples are `scarf-tie-2` and `dress-skirt`.
    """
    name = "-".join(garment_names(garment))
    name = re.sub(r'[<>:"/\\|?*]', "-", name.lower())
    return f"{name}-{garment.person + 1}" if garment.person else name


def _uploaded(name: str, data: bytes, photo: Photo) -> UploadedPhoto:
    height, width = photo.pixels.shape[:2]
    shown = encode_photo(photo.pixels)
    return UploadedPhoto(name, data, width, height, shown, photo.orientation, " ".join(photo.notes))


def _numbered(found: Segmentation, garments: Sequence[Garment]) -> np.ndarray | None:
    """The number, from 1, of the garment that each pixel belongs to, uint8 `(H, W)`, 0 elsewhere; None without any."""
    if not garments:
        return None
    numbered = np.zeros(found.class_map.shape, np.uint8)
    for number, garment in enumerate(garments, start=1):
        numbered[found.mask(garment)] = number
    return numbered


def _caption(analysed: Analysed) -> str:
    if analysed.is_calibrated:
        note = f"Likely: calibrated probability that the garment is there; below {LIKELY:.0%} it is not counted."
    else:
        note = "Raw counts: this model has no calibration, so every garment it found is listed."
    if analysed.has_kinds:
        note += " After a class: its kind and that kind's probability, where that is high enough."
    return (
        "Share of outfit: of the pixels of all garments listed, for each person. Conf.: mean probability of the class. "
        f"{note} {analysed.model}, revision {analysed.revision[:12]}, {analysed.seconds:.2f} s."
    )
