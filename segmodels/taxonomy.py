"""Classes of pixels, the taxonomies they form, and the alias tables between data sets.

Every taxonomy has its background at id 0.

`OUTFIT_15` follows Table I of Inácio, Brilhador & Lopes, *Semantic segmentation of clothes in the context of soft
biometrics using deep learning methods*. Its colours were annealed on the contacts between classes counted in the
masks of Clothing Co-Parsing, so that neighbours stay apart in normal and in colour-blind vision (CIEDE2000 under the
model of Machado et al. 2009).

`CFPD_23` and `IMATERIALIST_47` are the classes of those two data sets. A class that `OUTFIT_15` has keeps its colour
there; the others lie as far from all as was found: 12 apart (10 in colour-blind vision) among 23, 10 (6.5) among 47.
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
    "CFPD_23",
    "CFPD_COLOURS",
    "CFPD_LABELS",
    "CFPD_TO_CFPD_23",
    "CFPD_TO_OUTFIT_15",
    "IMATERIALIST_47",
    "OUTFIT_15",
    "TAXONOMIES",
    "UNLABELLED",
    "GarmentClass",
    "Group",
    "Taxonomy",
    "label_lookup",
]

Group = Literal["background", "body", "garment", "accessory", "part"]
"""A part belongs to a garment that is a class of its own: a sleeve, a zipper."""

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
        """Whether trends count it: garments and accessories are; background, hair, skin and parts are not."""
        return self.group in ("garment", "accessory")


@dataclass(frozen=True)
class Taxonomy:
    """An ordered set of classes; the position of a class is its id in every class map.

    Args:
        name: Name of the taxonomy, a key in `TAXONOMIES`.
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

CFPD_23 = Taxonomy(
    name="CFPD_23",
    classes=(
        GarmentClass(0, "Background", "background", "#837B78"),
        GarmentClass(1, "T-shirt", "garment", "#0B7357"),
        GarmentClass(2, "Bag", "accessory", "#875B02"),
        GarmentClass(3, "Belt", "accessory", "#4BF000"),
        GarmentClass(4, "Blazer", "garment", "#782D00"),
        GarmentClass(5, "Blouse", "garment", "#96D2E1"),
        GarmentClass(6, "Coat", "garment", "#A19604"),
        GarmentClass(7, "Dress", "garment", "#D47898"),
        GarmentClass(8, "Face", "body", "#E1C3C3"),
        GarmentClass(9, "Hair", "body", "#3E3321"),
        GarmentClass(10, "Hat", "accessory", "#0BA59A"),
        GarmentClass(11, "Jeans", "garment", "#0000FF"),
        GarmentClass(12, "Leggings", "garment", "#4B2D4B"),
        GarmentClass(13, "Pants", "garment", "#7692E1"),
        GarmentClass(14, "Scarf", "accessory", "#9B457B"),
        GarmentClass(15, "Shoes", "garment", "#953AAD"),
        GarmentClass(16, "Shorts", "garment", "#7A68EC"),
        GarmentClass(17, "Skin", "body", "#E6BD9B"),
        GarmentClass(18, "Skirt", "garment", "#5A0087"),
        GarmentClass(19, "Socks", "garment", "#C1335A"),
        GarmentClass(20, "Stockings", "garment", "#69A569"),
        GarmentClass(21, "Sunglasses", "accessory", "#9C6CA7"),
        GarmentClass(22, "Sweater", "garment", "#78C3FF"),
    ),
    display_order=(
        "Hat",
        "Sunglasses",
        "Scarf",
        "Coat",
        "Blazer",
        "Sweater",
        "Blouse",
        "T-shirt",
        "Dress",
        "Belt",
        "Skirt",
        "Jeans",
        "Pants",
        "Leggings",
        "Shorts",
        "Stockings",
        "Socks",
        "Shoes",
        "Bag",
        "Hair",
        "Face",
        "Skin",
        "Background",
    ),
)

IMATERIALIST_47 = Taxonomy(
    name="IMATERIALIST_47",
    classes=(
        GarmentClass(0, "Background", "background", "#837B78"),
        GarmentClass(1, "shirt, blouse", "garment", "#0B7357"),
        GarmentClass(2, "top, t-shirt, sweatshirt", "garment", "#3CFF0F"),
        GarmentClass(3, "sweater", "garment", "#A5F0C3"),
        GarmentClass(4, "cardigan", "garment", "#4B1E1E"),
        GarmentClass(5, "jacket", "garment", "#87E1FF"),
        GarmentClass(6, "vest", "garment", "#2D0F87"),
        GarmentClass(7, "pants", "garment", "#7692E1"),
        GarmentClass(8, "shorts", "garment", "#7A68EC"),
        GarmentClass(9, "skirt", "garment", "#B4B478"),
        GarmentClass(10, "coat", "garment", "#A19604"),
        GarmentClass(11, "dress", "garment", "#D47898"),
        GarmentClass(12, "jumpsuit", "garment", "#7C9B5E"),
        GarmentClass(13, "cape", "garment", "#1E3C4B"),
        GarmentClass(14, "glasses", "accessory", "#9C6CA7"),
        GarmentClass(15, "hat", "accessory", "#0BA59A"),
        GarmentClass(16, "headband, head covering, hair accessory", "accessory", "#782D00"),
        GarmentClass(17, "tie", "accessory", "#7800FF"),
        GarmentClass(18, "glove", "accessory", "#B4A5C3"),
        GarmentClass(19, "watch", "accessory", "#E1E1F0"),
        GarmentClass(20, "belt", "accessory", "#A5C33C"),
        GarmentClass(21, "leg warmer", "garment", "#3C4B3C"),
        GarmentClass(22, "tights, stockings", "garment", "#4BFFA5"),
        GarmentClass(23, "sock", "garment", "#C1335A"),
        GarmentClass(24, "shoe", "garment", "#953AAD"),
        GarmentClass(25, "bag, wallet", "accessory", "#875B02"),
        GarmentClass(26, "scarf", "accessory", "#9B457B"),
        GarmentClass(27, "umbrella", "accessory", "#C34B3C"),
        GarmentClass(28, "hood", "part", "#5A3C69"),
        GarmentClass(29, "collar", "part", "#96C3A5"),
        GarmentClass(30, "lapel", "part", "#963C2D"),
        GarmentClass(31, "epaulette", "part", "#87C3FF"),
        GarmentClass(32, "sleeve", "part", "#B49687"),
        GarmentClass(33, "pocket", "part", "#1EE1D2"),
        GarmentClass(34, "neckline", "part", "#69003C"),
        GarmentClass(35, "buckle", "part", "#5AB44B"),
        GarmentClass(36, "zipper", "part", "#1E2D5A"),
        GarmentClass(37, "applique", "part", "#878769"),
        GarmentClass(38, "bead", "part", "#876978"),
        GarmentClass(39, "bow", "part", "#691EA5"),
        GarmentClass(40, "flower", "part", "#96E178"),
        GarmentClass(41, "fringe", "part", "#960F3C"),
        GarmentClass(42, "ribbon", "part", "#B46900"),
        GarmentClass(43, "rivet", "part", "#690000"),
        GarmentClass(44, "ruffle", "part", "#0000E1"),
        GarmentClass(45, "sequin", "part", "#FFB4D2"),
        GarmentClass(46, "tassel", "part", "#B4B4B4"),
    ),
    display_order=(
        "hat",
        "headband, head covering, hair accessory",
        "glasses",
        "scarf",
        "tie",
        "coat",
        "cape",
        "jacket",
        "cardigan",
        "vest",
        "sweater",
        "shirt, blouse",
        "top, t-shirt, sweatshirt",
        "dress",
        "jumpsuit",
        "belt",
        "glove",
        "watch",
        "skirt",
        "pants",
        "shorts",
        "tights, stockings",
        "leg warmer",
        "sock",
        "shoe",
        "bag, wallet",
        "umbrella",
        "hood",
        "collar",
        "lapel",
        "epaulette",
        "sleeve",
        "pocket",
        "neckline",
        "buckle",
        "zipper",
        "applique",
        "bead",
        "bow",
        "flower",
        "fringe",
        "ribbon",
        "rivet",
        "ruffle",
        "sequin",
        "tassel",
        "Background",
    ),
)

TAXONOMIES: Mapping[str, Taxonomy] = {taxonomy.name: taxonomy for taxonomy in (OUTFIT_15, CFPD_23, IMATERIALIST_47)}

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

# The categories of Colorful Fashion Parsing Data in the order and spelling of its all_category_name, and its colours in
# those of its all_colors_name.
CFPD_LABELS: tuple[str, ...] = tuple(
    "bk T-shirt bag belt blazer blouse coat dress face hair hat jeans legging pants scarf shoe shorts skin skirt socks "
    "stocking sunglass sweater".split()
)
CFPD_COLOURS: tuple[str, ...] = tuple(
    "bk beige black blue brown gray green orange pink purple red white yellow".split()
)
CFPD_TO_CFPD_23: Mapping[str, str] = dict(zip(CFPD_LABELS, CFPD_23.names, strict=True))

# Table I of Inácio et al. for CFPD's spelling. `face` is in no row of that table; CCP's skin includes faces. No label
# of CFPD is a romper.
_CFPD_LABELS: Mapping[str, str] = {
    "Background": "bk belt",
    "Bag": "bag",
    "Coat": "blazer coat",
    "Dress": "dress skirt",
    "Footwear": "shoe",
    "Glasses": "sunglass",
    "Hair": "hair",
    "Hat": "hat",
    "Pants": "jeans legging pants",
    "Scarf/Tie": "scarf",
    "Shirt": "T-shirt blouse sweater",
    "Shorts": "shorts",
    "Skin": "face skin",
    "Socks": "socks stocking",
}
CFPD_TO_OUTFIT_15: Mapping[str, str] = {
    label: name for name, labels in _CFPD_LABELS.items() for label in labels.split()
}


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
