"""Scores of kinds, and the rule by which those of a class ship or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from segmodels.archive.intervals import wilson
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.kinds import KindJudgement, Kinds, Proportion
from train.analysis.kinds.samples import KindSample, Source

__all__ = [
    "ABOVE_MAJORITY",
    "ANSWERED",
    "How",
    "judge",
    "judgement_line",
    "judgements_of",
    "named",
    "with_judgements",
    "without_failed",
]

How = Literal["cross-validated", "held out"]

ABOVE_MAJORITY = 0.15
"""Least difference between the accuracy and that of always naming the most frequent kind; below it a class has none."""

ANSWERED = 0.70
"""Least share of garments whose kind must be named."""

_SAMPLES = 2000  # of the bootstrap


def named(probabilities: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Number of the kind that each garment is called, int `(n,)`; the number of kinds where none is certain.

    Args:
        probabilities: Probabilities `(n, kinds)`.
        thresholds: Probability of each kind from which it is named.
    """
    likeliest = probabilities.argmax(axis=1)
    enough = probabilities.max(axis=1) >= np.array(thresholds)[likeliest]
    answers: np.ndarray = np.where(enough, likeliest, probabilities.shape[1])
    return answers


def judge(
    kinds: Kinds, samples: Sequence[KindSample], photos: Mapping[Source, EvaluatedPhotos]
) -> tuple[KindJudgement, ...]:
    """Scores of kinds on photos that they were not fitted on, by class, source and framing.

    Args:
        kinds: Kinds to judge.
        samples: Garments whose kind is known.
        photos: The photos, by source, for the record.
    """
    found: list[KindJudgement] = []
    for garment, known in kinds.config.classes.items():
        own = [sample for sample in samples if sample.garment == garment and sample.kind in known.names]
        if not own:
            continue
        untold = dict.fromkeys(known.names, -1.0)  # of a garment that is too large: below any threshold
        shares = [kinds.probabilities(garment, sample.features) or untold for sample in own]
        probabilities = np.array([list(each.values()) for each in shares])
        answers = named(probabilities, known.thresholds)
        likeliest = np.where(probabilities.max(axis=1) < 0, -1, probabilities.argmax(axis=1))
        found += judgements_of(garment, known.names, own, likeliest, answers, photos, "held out")
    return tuple(found)


def with_judgements(kinds: Kinds, judgements: Sequence[KindJudgement]) -> Kinds:
    """Kinds with scores on other photos, without the classes that these say are not told apart well enough."""
    config = replace(kinds.config, judgements=(*kinds.config.judgements, *judgements))
    return without_failed(Kinds(config, kinds.weights, kinds.biases), "held out")


def without_failed(kinds: Kinds, how: How) -> Kinds:
    """The kinds without those of the classes that are not told apart well enough on whole photos.

    All whole photos with masks or tags count together. Needed are an accuracy `ABOVE_MAJORITY` above that of always
    naming the most frequent kind, and `ANSWERED` of the garments named.

    Args:
        kinds: Kinds with scores.
        how: Scores that count.
    """
    config = kinds.config
    left_out = dict(config.left_out)
    for garment in config.classes:
        own = [
            each
            for each in config.judgements_of(garment)
            if each.how == how and each.framing == "full" and each.photos.dataset != "flatlay"
        ]
        if not own:
            continue
        together = _summed(own)
        if together.accuracy.value < together.majority + ABOVE_MAJORITY:
            left_out[garment] = (
                f"accuracy {together.accuracy.value:.2f} {how}, the most frequent kind alone {together.majority:.2f}"
            )
        elif together.answered < ANSWERED:
            left_out[garment] = f"{together.answered:.0%} of garments named {how}, wanted {ANSWERED:.0%}"
    kept = {name: known for name, known in config.classes.items() if name not in left_out}
    return Kinds(
        replace(
            config,
            classes=kept,
            left_out=left_out,
            judgements=tuple(each for each in config.judgements if each.garment in kept),
        ),
        {name: kinds.weights[name] for name in kept},
        {name: kinds.biases[name] for name in kept},
    )


def judgement_line(judgement: KindJudgement) -> str:
    """A line on the terminal: the scores of the kinds of a class on some photos."""
    accuracy = judgement.accuracy
    return (
        f"{judgement.garment}, {judgement.photos}, {judgement.framing}, {judgement.how}: "
        f"{judgement.garments} garments, "
        f"{judgement.answered:.0%} named, accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}), "
        f"balanced {judgement.balanced_accuracy:.3f}, most frequent kind {judgement.majority:.3f}"
    )


def judgements_of(
    garment: str,
    names: Sequence[str],
    samples: Sequence[KindSample],
    likeliest: np.ndarray,
    answers: np.ndarray,
    photos: Mapping[Source, EvaluatedPhotos],
    how: How,
) -> list[KindJudgement]:
    """Scores of one class by source and framing.

    Args:
        garment: Name of the class.
        names: Names of its kinds.
        samples: Garments whose kind is known.
        likeliest: Number of the likeliest kind of each, int `(n,)`.
        answers: Number of the kind that each is called, from `named`, int `(n,)`.
        photos: The photos, by source, for the record.
        how: How the photos were kept apart from the fit.
    """
    groups: dict[tuple[Source, str], list[int]] = {}
    for index, sample in enumerate(samples):
        groups.setdefault((sample.source, sample.framing), []).append(index)
    truth = np.array([names.index(sample.kind) for sample in samples])
    return [
        _judgement(
            garment, [samples[i] for i in rows], len(names), truth[rows], likeliest[rows], answers[rows], photos, how
        )
        for rows in groups.values()
    ]


def _judgement(
    garment: str,
    samples: Sequence[KindSample],
    kinds: int,
    truth: np.ndarray,
    likeliest: np.ndarray,
    answers: np.ndarray,
    photos: Mapping[Source, EvaluatedPhotos],
    how: How,
) -> KindJudgement:
    """Scores of garments of one source and framing."""
    matrix = np.zeros((kinds, kinds + 1), int)
    np.add.at(matrix, (truth, answers), 1)
    ids = [sample.photo_id for sample in samples]
    behind: list[list[list[str]]] = [[[] for _ in row] for row in matrix]
    for photo_id, row, column in zip(ids, truth, answers, strict=True):
        behind[row][column].append(photo_id)
    source, framing = samples[0].source, samples[0].framing
    return KindJudgement(
        garment=garment,
        photos=replace(photos[source], number=len(set(ids))),
        how=how,
        framing=framing,
        garments=len(samples),
        accuracy=_interval(answers == truth, answers < kinds, ids),
        accuracy_of_all=float((likeliest == truth).mean()),
        matrix=tuple(map(tuple, matrix.tolist())),
        photo_ids=tuple(tuple("\n".join(cell) for cell in row) for row in behind),
        **_scores(matrix),
    )


def _scores(matrix: np.ndarray) -> dict[str, float]:
    """Share that is named, balanced accuracy and share of the most frequent kind among those named."""
    named_alone = matrix[:, :-1]
    each = named_alone.sum(axis=1)
    shown = each > 0
    return {
        "answered": float(named_alone.sum() / max(matrix.sum(), 1)),
        "balanced_accuracy": float((named_alone.diagonal()[shown] / each[shown]).mean()) if shown.any() else 0.0,
        "majority": float(each.max() / each.sum()) if shown.any() else 0.0,
    }


def _interval(right: np.ndarray, answered: np.ndarray, ids: Sequence[str]) -> Proportion:
    """Share of the named that are right, with its interval over draws of photos."""
    _, place = np.unique(ids, return_inverse=True)
    rights, nameds = (np.bincount(place, values & answered) for values in (right, answered))
    draws = np.random.default_rng(0).multinomial(len(rights), np.full(len(rights), 1 / len(rights)), _SAMPLES)
    shares = (draws @ rights) / np.maximum(draws @ nameds, 1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return Proportion(value=float(rights.sum() / max(nameds.sum(), 1)), low=float(low), high=float(high))


def _summed(judgements: Sequence[KindJudgement]) -> KindJudgement:
    """Scores over several groups of photos together; the interval is Wilson's, over garments."""
    matrix = np.sum([each.matrix for each in judgements], axis=0)
    answered, right = int(matrix[:, :-1].sum()), int(matrix[:, :-1].trace())
    low, high = wilson([right], [answered])
    scores = _scores(matrix)
    return replace(
        judgements[0],
        garments=int(matrix.sum()),
        matrix=tuple(map(tuple, matrix.tolist())),
        accuracy=Proportion(value=right / max(answered, 1), low=float(low[0]), high=float(high[0])),
        answered=scores["answered"],
        balanced_accuracy=scores["balanced_accuracy"],
        majority=scores["majority"],
    )
