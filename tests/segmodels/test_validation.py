from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

import pytest
from pydantic import Field

from segmodels.checkpoints.config import CheckpointConfig, Member
from segmodels.foreign.description import ForeignSettings
from segmodels.inference.detector import DetectorConfig
from segmodels.validation import Amount, Count, Positive, Share, checked_fields, expected, key_of
from train.analysis.grid import Grid
from train.recipe import Recipe

KNOWN = {"red": 1, "blue": 2}


@dataclass(frozen=True, kw_only=True)
class Paint:
    colour: Annotated[str, key_of(KNOWN)] = "red"
    coats: Count = 1
    gloss: Share = 0.5
    litres: Positive = 1.0
    price: Amount = 0.0
    tins: Annotated[int, Field(le=9)] = 1
    water: Annotated[float, Field(lt=1)] = 0.0
    kind: Literal["oil", "water"] = "oil"
    mixes: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    outdoors: bool = False
    brush: Annotated[int, Field(ge=10, multiple_of=5), expected("10, 15, 20 or more millimetres")] = 10


def test_values_come_back_and_whole_numbers_are_numbers() -> None:
    values = checked_fields(Paint, {"coats": 2, "litres": 3, "mixes": [1, 0.5], "notes": {"a": [None]}}, ValueError)
    assert values == {"coats": 2, "litres": 3.0, "mixes": [1.0, 0.5], "notes": {"a": [None]}}
    assert type(values["litres"]) is float and type(values["mixes"][0]) is float
    assert checked_fields(Paint, {}, ValueError) == {}
    assert checked_fields(Paint, vars(Paint()), ValueError) == vars(Paint())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"coat": 1}, "unknown key coat. Did you mean coats?"),
        ({"xyz": 1}, "unknown key xyz. The keys are brush, coats, colour, gloss, kind, "),
        ({"colour": "green"}, "colour must be one of red, blue, not 'green'."),
        ({"colour": ["red"]}, "colour must be a text, not ['red']."),
        ({"coats": 0}, "coats must be at least 1, not 0."),
        ({"coats": True}, "coats must be a whole number, not True."),
        ({"coats": 2.0}, "coats must be a whole number, not 2.0."),
        ({"coats": "2"}, "coats must be a whole number, not '2'."),
        ({"gloss": 1.5}, "gloss must be a number between 0 and 1, not 1.5."),
        ({"gloss": None}, "gloss must be a number between 0 and 1, not None."),
        ({"litres": 0}, "litres must be above 0, not 0."),
        ({"litres": float("inf")}, "litres must be a finite number, not inf."),
        ({"price": float("nan")}, "price must be a finite number, not nan."),
        ({"price": False}, "price must be a number, not False."),
        ({"tins": 10}, "tins must be at most 9, not 10."),
        ({"water": 1}, "water must be below 1, not 1."),
        ({"kind": "chalk"}, "kind must be 'oil' or 'water', not 'chalk'."),
        ({"mixes": 1}, "mixes must be a list, not 1."),
        ({"mixes": [1, "{x}"]}, "mixes[1] must be a number, not '{x}'."),
        ({"notes": [1]}, "notes must be a table of keys and values, not [1]."),
        ({"outdoors": 1}, "outdoors must be true or false, not 1."),
        ({"brush": 12}, "brush must be 10, 15, 20 or more millimetres, not 12."),
    ],
    ids=str,
)
def test_what_is_wrong_is_a_sentence(values: dict[str, object], sentence: str) -> None:
    class PaintError(ValueError):
        pass

    with pytest.raises(PaintError) as caught:
        checked_fields(Paint, values, PaintError)
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [CheckpointConfig, Member, DetectorConfig, ForeignSettings, Recipe, Grid])
def test_every_number_of_a_file_has_a_lower_and_an_upper_bound(kind: type[Any]) -> None:
    numbers = {
        name for name, hint in get_type_hints(kind).items() if {"int", "float"} & set(re.findall(r"\w+", str(hint)))
    }
    assert {"height", "mean", "margin"} & numbers or kind in (DetectorConfig, Grid)
    numbers |= {"arguments"} & set(get_type_hints(kind)) - ({"arguments"} if kind is Grid else set())
    for name in numbers:
        for value in (10**18, -(10**18), 1e300, -1e300, 10**400):
            for form in (value, [value], [0.5, 0.5, value], {"width": value}, {"width": [value]}):
                with pytest.raises(ValueError, match=rf"^{name}(\[\d\])? must be ") as caught:
                    checked_fields(kind, {name: form}, ValueError)
                assert len(str(caught.value)) < 300, "a sentence, whatever the length of the number"
