"""What a data set holds: photos and pixels of each class, widths and heights, and what is wrong in it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.inspection import Inspection, size_bins
from segmodels.files import replacing
from segmodels.photo import PhotoError
from segmodels.sentences import first_line
from segmodels.taxonomy import UNLABELLED
from train.analysis.report import Section, class_bars, write_page
from train.data.split import FOLDS, SPLITS, fold_ids, read_ids

__all__ = ["PhotoCounts", "count_photos", "measure_dataset", "report_statistics"]

_BAR = "#4a5a73"


@dataclass(frozen=True)
class PhotoCounts:
    """What one photo adds to the statistics.

    Args:
        photo_id: Id of the photo.
        photo_bytes: Size of the photo's file; with `truth_bytes`, it tells whether the photo is still the one that was
            counted.
        truth_bytes: Size of the file that holds its truth.
        width: Width of the photo, in pixels.
        height: Height of the photo, in pixels.
        unlabelled: Number of pixels that the truth says nothing of.
        pixels: Number of pixels of each class, by class id.
        labels: Number of pixels by id of the source's own label, where the data set has such.
    """

    photo_id: str
    photo_bytes: int
    truth_bytes: int
    width: int
    height: int
    unlabelled: int
    pixels: tuple[int, ...]
    labels: tuple[int, ...] = ()


def report_statistics(dataset: Dataset, ids: Sequence[str], out: Path) -> dict[str, Any]:
    """Counts the photos and writes what came out.

    `out` gets `index.html` with pictures, `statistics.json` with all numbers, `classes.csv` and `sizes.csv` with those
    of the pictures, `labels.csv` where the source has labels of its own, and `photos.csv` with a row for each photo,
    from which the same command goes on.

    Args:
        dataset: Data set to count.
        ids: Ids of the photos to count.
        out: Folder of the report.

    Returns:
        What `measure_dataset` gives.

    Raises:
        DatasetError: If an id is unknown, none of the photos can be read, or the folder cannot be written.
    """
    ids = dataset.select(list(ids))
    try:
        out.mkdir(parents=True, exist_ok=True)
        counted, unreadable = count_photos(dataset, ids, out / "photos.csv")
        if not counted:
            first = next(iter(unreadable.values()), "there is none")
            raise DatasetError(f"None of the {len(ids)} photos can be read. The first: {first}")
        found = measure_dataset(dataset, counted, unreadable)
        (out / "statistics.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        _write_csv(
            out / "classes.csv",
            ["class", *next(iter(found["classes"].values()))],
            ([name, *values.values()] for name, values in found["classes"].items()),
        )
        if found["labels"]:
            rows = ([name, *values.values()] for name, values in found["labels"].items())
            _write_csv(out / "labels.csv", ["label", "class", "photos", "pixels"], rows)
        _write_csv(out / "sizes.csv", ["side", "from", "below", "photos"], _size_rows(found))
        write_page(out / "index.html", f"What {dataset.name} holds", _sections(dataset, found))
    except OSError as error:
        raise DatasetError(f"{out} cannot be written: {first_line(error)}. Name another folder with --out.") from None
    return found


def count_photos(dataset: Dataset, ids: Sequence[str], path: Path) -> tuple[list[PhotoCounts], dict[str, str]]:
    """Reads each photo and its truth once; those that `path` holds already are not read again.

    A row is taken up if the sizes of both files are what they were. Whenever it is stopped, what was counted is kept.

    Args:
        dataset: Data set to count.
        ids: Ids of the photos to count.
        path: CSV file with a row for each photo; made, added to, and in the end in the order of `ids`.

    Returns:
        Counts of the photos that could be read, and by id a sentence for each of the others.

    Raises:
        OSError: If the file cannot be written.
    """
    header = [*list(PhotoCounts.__dataclass_fields__)[:-2], *dataset.taxonomy.names]
    header += [f"label {name}" for name in dataset.labels]
    known = _read_counts(path, header, len(dataset.taxonomy))
    kept = {name: known[name] for name in ids if name in known and _is_same(known[name], dataset)}
    unreadable: dict[str, str] = {}
    _write_counts(path, header, kept.values())
    with path.open("a", newline="", encoding="utf-8") as file:
        for photo_id in tqdm(ids, desc=f"Counting {dataset.name}", unit="photo"):
            if photo_id in kept:
                continue
            try:
                kept[photo_id] = _count(dataset, photo_id)
            except (DatasetError, PhotoError) as error:
                unreadable[photo_id] = str(error)
                continue
            csv.writer(file).writerow(_row(kept[photo_id]))
            file.flush()
    counted = [kept[name] for name in ids if name in kept]
    _write_counts(path, header, counted)
    return counted, unreadable


def measure_dataset(dataset: Dataset, counted: Sequence[PhotoCounts], unreadable: dict[str, str]) -> dict[str, Any]:
    """The distributions of both papers, and the faults.

    Castro & Ramirez, section 6.1: how often each class appears (figure 2), widths and heights and the largest distance
    between two photos (figure 3). Their 18,430 are 17.8 % and their 35 are 0.034 % of 103,000, twice as many as they
    have photos: of all appearances, it seems. Inácio et al., figure 4: pixels and images by class.

    Args:
        dataset: Data set that gives the classes.
        counted: Counts of at least one photo.
        unreadable: Sentence by id for each photo that could not be read.

    Returns:
        As JSON has it. By class: `photos` that show it, their share of all; `share_of_appearances`, of the sum of
        `photos` over the classes; `pixels`, their share of all labelled ones and of those that are not background;
        `share_where_shown`, the mean share of a photo that shows it. Shares are 0 to 1. By the source's own label,
        where there are such: its class or None, `photos` and `pixels`. `photos_by_number_of_garments` counts the
        classes of garments and accessories in a photo, `photos_by_number_of_worn_labels` the labels but the first and
        those of the body. `parts` holds the photos of each stored fold, of the test and of none, in all and by class.
    """
    pixels = np.array([photo.pixels for photo in counted], np.int64)  # (photos, classes)
    labels = np.array([photo.labels for photo in counted], np.int64)  # (photos, labels)
    worn = [garment.id for garment in dataset.taxonomy.worn]
    worn_labels = [place for place, name in enumerate(dataset.labels) if place and not _is_body(dataset, name)]
    classes = _classes(dataset.taxonomy.names, pixels)
    return {
        "dataset": dataset.name,
        "taxonomy": dataset.taxonomy.name,
        "photos": len(counted),
        "tagged": len(dataset.tagged),
        "pixels": int(pixels.sum()),
        "classes": classes,
        "labels": _labels(dataset, labels),
        "photos_by_number_of_classes": _photos_by_number(pixels > 0),
        "photos_by_number_of_garments": _photos_by_number(pixels[:, worn] > 0),
        "photos_by_number_of_worn_labels": _photos_by_number(labels[:, worn_labels] > 0) if dataset.labels else {},
        "parts": _parts(dataset, counted),
        "width": _sizes(np.array([photo.width for photo in counted])),
        "height": _sizes(np.array([photo.height for photo in counted])),
        "faults": _faults(counted, unreadable, unseen=[name for name in classes if not classes[name]["pixels"]]),
    }


def _classes(names: Sequence[str], pixels: np.ndarray) -> dict[str, dict[str, Any]]:
    """How often each class is seen and how much of it, from int `(photos, classes)` pixels."""
    total, photos = pixels.sum(axis=0), (pixels > 0).sum(axis=0)
    by_photo = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    return {
        name: {
            "photos": int(photos[index]),
            "share_of_photos": _share(photos[index], len(pixels)),
            "share_of_appearances": _share(photos[index], photos.sum()),
            "pixels": int(total[index]),
            "share_of_pixels": _share(total[index], total.sum()),
            "share_of_foreground": _share(total[index], total[1:].sum()) if index else 0.0,
            "share_where_shown": _share(by_photo[:, index].sum(), photos[index]),
        }
        for index, name in enumerate(names)
    }


def _labels(dataset: Dataset, labels: np.ndarray) -> dict[str, dict[str, Any]]:
    """Class, photos and pixels of each of the source's own labels, from int `(photos, labels)` pixels."""
    return {
        name: {
            "class": dataset.aliases.get(name),
            "photos": int((labels[:, place] > 0).sum()),
            "pixels": int(labels[:, place].sum()),
        }
        for place, name in enumerate(dataset.labels)
    }


def _faults(counted: Sequence[PhotoCounts], unreadable: dict[str, str], unseen: list[str]) -> dict[str, Any]:
    """What is wrong in the data set, in numbers and as sentences."""
    inspection = Inspection(
        photos=len(counted) + len(unreadable),
        unreadable=unreadable,
        background_only=tuple(photo.photo_id for photo in counted if not any(photo.pixels[1:])),
        unseen=tuple(unseen),
    )
    sentences = inspection.sentences()
    if unlabelled := sum(photo.unlabelled for photo in counted):
        sentences = [*sentences, f"{unlabelled} pixels carry a label of no class; they count nowhere."]
    return {
        "sentences": list(sentences),
        "unreadable": unreadable,
        "background_only": list(inspection.background_only),
        "unseen": unseen,
        "unlabelled_pixels": unlabelled,
    }


def _photos_by_number(shown: np.ndarray) -> dict[str, int]:
    """How many photos show so many of the columns; bool `(photos, columns)`."""
    number, photos = np.unique(shown.sum(axis=1), return_counts=True)
    return dict(zip(map(str, number.tolist()), photos.tolist(), strict=True))


def _is_body(dataset: Dataset, label: str) -> bool:
    name = dataset.aliases.get(label)
    return name is not None and dataset.taxonomy[name].group == "body"


def _parts(dataset: Dataset, counted: Sequence[PhotoCounts]) -> list[dict[str, Any]]:
    """Number of the counted photos that each stored fold, the test and none hold; nothing where no folds are stored."""
    if not (SPLITS / f"{dataset.name}_folds.csv").is_file():
        return []
    ids = {f"Fold {fold}": set(fold_ids(dataset.name, fold)[1]) for fold in range(FOLDS)}
    ids["Test"] = set(read_ids(SPLITS / f"{dataset.name}_test.txt"))
    ids["None"] = {photo.photo_id for photo in counted}.difference(*ids.values())
    parts = []
    for name, held in ids.items():
        theirs = [photo for photo in counted if photo.photo_id in held]
        pixels = np.array([photo.pixels for photo in theirs], np.int64).reshape(-1, len(dataset.taxonomy))
        photos = (pixels > 0).sum(axis=0)
        by_class = dict(zip(dataset.taxonomy.names, photos.tolist(), strict=True))
        parts.append({"name": name, "photos": len(theirs), "photos_by_class": by_class})
    return parts


def _count(dataset: Dataset, photo_id: str) -> PhotoCounts:
    truth = dataset.pair(photo_id)[1]
    pixels = np.bincount(truth.ravel(), minlength=256)
    labels = dataset.read_labels(photo_id) if dataset.read_labels else None
    return PhotoCounts(
        photo_id,
        *_file_sizes(dataset, photo_id),
        width=truth.shape[1],
        height=truth.shape[0],
        unlabelled=int(pixels[UNLABELLED]),
        pixels=tuple(pixels[: len(dataset.taxonomy)].tolist()),
        labels=() if labels is None else tuple(np.bincount(labels.ravel(), minlength=len(dataset.labels)).tolist()),
    )


def _is_same(row: PhotoCounts, dataset: Dataset) -> bool:
    try:
        return (row.photo_bytes, row.truth_bytes) == _file_sizes(dataset, row.photo_id)
    except OSError:
        return False


def _file_sizes(dataset: Dataset, photo_id: str) -> tuple[int, int]:
    return dataset.photo_path(photo_id).stat().st_size, dataset.truth_path(photo_id).stat().st_size


def _row(photo: PhotoCounts) -> list[str | int]:
    rest = (photo.photo_bytes, photo.truth_bytes, photo.width, photo.height, photo.unlabelled)
    return [photo.photo_id, *rest, *photo.pixels, *photo.labels]


def _read_counts(path: Path, header: list[str], classes: int) -> dict[str, PhotoCounts]:
    """The rows that are whole; none if the file is missing, damaged or about other classes or labels."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (FileNotFoundError, UnicodeDecodeError, csv.Error):
        return {}
    if not rows or rows[0] != header:
        return {}
    found = {}
    for photo_id, *values in rows[1:-1] if len(rows[-1]) != len(header) else rows[1:]:  # the last may be cut off
        try:
            photo_bytes, truth_bytes, width, height, unlabelled, *counts = map(int, values)
        except ValueError:
            continue
        pixels, labels = tuple(counts[:classes]), tuple(counts[classes:])
        found[photo_id] = PhotoCounts(photo_id, photo_bytes, truth_bytes, width, height, unlabelled, pixels, labels)
    return found


def _write_counts(path: Path, header: list[str], photos: Iterable[PhotoCounts]) -> None:
    _write_csv(path, header, map(_row, photos))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Whole, or as it was."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _sizes(values: np.ndarray) -> dict[str, Any]:
    """Statistics of int `(photos,)` pixels; `largest_difference` is that between two photos (Castro & Ramirez)."""
    edges, photos = size_bins(values)
    return {
        "smallest": int(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "largest": int(values.max()),
        "largest_difference": int(np.ptp(values)),
        "histogram": {"edges": edges, "photos": photos},
    }


def _size_rows(found: dict[str, Any]) -> Iterable[Sequence[Any]]:
    for side in ("width", "height"):
        edges, photos = found[side]["histogram"]["edges"], found[side]["histogram"]["photos"]
        yield from zip([side] * len(photos), edges[:-1], edges[1:], photos, strict=True)


def _sections(dataset: Dataset, found: dict[str, Any]) -> list[Section]:
    by_photos = sorted(found["classes"].items(), key=lambda item: -item[1]["photos"])
    by_pixels = sorted(found["classes"].items(), key=lambda item: -item[1]["pixels"])
    worn = [item for item in by_pixels if item[0] != dataset.taxonomy.names[0]]

    def bars(title: str, rows: list[tuple[str, Any]], key: str, form: str) -> go.Figure:
        return class_bars(title, dataset.taxonomy, {name: values[key] for name, values in rows}, form=form)

    return [
        Section(
            "What was counted",
            f"{found['photos']:,} photos with {found['pixels']:,} labelled pixels, in the {len(dataset.taxonomy)} "
            f"classes of {dataset.taxonomy.name}.",
        ),
        Section("What is wrong in it", "\n".join(found["faults"]["sentences"])),
        Section(
            "Classes",
            "How many photos show a class, and how many pixels it has. The numbers are in classes.csv.",
            [
                bars("Photos that show the class", by_photos, "photos", ","),
                bars("Share of all labelled pixels", by_pixels, "share_of_pixels", ".2~%"),
                bars("Share of the pixels that are not background", worn, "share_of_foreground", ".2~%"),
                bars("Mean share of a photo that shows the class", by_pixels, "share_where_shown", ".2~%"),
                _columns(
                    "How many classes a photo shows, background included, and in how many photos",
                    list(map(int, found["photos_by_number_of_classes"])),
                    list(found["photos_by_number_of_classes"].values()),
                    "classes",
                ),
            ],
        ),
        Section(
            "Width and height",
            "\n".join(
                f"{side.capitalize()}: {found[side]['smallest']} to {found[side]['largest']} pixels (two photos differ "
                f"by up to {found[side]['largest_difference']}), median {found[side]['median']:g}, "
                f"mean {found[side]['mean']:.0f}."
                for side in ("width", "height")
            ),
            [_histogram(side, found[side]["histogram"]) for side in ("width", "height")],
        ),
    ]


def _histogram(side: str, histogram: dict[str, list[float]]) -> go.Figure:
    edges = np.array(histogram["edges"])
    centres = (edges[:-1] + edges[1:] - 1) / 2  # a bin ends before the first pixel of the next
    title = f"{side.capitalize()} of the photos, and how many have it"
    return _columns(title, centres.tolist(), histogram["photos"], "pixels")


def _columns(title: str, where: Sequence[Any], heights: Sequence[float], unit: str) -> go.Figure:
    hover = f"%{{x}} {unit}: %{{y}} photos<extra></extra>"
    bars = go.Bar(x=where, y=heights, marker={"color": _BAR}, hovertemplate=hover)
    layout = go.Layout(
        title=title,
        height=320,
        bargap=0.05,
        xaxis={"title": {"text": unit}, "dtick": 1 if len(where) < 12 else None},  # no half pixels
        yaxis={"title": {"text": "photos"}},
    )
    return go.Figure(bars, layout)
