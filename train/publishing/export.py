"""Writes a network for other programs to run: ONNX, TorchScript or OpenVINO, checked against what it is here.

The file holds the bare network. Its input `pixels` is float32 `(N, 3, height, width)`: RGB, divided by 255, minus the
mean, divided by the standard deviation. Its output `probabilities` is float32 `(N, C, height, width)`. Any `N` will do.
What surrounds a network here stays here: the person detector, the second pass, test-time augmentation, the opening of
maps, and the calibration.

Metadata is one JSON (`metadata_of`): ONNX has it in `metadata_props` under `garmentscope`, TorchScript as the extra
file `garmentscope.json`, OpenVINO in `rt_info` under `garmentscope`.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import segmodels
from segmodels.architectures.folding import fold_batch_norm
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.errors import GarmentscopeError
from segmodels.extras import missing_extra
from segmodels.files import replacing, write_whole
from segmodels.inference.boxes import PADDING_GREY, Box, crop_around, cut
from train.publishing.card import card_data
from train.publishing.example import example

__all__ = ["FORMATS", "Agreement", "ExportError", "Format", "check_exportable", "export", "metadata_of"]

_LARGEST_DIFFERENCE = 1e-3  # of probabilities; those of one network differ by about 1e-6 between programs
_LEAST_AGREEMENT = 0.999  # of pixels; where two classes are equally likely, rounding decides


class ExportError(GarmentscopeError, ValueError):
    """A network that cannot be exported; the message says which, why and what to do."""


@dataclass(frozen=True)
class Agreement:
    """How far an exported file gives what the network gives here.

    Args:
        difference: Largest absolute difference of a probability.
        same_class: Share of the pixels that have the same likeliest class, 0..1.
        pixels: Number of pixels compared.
    """

    difference: float
    same_class: float
    pixels: int


@dataclass(frozen=True)
class Format:
    """A format that a network can be written in.

    Args:
        suffix: Ending of the file's name.
        extra: Extra of `pyproject.toml` that writes and runs it; empty if it needs none.
        modules: Modules of that extra.
        write: Function that writes a network, an example batch and the metadata to a path.
        run: Function that runs the file at a path over a batch, float32 `(N, 3, H, W)` to `(N, C, H, W)`.
    """

    suffix: str
    extra: str
    modules: tuple[str, ...]
    write: Callable[[nn.Module, torch.Tensor, str, Path], None]
    run: Callable[[Path, np.ndarray], np.ndarray]


class _Probabilities(nn.Module):
    """A network with the softmax after it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        probabilities: torch.Tensor = self.network(pixels).softmax(dim=1)
        return probabilities


def export(checkpoint: Checkpoint, kind: str, out: Path, photo: np.ndarray | None = None) -> Agreement:
    """Writes the network of a checkpoint, and beside it `example.py`, which runs it without Garmentscope.

    The file is run over a crop of a photo and its mirror image before it takes its place: where it does not give what
    the network gives here, nothing is left of it.

    Args:
        checkpoint: Checkpoint with its network on the processor.
        kind: Key in `FORMATS`.
        out: Path of the file, with the format's ending.
        photo: Photo to check with, uint8 `(H, W, 3)` RGB, upright; a drawn one if left out.

    Raises:
        ExportError: If the checkpoint is an ensemble or a network from elsewhere, the extra is not installed, the path
            has another ending, `example.py` there is another file, the network has a step that the format lacks, or the
            outputs differ.
        OSError: If the file cannot be written.
    """
    form, config = FORMATS[kind], checkpoint.config
    name = checkpoint.name
    check_exportable(name, config)
    if form.extra and (problem := missing_extra(form.extra, *form.modules, what=f"--format {kind}")):
        raise ExportError(problem)
    if out.suffix != form.suffix:
        raise ExportError(f"{out} does not end in {form.suffix}. Name the file {out.with_suffix(form.suffix).name}.")
    script, text = out.with_name("example.py"), example(kind, out.name)
    if script.exists() and "garmentscope" not in script.read_text("utf-8", "replace"):
        raise ExportError(f"{script} is another file, which the example would replace. Name another folder.")
    batch = _crops(checkpoint, _drawn() if photo is None else photo)
    with torch.inference_mode():
        expected = checkpoint.network(batch).softmax(dim=1).numpy()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        fresh = Path(folder) / out.name
        network = _Probabilities(fold_batch_norm(checkpoint.network)).eval()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                form.write(network, batch, json.dumps(metadata_of(checkpoint), ensure_ascii=False), fresh)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # exporters raise what they like
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ExportError(
                f"{name} ({config.architecture}) has a step that {kind} cannot express: {reason.rstrip('.')}. "
                f"Choose another --format of {', '.join(FORMATS)}."
            ) from error
        agreement = _compare(expected, form, fresh, batch.numpy(), f"{name} as {kind}")
        for part in sorted(Path(folder).iterdir(), reverse=True):  # OpenVINO's weights before the graph that names them
            with replacing(out.with_name(part.name)) as place:
                part.replace(place)
    write_whole(script, text)
    return agreement


def check_exportable(name: str, config: CheckpointConfig) -> None:
    """Refuses what is not one network of ours; no weights are needed to tell.

    Args:
        name: Name of the checkpoint.
        config: Configuration of the checkpoint.

    Raises:
        ExportError: If the checkpoint is an ensemble or a network from elsewhere.
    """
    if config.foreign:
        raise ExportError(
            f"{name} is a network of {config.foreign.library}, which is run as it is. Export it by that library."
        )
    if config.ensemble:
        members = ", ".join(
            f"{each.architecture} at {each.height} x {each.width}" for each in (config, *config.ensemble)
        )
        raise ExportError(
            f"{name} is an ensemble of {members}, each with a crop of its own, which is not one graph. "
            "Export the checkpoints that it was joined from."
        )


def _compare(expected: np.ndarray, form: Format, path: Path, batch: np.ndarray, what: str) -> Agreement:
    """Runs a file over a batch, and over its first crop alone, and compares with what is expected.

    Raises:
        ExportError: If the outputs differ by more than rounding.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript says that it is old
            given = [form.run(path, batch), form.run(path, batch[:1])]
    except Exception as error:  # so do those who run them
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{what} was written, but cannot be run: {reason}. The file was not kept.") from error
    wanted = [expected, expected[:1]]
    if any(one.shape != other.shape for one, other in zip(given, wanted, strict=True)):
        raise ExportError(
            f"{what} gives {given[0].shape} for {expected.shape} and {given[1].shape} for {expected[:1].shape}. "
            "The file was not kept."
        )
    same = [one.argmax(axis=1) == other.argmax(axis=1) for one, other in zip(given, wanted, strict=True)]
    agreement = Agreement(
        difference=max(float(np.abs(one - other).max()) for one, other in zip(given, wanted, strict=True)),
        same_class=float(np.mean(np.concatenate([each.ravel() for each in same]))),
        pixels=sum(each.size for each in same),
    )
    # `not <=` is true of NaN as well
    if not agreement.difference <= _LARGEST_DIFFERENCE or agreement.same_class < _LEAST_AGREEMENT:
        raise ExportError(
            f"{what} gives other results: probabilities differ by up to {agreement.difference:.2g} and "
            f"{1 - agreement.same_class:.2%} of the pixels have another class. The file was not kept; try another "
            "version of the package that writes it."
        )
    return agreement


def metadata_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a file says of itself: input, output, classes, licence and origin.

    Args:
        checkpoint: Checkpoint of the network.
    """
    config, taxonomy = checkpoint.config, checkpoint.taxonomy
    return {
        "format_version": 1,
        "name": checkpoint.name,
        "revision": checkpoint.revision,
        "architecture": config.architecture,
        "input": {
            "name": "pixels",
            "layout": "NCHW",
            "channels": "RGB",
            "height": config.height,
            "width": config.width,
            "scale": 255,
            "mean": config.mean,
            "std": config.std,
            "resize": config.resize,
            "padding": PADDING_GREY,
        },
        "output": {"name": "probabilities", "layout": "NCHW"},
        "taxonomy": taxonomy.name,
        "classes": [
            {"id": each.id, "name": each.name, "group": each.group, "colour": each.colour} for each in taxonomy.classes
        ],
        "license": _licence(checkpoint),
        "dataset": config.training.get("dataset"),
        "exported_by": f"garmentscope {segmodels.__version__}",
    }


def _licence(checkpoint: Checkpoint) -> str:
    """Licence of the weights, as the model card has it."""
    card = card_data(checkpoint.name, checkpoint.config, checkpoint.results)
    return str(card.license_name or card.license)


def _crops(checkpoint: Checkpoint, photo: np.ndarray) -> torch.Tensor:
    """Input of a network: the whole photo and its mirror image, float32 `(2, 3, height, width)`, normalised."""
    config = checkpoint.config
    crop = crop_around(Box(0, 0, photo.shape[1], photo.shape[0]), config.aspect)
    pixels = cut(photo, crop, config.height, config.width)
    batch = torch.from_numpy(np.stack([pixels, pixels[:, ::-1]])).permute(0, 3, 1, 2)
    return batch.float().div_(255).sub_(config.mean).div_(config.std).contiguous()


def _drawn() -> np.ndarray:
    """A photo that needs no file: a figure of plain colours before a shaded wall, uint8 `(480, 320, 3)`."""
    y, x = np.mgrid[:480, :320]
    photo = np.stack([150 + x / 8, 160 + y / 16, 170 - x / 8], axis=-1)
    for (top, bottom, left, right), colour in (
        ((40, 110, 130, 190), (205, 160, 130)),
        ((110, 270, 100, 220), (170, 30, 45)),
        ((270, 430, 115, 205), (40, 60, 120)),
        ((430, 460, 110, 210), (25, 20, 20)),
    ):
        photo[top:bottom, left:right] = colour
    photo += 12 * np.sin(x / 3 + y / 5)[..., None]
    return np.asarray(np.clip(np.rint(photo), 0, 255), np.uint8)


# --- Formats ----------------------------------------------------------------------------------------------------------


def _write_onnx(network: nn.Module, batch: torch.Tensor, metadata: str, path: Path) -> None:
    import onnx

    program = torch.onnx.export(
        network,
        (batch,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["pixels"],
        output_names=["probabilities"],
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {"garmentscope": metadata})
    onnx.save(model, path)


def _run_onnx(path: Path, batch: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probabilities"], {"pixels": batch})[0])


def _write_torchscript(network: nn.Module, batch: torch.Tensor, metadata: str, path: Path) -> None:
    with torch.inference_mode():
        traced = torch.jit.trace(network, batch, check_trace=False)
    torch.jit.save(traced, str(path), _extra_files={"garmentscope.json": metadata})


def _run_torchscript(path: Path, batch: np.ndarray) -> np.ndarray:
    network = torch.jit.load(str(path), map_location="cpu")
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(np.array(batch))).numpy())


def _write_openvino(network: nn.Module, batch: torch.Tensor, metadata: str, path: Path) -> None:
    import openvino

    model = openvino.convert_model(network, example_input=batch, input=[(-1, *batch.shape[1:])])
    model.inputs[0].get_tensor().set_names({"pixels"})
    model.outputs[0].get_tensor().set_names({"probabilities"})
    model.set_rt_info(metadata, ["garmentscope"])
    openvino.save_model(model, path, compress_to_fp16=False)


def _run_openvino(path: Path, batch: np.ndarray) -> np.ndarray:
    import openvino

    # some processors would compute in bf16 otherwise
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(batch)["probabilities"])


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", "onnx", ("onnx", "onnxruntime", "onnxscript"), _write_onnx, _run_onnx),
    "torchscript": Format(".pt", "", (), _write_torchscript, _run_torchscript),
    "openvino": Format(".xml", "openvino", ("openvino",), _write_openvino, _run_openvino),
}
"""Formats by the name that `--format` takes."""
