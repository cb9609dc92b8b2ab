"""The fit of kinds: for each class a regression from features to kinds, and the probability from which one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.datasets import DatasetError
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.kinds import ClassKinds, KindJudgement, Kinds, KindsConfig
from train.analysis.kinds.judging import ABOVE_MAJORITY, ANSWERED, judgements_of, named, without_failed
from train.analysis.kinds.samples import KindSample, Source

__all__ = ["CCP_WANTED", "Lesson", "fit"]

CCP_WANTED: Mapping[str, float] = {
    "Dress": 0.88,
    "Pants": 0.80,
    "Glasses": 0.90,
    "Footwear": 0.65,
    "Shirt": 0.65,
    "Coat": 0.65,
}
"""Accuracy to aim for where a kind is named, by class of Clothing Co-Parsing."""

_WANTED = 0.80  # accuracy to aim for elsewhere
_FOLDS = 6
_LEAST = 2 * _FOLDS  # photos of a kind
_INVERSE_PENALTY = 0.003  # scikit-learn's C
_AIM = 0.03  # above the accuracy that was asked for, and above the share to answer: other photos are harder
_WEIGHTS: Mapping[str, float] = {"part": 0.5, "flat-lays": 0.3}  # of a sample, where a whole photo of a person has 1
_LARGER = 1.2  # times the share of the person that the largest garment that taught takes up: up to here kinds are told
_CLEARLY = 1.1  # times the probability of each kind if all were as likely: the least from which one is named


@dataclass(frozen=True)
class Lesson:
    """What kinds are fitted to, and how.

    Args:
        kinds: Names of the kinds by class.
        data: The photos and their licences, for the record.
        photos: The photos to choose by, by source, for the record.
        choice: Whether a garment is one of those to choose by.
        wanted: Accuracy to aim for, by class; 0.80 for others.
        folds: Fold by photo id, which are left out by turns in cross-validation; if empty, six parts of the photos.
        judged_elsewhere: Whether other photos will judge. If not, the cross-validated scores are all there is, and
            temperature and thresholds behind them are chosen on other photos than each is scored on.
    """

    kinds: Mapping[str, Sequence[str]]
    data: str
    photos: Mapping[Source, EvaluatedPhotos]
    choice: Callable[[KindSample], bool]
    wanted: Mapping[str, float] = field(default_factory=dict)
    folds: Mapping[str, int] = field(default_factory=dict)
    judged_elsewhere: bool = True


def fit(samples: Sequence[KindSample], lesson: Lesson, checkpoint: Checkpoint) -> Kinds:
    """Fits the kinds of each class, with cross-validated scores; those that are not told apart well have none.

    For each class, a multinomial logistic regression on standardised features. Its temperature and the probabilities
    from which a kind is named are chosen on the cross-validated probabilities of some of the samples.

    Args:
        samples: Garments of the fit.
        lesson: What they are fitted to.
        checkpoint: Checkpoint of the network that gave the features.

    Raises:
        DatasetError: If there are too few garments for any class.
    """
    classes: dict[str, ClassKinds] = {}
    coefficients, biases = {}, {}
    judgements: list[KindJudgement] = []
    left_out: dict[str, str] = {}
    for garment, kinds in lesson.kinds.items():
        own = [sample for sample in samples if sample.garment == garment]
        names = tuple(kinds)
        if reason := _too_few(own, names, lesson):
            left_out[garment] = reason
            continue
        odds = _cross_validated(own, names, lesson.folds)
        if odds is None:
            left_out[garment] = "too few garments of some kind: a part of the photos has all of them"
            continue
        truth = np.array([names.index(sample.kind) for sample in own])
        rows = np.flatnonzero([lesson.choice(sample) for sample in own])
        wanted = lesson.wanted.get(garment, _WANTED)
        temperature, thresholds = _chosen(odds[rows], truth[rows], wanted)
        weight, bias = _regression(own, names)
        place = checkpoint.taxonomy[garment].id - len(checkpoint.taxonomy)  # the last features are the classes' shares
        largest = min(1.0, round(_LARGER * float(np.exp(max(sample.features[place] for sample in own))), 4))
        classes[garment] = ClassKinds(names=names, thresholds=thresholds, largest=largest, share_feature=place)
        coefficients[garment], biases[garment] = weight / temperature, bias / temperature
        some = [own[row] for row in rows]
        if lesson.judged_elsewhere:
            answers = named(_softened(odds[rows], temperature), thresholds)
        else:
            answers = _named_apart(odds[rows], truth[rows], some, lesson.folds, wanted)
        likeliest = odds[rows].argmax(axis=1)
        judgements += judgements_of(garment, names, some, likeliest, answers, lesson.photos, "cross-validated")
    if not classes:
        reasons = " ".join(f"{name}: {reason}." for name, reason in left_out.items())
        raise DatasetError(
            "There are too few garments for the kinds of any class; some hundred of each make good ones. " + reasons
        )
    config = KindsConfig(
        taxonomy=checkpoint.taxonomy.name,
        weights=checkpoint.revision,
        classes=classes,
        features=len(samples[0].features),
        data=lesson.data,
        left_out=left_out,
        judgements=tuple(judgements),
    )
    return without_failed(Kinds(config, coefficients, biases), "cross-validated")


def _too_few(samples: Sequence[KindSample], names: Sequence[str], lesson: Lesson) -> str:
    """Why the garments of a class do not suffice; empty if they do."""
    photos = {name: len({sample.photo_id for sample in samples if sample.kind == name}) for name in names}
    rarest = min(photos, key=lambda name: photos[name])
    if photos[rarest] < _LEAST:
        number = f"{photos[rarest]} photo" + ("" if photos[rarest] == 1 else "s")
        return f"too few garments of some kind: {rarest} was found on {number}, wanted {_LEAST}"
    chosen = len({sample.photo_id for sample in samples if lesson.choice(sample)})
    return f"too few garments to choose by: they are on {chosen} photos, wanted {_LEAST}" if chosen < _LEAST else ""


def _weights(samples: Sequence[KindSample]) -> np.ndarray:
    """Weight of each sample: flat-lays and parts of a photo say less of whole photos than whole photos do."""
    return np.array([_WEIGHTS.get("part" if sample.framing != "full" else sample.source, 1.0) for sample in samples])


def _regression(samples: Sequence[KindSample], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Weight `(kinds, features)` and bias `(kinds,)` on features as they are, fitted on standardised ones."""
    features = np.array([sample.features for sample in samples], np.float64)
    kinds = np.array([names.index(sample.kind) for sample in samples])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    model.fit((features - mean) / scale, kinds, sample_weight=_weights(samples))
    weight, bias = model.coef_, model.intercept_
    if len(names) == 2:  # scikit-learn gives the log odds of the second alone
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scale
    return weight, bias - weight @ mean


def _parts(samples: Sequence[KindSample], folds: Mapping[str, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows to score, by turns: by the folds of the photos, or in six parts of them."""
    ids = [sample.photo_id for sample in samples]
    own = [folds.get(photo_id, -1) for photo_id in ids]
    rows = np.arange(len(ids))
    if len(set(own)) > 1:
        yield from LeaveOneGroupOut().split(rows, groups=own)
    else:
        yield from GroupKFold(_FOLDS, shuffle=True, random_state=0).split(rows, groups=ids)


def _cross_validated(
    samples: Sequence[KindSample], names: Sequence[str], folds: Mapping[str, int]
) -> np.ndarray | None:
    """Log odds of each kind `(samples, kinds)`, each by a regression that did not see the photo; None for too few."""
    odds = np.zeros((len(samples), len(names)))
    for train, test in _parts(samples, folds):
        some = [samples[index] for index in train]
        if {sample.kind for sample in some} != set(names):
            return None
        weight, bias = _regression(some, names)
        odds[test] = np.array([samples[index].features for index in test], np.float64) @ weight.T + bias
    return odds


def _chosen(odds: np.ndarray, truth: np.ndarray, wanted: float) -> tuple[float, tuple[float, ...]]:
    """Temperature, and the probability of each kind from which it is named."""
    temperature = _temperature(odds, truth)
    return temperature, _thresholds(_softened(odds, temperature), truth, wanted)


def _named_apart(
    odds: np.ndarray, truth: np.ndarray, samples: Sequence[KindSample], folds: Mapping[str, int], wanted: float
) -> np.ndarray:
    """Answers as `named` gives them, each by a temperature and thresholds that were chosen on other photos."""
    answers = np.zeros(len(truth), int)
    for others, own in _parts(samples, folds):
        temperature, thresholds = _chosen(odds[others], truth[others], wanted)
        answers[own] = named(_softened(odds[own], temperature), thresholds)
    return answers


def _temperature(odds: np.ndarray, truth: np.ndarray) -> float:
    """Divisor of the log odds that makes the truth likeliest (Guo et al. 2017, *On Calibration*, section 4.2)."""
    tried = np.geomspace(0.3, 5, 60)
    losses = [-np.log(_softened(odds, each)[np.arange(len(truth)), truth] + 1e-9).mean() for each in tried]
    return float(tried[int(np.argmin(losses))])


def _softened(odds: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of log odds `(n, kinds)` divided by a temperature."""
    scaled = np.exp((odds - odds.max(axis=1, keepdims=True)) / temperature)
    shares: np.ndarray = scaled / scaled.sum(axis=1, keepdims=True)
    return shares


def _thresholds(probabilities: np.ndarray, truth: np.ndarray, wanted: float) -> tuple[float, ...]:
    """Probability of each kind from which it is named: one for all, and more for the most frequent.

    The most frequent kind is what a garment is taken for where its features say little. The pair of numbers is the one
    that names most garments while as many are right as wanted and `ABOVE_MAJORITY` more than are of the most frequent
    kind, both with a margin; or, where none does, the one that comes nearest while enough are named.
    """
    likeliest, top = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kinds = probabilities.shape[1]
    frequent = int(np.bincount(truth, minlength=kinds).argmax())
    best, found = (-np.inf, -np.inf), (0.0, 0.0)
    for base in np.arange(_CLEARLY / kinds, 0.9, 0.01):
        for more in np.arange(0, 0.45, 0.05):
            answered = top >= base + more * (likeliest == frequent)
            share = float(answered.mean())
            if share < ANSWERED + _AIM:
                continue
            right = float((likeliest[answered] == truth[answered]).mean())
            majority = np.bincount(truth[answered]).max() / answered.sum()
            spare = min(right - wanted, right - majority - ABOVE_MAJORITY) - _AIM
            if (rank := (min(spare, 0.0), share)) > best:
                best, found = rank, (float(base), float(more))
    base, more = found
    return tuple(round(min(1.0, base + more * (kind == frequent)), 2) for kind in range(kinds))
