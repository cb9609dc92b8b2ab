"""The real colours of an archive's garments, as the photos have them, grouped under their names."""

from __future__ import annotations

from collections.abc import Sequence

from segmodels.archive.facts import Facts, View
from segmodels.palettes import Swatch, mean_colour

__all__ = ["real_palette"]

_MOST = 12  # swatches of a garment
_LEAST = 0.5  # garments of a colour; fewer are left out


def real_palette(facts: Facts, view: View, garments: Sequence[str] = (), *, most: int = _MOST) -> list[Swatch]:
    """The main colours of garments: for each fine name, the mean in CIELAB of the garments' own main colours.

    A garment counts with the probability that it is worn, or once with raw counts; black-and-white photos are left
    out. Shares are of all garments of the class.

    Args:
        facts: Facts of the archive.
        view: View that chooses the outfits.
        garments: Classes, in their order; all that are worn if there are none.
        most: Most colours of a garment, the most frequent first.
    """
    found = facts.main_colours(view)
    order = garments or [each.name for each in facts.whole.worn]
    swatches = []
    for garment in order:
        part = found[found["class"] == garment]
        whole = part["garments"].sum()
        named = [
            Swatch(
                str(name),
                mean_colour(rows["hex"].tolist(), rows["garments"].tolist()),
                garment,
                float(rows["garments"].sum() / whole),
                float(rows["garments"].sum()),
            )
            for name, rows in part.groupby("name")
            if rows["garments"].sum() >= _LEAST
        ]
        swatches += sorted(named, key=lambda each: -(each.count or 0))[:most]
    return swatches
