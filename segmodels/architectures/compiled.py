"""Networks that OpenVINO runs in place of PyTorch, on a processor."""

from __future__ import annotations

import warnings
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import nn

from segmodels.device import DeviceError, Precision
from segmodels.extras import missing_extra
from segmodels.sentences import first_line
from segmodels.settings import RUNTIME_VARIABLE

__all__ = ["RUNTIMES", "CompiledNetwork", "check_runtime"]

RUNTIMES = ("torch", "openvino")
"""What can run networks on a processor. A GPU always runs them with PyTorch."""


def check_runtime(runtime: str) -> None:
    """Checks that a runtime is one that is installed.

    Args:
        runtime: One of `RUNTIMES`.

    Raises:
        DeviceError: If there is no such runtime, or it is not installed.
    """
    if runtime not in RUNTIMES:
        raise DeviceError(f"{RUNTIME_VARIABLE} must be {' or '.join(RUNTIMES)}, not {runtime!r}.")
    if runtime == "openvino" and (
        missing := missing_extra("openvino", "openvino", what=f"{RUNTIME_VARIABLE}=openvino")
    ):
        raise DeviceError(missing)


class CompiledNetwork(nn.Module):
    """A network that OpenVINO runs on the processor, one photo after the other.

    It is compiled for each size of its input when a photo of that size first comes, which takes a second or two. One
    instance serves any number of threads.

    Args:
        network: Network on the processor, in evaluation mode, that gives a tensor or several, each `(N, ...)`.
        precision: Number format of the features.
    """

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        self._network = network
        self._precision = precision
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = Lock()

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """The first of the network's outputs, float32.

        Args:
            photos: Input, float32 `(N, 3, H, W)`.
        """
        return self.outputs(photos)[0]

    def outputs(self, photos: torch.Tensor) -> list[torch.Tensor]:
        """All outputs of the network, each float32.

        Args:
            photos: Input, float32 `(N, 3, H, W)`.

        Raises:
            DeviceError: If OpenVINO cannot run the network.
        """
        compiled = self._compile(tuple(photos.shape[1:]))
        found = []
        for photo in photos.numpy():
            request = compiled.create_infer_request()  # of its own, as other threads may run the network as well
            request.infer([np.ascontiguousarray(photo[None])], share_inputs=True)
            found.append([torch.from_numpy(each.data) for each in request.output_tensors])
        return found[0] if len(found) == 1 else [torch.cat(parts) for parts in zip(*found, strict=True)]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape not in self._compiled:
                self._compiled[shape] = self._compile_for(shape)
            return self._compiled[shape]

    def _compile_for(self, shape: tuple[int, ...]) -> Any:
        import openvino

        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if self._precision.name == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            without = torch.autocast("cpu", enabled=False)
            with torch.inference_mode(False), torch.no_grad(), without, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tracing warns of each decision that depends on the input's size
                example = torch.zeros(1, *shape)
                model = openvino.convert_model(self._network, example_input=example, input=[tuple(example.shape)])
            return openvino.Core().compile_model(model, "CPU", options)
        except Exception as error:  # OpenVINO has no class of its own for what it cannot convert
            raise DeviceError(
                f"OpenVINO cannot run this model ({first_line(error)}). Unset {RUNTIME_VARIABLE}."
            ) from error
