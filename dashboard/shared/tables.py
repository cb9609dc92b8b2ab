"""Tables as files for download."""

from __future__ import annotations

import pandas as pd

__all__ = ["as_csv", "as_parquet"]


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV, UTF-8."""
    return table.to_csv(index=False).encode("utf-8")


def as_parquet(table: pd.DataFrame) -> bytes:
    """A table as Parquet, with the types of its columns."""
    return bytes(table.to_parquet(None, index=False))
