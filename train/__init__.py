"""Losses, recipes, fitting and evaluation. Knows `segmodels`, never `dashboard`."""

import segmodels  # noqa: F401  # sets how threads wait, before PyTorch is loaded

__all__: list[str] = []
