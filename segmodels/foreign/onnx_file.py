"""What an ONNX file says of itself: its input, its metadata and its size. Needs the library onnx, and runs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from segmodels.checkpoints.errors import CheckpointError
from segmodels.extras import missing_extra
from segmodels.files import is_lfs_pointer
from segmodels.sentences import first_line

__all__ = ["ONNX_METADATA", "OnnxFile", "check_extra", "find_onnx", "read_onnx"]

ONNX_METADATA = "garmentscope"
"""Key of the metadata of an ONNX file whose value is JSON with the keys of `ForeignSettings`."""


@dataclass(frozen=True)
class OnnxFile:
    """What an ONNX file says of itself.

    Args:
        batch: Number of photos that it takes at a time; 0 for any.
        height: Height of its input, in pixels; 0 for any.
        width: Width of its input, in pixels; 0 for any.
        half: Whether its input is float16; float32 otherwise.
        metadata: Metadata by key.
        parameters: Number of weights and biases.
        producer: Name of the program that wrote it; may be empty.
        beside: Files with further weights, as it names them.
    """

    batch: int
    height: int
    width: int
    half: bool
    metadata: Mapping[str, str]
    parameters: int
    producer: str
    beside: tuple[str, ...]


def check_extra() -> None:
    """Refuses to go on where what an ONNX file needs is not installed.

    Raises:
        CheckpointError: If it is not; the sentence says how to install it.
    """
    if problem := missing_extra("onnx", "onnx", "onnxruntime", what="An ONNX file"):
        raise CheckpointError(problem)


def find_onnx(path: Path) -> Path:
    """The ONNX file of a folder.

    Args:
        path: Folder with one ONNX file, itself or in its folder `onnx`; or the file.

    Raises:
        CheckpointError: If it has several.
    """
    if path.is_file():
        return path
    found = sorted(path.glob("*.onnx")) or sorted(path.glob("onnx/*.onnx"))
    whole = [each for each in found if each.name == "model.onnx"] or found
    if len(whole) != 1:
        names = ", ".join(each.name for each in whole) or "none"
        raise CheckpointError(f"{path} must hold one ONNX file, or model.onnx; it has {names}. Name the file.")
    return whole[0]


def read_onnx(path: Path) -> OnnxFile:
    """Reads an ONNX file, but not the weights in files beside it.

    Raises:
        CheckpointError: If it is damaged, takes no photos, has weights outside its folder, or onnx is not installed.
    """
    check_extra()
    stat = path.stat()
    file = _read(path, stat.st_mtime_ns, stat.st_size)
    for location in file.beside:
        _check_inside(path, location)
    return file


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int) -> OnnxFile:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own has no base that onnx names
        if is_lfs_pointer(path):
            raise CheckpointError(f"{path} is a Git LFS pointer. Run git lfs pull in its repository.") from None
        raise CheckpointError(
            f"{path} is not an ONNX file, or is damaged: {first_line(error)}. Get or export it again."
        ) from None
    parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    entries = (entry for tensor in _tensors(model.graph) for entry in tensor.external_data)
    beside = tuple(dict.fromkeys(entry.value for entry in entries if entry.key == "location"))
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    kinds = {onnx.TensorProto.FLOAT: False, onnx.TensorProto.FLOAT16: True}
    shapes = [[int(side.dim_value) for side in each.type.tensor_type.shape.dim] for each in inputs]
    if len(inputs) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (0, 3):
        seen = "; ".join(f"{each.name} {tuple(shape)}" for each, shape in zip(inputs, shapes, strict=True)) or "none"
        raise CheckpointError(
            f"{path} must have one input of the shape (N, 3, H, W), and has {seen}. Export the network with one."
        )
    element = inputs[0].type.tensor_type.elem_type
    if element not in kinds:
        name = onnx.TensorProto.DataType.Name(element).lower()
        raise CheckpointError(f"{path} takes {name}, and must take float or float16. Export the network with one.")
    batch, _, height, width = shapes[0]
    if batch > 1:
        raise CheckpointError(f"{path} takes {batch} photos at a time. Export it for one, or for any number.")
    metadata = {each.key: each.value for each in model.metadata_props}
    return OnnxFile(batch, height, width, kinds[element], metadata, parameters, model.producer_name, beside)


def _tensors(graph: Any) -> Iterator[Any]:
    """All tensors of a graph that may name a file: weights, constants, and those of graphs within."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _check_inside(path: Path, location: str) -> None:
    """Refuses weights outside the folder of the file. On the Hub's cache both are links to one other folder."""
    beside = path.parent / location
    inside = any(beside.resolve().is_relative_to(folder.resolve()) for folder in (path.parent, path.resolve().parent))
    if Path(location).is_absolute() or ".." in Path(location).parts or not inside:
        raise CheckpointError(f"{path} names weights outside its folder ({location}), which are never read.")
    if not beside.is_file():
        raise CheckpointError(f"{path} needs {location} beside it, which is missing.")
