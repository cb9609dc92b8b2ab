"""Runs of a network without numbers, on torch's meta device: they compute nothing and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import torch
from torch import nn

__all__ = ["check_batch", "dry_run", "without_unused"]

Arguments = ParamSpec("Arguments")


def dry_run(network: nn.Module, photos: tuple[int, int, int, int]) -> tuple[dict[str, torch.Tensor], Any]:
    """Runs a network in the mode it is in; its weights and running statistics stay what they are.

    Args:
        network: Network that takes float32 photos.
        photos: Shape `(N, 3, H, W)` of the photos.

    Returns:
        Stand-ins of the parameters by name, and the output of the network, all on the meta device.
    """
    with torch.inference_mode(False), torch.enable_grad():  # gradients' paths also where the caller wants none
        parameters = {
            name: torch.empty_like(tensor, device="meta", requires_grad=tensor.requires_grad)
            for name, tensor in network.named_parameters()
        }
        buffers = {name: torch.empty_like(tensor, device="meta") for name, tensor in network.named_buffers()}
        values = torch.empty(photos, device="meta")
        return parameters, torch.func.functional_call(network, parameters | buffers, values)


def without_unused(build: Callable[Arguments, nn.Module]) -> Callable[Arguments, nn.Module]:
    """Lets a function that builds networks remove the modules whose parameters get no gradient from the logits.

    Libraries build encoders whole even where a decoder takes only the first maps. What is left over makes checkpoints
    larger, and stops distributed training. It is looked for once for the same arguments.

    Args:
        build: Function that builds networks that map `(2, 3, 64, 64)` to logits.
    """
    known: dict[str, set[str]] = {}

    @wraps(build)
    def build_and_drop(*args: Arguments.args, **kwargs: Arguments.kwargs) -> nn.Module:
        network = build(*args, **kwargs)
        arguments = repr((args, sorted(kwargs.items())))
        if arguments not in known:
            known[arguments] = _used(network)
        _drop(network, "", known[arguments])
        return network

    return build_and_drop


def _used(network: nn.Module) -> set[str]:
    """Names of the parameters that get a gradient from the logits."""
    parameters, logits = dry_run(network, (2, 3, 64, 64))
    seen, ahead = set(), [logits.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [before for before, _ in node.next_functions]
    reached = {id(node.variable) for node in seen if hasattr(node, "variable")}
    return {name for name, parameter in parameters.items() if id(parameter) in reached}


def _drop(module: nn.Module, prefix: str, used: set[str]) -> None:
    for name, child in module.named_children():
        path = f"{prefix}{name}."
        names = [path + parameter for parameter, _ in child.named_parameters()]
        if names and used.isdisjoint(names):
            setattr(module, name, _Dropped())
        else:
            _drop(child, path, used)


class _Dropped(nn.Module):
    """Replaces a module whose output is not used."""

    def forward(self, values: torch.Tensor, *rest: object) -> torch.Tensor:
        return values


def check_batch(network: nn.Module, photos: int, height: int, width: int) -> None:
    """Refuses a batch that is too small to train on.

    While it trains, BatchNorm divides by the spread of a channel over photos and pixels, which a single
    value does not have. One photo is enough for most networks unless it is so small that the deepest map is a single
    pixel; for `atrous` it never is, as it pools the whole map to one pixel.

    Args:
        network: Network from `build`.
        photos: Number of photos in the smallest batch on one device.
        height: Height of a photo, in pixels.
        width: Width of a photo, in pixels.

    Raises:
        ValueError: If a layer would normalise a single value per channel.
    """
    was_training = network.training
    try:
        dry_run(network.train(), (photos, 3, height, width))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"A batch of {photos} of {height} x {width} pixels cannot train this network: its BatchNorm would see a "
            "single value per channel. Use a batch of at least 2."
        ) from None
    finally:
        network.train(was_training)
