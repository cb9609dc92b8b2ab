"""Garments whose kind is known, with the network's features of them.

A mask gives the label of a garment where a data set's labels are finer than its classes; the tags of a photo of
Clothing Co-Parsing give it where they name one kind of the class alone; a flat-lay has a label of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLay, FlatLays
from segmodels.files import replacing
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from train.analysis.flatlays import choice_ids, training_ids
from train.analysis.framing import FRAMINGS, draw, framed
from train.analysis.wild import main_person

__all__ = [
    "FLATLAY_KINDS",
    "KindSample",
    "Source",
    "features_of",
    "label_of_mask",
    "label_of_tags",
    "observe_flatlays",
    "observe_masks",
    "observe_tags",
    "one_part_each",
    "teaching",
]

Source = Literal["masks", "tags", "flat-lays"]

FLATLAY_KINDS: Mapping[str, str] = {
    "Dress": "dress",
    "Skirt": "skirt",
    "Shirt": "shirt/blouse",
    "Blouse": "shirt/blouse",
    "T-Shirt": "t-shirt/top",
    "Longsleeve": "t-shirt/top",
    "Top": "t-shirt/top",
    "Undershirt": "t-shirt/top",
    "Polo": "t-shirt/top",
    "Hoodie": "sweater",
    "Blazer": "jacket/cardigan",
}
"""Kind of `CCP_KINDS` by the label of a flat-lay; other labels, such as `Outwear`, say nothing of the kind."""

_CLEAR = 0.6  # share of a class's pixels under a mask that one kind must hold
_OF_CLASS = 0.3  # share of a mask's pixels that must be of its class
_MOST_FLATLAYS = 120  # of each label


@dataclass(frozen=True, eq=False)
class KindSample:
    """A garment that was found and whose kind is known.

    Args:
        photo_id: Id of the photo; samples of one photo are kept together in cross-validation.
        source: What tells its kind: `masks` of the data set, its `tags`, or the labels of `flat-lays`.
        framing: Part of the person that the photo shows.
        garment: Name of the class.
        kind: Name of the kind.
        features: Features from `segmodels.architectures.feature_maps.pool_features`.
    """

    photo_id: str
    source: Source
    framing: str
    garment: str
    kind: str
    features: np.ndarray


def label_of_mask(counts: Mapping[str, int], garment: str, dataset: Dataset) -> str | None:
    """Kind of a garment from the labels of the pixels under its mask; None if they do not say.

    At least 30 % of the pixels must be of the class, and 60 % of those of one kind.

    Args:
        counts: Number of pixels under the mask, by label.
        garment: Name of a class that has kinds.
        dataset: Data set that has the labels.
    """
    own = sum(count for label, count in counts.items() if dataset.aliases.get(label) == garment)
    if not own or own < _OF_CLASS * sum(counts.values()):
        return None
    by_kind = {kind: sum(counts.get(label, 0) for label in labels) for kind, labels in dataset.kinds[garment].items()}
    best = max(by_kind, key=lambda kind: by_kind[kind])
    return best if by_kind[best] >= _CLEAR * own else None


def label_of_tags(tags: Iterable[str], garment: str, dataset: Dataset) -> str | None:
    """Kind of a photo's garment from its tags; None if those of the class are not all of one kind.

    Args:
        tags: Labels of the photo.
        garment: Name of a class that has kinds.
        dataset: Data set that has the labels.
    """
    kind_of = {label: kind for kind, labels in dataset.kinds[garment].items() for label in labels}
    kinds = {kind_of.get(tag, "") for tag in tags if dataset.aliases.get(tag) == garment}
    return kinds.pop() or None if len(kinds) == 1 else None


def observe_masks(
    segmenter: Segmenter,
    dataset: Dataset,
    ids: Sequence[str],
    framings: Sequence[str] = tuple(FRAMINGS),
    features_folder: Path | None = None,
) -> list[KindSample]:
    """Garments on photos with masks, cut to framings; a photo that cannot be read or cut is named and left out.

    Args:
        segmenter: Segmenter in the classes of the data set.
        dataset: Photos with labels for each of their pixels.
        ids: Ids of the photos.
        framings: Keys in `FRAMINGS`.
        features_folder: Folder of what was observed before, of the same network and labels; None for none.

    Raises:
        DatasetError: If the data set has no kinds, or an id is unknown.
    """
    if dataset.read_labels is None or not dataset.kinds:
        raise DatasetError(
            f"{dataset.name} names no kinds of its classes. Write kinds.csv (name, class, kind) into {dataset.root}; "
            "python -m train check-data SOURCE --save-kinds writes one to begin with."
        )
    read_labels = dataset.read_labels

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        photo, truth = dataset.pair(photo_id)
        both, _ = framed(framing, np.dstack([photo, read_labels(photo_id)]), truth, photo_id)
        segmentation, features = segmenter.segment_with_garment_features(np.ascontiguousarray(both[..., :3]))
        samples = []
        for garment, each in zip(segmentation.garments, features, strict=True):
            if garment.name not in dataset.kinds:
                continue
            pixels = np.bincount(both[..., 3][segmentation.mask(garment)], minlength=len(dataset.labels)).tolist()
            kind = label_of_mask(dict(zip(dataset.labels, pixels, strict=False)), garment.name, dataset)
            if kind:
                samples.append(KindSample(photo_id, "masks", framing, garment.name, kind, each))
        return samples

    wanted = [(framing, photo_id) for framing in framings for photo_id in dataset.select(list(ids))]
    return _observe(wanted, observe, "masks", features_folder)


def observe_tags(
    segmenter: Segmenter,
    dataset: Dataset,
    tags: Mapping[str, Iterable[str]],
    ids: Sequence[str],
    features_folder: Path | None = None,
) -> list[KindSample]:
    """Garments of the main person on photos that have tags alone.

    Args:
        segmenter: Segmenter in the classes of the data set.
        dataset: Data set of the photos.
        tags: Labels by id of the photo.
        ids: Ids of the photos.
        features_folder: Folder of what was observed before, of the same network and labels; None for none.
    """

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        segmentation, features = segmenter.segment_with_garment_features(dataset.photo(photo_id))
        main = main_person(segmentation)
        samples = []
        for garment, each in zip(segmentation.garments, features, strict=True):
            if garment.person != main or garment.name not in dataset.kinds:
                continue
            if kind := label_of_tags(tags[photo_id], garment.name, dataset):
                samples.append(KindSample(photo_id, "tags", framing, garment.name, kind, each))
        return samples

    return _observe([("full", photo_id) for photo_id in ids], observe, "tags", features_folder)


def observe_flatlays(segmenter: Segmenter, flatlays: FlatLays, features_folder: Path | None = None) -> list[KindSample]:
    """The largest garment of each flat-lay whose label says its kind, where it is of the class of the label.

    Args:
        segmenter: Segmenter in the classes of the labels.
        flatlays: Photos.
        features_folder: Folder of what was observed before, of the same network and labels; None for none.
    """
    by_id = {photo.id: photo for photo in flatlays.photos if photo.label in FLATLAY_KINDS}

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        photo = by_id[photo_id]
        segmentation, features = segmenter.segment_with_garment_features(flatlays.open(photo))
        found = zip(segmentation.garments, features, strict=True)
        largest = max(found, key=lambda pair: pair[0].area_share, default=None)
        if largest is None or largest[0].name != photo.garment:
            return []
        return [KindSample(photo_id, "flat-lays", framing, photo.garment, FLATLAY_KINDS[photo.label], largest[1])]

    return _observe([("full", photo_id) for photo_id in by_id], observe, "flat-lays", features_folder)


def one_part_each(ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids by the one framing, other than the whole photo, that teaches beside it."""
    parts = [name for name in FRAMINGS if FRAMINGS[name] is not None]
    chosen: dict[str, list[str]] = {name: [] for name in parts}
    for photo_id in ids:
        chosen[parts[int(len(parts) * draw(photo_id, "kinds"))]].append(photo_id)
    return chosen


def teaching(flatlays: FlatLays) -> FlatLays:
    """Flat-lays that teach: of each label that says the kind, as many as `_MOST_FLATLAYS`, of part `train`."""
    usable = {*choice_ids(), *training_ids(flatlays)}
    by_label: dict[str, list[FlatLay]] = {}
    for photo in sorted(flatlays.part("train").photos, key=lambda photo: draw(photo.id, "kinds")):
        if photo.label in FLATLAY_KINDS and photo.id in usable:
            by_label.setdefault(photo.label, []).append(photo)
    return replace(flatlays, photos=tuple(photo for some in by_label.values() for photo in some[:_MOST_FLATLAYS]))


def features_of(features_folder: Path, revision: str, dataset: Dataset) -> Path:
    """Folder, within that of all features, of those of one network and of a data set with the labels as they are now.

    Args:
        features_folder: Folder of all features.
        revision: Revision of the network.
        dataset: The data set.
    """
    own = [dataset.name, str(dataset.root.resolve()), dataset.reading, dict(dataset.kinds), FLATLAY_KINDS]
    digest = hashlib.sha256(json.dumps([*own, _OF_CLASS, _CLEAR]).encode()).hexdigest()[:8]
    folder = features_folder / f"{revision}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _observe(
    wanted: Sequence[tuple[str, str]],
    observe: Callable[[str, str], list[KindSample]],
    source: Source,
    features_folder: Path | None,
) -> list[KindSample]:
    """Samples of each pair of a framing and a photo id; a photo that cannot be read is named and left out."""
    samples: list[KindSample] = []
    with tqdm(wanted, desc="Observing", unit="photo") as bar:
        for framing, photo_id in bar:
            name = hashlib.sha256(f"{source}/{framing}/{photo_id}".encode()).hexdigest()[:20]
            path = features_folder / f"{name}.npz" if features_folder else None
            try:
                if path and path.exists():
                    samples += _read_samples(path, photo_id, source, framing)
                    continue
                found = observe(framing, photo_id)
            except (DatasetError, PhotoError) as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            samples += found
            if path:
                _write_samples(path, found)
    return samples


def _write_samples(path: Path, samples: Sequence[KindSample]) -> None:
    """Writes what one photo gave, atomically."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            garments=np.array([sample.garment for sample in samples], np.str_),
            kinds=np.array([sample.kind for sample in samples], np.str_),
            features=np.array([sample.features for sample in samples], np.float32),
        )


def _read_samples(path: Path, photo_id: str, source: Source, framing: str) -> list[KindSample]:
    with np.load(path, allow_pickle=False) as stored:
        return [
            KindSample(photo_id, source, framing, str(garment), str(kind), features)
            for garment, kind, features in zip(stored["garments"], stored["kinds"], stored["features"], strict=True)
        ]
