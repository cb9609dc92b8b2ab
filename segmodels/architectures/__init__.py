"""The networks: a function each, in one literal dict.

Every network maps float32 `(N, 3, H, W)` to logits `(N, classes, H, W)`, for any H and W.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from segmodels.architectures.smp import fpn

__all__ = ["ARCHITECTURES", "build", "fpn"]

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {"fpn": fpn}
"""Function by the name that recipes and checkpoints use; the first argument is the number of classes."""


def build(architecture: str, classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """A network with random weights.

    Raises:
        ValueError: If there is no such architecture, or it does not take one of the arguments.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"There is no architecture {architecture!r}; there are {', '.join(ARCHITECTURES)}.")
    try:
        return ARCHITECTURES[architecture](classes, **arguments)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:  # as smp and timm raise them
        reason = str(error.args[0] if error.args else error).rstrip(".")
        raise ValueError(f"Architecture {architecture} cannot take {arguments}: {reason}.") from None
