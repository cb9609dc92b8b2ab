from types import SimpleNamespace
from typing import Any

from dashboard.segment.palette import photo_palette
from segmodels.colour import Colour

NAVY, RED = Colour("#1a2140", "navy", "blue", 0.7), Colour("#d21f26", "red", "red", 0.3)


def photo(name: str, people: int) -> Any:
    garments = [
        SimpleNamespace(name="Coat", person=people - 1, colours=(NAVY, RED)),
        SimpleNamespace(name="Hat", person=0, colours=(RED,)),
    ]
    return SimpleNamespace(
        name=name, people=[None] * people, garments=garments, likely=lambda garment: garment.name == "Coat"
    )


def test_a_palette_has_the_colours_of_the_garments_that_count() -> None:
    alone = photo_palette([photo("a.jpg", 1)])
    assert [(each.title, each.hex, each.share) for each in alone] == [
        ("Coat navy", "#1a2140", 0.7),
        ("Coat red", "#d21f26", 0.3),
    ]
    several = photo_palette([photo("a.jpg", 1), photo("b.jpg", 2)])
    assert [each.group for each in several] == ["a.jpg Coat"] * 2 + ["b.jpg Coat of person 2"] * 2
