"""What a network from elsewhere is: its classes, its input and its origin, read without its library.

The values are those of a checkpoint's `config.json`, so that pages and commands read both alike. What the network's
own files do not say stands in `garmentscope.json` (the keys of `ForeignSettings`), or in the metadata of an ONNX file
under the key `garmentscope`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from segmodels.checkpoints.errors import CheckpointError
from segmodels.files import open_regular, parse_json, read_json
from segmodels.foreign.formats import FOREIGN_CONFIG, read_format
from segmodels.foreign.labels import Labels, arrange
from segmodels.foreign.onnx_file import ONNX_METADATA, find_onnx, read_onnx
from segmodels.sentences import first_line
from segmodels.taxonomy import TAXONOMIES, Group, Taxonomy, TaxonomyError, taxonomy_entries
from segmodels.validation import Deviation, Pixels, Share, checked_fields, expected

__all__ = ["NOT_STATED", "Foreign", "ForeignSettings", "config_values", "describe_foreign"]

NOT_STATED = "not stated"
"""Licence or source of a network that says none."""

_OWN = "Correct it there."
"""Advice on a file that whoever uses the network has written."""

_Means = Annotated[
    Share | Annotated[list[Share], Field(min_length=3, max_length=3)],
    expected("a number from 0 to 1, as pixels are, or a list of three, one for each of red, green and blue"),
]
_Deviations = Annotated[
    Deviation | Annotated[list[Deviation], Field(min_length=3, max_length=3)],
    expected("a number from 0.001 to 10, or a list of three, one for each of red, green and blue"),
]
_Texts = Annotated[list[str], Field(min_length=1, max_length=4096), expected("a list of texts")]
_Framing = Literal["none", "person", "box", "found"]
_FRAMINGS: Mapping[str, str] = {
    "none": "It is given the whole photo, so people are not told apart.",
    "person": "It is given each person whom the detector finds.",
    "box": "It is given each person whom the detector finds.",
    "found": "It is given the whole photo, and then what it found there.",
}


@dataclass(frozen=True, kw_only=True)
class ForeignSettings:
    """Keys of `garmentscope.json`; all may be left out where the network's own files say the same."""

    classes: _Texts | None = None
    """Name of the class of each channel of the output."""

    background: str | None = None
    """Name of the class that is the background; empty if there is none. Left out, it is found by its name."""

    height: Pixels | None = None
    """Height of the input, in pixels; left out, that of the file."""

    width: Pixels | None = None
    """Width of the input, in pixels; left out, that of the file."""

    mean: _Means | None = None
    """Mean that is subtracted after scaling to 0..1; a number, or one for each of red, green and blue."""

    std: _Deviations | None = None
    """Standard deviation by which the rest is divided; a number, or one for each channel."""

    resize: Literal["keep", "squash"] = "squash"
    """`squash`: a photo is resized to the input whatever its shape; `keep`: it keeps its shape, on grey."""

    order: Literal["rgb", "bgr"] = "rgb"
    """Order of the channels of the input."""

    output: Literal["logits", "probabilities"] = "logits"
    """What the output holds: logits, of which softmax makes probabilities, or probabilities."""

    crop: _Framing = "none"
    """Region of interest, as `CheckpointConfig.crop` has it; `none`, the whole photo, if left out."""

    margin: Share = 0.06
    """Border of the crop, as a share of the longer side of what was found."""

    taxonomy: str | dict[str, Any] | None = None
    """Name of the taxonomy, or all of it as `Taxonomy.to_json` gives it."""

    groups: dict[str, str] | None = None
    """Group by class, for any of the classes: background, body, garment, accessory or part."""

    colours: dict[str, str] | None = None
    """Display colour (`#RRGGBB`) by class, for any of the classes."""

    licence: str | None = None
    """Licence of the weights; left out, that of the README's front matter."""

    source: str | None = None
    """Where the network is from; left out, what its files say."""


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What a checkpoint's config says of a network from elsewhere, and of no other.

    Args:
        library: What runs the network.
        licence: Licence of the weights, or `NOT_STATED`.
        source: Origin of the network, such as an address on the Hub, or `NOT_STATED`.
        channels: Channels of the network's output, by the id of the class that they are.
        notes: Sentences on what is the background, and on what the network is given.
        mean: Mean by channel of the input, of an ONNX file.
        std: Standard deviation by channel of the input, of an ONNX file.
        order: Order of the channels of the input, of an ONNX file.
        output: What the output of an ONNX file holds.
        shortest: Whether the shorter side of a photo is resized to the height and the longer one follows.
    """

    library: Literal["transformers", "onnx"]
    licence: str
    source: str
    channels: tuple[tuple[int, ...], ...]
    notes: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    order: Literal["rgb", "bgr"] = "rgb"
    output: Literal["logits", "probabilities"] = "logits"
    shortest: bool = False


def config_values(path: Path) -> dict[str, Any] | None:
    """Values of the `config.json` that a network from elsewhere would have; None for a checkpoint of Garmentscope.

    Args:
        path: Folder of the model, or an ONNX file.

    Raises:
        CheckpointError: If it is a model of a kind that is not supported, or its files say too little.
    """
    return describe_foreign(path) if read_format(path) != "garmentscope" else None


def describe_foreign(path: Path) -> dict[str, Any]:
    """Values of a config for a network from elsewhere.

    Args:
        path: Folder of the model, or an ONNX file.

    Raises:
        CheckpointError: If its files are damaged, or say too little.
    """
    if read_format(path) == "onnx":
        return _of_onnx(find_onnx(path))
    folder = path
    config = _read(folder / "config.json")
    beside = folder / FOREIGN_CONFIG
    settings = _settings(_read(beside, {}, _OWN), beside)
    for key in ("classes", "height", "width", "mean", "std"):
        if getattr(settings, key) is not None:
            raise CheckpointError(
                f"{beside}: {key} stands in config.json or preprocessor_config.json already. Leave it "
                "out, or change it there."
            )
    height, width, shortest = _size(folder)
    architecture = str(config.get("model_type") or config["architectures"][0])
    backbone = config.get("backbone_config")
    arguments = {"backbone": backbone["model_type"]} if isinstance(backbone, dict) and "model_type" in backbone else {}
    names = _id2label(config, folder / "config.json")
    told = any(getattr(settings, key) is not None for key in ("taxonomy", "background", "groups", "colours"))
    labels = _labels(names, settings, architecture, beside if told else folder / "config.json")
    return _values(
        settings,
        labels,
        folder,
        architecture=architecture,
        arguments=arguments,
        height=height,
        width=width,
        foreign={"library": "transformers", "shortest": shortest},
        named=str(config.get("_name_or_path") or ""),
    )


def _of_onnx(path: Path) -> dict[str, Any]:
    file = read_onnx(path)
    values, where = _onnx_settings(path, file.metadata)
    settings = _settings(values, where)
    if settings.classes is None:
        raise CheckpointError(
            f"{path} does not say what its classes are. Write {path.with_suffix('.json').name} beside it, with the "
            "keys classes, mean and std (README of segmodels, Networks from elsewhere)."
        )
    if settings.mean is None or settings.std is None:
        raise CheckpointError(
            f"{where} lacks mean or std: by what the input is normalised after scaling to 0..1. Add them."
        )
    height, width = settings.height or file.height, settings.width or file.width
    if not height or not width:
        raise CheckpointError(f"{where} lacks height or width, and the input of {path.name} is of any size. Add them.")
    for name, given, own in (("height", height, file.height), ("width", width, file.width)):
        if own and given != own:
            raise CheckpointError(f"{where}: {name} is {given}, and {path.name} takes {own} only. Leave it out.")
    labels = _labels(settings.classes, settings, "ONNX", where)
    return _values(
        settings,
        labels,
        path.parent,
        architecture="ONNX",
        arguments={},
        height=height,
        width=width,
        foreign={
            "library": "onnx",
            "mean": _three(settings.mean),
            "std": _three(settings.std),
            "order": settings.order,
            "output": settings.output,
        },
        named=file.producer,
    )


def _onnx_settings(path: Path, metadata: Mapping[str, str]) -> tuple[dict[str, Any], Path]:
    """The settings of an ONNX file, and where they stand: a JSON beside it, its metadata, or transformers' files."""
    for beside in (path.with_suffix(".json"), path.parent / FOREIGN_CONFIG):
        if beside.is_file():
            return _read(beside, advice=_OWN), beside
    if ONNX_METADATA in metadata:
        try:
            return _exported(parse_json(metadata[ONNX_METADATA])), path
        except (AttributeError, KeyError, TypeError, ValueError):
            raise CheckpointError(f"{path}: its metadata {ONNX_METADATA} cannot be read. Export it again.") from None
    for folder in (path.parent, path.parent.parent):  # `model.onnx` or `onnx/model.onnx` beside the two
        if (folder / "preprocessor_config.json").is_file() and (folder / "config.json").is_file():
            height, width, shortest = _size(folder)
            steps = _read(folder / "preprocessor_config.json")
            if shortest:
                raise CheckpointError(
                    f"{folder / 'preprocessor_config.json'}: an ONNX file needs a fixed size. Give height and width."
                )
            factor = 255 * float(steps.get("rescale_factor", 1 / 255)) if steps.get("do_rescale", True) else 255.0
            means, deviations = _three(0), _three(1)
            if steps.get("do_normalize", True):
                means, deviations = (_three(steps.get(key, 0.5)) for key in ("image_mean", "image_std"))
            values = {
                "classes": _id2label(_read(folder / "config.json"), folder / "config.json"),
                "mean": [each / factor for each in means],
                "std": [each / factor for each in deviations],
                "height": height,
                "width": width,
            }
            return values, folder / "config.json"
    return {}, path


def _exported(values: dict[str, Any]) -> dict[str, Any]:
    """Settings in the metadata of an ONNX file: those of `train export`, or the keys of `ForeignSettings`."""
    if "input" not in values:
        known = {each.name for each in fields(ForeignSettings)}
        return {key: value for key, value in values.items() if key in known}
    rows = [{key: row[key] for key in ("name", "group", "colour")} for row in values["classes"]]
    return {
        "classes": [row["name"] for row in rows],
        "taxonomy": {"name": values["taxonomy"], "classes": rows},
        **{key: values["input"][key] for key in ("height", "width", "mean", "std", "resize")},
        "output": values["output"]["name"],
        "licence": values.get("license"),
        "source": f"{values['name']} of Garmentscope, revision {values['revision']}",
    }


def _values(
    settings: ForeignSettings,
    labels: Labels,
    folder: Path,
    *,
    architecture: str,
    arguments: dict[str, Any],
    height: int,
    width: int,
    foreign: dict[str, Any],
    named: str,
) -> dict[str, Any]:
    licence, source = _origin(folder, named)
    return {
        "architecture": architecture,
        "arguments": arguments,
        **taxonomy_entries(labels.taxonomy),
        "height": height,
        "width": width,
        "mean": 0.0,  # the network brings its own normalisation
        "std": 1.0,
        "resize": settings.resize,
        "crop": settings.crop,
        "margin": settings.margin,
        "foreign": Foreign(
            licence=settings.licence or licence,
            source=settings.source or source,
            channels=labels.channels,
            notes=f"{labels.background} {_FRAMINGS[settings.crop]}",
            **foreign,
        ),
    }


def _labels(names: Sequence[str], settings: ForeignSettings, what: str, where: Path) -> Labels:
    try:
        if isinstance(settings.taxonomy, dict):
            taxonomy = TAXONOMIES.get(str(settings.taxonomy.get("name"))) or Taxonomy.from_json(settings.taxonomy)
            if list(taxonomy.names) != list(names):
                raise ValueError(f"its classes are not those of its taxonomy {taxonomy.name}")
            own = tuple((at,) for at in range(len(names)))
            return Labels(taxonomy, own, f"Its background is the class {taxonomy.names[0]}.")
        name = settings.taxonomy or f"{len(names)} classes of {what}"
        groups: Mapping[str, Group] | None = settings.groups  # type: ignore[assignment]
        return arrange(names, name, settings.background, groups, settings.colours)
    except TaxonomyError as error:
        raise CheckpointError(f"{where}: {error} Correct it there.") from None
    except ValueError as error:
        raise CheckpointError(f"{where}: {error}. Name one of them as background, or leave the key out.") from None


def _settings(values: Mapping[str, Any], where: Path) -> ForeignSettings:
    try:
        return ForeignSettings(**checked_fields(ForeignSettings, values, CheckpointError))
    except CheckpointError as error:
        advice = "Export it again." if where.suffix == ".onnx" else "Correct it there."
        raise CheckpointError(f"{where}: {error} {advice}") from None


def _id2label(config: Mapping[str, Any], where: Path) -> list[str]:
    """Labels by channel of a `config.json` of transformers."""
    found = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})  # what the library has where none are stored
    try:
        labels = {int(key): str(value) for key, value in found.items()}
    except (AttributeError, ValueError):
        labels = {}
    if sorted(labels) != list(range(len(labels))) or not labels:
        raise CheckpointError(f"{where}: id2label must name the classes 0, 1, 2 and so on. Correct it there.")
    return [labels[at] for at in range(len(labels))]


def _size(folder: Path) -> tuple[int, int, bool]:
    """Height and width of the input, and whether they are the shorter side of a photo whose shape is kept."""
    path = folder / "preprocessor_config.json"
    steps = _read(path)
    if "auto_map" in steps:
        raise CheckpointError(f"{path} brings Python code of its own (auto_map), which is never run.")
    if steps.get("do_center_crop"):
        raise CheckpointError(f"{path} cuts away the borders of a photo (do_center_crop). Set it to false.")
    if not steps.get("do_resize", True):
        raise CheckpointError(f"{path} leaves photos at their own size (do_resize). Set it to true, and a size.")
    size = steps.get("size")
    size = {"height": size, "width": size} if isinstance(size, int) else size
    found: tuple[Any, Any, bool] = (None, None, False)
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        found = (size["height"], size["width"], False)
    elif isinstance(size, dict) and "shortest_edge" in size:
        found = (size["shortest_edge"], size["shortest_edge"], True)
    if not all(isinstance(each, int) and 16 <= each <= 2048 for each in found[:2]):
        raise CheckpointError(
            f"{path}: size must have height and width, or shortest_edge, from 16 to 2048 pixels. Correct it there."
        )
    return found


def _origin(folder: Path, named: str) -> tuple[str, str]:
    """Licence and source that the files of a folder state."""
    from huggingface_hub import metadata_load

    try:
        with open_regular(folder / "README.md"):  # not a pipe, for whose end the library would wait
            card = metadata_load(folder / "README.md") or {}
    except Exception:  # the library's own for YAML, or a file that cannot be read: nothing is stated
        card = {}
    licence = card.get("license")
    if licence in (None, "other"):
        licence = card.get("license_name") or licence
    stated = ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence or NOT_STATED)
    parts = folder.absolute().parts
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return stated, f"hf://{parts[-3].removeprefix('models--').replace('--', '/', 1)}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", named):
        base = card.get("base_model")
        base = base[0] if isinstance(base, list) and base else base
        return stated, f"made from hf://{base}" if isinstance(base, str) else named or NOT_STATED
    return stated, f"hf://{named}"


def _three(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, list | tuple) else (float(value),) * 3


def _read(path: Path, missing: dict[str, Any] | None = None, advice: str = "Get the network again.") -> dict[str, Any]:
    try:
        values = read_json(path)
    except FileNotFoundError:
        if missing is not None:
            return missing
        raise CheckpointError(f"{path.parent} has no {path.name}. Get the network again.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {first_line(error)}. {advice}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is damaged: it is not a JSON object. {advice}")
    return values
