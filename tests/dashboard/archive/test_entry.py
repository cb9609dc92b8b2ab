from dataclasses import replace
from datetime import date

import pytest

from dashboard.archive.entry import contents_html
from dashboard.archive.shelf import TRAINED_ON, Contents, Tag
from segmodels.archive.store import Version

CONTENTS = Contents(
    Version("OUTFIT_15", "fpn", "0123456789abcdef"), 1200, 1300, 1200, date(2024, 3, 5), date(2024, 4, 1), ()
)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "<dt>Dates</dt><dd>2024-03-05 to 2024-04-01</dd>"),
        ({"dated": 1190}, "<dd>2024-03-05 to 2024-04-01, 10 without date</dd>"),
        ({"dated": 0, "first": None, "last": None}, "<dt>Dates</dt><dd>none</dd>"),
        ({}, "<dd>fpn, revision 0123456789ab</dd>"),
        ({}, "<dt>Tags</dt><dd>none</dd>"),
        (
            {"tags": (Tag("<b>", 5, (("R&D", 1000), ("x", 2))),)},
            "<p><b>&lt;b&gt;</b> R&amp;D 1,000, x 2 and 3 more</p>",
        ),
        (
            {"tags": (Tag("x" * 10_000, 1, (("\u202egpj", 1),)),)},
            f"<p><b>{'x' * 79}…</b> \N{REPLACEMENT CHARACTER}gpj 1</p>",
        ),
        ({"tags": (Tag(TRAINED_ON, 1, (("yes", 1004),)),)}, "The model saw 1,004 of these photos in training"),
        ({"tags": (Tag(TRAINED_ON, 1, (("no", 1200),)),)}, "The model saw none of these photos in training"),
    ],
)
def test_an_archive_in_numbers(change: dict[str, object], text: str) -> None:
    shown = contents_html(replace(CONTENTS, **change))  # type: ignore[arg-type]
    assert text in shown and "<dd>1,200</dd>" in shown and "<dd>1,300</dd>" in shown


def test_nothing_is_said_of_training_where_it_is_not_known() -> None:
    assert "training" not in contents_html(CONTENTS)
