"""Several models on one photo: where they disagree, how far each pair agrees, and what a ground truth says of each.

Disagreement and agreement are computed from maps at the size that the viewer shows, so that nine models on a phone
photo stay quick; scores against a ground truth are counted at the photo's own size.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dashboard.components.viewer import reduced_size, sample_plane
from dashboard.figures.theme import COLOURS
from dashboard.shared.analysed import Analysed, Plane, UploadedPhoto, heading
from segmodels.csv_text import csv_bytes
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.inference.segmentation import paint
from segmodels.taxonomy import UNLABELLED, Taxonomy

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = [
    "Agreement",
    "Comparison",
    "Finding",
    "agreements_csv",
    "comparison_csv",
    "comparison_json",
    "comparison_picture",
    "find",
    "progress_text",
    "strength_of",
]

_STRONG = np.array((172, 40, 8), np.float32)  # RGB; legible on the pale photo in the light and the dark theme
_PICTURE_HEIGHT = 900
_PICTURE_GAP = 24
_INK = COLOURS["light"]  # colours of the exported image, which has a white background


@dataclass(frozen=True)
class Finding:
    """The result of one model on one photo, and the cost of the model.

    Args:
        analysed: The photo and what was found in it, as on the Segment page.
        parameters: Number of parameters of the network.
        size: Size of the weights on disk, in bytes.
    """

    analysed: Analysed
    parameters: int
    size: int

    @property
    def model(self) -> str:
        """Catalog name of the model."""
        return self.analysed.model

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of the class map."""
        return self.analysed.taxonomy

    @property
    def seconds(self) -> float:
        """Seconds from the decoded photo to its garments."""
        return float(self.analysed.listing["seconds"])

    @property
    def shares(self) -> dict[str, float]:
        """Share of the photo's pixels by class, for each garment or accessory found, 0..1."""
        shares: dict[str, float] = {}
        for garment in self.analysed.listing["garments"]:  # one entry for each person
            shares[garment["class"]] = shares.get(garment["class"], 0.0) + garment["area_share"]
        return shares

    @property
    def stage(self) -> dict[str, Any]:
        """The stage for the viewer, with the model as its title."""
        return self.analysed.stage(self.model, f"{self.summary}, {self.seconds:.2f} s")

    @property
    def summary(self) -> str:
        """The heading of the Segment page, and the number of garments that it leaves out."""
        less_likely = len(self.analysed.less_likely)
        return heading(self.analysed) + (f" and {less_likely} less likely" if less_likely else "")

    def reduced_class_map(self) -> np.ndarray:
        """uint8 `(h, w)` as the viewer shows it, unpacked anew."""
        return self._reduced(self.analysed.class_map)

    def reduced_confidence(self) -> np.ndarray:
        """float32 `(h, w)`, 0..1, as the viewer shows it, unpacked anew."""
        return np.round(self._reduced(self.analysed.confidence) / np.float32(12.75)) / 20

    def _reduced(self, plane: Plane) -> np.ndarray:
        return sample_plane(plane.pixels(), *reduced_size(*plane.shape))


@dataclass(frozen=True)
class Agreement:
    """Agreement of two models on a photo.

    Args:
        first: Catalog name of the first model.
        second: Catalog name of the second model.
        pixels: Share of the pixels on which both name the same class, 0..1.
        mean_iou: Mean IoU over the classes that either names.
        iou: IoU by class name; None where neither names the class.
    """

    first: str
    second: str
    pixels: float
    mean_iou: float
    iou: dict[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """One photo under several models.

    Args:
        findings: Findings, at least one, of one photo and one taxonomy, each of another model.
        truth: Ids of that taxonomy or `UNLABELLED`, uint8 `(H, W)` at the photo's own size; None if not known.

    Raises:
        ValueError: If there are no findings, two are of one model, or they differ in photo or taxonomy.
    """

    findings: tuple[Finding, ...]
    truth: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not self.findings:
            raise ValueError("A comparison needs the finding of at least one model.")
        if len({finding.model for finding in self.findings}) < len(self.findings):
            raise ValueError("A model occurs twice in the comparison.")
        if len({each.analysed.name for each in self.findings}) > 1 or not all(
            each.taxonomy.matches(self.taxonomy) for each in self.findings
        ):
            raise ValueError("The findings are of different photos or taxonomies.")

    @property
    def photo(self) -> str:
        """File name of the photo."""
        return self.findings[0].analysed.name

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of all class maps."""
        return self.findings[0].taxonomy

    @property
    def has_garments(self) -> bool:
        """Whether any model finds a garment."""
        return any(finding.analysed.garments for finding in self.findings)

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """Agreement of each pair of models, in the order of the findings."""
        return self._computed.agreements

    @property
    def contested(self) -> float:
        """Share of the pixels at which models disagree or, with ground truth, at least one is wrong, 0..1."""
        return self._computed.contested

    @property
    def strength_png(self) -> bytes:
        """`strength` in red over a pale photo, as an RGB PNG at the size that the viewer shows."""
        return self._computed.strength_png

    @property
    def found(self) -> frozenset[int]:
        """Ids of the classes that any model finds."""
        return self._computed.found

    @cached_property
    def _computed(self) -> _Computed:
        """All values computed from the maps; at once, as the maps are unpacked for it and not kept."""
        maps = {finding.model: finding.reduced_class_map() for finding in self.findings}
        sure = [finding.reduced_confidence() for finding in self.findings]
        first = next(iter(maps.values()))
        truth = None if self.truth is None else sample_plane(self.truth, *first.shape)
        strength = strength_of(list(maps.values()), sure, truth)
        return _Computed(
            agreements=_agreements(maps, self.taxonomy.names),
            contested=_contested(list(maps.values()), truth),
            strength_png=_over_pale(self.findings[0].analysed.photo.shown, strength),
            found=frozenset(int(value) for each in maps.values() for value in np.unique(each)),
        )

    @cached_property
    def scores(self) -> dict[str, dict[str, Any]] | None:
        """`ConfusionMatrix.scores` against the ground truth by model; None without ground truth."""
        if self.truth is None:
            return None
        result = {}
        for finding in self.findings:
            matrix = ConfusionMatrix(self.taxonomy.names)
            matrix.add(self.truth, finding.analysed.class_map.pixels())
            result[finding.model] = matrix.scores()
        return result


@dataclass(frozen=True)
class _Computed:
    """Values that a comparison computes from its maps; see the properties of the same names."""

    agreements: tuple[Agreement, ...]
    contested: float
    strength_png: bytes
    found: frozenset[int]


def strength_of(maps: Sequence[np.ndarray], sure: Sequence[np.ndarray], truth: np.ndarray | None) -> np.ndarray:
    """Strength of the disagreement at each pixel or, with ground truth, of the error.

    Disagreement is a mean over pairs of models: 0 where both predict the same class, else the lower of their
    confidences, so that two models that are sure of different classes disagree more than two that guess. Error is the
    mean over models of a model's confidence where it is wrong.

    Args:
        maps: Class map of each model, uint8 `(h, w)`.
        sure: Confidence of each model, float32 `(h, w)`, 0..1.
        truth: Ids or `UNLABELLED`, uint8 `(h, w)`; None if not known.

    Returns:
        float32 `(h, w)`, 0..1.
    """
    total = np.zeros(maps[0].shape, np.float32)
    if truth is not None:
        for class_map, confidence in zip(maps, sure, strict=True):
            total += np.where((class_map != truth) & (truth != UNLABELLED), confidence, 0)
        return total / len(maps)
    pairs = list(combinations(range(len(maps)), 2))
    for one, other in pairs:
        total += np.where(maps[one] != maps[other], np.minimum(sure[one], sure[other]), 0)
    return total / max(1, len(pairs))


def find(
    segmenter: Segmenter,
    photo: UploadedPhoto,
    size: int,
    pixels_of: Callable[[UploadedPhoto], np.ndarray] = UploadedPhoto.pixels,
) -> Finding:
    """Runs a model on a photo.

    Args:
        segmenter: Segmenter of the model.
        photo: The photo.
        size: Size of the model's weights on disk, in bytes.
        pixels_of: Function that decodes a photo.

    Raises:
        PhotoError: If the photo cannot be read.
    """
    parameters = sum(parameter.numel() for parameter in segmenter.checkpoint.network.parameters())
    return Finding(Analysed.of(photo, segmenter.segment(pixels_of(photo))), parameters, size)


def progress_text(models: Sequence[str], running: int, failed: Sequence[str] = ()) -> str:
    """What to say while models run one after another: unet done, linknet running, 2 waiting.

    Args:
        models: Names of all models, in their order.
        running: Index of the model that is running.
        failed: Names of the models that could not be loaded.
    """
    parts = [f"{name} {'not loaded' if name in failed else 'done'}" for name in models[:running]]
    parts.append(f"{models[running]} running")
    if waiting := len(models) - running - 1:
        parts.append(f"{waiting} waiting")
    return ", ".join(parts) + "."


def comparison_json(comparisons: Sequence[Comparison]) -> str:
    """All results without pixels, for one or more photos; with ground truth also scores over all its photos."""
    document: dict[str, Any] = {"photos": [_to_json(each) for each in comparisons]}
    judged = [each.scores for each in comparisons if each.scores]
    if judged:
        names = comparisons[0].taxonomy.names
        document["scores_over_photos"] = {"photos": len(judged), "models": {}}
        for model in dict.fromkeys(model for scores in judged for model in scores):
            counts = [np.array(scores[model]["confusion_matrix"]) for scores in judged if model in scores]
            total = ConfusionMatrix(names, np.sum(counts, axis=0))
            document["scores_over_photos"]["models"][model] = total.scores()
    return json.dumps(document, indent=1, ensure_ascii=False)


def comparison_csv(comparisons: Sequence[Comparison]) -> bytes:
    """One row per photo, model and class that the model or the truth names; UTF-8. Scores are empty without truth."""
    measures = ("iou", "f1", "precision", "recall")
    rows: list[Sequence[object]] = [
        ["photo", "model", "revision", "seconds", "parameters", "bytes", "class", "area_share", *measures]
    ]
    for comparison in comparisons:
        for finding in comparison.findings:
            listing = finding.analysed.listing
            start = [comparison.photo, finding.model, listing["revision"], finding.seconds]
            start += [finding.parameters, finding.size]
            class_map = finding.analysed.class_map.pixels()
            pixels = np.bincount(class_map.ravel(), minlength=len(comparison.taxonomy))
            for name in comparison.taxonomy.display_order:
                share = float(pixels[comparison.taxonomy[name].id] / pixels.sum())
                scores = comparison.scores[finding.model]["classes"][name] if comparison.scores else {}
                if share or scores.get("pixels"):
                    row = [scores.get(measure) for measure in measures]
                    rows.append([*start, name, round(share, 5), *("" if v is None else round(v, 5) for v in row)])
    return csv_bytes(rows)


def agreements_csv(comparisons: Sequence[Comparison]) -> bytes:
    """One row per photo and pair of models, a column of IoU per class; UTF-8. A class that neither names is empty."""
    names = comparisons[0].taxonomy.display_order
    rows: list[Sequence[object]] = [["photo", "first", "second", "equal_pixels", "mean_iou", *names]]
    for comparison in comparisons:
        for each in comparison.agreements:
            values = [each.pixels, each.mean_iou, *(each.iou[name] for name in names)]
            row = ["" if value is None else round(value, 5) for value in values]
            rows.append([comparison.photo, each.first, each.second, *row])
    return csv_bytes(rows)


def comparison_picture(comparison: Comparison) -> bytes:
    """The overlays side by side, then the map of disagreement (or error), each under its name; PNG."""
    photo = np.asarray(_opened(comparison.findings[0].analysed.photo.shown, "RGB"))
    panels = [
        (each.model, each.summary, Image.fromarray(paint(photo, each.reduced_class_map(), each.taxonomy)))
        for each in comparison.findings
    ]
    share = f"{comparison.contested:.1%} of the pixels"
    strength = _opened(comparison.strength_png, "RGB")
    panels.append(("Error" if comparison.truth is not None else "Disagreement", share, strength))
    scale = min(1.0, _PICTURE_HEIGHT / panels[0][2].height)
    width, height = (max(1, round(side * scale)) for side in panels[0][2].size)
    title, small = ImageFont.load_default(26), ImageFont.load_default(18)
    column = max(width, 240)
    gap = _PICTURE_GAP
    legend = _legend(comparison)
    across = len(panels) * (column + gap)
    rows = -(-len(legend) // max(1, across // 190))
    size = (gap + across, 96 + height + gap + 34 * (rows + 1) + gap)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for index, (name, note, picture) in enumerate(panels):
        left = gap + index * (column + gap)
        draw.text((left, gap), name, _INK["ink"], title)
        draw.text((left, gap + 36), note, _INK["mute"], small)
        canvas.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, 96))
    x, y = gap, 96 + height + gap
    for index, (name, colour) in enumerate(legend):
        if index and index % max(1, across // 190) == 0:
            x, y = gap, y + 34
        draw.rectangle((x, y + 3, x + 18, y + 21), colour, _INK["mute"])
        draw.text((x + 28, y), name, _INK["ink"], small)
        x += 190
    revisions = ", ".join(f"{each.model} {each.analysed.listing['revision']}" for each in comparison.findings)
    draw.text((gap, size[1] - gap - 22), f"{comparison.photo}; revisions: {revisions}", _INK["mute"], small)
    return _png(canvas)


def _legend(comparison: Comparison) -> list[tuple[str, str]]:
    """Name and colour of each class found, without the background."""
    classes = (comparison.taxonomy[name] for name in comparison.taxonomy.display_order)
    return [(each.name, each.colour) for each in classes if each.id in comparison.found and each.group != "background"]


def _agreements(maps: Mapping[str, np.ndarray], names: tuple[str, ...]) -> tuple[Agreement, ...]:
    result = []
    for (first, one), (second, other) in combinations(maps.items(), 2):
        matrix = ConfusionMatrix(names)
        matrix.add(one, other)
        scores = matrix.scores()
        iou = {name: scores["classes"][name]["iou"] for name in names}
        result.append(Agreement(first, second, scores["pixel_accuracy"], scores["mean_iou"], iou))
    return tuple(result)


def _contested(maps: Sequence[np.ndarray], truth: np.ndarray | None) -> float:
    if truth is None:
        return float(np.any([each != maps[0] for each in maps], axis=0).mean())
    wrong = np.any([each != truth for each in maps], axis=0)
    return float(wrong[truth != UNLABELLED].mean()) if (truth != UNLABELLED).any() else 0.0


def _over_pale(photo: bytes, strength: np.ndarray) -> bytes:
    grey = np.asarray(_opened(photo, "L"), np.float32)
    pale = np.repeat((200 + grey * (55 / 255))[..., None], 3, axis=2)
    cover = np.where(strength > 0, 0.25 + 0.75 * strength, 0)[..., None]
    return _png(Image.fromarray(np.rint(pale * (1 - cover) + _STRONG * cover).astype(np.uint8)))


def _to_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "photo": comparison.photo,
        "ground_truth": comparison.truth is not None,
        "contested": round(comparison.contested, 5),
        "models": [
            {
                **{key: each.analysed.listing[key] for key in ("model", "revision", "taxonomy", "seconds")},
                "parameters": each.parameters,
                "bytes": each.size,
                "garments": each.analysed.listing["garments"],
                **({"scores": comparison.scores[each.model]} if comparison.scores else {}),
            }
            for each in comparison.findings
        ],
        "agreement": [
            {"models": [each.first, each.second], "pixels": each.pixels, "mean_iou": each.mean_iou, "iou": each.iou}
            for each in comparison.agreements
        ],
    }


def _opened(file: bytes, mode: str) -> Image.Image:
    with Image.open(io.BytesIO(file)) as image:
        return image.convert(mode)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)  # half the time of the default, a few per cent larger
    return out.getvalue()
