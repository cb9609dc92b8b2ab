"""Embeddings: a garment as a short vector, so that garments that look alike can be found, from features of the network.

A third head beside segmentation and kinds, on the same features as kinds: a linear projection of the network's feature
maps, averaged over the garment's mask, to a few dimensions. It is fitted by principal component analysis, without
labels; `python -m train embedding` does that. `embedding.safetensors` of a checkpoint holds it; a checkpoint without
this file gives no embeddings. Embeddings of two revisions cannot be compared. This module needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from segmodels.errors import GarmentscopeError
from segmodels.files import replacing
from segmodels.sentences import first_line

__all__ = ["EMBEDDING_FILE", "Embedding", "EmbeddingError", "read_embedding", "write_embedding"]

EMBEDDING_FILE = "embedding.safetensors"
"""Name of the file in a checkpoint's folder."""

_VERSION = "1"  # of the file and of the features
_TENSORS = {"components", "offset"}
_LONGEST = 127  # length of a vector, the largest int8
_LARGEST = 1e9  # magnitude of a component or an offset
_AGAIN = "Fit it again with `python -m train embedding`, or remove the file: the checkpoint has no embeddings then."


class EmbeddingError(GarmentscopeError, ValueError):
    """An embedding of a checkpoint that cannot be used; the message names the file and says what is wrong."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """The head: embedding = unit vector of (components · features - offset).

    Args:
        weights: Identifier of the network's weights: first 12 hex digits of the SHA-256 of `model.safetensors`.
        data: Photos that it was fitted on, and their licences.
        components: Coefficients, float32 `(dimensions, features)`.
        offset: What is subtracted, float32 `(dimensions,)`.
    """

    weights: str
    data: str
    components: np.ndarray
    offset: np.ndarray

    @cached_property
    def revision(self) -> str:
        """Identifier of the coefficients; embeddings of one revision can be compared."""
        digest = sha256()
        for values in (self.components, self.offset):
            digest.update(np.ascontiguousarray(values, np.float32).tobytes())
        return digest.hexdigest()[:12]

    def embed(self, features: np.ndarray) -> bytes:
        """The embedding of a garment: int8 values, one byte a dimension, of a vector of length 127.

        Args:
            features: Features from `segmodels.architectures.feature_maps.pool_features`, float32 `(features,)`.

        Raises:
            EmbeddingError: If they are not as many as those that the coefficients are for.
        """
        if (wanted := self.components.shape[1]) != len(features):
            raise EmbeddingError(
                f"{EMBEDDING_FILE} was made for another input size or another network: for {wanted} features of a "
                f"garment, where {len(features)} come. {_AGAIN}"
            )
        vector = self.components @ features - self.offset
        vector *= _LONGEST / max(float(np.linalg.norm(vector)), 1e-9)
        embedded: bytes = np.round(vector).astype(np.int8).tobytes()
        return embedded


def read_embedding(folder: Path, weights: str) -> Embedding | None:
    """Reads the embedding of a checkpoint; None if it has none.

    Args:
        folder: Folder of the checkpoint.
        weights: Identifier of the network's weights, to which the embedding must belong.

    Raises:
        EmbeddingError: If the file is damaged, of a newer version or of other weights.
    """
    path = folder / EMBEDDING_FILE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        with safe_open(path, "np") as file:
            about = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:  # RuntimeError where it cannot be mapped
        raise EmbeddingError(f"{path} is damaged or not a safetensors file: {first_line(error)}. {_AGAIN}") from None
    if (version := about.get("version", "")) != _VERSION:
        raise EmbeddingError(f"{path} is of version {version or 'unknown'}, and this is version {_VERSION}. {_AGAIN}")
    if about.get("weights") != weights:
        raise EmbeddingError(
            f"{path} belongs to the weights {about.get('weights')}, and the network's are {weights}. {_AGAIN}"
        )
    shapes = {name: each.shape for name, each in tensors.items()}
    if set(tensors) != _TENSORS or len(shapes["components"]) != 2 or shapes["offset"] != shapes["components"][:1]:
        raise EmbeddingError(f"{path} is damaged: it does not hold components and one offset for each. {_AGAIN}")
    if not all((np.abs(each) < _LARGEST).all() for each in tensors.values()):
        raise EmbeddingError(f"{path} has values that are not numbers, or far too large. {_AGAIN}")
    if not tensors["components"].any(axis=1).all():
        raise EmbeddingError(f"{path} is damaged: a dimension is zero throughout. {_AGAIN}")
    return Embedding(
        weights, about.get("data", ""), **{name: each.astype(np.float32) for name, each in tensors.items()}
    )


def write_embedding(folder: Path, embedding: Embedding) -> None:
    """Writes `embedding.safetensors` of a checkpoint atomically.

    Raises:
        OSError: If the folder cannot be written.
    """
    tensors = {name: np.ascontiguousarray(getattr(embedding, name), np.float32) for name in _TENSORS}
    about = {"version": _VERSION, "weights": embedding.weights, "data": embedding.data}
    try:
        with replacing(folder / EMBEDDING_FILE) as part:
            save_file(tensors, part, about)
            part.chmod(0o644)
    except SafetensorError as error:  # raised for a full disk, among others
        raise OSError(f"{folder / EMBEDDING_FILE}: {error}") from error
