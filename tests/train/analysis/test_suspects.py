import csv
from pathlib import Path

import numpy as np

from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.analysis.suspects import Suspect, doubt, write_suspects

SHIRT, COAT = OUTFIT_15["Shirt"].id, OUTFIT_15["Coat"].id


def test_doubt_is_confidence_against_the_truth_over_the_true_person() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:4] = SHIRT  # 40 pixels of person
    seen = truth.copy()
    seen[:2] = COAT  # 20 contradicted, fully sure
    seen[9, :5] = COAT  # 5 on the background, half sure
    confidence = np.full((10, 10), 255, np.uint8)
    confidence[9] = 51

    found = doubt("1", truth, seen, confidence, OUTFIT_15)

    assert np.isclose(found.doubt, (20 + 5 * 0.2) / 40)
    assert (found.truth, found.seen) == ("Shirt", "Coat") and np.isclose(found.share, 20 / 21)


def test_what_agrees_or_is_unlabelled_is_not_doubted() -> None:
    truth = np.full((4, 4), SHIRT, np.uint8)
    truth[0] = UNLABELLED
    seen = np.full((4, 4), SHIRT, np.uint8)
    seen[0] = COAT
    assert doubt("1", truth, seen, np.full((4, 4), 255, np.uint8), OUTFIT_15).doubt == 0


def test_the_list_is_a_csv(tmp_path: Path) -> None:
    write_suspects(tmp_path / "new" / "list.csv", [Suspect("0007", 0.51, "Dress", "Coat", 0.9)])
    with (tmp_path / "new" / "list.csv").open() as file:
        assert list(csv.DictReader(file)) == [
            {"id": "0007", "doubt": "0.5100", "truth": "Dress", "seen": "Coat", "share": "0.900"}
        ]
