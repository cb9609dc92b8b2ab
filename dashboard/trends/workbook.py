"""The tables of the Trends page as one Excel workbook."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from dashboard.shared.tables import heading
from dashboard.trends.contents import Contents
from dashboard.trends.methods import method

__all__ = ["workbook_xlsx"]

_MOST_NAME = 31  # characters of a sheet's name
_FORBIDDEN = re.compile(r"[\[\]:*?/\\]")
_PERCENT, _FACTOR, _COUNT, _EXPECTED, _P, _DATE = "0.0%", "0.00", "#,##0", "#,##0.0", "0.0000", "yyyy-mm-dd"
_POINTS = "+0.0%;-0.0%;0.0%"
_FORMATS = {
    **dict.fromkeys(("share", "other_share", "first_share", "last_share"), _PERCENT),
    **dict.fromkeys(("support", "confidence", "reverse", "sensitivity", "specificity"), _PERCENT),
    **dict.fromkeys(("other_low", "other_high"), _PERCENT),
    **dict.fromkeys(("change", "change_low", "change_high"), _POINTS),
    **dict.fromkeys(("lift", "growth", "jaccard", "npmi"), _FACTOR),
    "p": _P,
}
_ENDS_OF = ("share", "lift", "growth")  # what `low` and `high` of a table are the ends of


def workbook_xlsx(contents: Contents) -> bytes:
    """A workbook with a sheet on its origin and a sheet for each table: numbers, percentages and dates as such.

    Texts are written as texts, so that none is a formula or a link. A cell without a value is empty.

    Args:
        contents: Sections whose tables are written.
    """
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"title": f"Garmentscope: {contents.archive}", "created": contents.written})
        about = book.add_worksheet("About")
        names = _sheet_names([section.title for section in contents.sections])
        for name, section in zip(names, contents.sections, strict=True):
            _write_table(book, book.add_worksheet(name), section.numbers)
        _write_about(book, about, contents, names)
    return out.getvalue()


def _write_about(book: xlsxwriter.Workbook, sheet: Worksheet, contents: Contents, names: Sequence[str]) -> None:
    """The sheet that says what is counted, when, with which filters, by which model, and what each sheet shows."""
    bold, wrapped = book.add_format({"bold": True, "valign": "top"}), book.add_format({"text_wrap": True})
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm", "align": "left"})
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 110)
    rows: list[tuple[str, str | datetime]] = [
        ("Archive", contents.archive),
        *([("Synthetic data", "The photos are made up.")] if contents.made_up else []),
        ("Photos, outfits, model", contents.evidence),
        ("Filters", contents.filtered),
        ("Written", contents.written),
        ("Unit", f"One person's outfit. {contents.counted}"),
        ("Empty cells", "No value, as where too few outfits are known."),
    ]
    for name, section in zip(names, contents.sections, strict=True):
        rows += [(name, f"{section.finding}."), *([("", section.scope)] if section.scope else [])]
        rows += [("", section.caption), ("", method(section.key).replace("*", ""))]
    rows += [("Not shown", sentence) for sentence in contents.refused]
    for place, (label, value) in enumerate(rows):
        sheet.write_string(place, 0, label, bold)
        if isinstance(value, datetime):
            sheet.write_datetime(place, 1, value, moment)
        else:
            sheet.write_string(place, 1, value, wrapped)


def _write_table(book: xlsxwriter.Workbook, sheet: Worksheet, table: pd.DataFrame) -> None:
    """A table with its header, which stays in view and filters its column."""
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {code: book.add_format({"num_format": code}) for code in {*_FORMATS.values(), _COUNT, _EXPECTED, _DATE}}
    for place, name in enumerate(map(str, table.columns)):
        title = heading(name)
        sheet.write_string(0, place, title, bold)
        column = table[name]
        look = formats.get(_number_format(table, name))
        for row, value in enumerate(column.tolist(), 1):
            _write_cell(sheet, row, place, value, look)
        longest = max([len(title) + 2, *(len(value) for value in column if isinstance(value, str))])
        sheet.set_column(place, place, min(40, max(10, longest)))
    sheet.freeze_panes(1, 0)
    if len(table):
        sheet.autofilter(0, 0, len(table), len(table.columns) - 1)


def _write_cell(sheet: Worksheet, row: int, place: int, value: Any, look: Format | None) -> None:
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, date):
        if value.year < 1900:  # before the days of a spreadsheet
            sheet.write_string(row, place, f"{value:%Y-%m-%d}")
        else:
            sheet.write_datetime(row, place, datetime(value.year, value.month, value.day), look)
    elif isinstance(value, int | float) and math.isfinite(value):
        sheet.write_number(row, place, value, look)
    else:
        sheet.write_string(row, place, str(value))


def _number_format(table: pd.DataFrame, name: str) -> str:
    """Number format of a column; that of `low` and `high` is that of the value whose interval they are."""
    if name in ("low", "high"):
        name = next((each for each in _ENDS_OF if each in table.columns), "share")
    if pd.api.types.is_datetime64_any_dtype(table[name]):
        return _DATE
    return _FORMATS.get(name, _EXPECTED if table[name].dtype == float else _COUNT)


def _sheet_names(titles: Sequence[str]) -> list[str]:
    """A name for each sheet: without what Excel forbids, short enough, each once in upper and lower case."""
    found: list[str] = []
    used = {"about", "history"}  # Excel keeps the second for itself
    for title in titles:
        plain = _FORBIDDEN.sub(" ", title).strip(" '") or "Table"
        name, number = plain[:_MOST_NAME].strip(" '"), 1
        while name.lower() in used:
            number += 1
            name = f"{plain[: _MOST_NAME - 4].strip()} {number}"
        used.add(name.lower())
        found.append(name)
    return found
