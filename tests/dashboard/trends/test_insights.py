"""What stands out, in archives whose trends and pairs are known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from dashboard.trends.insights import Insight, insights, joints, movers, strongest_pair, usual_period
from dashboard.trends.section import Question
from segmodels.archive.facts import Facts, View
from segmodels.archive.store import Archive
from segmodels.taxonomy import OUTFIT_15


@pytest.fixture
def ask(write: Callable[..., Path]) -> Callable[..., Question]:
    def make(name: str, **changes: object) -> Question:
        return Question(Facts(Archive(write(name, **changes)).reader(), OUTFIT_15), View())

    return make


def test_the_sentence_names_a_rise_a_fall_and_the_strongest_pair(ask: Callable[..., Question]) -> None:
    # photos 0 to 29 wear coats, every third of them a hat; most are early in the year, and most others late
    def day(number: int) -> datetime:
        late = int(12 * (number % 30 / 30) ** 2)
        return datetime(2023, 1 + late if number < 30 else 12 - late, 1 + number % 28)

    question = ask("insights-falling", dated=day)
    found = insights(question)
    assert [each.text for each in found] == [
        "Coat down 68 points since January 2023",  # as statsmodels fits it: 84.1% to 15.8%
        "Hat with Coat 2.0 times as often as expected by chance",
    ]
    assert found[0].tab == "How it moves" and found[0].link["shown"] == ["Coat"]
    assert found[1].link["photos"] == ['trends-matrix:{"worn": ["Hat", "Coat"]}']
    assert joints(found) == ["", "; "] and usual_period(question) == "month"


def test_nothing_is_said_to_rise_without_evidence(question: Question) -> None:
    assert movers(question, "month").empty, "the sixty wear the same in each month"
    assert insights(question)[0] == Insight(
        "No garment rises or falls significantly", "How it moves", {"view": ["Rising and falling"]}
    )


def test_too_few_outfits_and_no_dates_have_nothing_to_say(question: Question, ask: Callable[..., Question]) -> None:
    few = replace(question, view=View(garments=("Hat",)))
    assert strongest_pair(few) is None and insights(few)[0].text == "No garment rises or falls significantly"
    undated = ask("insights-undated", dated=lambda number: None)
    assert [each.tab for each in insights(undated)] == ["With what"]
