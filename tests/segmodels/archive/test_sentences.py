import pytest

from segmodels.archive.ingest import Progress, Report
from segmodels.archive.sentences import (
    duration,
    outcome_sentence,
    progress_sentence,
    rejected_sentence,
    unmatched_sentences,
)
from segmodels.archive.sources import Rejected


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (663, "11 min 03 s"), (7499, "2 h 04 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_has_speed_time_left_and_what_stopping_does() -> None:
    assert (
        progress_sentence(Progress(3120, 12400, 3100, 20, 0, 14.2))
        == "3,120 of 12,400, 14 per second, 10 min 54 s left. Stopping keeps what is done."
    )
    assert (
        progress_sentence(Progress(2, 5, 1, 0, 1, 0.5))
        == "2 of 5, 0.5 per second, 6 s left, 1 rejected. Stopping keeps what is done."
    )
    assert progress_sentence(Progress(0, 5, 0, 0, 0, 0.0)) == "0 of 5. Stopping keeps what is done."


def test_an_outcome_names_every_count() -> None:
    assert outcome_sentence(Report(3, added=3), "spring") == "3 photos added to spring."
    assert (
        outcome_sentence(Report(3, known=1, doubled=1, retagged=1), "spring") == "Nothing new in spring. "
        "1 photo was there already. 1 photo is a duplicate. Date or tags of 1 photo updated."
    )


def test_rejected_and_unmatched_are_named() -> None:
    bad = [Rejected(f"{number}.jpg", "bad") for number in range(12)]
    assert rejected_sentence(Report(12400, rejected=bad)) == "12 of 12,400 photos rejected (see rejected.csv)."
    assert (
        rejected_sentence(Report(12, rejected=bad)) == "12 of 12 photos rejected (see rejected.csv). Nothing was added."
    )
    assert rejected_sentence(Report(3)) == "" and unmatched_sentences(Report(3)) == []
    report = Report(9, rows_without_photo=["x.jpg"], photos_without_row=[f"{number}.jpg" for number in range(7)])
    assert unmatched_sentences(report) == [
        "1 row of the CSV has no photo: x.jpg.",
        "7 photos have no row in the CSV: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more.",
    ]
