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
from PIL import Image, ImageDraw

from dashboard.components.viewer import reduced_size, sample_plane
from dashboard.figures.theme import COLOURS
from dashboard.shared.analysed import Analysed, Plane, UploadedPhoto, heading
from dashboard.shared.fonts import write_line
from segmodels.csv_text import csv_bytes
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.inference.segmentation import paint
from segmodels.mappings import ClassMapping, CommonClasses, common_classes
from segmodels.taxonomy import UNLABELLED, Taxonomy

if TYPE_CHECKING:
    from segmodels.inference.segmenter import Segmenter

__all__ = [
    "TRUTH",
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

TRUTH = "the ground truth"
"""Name of the truth in sentences on common classes."""

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

    def stage(self, common: CommonClasses) -> dict[str, Any]:
        """The stage for the viewer, with the model as its title.

        Args:
            common: Classes that the model has in common with those beside it.
        """
        mapped = None if common.is_whole else common
        return self.analysed.stage(self.model, f"{self.summary}, {self.seconds:.2f} s", mapped)

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
        findings: Findings, at least one, of one photo, each of another model.
        truth: Class ids or `UNLABELLED`, uint8 `(H, W)` at the photo's own size; None if not known.
        truth_taxonomy: Taxonomy of the truth; that of the first finding if left out.
        own: Mappings of one's own.

    Raises:
        ValueError: If there are no findings, two are of one model, or they are of several photos.
        MappingError: If no mapping connects the taxonomies.
    """

    findings: tuple[Finding, ...]
    truth: np.ndarray | None = None
    truth_taxonomy: Taxonomy | None = None
    own: tuple[ClassMapping, ...] = ()

    def __post_init__(self) -> None:
        if not self.findings:
            raise ValueError("A comparison needs the finding of at least one model.")
        if len({finding.model for finding in self.findings}) < len(self.findings):
            raise ValueError("A model occurs twice in the comparison.")
        if len({each.analysed.name for each in self.findings}) > 1:
            raise ValueError("The findings are of different photos.")
        _ = self.common, self.scored

    @property
    def photo(self) -> str:
        """File name of the photo."""
        return self.findings[0].analysed.name

    @cached_property
    def common(self) -> CommonClasses:
        """The classes that the models have in common."""
        return common_classes({each.model: each.taxonomy for each in self.findings}, self.own)

    @cached_property
    def scored(self) -> CommonClasses:
        """The classes that the models and the truth have in common; those of the models without truth."""
        if self.truth is None:
            return self.common
        return common_classes({TRUTH: self._true, **{each.model: each.taxonomy for each in self.findings}}, self.own)

    @property
    def _true(self) -> Taxonomy:
        return self.truth_taxonomy or self.findings[0].taxonomy

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of the agreement."""
        return self.common.taxonomy

    @property
    def shown(self) -> Taxonomy:
        """Taxonomy of pictures: of `taxonomy`, and the classes that not all can name."""
        return self.common.shown

    def shown_map(self, finding: Finding) -> np.ndarray:
        """Class map of one of the findings as the viewer shows it, ids of `shown`, uint8 `(h, w)`."""
        return np.asarray(self.common.shown_ids(finding.taxonomy)[finding.reduced_class_map()])

    def colour_of(self, finding: Finding, name: str) -> str:
        """Colour, in pictures, of a class of one of the models."""
        return self.shown[self.common.shown_name(finding.taxonomy, name)].colour

    @property
    def has_garments(self) -> bool:
        """Whether any model finds a garment."""
        return any(finding.analysed.garments for finding in self.findings)

    @property
    def has_map(self) -> bool:
        """Whether there is something to map: two models that may disagree, or a ground truth."""
        return len(self.findings) > 1 or self.truth is not None

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """Agreement of each pair of models, in the order of the findings."""
        return self._computed.agreements

    @property
    def contested(self) -> float:
        """Share of the pixels at which models disagree or, with ground truth, at least one is wrong, 0..1.

        Pixels of classes that not all of them can name do not count.
        """
        return self._computed.contested

    @property
    def strength_png(self) -> bytes:
        """`strength` in red over a pale photo, as an RGB PNG at the size that the viewer shows."""
        return self._computed.strength_png

    @property
    def found(self) -> frozenset[int]:
        """Ids in `shown` of the classes that any model finds."""
        return self._computed.found

    @cached_property
    def _computed(self) -> _Computed:
        """All values computed from the maps; at once, as the maps are unpacked for it and not kept."""
        maps = {finding.model: self.shown_map(finding) for finding in self.findings}
        sure = [finding.reduced_confidence() for finding in self.findings]
        compared = {each.model: self.common.true_ids(each.taxonomy)[each.reduced_class_map()] for each in self.findings}
        judged, truth = list(compared.values()), None
        if self.truth is not None:
            judged = [self.scored.shown_ids(each.taxonomy)[each.reduced_class_map()] for each in self.findings]
            truth = self.scored.true_ids(self._true)[sample_plane(self.truth, *judged[0].shape)]
        strength = strength_of(judged, sure, truth)
        return _Computed(
            agreements=_agreements(compared, self.taxonomy.names),
            contested=_contested(judged, truth),
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
            result[finding.model] = self._matrix(finding).scores()
        return result

    def _matrix(self, finding: Finding) -> ConfusionMatrix:
        """Pixels by true and predicted class; with classes that are not common in one more column."""
        assert self.truth is not None
        names, found = self.scored.taxonomy.names, finding.analysed.class_map.pixels()
        if self.scored.is_whole:
            matrix, truth = ConfusionMatrix(names), self.truth
        else:
            matrix = ConfusionMatrix(names, np.zeros((len(names), len(names) + 1), np.int64))
            found = self.scored.predicted_ids(finding.taxonomy)[found]
            truth = self.scored.true_ids(self._true)[self.truth]
            truth = np.where(found == UNLABELLED, UNLABELLED, truth)
        matrix.add(truth, found)
        return matrix


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
        maps: Class map of each model, ids or `UNLABELLED`, uint8 `(h, w)`.
        sure: Confidence of each model, float32 `(h, w)`, 0..1.
        truth: Ids or `UNLABELLED`, uint8 `(h, w)`; None if not known.

    Returns:
        float32 `(h, w)`, 0..1.
    """
    total = np.zeros(maps[0].shape, np.float32)
    if truth is not None:
        for class_map, confidence in zip(maps, sure, strict=True):
            known = (truth != UNLABELLED) & (class_map != UNLABELLED)
            total += np.where((class_map != truth) & known, confidence, 0)
        return total / len(maps)
    pairs = list(combinations(range(len(maps)), 2))
    for one, other in pairs:
        known = (maps[one] != UNLABELLED) & (maps[other] != UNLABELLED)
        total += np.where((maps[one] != maps[other]) & known, np.minimum(sure[one], sure[other]), 0)
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
    return Finding(Analysed.of(photo, segmenter.segment(pixels_of(photo))), segmenter.checkpoint.parameters, size)


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
    names = next((each.scored.taxonomy.names for each in comparisons if each.scores), ())
    judged = [each.scores for each in comparisons if each.scores and each.scored.taxonomy.names == names]
    if judged:
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
            class_map = comparison.scored.shown_ids(finding.taxonomy)[finding.analysed.class_map.pixels()]
            pixels = np.bincount(class_map.ravel(), minlength=256)
            for name in comparison.scored.shown.display_order:
                share = float(pixels[comparison.scored.shown[name].id] / pixels.sum())
                scores = comparison.scores[finding.model]["classes"].get(name, {}) if comparison.scores else {}
                if share or scores.get("pixels"):
                    row = [scores.get(measure) for measure in measures]
                    rows.append([*start, name, round(share, 5), *("" if v is None else round(v, 5) for v in row)])
    return csv_bytes(rows)


def agreements_csv(comparisons: Sequence[Comparison]) -> bytes:
    """One row per photo and pair of models, a column of IoU per class; UTF-8. A class that neither names is empty."""
    names = list(dict.fromkeys(name for each in comparisons for name in each.taxonomy.display_order))
    rows: list[Sequence[object]] = [["photo", "first", "second", "equal_pixels", "mean_iou", *names]]
    for comparison in comparisons:
        for each in comparison.agreements:
            values = [each.pixels, each.mean_iou, *(each.iou.get(name) for name in names)]
            row = ["" if value is None else round(value, 5) for value in values]
            rows.append([comparison.photo, each.first, each.second, *row])
    return csv_bytes(rows)


def comparison_picture(comparison: Comparison) -> bytes:
    """The overlays side by side, then the map of disagreement (or error), each under its name; PNG."""
    photo = np.asarray(_opened(comparison.findings[0].analysed.photo.shown, "RGB"))
    panels = [
        (each.model, each.summary, Image.fromarray(_painted(photo, comparison, each))) for each in comparison.findings
    ]
    if comparison.has_map:
        share = f"{comparison.contested:.1%} of the pixels"
        strength = _opened(comparison.strength_png, "RGB")
        panels.append(("Error" if comparison.truth is not None else "Disagreement", share, strength))
    scale = min(1.0, _PICTURE_HEIGHT / panels[0][2].height)
    width, height = (max(1, round(side * scale)) for side in panels[0][2].size)
    title, small = 26, 18  # pixels
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
        write_line(draw, (left, gap), name, title, _INK["ink"], column)
        write_line(draw, (left, gap + 36), note, small, _INK["mute"], column)
        canvas.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, 96))
    x, y = gap, 96 + height + gap
    for index, (name, colour) in enumerate(legend):
        if index and index % max(1, across // 190) == 0:
            x, y = gap, y + 34
        draw.rectangle((x, y + 3, x + 18, y + 21), colour, _INK["mute"])
        write_line(draw, (x + 28, y), name, small, _INK["ink"], 150)
        x += 190
    revisions = ", ".join(f"{each.model} {each.analysed.listing['revision']}" for each in comparison.findings)
    source = f"{comparison.photo}; revisions: {revisions}"
    write_line(draw, (gap, size[1] - gap - 22), source, small, _INK["mute"], size[0] - 2 * gap)
    return _png(canvas)


def _painted(photo: np.ndarray, comparison: Comparison, finding: Finding) -> np.ndarray:
    shown = comparison.shown_map(finding)
    return paint(photo, np.where(shown == UNLABELLED, 0, shown), comparison.shown)


def _legend(comparison: Comparison) -> list[tuple[str, str]]:
    """Name and colour of each class found, without the background."""
    classes = (comparison.shown[name] for name in comparison.shown.display_order)
    return [(each.name, each.colour) for each in classes if each.id in comparison.found and each.group != "background"]


def _agreements(maps: Mapping[str, np.ndarray], names: tuple[str, ...]) -> tuple[Agreement, ...]:
    result = []
    for (first, one), (second, other) in combinations(maps.items(), 2):
        matrix = ConfusionMatrix(names)
        matrix.add(np.where(other == UNLABELLED, UNLABELLED, one), other)
        scores = matrix.scores()
        iou = {name: scores["classes"][name]["iou"] for name in names}
        result.append(Agreement(first, second, scores["pixel_accuracy"] or 0.0, scores["mean_iou"] or 0.0, iou))
    return tuple(result)


def _contested(maps: Sequence[np.ndarray], truth: np.ndarray | None) -> float:
    known = np.all([each != UNLABELLED for each in maps], axis=0)
    if truth is None:
        wrong = np.any([each != maps[0] for each in maps], axis=0)
    else:
        known &= truth != UNLABELLED
        wrong = np.any([each != truth for each in maps], axis=0)
    return float(wrong[known].mean()) if known.any() else 0.0


def _over_pale(photo: bytes, strength: np.ndarray) -> bytes:
    grey = np.asarray(_opened(photo, "L"), np.float32)
    pale = np.repeat((200 + grey * (55 / 255))[..., None], 3, axis=2)
    cover = np.where(strength > 0, 0.25 + 0.75 * strength, 0)[..., None]
    return _png(Image.fromarray(np.rint(pale * (1 - cover) + _STRONG * cover).astype(np.uint8)))


def _to_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "photo": comparison.photo,
        "ground_truth": comparison.truth is not None,
        **({"classes_compared": remark} if (remark := comparison.common.remark()) else {}),
        **({"classes_scored": remark} if (remark := comparison.scored.remark()) else {}),
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
