"""A row of the archive: its columns, and how it is made from a photo.

| column | type | |
|---|---|---|
| `photo_id` | string | SHA-256 of the file's bytes, 64 hex digits |
| `file_name` | string | path below the ingested folder, with forward slashes |
| `taken_at` | timestamp | local time, without a zone; null if unknown |
| `date_precision` | string | what `taken_at` names where it is no day, at whose first day it is; null for a day |
| `tags` | map of strings | from the CSV |
| `width`, `height` | int32 | size of the upright photo |
| `model`, `revision`, `taxonomy` | string | model that found the garments |
| `analysed_at` | timestamp | UTC |
| `people` | list of structs | `box`, `confidence`, `detected` |
| `garments` | list of structs | `class`, `person`, `area_share`, `outfit_share`, `confidence`, `box`, `colours` |
| `class_map` | binary | palette PNG, longest side 128 pixels |
| `outfits` | list of int64 | one for each of `people`: bit i is set if class i of the taxonomy was found on them |
| `presence` | list of lists of float32 | one for each of `people`: presence of each garment and accessory class |
| `kinds` | list of structs | one for each of `garments`: its `name`, and `probabilities` by kind |
| `monochrome` | bool | whether the photo is black and white or sepia, without garments' colours; null if unknown |
| `fingerprint` | int64 | perceptual hash of the photo, by which near-duplicates are found; null if unknown |
| `calibration_revision` | string | identifier of the calibration that gave `presence`; null without, or if unknown |
| `kinds_revision` | string | identifier of what gave `kinds`; null without, or if unknown |
| `embeddings` | list of binary | one for each of `garments`: its vector, one int8 a dimension |
| `embedding_revision` | string | identifier of what gave `embeddings`; those of two revisions cannot be compared |

`presence` is in the taxonomy's display order, and null without a calibration. `kinds` is null without kinds of the
model; a garment without any is null in it, and a `name` is null where the kind is not certain. `outfits` is derived
from `garments` when the row is written: a query that counts what is worn together reads it alone. It includes every
garment found, at any confidence. `embeddings` is null without an embedding of the model; it serves to
find outfits alike (`similar.py`), is in no export, and goes with its row when a photo is deleted. Parts written before
a column existed lack it; it reads as null.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from segmodels.fingerprint import fingerprint
from segmodels.inference.class_map import small_map
from segmodels.photo import date_taken, open_photo, reduced
from segmodels.taxonomy import Taxonomy
from segmodels.tone import is_monochrome

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation
    from segmodels.inference.segmenter import Segmenter

__all__ = [
    "ADDED_LATER",
    "CLASS_MAP_SIDE",
    "MAX_PHOTO_BYTES",
    "SCHEMA",
    "Row",
    "analyse",
    "as_table",
    "bits",
    "decode",
    "photo_id",
    "row_of",
]

CLASS_MAP_SIDE = 128
"""Longest side, in pixels, of the class map that is kept of a photo."""

MAX_PHOTO_BYTES = 100 * 1024 * 1024
"""Most bytes that a photo's file may have."""

_SMALL_SIDE = 256  # pixels of the longest side of the copy from which tone and fingerprint are computed

Row = dict[str, Any]
"""One photo as a mapping with the columns of `SCHEMA`."""

_BOX = pa.list_(pa.int32())
_COLOUR = pa.struct([("hex", pa.string()), ("name", pa.string()), ("share", pa.float32())])
_KIND = pa.struct(
    [
        ("name", pa.string()),
        ("probabilities", pa.map_(pa.string(), pa.float32())),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("photo_id", pa.string(), nullable=False),
        ("file_name", pa.string()),
        ("taken_at", pa.timestamp("us")),
        ("tags", pa.map_(pa.string(), pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("taxonomy", pa.string()),
        ("analysed_at", pa.timestamp("us")),
        ("people", pa.list_(pa.struct([("box", _BOX), ("confidence", pa.float32()), ("detected", pa.bool_())]))),
        (
            "garments",
            pa.list_(
                pa.struct(
                    [
                        ("class", pa.string()),
                        ("person", pa.int32()),
                        ("area_share", pa.float32()),
                        ("outfit_share", pa.float32()),
                        ("confidence", pa.float32()),
                        ("box", _BOX),
                        ("colours", pa.list_(_COLOUR)),
                    ]
                )
            ),
        ),
        ("class_map", pa.binary()),
        ("outfits", pa.list_(pa.int64())),
        ("presence", pa.list_(pa.list_(pa.float32()))),
        ("kinds", pa.list_(_KIND)),
        ("monochrome", pa.bool_()),
        ("fingerprint", pa.int64()),
        ("date_precision", pa.string()),
        ("calibration_revision", pa.string()),
        ("kinds_revision", pa.string()),
        ("embeddings", pa.list_(pa.binary())),
        ("embedding_revision", pa.string()),
    ]
)
"""Schema of every part."""

ADDED_LATER: Mapping[str, str] = {
    "presence": "FLOAT[][]",
    "kinds": "STRUCT(name VARCHAR, probabilities MAP(VARCHAR, FLOAT))[]",
    "monochrome": "BOOLEAN",
    "fingerprint": "BIGINT",
    "date_precision": "VARCHAR",
    "calibration_revision": "VARCHAR",
    "kinds_revision": "VARCHAR",
    "embeddings": "BLOB[]",
    "embedding_revision": "VARCHAR",
}
"""Columns that parts of earlier versions lack, with their types in DuckDB."""


def analyse(segmenter: Segmenter, file_name: str, data: bytes, notes: list[str] | None = None) -> Row:
    """The row of a photo; its date is that of the EXIF data, its tags are empty.

    Args:
        segmenter: Segmenter that analyses the photo.
        file_name: Name of the file, for the row and for messages.
        data: The file.
        notes: List to which a sentence is added if the photo was not read as it is.

    Raises:
        PhotoError: If the file cannot be read; the message is for a person.
    """
    photo = decode(file_name, data, notes)
    return row_of(segmenter.segment(photo), photo, file_name, data)


def decode(file_name: str, data: bytes, notes: list[str] | None = None) -> np.ndarray:
    """The upright photo of a file, uint8 `(H, W, 3)` RGB.

    Args:
        file_name: Name of the file, for messages.
        data: Bytes of the file.
        notes: List to which a sentence is added if the photo was not read as it is.

    Raises:
        PhotoError: If the file cannot be read; the message is for a person.
    """
    return open_photo(data, name=file_name, max_bytes=MAX_PHOTO_BYTES, notes=notes)


def row_of(segmentation: Segmentation, photo: np.ndarray, file_name: str, data: bytes) -> Row:
    """The row of a photo whose garments are found; its date is that of the EXIF data, its tags are empty.

    Args:
        segmentation: The garments and the people.
        photo: uint8 `(H, W, 3)`, as `decode` gives it.
        file_name: Name of the file.
        data: Bytes of the file.
    """
    found = segmentation.to_json(file_name)
    small = reduced(photo, _SMALL_SIDE)
    return {
        "photo_id": photo_id(data),
        "file_name": file_name,
        "taken_at": date_taken(data),
        "tags": {},
        **{key: found[key] for key in ("width", "height", "model", "revision", "taxonomy")},
        "analysed_at": datetime.now(UTC).replace(tzinfo=None),
        "people": [{key: person[key] for key in ("box", "confidence", "detected")} for person in found["people"]],
        "garments": [{key: value for key, value in each.items() if key != "kind"} for each in found["garments"]],
        "class_map": small_map(segmentation.class_map, segmentation.taxonomy, CLASS_MAP_SIDE),
        "outfits": bits(found["garments"], len(found["people"]), segmentation.taxonomy),
        "presence": _presence(segmentation),
        "kinds": _kinds(segmentation),
        "monochrome": is_monochrome(small, _body_share(segmentation)),
        "fingerprint": fingerprint(small),
        "date_precision": None,
        "calibration_revision": segmentation.calibration_revision,
        "kinds_revision": segmentation.kinds_revision,
        "embeddings": [each.embedding for each in segmentation.garments] if segmentation.embedding_revision else None,
        "embedding_revision": segmentation.embedding_revision,
    }


def _body_share(segmentation: Segmentation) -> float:
    """Share of the photo that is skin or hair, from every fourth pixel of every fourth row."""
    body = [each.id for each in segmentation.taxonomy.classes if each.group == "body"]
    return float(np.isin(segmentation.class_map[::4, ::4], body).mean())


def _presence(segmentation: Segmentation) -> list[list[float]] | None:
    """Presence of each person, by class in display order; None without a calibration."""
    found = [person.presence for person in segmentation.people]
    worn = [garment.name for garment in segmentation.taxonomy.worn]
    rows = [[each[name] for name in worn] for each in found if each is not None]
    return rows if len(rows) == len(found) else None


def _kinds(segmentation: Segmentation) -> list[dict[str, Any] | None] | None:
    """Kind of each garment; None if the checkpoint has no kinds."""
    if not segmentation.has_kinds:
        return None
    return [
        {"name": garment.kind and garment.kind.name, "probabilities": list(garment.kind_probabilities.items())}
        if garment.kind_probabilities
        else None
        for garment in segmentation.garments
    ]


def photo_id(data: bytes) -> str:
    """Id of a photo: the SHA-256 of its file, in hex."""
    return hashlib.sha256(data).hexdigest()


def bits(garments: Iterable[Mapping[str, Any]], people: int, taxonomy: Taxonomy) -> list[int]:
    """What each person wears as one number: bit i is set if the person wears a garment of class i.

    Args:
        garments: Garments with the keys `class` and `person`.
        people: Number of people.
        taxonomy: Taxonomy of the classes; 63 classes at most.
    """
    if len(taxonomy) > 63:
        raise ValueError(f"{taxonomy.name} has {len(taxonomy)} classes, and 63 fit into a bit mask.")
    outfits = [0] * people
    for garment in garments:
        outfits[garment["person"]] |= 1 << taxonomy[garment["class"]].id
    return outfits


def as_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a table of `SCHEMA`."""
    return pa.Table.from_pylist([{**row, "tags": list(dict(row["tags"]).items())} for row in rows], SCHEMA)
