"""A data set of the Hugging Face Hub, or a folder that the library `datasets` wrote, with a photo and a mask a row.

hub:owner/name              the data set on the Hub, all of its splits; `hub:owner/name@revision` for one state of it
hub:folder                  what `save_to_disk` wrote, or Parquet files at any depth, as `push_to_hub` lays them out
hub:file.parquet            one Parquet file

The photos are in the column `image`, the masks in `mask`, or in one of `_PHOTOS` and `_MASKS`. A mask is an index or
palette PNG whose values are the numbers of the classes; 255 is unlabelled. The names of the classes are those of the
one `ClassLabel` among the features, or stand by number in an `id2label.json` beside the data. Texts and whole numbers
in other columns are columns to group photos by.

The library reads tables and runs no code of the data set. Photos are written into the folder of caches when they are
first asked for.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from segmodels.datasets.dataset import Dataset, DatasetError, DrawnTruth
from segmodels.datasets.drawn import Classes, columns_of, load_json, name_classes, name_of, turn_upright, whole_number
from segmodels.datasets.masks import values_of
from segmodels.extras import missing_extra
from segmodels.files import replacing
from segmodels.photo import MAX_PIXELS, PhotoError, read_stored
from segmodels.sentences import first_line, listed
from segmodels.settings import read_settings
from segmodels.taxonomy import UNLABELLED

__all__ = ["read_hub"]

_PHOTOS, _MASKS = (
    ("image", "photo", "img", "pixel_values"),
    ("mask", "annotation", "segmentation", "label", "labels"),
)
_NAMES = "id2label.json"
_REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_PART = re.compile(r"-\d+-of-\d+.*$")  # of the name of one of several Parquet files of a split


@dataclass(frozen=True)
class _Row:
    """Where a photo and its mask are: the table of a split, and the row in it."""

    table: Any
    number: int


def read_hub(name: Path, photos: Path | None = None) -> Dataset:
    """Opens a data set of the Hub, or a folder of one; photos and masks are read when they are asked for.

    The ids are the names of the photos in the data set without their endings, or the numbers of their rows where those
    are missing or occur twice; with several splits, the name of the split stands before them.

    Args:
        name: `owner/name`, with or without `@revision`, or the path of a folder or Parquet file.
        photos: None; the photos are in the data set.

    Raises:
        DatasetError: If the extra `datasets` is not installed, there is no such data set, or it has no photos, masks
            or names of classes.
    """
    if problem := missing_extra("datasets", "datasets", what=f"hub:{name}"):
        raise DatasetError(problem)
    if photos is not None:
        raise DatasetError(f"hub:{name} holds its photos. Leave --data out.")
    splits, folder = _load(name)
    source = name_of("hub", Path(str(name).partition("@")[0]))
    features = next(iter(splits.values())).features
    photo_column = _column(name, features, _PHOTOS, "photos")
    mask_column = _column(name, features, _MASKS, "masks")
    classes = _classes(name, features, mask_column, source, folder)
    rows, values = _rows(splits, photo_column)
    if not rows:
        raise DatasetError(f"hub:{name} has no rows. Name another data set or split.")
    tables = {key: _undecoded(table, photo_column, mask_column) for key, table in splits.items()}
    rows = {photo_id: _Row(tables[row.table], row.number) for photo_id, row in rows.items()}
    files = [Path(file["filename"]) for table in splits.values() for file in table.cache_files]
    home = read_settings().cache / "hub" / f"{source}-{_fingerprint(splits, files)}"
    photo_path = partial(_photo_path, rows, photo_column, home)
    draw = partial(_draw, rows, mask_column, classes, photo_path, f"hub:{name}")
    return Dataset(
        name=source,
        root=folder or home,
        taxonomy=classes.taxonomy,
        ids=tuple(sorted(rows)),
        photo_path=photo_path,
        truth_path=lambda _: files[0] if files else home,
        read_truth=lambda photo_id: draw(photo_id).truth,
        draw_truth=draw,
        columns=columns_of(values),
        reading=classes.reading,
    )


def _load(name: Path) -> tuple[dict[str, Any], Path | None]:
    """Tables by the name of their split, and the folder where they lie on this machine."""
    from datasets import load_dataset, load_from_disk

    cache = str(read_settings().cache / "datasets")
    try:
        if any((name / each).is_file() for each in ("dataset_dict.json", "state.json")):
            loaded, folder = load_from_disk(str(name)), name
        elif name.exists():
            parts: dict[str, list[str]] = {}
            for path in sorted(name.rglob("*.parquet")) if name.is_dir() else [name]:
                split = re.sub(r"\W", "_", _PART.sub("", path.stem))
                parts.setdefault(split, []).append(str(path))
            if not parts:
                raise DatasetError(
                    f"{name} holds neither Parquet files nor what save_to_disk of the library datasets writes. "
                    "Name the folder that does."
                )
            loaded = load_dataset("parquet", data_files=parts, cache_dir=cache)
            folder = name if name.is_dir() else name.parent
        elif match := _REPOSITORY.fullmatch(str(name)):
            loaded, folder = load_dataset(match["name"], revision=match["revision"], cache_dir=cache), None
        else:
            raise DatasetError(f"There is no folder {name}, and a data set on the Hub is named hub:owner/name.")
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # the library raises what its many parts trip over
        cause = first_line(error.__cause__ or error) or type(error).__name__
        raise DatasetError(f"hub:{name} cannot be read: {cause}. Check the name, the network, or the files.") from None
    return (dict(loaded) if isinstance(loaded, dict) else {"": loaded}), folder


def _column(name: Path, features: Mapping[str, Any], known: tuple[str, ...], what: str) -> str:
    from datasets import Image as ImageFeature

    pictures = [key for key, feature in features.items() if isinstance(feature, ImageFeature)]
    for column in known:
        if column in pictures:
            return column
    there = f"its columns of pictures are {listed(pictures)}" if pictures else f"its columns are {listed([*features])}"
    raise DatasetError(
        f"hub:{name} has no column of {what} of the type Image with one of the names {', '.join(known)}; {there}."
    )


def _classes(name: Path, features: Mapping[str, Any], mask: str, source: str, folder: Path | None) -> Classes:
    """Classes by the numbers of the masks, from `id2label.json`, or from the one `ClassLabel` of the features."""
    table = (folder / _NAMES if (folder / _NAMES).is_file() else None) if folder else _fetched(name)
    if table:
        content = load_json(table)
        numbered = (
            content if isinstance(content, dict) else dict(enumerate(content if isinstance(content, list) else []))
        )
        if not numbered or not all(
            isinstance(text, str) and 0 <= whole_number(str(key)) < UNLABELLED for key, text in numbered.items()
        ):
            raise DatasetError(f'{table} is not a table of names by number, such as {{"0": "background"}}.')
        return name_classes({int(key): text for key, text in numbered.items()}, source, table)
    labels = {tuple(each) for key, feature in features.items() for each in _labels(feature) if key != mask}
    if not labels:
        raise DatasetError(
            f"hub:{name} does not name the classes of its masks. Write their names by number into {_NAMES} beside the "
            "data, or give a column the type ClassLabel."
        )
    if len(labels) > 1:
        raise DatasetError(
            f"hub:{name} has {len(labels)} lists of classes. Write those of the masks into {_NAMES} beside the data."
        )
    return name_classes(dict(enumerate(labels.pop())), source, Path(f"hub:{name}"))


def _labels(feature: Any) -> Iterator[list[str]]:
    """The names of each `ClassLabel` in a feature, at any depth."""
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        yield list(feature.names)
    elif isinstance(feature, Mapping):
        for each in feature.values():
            yield from _labels(each)
    elif (inner := getattr(feature, "feature", None)) is not None:
        yield from _labels(inner)


def _fetched(name: Path) -> Path | None:
    """The file of names of a data set on the Hub; None if it has none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, _, revision = str(name).partition("@")
    try:
        return Path(hf_hub_download(repository, _NAMES, repo_type="dataset", revision=revision or None))
    except EntryNotFoundError:
        return None
    except Exception as error:  # as above
        raise DatasetError(f"{_NAMES} of hub:{name} cannot be read: {first_line(error)}.") from None


def _rows(splits: Mapping[str, Any], photo: str) -> tuple[dict[str, _Row], dict[str, dict[str, Any]]]:
    """Split and row by id, and what the other columns say of each."""
    import pyarrow.compute as pc
    from datasets import ClassLabel, Value

    rows: dict[str, _Row] = {}
    values: dict[str, dict[str, Any]] = {}
    for split, table in splits.items():
        paths = pc.struct_field(table.with_format("arrow").select_columns([photo])[:][photo], "path").to_pylist()
        stems = [Path(path).stem if path else "" for path in paths]
        unique = all(stems) and len(set(stems)) == len(stems)
        prefix = f"{split}/" if len(splits) > 1 else ""
        ids = [prefix + (stem if unique else f"{number:06}") for number, stem in enumerate(stems)]
        rows |= {photo_id: _Row(split, number) for number, photo_id in enumerate(ids)}
        values |= {photo_id: {} for photo_id in ids}
        for column, feature in table.features.items():
            if isinstance(feature, Value | ClassLabel):
                for photo_id, value in zip(ids, table[column], strict=True):
                    named = isinstance(feature, ClassLabel) and isinstance(value, int) and value >= 0
                    values[photo_id][column] = feature.int2str(value) if named else value
    return rows, values


def _undecoded(table: Any, photo: str, mask: str) -> Any:
    from datasets import Image as ImageFeature

    for column in (photo, mask):
        table = table.cast_column(column, ImageFeature(decode=False))
    return table


def _fingerprint(splits: Mapping[str, Any], files: list[Path]) -> str:
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    texts = [str(state) for state in states] or [table._fingerprint for table in splits.values()]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _cell(row: _Row, column: str) -> bytes | Path | None:
    """The file of a picture, or its content."""
    value = row.table.select_columns([column])[row.number][column]
    if value is None:
        return None
    return value["bytes"] if value["bytes"] is not None else Path(value["path"])


def _photo_path(rows: Mapping[str, _Row], column: str, home: Path, photo_id: str) -> Path:
    if photo_id not in rows:
        raise DatasetError(f"There is no photo {photo_id}. Check the id.")
    value = _cell(rows[photo_id], column)
    if isinstance(value, Path):
        return value
    content = value or b""  # an empty file is refused where the photo is opened
    ending = ".png" if content.startswith(b"\x89PNG") else ".jpg"
    path = home / f"{photo_id}{ending}"
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                part.write_bytes(content)
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be written: {error.strerror}. Free space there, or set GARMENTSCOPE_CACHE to a folder "
                "that can be written."
            ) from None
    return path


def _draw(
    rows: Mapping[str, _Row], column: str, classes: Classes, photo_path: Any, where: str, photo_id: str
) -> DrawnTruth:
    path, whole = photo_path(photo_id), f"{where}, the mask of {photo_id}"
    value = _cell(rows[photo_id], column)
    if value is None:
        raise DatasetError(f"{whole} is missing. Add it, or leave the row out.")
    try:
        with Image.open(io.BytesIO(value) if isinstance(value, bytes) else value, formats=["PNG", "TIFF"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DatasetError(
                    f"{whole} has more than the {MAX_PIXELS // 1_000_000} million pixels allowed. Make it smaller."
                )
            image.load()
            truth = values_of(image, classes, whole)
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # decoders raise what they like
        raise DatasetError(f"{whole} is damaged or no PNG ({first_line(error)}). Make it again.") from None
    try:
        stored = read_stored(path)
    except PhotoError as error:
        raise DatasetError(str(error)) from None
    return turn_upright(DrawnTruth(truth), stored, whole)
