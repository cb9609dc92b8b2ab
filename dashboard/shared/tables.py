"""Tables as files for download."""

from __future__ import annotations

import pandas as pd

from segmodels.csv_text import for_excel, harmless

__all__ = ["as_csv", "as_excel_csv", "as_parquet"]


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV, UTF-8, without formulas."""
    texts = [place for place in range(table.shape[1]) if not pd.api.types.is_numeric_dtype(table.dtypes.iloc[place])]
    safe = table.copy(deep=False)
    for place in texts:
        safe.isetitem(place, table.iloc[:, place].map(harmless).to_numpy())
    safe.columns = pd.Index([harmless(str(name)) for name in table.columns])
    return safe.to_csv(index=False).encode("utf-8")


def as_excel_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV that Excel opens with all its characters."""
    return for_excel(as_csv(table))


def as_parquet(table: pd.DataFrame) -> bytes:
    """A table as Parquet, with the types of its columns."""
    return bytes(table.to_parquet(None, index=False))
