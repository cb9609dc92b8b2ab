"""Classes of pixels, the taxonomies they form, and the tables by which labels of data sets become classes.

Every taxonomy has its background at id 0.

`OUTFIT_15` follows Table I of Inácio, Brilhador & Lopes, *Semantic segmentation of clothes in the context of soft
biometrics using deep learning methods*. Its colours were annealed on the contacts between classes counted in the
masks of Clothing Co-Parsing, so that neighbours stay apart in normal and in colour-blind vision (CIEDE2000 under the
model of Machado et al. 2009).

`CFPD_23` and `IMATERIALIST_47` are the classes of those two data sets. A class that `OUTFIT_15` has keeps its colour
there; the others lie as far from all as was found: 12 apart (10 in colour-blind vision) among 23, 10 (6.5) among 47.

`make_taxonomy` makes one of any other classes; such a taxonomy stands in the checkpoint itself, and beside the rows of
an archive, as `Taxonomy.to_json` has it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from segmodels.errors import GarmentscopeError

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
    "TaxonomyError",
    "label_lookup",
    "make_taxonomy",
    "taxonomy_entries",
    "taxonomy_of",
]

Group = Literal["background", "body", "garment", "accessory", "part"]
"""A part belongs to a garment that is a class of its own: a sleeve, a zipper."""

UNLABELLED = 255
"""Class id of a pixel that no truth speaks of: outside the photo, or of a label that no alias table knows."""

_LONGEST = 80  # characters of a name


class TaxonomyError(GarmentscopeError, ValueError):
    """Classes that make no taxonomy; the message says what is wrong with which class."""


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
        name: Name of the taxonomy; a key in `TAXONOMIES`, or a name of its own.
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

    def matches(self, other: Taxonomy) -> bool:
        """Whether another has the same name, and the same classes under the same ids and in the same groups."""
        mine, others = ([(each.name, each.group) for each in one.classes] for one in (self, other))
        return self.name == other.name and mine == others

    def name_beside(self, other: Taxonomy) -> str:
        """Its name in a sentence that names another taxonomy before it; two of the same name are told apart."""
        return "another taxonomy of that name" if self.name == other.name else self.name

    def to_json(self) -> dict[str, Any]:
        """All of it: `name`, `classes` by id (each with `name`, `group` and `colour`) and `display_order`."""
        return {
            "name": self.name,
            "classes": [{"name": each.name, "group": each.group, "colour": each.colour} for each in self.classes],
            "display_order": list(self.display_order),
        }

    @classmethod
    def from_json(cls, values: object) -> Taxonomy:
        """Reads what `to_json` gave.

        Args:
            values: Mapping with `name` and `classes`; without `display_order` the classes are listed by id, and the
                background last.

        Raises:
            TaxonomyError: If a key is missing or unknown, or `make_taxonomy` refuses the classes.
        """
        if not isinstance(values, Mapping) or not {"name", "classes"} <= set(values):
            raise TaxonomyError("A taxonomy is an object with the keys name and classes. Add what is missing.")
        rows = values["classes"]
        keys = {"name", "group", "colour"}
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) and set(row) == keys for row in rows):
            raise TaxonomyError("The classes of a taxonomy are a list of objects with the keys name, group and colour.")
        names = [row["name"] for row in rows]
        made = make_taxonomy(
            values["name"],
            names,
            dict(zip(names, (row["group"] for row in rows), strict=True)) if _are_texts(names) else None,
            dict(zip(names, (row["colour"] for row in rows), strict=True)) if _are_texts(names) else None,
        )
        order = values.get("display_order", list(made.display_order))
        if not isinstance(order, list) or not _are_texts(order) or sorted(order) != sorted(names):
            raise TaxonomyError(f"Taxonomy {made.name}: display_order must hold each class name exactly once.")
        return cls(made.name, made.classes, tuple(order))


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


def _mapped(file: str) -> dict[str, str]:
    """Class of `OUTFIT_15` by class of a data set, from one of the files in `mappings/`; without classes of none."""
    table = tomllib.loads((Path(__file__).with_name("mappings") / file).read_text("utf-8"))["classes"]
    return {name: to for name, to in table.items() if to != "ignore"}


CCP_TO_OUTFIT_15: Mapping[str, str] = _mapped("ccp_59.toml")

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

# No label of CFPD is a romper.
CFPD_TO_OUTFIT_15: Mapping[str, str] = dict(zip(CFPD_LABELS, _mapped("cfpd_23.toml").values(), strict=True))


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


_ACCESSORIES = frozenset(
    "accessories accessory backpack bag bandana beanie belt beret bow bowtie bracelet briefcase brooch cap clutch "
    "crown earring eyeglass eyeglasses eyewear fascinator glasses glove handbag hat headband headscarf headwear helmet "
    "jewellery jewelry mask mitten necklace necktie purse ring rucksack scarf shawl sunglass sunglasses tiara tie "
    "turban umbrella veil wallet watch".split()
)
_BODY = frozenset(
    "ankle arm back beard body chest ear elbow eye eyebrow face feet finger foot hair hand head knee leg limb lip "
    "moustache mouth mustache neck nose shoulder skin stomach thigh toe tongue torso wrist".split()
)
_SIDES = frozenset("bare front left lower of person right the upper".split())
_BACKGROUNDS = frozenset("backdrop background bg bk none null".split())
_COLOUR = re.compile("#[0-9A-Fa-f]{6}")


def make_taxonomy(
    name: str,
    classes: Sequence[str],
    groups: Mapping[str, Group] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Taxonomy:
    """Makes a taxonomy of any classes. Pages list them in the given order, the background last.

    A group that is not given is guessed from the words of the name: `left arm` is body, `tote bag` an accessory, and
    what has no such word a garment. A colour that is not given is that of `OUTFIT_15`, where it has a class of the same
    name, or else the one of a grid over sRGB that lies farthest, in Oklab, from all colours before it.

    Args:
        name: Name of the taxonomy.
        classes: Names of 2 to 255 classes, by id; the first is the background.
        groups: Group by class name, for any of the classes.
        colours: Display colour (`#RRGGBB`) by class name, for any of the classes.

    Raises:
        TaxonomyError: If there are too few or too many classes, a name is empty, too long or occurs twice (in whatever
            case), a class that is not the first is the background, or a group or a colour is none or that of no class.
    """
    groups, colours = groups or {}, colours or {}
    if isinstance(classes, str) or not _are_texts([name, *classes]):
        raise TaxonomyError(
            "The name of a taxonomy and those of its classes must be texts. Put others in quotation marks."
        )
    for each in (name, *classes):
        if not each or each != each.strip() or not each.isprintable() or len(each) > _LONGEST:
            raise TaxonomyError(
                f"{each!r} is no name: a name has 1 to {_LONGEST} printable characters, and no space at either end."
            )
    if name.startswith("."):
        raise TaxonomyError(f"{name} begins with a dot. Choose a name for the taxonomy that does not.")
    if not 2 <= len(classes) <= UNLABELLED:
        raise TaxonomyError(f"{name} has {len(classes)} classes; a taxonomy has 2 to {UNLABELLED}.")
    folded = [each.casefold() for each in classes]
    if twice := next((each for at, each in enumerate(classes) if folded[at] in folded[:at]), ""):
        raise TaxonomyError(f"{name} has the class {twice} twice. Give each class a name of its own.")
    if unknown := next((each for each in (*groups, *colours) if each not in classes), ""):
        raise TaxonomyError(f"{name} has no class {unknown}; its classes are {', '.join(classes)}.")
    for each, group in groups.items():
        if group not in get_args(Group):
            raise TaxonomyError(f"{each} is in the group {group!r}; the groups are {', '.join(get_args(Group))}.")
    for each, colour in colours.items():
        if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
            raise TaxonomyError(f"{each} has the colour {colour!r}; a colour is written #RRGGBB.")
    first, *others = classes
    if groups.get(first, "background") != "background":
        raise TaxonomyError(f"{first} is the first class, which is the background. Put the background before it.")
    grouped: list[Group] = ["background", *(groups.get(each) or _group(each) for each in others)]
    if "background" in grouped[1:]:
        raise TaxonomyError(f"{classes[grouped.index('background', 1)]} is the background. Put it first.")
    known = {each.name.lower(): each.colour for each in OUTFIT_15.classes}
    given = [colours.get(each, known.get(each.lower(), "")).upper() for each in classes]
    given[0] = given[0] or OUTFIT_15.classes[0].colour
    return Taxonomy(
        name,
        tuple(map(GarmentClass, range(len(classes)), classes, grouped, _colours(given))),
        (*others, first),
    )


def taxonomy_of(config: Mapping[str, Any]) -> Taxonomy:
    """The taxonomy of a checkpoint: the one in its own file, or else the one of `TAXONOMIES` that it names.

    Args:
        config: Content of the checkpoint's `config.json`, with the keys `taxonomy`, `classes` and, where the taxonomy
            is not in `TAXONOMIES`, `own_taxonomy`, as `Taxonomy.to_json` gives it.

    Raises:
        TaxonomyError: If there is no such taxonomy, its own cannot be read or has a name that is taken, or `classes`
            are not its classes.
    """
    name, own = config.get("taxonomy"), config.get("own_taxonomy")
    if own is not None:
        taxonomy = Taxonomy.from_json(own)
        if taxonomy.name != name:
            raise TaxonomyError(f"taxonomy must be {taxonomy.name!r}, the name of own_taxonomy, not {name!r}.")
        if name in TAXONOMIES:
            raise TaxonomyError(f"own_taxonomy needs a name of its own; {name} is the name of other classes.")
    elif isinstance(name, str) and name in TAXONOMIES:
        taxonomy = TAXONOMIES[name]
    else:
        raise TaxonomyError(
            f"taxonomy must be one of {', '.join(TAXONOMIES)}, not {name!r}, as the file has no own_taxonomy."
        )
    if config.get("classes", list(taxonomy.names)) != list(taxonomy.names):
        raise TaxonomyError(f"its classes are not those of {taxonomy.name}, in their order.")
    return taxonomy


def taxonomy_entries(taxonomy: Taxonomy) -> dict[str, Any]:
    """The entries of a checkpoint's config that `taxonomy_of` reads."""
    known = TAXONOMIES.get(taxonomy.name) == taxonomy
    return {
        "taxonomy": taxonomy.name,
        "classes": list(taxonomy.names),
        "own_taxonomy": None if known else taxonomy.to_json(),
    }


def _are_texts(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _group(name: str) -> Group:
    """The group that the words of a name suggest."""
    words = set(re.findall(r"[^\W\d_]+", name.lower()))
    words |= {word.removesuffix("s") for word in words}
    if words <= _BACKGROUNDS:
        return "background"
    if words & _ACCESSORIES:
        return "accessory"
    if words & _BODY and {word.removesuffix("s") for word in words} <= {*_BODY, *_SIDES}:
        return "body"
    return "garment"


def _colours(given: Sequence[str]) -> list[str]:
    """Colours for all: those given (`#RRGGBB`), and for each that is empty the farthest from all before it.

    Distances are Euclidean in Oklab, Björn Ottosson, "A perceptual color space for image processing", 2020. The grid
    has no colour that is nearly black or white, or glaring.
    """
    steps = np.arange(24, 256, 21)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _oklab(grid)
    usable = (lab[:, 0] > 0.35) & (lab[:, 0] < 0.92) & (np.hypot(lab[:, 1], lab[:, 2]) < 0.19)
    grid, lab = grid[usable], lab[usable]
    taken = [tuple(bytes.fromhex(colour[1:])) for colour in given if colour]
    away = np.min(np.linalg.norm(lab[:, None] - _oklab(np.array(taken))[None], axis=-1), axis=1)
    found = list(given)
    for place in [at for at, colour in enumerate(given) if not colour]:
        farthest = int(np.argmax(away))
        away = np.minimum(away, np.linalg.norm(lab - lab[farthest], axis=-1))
        found[place] = "#{:02X}{:02X}{:02X}".format(*grid[farthest])
    return found


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """Oklab of uint8 sRGB, float `(n, 3)`: lightness 0..1, and two axes of colour."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    cones.append([0.0883024619, 0.2817188376, 0.6299787005])
    axes = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
    axes.append([0.0259040371, 0.7827717662, -0.8086757660])
    return np.asarray(np.cbrt(linear @ np.array(cones).T) @ np.array(axes).T)
