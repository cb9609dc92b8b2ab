"""Classes divided into kinds: what Trends counts where it counts by kind.

The parts of a class with kinds are its kinds and a rest, those whose kind is not certain; any other class is its own
only part. Parts are classes of a taxonomy of their own, so that whatever counts classes counts kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from segmodels.archive.place import ArchiveError
from segmodels.taxonomy import GarmentClass, Taxonomy

if TYPE_CHECKING:
    from segmodels.archive.reader import Reader

__all__ = ["MOST_PARTS", "Division", "divide", "has_kinds", "kinds_there"]

MOST_PARTS = 63
"""Most parts of all classes together: each is a bit of a 64-bit number with a sign."""

_NOT_CERTAIN = "kind not certain"
_PALEST = 0.45  # share of white in the lightest shade of a class's colour, and half of it of black in the darkest
_GREY = "#9A9A96"


@dataclass(frozen=True)
class Division:
    """Classes of a taxonomy and their parts.

    Args:
        whole: Taxonomy that is divided.
        taxonomy: Taxonomy of the parts.
        kinds: Names of the kinds by class, for each class that has some, as the rows of an archive have them.
        class_of: Class by name of the part.
    """

    whole: Taxonomy
    taxonomy: Taxonomy
    kinds: Mapping[str, tuple[str, ...]]
    class_of: Mapping[str, str]

    @cached_property
    def rests(self) -> frozenset[str]:
        """Names of the parts whose kind is not certain."""
        return frozenset(self.parts[name][-1] for name in self.kinds)

    @cached_property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the parts by class: those of its kinds in the order of `kinds`, and that of the rest last."""
        found: dict[str, list[str]] = {name: [] for name in self.whole.names}
        for part, name in self.class_of.items():
            found[name].append(part)
        return {name: tuple(parts) for name, parts in found.items()}


def kinds_there(reader: Reader) -> dict[str, tuple[str, ...]]:
    """Names of the kinds in the rows of an archive by class, in the order in which the rows have them.

    Args:
        reader: Reader of the rows.
    """
    found = reader.query(
        "SELECT class, kinds FROM (SELECT unnest(garments).class AS class, "
        "unnest([map_keys(k.probabilities) FOR k IN kinds]) AS kinds FROM photos WHERE kinds IS NOT NULL) "
        "WHERE kinds IS NOT NULL GROUP BY ALL ORDER BY class, count(*) DESC, kinds"
    )
    names: dict[str, list[str]] = {}
    for name, kinds in zip(found["class"], found["kinds"], strict=True):
        names.setdefault(str(name), []).extend(map(str, kinds))
    return {name: tuple(dict.fromkeys(kinds)) for name, kinds in names.items()}


def has_kinds(reader: Reader) -> bool:
    """Whether any row of an archive has kinds.

    Args:
        reader: Reader of the rows.
    """
    return not reader.query("SELECT 1 AS one FROM photos WHERE kinds IS NOT NULL LIMIT 1").empty


def divide(taxonomy: Taxonomy, kinds: Mapping[str, Sequence[str]]) -> Division:
    """Divides classes into their kinds.

    A part has the name of the kind with a capital; two of the same name are told apart by their classes.

    Args:
        taxonomy: Taxonomy to divide.
        kinds: Names of the kinds by class; classes that are not of the taxonomy are left out.

    Raises:
        ArchiveError: If there are too many parts.
    """
    known = {name: tuple(some) for name, some in kinds.items() if name in taxonomy.names and some}
    said = {(name, kind): _said(kind) for name, some in known.items() for kind in some}
    taken = [*said.values(), *(name for name in taxonomy.names if name not in known)]
    classes: list[GarmentClass] = []
    class_of: dict[str, str] = {}
    for whole in taxonomy.classes:
        own = known.get(whole.name)
        if own is None:
            parts = [(whole.name, whole.colour)]
        else:
            plain = [said[whole.name, kind] for kind in own]
            names = [f"{each} ({whole.name})" if taken.count(each) > 1 else each for each in plain]
            parts = list(zip(names, _shades(whole.colour, len(own)), strict=True))
            parts.append((f"{whole.name} ({_NOT_CERTAIN})", _mixed(whole.colour, _GREY, 0.7)))
        for name, colour in parts:
            classes.append(GarmentClass(len(classes), name, whole.group, colour))
            class_of[name] = whole.name
    if len(classes) > MOST_PARTS:
        raise ArchiveError(
            f"{taxonomy.name} has {len(classes)} classes and kinds, and {MOST_PARTS} can be counted. Count by class."
        )
    order = [part for name in taxonomy.display_order for part, whole_name in class_of.items() if whole_name == name]
    return Division(taxonomy, Taxonomy(f"{taxonomy.name} by kind", tuple(classes), tuple(order)), known, class_of)


def _said(kind: str) -> str:
    """Name of a kind where it stands among classes; a comma would end it in a link."""
    name = kind.replace(",", ";")
    return name[:1].upper() + name[1:]


def _shades(colour: str, count: int) -> list[str]:
    """Shades of a colour, from darker to lighter."""
    places = [2 * index / max(count - 1, 1) - 1 for index in range(count)]  # -1 to 1
    return [
        _mixed(colour, "#FFFFFF", _PALEST * place) if place > 0 else _mixed(colour, "#000000", -_PALEST / 2 * place)
        for place in places
    ]


def _mixed(colour: str, other: str, share: float) -> str:
    """A colour `#RRGGBB` with a share of another."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + bytes(round((1 - share) * a + share * b) for a, b in pairs).hex().upper()
