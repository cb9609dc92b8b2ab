"""What the scores under `conditions` in `metrics.json` are: on photos that are cut, lit or made otherwise."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CONDITION_MEASURES"]

CONDITION_MEASURES: Mapping[str, str] = {
    "whole": "mean IoU",
    "framing": "mean IoU of the classes with more than 0.2 % of the true pixels",
    "flatlay": "share of photos whose largest garment is named rightly, as mean over the classes",
    "wild": "micro F1 of garments and accessories on the main person",
}
"""What a score is, for people, by the kind of its condition: `whole` for whole photos, changed or as they are."""
