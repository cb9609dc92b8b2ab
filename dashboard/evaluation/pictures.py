"""Small images of evaluated photos: predicted class maps from the evidence, photos and truth from a folder."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dashboard.compare.ground_truth import MaskError, read_mask
from segmodels.datasets import DATASETS, Dataset, DatasetError, dataset_name, open_dataset
from segmodels.errors import GarmentscopeError
from segmodels.evaluation.evidence import CLASS_MAP_SIDE
from segmodels.evaluation.results import DATASET_TITLES
from segmodels.photo import PhotoError, open_photo
from segmodels.settings import Settings
from segmodels.taxonomy import Taxonomy

__all__ = [
    "SHOWN",
    "Card",
    "PictureError",
    "Source",
    "cards_html",
    "colour_map",
    "data_folder",
    "find_data",
    "jpeg",
    "open_own",
    "own_photo",
    "own_source",
    "read_class_map",
    "read_photo",
    "read_source",
]

SHOWN = 6
"""Number of photos in a list of the Evaluation page."""

_SIDE = 2 * CLASS_MAP_SIDE  # pixels of a small photo or truth, at most
_PALE = 56  # of 255: opacity of what a highlight leaves out
_LAYOUT = "photos/ and annotations/pixel-level/"


class PictureError(GarmentscopeError, ValueError):
    """A picture that cannot be shown; the message is for the visitor."""


@dataclass(frozen=True)
class Source:
    """What a data set's folder has of a photo, reduced.

    Args:
        photo: JPEG of the photo.
        truth: uint8 `(h, w)` class ids.
    """

    photo: bytes
    truth: np.ndarray


@dataclass(frozen=True)
class Card:
    """A photo, as it is shown.

    Args:
        title: Id of the photo.
        note: Text on what the photo has to do with the number.
        pictures: PNG or JPEG by caption; None for one that cannot be shown.
    """

    title: str
    note: str
    pictures: Mapping[str, bytes | None]


def data_folder(dataset: str, folder: str) -> Path:
    """The folder of a data set.

    Args:
        dataset: Key in `DATASETS`.
        folder: Path that `GARMENTSCOPE_DATA` names; empty if it names none.

    Raises:
        PictureError: If there is none, or it cannot hold this data set.
    """
    if dataset not in DATASETS:
        raise PictureError(
            f"Photos of {dataset[:40]} are not found from here, so only the prediction is shown. "
            "Name the data set in GARMENTSCOPE_DATASETS to see them."
        )
    title = DATASET_TITLES.get(dataset, dataset)
    if not folder:
        raise PictureError(f"Set GARMENTSCOPE_DATA to the folder of {title} to see the photo and the ground truth.")
    root = Path(folder)
    if dataset == "ccp" and not all((root / part).is_dir() for part in ("photos", "annotations/pixel-level")):
        raise PictureError(f"The folder in GARMENTSCOPE_DATA is not {title}: it needs {_LAYOUT}.")
    return root


def find_data(dataset: str, settings: Settings) -> tuple[str, Path | None]:
    """Where a data set is: as commands spell it, and the folder of `--data`.

    Args:
        dataset: Name of the data set, as the evidence has it.
        settings: The settings, which name it.

    Raises:
        PictureError: If they do not, or name a folder that cannot hold this data set.
    """
    for name, data in settings.datasets:
        if dataset_name(name) == dataset:
            return name, data
    return dataset, data_folder(dataset, str(settings.data or ""))


def open_own(name: str, data: Path | None) -> Dataset:
    """Opens a data set that `GARMENTSCOPE_DATASETS` names.

    Args:
        name: The data set, as commands spell it.
        data: Folder of its photos, if that is another.

    Raises:
        PictureError: If it cannot be opened.
    """
    try:
        return open_dataset(name, data)
    except DatasetError as error:
        raise PictureError(str(error)) from None


def own_source(dataset: Dataset, photo_id: str) -> Source:
    """Reads photo and truth of an id of a data set that is open.

    Raises:
        PictureError: If one of the two is missing or damaged, or there is no such id.
    """
    _check_own(dataset, photo_id)
    try:
        return _reduced(*dataset.pair(photo_id))
    except (DatasetError, PhotoError) as error:
        raise PictureError(str(error)) from None


def own_photo(dataset: Dataset, photo_id: str) -> bytes:
    """Reads the photo of an id of a data set that is open, reduced; JPEG.

    Raises:
        PictureError: If it is missing or damaged, or there is no such id.
    """
    _check_own(dataset, photo_id)
    try:
        return _small(dataset.photo(photo_id))
    except PhotoError as error:
        raise PictureError(str(error)) from None


def _check_own(dataset: Dataset, photo_id: str) -> None:
    if photo_id not in dataset.ids:
        raise PictureError(f"{dataset.name} has no photo {photo_id[:40]} any more. Evaluate the model again.")


def read_source(dataset: str, root: Path, photo_id: str) -> Source:
    """Reads photo and truth of an id.

    Masks of Clothing Co-Parsing are read by `dashboard.compare.ground_truth`, so that no damaged file can crash the
    server.

    Args:
        dataset: Key in `DATASETS`.
        root: Folder that `data_folder` returned.
        photo_id: Id of the photo, as the evidence names it.

    Raises:
        PictureError: If one of the two is missing or damaged.
    """
    with _in_sentences(dataset, photo_id):
        if dataset != "ccp":
            return _reduced(*DATASETS[dataset](root).pair(photo_id))
        photo = _ccp_photo(root, photo_id)
        mask = root / "annotations" / "pixel-level" / f"{photo_id}.mat"
        return _reduced(photo, read_mask(mask.name, mask.read_bytes(), photo.shape[1], photo.shape[0]))


@contextmanager
def _in_sentences(dataset: str, photo_id: str) -> Iterator[None]:
    """Refuses an id that is a path, and says what could not be read."""
    if Path(photo_id).name != photo_id:
        raise PictureError(f"{photo_id[:40]} is not a valid photo id. Evaluate the model again.")
    try:
        yield
    except OSError as error:
        raise PictureError(
            f"{photo_id} cannot be read from the folder of {dataset} ({error.strerror}). Copy it there again."
        ) from None
    except (DatasetError, MaskError, PhotoError) as error:
        raise PictureError(str(error)) from None


def _ccp_photo(root: Path, photo_id: str) -> np.ndarray:
    file = root / "photos" / f"{photo_id}.jpg"
    return open_photo(file.read_bytes(), name=file.name, max_bytes=None)


def _reduced(photo: np.ndarray, truth: np.ndarray) -> Source:
    image = Image.fromarray(photo)
    image.thumbnail((_SIDE, _SIDE))
    return Source(jpeg(image), np.asarray(Image.fromarray(truth).resize(image.size, Image.Resampling.NEAREST)))


def read_photo(dataset: str, root: Path, photo_id: str) -> bytes:
    """Reads a photo of an id, with or without a truth, reduced; JPEG.

    Args:
        dataset: Key in `DATASETS`.
        root: Folder that `data_folder` returned.
        photo_id: Id of the photo.

    Raises:
        PictureError: If it is missing or damaged.
    """
    with _in_sentences(dataset, photo_id):
        return _small(_ccp_photo(root, photo_id) if dataset == "ccp" else DATASETS[dataset](root).photo(photo_id))


def _small(photo: np.ndarray) -> bytes:
    image = Image.fromarray(photo)
    image.thumbnail((_SIDE, _SIDE))
    return jpeg(image)


def jpeg(image: Image.Image) -> bytes:
    """A small picture as JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def read_class_map(data: bytes) -> np.ndarray:
    """The class map of a row of evidence, uint8 `(h, w)`.

    Raises:
        PictureError: If the row has no valid class map.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            fits = max(image.size) <= _SIDE and image.mode in ("P", "L")
            class_map = np.asarray(image, np.uint8) if fits else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise PictureError("The class map in evidence.parquet is damaged. Evaluate the model again.") from None
    if class_map is None:
        raise PictureError("The image in evidence.parquet is not a class map. Evaluate the model again.")
    return class_map


def colour_map(class_map: np.ndarray, taxonomy: Taxonomy, only: str | Sequence[str] | None = None) -> bytes:
    """A class map in its colours; PNG.

    Args:
        class_map: uint8 `(h, w)` ids; one outside the taxonomy is clear.
        taxonomy: Taxonomy of the ids.
        only: Class or classes to highlight; the others are drawn pale. All are shown in full if left out.
    """
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(taxonomy), :3] = taxonomy.palette[: len(taxonomy)]
    palette[: len(taxonomy), 3] = 255 if only is None else _PALE
    for name in [only] if isinstance(only, str) else only or ():
        palette[taxonomy[name].id, 3] = 255
    out = io.BytesIO()
    Image.fromarray(palette[class_map]).save(out, "PNG")
    return out.getvalue()


def cards_html(cards: Sequence[Card]) -> str:
    """Cards of photos; each picture says what it is."""
    most = max((len(card.pictures) for card in cards), default=1)
    return f'<div class="photo-cards" style="--pictures: {most}">{"".join(map(_card_html, cards))}</div>'


def _card_html(card: Card) -> str:
    title = html.escape(card.title)
    pictures = "".join(_picture_html(title, html.escape(label), data) for label, data in card.pictures.items())
    return f"<figure><figcaption><b>{title}</b> <span>{html.escape(card.note)}</span></figcaption>{pictures}</figure>"


def _picture_html(title: str, label: str, data: bytes | None) -> str:
    if data is None:
        return f"<div><p>–</p><small>{label}</small></div>"
    kind = "png" if data.startswith(b"\x89PNG") else "webp" if data.startswith(b"RIFF") else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<div><img src="{source}" alt="{label} of photo {title}"><small>{label}</small></div>'
