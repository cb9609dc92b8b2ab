"""Values that come from a file, checked against the annotations of a dataclass; what is wrong becomes a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from segmodels.files import read_json
from segmodels.sentences import first_line

__all__ = [
    "Amount",
    "Arguments",
    "Count",
    "CountOrZero",
    "Deviation",
    "Kernel",
    "Pixels",
    "Positive",
    "Scales",
    "Share",
    "checked_fields",
    "expected",
    "key_of",
    "read_versioned",
]

_Content = TypeVar("_Content")

_LONGEST = 80  # characters of a value that a sentence repeats

_EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(("int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("dict_type", "mapping_type"), "a table of keys and values"),
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "string_type": "a text",
}
"""What was expected, by pydantic's name of the error; other errors bring their own words."""


def expected(text: str) -> WrapValidator:
    """Puts words into an annotation: what the value must be, whichever of its constraints it breaks.

    Args:
        text: End of the sentence `margin must be ...`.
    """

    def check(value: Any, rest: Callable[[Any], Any]) -> Any:
        try:
            return rest(value)
        except ValidationError:
            raise PydanticCustomError("expected", "{text}", {"text": text}) from None

    return WrapValidator(check)


def key_of(registry: Mapping[str, Any]) -> WrapValidator:
    """A constraint for an annotation: a text that is a key of a registry."""

    def check(value: Any, rest: Callable[[Any], Any]) -> Any:
        if rest(value) not in registry:
            raise PydanticCustomError("key", "{text}", {"text": f"one of {', '.join(registry)}"})
        return value

    return WrapValidator(check)


# Every number has a lower and an upper bound: a file may hold 1e300, and nothing may take it for a size or a factor.
_MOST = 1_000_000_000

Amount = Annotated[float, Field(ge=0, le=1e6)]
"""A number that is not negative."""

Count = Annotated[int, Field(ge=1, le=_MOST)]
"""A whole number from 1."""

CountOrZero = Annotated[int, Field(ge=0, le=_MOST)]
"""A whole number from 0."""


def _odd(kernel: int) -> int:
    if kernel and kernel % 2 == 0:
        raise ValueError("even")
    return kernel


Kernel = Annotated[int, Field(ge=0, le=63), AfterValidator(_odd), expected("0 or an odd number of pixels")]
"""Side of a square of pixels around a middle one; 0 for none."""

Positive = Annotated[float, Field(gt=0, le=1e6)]
"""A number above 0."""

Deviation = Annotated[float, Field(ge=1e-3, le=10), expected("a number from 0.001 to 10, as pixels are scaled to 0..1")]
"""A standard deviation of pixels that are scaled to 0..1."""

Pixels = Annotated[int, Field(ge=16, le=2048), expected("a whole number of pixels from 16 to 2048")]
"""A side of a network's input."""

Scales = Annotated[
    list[Annotated[float, Field(ge=0.25, le=4)]],
    Field(min_length=1, max_length=8),
    expected("a list of up to 8 factors from 0.25 to 4"),
]
"""Factors on the size of a network's input."""

Share = Annotated[float, Field(ge=0, le=1), expected("a number between 0 and 1")]
"""A number from 0 to 1."""


def _argument(value: Any) -> bool:
    """Whether a value can be an argument of an architecture: a short text, a number to 4096, or a few of those."""
    if isinstance(value, list | tuple):
        return len(value) <= 16 and all(not isinstance(each, list | tuple) and _argument(each) for each in value)
    if isinstance(value, str):
        return len(value) <= 100
    return value is None or (isinstance(value, int | float) and -4096 <= value <= 4096)


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    if len(values) > 32 or not all(map(_argument, values.values())):
        raise PydanticCustomError("expected", "short texts, numbers from -4096 to 4096 or short lists of them")
    return values


Arguments = Annotated[dict[str, Any], AfterValidator(_arguments)]
"""Arguments of an architecture by name."""


def checked_fields(kind: type[Any], values: Mapping[str, Any], error: type[ValueError]) -> dict[str, Any]:
    """The values, fit to make a dataclass of; whole numbers become floats where it has floats.

    Args:
        kind: Dataclass whose annotations hold the constraints.
        values: Values by name of a field; fields may be missing.
        error: Kind of error to raise, whose message is a sentence.

    Raises:
        ValueError: If there is no field of a name, or a value is wrong.
    """
    try:
        return _adapter(kind).validate_python(values)  # type: ignore[arg-type]
    except ValidationError as found:
        first = found.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        known = {item.name for item in fields(kind)}
        meant = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {meant[0]}?" if meant else f"The keys are {', '.join(sorted(known))}."
        raise error(f"unknown key {name}. {hint}")
    words = _EXPECTED.get(first["type"])
    what = words.format(**first.get("ctx", {})) if words else first["msg"]
    place = "".join(f"[{part}]" for part in first["loc"][1:] if isinstance(part, int))
    raise error(f"{name}{place} must be {what}, not {_shortened(first['input'])}.")


def read_versioned(
    path: Path, adapter: TypeAdapter[_Content], version: int, error: Callable[[str], Exception], again: str
) -> _Content:
    """The content of a JSON file with a version, as a dataclass.

    Args:
        path: Path of the file.
        adapter: Adapter of the dataclass.
        version: Newest version that can be read.
        error: Class of the error that is raised.
        again: Sentence on what to do with a damaged file.

    Raises:
        Exception: An `error`, if the file is damaged or of a newer version.
    """
    try:
        values = read_json(path)
        found = values.get("version") if isinstance(values, dict) else None
        newer = isinstance(found, int) and found > version
        content = None if newer else adapter.validate_python(values)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise error(f"{path} is damaged: {place}: {first['msg']}. {again}") from None
    except (OSError, ValueError) as problem:
        raise error(f"{path} is damaged: {first_line(problem)}. {again}") from None
    if content is None:
        raise error(f"{path} is of version {found}; this Garmentscope reads {version}. Update it.")
    return content


def _shortened(value: Any) -> str:
    """A value for a sentence, which is not to be as long as the file that the value is from."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[dict[str, Any]]:
    """Checks a dict of some fields of a dataclass."""
    keys = TypedDict(kind.__name__, get_type_hints(kind, include_extras=True), total=False)  # type: ignore[misc]
    keys.__pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]
    return TypeAdapter(keys)  # type: ignore[arg-type]
