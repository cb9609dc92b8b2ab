"""Tables as files for download."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from segmodels.csv_text import for_excel, harmless

__all__ = ["as_csv", "as_excel_csv", "as_parquet", "heading", "headings"]

_WORDS = {
    **{"low": "95% from", "high": "95% to", "f1": "F1", "npmi": "NPMI", "n": "n", "p": "p", "q": "q"},
    **{"other_low": "Other 95% from", "other_high": "Other 95% to"},
    **{"change_low": "Change 95% from", "change_high": "Change 95% to"},
    **{"growth": "Odds ratio per year", "reverse": "Reverse confidence", "of": "Of outfits"},
    "what": "Observed or forecast",
}


def heading(name: str) -> str:
    """Heading of a column for people, of the name that files have."""
    return _WORDS.get(name) or name[:1].upper() + name[1:].replace("_", " ")


def headings(table: pd.DataFrame, words: Mapping[str, str] = {}, **formats: str) -> dict[str, Any]:
    """Headings of a table for people, as `st.dataframe` takes them in `column_config`.

    Args:
        table: The table; its columns keep the names that files have.
        words: Heading of a column, where it is not its name in words.
        **formats: Format of a column of numbers, such as `%.2f`.
    """
    said = {str(name): words.get(str(name)) or heading(str(name)) for name in table.columns}
    number, other = st.column_config.NumberColumn, st.column_config.Column
    return {
        name: number(label, format=formats[name]) if name in formats else other(label) for name, label in said.items()
    }


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
