"""What a checkpoint may hold beside its network: a calibration, kinds and an embedding."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from segmodels.architectures.feature_maps import has_feature_maps
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.checkpoints.errors import CheckpointError
from segmodels.inference.embedding import EMBEDDING_FILE, Embedding, EmbeddingError, read_embedding
from segmodels.inference.kinds import KINDS_FILE, KINDS_WEIGHTS, Kinds, KindsError, read_kinds
from segmodels.inference.presence import CALIBRATION_FILE, Calibration, CalibrationError, read_calibration
from segmodels.taxonomy import taxonomy_of

__all__ = ["calibration_of", "embedding_of", "gives_maps", "kinds_of"]


def calibration_of(folder: Path, config: CheckpointConfig, weights: str) -> Calibration | None:
    """Calibration of a checkpoint; None if there is none.

    Args:
        folder: Folder of the checkpoint.
        config: Configuration of the checkpoint.
        weights: Identifier of its weights; empty if it is not known.

    Raises:
        CheckpointError: If the file cannot be used, or was fitted on other weights.
    """
    try:
        calibration = read_calibration(folder, taxonomy_of(vars(config)))
    except CalibrationError as error:
        raise CheckpointError(str(error)) from None
    if calibration and calibration.weights and weights and calibration.weights != weights:
        raise CheckpointError(
            f"{folder / CALIBRATION_FILE} belongs to the weights {calibration.weights}, and the network's are "
            f"{weights}. Fit it again with `python -m train calibrate`, or remove the file: counts are raw then."
        )
    return calibration


def kinds_of(folder: Path, config: CheckpointConfig, network: nn.Module, weights: str) -> Kinds | None:
    """Kinds of a checkpoint; None if there are none.

    Args:
        folder: Folder of the checkpoint.
        config: Configuration of the checkpoint.
        network: Network of the checkpoint.
        weights: Identifier of its weights.

    Raises:
        CheckpointError: If the files cannot be used, or the network gives no feature maps.
    """
    try:
        kinds = read_kinds(folder, taxonomy_of(vars(config)), weights)
    except KindsError as error:
        raise CheckpointError(str(error)) from None
    if kinds and not gives_maps(config, network):
        raise CheckpointError(
            f"{folder} has kinds, which need an encoder, a decoder and a pass at scale 1. Remove {KINDS_FILE} and "
            f"{KINDS_WEIGHTS}."
        )
    return kinds


def embedding_of(folder: Path, config: CheckpointConfig, network: nn.Module, weights: str) -> Embedding | None:
    """Embedding of a checkpoint; None if there is none.

    Args:
        folder: Folder of the checkpoint.
        config: Configuration of the checkpoint.
        network: Network of the checkpoint.
        weights: Identifier of its weights.

    Raises:
        CheckpointError: If the file cannot be used, or the network gives no feature maps.
    """
    try:
        embedding = read_embedding(folder, weights)
    except EmbeddingError as error:
        raise CheckpointError(str(error)) from None
    if embedding and not gives_maps(config, network):
        raise CheckpointError(
            f"{folder} has an embedding, which needs an encoder, a decoder and a pass at scale 1. Remove "
            f"{EMBEDDING_FILE}."
        )
    return embedding


def gives_maps(config: CheckpointConfig, network: nn.Module) -> bool:
    """Whether a network gives the feature maps on which kinds and embeddings rest.

    Args:
        config: Configuration of the checkpoint.
        network: Network of the checkpoint; of an ensemble the list of all.
    """
    first = network[0] if isinstance(network, nn.ModuleList) else network
    return 1.0 in config.scales and has_feature_maps(first)
