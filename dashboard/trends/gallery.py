"""The photos behind a number as pictures: found, sorted, and drawn with the outlines of their garments."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from skimage.color import rgb2lab

from dashboard.evaluation.pictures import PictureError, read_class_map
from dashboard.trends.photos import read_photo
from dashboard.trends.section import records
from segmodels.archive.place import Place
from segmodels.archive.thumbnails import SMALL, read_thumbnail
from segmodels.taxonomy import Taxonomy

__all__ = ["ORDERS", "Order", "Shown", "archive_picture", "drawn", "ordered", "pictures_of"]

Order = Literal["Presence", "Newest", "Oldest", "Colour"]
ORDERS: tuple[Order, ...] = ("Presence", "Newest", "Oldest", "Colour")
"""Orders of a gallery; colours go from grey, dark to light, through the hues."""

_GREY = 8.0  # chroma in CIELAB below which a colour has no hue
_HUES = 24  # steps of the circle within which lightness decides


@dataclass(frozen=True)
class Shown:
    """A photo of a gallery.

    Args:
        photo_id: Id of the photo.
        caption: File name without folders, day and person.
        picture: JPEG of the photo or its class map; None if there is neither.
        is_photo: Whether the picture is the photo and not its class map.
    """

    photo_id: str
    caption: str
    picture: bytes | None
    is_photo: bool


def ordered(found: pd.DataFrame, order: Order) -> pd.DataFrame:
    """Rows of `Facts.matches` in an order; those without a date or a colour come last.

    Args:
        found: Rows, the most probable first.
        order: The order.
    """
    if order == "Presence":
        return found
    if order == "Colour":
        return found.loc[_colour_places(found["hex"])].reset_index(drop=True)
    return found.sort_values("day", ascending=order == "Oldest", na_position="last", kind="stable", ignore_index=True)


def archive_picture(location: str, roots: Sequence[Path], file_name: str, identity: str, side: int) -> bytes:
    """The picture of an archive's row: its thumbnail, else the photo in a folder, reduced.

    Args:
        location: Location of the archive.
        roots: Folders in which photos may lie.
        file_name: Path of the file below one of the folders.
        identity: Id of the photo.
        side: `SMALL` or `LARGE`.

    Raises:
        PictureError: If there is neither.
    """
    if found := read_thumbnail(Place(location), identity, side):
        return found
    if not roots:
        raise PictureError(
            f"No thumbnail of {file_name} is kept. Add the photos again with thumbnails, or set GARMENTSCOPE_PHOTOS to "
            "their folder."
        )
    return read_photo(tuple(roots), file_name, identity, side)


def pictures_of(
    rows: pd.DataFrame,
    maps: pd.DataFrame,
    taxonomy: Taxonomy,
    read: Callable[[str, str], bytes],
    draw: Callable[[bytes, bytes | None], bytes],
) -> list[Shown]:
    """The pictures of some rows, in their order.

    Args:
        rows: Rows of `Facts.matches`.
        maps: Class maps of these rows, as `Facts.class_maps` gives them.
        taxonomy: Taxonomy of the class maps.
        read: Function that gives the picture of a file name and an id, or raises `PictureError`.
        draw: Function that draws a picture with the outlines of a class map; `drawn` with its other arguments.
    """
    map_of = {row["photo_id"]: row["class_map"] for row in records(maps)}
    shown = []
    for row in records(rows):
        class_map, picture, is_photo = map_of.get(row["photo_id"]), None, True
        try:
            picture = draw(read(row["file_name"], row["photo_id"]), class_map)
        except (PictureError, OSError):
            is_photo = False
            with suppress(PictureError):
                picture = _class_picture(read_class_map(class_map or b""), taxonomy)
        notes = [f"{row['day']:%Y-%m-%d}"] if not pd.isna(row["day"]) else []
        notes += [f"person {row['person'] + 1}"] if row["person"] else []
        shown.append(
            Shown(row["photo_id"], ", ".join([PurePosixPath(row["file_name"]).name, *notes]), picture, is_photo)
        )
    return shown


def drawn(
    picture: bytes, class_map: bytes | None, taxonomy: Taxonomy, classes: Sequence[str], *, outlines: bool, side: int
) -> bytes:
    """A picture with the outlines of its garments; JPEG.

    Args:
        picture: File of the picture.
        class_map: Small palette PNG; without one, or with a damaged one, there are no outlines.
        taxonomy: Taxonomy of the ids.
        classes: Classes whose outlines are drawn; all garments and accessories if there are none.
        outlines: Whether outlines are drawn.
        side: Longest side of the result, in pixels, at most.

    Raises:
        OSError: If the picture is damaged.
    """
    with Image.open(io.BytesIO(picture), formats=["WEBP", "JPEG", "PNG"]) as opened:
        opened.thumbnail((side, side), reducing_gap=2.0)
        pixels = np.array(opened.convert("RGB"))
    with suppress(PictureError):
        ids = read_class_map(class_map or b"") if outlines else np.zeros((1, 1), np.uint8)
        height, width = pixels.shape[:2]
        line = max(1, round(max(height, width) / 250))
        for name in classes or [garment.name for garment in taxonomy.worn]:
            mask = (ids == taxonomy[name].id).astype(np.float32)
            if not mask.any():
                continue
            large = (cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5).astype(np.uint8)
            edges, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            ink = tuple(int(part) for part in taxonomy.palette[taxonomy[name].id])
            cv2.drawContours(pixels, edges, -1, (255, 255, 255), 2 * line + 1)
            cv2.drawContours(pixels, edges, -1, ink, line + 1)
    return _jpeg(Image.fromarray(pixels))


def _class_picture(class_map: np.ndarray, taxonomy: Taxonomy) -> bytes:
    inks = np.zeros((256, 3), np.uint8)
    inks[: len(taxonomy)] = taxonomy.palette[: len(taxonomy)]
    image = Image.fromarray(inks[class_map])
    factor = max(1, round(SMALL / max(image.size)))
    return _jpeg(image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST))


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()


def _colour_places(codes: pd.Series) -> np.ndarray:
    """Places of colours in their order: greys by lightness, then hues, within a hue by lightness, then no colour."""
    known = codes[codes.notna()]
    bytes_of = np.frombuffer(bytes.fromhex("".join(known).replace("#", "")), np.uint8).reshape(-1, 3)
    lightness, a, b = rgb2lab(bytes_of).T
    hue = np.floor(np.arctan2(b, a) % (2 * np.pi) / (2 * np.pi) * _HUES)
    table = pd.DataFrame({"hue": np.where(np.hypot(a, b) < _GREY, -1, hue), "light": lightness}, index=known.index)
    return table.reindex(codes.index).sort_values(["hue", "light"], kind="stable", na_position="last").index.to_numpy()
