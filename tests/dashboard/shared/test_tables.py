import io

import pandas as pd

from dashboard.shared.tables import as_csv, as_excel_csv


def test_a_table_leaves_without_formulas_and_with_its_numbers() -> None:
    table = pd.DataFrame({"=tag": ["+cmd", "Milan", None], "change": [-0.5, 1.0, float("nan")], "n": [-1, 2, 3]})
    assert as_csv(table).decode() == "'=tag,change,n\n'+cmd,-0.5,-1\nMilan,1.0,2\n,,3\n"
    assert pd.read_csv(io.BytesIO(as_csv(table)))["change"].tolist()[:2] == [-0.5, 1.0]
    assert as_excel_csv(table) == b"\xef\xbb\xbf" + as_csv(table)
    assert list(table.columns) == ["=tag", "change", "n"]
