"""Reads a whole data set: what it shows, what cannot be read and why, and folds to begin with."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from segmodels.archive.dates import read_dates
from segmodels.archive.metadata import Metadata, join, parse_metadata
from segmodels.archive.place import ArchiveError
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.inspection import background_sentence
from segmodels.files import replacing, write_whole
from segmodels.inference.segmentation import paint
from segmodels.photo import PhotoError, reduced
from segmodels.sentences import first_line, listed
from segmodels.taxonomy import TAXONOMIES, UNLABELLED, Taxonomy
from train.data.split import FOLDS, SPLIT_FILE, stratified_folds

__all__ = ["DataCheck", "check_data", "group_photos", "suggest_folds", "write_check", "write_split"]

_SHOWN = 24  # photos of the picture
_LISTED = 100  # sentences on the terminal; the file has all
_SIDE = 220  # pixels of the sides of a picture
_STYLE = """
body { margin: 1rem; font: 0.875rem/1.4 sans-serif }
ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin: 0 0 1rem; padding: 0; list-style: none }
i { display: inline-block; width: 12px; height: 12px; margin-right: 0.4rem; border: 1px solid #0006 }
figure { display: inline-block; width: 220px; margin: 0 0.5rem 0.75rem 0; vertical-align: top; overflow-wrap: anywhere }
img { max-width: 100% }
"""


@dataclass(frozen=True)
class DataCheck:
    """What is in a data set.

    Args:
        dataset: The data set.
        shown: Number of pixels by class id, without the classes that it does not show, by id of each readable photo.
        unreadable: Sentence by id for each photo that cannot be read.
        turned: Ids of the photos whose masks were turned with them.
        contested: Number of pixels that were marked as two classes, by id of each photo with such.
        pictures: Reduced photos with their masks painted, uint8 `(H, W, 3)`, by id: up to 24, spread over the data set.
        kinds: Number of photos that show each kind, by name of the kind, by name of the class.
    """

    dataset: Dataset
    shown: Mapping[str, Mapping[int, int]]
    unreadable: Mapping[str, str]
    turned: tuple[str, ...]
    contested: Mapping[str, int]
    pictures: Mapping[str, np.ndarray]
    kinds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """One sentence for each thing that is wrong: first those of the data set, then those of its photos."""
        return [*self.dataset.faults, *(f"{photo_id}: {why}" for photo_id, why in self.unreadable.items())]

    def lines(self, folds: Mapping[str, int]) -> list[str]:
        """The report for people.

        Args:
            folds: Fold by photo id, whose fold 0 gets a column of its own; may be empty.
        """
        taxonomy, faults = self.dataset.taxonomy, self.faults()
        labelled = sum(number for pixels in self.shown.values() for key, number in pixels.items() if key != UNLABELLED)
        width = max(map(len, (*taxonomy.names, "unlabelled")))
        lines = [
            f"{len(self.shown)} of {len(self.dataset.ids)} photos of {self.dataset.name} can be read.",
            *self.dataset.notes,
            f"{'class':{width}}  photos  in fold 0          pixels    share",
        ]
        for class_id, name in [*enumerate(taxonomy.names), (UNLABELLED, "unlabelled")]:
            having = [photo_id for photo_id, pixels in self.shown.items() if class_id in pixels]
            number = sum(self.shown[photo_id][class_id] for photo_id in having)
            if class_id == UNLABELLED and not number:
                continue
            share = f"{number / labelled:8.2%}" if class_id != UNLABELLED and labelled else ""
            chosen = sum(folds.get(photo_id) == 0 for photo_id in having)
            lines.append(f"{name:{width}}  {len(having):6}  {chosen:9}  {number:14,}  {share}".rstrip())
        if taxonomy.name not in TAXONOMIES:
            groups: dict[str, list[str]] = {}
            for garment in taxonomy.classes[1:]:
                groups.setdefault(garment.group, []).append(garment.name)
            told = "; ".join(f"{group} {listed(names, 12)}" for group, names in groups.items())
            lines.append(f"Groups, as the source tells them or guessed from the names: {told}.")
        for name, kinds in self.kinds.items():
            each = ", ".join(f"{kind} on {number} photo{'' if number == 1 else 's'}" for kind, number in kinds.items())
            lines.append(f"Kinds of {name}: {each}.")
        if all(pixels.keys() <= {0, UNLABELLED} for pixels in self.shown.values()):
            lines.append(f"No pixel is of a class beside {taxonomy.names[0]}, so there is nothing to learn.")
            if any(UNLABELLED in pixels for pixels in self.shown.values()):
                lines.append(f"In masks {UNLABELLED} says unlabelled: write the numbers of classes, 1 for the first.")
        lines += background_sentence([photo_id for photo_id, pixels in self.shown.items() if pixels.keys() == {0}])
        if self.turned:
            lines.append(
                f"Photos that lie turned in their files, and whose masks were turned with them: {len(self.turned)}."
            )
        if self.contested:
            lines.append(
                f"Marked as two classes, and given to the smaller region: {sum(self.contested.values()):,} pixels in "
                f"{len(self.contested)} photos."
            )
        if faults:
            lines += [f"What is wrong ({len(faults)}):", *faults[:_LISTED]]
        if len(faults) > _LISTED:
            lines.append(f"and {len(faults) - _LISTED:,} more; --out writes all of them.")
        return lines


def check_data(dataset: Dataset) -> DataCheck:
    """Reads each photo and its truth once; what cannot be read is named and never ends it.

    Args:
        dataset: Data set to read.

    Raises:
        DatasetError: If there is no photo, or none can be read.
    """
    if not dataset.ids:
        raise DatasetError(f"{dataset.root} holds no photo of {dataset.name} with a mask. Name another folder.")
    shown: dict[str, dict[int, int]] = {}
    unreadable: dict[str, str] = {}
    turned: list[str] = []
    contested: dict[str, int] = {}
    pictures: dict[str, np.ndarray] = {}
    kinds = {garment: dict.fromkeys(own, 0) for garment, own in dataset.kinds.items()}
    for place, photo_id in enumerate(tqdm(dataset.ids, desc=f"Reading {dataset.name}", unit="photo")):
        try:
            photo, drawn = dataset.drawn_pair(photo_id)
        except (DatasetError, PhotoError) as error:
            unreadable[photo_id] = str(error)
            continue
        numbers = np.bincount(drawn.truth.ravel(), minlength=256)
        shown[photo_id] = {int(class_id): int(numbers[class_id]) for class_id in np.flatnonzero(numbers)}
        for garment, kind in _kinds_on(dataset, photo_id):
            kinds[garment][kind] += 1
        if drawn.turned:
            turned.append(photo_id)
        if drawn.contested:
            contested[photo_id] = drawn.contested
        if len(pictures) * len(dataset.ids) <= place * _SHOWN and len(pictures) < _SHOWN:
            pictures[photo_id] = _picture(photo, drawn.truth, dataset.taxonomy)
    if not shown:
        first = next(iter(unreadable.values()))
        raise DatasetError(f"None of the {len(dataset.ids)} photos can be read. The first: {first}")
    return DataCheck(dataset, shown, unreadable, tuple(turned), contested, pictures, kinds)


def _kinds_on(dataset: Dataset, photo_id: str) -> list[tuple[str, str]]:
    """Class and kind of what is marked on a photo, where the data set names kinds."""
    if not dataset.kinds or dataset.read_labels is None:
        return []
    there = {dataset.labels[number] for number in np.unique(dataset.read_labels(photo_id)) if number != UNLABELLED}
    return [
        (garment, kind) for garment, own in dataset.kinds.items() for kind, names in own.items() if there & {*names}
    ]


def group_photos(dataset: Dataset, group_by: str) -> dict[str, str]:
    """Name of the group by id of each photo that has one.

    Args:
        dataset: Data set with the photos.
        group_by: `folder`, a column of the data set, or a CSV file, a colon and one of its columns. The file names the
            photos in a column `file_name`, `photo` or the like, as the CSV of an archive does.

    Raises:
        DatasetError: If there is no such column, or the file cannot be read.
    """
    if group_by in dataset.columns:
        return dict(dataset.columns[group_by])
    if group_by == "folder":
        return {photo_id: str(PurePosixPath(photo_id).parent) for photo_id in dataset.ids}
    file, colon, column = group_by.rpartition(":")
    if not (colon and file):
        there = f", {listed(sorted(dataset.columns))} (columns of {dataset.name})" if dataset.columns else ""
        raise DatasetError(f"{group_by!r} groups no photos. Take folder{there}, or FILE.csv:COLUMN.")
    try:
        found = parse_metadata(Path(file).read_bytes(), file)
        names = {
            photo_id: str(PurePosixPath(photo_id).with_name(dataset.photo_path(photo_id).name))
            for photo_id in dataset.ids
        }
        joined = join(found, list(names.values()))
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror}.") from None
    except ArchiveError as error:
        raise DatasetError(str(error)) from None
    rows = {photo_id: joined.entries[name] for photo_id, name in names.items() if name in joined.entries}
    if column == found.date_column:
        if found.ambiguous_dates or found.mixed_dates:
            raise DatasetError(f"{file} cannot group photos by {column}: {_unclear(found)}")
        groups = {photo_id: f"{row.taken_at:%Y-%m-%d}" for photo_id, row in rows.items() if row.taken_at}
    else:
        groups = {photo_id: value for photo_id, row in rows.items() if (value := row.tags.get(column))}
        if mixed := read_dates(list(groups.values()), file).mixed:  # one day would be two groups
            raise DatasetError(f"{file} cannot group photos by {column}: {_two_orders(mixed)}")
    if not groups:
        raise DatasetError(f"{file} has no value of {column!r} for any photo of {dataset.name}. Name another column.")
    return groups


def _unclear(found: Metadata) -> str:
    if found.mixed_dates:
        return _two_orders(found.mixed_dates)
    shown = listed(found.ambiguous_dates, 3)
    return f"{shown} may have the day or the month first. Write dates as 2024-03-31."


def _two_orders(mixed: Sequence[str]) -> str:
    return f"{mixed[0]} has the day first and {mixed[1]} the month first. Write dates as 2024-03-31."


def suggest_folds(check: DataCheck, group_by: str | None = None) -> tuple[dict[str, int], str]:
    """Folds of the readable photos, and a sentence about them.

    Args:
        check: What is in the data set.
        group_by: What keeps photos in one fold, as `group_photos` takes it; None for nothing.

    Returns:
        Fold by photo id, empty where there are too few photos or groups; and the sentence.

    Raises:
        DatasetError: If `group_by` groups nothing.
    """
    classes = {photo_id: pixels.keys() - {0, UNLABELLED} for photo_id, pixels in check.shown.items()}
    told = group_photos(check.dataset, group_by) if group_by else {}
    alone = [photo_id for photo_id in classes if photo_id not in told]
    groups = {photo_id: told.get(photo_id, f"\0{photo_id}") for photo_id in classes} if group_by else None
    kept = f" Photos of one {group_by} are kept together." if group_by else ""
    if group_by and alone:
        kept += f" {len(alone)} without one are each alone: {listed(alone)}."
    try:
        folds = stratified_folds(classes, groups=groups)
    except DatasetError as error:
        return {}, f"No split can be suggested: {error}{kept}"
    folds_with = {
        name: {folds[photo_id] for photo_id, ids in classes.items() if class_id in ids}
        for class_id, name in enumerate(check.dataset.taxonomy.names)
    }
    rare = [name for name, some in folds_with.items() if 0 < len(some) < FOLDS]
    chosen = sum(fold == 0 for fold in folds.values())
    missing = f" Not every fold shows {listed(rare)}." if rare else ""
    return folds, (
        f"A split to begin with: {len(folds) - chosen} photos to train on and {chosen} to choose by, fold 0 of {FOLDS}."
        f"{kept}{missing}"
    )


def write_check(check: DataCheck, folds: Mapping[str, int], out: Path) -> list[Path]:
    """Writes `photos.html` with masks painted, `faults.txt` with a sentence a line, and `split.csv` (`id`, `fold`).

    Args:
        check: What is in the data set.
        folds: Fold by photo id; where it is empty, no `split.csv` is written.
        out: Folder for the files.

    Returns:
        Paths of the files.

    Raises:
        DatasetError: If they cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "photos.html", _sheet(check))
        faults = "".join(f"{fault}\n" for fault in check.faults())
        write_whole(out / "faults.txt", faults.encode("utf-8", "backslashreplace").decode())  # names may be anything
        written = [out / "photos.html", out / "faults.txt"]
        if folds:
            written.append(write_split(folds, out))
    except OSError as error:
        raise DatasetError(f"{out} cannot be written: {first_line(error)}. Name another folder with --out.") from None
    return written


def write_split(folds: Mapping[str, int], folder: Path) -> Path:
    """Writes `split.csv` (`id`, `fold`) into a folder; in the data set's own, `fit` uses it unasked.

    Args:
        folds: Fold by photo id.
        folder: Folder for the file.

    Returns:
        Path of the file.

    Raises:
        OSError: If it cannot be written.
    """
    path = folder / SPLIT_FILE
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "fold"), *folds.items()])
    return path


def _picture(photo: np.ndarray, truth: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    small = reduced(photo, _SIDE)
    size = (small.shape[1], small.shape[0])
    return paint(small, cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST_EXACT), taxonomy)


def _sheet(check: DataCheck) -> str:
    """A page with the colours of the classes and the pictures, each with its id.

    A page, as the names may be in any script, and a browser has a font for it.
    """
    classes = "".join(
        f'<li><i style="background: {each.colour}"></i>{html.escape(each.name)}</li>'
        for each in check.dataset.taxonomy.classes[1:]
    )
    pictures = "".join(
        f'<figure><img src="data:image/png;base64,{_encoded(picture)}" alt=""><figcaption>{html.escape(photo_id)}'
        "</figcaption></figure>"
        for photo_id, picture in check.pictures.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Photos with their masks</title>'
        f"<style>{_STYLE}</style></head><body><ul>{classes}</ul>{pictures}</body></html>\n"
    )


def _encoded(picture: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
