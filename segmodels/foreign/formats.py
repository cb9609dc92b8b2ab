"""Whose model a folder holds, told by the names of its files and by its `config.json`, and which files make it.

Folders on disk and repositories on the Hub are told apart by the same rules. Nothing here imports a network's library.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from segmodels.checkpoints.errors import CheckpointError
from segmodels.files import open_regular, read_json

__all__ = [
    "FOREIGN_CONFIG",
    "PICKLES",
    "Format",
    "digest",
    "files_of",
    "format_of",
    "home_of",
    "is_weights",
    "name_of",
    "read_format",
    "weights_of",
]

Format = Literal["garmentscope", "transformers", "onnx"]
"""Whose network it is: a checkpoint of Garmentscope, a folder of transformers, or an ONNX file."""

PICKLES = (".bin", ".ckpt", ".pkl", ".pickle", ".pt", ".pth")
"""Endings of files that may hold weights as a pickle, which is refused."""

FOREIGN_CONFIG = "garmentscope.json"
"""File beside a network from elsewhere that says what its own files do not: the keys of `ForeignSettings`."""

_SMALL = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    FOREIGN_CONFIG,
    "README.md",
    "metrics.json",
    "calibration.json",
    "kinds.json",
    "kinds.safetensors",
    "embedding.safetensors",
    "evidence.parquet",
    "model.safetensors.index.json",
)
_WEIGHTS = "model.safetensors"
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_ONNX_DATA = re.compile(r".+\.onnx[._]data(_\d+)?|.+\.(data|weights)")
_TRANSFORMERS = re.compile(
    r"\w+ForSemanticSegmentation|Mask2FormerForUniversalSegmentation|MaskFormerForInstanceSegmentation"
)
_TASKS: Mapping[str, str] = {
    "ImageClassification": "a classification model",
    "ObjectDetection": "a detection model",
    "CausalLM": "a language model",
    "MaskedLM": "a language model",
    "SequenceClassification": "a text classification model",
    "DepthEstimation": "a depth model",
}
"""What a model is, by the end of its class's name after `For`."""

_BY_NAME: Sequence[tuple[str, str]] = (
    ("model_index.json", "a diffusers pipeline"),
    ("adapter_config.json", "an adapter (LoRA, peft) without its network"),
    ("saved_model.pb", "a TensorFlow SavedModel"),
)
_BY_ENDING: Mapping[str, str] = {
    ".gguf": "a GGUF file",
    ".keras": "a Keras model",
    ".h5": "a Keras or TensorFlow model",
    ".tflite": "a TensorFlow Lite model",
    ".mlmodel": "a Core ML model",
    ".mlpackage": "a Core ML model",
    ".engine": "a TensorRT engine",
    ".pdparams": "a PaddlePaddle model",
    ".msgpack": "a Flax model",
}
_WHAT_WORKS = (
    "Garmentscope runs its own checkpoints, segmentation networks of transformers (config.json, "
    "preprocessor_config.json and model.safetensors) and ONNX files."
)


def format_of(where: str, names: Collection[str], config: Mapping[str, Any] | None) -> Format:
    """Whose model some files make.

    Args:
        where: Folder or repository, for the sentence of an error.
        names: Names of its files; of those in folders below with `/`.
        config: Content of its `config.json`; None if there is none, or it cannot be read.

    Raises:
        CheckpointError: If it is a model of a kind that is not supported; the sentence names the kind.
    """
    config = config or {}
    if "format_version" in config:
        return "garmentscope"
    if what := next((what for name, what in _BY_NAME if name in names), ""):
        raise _unsupported(where, what)
    if any(name.endswith(".onnx") for name in names) and not _has_safetensors(names):
        return "onnx"
    if isinstance(config.get("architectures"), list) or "model_type" in config:
        _check_transformers(where, names, config)
        return "transformers"
    if "pretrained_cfg" in config:
        raise _unsupported(where, "a classification model of timm")
    if "encoder_name" in config:
        raise _unsupported(where, "a network of segmentation_models_pytorch", "Export it as an ONNX file.")
    if config or _has_safetensors(names):
        return "garmentscope"
    if what := next((what for ending, what in _BY_ENDING.items() if any(n.endswith(ending) for n in names)), ""):
        raise _unsupported(where, what)
    stems = {name.removesuffix(".xml") for name in names if name.endswith(".xml")}
    if any(f"{stem}.bin" in names for stem in stems):
        raise _unsupported(where, "an OpenVINO model", "Take the ONNX file that it was made from.")
    if pickles := sorted(name for name in names if name.endswith(PICKLES)):
        raise CheckpointError(_pickled(where, pickles[0]))
    return "garmentscope"


def is_weights(name: str) -> bool:
    """Whether a file of that name holds weights that can be read."""
    return bool(name == _WEIGHTS or _SHARD.fullmatch(name) or name.endswith(".onnx") or _ONNX_DATA.fullmatch(name))


def _has_safetensors(names: Collection[str]) -> bool:
    return any(name == _WEIGHTS or _SHARD.fullmatch(name) for name in names)


def _check_transformers(where: str, names: Collection[str], config: Mapping[str, Any]) -> None:
    """Refuses a folder of transformers that is no network for semantic segmentation, or not safe to load."""
    named = config.get("architectures") or []
    name = str(named[0]) if isinstance(named, list) and named else ""
    if "auto_map" in config:
        raise CheckpointError(
            f"{where} brings Python code of its own (auto_map in config.json), which is never run. Take a network "
            "whose class is part of transformers, or an ONNX file of this one."
        )
    if not _TRANSFORMERS.fullmatch(name):
        task = name.rpartition("For")[2]
        what = _TASKS.get(task, "a model")
        called = f"{what} of transformers ({name})" if name else "a part of a model of transformers, without a head"
        raise _unsupported(where, called)
    if "quantization_config" in config:
        raise _unsupported(where, f"a quantised model of transformers ({name})", "Take the one that it was made from.")
    if _has_safetensors(names) and "preprocessor_config.json" not in names:
        raise CheckpointError(
            f"{where} has no preprocessor_config.json, so the size and the normalisation of its input are not known. "
            "Save the image processor beside the network: processor.save_pretrained(FOLDER) of transformers."
        )
    if not _has_safetensors(names):
        pickles = sorted(each for each in names if each.endswith(PICKLES))
        if pickles:
            raise CheckpointError(
                f"{where} holds its weights only as a pickle ({pickles[0]}), which can run any code and is refused. "
                f"Where you trust it, convert it: {name}.from_pretrained(FOLDER).save_pretrained(FOLDER) of "
                "transformers writes model.safetensors."
            )
        raise CheckpointError(f"{where} has no model.safetensors. Get the network again.")


def _unsupported(where: str, what: str, advice: str = "") -> CheckpointError:
    return CheckpointError(f"{where} is {what}, which cannot be used here. {advice or _WHAT_WORKS}")


def _pickled(where: str, name: str) -> str:
    return (
        f"{where} holds its weights only as a pickle ({name}; ultralytics, which trains YOLO, and others write such "
        "files), which can run any code and is refused. Export it as an ONNX file where it was made, or save its "
        "weights as model.safetensors."
    )


def read_format(path: Path) -> Format:
    """Whose model a folder, or an ONNX file, holds; what is no model at all is taken for a damaged checkpoint.

    Raises:
        CheckpointError: If it is a file of another kind, or a model of a kind that is not supported.
    """
    if path.is_file():
        if path.suffix == ".onnx":
            return "onnx"
        if path.suffix in PICKLES:
            raise CheckpointError(_pickled(str(path), path.name))
        if path.suffix not in _BY_ENDING:
            raise CheckpointError(f"{path} is no model. {_WHAT_WORKS}")
        raise _unsupported(str(path), _BY_ENDING[path.suffix])
    if not path.is_dir():
        return "garmentscope"
    try:
        names = [each.name for each in path.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    names += [f"onnx/{each.name}" for each in (path / "onnx").glob("*.onnx")]
    try:
        config = read_json(path / "config.json")
    except (OSError, ValueError):
        config = None
    return format_of(str(path), names, config if isinstance(config, dict) else None)


def home_of(path: Path) -> Path:
    """The folder of a model: that of the file, where an ONNX file is named."""
    return path.parent if path.is_file() else path


def name_of(path: Path) -> str:
    """Name of the model in a folder or an ONNX file; in the folder `checkpoint` of a run, that of the run."""
    if path.is_file():
        return path.stem
    folder = path.resolve()
    return (folder.parent if folder.name == "checkpoint" and folder.parent.name else folder).name


def files_of(names: Collection[str]) -> list[str]:
    """Names of the files of a repository that make a model, those with the weights last."""
    found = [name for name in _SMALL if name in names]
    weights = sorted(name for name in names if name == _WEIGHTS or _SHARD.fullmatch(name))
    if not weights and (networks := sorted(name for name in names if name.endswith(".onnx"))):
        folder = networks[0].rpartition("/")[0]  # `model.onnx`, or `onnx/model.onnx`
        network = f"{folder}/model.onnx".lstrip("/")
        network = network if network in networks else networks[0]
        inside = [name for name in names if name.rpartition("/")[0] == folder]
        found += [name for name in inside if name == f"{network.removesuffix('.onnx')}.json"]
        weights = [*sorted(name for name in inside if _ONNX_DATA.fullmatch(name)), network]
    return [*found, *weights]


def weights_of(path: Path) -> list[Path]:
    """The files with a model's weights; empty if there are none.

    Args:
        path: Folder of the model, or an ONNX file.
    """
    if path.is_file():
        names = [path.name, *(each.name for each in sorted(path.parent.iterdir()) if _ONNX_DATA.fullmatch(each.name))]
        return [path.parent / name for name in names if name == path.name or name.startswith(path.name)]
    try:
        names = [each.name for each in path.iterdir() if each.is_file()]
    except OSError:  # no folder, or one that may not be read
        return []
    found = sorted(name for name in names if name == _WEIGHTS or _SHARD.fullmatch(name))
    if found:
        number = found[0].rpartition("-of-")[2].partition(".")[0]
        return [path / name for name in found] if found[0] == _WEIGHTS or len(found) == int(number) else []
    found = sorted(name for name in names if name.endswith(".onnx") or _ONNX_DATA.fullmatch(name))
    if any(name.endswith(".onnx") for name in found):
        return [path / name for name in found]
    return weights_of(path / "onnx") if path.name != "onnx" else []


def digest(files: Sequence[Path]) -> str:
    """Identifier of weights: the first 12 hex digits of the SHA-256 of their files, one after the other.

    Raises:
        OSError: If one cannot be read.
    """
    whole = hashlib.sha256()
    for path in files:
        with open_regular(path) as file:
            while part := file.read(1 << 20):
                whole.update(part)
    return whole.hexdigest()[:12]
