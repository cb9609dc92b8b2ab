"""A visitor's photos: what was found in each, and every form in which it can be taken away.

A photo stands in the session as its file, its class map as PNG and the reduced pictures of the viewer, not as arrays:
fifty phone photos fit into some hundred megabytes.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dashboard.components.viewer import Stage, encode_stage
from segmodels.inference.segmentation import Garment, Segmentation, cutout_png, to_coco
from segmodels.photo import open_photo
from segmodels.taxonomy import TAXONOMIES

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = ["Analysed", "analyse", "as_csv", "as_zip", "check", "cut_out", "file_name"]


@dataclass(frozen=True)
class Analysed:
    """A photo and what was found in it.

    Args:
        name: File name as uploaded.
        data: The file.
        class_map: Palette PNG at the photo's own size.
        listing: The command line's JSON.
        coco: COCO's detection format.
        garments: Garments, as measured.
        stage: What the viewer gets.
        owners: Grey PNG at the photo's own size: index of whoever wears what a pixel shows; empty for one person.
    """

    name: str
    data: bytes
    class_map: bytes
    listing: dict[str, Any]
    coco: dict[str, Any]
    garments: tuple[Garment, ...]
    stage: dict[str, Any]
    owners: bytes = b""

    @property
    def stem(self) -> str:
        """The file name without folder and ending."""
        return PurePath(self.name).stem


def analyse(segmenter: Segmenter, name: str, data: bytes) -> Analysed:
    """Reads a photo and finds its garments.

    Args:
        segmenter: Segmenter to use.
        name: File name, for messages and downloads.
        data: The file.

    Raises:
        PhotoError: If the file cannot be read; the message is for the visitor.
    """
    photo = open_photo(data, name=name)
    segmentation = segmenter.segment(photo)
    listing = segmentation.to_json(name)
    return Analysed(
        name=name,
        data=data,
        class_map=segmentation.class_map_png(),
        listing=listing,
        coco=to_coco([(name, segmentation)]),
        garments=segmentation.garments,
        stage=encode_stage(
            Stage(
                photo=photo,
                class_map=segmentation.class_map,
                confidence=segmentation.confidence,
                name=name,
                title=_title(segmentation),
                caption=_caption(segmentation),
                garments=tuple(listing["garments"]),
            )
        ),
        owners=segmentation.owners_png(),
    )


def check(name: str, data: bytes) -> None:
    """Reads a photo and forgets it.

    Args:
        name: File name, for messages.
        data: The file.

    Raises:
        PhotoError: If the file cannot be read; the message is for the visitor.
    """
    open_photo(data, name=name)


def cut_out(analysed: Analysed, garment: Garment) -> bytes:
    """One garment on a transparent ground, as PNG, at the photo's own resolution."""
    with Image.open(io.BytesIO(analysed.class_map)) as image:
        mask = np.asarray(image) == TAXONOMIES[analysed.listing["taxonomy"]][garment.name].id
    if analysed.owners:
        with Image.open(io.BytesIO(analysed.owners)) as image:
            mask &= np.asarray(image) == garment.person
    return cutout_png(open_photo(analysed.data, name=analysed.name), mask, garment.box)


def as_csv(photos: Sequence[Analysed]) -> bytes:
    """One row per garment of every photo, and one with empty garment columns for a photo without any; UTF-8."""
    out = io.StringIO()
    columns = ["photo", "model", "revision", "person", "class", "area_share", "outfit_share", "confidence"]
    columns += ["x", "y", "width", "height"]
    columns += [f"colour_{rank}_{part}" for rank in (1, 2, 3) for part in ("name", "hex", "share")]
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    for analysed in photos:
        listing = analysed.listing
        photo = {key: listing[key] for key in ("photo", "model", "revision")}
        if not listing["garments"]:
            writer.writerow(photo)
        for garment in listing["garments"]:
            row = photo | {key: garment[key] for key in columns[3:8]}
            row |= dict(zip(("x", "y", "width", "height"), garment["box"], strict=True))
            for rank, colour in enumerate(garment["colours"][:3], start=1):
                row |= {f"colour_{rank}_{part}": colour[part] for part in ("name", "hex", "share")}
            writer.writerow(row)
    return out.getvalue().encode("utf-8")


def as_zip(photos: Sequence[Analysed]) -> bytes:
    """Class map, JSON and cut-outs of every photo, one folder a photo, with the CSV and one COCO file over all."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("garments.csv", as_csv(photos))
        archive.writestr("coco.json", json.dumps(_merged_coco(photos)))
        for number, analysed in enumerate(photos, start=1):
            folder = f"{number:03d}-{analysed.stem}"
            archive.writestr(f"{folder}/class_map.png", analysed.class_map)
            archive.writestr(f"{folder}/garments.json", json.dumps(analysed.listing, indent=1, ensure_ascii=False))
            for garment in analysed.garments:
                archive.writestr(f"{folder}/{file_name(garment)}.png", cut_out(analysed, garment))
    return out.getvalue()


def file_name(garment: Garment) -> str:
    """The class of a garment as part of a file name, with a number from the second person on: `scarf-tie-2`."""
    name = garment.name.lower().replace("/", "-")
    return f"{name}-{garment.person + 1}" if garment.person else name


def _merged_coco(photos: Sequence[Analysed]) -> dict[str, Any]:
    merged = {**photos[0].coco, "images": [], "annotations": []}
    for image_id, analysed in enumerate(photos, start=1):
        merged["images"] += [image | {"id": image_id} for image in analysed.coco["images"]]
        for annotation in analysed.coco["annotations"]:
            merged["annotations"].append(annotation | {"id": len(merged["annotations"]) + 1, "image_id": image_id})
    return merged


def _title(segmentation: Segmentation) -> str:
    count, people = len(segmentation.garments), len(segmentation.people)
    garments = "1 garment" if count == 1 else f"{count or 'No'} garments"
    return f"{garments} on {people} people" if people > 1 else garments


def _caption(segmentation: Segmentation) -> str:
    return (
        "Share: of this person's garment and accessory pixels. Conf.: mean of the network's probability. "
        f"{segmentation.model}, revision {segmentation.revision[:12]}, {segmentation.seconds:.2f} s."
    )
