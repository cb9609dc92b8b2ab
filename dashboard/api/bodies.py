"""What a request sends: photos as a form, as their bytes, or as an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from dashboard.api.problems import ProblemError

__all__ = ["Body", "UploadedFile", "faults_of", "plain_name", "read_body"]

_LONGEST_NAME = 200
_LONGEST_VALUE = 10_000
_MOST_FIELDS = 20


@dataclass(frozen=True)
class UploadedFile:
    """A file of a request.

    Args:
        name: Name as sent, without folders.
        data: The file.
    """

    name: str
    data: bytes


@dataclass(frozen=True)
class Body:
    """What a form holds.

    Args:
        files: Files by the name of their field.
        values: Other fields; of several with a name, the last one.
    """

    files: Mapping[str, list[UploadedFile]] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


async def read_body(request: Request, most_files: int) -> Body:
    """The files and fields of a form.

    Args:
        request: The request; its size and time are limited already.
        most_files: Most files that are taken.

    Raises:
        ProblemError: If it is no form, is damaged, or has too many parts.
    """
    try:
        async with request.form(max_files=most_files, max_fields=_MOST_FIELDS, max_part_size=_LONGEST_VALUE) as form:
            files: dict[str, list[UploadedFile]] = {}
            values: dict[str, str] = {}
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    sent = UploadedFile(plain_name(value.filename or ""), await value.read())
                    if value.filename or sent.data:  # a browser sends a field without a file as one without both
                        files.setdefault(name, []).append(sent)
                else:
                    values[name] = value
            return Body(files, values)
    except (HTTPException, MultiPartException) as error:
        text = str(getattr(error, "detail", "") or error).rstrip(".")
        if "Too many files" in text:
            raise ProblemError(
                "too-large", f"A request takes {most_files:,} files at most. Send them in several."
            ) from None
        raise ProblemError("invalid-request", f"The form cannot be read: {text}.") from None


def faults_of(error: ValidationError) -> list[str]:
    """What is wrong with a JSON body, one clause without a full stop for each fault, as `feed: Field required`."""
    said = error.errors(include_url=False, include_context=False)
    return [f"{'.'.join(map(str, each['loc'])) or 'the body'}: {each['msg']}" for each in said]


def plain_name(name: str) -> str:
    """The last part of a name, printable, and no longer than a file system takes."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in plain if letter.isprintable())[-_LONGEST_NAME:] or "photo"
