"""The viewer: a photo and its class map are sent to the browser once, and explored there.

Opacity, class chips, confidence threshold, outlines, wipe, zoom and the reading under the pointer are all answered by
the scripts in this folder; none of them asks the server. A mount shows one stage with its table of garments, or two to
four stages of one photo side by side under one set of controls and one zoom, with a wipe between any two of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image
from streamlit import runtime

from segmodels.taxonomy import Taxonomy

__all__ = [
    "MAX_SIDE",
    "MAX_STAGES",
    "Stage",
    "encode_photo",
    "encode_stage",
    "reduced_size",
    "round_confidence",
    "sample_plane",
    "viewer",
    "viewer_key",
]

Pixels = npt.NDArray[np.uint8]

MAX_SIDE = 1600
"""Longest side, in pixels, of the picture that is sent."""

MAX_STAGES = 4
"""Stages that fit side by side in one mount."""

_JPEG_QUALITY = 90
_GARMENT_KEYS = frozenset({"class", "person", "area_share", "outfit_share", "confidence", "box", "colours"})
_NOT_OUTLINED_KEYS = frozenset({"class", "person", "presence"})
_ROWS = ("garments", "less_likely", "not_outlined")  # fields of a stage
_COLOUR_KEYS = frozenset({"hex", "name", "share"})
_KIND_KEYS = frozenset({"name", "probability"})
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")

# Confidence 0..255 to per cent in steps of 5: noise in the last bits would double the size of the PNG.
_PER_CENT = (np.round(np.arange(256) / 255 * 20) * 5).astype(np.uint8)
_STEPS = np.round(_PER_CENT * 2.55).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Stage:
    """One segmented photo as the viewer shows it.

    Args:
        photo: uint8 `(H, W, 3)` RGB, or what `encode_photo` made of it.
        class_map: uint8 `(H, W)`, class ids; an id outside the taxonomy is shown as unlabelled.
        confidence: uint8 `(H, W)`, 0..255, of the class in `class_map`; None for a ground truth, which has none.
        name: File name of the photo; its stem names the downloaded overlay.
        title: Heading over the table, or over the stage where there are several.
        caption: Line under the table, or under the stage where there are several.
        garments: Rows of the table: dicts with the keys `class`, `person` (index, from 0), `area_share`,
            `outfit_share`, `confidence` (all 0..1, the last may be None), `box` (`[x, y, width, height]`) and
            `colours` (dicts with `hex`, `name` and `share`), and where they are known `presence` (0..1 or None) and
            `kind` (a dict with `name` and `probability`, or None).
        less_likely: Rows set apart, with the same keys: they are neither listed nor painted until switched on.
        less_likely_map: uint8 `(H, W)`: the number, from 1, of the row of `less_likely` that a pixel belongs to, 0
            elsewhere; None where there are none.
        not_outlined: Rows of classes that are likely but have no pixels: dicts with `class`, `person` and `presence`.
        people: Boxes (left, top, width, height in pixels of the class map) of the people, where there are several.
        owners: uint8 `(H, W)`, index of the person that each pixel belongs to; None where there is one.

    Raises:
        ValueError: If an array has another dtype or shape, the name is empty, a garment has other keys or values, or
            `less_likely_map` does not number the rows of `less_likely`.
    """

    photo: Pixels | bytes
    class_map: Pixels
    confidence: Pixels | None
    name: str
    title: str
    caption: str
    garments: tuple[Mapping[str, Any], ...]
    less_likely: tuple[Mapping[str, Any], ...] = ()
    less_likely_map: Pixels | None = None
    not_outlined: tuple[Mapping[str, Any], ...] = ()
    people: tuple[tuple[int, int, int, int], ...] = ()
    owners: Pixels | None = None

    def __post_init__(self) -> None:
        shape = self.class_map.shape
        if not isinstance(self.photo, bytes):
            if self.photo.ndim != 3 or self.photo.shape[2] != 3 or self.photo.dtype != np.uint8 or not self.photo.size:
                raise ValueError(f"photo: expected uint8 (H, W, 3) with pixels, got {_describe(self.photo)}.")
            shape = self.photo.shape[:2]
        for field in ("class_map", "confidence", "less_likely_map", "owners"):
            plane = getattr(self, field)
            if plane is not None and (plane.shape != shape or plane.dtype != np.uint8):
                raise ValueError(f"{field}: expected uint8 {shape} as the photo, got {_describe(plane)}.")
        if not self.name:
            raise ValueError("name: expected the photo's file name, got an empty string.")
        rows = 0 if self.less_likely_map is None else int(self.less_likely_map.max())
        if rows > len(self.less_likely) or (self.less_likely and self.less_likely_map is None):
            raise ValueError(f"less_likely_map: expected the numbers of {len(self.less_likely)} rows, got {rows}.")
        for field in ("garments", "less_likely"):
            for index, garment in enumerate(getattr(self, field)):
                _check_garment(garment, f"{field}[{index}]")
        for index, garment in enumerate(self.not_outlined):
            _check_not_outlined(garment, f"not_outlined[{index}]")


def encode_photo(photo: Pixels) -> bytes:
    """A photo as it is sent to the browser: a JPEG of at most `MAX_SIDE` pixels a side.

    Args:
        photo: uint8 `(H, W, 3)` RGB.
    """
    height, width = reduced_size(*photo.shape[:2])
    image = Image.fromarray(photo)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return content.getvalue()


def round_confidence(plane: Pixels) -> Pixels:
    """Rounds confidence to the steps that the viewer shows, which compress better and look the same.

    Args:
        plane: uint8 `(H, W)`, 0..255.

    Returns:
        uint8 `(H, W)`, 0..255.
    """
    return _looked_up(_STEPS, plane)


def encode_stage(stage: Stage) -> dict[str, Any]:
    """Turn a stage into the JSON that the browser gets; cache it, as it costs some ten milliseconds a megapixel.

    Photo and maps are reduced alike to at most `MAX_SIDE` pixels; ids are sampled, never mixed.

    Args:
        stage: Stage to show.

    Returns:
        `id` (hash of the pixels sent), `width`, `height`, `photo` (JPEG), `class_map` and `confidence` (8-bit grey
        PNG; confidence in per cent, steps of 5, or None), `less_likely_map` and `owners` (8-bit grey PNG or None),
        the five in base64, `people` (boxes in pixels of what is sent), and the stage's `name`, `title`, `caption`,
        `garments`, `less_likely` and `not_outlined`.
    """
    height, width = reduced_size(*stage.class_map.shape)
    files = {
        "photo": stage.photo if isinstance(stage.photo, bytes) else encode_photo(stage.photo),
        "class_map": _png(sample_plane(stage.class_map, height, width)),
    }
    if stage.confidence is not None:
        files["confidence"] = _png(_looked_up(_PER_CENT, sample_plane(stage.confidence, height, width)))
    if stage.owners is not None:
        files["owners"] = _png(sample_plane(stage.owners, height, width))
    if stage.less_likely_map is not None:
        files["less_likely_map"] = _png(sample_plane(stage.less_likely_map, height, width))
    return {
        "id": hashlib.sha256(b"".join(files.values())).hexdigest()[:16],
        "width": width,
        "height": height,
        "confidence": None,
        "less_likely_map": None,
        "owners": None,
        **{field: base64.b64encode(content).decode("ascii") for field, content in files.items()},
        "name": stage.name,
        "title": stage.title,
        "caption": stage.caption,
        "people": [[side * width / stage.class_map.shape[1] for side in box] for box in stage.people],
        **{field: [dict(garment) for garment in getattr(stage, field)] for field in _ROWS},
    }


def viewer(
    stages: Sequence[Stage | Mapping[str, Any]],
    *,
    taxonomy: Taxonomy,
    key: str,
    height: int | None = None,
    original: bytes | None = None,
    differences: bool = False,
) -> None:
    """Mount the viewer.

    Args:
        stages: One to `MAX_STAGES` stages, or what `encode_stage` made of them (cache that). One stage comes with
            its table of garments, several share chips, sliders and zoom and have none.
        taxonomy: Taxonomy whose ids the class maps hold.
        key: Streamlit key. Keep it when the photo changes: the view's settings then stay as the user left them.
        height: Largest height of the stage in CSS pixels; None follows the window.
        original: The photo's own file, which the browser fetches when the view is zoomed beyond the pixels that were
            sent; None if it has no more than these.
        differences: Whether the view begins with only what several stages differ in; what the user set since stays.

    Raises:
        ValueError: If there are no stages or too many, or a garment's class is not in the taxonomy.
    """
    if not 1 <= len(stages) <= MAX_STAGES:
        raise ValueError(f"stages: expected 1 to {MAX_STAGES}, got {len(stages)}.")
    encoded = [encode_stage(stage) if isinstance(stage, Stage) else dict(stage) for stage in stages]
    named = {garment["class"] for stage in encoded for field in _ROWS for garment in stage[field]}
    unknown = named - set(taxonomy.names)
    if unknown:
        raise ValueError(f"garments: {taxonomy.name} has no class {', '.join(sorted(unknown))}.")
    address = _address_of(original) if original else None
    _component(
        key=key,
        data={
            "stages": [{**stage, "original": address} for stage in encoded],
            "classes": [
                {"id": each.id, "name": each.name, "group": each.group, "colour": each.colour}
                for each in (taxonomy[name] for name in taxonomy.display_order)
            ],
            "height": height,
            "differences": differences,
        },
    )


def _address_of(file: bytes) -> str | None:
    """The address at which this session's browser can fetch a file until the next run; None outside a server."""
    if not runtime.exists():
        return None
    return runtime.get_instance().media_file_mgr.add(file, "image/*", "garmentscope-original")


def viewer_key(page: str, taxonomy: Taxonomy) -> str:
    """Key of a page's viewer; each taxonomy has its own, as the classes switched off are kept by id.

    Args:
        page: Name of the page.
        taxonomy: Taxonomy of the viewer.
    """
    return f"{page}-viewer" if taxonomy.name == "OUTFIT_15" else f"{page}-viewer-{taxonomy.name}"


def _check_not_outlined(garment: Mapping[str, Any], where: str) -> None:
    _check_row(garment, where, _NOT_OUTLINED_KEYS)
    _check_share(garment["presence"], f"{where}: presence")


def _check_garment(garment: Mapping[str, Any], where: str) -> None:
    _check_row(garment, where, _GARMENT_KEYS | {"presence", "kind"} & set(garment))
    if garment.get("presence") is not None:
        _check_share(garment["presence"], f"{where}: presence")
    if garment.get("kind") is not None:
        if set(garment["kind"]) != _KIND_KEYS:
            raise ValueError(f"{where}: kind must have the keys {sorted(_KIND_KEYS)}, got {garment['kind']!r}.")
        _check_share(garment["kind"]["probability"], f"{where}: probability of the kind")
    if len(garment["box"]) != 4:
        raise ValueError(f"{where}: box must be [x, y, width, height], got {garment['box']!r}.")
    for field in ("area_share", "outfit_share", "confidence"):
        if field != "confidence" or garment[field] is not None:
            _check_share(garment[field], f"{where}: {field}")
    for index, colour in enumerate(garment["colours"]):
        if set(colour) != _COLOUR_KEYS:
            raise ValueError(f"{where}: colours[{index}] must have the keys {sorted(_COLOUR_KEYS)}, got {colour!r}.")
        if not _HEX.fullmatch(colour["hex"]):
            raise ValueError(f"{where}: colours[{index}] must have a hex like #1F2A36, got {colour['hex']!r}.")
        _check_share(colour["share"], f"{where}: share of colours[{index}]")


def _check_row(garment: Mapping[str, Any], where: str, keys: frozenset[str]) -> None:
    if set(garment) != keys:
        raise ValueError(f"{where}: expected the keys {sorted(keys)}, got {sorted(garment)}.")
    if not isinstance(garment["person"], int) or garment["person"] < 0:
        raise ValueError(f"{where}: person must be an index from 0, got {garment['person']!r}.")


def _check_share(value: float, what: str) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{what} must be within 0..1, got {value!r}.")


def _describe(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"


def reduced_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a photo of a height and width is shown."""
    scale = min(1.0, MAX_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def sample_plane(plane: Pixels, height: int, width: int) -> Pixels:
    """A plane at another size, each pixel the one whose area holds its centre, so that ids are never mixed.

    Args:
        plane: uint8 `(H, W)`.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.

    Returns:
        uint8 `(height, width)`.
    """
    if plane.shape == (height, width):
        return plane
    rows = ((np.arange(height) + 0.5) * plane.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * plane.shape[1] / width).astype(np.intp)
    return plane[np.ix_(rows, columns)]


def _looked_up(table: Pixels, plane: Pixels) -> Pixels:
    """The table's entry for each pixel; a seventh of the time of numpy's indexing."""
    return cv2.LUT(plane, table).astype(np.uint8, copy=False)


def _png(plane: Pixels) -> bytes:
    """A plane as 8-bit grey PNG; runs alone are packed, a third of the time of Pillow's way for a smaller file."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return cv2.imencode(".png", plane, options)[1].tobytes()


# Placeholder until the script runs, in the shape of the viewer.
_SKELETON = """
<div class="skeleton" role="status" aria-label="Preparing the photo.">
  <div class="skeleton-stage"></div>
  <div class="skeleton-lines"><i></i><i></i><i></i><i></i><i></i><i></i></div>
</div>
"""


def _joined(*names: str) -> str:
    """Files of this folder as one: a component has one script and one style sheet."""
    return "\n".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)


_component = st.components.v2.component(
    "garmentscope_viewer",
    html=_SKELETON,
    css=_joined("viewer.css", "controls.css", "narrow.css"),
    js=_joined("words.js", "pictures.js", "stage.js", "table.js", "viewer.js"),
)
