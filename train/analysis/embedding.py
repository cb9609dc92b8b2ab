"""Fits the embedding of a network: principal components of the features of garments, without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLays
from segmodels.inference.embedding import Embedding
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from train.analysis.flatlays import training_ids
from train.analysis.framing import draw

__all__ = ["DIMENSIONS", "fit_embedding", "garment_features", "principal_components"]

DIMENSIONS = 32
"""Dimensions of an embedding, each a byte of a row of an archive."""

_MOST_FLATLAYS = 400
_PLACES = 15  # features of the place of a garment; these, and the shares of the classes, follow those of the maps

_WHITENING = 0.25  # power of the variance by which a component is divided; 0.5 would make all alike


def fit_embedding(
    segmenter: Segmenter, dataset: Dataset, ids: Sequence[str], flatlays: FlatLays | None = None
) -> Embedding:
    """Fits the embedding of a network on the garments that it finds.

    Args:
        segmenter: Segmenter of the network.
        dataset: Data set of the photos.
        ids: Ids of the photos. Photos that judge the embedding must not be among them.
        flatlays: Flat-lays, of which 400 that the network may have been trained on are taken as well.

    Raises:
        DatasetError: If an id is unknown, or there are fewer garments than dimensions.
    """
    dataset.select(list(ids))
    samples = list(garment_features(segmenter, dataset.photo, ids))
    data = f"{len(ids):,} photos of {dataset.name}"
    if flatlays:
        photos = {photo.id: photo for photo in flatlays.photos}
        chosen = sorted(training_ids(flatlays), key=draw)[:_MOST_FLATLAYS]
        samples += garment_features(segmenter, lambda key: flatlays.open(photos[key]), chosen)
        data += f"; {len(chosen):,} flat-lays of the clothing dataset (CC0), part train"
    if len(samples) < 2 * DIMENSIONS:
        raise DatasetError(f"{len(samples)} garments were found, too few to fit on. Give more photos.")
    components, offset = principal_components(np.stack(samples), _PLACES + len(segmenter.taxonomy))
    return Embedding(segmenter.checkpoint.revision, data, components, offset)


def garment_features(
    segmenter: Segmenter, read: Callable[[str], np.ndarray], ids: Iterable[str]
) -> Iterator[np.ndarray]:
    """Features of each garment on photos, float32 `(features,)`; a photo that cannot be read is named and left out.

    Args:
        segmenter: Segmenter of the network.
        read: Function that gives a photo by its id, uint8 `(H, W, 3)` RGB.
        ids: Ids of the photos.
    """
    with tqdm(list(ids), desc="Observing", unit="photo") as bar:
        for photo_id in bar:
            try:
                _, features = segmenter.segment_with_garment_features(read(photo_id))
            except (DatasetError, PhotoError) as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            yield from features


def principal_components(samples: np.ndarray, left_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of an embedding.

    Features are standardised. Each component is divided by the square root of its standard deviation, halfway to
    whitening, so that the first ones do not decide alone.

    Args:
        samples: Features of garments, float `(garments, features)`.
        left_out: Number of features at the end that get no weight.

    Returns:
        `components` and `offset` of `Embedding`.
    """
    samples = samples.astype(np.float64)
    mean, deviation = samples.mean(0), samples.std(0) + 1e-6
    deviation[len(mean) - left_out :] = np.inf
    standard = (samples - mean) / deviation
    variances, directions = np.linalg.eigh(standard.T @ standard / len(standard))  # the smallest first
    variances, directions = variances[::-1][:DIMENSIONS].clip(1e-6), directions[:, ::-1][:, :DIMENSIONS]
    components = (directions * variances**-_WHITENING).T / deviation
    return components.astype(np.float32), (components @ mean).astype(np.float32)
