"""Colorful Fashion Parsing Data (Liu et al., *Fashion Parsing with Weak Color-Category Labels*, TMM 2014).

image/<name>                the photos, 400 x 600
fashon_parsing_data.mat     everything else (spelled so): MATLAB 7.3, which is HDF5
    all_category_name       (1, 23) references to the names of the categories, uint16 character codes
    all_colors_name         (1, 13) references to the names of the colours
    fashion_dataset         (1, 2682) references to one group for each photo:
        img_name            (n, 1) uint16, character codes of the file in image/
        segmentation        (400, 600) float32, superpixel of each pixel, from 0; transposed, as MATLAB stores it
        category_label      (1, 425) float64, category of each superpixel
        color_label         (1, 425) float64, colour of each superpixel
    #refs#                  what the references point to

What a label counts. All public programs that read the file take it as the place of its category in
`all_category_name`, from 1, and so does this one. There is also a description of the file after which labels are fine
ids, 1..117 for categories and 1..60 for colours, and the datasets `b`..`x` and `y`, `z`, `A`..`K` of `#refs#` list
those of each category and colour. In the known file these are the very datasets that the names are in, and 117 and 60
the numbers of their characters. A file that has lists there, beside the names or in their stead, is read by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from segmodels.datasets.dataset import Dataset, DatasetError
from segmodels.taxonomy import (
    CFPD_23,
    CFPD_COLOURS,
    CFPD_LABELS,
    CFPD_TO_CFPD_23,
    CFPD_TO_OUTFIT_15,
    OUTFIT_15,
    UNLABELLED,
    Taxonomy,
)

__all__ = ["CfpdColours", "read_cfpd", "read_cfpd_colours"]

_FILE = "fashon_parsing_data.mat"
_WHERE = "Colorful Fashion Parsing Data is available at https://github.com/hrsma2i/dataset-CFPD"
_ALIASES = {CFPD_23.name: CFPD_TO_CFPD_23, OUTFIT_15.name: CFPD_TO_OUTFIT_15}


@dataclass(frozen=True)
class _Numbering:
    """How the file counts its categories, or its colours.

    Args:
        variable: The superpixels' labels: `category_label` or `color_label`.
        names: Name of each category or colour, in the file's order.
        place: Place in `names` of each label.
    """

    variable: str
    names: tuple[str, ...]
    place: Mapping[int, int]


@dataclass(frozen=True)
class CfpdColours:
    """The colour of each pixel, which CFPD gives beside its category.

    Args:
        names: Names of the colours, `bk` (background) among them.
        ids: Ids of all photos, sorted.
        read: Function that gives the colours of a photo, uint8 `(H, W)`: places in `names`. Raises DatasetError as
            truths do.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    read: Callable[[str], np.ndarray]


def read_cfpd(root: Path, taxonomy: Taxonomy = CFPD_23) -> Dataset:
    """Opens the data set; photos and masks are read when they are asked for.

    Args:
        root: The folder that holds `image/` and `fashon_parsing_data.mat`.
        taxonomy: `CFPD_23`, or `OUTFIT_15` after Table I of Inácio et al.

    Raises:
        DatasetError: If the folder does not have the data set's layout, or the file is damaged.
    """
    files, categories = _open(root, "category_label")
    names = {label: categories.names[place] for label, place in categories.place.items()}
    aliases = _ALIASES[taxonomy.name]
    ids = {label: taxonomy[aliases[name]].id for label, name in names.items() if name in aliases}
    return Dataset(
        name="cfpd",
        root=root,
        taxonomy=taxonomy,
        ids=tuple(sorted(files)),
        photo_path=partial(_photo_path, root, files),
        truth_path=lambda _: root / _FILE,
        read_truth=partial(_read_map, root, files, categories, ids),
    )


def read_cfpd_colours(root: Path) -> CfpdColours:
    """Opens the colours of the same photos.

    Raises:
        DatasetError: As `read_cfpd` does.
    """
    files, colours = _open(root, "color_label")
    return CfpdColours(
        colours.names, tuple(sorted(files)), partial(_read_map, root, files, colours, dict(colours.place))
    )


def _open(root: Path, variable: str) -> tuple[dict[str, tuple[str, str]], _Numbering]:
    """Photo and group in the file by id, and how the file counts."""
    for needed in (root / "image", root / _FILE):
        if not needed.exists():
            raise DatasetError(f"{needed} is missing. {_WHERE}; name the folder that holds image/ and {_FILE}.")
    with _opened(root / _FILE) as file:
        if variable == "category_label":
            numbering = _read_numbering(file, variable, ("all_category_name",), CFPD_LABELS, "bcdefghijklmnopqrstuvwx")
        else:
            numbering = _read_numbering(
                file, variable, ("all_colors_name", "all_color_name"), CFPD_COLOURS, "yzABCDEFGHIJK"
            )
        photos = [(_text(group["img_name"]), str(group.name)) for group in _groups(file)]
    return {Path(photo).stem: (photo, place) for photo, place in photos}, numbering


def _groups(file: h5py.File) -> Iterator[h5py.Group]:
    """What the file holds of each photo: through `fashion_dataset`, or without it all groups of that kind."""
    if "fashion_dataset" in file:
        yield from (file[reference] for reference in file["fashion_dataset"][()].ravel())
    else:
        yield from (group for group in file["#refs#"].values() if isinstance(group, h5py.Group) and "img_name" in group)


def _read_numbering(
    file: h5py.File, variable: str, tables: Sequence[str], known: tuple[str, ...], letters: str
) -> _Numbering:
    """Reads the names and what counts as each; see the top of this module.

    Args:
        file: The open file.
        variable: The labels that are counted.
        tables: Names that the table of references may have.
        known: The names as the data set has them.
        letters: The datasets of `#refs#` that may list fine ids, in the order of the names.
    """
    table = next((name for name in tables if name in file), tables[0])
    targets = [file[reference] for reference in file[table][()].ravel()]
    names = tuple(map(_text, targets))
    lists = [file["#refs#"][letter] for letter in letters if letter in file["#refs#"]]
    if not set(names) & set(known):  # no names but lists
        names, lists = known, targets
    elif len(lists) < len(known) or any(each in targets for each in lists):
        return _Numbering(variable, names, {place + 1: place for place in range(len(names))})
    fine = [(int(label), place) for place, each in enumerate(lists) for label in each[()].ravel()]
    place = dict(fine)
    if len(lists) != len(names) or len(place) != len(fine):
        raise DatasetError(
            f"{file.filename}: {table} leads neither to CFPD's {len(known)} names nor to {len(known)} lists that share "
            f"no id. {_WHERE}."
        )
    return _Numbering(variable, names, place)


def _text(codes: h5py.Dataset) -> str:
    return "".join(map(chr, codes[()].ravel().astype(int)))


def _photo_path(root: Path, files: Mapping[str, tuple[str, str]], photo_id: str) -> Path:
    photo = files[photo_id][0] if photo_id in files else photo_id
    return root / "image" / (photo if Path(photo).suffix else f"{photo}.jpg")


def _read_map(
    root: Path,
    files: Mapping[str, tuple[str, str]],
    numbering: _Numbering,
    ids: Mapping[int, int],
    photo_id: str,
) -> np.ndarray:
    """uint8 `(H, W)`: what `ids` gives for the label of each pixel's superpixel."""
    path = root / _FILE
    if photo_id not in files:
        raise DatasetError(f"{path} has no entry for photo {photo_id}. {_WHERE}.")
    with _opened(path) as file:
        group = file[files[photo_id][1]]
        superpixels = np.asarray(group["segmentation"][()]).T
        labels = np.asarray(group[numbering.variable][()]).ravel()
    if superpixels.ndim != 2:
        raise DatasetError(f"{path}, photo {photo_id}: segmentation is {superpixels.shape}; expected (W, H).")
    wrong = ~((superpixels >= 0) & (superpixels < len(labels)) & (superpixels == np.floor(superpixels)))
    if wrong.any():
        raise DatasetError(
            f"{path}, photo {photo_id}: superpixel {superpixels[wrong][0]:g} has no label; there are {len(labels)}. "
            f"{_WHERE}."
        )
    table = np.array([ids.get(label, UNLABELLED) for label in labels.tolist()], np.uint8)
    found = table[superpixels.astype(np.intp)]
    if (found == UNLABELLED).any():
        label = labels.tolist()[int(superpixels[found == UNLABELLED][0])]
        name = f" ({numbering.names[numbering.place[label]]})" if label in numbering.place else ""
        raise DatasetError(f"{path}, photo {photo_id}: {numbering.variable} {label:g}{name} is unknown. {_WHERE}.")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, open; whatever is found wrong in it is a DatasetError that names it."""
    try:
        with h5py.File(path) as file:
            yield file
    except DatasetError:
        raise
    except KeyError as error:
        raise DatasetError(f"{path} lacks a part: {error.args[0]}. {_WHERE}.") from None
    except Exception as error:  # a damaged file makes h5py raise whatever it trips over
        raise DatasetError(f"{path} is damaged or not a MATLAB 7.3 file ({error}). {_WHERE}.") from None
