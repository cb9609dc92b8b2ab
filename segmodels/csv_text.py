"""CSV that leaves Garmentscope: no cell of it runs as a formula, and there is a form for Excel."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

__all__ = ["csv_bytes", "for_excel", "harmless", "original"]

# What spreadsheets run (OWASP, CSV Injection): a formula begins with one of these, also in their full width.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BOM = b"\xef\xbb\xbf"


def csv_bytes(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows, the header first, as CSV in UTF-8, with `harmless` cells.

    Args:
        rows: The cells; None is an empty one.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def for_excel(data: bytes) -> bytes:
    """A CSV in UTF-8 with a byte-order mark, without which Excel takes it for Windows-1252."""
    return _BOM + data.removeprefix(_BOM)


def harmless(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula: a text that could be one begins with an apostrophe.

    Args:
        cell: Content of the cell; anything but a text, and a text that is a number, stays as it is.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def original(cell: str) -> str:
    """The text from which `harmless` has made a cell."""
    return cell[1:] if cell.startswith("'") and harmless(cell[1:]) == cell else cell
