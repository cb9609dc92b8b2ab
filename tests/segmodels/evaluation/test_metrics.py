import json
import math

import numpy as np
import pytest

from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import UNLABELLED

NAN = float("nan")


def test_two_classes_by_hand() -> None:
    # rows truth, columns prediction: 6 + 2 true background, 1 + 3 true shirt
    matrix = ConfusionMatrix(("Background", "Shirt"), np.array([[6, 2], [1, 3]]))
    assert matrix.iou.tolist() == pytest.approx([6 / 9, 3 / 6])
    assert matrix.precision.tolist() == pytest.approx([6 / 7, 3 / 5])
    assert matrix.recall.tolist() == pytest.approx([6 / 8, 3 / 4])
    assert matrix.f1.tolist() == pytest.approx([12 / 15, 6 / 9])
    assert matrix.pixel_accuracy == pytest.approx(9 / 12)
    assert matrix.mean_iou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert matrix.binary_iou == pytest.approx(3 / 6)


def test_three_classes_by_hand() -> None:
    matrix = ConfusionMatrix(("Background", "Coat", "Dress"), np.array([[10, 1, 0], [2, 5, 3], [0, 4, 8]]))
    assert matrix.iou.tolist() == pytest.approx([10 / 13, 5 / 15, 8 / 15])
    assert matrix.precision.tolist() == pytest.approx([10 / 12, 5 / 10, 8 / 11])
    assert matrix.recall.tolist() == pytest.approx([10 / 11, 5 / 10, 8 / 12])
    assert matrix.f1.tolist() == pytest.approx([20 / 23, 10 / 20, 16 / 23])
    assert matrix.pixel_accuracy == pytest.approx(23 / 33)
    # not Background: 5 + 3 + 4 + 8 in both, 1 in the prediction alone, 2 in the truth alone
    assert matrix.binary_iou == pytest.approx(20 / 23)


def test_a_class_that_is_nowhere_has_no_score_and_is_in_no_mean() -> None:
    matrix = ConfusionMatrix(("Background", "Coat", "Dress"), np.array([[6, 0, 2], [0, 0, 0], [1, 0, 3]]))
    for scores in (matrix.iou, matrix.precision, matrix.recall, matrix.f1):
        assert np.isnan(scores).tolist() == [False, True, False]
    scores = matrix.scores()
    assert scores["mean_iou"] == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert scores["mean_iou_foreground"] == pytest.approx(3 / 6)
    assert scores["mean_f1"] == pytest.approx((12 / 15 + 6 / 9) / 2)
    assert scores["mean_precision"] == pytest.approx((6 / 7 + 3 / 5) / 2)
    assert scores["mean_recall"] == pytest.approx((6 / 8 + 3 / 4) / 2)
    assert scores["classes"]["Coat"] == {"iou": None, "f1": None, "precision": None, "recall": None, "pixels": 0}


def test_a_class_that_is_never_predicted_counts_as_zero() -> None:
    matrix = ConfusionMatrix(("Background", "Socks"), np.array([[8, 0], [2, 0]]))
    assert matrix.iou[1] == matrix.precision[1] == matrix.recall[1] == matrix.f1[1] == 0
    assert matrix.scores()["mean_precision"] == pytest.approx(0.4)


def test_a_class_that_is_predicted_but_never_true_counts_as_zero() -> None:
    matrix = ConfusionMatrix(("Background", "Socks"), np.array([[8, 2], [0, 0]]))
    assert matrix.iou[1] == matrix.precision[1] == matrix.recall[1] == matrix.f1[1] == 0
    assert matrix.scores()["mean_recall"] == pytest.approx(0.4)
    assert matrix.scores()["classes"]["Socks"]["pixels"] == 0


def test_nothing_counted_yet() -> None:
    matrix = ConfusionMatrix(("Background", "Socks"))
    assert math.isnan(matrix.pixel_accuracy) and math.isnan(matrix.mean_iou) and math.isnan(matrix.binary_iou)
    scores = matrix.scores()
    assert all(scores[key] is None for key in scores if key not in ("classes", "confusion_matrix"))


def test_background_alone_has_no_binary_iou() -> None:
    scores = ConfusionMatrix(("Background", "Socks"), np.array([[9, 0], [0, 0]])).scores()
    assert scores["binary_iou"] is None and scores["mean_iou_foreground"] is None
    assert scores["mean_iou"] == scores["pixel_accuracy"] == 1


def test_rows_are_truth_and_columns_prediction() -> None:
    matrix = ConfusionMatrix(("a", "b", "c"))
    matrix.add(np.array([[0, 1, 1]], np.uint8), np.array([[2, 1, 0]], np.uint8))
    assert matrix.counts.tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 0]]
    matrix.add(np.array([[0]], np.uint8), np.array([[2]], np.uint8))
    assert matrix.counts[0, 2] == 2


def test_unlabelled_pixels_count_nowhere() -> None:
    matrix = ConfusionMatrix(("a", "b"))
    matrix.add(np.array([[UNLABELLED, 1], [UNLABELLED, 0]], np.uint8), np.array([[1, 1], [200, 0]], np.uint8))
    assert matrix.counts.tolist() == [[1, 0], [0, 1]]
    matrix.add(np.full((3, 3), UNLABELLED, np.uint8), np.zeros((3, 3), np.uint8))
    assert matrix.counts.sum() == 2


def test_fifteen_classes_do_not_overflow_uint8() -> None:
    names = tuple("abcdefghijklmnopqrstuvwxyz")
    matrix = ConfusionMatrix(names)
    matrix.add(np.array([[25]], np.uint8), np.array([[24]], np.uint8))
    assert matrix.counts[25, 24] == matrix.counts.sum() == 1


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_count_pixel_by_pixel(seed: int) -> None:
    generator = np.random.default_rng(seed)
    size = 4
    truth = generator.integers(0, size - 1, (13, 17), np.uint8)  # the last class is never true
    truth[generator.random(truth.shape) < 0.1] = UNLABELLED
    prediction = generator.integers(0, size, (13, 17), np.uint8)
    matrix = ConfusionMatrix(tuple("abcd"))
    matrix.add(truth, prediction)
    pairs = [(int(t), int(p)) for t, p in zip(truth.flat, prediction.flat, strict=True) if t != UNLABELLED]
    assert matrix.counts.sum() == len(pairs)
    for c in range(size):
        hit = sum(t == p == c for t, p in pairs)
        true, predicted = sum(t == c for t, _ in pairs), sum(p == c for _, p in pairs)
        assert matrix.iou[c] == pytest.approx(hit / sum(c in pair for pair in pairs))
        assert matrix.precision[c] == pytest.approx(hit / predicted)
        assert matrix.recall[c] == pytest.approx(hit / true if true else 0)
        assert matrix.f1[c] == pytest.approx(2 * hit / (true + predicted))
    assert matrix.pixel_accuracy == pytest.approx(np.mean([t == p for t, p in pairs]))
    both = sum(t > 0 and p > 0 for t, p in pairs)
    assert matrix.binary_iou == pytest.approx(both / sum(t > 0 or p > 0 for t, p in pairs))


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    counts = np.random.default_rng(0).integers(1, 100, (6, 6))
    matrix = ConfusionMatrix(tuple("abcdef"), counts)
    harmonic = 2 * matrix.precision * matrix.recall / (matrix.precision + matrix.recall)
    np.testing.assert_allclose(matrix.f1, harmonic)
    np.testing.assert_allclose(matrix.f1, 2 * matrix.iou / (1 + matrix.iou))


def test_sum_of_matrices_is_the_matrix_of_both() -> None:
    generator = np.random.default_rng(0)
    maps = [generator.integers(0, 3, (2, 8, 8), np.uint8) for _ in range(2)]
    parts = [ConfusionMatrix(tuple("abc")) for _ in maps]
    whole = ConfusionMatrix(tuple("abc"))
    for part, (truth, prediction) in zip(parts, maps, strict=True):
        part.add(truth, prediction)
        whole.add(truth, prediction)
    added = parts[0] + parts[1]
    assert (added.counts == whole.counts).all()
    assert parts[0].counts.sum() == 64, "a sum leaves its parts as they were"
    with pytest.raises(ValueError, match="different classes"):
        _ = whole + ConfusionMatrix(tuple("abd"))


def test_json_has_exactly_the_keys_of_the_design() -> None:
    scores = ConfusionMatrix(("Background", "Shirt"), np.array([[6, 2], [1, 3]])).scores()
    assert list(scores) == [
        *("pixel_accuracy", "mean_iou", "mean_iou_foreground", "mean_f1", "mean_precision", "mean_recall"),
        *("binary_iou", "classes", "confusion_matrix"),
    ]
    assert list(scores["classes"]) == ["Background", "Shirt"]
    assert all(list(row) == ["iou", "f1", "precision", "recall", "pixels"] for row in scores["classes"].values())
    assert scores["classes"]["Background"]["pixels"] == 8, "pixels of the truth"
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.mark.parametrize(
    ("truth", "prediction", "sentence"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), r"\(2, 3\) and prediction \(3, 2\)"),
        (np.full((1, 1), 2, np.uint8), np.zeros((1, 1), np.uint8), "below 2"),
        (np.zeros((1, 1), np.uint8), np.full((1, 1), 2, np.uint8), "below 2"),
        (np.zeros((1, 1), np.uint8), np.full((1, 1), UNLABELLED, np.uint8), "below 2"),
    ],
)
def test_maps_that_do_not_fit_are_refused_and_nothing_is_counted(
    truth: np.ndarray, prediction: np.ndarray, sentence: str
) -> None:
    matrix = ConfusionMatrix(("a", "b"))
    with pytest.raises(ValueError, match=sentence):
        matrix.add(truth, prediction)
    assert matrix.counts.sum() == 0


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"over 2 classes is \(2, 2\), not \(3, 3\)"):
        ConfusionMatrix(("a", "b"), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="negative"):
        ConfusionMatrix(("a", "b"), np.array([[1, -1], [0, 0]]))


def test_predictions_of_other_classes_are_wrong_and_no_class_of_their_own() -> None:
    """By hand: two classes and a column for all others."""
    matrix = ConfusionMatrix(("Background", "Coat"), np.array([[6, 1, 1], [0, 3, 1]]))
    np.testing.assert_allclose(matrix.iou, [6 / 8, 3 / 5])
    np.testing.assert_allclose(matrix.precision, [1, 3 / 4])
    np.testing.assert_allclose(matrix.recall, [6 / 8, 3 / 4])
    assert matrix.pixel_accuracy == 9 / 12 and matrix.binary_iou == 4 / 6
    assert list(matrix.scores()["classes"]) == ["Background", "Coat"]
    matrix.add(np.array([[1, 1]], np.uint8), np.array([[2, 1]], np.uint8))
    assert matrix.counts.tolist() == [[6, 1, 1], [0, 4, 2]]
    with pytest.raises(ValueError, match="must be below 2"):
        matrix.add(np.array([[2]], np.uint8), np.array([[0]], np.uint8))
    with pytest.raises(ValueError, match="A matrix over 2 classes"):
        ConfusionMatrix(("Background", "Coat"), np.zeros((2, 4), np.int64))
