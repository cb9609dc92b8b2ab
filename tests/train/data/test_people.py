import numpy as np
import pytest
from made_cache import cache_of, standing

import train.data.people
from segmodels.inference.boxes import Box
from segmodels.inference.detector import FoundPerson
from train.data.people import with_people


class Detector:
    """Finds somebody in photos of 120 rows only."""

    def find(self, photo: np.ndarray) -> list[FoundPerson]:
        return [FoundPerson(Box(20, 10, 20, 100), 0.99)] if len(photo) == 120 else []


def test_people_of_cached_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.data.people, "load_detector", lambda which: Detector())
    cache = cache_of(standing(), np.zeros((30, 50), np.uint8))
    assert cache.people is None
    assert with_people(cache).people == ((Box(20, 10, 20, 100),), (Box(0, 0, 50, 30),)), "the whole photo without one"
