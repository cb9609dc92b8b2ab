"""How well the models tell kinds of garments apart, by class and photos."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dashboard.evaluation.conditions import LABELS
from dashboard.evaluation.records import Model
from segmodels.inference.kinds import KindJudgement, KindsConfig, KindsError, read_kinds_config

__all__ = [
    "KIND_HEADINGS",
    "KindsCell",
    "kinds_caption",
    "kinds_cells",
    "kinds_matrix",
    "kinds_of",
    "kinds_table",
    "matrices",
    "matrix_title",
]


@dataclass(frozen=True)
class KindsCell:
    """A cell of a confusion matrix of kinds.

    Args:
        truth: Name of the true kind.
        named: Name of the kind that was named; empty for none.
        photo_ids: Ids of the photos, one for each garment.
    """

    truth: str
    named: str
    photo_ids: tuple[str, ...]

    def words(self) -> str:
        """The cell in words: `true skirt, named dress: 12 garments`."""
        number = len(self.photo_ids)
        how = f"named {self.named}" if self.named else "not named"
        return f"True {self.truth}, {how}: {number} garment{'' if number == 1 else 's'}"


def kinds_of(model: Model) -> KindsConfig | None:
    """The kinds in a model's folder; None if there are none that can be used."""
    if model.taxonomy is None:
        return None
    try:
        return read_kinds_config(model.folder, model.taxonomy)
    except KindsError:
        return None


def kinds_caption(name: str, kinds: KindsConfig) -> str:
    """What the kinds are, which classes have them, and which have none and why.

    Args:
        name: Name of the model.
        kinds: Kinds of the model.
    """
    having = "; ".join(f"{garment}: {', '.join(known.names)}" for garment, known in kinds.classes.items())
    lacking = "".join(f" {garment} has none: {reason}." for garment, reason in kinds.left_out.items())
    return (
        f"What {name} says a garment is within its class. {having}. A kind is named only where its probability "
        "is high enough and the garment not much larger than all that taught. Accuracy is of the garments named, with "
        "its 95% interval over photos. Most frequent kind: "
        f"the accuracy of always answering that one.{lacking}"
    )


KIND_HEADINGS = {
    "how": "Judged",
    "named": "Share named",
    "balanced": "Balanced accuracy",
    "most_frequent": "Most frequent kind",
}
"""Headings of `kinds_table`."""


def kinds_table(kinds: KindsConfig) -> pd.DataFrame:
    """One row per class, photos and framing; those on other photos than the fit's come first.

    Args:
        kinds: Kinds of a model, with scores.
    """
    rows = [
        [
            each.garment,
            str(each.photos),
            LABELS.get(each.framing, each.framing.capitalize()),
            each.how,
            each.garments,
            each.answered,
            each.accuracy.value,
            each.accuracy.low,
            each.accuracy.high,
            each.balanced_accuracy,
            each.majority,
        ]
        for each in sorted(kinds.judgements, key=lambda each: each.how != "held out")
    ]
    names = ["class", "photos", "framing", "how", "garments", "named", "accuracy", "low", "high", "balanced"]
    return pd.DataFrame(rows, columns=[*names, "most_frequent"])


def matrices(kinds: KindsConfig) -> list[KindJudgement]:
    """The scores whose confusion matrices are shown: those on other photos than the fit's, or all if there are none."""
    return [each for each in kinds.judgements if each.how == "held out"] or [*kinds.judgements]


def matrix_title(judgement: KindJudgement) -> str:
    """The class and the photos of a confusion matrix."""
    framing = "" if judgement.framing == "full" else f", {LABELS.get(judgement.framing, judgement.framing).lower()}"
    return f"{judgement.garment} on {judgement.photos}{framing}"


def kinds_cells(judgement: KindJudgement, kinds: KindsConfig) -> list[KindsCell]:
    """The cells with photos, errors before others and the largest first.

    Args:
        judgement: Scores of the class on some photos.
        kinds: Kinds of the model.
    """
    names = [*kinds.classes[judgement.garment].names, ""]
    cells = [
        KindsCell(truth, named, tuple(ids.split("\n")))
        for truth, row in zip(names, judgement.photo_ids, strict=False)
        for named, ids in zip(names, row, strict=True)
        if ids
    ]
    return sorted(cells, key=lambda cell: (cell.truth == cell.named, not cell.named, -len(cell.photo_ids)))


def kinds_matrix(judgement: KindJudgement, kinds: KindsConfig) -> pd.DataFrame:
    """Confusion matrix of a class, numbers of garments: true kinds in rows, named kinds in columns.

    Args:
        judgement: Scores of the class on some photos.
        kinds: Kinds of the model.
    """
    names = list(kinds.classes[judgement.garment].names)
    return pd.DataFrame(judgement.matrix, index=pd.Index(names, name="truth"), columns=[*names, "not named"])
