"""How far a pull from the Hub is, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from segmodels.hub.client import Progress

__all__ = ["pull_bar"]


@contextmanager
def pull_bar(name: str) -> Iterator[Progress]:
    """A progress bar that appears when the first byte arrives."""
    bar: tqdm[Any] | None = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, desc=f"Pulling {name}", unit="B", unit_scale=True, disable=None)
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.close()
