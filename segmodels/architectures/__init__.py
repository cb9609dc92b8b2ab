"""The networks: a function each, in one literal dict.

Every network maps float32 `(N, 3, H, W)` to logits `(N, classes, H, W)`, for any H and W.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from segmodels.architectures.dry_run import check_batch
from segmodels.architectures.segnet import segnet
from segmodels.architectures.smp import densenet, fpn, linknet, pspnet, unet
from segmodels.architectures.torchvision import atrous, fcn
from segmodels.architectures.unet_classic import unet_classic

__all__ = [
    "ARCHITECTURES",
    "atrous",
    "build",
    "check_batch",
    "densenet",
    "fcn",
    "fpn",
    "linknet",
    "pspnet",
    "segnet",
    "unet",
    "unet_classic",
]

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "fpn": fpn,
    "unet": unet,
    "linknet": linknet,
    "pspnet": pspnet,
    "fcn": fcn,
    "atrous": atrous,
    "densenet": densenet,
    "segnet": segnet,
    "unet_classic": unet_classic,
}
"""Function by the name that recipes and checkpoints use; the first argument is the number of classes."""


def build(architecture: str, classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """A network with random weights.

    Raises:
        ValueError: If there is no such architecture, or it does not take one of the arguments.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"There is no architecture {architecture!r}; choose one of {', '.join(ARCHITECTURES)}.")
    try:
        return ARCHITECTURES[architecture](classes, **arguments)
    except (
        AssertionError,
        AttributeError,
        KeyError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:  # from smp and timm
        reason = str(error.args[0] if error.args else type(error).__name__).rstrip(".")
        raise ValueError(f"Architecture {architecture} cannot take {arguments}: {reason}.") from None
