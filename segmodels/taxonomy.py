"""What a pixel can be: classes, the taxonomies they form, and the alias tables between data sets.

`OUTFIT_15` follows Table I of Inácio, Brilhador & Lopes, *Semantic segmentation of clothes in the context of soft
biometrics using deep learning methods*. Its colours were annealed on the contacts between classes counted in the
masks of Clothing Co-Parsing, so that neighbours stay apart in normal and in colour-blind vision (CIEDE2000 under the
model of Machado et al. 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

__all__ = [
    "CCP_59",
    "CCP_TO_OUTFIT_15",
    "OUTFIT_15",
    "TAXONOMIES",
    "UNLABELLED",
    "GarmentClass",
    "Group",
    "Taxonomy",
    "label_lookup",
]

Group = Literal["background", "body", "garment", "accessory"]

UNLABELLED = 255
"""Class id of a pixel that no truth speaks of: outside the photo, or of a label that no alias table knows."""


@dataclass(frozen=True, slots=True)
class GarmentClass:
    """One class of a taxonomy: its id in class maps, name, group and display colour (`#RRGGBB`)."""

    id: int
    name: str
    group: Group
    colour: str

    @property
    def is_worn(self) -> bool:
        """Whether trends count it: garments and accessories are, background, hair and skin are not."""
        return self.group in ("garment", "accessory")


@dataclass(frozen=True)
class Taxonomy:
    """An ordered set of classes; the position of a class is its id in every class map.

    Args:
        name: Key in `TAXONOMIES`.
        classes: All classes, ids 0 to n - 1 without gaps.
        display_order: Names in the one order in which pages list them (head to toe), each class once.

    Raises:
        ValueError: If ids have gaps, a name occurs twice, or `display_order` is not a permutation of the names.
    """

    name: str
    classes: tuple[GarmentClass, ...]
    display_order: tuple[str, ...]

    def __post_init__(self) -> None:
        if [garment.id for garment in self.classes] != list(range(len(self.classes))):
            raise ValueError(f"Taxonomy {self.name}: ids must run from 0 to {len(self.classes) - 1} without gaps.")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"Taxonomy {self.name}: a class name occurs twice.")
        if sorted(self.display_order) != sorted(self.names):
            raise ValueError(f"Taxonomy {self.name}: display_order must hold each class name exactly once.")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(garment.name for garment in self.classes)

    @cached_property
    def _by_name(self) -> dict[str, GarmentClass]:
        return {garment.name: garment for garment in self.classes}

    def __getitem__(self, name: str) -> GarmentClass:
        """The class called `name`.

        Raises:
            KeyError: If the taxonomy has no such class; the message lists those it has.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"{self.name} has no class {name!r}; it has {', '.join(self.names)}.") from None

    @property
    def worn(self) -> tuple[GarmentClass, ...]:
        """Garments and accessories in display order: what an outfit is made of."""
        return tuple(self[name] for name in self.display_order if self[name].is_worn)

    @cached_property
    def palette(self) -> np.ndarray:
        """Display colours by class id, uint8 `(256, 3)` RGB; ids that are no class are black."""
        palette = np.zeros((256, 3), np.uint8)
        for garment in self.classes:
            palette[garment.id] = tuple(bytes.fromhex(garment.colour[1:]))
        return palette


OUTFIT_15 = Taxonomy(
    name="OUTFIT_15",
    classes=(
        GarmentClass(0, "Background", "background", "#837B78"),
        GarmentClass(1, "Bag", "accessory", "#875B02"),
        GarmentClass(2, "Coat", "garment", "#A19604"),
        GarmentClass(3, "Dress", "garment", "#D47898"),
        GarmentClass(4, "Footwear", "garment", "#953AAD"),
        GarmentClass(5, "Glasses", "accessory", "#9C6CA7"),
        GarmentClass(6, "Hair", "body", "#3E3321"),
        GarmentClass(7, "Hat", "accessory", "#0BA59A"),
        GarmentClass(8, "Pants", "garment", "#7692E1"),
        GarmentClass(9, "Romper", "garment", "#7C9B5E"),
        GarmentClass(10, "Scarf/Tie", "accessory", "#9B457B"),
        GarmentClass(11, "Shirt", "garment", "#0B7357"),
        GarmentClass(12, "Shorts", "garment", "#7A68EC"),
        GarmentClass(13, "Skin", "body", "#E6BD9B"),
        GarmentClass(14, "Socks", "garment", "#C1335A"),
    ),
    display_order=(
        "Hat",
        "Glasses",
        "Scarf/Tie",
        "Coat",
        "Shirt",
        "Dress",
        "Romper",
        "Pants",
        "Shorts",
        "Socks",
        "Footwear",
        "Bag",
        "Hair",
        "Skin",
        "Background",
    ),
)

TAXONOMIES: Mapping[str, Taxonomy] = {OUTFIT_15.name: OUTFIT_15}

# The labels of Clothing Co-Parsing by id, as its label_list.mat has them.
CCP_59: tuple[str, ...] = tuple(
    "null accessories bag belt blazer blouse bodysuit boots bra bracelet cape cardigan clogs coat dress earrings flats "
    "glasses gloves hair hat heels hoodie intimate jacket jeans jumper leggings loafers necklace panties pants pumps "
    "purse ring romper sandals scarf shirt shoes shorts skin skirt sneakers socks stockings suit sunglasses sweater "
    "sweatshirt swimwear t-shirt tie tights top vest wallet watch wedges".split()
)

# Table I of Inácio et al. for CCP's spelling. `intimate`, `panties` and `swimwear` are in no row of that table, and no
# pixel of the data set carries them.
_CCP_LABELS: Mapping[str, str] = {
    "Background": "null accessories belt bra bracelet earrings gloves necklace ring wallet watch",
    "Bag": "bag purse",
    "Coat": "blazer cape cardigan coat jacket suit",
    "Dress": "dress skirt",
    "Footwear": "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
    "Glasses": "glasses sunglasses",
    "Hair": "hair",
    "Hat": "hat",
    "Pants": "jeans leggings pants tights",
    "Romper": "bodysuit romper",
    "Scarf/Tie": "scarf tie",
    "Shirt": "blouse hoodie jumper shirt sweater sweatshirt t-shirt top vest",
    "Shorts": "shorts",
    "Skin": "skin",
    "Socks": "socks stockings",
}
CCP_TO_OUTFIT_15: Mapping[str, str] = {label: name for name, labels in _CCP_LABELS.items() for label in labels.split()}


def label_lookup(labels: Sequence[str], aliases: Mapping[str, str], taxonomy: Taxonomy) -> np.ndarray:
    """A table that turns a source's label ids into class ids: `class_map = table[labels]`.

    Args:
        labels: The source's labels by id.
        aliases: Class name for each label that has one.
        taxonomy: Where the class names come from.

    Returns:
        uint8 `(256,)`: class id by label id; `UNLABELLED` for ids without an alias. A reader treats a pixel that
        lands on `UNLABELLED` as an error.
    """
    table = np.full(256, UNLABELLED, np.uint8)
    for label_id, label in enumerate(labels):
        if label in aliases:
            table[label_id] = taxonomy[aliases[label]].id
    return table
