"""The examples that ship: photos that may be used freely, and what two networks found in them.

The first page shows a segmented photo before any network is loaded. What was found lies beside the photos, as the
embedded networks gave it: `python -m dashboard.shared.examples` (`make examples`) makes it again.

`data/examples/` holds `sources.csv` (file, title, source, licence), the photos, and a folder for each of
`EXAMPLE_MODELS` with, for each photo, `STEM.json` and the grey 8-bit PNGs `STEM-classes.png`, `STEM-confidence.png`
and, of several people, `STEM-owners.png`.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import streamlit as st

from dashboard.components.picture_strip import picture_strip
from dashboard.shared.analysed import Analysed, Plane, UploadedPhoto, analyse
from dashboard.shared.photo_file import PhotoFile
from dashboard.shared.text import literal
from segmodels.checkpoints.catalog import DEFAULT_MODEL
from segmodels.colour import Colour
from segmodels.inference.kinds import Kind
from segmodels.inference.segmentation import Garment, Person
from segmodels.taxonomy import TAXONOMIES

__all__ = [
    "EXAMPLES",
    "EXAMPLE_MODELS",
    "Example",
    "Shipped",
    "examples",
    "make",
    "shipped",
    "show_examples",
    "thumbnail",
]

EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
"""Folder of the examples."""

EXAMPLE_MODELS = (DEFAULT_MODEL, "unet")
"""Catalog names of the models whose results ship: the one that Segment uses, and the one beside it on Compare."""


_THUMBNAIL = 240  # pixels across, twice its size on a page


@dataclass(frozen=True)
class Example:
    """A photo that ships.

    Args:
        file: File name.
        title: What it shows, in a few words.
        source: Address of the photo, or the package that brings it and the path in it.
        licence: Name of the licence, and the place where it is stated.
    """

    file: str
    title: str
    source: str
    licence: str

    @property
    def stem(self) -> str:
        """The file name without its ending."""
        return Path(self.file).stem

    @property
    def photo(self) -> PhotoFile:
        """The file."""
        return PhotoFile(self.file, (EXAMPLES / self.file).read_bytes())


@cache
def thumbnail(example: Example) -> bytes:
    """A small JPEG of an example, for a row of them."""
    photo = cv2.imdecode(np.frombuffer(example.photo.data, np.uint8), cv2.IMREAD_COLOR)
    assert photo is not None
    height, width = photo.shape[:2]
    small = cv2.resize(photo, (_THUMBNAIL, round(height * _THUMBNAIL / width)), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


class Shipped(NamedTuple):
    """What a model found in an example, the number of its parameters, and the size of its weights in bytes."""

    analysed: Analysed
    parameters: int
    size: int


@cache
def examples() -> tuple[Example, ...]:
    """The examples, in the order in which they are shown."""
    with (EXAMPLES / "sources.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Example(**row) for row in csv.DictReader(file))


def show_examples(shown: Example, on_choice: Callable[[Example], object], *, key: str) -> None:
    """Shows the examples in a row, and the source of the one on show.

    Args:
        shown: Example that is on show.
        on_choice: Function that is called with the one chosen, before the script runs anew.
        key: Streamlit key.
    """
    every = examples()
    picture_strip(
        [(each.title, thumbnail(each)) for each in every],
        every.index(shown),
        lambda index: on_choice(every[index]),
        label="Examples",
        key=key,
    )
    st.caption(literal(f"Example: {shown.title.lower()}. Source: {shown.source}; {shown.licence}."))


@cache
def shipped(example: Example, model: str) -> Shipped:
    """What a model found in an example; all visitors share it.

    Args:
        example: The example.
        model: One of `EXAMPLE_MODELS`.
    """
    folder = EXAMPLES / model
    found = json.loads((folder / f"{example.stem}.json").read_text("utf-8"))
    planes = {
        name: Plane.of(_grey(file))
        for name in ("classes", "confidence", "owners")
        if (file := folder / f"{example.stem}-{name}.png").exists()
    }
    height, width = planes["classes"].shape
    data = example.photo.data
    analysed = Analysed(
        photo=UploadedPhoto(example.file, data, width, height, data),  # small enough to be shown as it is
        taxonomy=TAXONOMIES[found["taxonomy"]],
        class_map=planes["classes"],
        confidence=planes["confidence"],
        people=tuple(Person(**{**each, "box": tuple(each["box"])}) for each in found["people"]),
        garments=tuple(map(_garment, found["garments"])),
        model=model,
        revision=found["revision"],
        seconds=found["seconds"],
        owners=planes.get("owners"),
        has_kinds=found["has_kinds"],
    )
    return Shipped(analysed, found["parameters"], found["size"])


def _grey(file: Path) -> np.ndarray:
    plane = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if plane is None:
        raise ValueError(f"{file.name} of the examples is damaged. Run make examples.")
    return plane.astype(np.uint8)


def _garment(values: dict[str, Any]) -> Garment:
    return Garment(
        **{
            **values,
            "box": tuple(values["box"]),
            "colours": tuple(Colour(**colour) for colour in values["colours"]),
            "kind": Kind(**values["kind"]) if values["kind"] else None,
        }
    )


def make(models: Sequence[str] = EXAMPLE_MODELS, folder: Path = EXAMPLES) -> None:
    """Runs networks on the examples and writes what they found.

    Args:
        models: Catalog names of the models.
        folder: Folder that gets a folder for each model.
    """
    from segmodels.checkpoints.catalog import list_checkpoints, load_segmenter
    from segmodels.foreign.formats import weights_of

    folders = {each.name: each.folder for each in list_checkpoints()}
    for model in models:
        segmenter, place = load_segmenter(model, precision="32"), folder / model  # the same on any machine
        size = sum(each.stat().st_size for each in weights_of(folders[model]))
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        for example in examples():
            runs = [analyse(segmenter, *example.photo) for _ in range(3)]
            analysed = min(runs, key=lambda run: run.seconds)  # the others were disturbed
            _write(place, example.stem, Shipped(analysed, segmenter.checkpoint.parameters, size))


def _write(folder: Path, stem: str, found: Shipped) -> None:
    analysed = found.analysed
    planes = {"classes": analysed.class_map, "confidence": analysed.confidence, "owners": analysed.owners}
    for name, plane in planes.items():
        if plane is not None:
            options = [cv2.IMWRITE_PNG_COMPRESSION, 9]
            cv2.imwrite(str(folder / f"{stem}-{name}.png"), plane.pixels(), options)
    values = {
        "taxonomy": analysed.taxonomy.name,
        "revision": analysed.revision,
        "seconds": round(analysed.seconds, 2),
        "has_kinds": analysed.has_kinds,
        "parameters": found.parameters,
        "size": found.size,
        "people": [dataclasses.asdict(person) for person in analysed.people],
        "garments": [_without_embedding(garment) for garment in analysed.garments],
    }
    rounded = json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 5))
    (folder / f"{stem}.json").write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def _without_embedding(garment: Garment) -> dict[str, Any]:
    values = dataclasses.asdict(garment)
    del values["embedding"]  # for archives
    return values


if __name__ == "__main__":
    make()
    sys.exit()
