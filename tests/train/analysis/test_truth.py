import json

import pandas as pd

from train.analysis.truth import Compared


def test_errors_of_nothing_are_not_known() -> None:
    """One photo has no pair that is shown together or apart, and too few garments for colours."""
    shares = pd.DataFrame({"garment": ["Coat", "Hat"], "true": [1.0, 0.0], "raw": [1.0, 1.0], "expected": [0.9, 0.2]})
    lifts = pd.DataFrame(columns=["first", "second", "true", "raw", "expected"])
    colours = pd.DataFrame(columns=["garment", "colour", "true", "raw", "expected"])
    found = Compared(1, shares, lifts, colours, {"raw": 0.5, "expected": 1.0})
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["errors"]["lifts"] == written["errors"]["colours"] == {"raw": None, "expected": None}
    assert written["errors"]["shares"]["raw"] == 0.5 and round(written["errors"]["shares"]["expected"], 9) == 0.15
    assert "| share of a garment (2) | 0.500 | 0.150 |" in found.lines()
    assert "| lift of a pair (0) | – | – |" in found.lines()
