"""The photos that the page browses: of Clothing Co-Parsing's folder, or of another data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dashboard.dataset import cache
from dashboard.dataset.folder import FolderError, LabelIndex, choices, list_masks, make_stage
from dashboard.dataset.pictures import small_picture, viewer_stage
from dashboard.dataset.reading import Counted
from segmodels.datasets import DatasetError
from segmodels.photo import PhotoError
from segmodels.taxonomy import OUTFIT_15, Taxonomy

__all__ = ["Album", "folder_album", "picture_of", "source_album", "stage_of"]


@dataclass(frozen=True)
class Album:
    """Photos with masks.

    Args:
        key: Text that is another one for another data set.
        taxonomy: Taxonomy of the masks.
        ids: Ids of the photos, in the order in which they are shown.
        order: Words on that order.
        choices: Ids of the labels, columns of the index, that a choice stands for, by its text.
        indexing: Labels that each mask holds, once they are read.
        thumbnail: Function that gives a small JPEG of an id, with its mask or without.
        stage: Function that gives what the viewer shows of an id.
    """

    key: str
    taxonomy: Taxonomy
    ids: tuple[str, ...]
    order: str
    choices: Mapping[str, tuple[int, ...]]
    indexing: Future[LabelIndex]
    thumbnail: Callable[[str, bool], bytes]
    stage: Callable[[str], dict[str, Any]]


def folder_album(root: Path) -> Album:
    """The photos of Clothing Co-Parsing.

    Args:
        root: Folder of the data set.

    Raises:
        FolderError: If the folder does not hold photos and masks.
    """
    ids = list_masks(root)
    return Album(
        key="",
        taxonomy=OUTFIT_15,
        ids=ids,
        order="sorted by number",
        choices=choices(),
        indexing=cache.label_index(root, ids),
        thumbnail=partial(cache.thumbnail, str(root)),
        stage=partial(make_stage, root),
    )


def source_album(key: str, counted: Counted) -> Album:
    """The photos of another data set whose masks can be read.

    Args:
        key: Text that is another one for another data set, or when its files have changed.
        counted: The data set, and what its masks hold.
    """
    indexing: Future[LabelIndex] = Future()
    indexing.set_result(counted.index)
    taxonomy = counted.dataset.taxonomy
    return Album(
        key=key,
        taxonomy=taxonomy,
        ids=counted.index.ids,
        order="sorted by name",
        choices={name: (taxonomy[name].id,) for name in taxonomy.display_order if taxonomy[name].id},
        indexing=indexing,
        thumbnail=partial(cache.source_thumbnail, key, counted),
        stage=partial(stage_of, counted),
    )


def picture_of(counted: Counted, photo_id: str, *, masked: bool) -> bytes:
    """A small JPEG of a photo of a data set, optionally with its classes over it.

    Raises:
        FolderError: If the photo or its mask can no longer be read.
    """
    try:
        photo, truth = counted.dataset.pair(photo_id)
    except (DatasetError, PhotoError) as error:
        raise FolderError(str(error)) from None
    return small_picture(photo, truth if masked else None, counted.dataset.taxonomy)


def stage_of(counted: Counted, photo_id: str) -> dict[str, Any]:
    """A photo of a data set and its mask for the viewer.

    Raises:
        FolderError: If the photo or its mask can no longer be read.
    """
    taxonomy, name = counted.dataset.taxonomy, counted.dataset.photo_path(photo_id).name
    try:
        photo, truth = counted.dataset.pair(photo_id)
    except (DatasetError, PhotoError) as error:
        raise FolderError(str(error)) from None
    return viewer_stage(photo, truth, taxonomy, name, photo_id, truth, taxonomy.names)
