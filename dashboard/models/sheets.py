"""Contents of the cards on the Models page."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dashboard.evaluation.records import Measurement, Model, photo_sets
from segmodels.checkpoints.catalog import Offer, hub_owner
from segmodels.errors import GarmentscopeError
from segmodels.evaluation.papers import ARCHITECTURE_PAPERS
from segmodels.files import open_regular
from segmodels.foreign.description import Foreign
from segmodels.hub.cache import REPOSITORY_PREFIX
from segmodels.inference.embedding import read_embedding
from segmodels.inference.kinds import read_kinds
from segmodels.inference.presence import CalibrationError, read_calibration
from segmodels.sentences import listed
from segmodels.taxonomy import OUTFIT_15

__all__ = ["Sheet", "describe", "megabytes", "read_card", "scores_to_show", "sheet_html"]

_SCORES = {"mean_iou": "Mean IoU", "mean_f1": "Mean F1", "pixel_accuracy": "Accuracy"}
_LOOKS = {
    "person": "cropped to each person",
    "box": "cropped to each person",
    "found": "cropped to what is worn",
    "none": "whole photo",
}
_LARGEST_CARD = 200_000  # bytes of a model card that are shown
_CLASSES = 8  # names of classes that a card lists
NONE = "–"
_FORMATS = {"32": "float32"}  # names of number formats for people, by their name on the command line


@dataclass(frozen=True)
class Sheet:
    """Contents of a card.

    Args:
        name: Name of the model in the catalog.
        place: Where the checkpoint is, for people.
        address: Its repository on the Hub, or its folder; empty for an embedded one.
        architecture: Name of the architecture, and its arguments if they are not the defaults; empty if not known.
        paper: Publication of the architecture; empty if not known.
        facts: Parameters, size and input, by label.
        scores: Scores by label; empty if it was not measured.
        measured: Text that says on which photos it was measured, or that it was not.
        machines: The devices and number formats of training and measurement; empty if not known.
        counts: How garments are counted with it: calibrated, with the error that is left, or raw; empty if not known.
        revision: What identifies the weights, or the Hub's commit, 12 digits; empty if not known.
        folder: Folder of its model card; None if there is none.
        obstacle: Sentences on why it cannot be used; empty if it can, or is not here.
        pull: Label of the button that pulls it; empty if there is nothing to pull.
        bytes_to_pull: Size of the weights on the Hub, in bytes.
        note: A further sentence; empty if there is none.
        here: Whether it is on this machine.
        classes: Classes of the model; empty if they are those of `OUTFIT_15`, or not known.
        origin: Source, licence and input of a network from elsewhere; empty for a checkpoint of Garmentscope.
        described: Whether it is described only: its weights are not to be had.
    """

    name: str
    place: str
    address: str
    architecture: str
    paper: str
    facts: Mapping[str, str]
    scores: Mapping[str, str]
    measured: str
    machines: str
    counts: str
    revision: str
    folder: Path | None
    obstacle: str = ""
    pull: Literal["", "Pull", "Update", "Pull again"] = ""
    bytes_to_pull: int = 0
    note: str = ""
    here: bool = True
    classes: str = ""
    origin: str = ""
    described: bool = False

    @property
    def usable(self) -> bool:
        """Whether the Segment page can use it."""
        return self.here and not self.obstacle


def describe(
    offer: Offer,
    model: Model | None,
    measurement: Measurement | None = None,
    *,
    revision: str = "",
    parameters: int | None = None,
) -> Sheet:
    """The card of an offer.

    Args:
        offer: Offer, as the catalog has it.
        model: What the offer's folder says; None if there is none.
        measurement: One of the model's measurements.
        revision: Revision of weights that are here and not from the Hub.
        parameters: Number of parameters, where the weights are not here to be counted.
    """
    here, hub = offer.here, offer.hub
    from_hub = here is None or here.source == "hub"
    obstacle = (hub.problem if hub else "") if here is None else _obstacle(model, revision)
    pull: Literal["", "Pull", "Update", "Pull again"] = ""
    if hub and not hub.problem and from_hub:
        pull = "Pull" if here is None else "Update" if offer.has_update else "Pull again" if obstacle else ""
    size = (model.size if model else None) or (hub.size if hub and here is None else None)
    count = model.parameters if model and model.parameters is not None else parameters
    commit = here.revision if here else hub.revision if hub else ""
    return Sheet(
        name=offer.name,
        place=_place(offer),
        address=_address(offer),
        architecture=_architecture(model),
        paper=ARCHITECTURE_PAPERS.get(model.architecture, "") if model else "",
        facts={
            "Parameters": f"{count / 1e6:.{1 if count >= 1e5 else 3}f} M" if count else NONE,
            "Size": megabytes(size) if size else NONE,
            "Input": _input(model),
        },
        scores=_scores(measurement),
        measured=_measured(model, measurement),
        machines=_machines(model, measurement),
        counts=_counts(model) if here else "",
        revision=(commit or revision)[:12],
        folder=offer.folder,
        obstacle=obstacle,
        pull=pull,
        bytes_to_pull=hub.size if hub else 0,
        note=_note(offer, model),
        here=here is not None,
        classes=_classes(model),
        origin=_origin(model),
        described=offer.place == "described",
    )


def _measured(model: Model | None, measurement: Measurement | None) -> str:
    """Photos and, where they are not its own, classes of the scores."""
    if measurement is None:
        return "Not measured, so there are no scores." if not (model and model.metrics_fault) else ""
    classes = f", {len(measurement.common)} classes in common with the ground truth" if measurement.common else ""
    return f"On {measurement.photos}{classes}"


def scores_to_show(models: Sequence[Model]) -> dict[str, Measurement]:
    """One measurement of each model that has any, by name: on the photos on which most of them were measured."""
    chosen: dict[str, Measurement] = {}
    for photos in photo_sets(models):
        for model in models:
            if model.name not in chosen and (found := model.measured_on(photos)):
                chosen[model.name] = found
    return chosen


def read_card(folder: Path | None) -> str:
    """A model card as Markdown, without its front matter, and with links in place of pictures; empty if there is none.

    A picture would be fetched from wherever the card's author names, by everyone who reads it.
    """
    if folder is None:
        return ""
    try:
        with open_regular(folder / "README.md") as file:
            text = file.read(_LARGEST_CARD).decode("utf-8", "replace")
    except OSError:
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", text.replace("\r\n", "\n"), flags=re.DOTALL)
    return re.sub(r"!\s*\[", "[", text).strip()


def sheet_html(sheet: Sheet, in_use: bool) -> str:
    """A card without its buttons.

    Args:
        sheet: Content of the card.
        in_use: Whether the Segment page uses it.
    """
    used = ' <span class="used">In use</span>' if in_use else ""
    lines = [
        f'<p class="where">{html.escape(sheet.place)}{used}</p>',
        f"<h3>{html.escape(sheet.name)}</h3>",
        _paragraph(sheet.address, "where"),
    ]
    more: list[str] = []
    if sheet.folder:
        lines += [_paragraph(sheet.classes), _list(sheet.scores), _paragraph(sheet.measured, "where")]
        more += [_paragraph(sheet.architecture, "architecture"), _paragraph(sheet.paper), _paragraph(sheet.origin)]
        more += [_list(sheet.facts), _paragraph(sheet.counts, "where"), _paragraph(sheet.machines, "where")]
    revision = f"Revision {sheet.revision}" if sheet.revision else ""
    more += [_paragraph(revision, "where")]
    if any(more):
        lines.append(f"<details><summary>Architecture, size, calibration</summary>{''.join(more)}</details>")
    lines.append(_paragraph(sheet.note))
    return f'<article class="model">{"".join(lines)}</article>'


def megabytes(size: int) -> str:
    """A size as text, in kB or MB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _paragraph(text: str, kind: str = "") -> str:
    if not text:
        return ""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def _list(values: Mapping[str, str]) -> str:
    if not values:
        return ""
    cells = "".join(f"<div><dt>{key}</dt><dd>{html.escape(value)}</dd></div>" for key, value in values.items())
    return f"<dl>{cells}</dl>"


def _machines(model: Model | None, measurement: Measurement | None) -> str:
    """Sentence on the devices of training and measurement."""
    places = {"Trained": model, "measured": measurement}
    parts = [
        f"{verb} on {where.device}"
        + (f" in {_FORMATS.get(where.precision, where.precision)}" if where.precision else "")
        for verb, where in places.items()
        if where and where.device
    ]
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _counts(model: Model | None) -> str:
    """Sentence on the calibration of a checkpoint that is here."""
    if model is None or model.taxonomy is None:
        return ""
    try:
        calibration = read_calibration(model.folder, model.taxonomy)
    except CalibrationError as error:
        return str(error)
    if calibration is None:
        return "Raw counts: no calibration."
    if not calibration.judgements:
        return "Calibrated counts."
    judged = calibration.judgements[0]
    raw, left = 100 * judged.raw.share_error, 100 * judged.calibrated.share_error
    return (
        f"Calibrated counts: on {judged.photos}, the share of a garment is {left:.1f} points off on average, without "
        f"the calibration {raw:.1f}."
    )


def _place(offer: Offer) -> str:
    return {
        "embedded": "Ships with the app",
        "folder": "Local folder",
        "hub": "Pulled from the Hub",
        "not pulled": "On the Hub, not pulled yet",
        "described": "Described: weights not included",
    }[offer.place]


def _address(offer: Offer) -> str:
    if offer.here and offer.here.source == "folder":
        return str(offer.here.folder)
    if offer.place in ("embedded", "described"):
        return ""
    return f"{hub_owner()}/{REPOSITORY_PREFIX}{offer.name}"


def _obstacle(model: Model | None, weights: str) -> str:
    """Why a checkpoint that is here cannot be used: what `load_checkpoint` would raise, without building the network.

    Args:
        model: What its folder says.
        weights: Identifier of its weights; empty where it is not known, and then kinds and embedding are not judged.
    """
    if model is None:
        return ""
    if model.config_fault:
        return model.config_fault
    if model.size is None:
        return "model.safetensors is missing. Get the checkpoint again."
    if model.parameters is None:
        return "model.safetensors is damaged. Get the checkpoint again."
    return _unknown_classes(model) or model.metrics_fault or _fault_beside(model, weights)


def _fault_beside(model: Model, weights: str) -> str:
    """What is wrong with the calibration, the kinds or the embedding of a checkpoint; empty if nothing is."""
    if model.taxonomy is None or _foreign(model):
        return ""
    try:
        read_calibration(model.folder, model.taxonomy)
        if weights:
            read_kinds(model.folder, model.taxonomy, weights)
            read_embedding(model.folder, weights)
    except GarmentscopeError as error:
        return str(error).replace(f"{model.folder}/", "")
    return ""


def _origin(model: Model | None) -> str:
    """Library, source and licence of a network from elsewhere, and what its background and its input are."""
    if model is None or not (foreign := _foreign(model)):
        return ""
    library = "ONNX" if foreign.library == "onnx" else foreign.library
    return f"Network of {library}. Source: {foreign.source}. Licence: {foreign.licence}. {foreign.notes}"


def _foreign(model: Model) -> Foreign | None:
    foreign = model.config.get("foreign")
    return foreign if isinstance(foreign, Foreign) else None


def _classes(model: Model | None) -> str:
    """What the classes are, where they are others than those of `OUTFIT_15`."""
    if model is None or model.taxonomy is None or model.taxonomy == OUTFIT_15:
        return ""
    names = [name for name in model.taxonomy.display_order if name != model.taxonomy.names[0]]
    return f"{len(model.taxonomy)} classes of {model.taxonomy.name}: {listed(names, _CLASSES)}"


def _unknown_classes(model: Model) -> str:
    return "" if model.taxonomy else "Its classes are not known here. Update Garmentscope, or get the checkpoint again."


def _note(offer: Offer, model: Model | None) -> str:
    here, hub = offer.here, offer.hub
    if offer.place == "described":
        return "Its weights are not included; the model card has the command that trains them."
    if here is None:
        return _unknown_classes(model) if model else ""
    if here.replaces:
        return here.replaces
    if hub is None:
        return ""
    if here.source != "hub":
        which = "embedded one" if here.source == "embedded" else "one of the local folder"
        return f"The Hub has {hub.repository}, with the same name. The {which} is used; rename one to use both."
    if hub.problem:
        return f"The pulled revision still works; the newest one cannot be used: {hub.problem}"
    if offer.has_update:
        return f"The Hub has a newer revision, {hub.revision[:12]}."
    return ""


def _architecture(model: Model | None) -> str:
    if model is None or not model.architecture:
        return ""
    names = [
        ", ".join([str(network.get("architecture")), *_arguments(network.get("arguments"))])
        for network in _networks(model)
    ]
    return "Architecture " + "; averaged with ".join(names)


def _arguments(arguments: object) -> list[str]:
    return (
        [f"{key.replace('_', ' ')} {value}" for key, value in arguments.items()] if isinstance(arguments, dict) else []
    )


def _input(model: Model | None) -> str:
    sizes = []
    for network in _networks(model) if model else []:
        height, width = network.get("height"), network.get("width")
        if not isinstance(height, int) or not isinstance(width, int):
            return NONE
        shortest = model is not None and (foreign := _foreign(model)) is not None and foreign.shortest
        sizes.append(f"shorter side {height}" if shortest else f"{height} x {width}")
    look = _LOOKS.get(str(model.config.get("crop", "found")), "") if model else ""
    return ", ".join([" and ".join(sizes), *([look] if look else [])]) if sizes else NONE


def _networks(model: Model) -> list[Mapping[str, object]]:
    """Entries of `config.json` for each network: one, or all of an ensemble."""
    members = model.config.get("ensemble")
    more = members if isinstance(members, list) else []
    return [model.config, *(member for member in more if isinstance(member, dict))]


def _scores(measurement: Measurement | None) -> dict[str, str]:
    if measurement is None:
        return {}
    shown = {}
    for key, label in _SCORES.items():
        value, deviation = getattr(measurement.scores, key), (measurement.deviation or {}).get(key)
        spread = f" ± {deviation:.3f}" if deviation is not None else ""
        shown[label] = f"{value:.3f}{spread}" if isinstance(value, float) else NONE
    return shown
