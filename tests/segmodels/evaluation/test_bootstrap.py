import numpy as np
import pytest

from segmodels.evaluation.bootstrap import SCORES, batch_scores, difference, interval
from segmodels.evaluation.evidence import Evidence
from segmodels.evaluation.metrics import ConfusionMatrix

NAMES = ("Background", "Shirt", "Pants")


def photos(count: int, hit: float, seed: int = 0) -> list[Evidence]:
    """Photos of 1,000 pixels, of which a share that varies about `hit` is right."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        truth = generator.multinomial(1000, [0.6, 0.3, 0.1])
        right = np.clip(hit + generator.normal(0, 0.05), 0, 1)
        hits = np.rint(truth * right).astype(int)
        counts = np.diag(hits)
        counts[:, 0] += truth - hits
        rows.append(Evidence(str(number), None, counts, b""))
    return rows


def test_an_interval_holds_the_score_and_narrows_with_more_photos() -> None:
    few, many = interval(photos(20, 0.8), NAMES), interval(photos(500, 0.8), NAMES)
    for name in SCORES:
        for found in (few[name], many[name]):
            assert found.low < found.value < found.high
        assert many[name].high - many[name].low < (few[name].high - few[name].low) / 3
    rows = photos(20, 0.8)
    matrix = ConfusionMatrix(NAMES, sum(row.counts for row in rows))  # type: ignore[arg-type]
    assert few["mean_iou"].value == matrix.mean_iou


def test_the_interval_of_an_accuracy_is_that_of_a_mean() -> None:
    """All photos have as many pixels, so accuracy is the mean of the photos' own, whose spread is known."""
    rows = photos(200, 0.8)
    own = np.array([np.trace(row.counts) / row.counts.sum() for row in rows])
    found = interval(rows, NAMES)["pixel_accuracy"]
    half = 1.96 * own.std() / np.sqrt(len(rows))
    assert found.value == pytest.approx(own.mean())
    assert (found.low, found.high) == pytest.approx((own.mean() - half, own.mean() + half), abs=0.1 * half)


def test_the_same_run_twice_differs_by_nothing() -> None:
    rows = photos(30, 0.7)
    for found in difference(rows, rows[::-1], NAMES).values():
        assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_better_run_is_better_beyond_chance_and_an_equal_one_is_not() -> None:
    first = photos(100, 0.7)
    better = difference(first, photos(100, 0.75), NAMES)["mean_iou"]
    assert 0 < better.low < better.value < better.high
    equal = difference(photos(100, 0.7, seed=1), photos(100, 0.7, seed=2), NAMES)["mean_iou"]
    assert equal.low < 0 < equal.high


def test_pairs_are_drawn_together() -> None:
    """A run that is better by the same on each photo: much surer than the two scores apart."""
    first = photos(50, 0.7, seed=3)
    second = []
    for row in first:
        counts = row.counts.copy()
        moved = counts[1:, 0] // 10
        counts[1:, 0] -= moved
        counts[[1, 2], [1, 2]] += moved
        second.append(Evidence(row.photo_id, None, counts, b""))
    paired = difference(first, second, NAMES)["pixel_accuracy"]
    alone = interval(first, NAMES)["pixel_accuracy"]
    assert paired.low > 0 and paired.high - paired.low < (alone.high - alone.low) / 3


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = photos(30, 0.7)
    assert interval(rows, NAMES, seed=1) == interval(rows, NAMES, seed=1) != interval(rows, NAMES, seed=2)


def test_other_photos_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"were not evaluated on the same photos: 1 are in only one \(29\)"):
        difference(photos(30, 0.7), photos(29, 0.7), NAMES)


def test_many_matrices_at_once_have_the_scores_of_each() -> None:
    generator = np.random.default_rng(0)
    matrices = generator.integers(0, 50, (20, 3, 3))
    matrices[1, 2, :] = matrices[1, :, 2] = 0  # a class that does not occur
    matrices[2] = np.diag([9, 0, 0])  # nothing but background
    matrices[3] = 0  # no pixel at all
    found = batch_scores(matrices)
    for place, matrix in enumerate(matrices):
        scores = ConfusionMatrix(NAMES, matrix).scores()
        for name in SCORES:
            expected = float("nan") if scores[name] is None else scores[name]
            assert found[name][place] == pytest.approx(expected, nan_ok=True), (name, place)


def test_many_matrices_with_a_column_of_other_classes_at_once() -> None:
    counts = np.array([[[6, 1, 1], [0, 3, 1]], [[2, 0, 0], [1, 0, 4]]])
    found = batch_scores(counts)
    for place, each in enumerate(counts):
        scores = ConfusionMatrix(("Background", "Coat"), each).scores()
        assert {name: found[name][place] for name in SCORES} == pytest.approx({name: scores[name] for name in SCORES})
