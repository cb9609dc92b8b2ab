"""Which font a line of a moodboard gets; the fonts of the machine are those that Matplotlib brings."""

from pathlib import Path

import matplotlib
import pytest

from dashboard.shared import fonts
from dashboard.shared.fonts import font_for, letters_without_font

DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@pytest.fixture(autouse=True)
def fonts_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_FONTS", ("none.ttf", str(DEJAVU)))


@pytest.mark.parametrize(
    ("text", "family"),
    [("Coats", "Aileron"), ("معطف أحمر", "DejaVu Sans"), ("Пальто\x07", "DejaVu Sans"), ("コート", "Aileron")],
)
def test_a_line_gets_the_first_font_with_all_of_its_letters(text: str, family: str) -> None:
    assert font_for(text, 22).getname()[0] == family  # type: ignore[union-attr]


def test_letters_that_no_font_has_are_told() -> None:
    assert letters_without_font(["", "Пальто 外套", "a\x07 套"]) == ["外", "套"]
