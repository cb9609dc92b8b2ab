import numpy as np

from train.reliability import CONFIDENCES, SHARES, choose_thresholds, lines, rates


def test_thresholds_that_leave_out_what_is_wrong() -> None:
    truth = np.array([[True], [True], [False], [False]])
    share = np.array([[0.2], [0.03], [0.008], [-1.0]])  # the third is a speck that is not worn
    confidence = np.array([[0.9], [0.9], [0.9], [-1.0]])
    least_share, least_confidence = choose_thresholds(truth, share, confidence)
    assert least_share == min(share for share in SHARES if share > 0.008)
    assert least_confidence == CONFIDENCES[0], "of equals, the lowest"


def test_a_garment_that_nobody_wears_has_no_say() -> None:
    truth = np.array([[True, False], [False, False]])
    share = np.array([[0.001, 0.3], [-1.0, 0.3]])
    assert choose_thresholds(truth, share, np.ones_like(share)) == (0.0, 0.0)


def test_rates_by_hand() -> None:
    truth = np.array([[True, False], [True, False], [False, False], [False, False]])
    judged = np.array([[True, False], [False, True], [True, False], [False, False]])
    found = rates(truth, judged, ("Hat", "Bag"))
    assert found["Hat"] == {
        "precision": 0.5,
        "recall": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
        "worn": 2,
        "not_worn": 2,
    }
    assert found["Bag"]["sensitivity"] is None and found["Bag"]["specificity"] == 0.75
    assert lines({"garments": found})[1] == "Bag        worn in   0: precision 0.00, specificity 0.75"
