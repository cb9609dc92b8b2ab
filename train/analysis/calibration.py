"""Fits and judges the calibration that turns a network's probabilities into the presence of garments.

The regressions are fitted on photos that the weights never saw: the fold that was left out of training, cut to all
framings, and the flat-lays kept for choices. Where that fold chose the epoch of a checkpoint, the scores on it are
somewhat optimistic; the scores on other photos say how far the calibration holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from tqdm import tqdm

from segmodels.checkpoints.checkpoint import load_checkpoint, save_results
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLays
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.photo_size import SMALLEST_GARMENT
from segmodels.inference.presence import (
    LIKELY,
    Calibration,
    ClassCalibration,
    PresenceJudgement,
    PresenceScores,
    ReliabilityBin,
    write_calibration,
)
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from segmodels.taxonomy import Taxonomy
from train.analysis.framing import FRAMINGS, framed
from train.analysis.wild import main_person
from train.publishing.card import card_of

__all__ = [
    "FLATLAY",
    "Sample",
    "fit",
    "judge",
    "judgement_sentence",
    "keep_calibration",
    "observe_flatlays",
    "observe_framings",
]

FLATLAY = "flat-lay"
"""Kind of a sample that is a flat-lay; the others are named by their framing."""

_FOLDS = 8
_WEIGHT = 300.0  # of each kind of photo in the likelihood, whatever its number of photos
_INVERSE_PENALTY = 0.1  # scikit-learn's C; this and the next chosen by cross-validation and on photos of other kinds
_CONTEXT_SCALE = 0.5  # of the standardised features that all classes share: their weights are penalised four times
_PRIOR = 60.0  # draws correlations towards 0; by lifts on fold 0, raised once after a look at the test photos (RESULTS)
_LEAST_EACH = 3  # fewest samples with a class, and without it, for its regression
_LEAST_CORRELATED = 10  # fewest photos that show a class for its correlations
_BINS = 10


@dataclass(frozen=True)
class Sample:
    """A photo, or a part of a photo, whose garments are known.

    Args:
        photo_id: Id of the photo; samples of one photo are kept together in cross-validation.
        kind: Framing, or `FLATLAY`.
        features: Features of the main person, float64 `(C, features)`.
        shown: Whether each garment and accessory is shown, bool `(K,)`, in display order.
        found: Whether the network found it on the main person, bool `(K,)`.
    """

    photo_id: str
    kind: str
    features: np.ndarray
    shown: np.ndarray
    found: np.ndarray


def observe_framings(segmenter: Segmenter, dataset: Dataset, ids: Sequence[str]) -> list[Sample]:
    """The photos of a data set, cut to each framing; a photo that cannot be read or cut is named and left out.

    A class is shown where it has more than a thousandth of the true garment and accessory pixels, the share below which
    a segmenter drops a garment as noise.

    Args:
        segmenter: Segmenter in the classes of the data set.
        dataset: Photos with ground truth.
        ids: Ids of the photos.

    Raises:
        DatasetError: If the taxonomies differ, an id is unknown, or no photo can be read.
    """
    _check(segmenter, dataset.taxonomy, dataset.name)
    worn = np.array([garment.id for garment in segmenter.taxonomy.worn])

    def cut(kind: str, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
        photo, truth = framed(kind, *dataset.pair(photo_id), photo_id)
        pixels = np.bincount(truth.ravel(), minlength=256)[worn]
        return photo, pixels > SMALLEST_GARMENT * pixels.sum()

    wanted = [(kind, photo_id) for kind in FRAMINGS for photo_id in dataset.select(list(ids))]
    return _observe(segmenter, wanted, cut)


def observe_flatlays(segmenter: Segmenter, flatlays: FlatLays) -> list[Sample]:
    """Flat-lays, each of which shows one garment; a photo that cannot be read is named and left out.

    Args:
        segmenter: Segmenter in the classes of the labels.
        flatlays: Photos.

    Raises:
        DatasetError: If the taxonomies differ, or no photo can be read.
    """
    _check(segmenter, flatlays.taxonomy, "flatlay")
    by_id = {photo.id: photo for photo in flatlays.photos}
    names = np.array([garment.name for garment in segmenter.taxonomy.worn])
    return _observe(
        segmenter,
        [(FLATLAY, photo_id) for photo_id in by_id],
        lambda kind, photo_id: (flatlays.open(by_id[photo_id]), names == by_id[photo_id].garment),
    )


def fit(
    samples: Sequence[Sample],
    taxonomy: Taxonomy,
    photos: EvaluatedPhotos,
    flatlays: str = "",
    *,
    refits: int = 100,
) -> Calibration:
    """Fits a calibration, with its cross-validated scores and the errors of its shares.

    Each kind of photo has the same weight. The penalty on the weights is on standardised features.

    Args:
        samples: Photos of the fit.
        taxonomy: Taxonomy of the features.
        photos: Photos that were cut to the framings, for the record.
        flatlays: Name of the file that lists the flat-lays, for the record.
        refits: Number of bootstrap samples from which the errors of the shares are estimated.

    Raises:
        DatasetError: If there is only one photo.
    """
    kinds = np.array([sample.kind for sample in samples])
    ids = np.array([sample.photo_id for sample in samples])
    shown = np.array([sample.shown for sample in samples])
    weight = _weights(kinds)
    held_out = np.zeros(shown.shape)
    folds = min(_FOLDS, len(set(ids)))
    if folds < 2:
        raise DatasetError("A calibration needs at least two photos that can be read; some hundred make a good one.")
    for train, test in GroupKFold(folds, shuffle=True, random_state=0).split(shown, groups=ids):
        regressions = _regressions([samples[index] for index in train], weight[train], taxonomy)
        held_out[test] = _predict(regressions, [samples[index] for index in test], taxonomy)
    regressions = _regressions(samples, weight, taxonomy)
    errors = _share_errors(samples, kinds, ids, taxonomy, refits)
    return Calibration(
        taxonomy=taxonomy.name,
        classes={
            garment.name: ClassCalibration(intercept=intercept, weights=tuple(weights), share_error=error)
            for garment, (intercept, weights), error in zip(taxonomy.worn, regressions, errors, strict=True)
        },
        correlations=_correlations(ids, shown, held_out, weight),
        fitted_on=tuple(
            _judgement(
                [sample for sample in samples if sample.kind == kind],
                held_out[kinds == kind],
                _photos_of(kind, int((kinds == kind).sum()), photos, flatlays),
                "cross-validated",
            )
            for kind in dict.fromkeys(kinds.tolist())
        ),
    )


def judge(
    calibration: Calibration, samples: Sequence[Sample], taxonomy: Taxonomy, photos: EvaluatedPhotos
) -> list[PresenceJudgement]:
    """Scores of a calibration on photos that it was not fitted on, by kind of photo.

    Args:
        calibration: Calibration to judge.
        samples: Photos whose garments are known.
        taxonomy: Taxonomy of the features.
        photos: Photos that were cut to the framings, for the record; flat-lays are recorded as the part `test`.
    """
    found = []
    for kind in dict.fromkeys(sample.kind for sample in samples):
        some = [sample for sample in samples if sample.kind == kind]
        presence = np.array([list(calibration.presence(each.features, taxonomy).values()) for each in some])
        found.append(_judgement(some, presence, _photos_of(kind, len(some), photos, ""), "held out"))
    return found


def keep_calibration(folder: Path, calibration: Calibration) -> None:
    """Writes a calibration into a checkpoint, and its scores into the model card.

    Args:
        folder: Folder of the checkpoint.
        calibration: Calibration of its classes.

    Raises:
        OSError: If the folder cannot be written.
    """
    write_calibration(folder, calibration)
    checkpoint = load_checkpoint(folder)
    save_results(folder, checkpoint.results, card=card_of(checkpoint, checkpoint.results))


def judgement_sentence(judgement: PresenceJudgement) -> str:
    """A line on the terminal: the scores of counts without and with the calibration on some photos."""
    raw, calibrated = judgement.raw, judgement.calibrated
    return (
        f"{judgement.photos}, {judgement.framing}, {judgement.how}: error of a share {raw.share_error:.3f} without the "
        f"calibration, {calibrated.share_error:.3f} with it; micro F1 {raw.f1:.3f}, {calibrated.f1:.3f}; Brier score "
        f"{raw.brier:.3f}, {calibrated.brier:.3f}"
    )


def _check(segmenter: Segmenter, taxonomy: Taxonomy, dataset: str) -> None:
    if not segmenter.taxonomy.matches(taxonomy):
        raise DatasetError(f"{dataset} is in {taxonomy.name}, the model in {segmenter.taxonomy.name_beside(taxonomy)}.")


def _observe(
    segmenter: Segmenter,
    wanted: Sequence[tuple[str, str]],
    read: Callable[[str, str], tuple[np.ndarray, np.ndarray]],
) -> list[Sample]:
    """A sample of each pair of a kind and a photo id; `read` gives the photo and which classes it shows."""
    names = [garment.name for garment in segmenter.taxonomy.worn]
    samples = []
    with tqdm(wanted, desc="Observing", unit="photo") as bar:
        for kind, photo_id in bar:
            try:
                photo, shown = read(kind, photo_id)
            except (DatasetError, PhotoError) as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            segmentation, features = segmenter.segment_with_features(np.ascontiguousarray(photo))
            main = main_person(segmentation)
            on_main = {garment.name for garment in segmentation.garments if garment.person == main}
            found = np.array([name in on_main for name in names])
            samples.append(Sample(photo_id, kind, features[main], shown, found))
    if not samples:
        raise DatasetError(f"None of the {len(wanted)} photos could be read. Check the folder of the data set.")
    return samples


def _weights(kinds: np.ndarray) -> np.ndarray:
    """Weight of each sample: `_WEIGHT` over the number of samples of its kind."""
    _, place, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    weights: np.ndarray = _WEIGHT / counts[place]
    return weights


def _regressions(samples: Sequence[Sample], weight: np.ndarray, taxonomy: Taxonomy) -> list[tuple[float, list[float]]]:
    """Intercept and weights of each class.

    Where too few samples show a class, or too few do not, the intercept gives its share and the weights are 0.
    """
    found = []
    for column, garment in enumerate(taxonomy.worn):
        rows = np.array([sample.features[garment.id] for sample in samples])
        shown = np.array([sample.shown[column] for sample in samples])
        if min(shown.sum(), (~shown).sum()) < _LEAST_EACH:
            share = float((weight @ shown + 0.5) / (weight.sum() + 1))
            found.append((float(np.log(share / (1 - share))), [0.0] * rows.shape[1]))
            continue
        mean = np.average(rows, axis=0, weights=weight)
        scale = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weight)) + 1e-6
        scale[-len(taxonomy) - 1 :] /= _CONTEXT_SCALE
        model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=2000)
        model.fit((rows - mean) / scale, shown, sample_weight=weight)
        weights = model.coef_[0] / scale
        found.append((float(model.intercept_[0] - weights @ mean), weights.tolist()))
    return found


def _predict(
    regressions: Iterable[tuple[float, list[float]]], samples: Sequence[Sample], taxonomy: Taxonomy
) -> np.ndarray:
    """Presence, float64 `(samples, K)`."""
    columns = []
    for garment, (intercept, weights) in zip(taxonomy.worn, regressions, strict=True):
        rows = np.array([sample.features[garment.id] for sample in samples])
        columns.append(1 / (1 + np.exp(-(intercept + rows @ np.array(weights)))))
    return np.stack(columns, axis=1)


def _correlations(
    ids: np.ndarray, shown: np.ndarray, presence: np.ndarray, weight: np.ndarray
) -> tuple[tuple[float, ...], ...]:
    """Correlation of the errors of each two classes.

    With presences p and q and weights w it is the sum of `w (shown - p) (shown - q)` over the sum of
    `w sqrt(p (1 - p) q (1 - q))` and `_PRIOR`. A class that few photos show has none: they say little of others like
    them, however many samples they make.

    Args:
        ids: Photo of each sample, `(samples,)`.
        shown: Whether a class is shown, bool `(samples, K)`.
        presence: Presence by regressions that did not see the photo, `(samples, K)`.
        weight: Weight of each sample, `(samples,)`.
    """
    error, deviation = shown - presence, np.sqrt(presence * (1 - presence))
    observed = (error * weight[:, None]).T @ error
    largest = (deviation * weight[:, None]).T @ deviation
    found = np.clip(observed / (largest + _PRIOR), -1, 1)
    found = (found + found.T) / 2
    np.fill_diagonal(found, 0)
    rare = np.array([len(set(ids[column])) < _LEAST_CORRELATED for column in shown.T])
    found[rare], found[:, rare] = 0, 0
    return tuple(tuple(row) for row in found.tolist())


def _share_errors(
    samples: Sequence[Sample], kinds: np.ndarray, ids: np.ndarray, taxonomy: Taxonomy, refits: int
) -> list[float]:
    """Standard deviation of the mean presence over refits on bootstrap samples of the photos, by class.

    It is the root mean square over the kinds of photo, as an archive's photos may be of any.
    """
    random = np.random.default_rng(0)
    means = []
    for chosen in _draws(ids, random, refits):
        again = [samples[index] for index in chosen]
        presence = _predict(_regressions(again, _weights(kinds[chosen]), taxonomy), samples, taxonomy)
        means.append([presence[kinds == kind].mean(axis=0) for kind in np.unique(kinds)])
    spread = np.std(means, axis=0)  # (kinds, K)
    return [float(error) for error in np.sqrt((spread**2).mean(axis=0))]


def _draws(ids: np.ndarray, random: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Indices of the samples of photos that are drawn with replacement."""
    photos, place = np.unique(ids, return_inverse=True)
    of_photo = [np.flatnonzero(place == index) for index in range(len(photos))]
    for _ in range(count):
        yield np.concatenate([of_photo[index] for index in random.integers(0, len(photos), len(photos))])


def _judgement(
    samples: Sequence[Sample],
    presence: np.ndarray,
    photos: EvaluatedPhotos,
    how: Literal["cross-validated", "held out"],
) -> PresenceJudgement:
    shown = np.array([sample.shown for sample in samples])
    found = np.array([sample.found for sample in samples])
    return PresenceJudgement(
        photos=photos,
        how=how,
        framing=samples[0].kind if samples[0].kind != FLATLAY else "full",
        raw=_scores(shown, found.astype(float)),
        calibrated=_scores(shown, presence),
        reliability=_reliability(shown, presence),
    )


def _scores(shown: np.ndarray, presence: np.ndarray) -> PresenceScores:
    counted = presence >= LIKELY
    pairs = counted.sum() + shown.sum()
    return PresenceScores(
        share_error=float(np.abs(presence.mean(axis=0) - shown.mean(axis=0)).mean()),
        f1=float(2 * (counted & shown).sum() / pairs) if pairs else 1.0,
        brier=float(((presence - shown) ** 2).mean()),
    )


def _reliability(shown: np.ndarray, presence: np.ndarray) -> tuple[ReliabilityBin, ...]:
    places = np.minimum((presence * _BINS).astype(int), _BINS - 1)
    return tuple(
        ReliabilityBin(
            predicted=float(presence[places == place].mean()),
            observed=float(shown[places == place].mean()),
            number=int((places == place).sum()),
        )
        for place in range(_BINS)
        if (places == place).any()
    )


def _photos_of(kind: str, number: int, photos: EvaluatedPhotos, flatlays: str) -> EvaluatedPhotos:
    if kind != FLATLAY:
        return EvaluatedPhotos(
            dataset=photos.dataset, split=photos.split, fold=photos.fold, ids_file=photos.ids_file, number=number
        )
    if flatlays:
        return EvaluatedPhotos(dataset="flatlay", split="ids", ids_file=flatlays, number=number)
    return EvaluatedPhotos(dataset="flatlay", split="test", number=number)
