"""The fit of an embedding: what its components are."""

from pathlib import Path

import numpy as np
import pytest

import segmodels
from segmodels.inference.embedding import Embedding, read_embedding
from train.analysis.embedding import DIMENSIONS, principal_components


def test_components_keep_what_differs_most_and_nothing_of_the_place() -> None:
    random = np.random.default_rng(0)
    hidden = random.standard_normal((400, 3))  # what garments differ in
    features = np.concatenate([hidden @ random.standard_normal((3, 60)), random.standard_normal((400, 8))], 1)
    features = features * random.uniform(0.1, 10, 68) + random.uniform(-5, 5, 68)
    components, offset = principal_components(features, 8)
    assert components.shape == (DIMENSIONS, 68) and offset.shape == (DIMENSIONS,)
    assert not components[:, 60:].any()
    projected = features @ components.T - offset
    assert projected.mean(0) == pytest.approx(0, abs=1e-3)
    spread = projected.std(0)
    assert (spread[:3] > 50 * spread[3:].max()).all(), "three directions hold all there is"
    best, *_ = np.linalg.lstsq(projected[:, :3], hidden, rcond=None)
    assert projected[:, :3] @ best == pytest.approx(hidden - hidden.mean(0), abs=0.05)


def test_garments_near_in_features_are_near_in_the_embedding() -> None:
    random = np.random.default_rng(1)
    centres = random.standard_normal((20, 90))
    features = np.repeat(centres, 10, axis=0) + 0.3 * random.standard_normal((200, 90))
    embedding = Embedding("", "", *principal_components(features, 0))
    vectors = np.stack([np.frombuffer(embedding.embed(np.float32(each)), np.int8) for each in features]).astype(float)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -np.inf)
    assert (near.argmax(1) // 10 == np.arange(200) // 10).all()


def test_the_file_that_ships_says_what_it_was_fitted_on() -> None:
    embedding = read_embedding(Path(segmodels.__path__[0]) / "embedded/segmentation/fpn", "e0c33769c7ac")
    assert embedding is not None and embedding.components.shape == (DIMENSIONS, 900)
    assert embedding.data == "640 photos of ccp; 400 flat-lays of the clothing dataset (CC0), part train"
