"""Scores of the person detector."""

import numpy as np
import pytest

from train.detector.judge import detection_scores
from train.detector.source import Scene


def a_scene(people: list[list[float]], unknown: list[list[float]] | None = None) -> Scene:
    picture = np.zeros((100, 100, 3), np.uint8)
    shapes = (np.array(rows, float).reshape(-1, 4) for rows in (people, unknown or []))
    return Scene(picture, picture[..., 0], *shapes)


def test_scores_by_hand() -> None:
    scenes = [
        a_scene([[0, 0, 10, 40], [50, 50, 70, 90]]),
        a_scene([[20, 20, 40, 80]], [[60, 0, 100, 100]]),
        a_scene([]),
    ]
    found = [
        np.array(
            [[0, 0, 10, 38, 0.9], [1, 0, 10, 40, 0.8], [52, 50, 70, 90, 0.4]]
        ),  # a hit, the same again, an unsure hit
        np.array([[70, 10, 90, 90, 0.95], [0, 0, 10, 10, 0.7]]),  # an unknown, a wrong one
        np.array([[5, 5, 20, 40, 0.6]]),  # a wrong one
    ]
    scores = detection_scores(found, scenes)
    assert scores["people"] == 3
    assert scores["recall"] == pytest.approx(1 / 3)
    assert scores["precision"] == pytest.approx(1 / 4), "0.9 is right; 0.8, 0.7 and 0.6 are wrong; 0.95 does not count"
    assert scores["false_boxes"] == pytest.approx(3 / 3)
    assert scores["average_precision"] == pytest.approx((1 / 1 + 2 / 5) / 3)
    assert detection_scores([np.empty((0, 5))], [a_scene([])]) == {
        "people": 0,
        "average_precision": None,
        "recall": None,
        "precision": None,
        "false_boxes": 0,
    }
