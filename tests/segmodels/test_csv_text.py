import csv
import io
import re
from pathlib import Path

import pytest

from segmodels.csv_text import csv_bytes, for_excel, harmless, original


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-", "=é"])
def test_a_formula_becomes_text_and_back(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert original(f"'{cell}") == cell


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1e-05", "look.jpg", "", "a=1", "'quoted'", "'", -2, 0.5, None, True])
def test_other_cells_stay(cell: object) -> None:
    assert harmless(cell) == cell
    if isinstance(cell, str):
        assert original(cell) == cell


def test_rows_are_csv_with_harmless_headers_too() -> None:
    data = csv_bytes([["=name", "share"], ["a,b", -0.25], ["Größe", None]])
    assert data.decode() == '\'=name,share\r\n"a,b",-0.25\r\nGröße,\r\n'
    assert list(csv.reader(io.StringIO(data.decode())))[1] == ["a,b", "-0.25"]


def test_excel_gets_a_byte_order_mark_once() -> None:
    assert for_excel(for_excel(b"a")) == b"\xef\xbb\xbfa"


def test_no_other_code_of_library_and_app_writes_csv() -> None:
    root = Path(__file__).parents[2]
    writes = re.compile(r"csv\.writer\(|DictWriter\(|\.to_csv\(|COPY .* TO .*csv", re.IGNORECASE)
    found = {
        path.relative_to(root).as_posix()
        for package in ("segmodels", "dashboard")
        for path in (root / package).rglob("*.py")
        if writes.search(path.read_text("utf-8"))
    }
    assert found == {"segmodels/csv_text.py", "dashboard/shared/tables.py"}
