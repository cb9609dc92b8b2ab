"""Taxonomies of label sets that many networks from elsewhere have, and how any other labels become a taxonomy.

`ATR_18`: Liang et al., "Deep human parsing with active template regression", TPAMI 2015; SegFormer-clothes has it.
`LIP_20`: Gong et al., "Look into person", CVPR 2017.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from segmodels.mappings import shipped_mappings
from segmodels.taxonomy import OUTFIT_15, TAXONOMIES, Group, Taxonomy, make_taxonomy

__all__ = ["Labels", "arrange", "known_taxonomies"]

_KNOWN = ("ATR_18", "LIP_20")  # of the mappings that ship
_LIKE: Mapping[str, str] = {
    "Sunglasses": "Glasses",
    "Upper-clothes": "Shirt",
    "Scarf": "Scarf/Tie",
    "Left-shoe": "Footwear",
    "Face": "Skin",
    "Jumpsuits": "Romper",
}
"""Class of `OUTFIT_15` whose colour a class of these sets has."""

_BACKGROUNDS = frozenset("backdrop background bg bk none null unlabeled unlabelled void".split())
_LONGEST = 80  # characters of a name in a taxonomy


@dataclass(frozen=True)
class Labels:
    """Labels of a network, as a taxonomy.

    Args:
        taxonomy: The classes, the background first.
        channels: Channels of the network's output, by the id of the class that they are; none for a background that
            the network does not have.
        background: Sentence on which class is the background.
    """

    taxonomy: Taxonomy
    channels: tuple[tuple[int, ...], ...]
    background: str


@cache
def known_taxonomies() -> tuple[Taxonomy, ...]:
    """Taxonomies that labels are compared with."""
    known = [*TAXONOMIES.values()]
    for mapping in shipped_mappings():
        if mapping.source in _KNOWN:
            colours = {label: OUTFIT_15[_LIKE[label]].colour for label in mapping.classes if label in _LIKE}
            known.append(make_taxonomy(mapping.source, list(mapping.classes), None, colours))
    return tuple(known)


def arrange(
    labels: Sequence[str],
    name: str,
    background: str | None = None,
    groups: Mapping[str, Group] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Labels:
    """Makes a taxonomy of a network's labels.

    The background is the class that is named so (`background`, `unlabeled` and the like; several are one). Labels of a
    known set, in whatever order, become its taxonomy.

    Args:
        labels: Label of each channel of the output.
        name: Name of the taxonomy, where the labels are of no known set.
        background: Label of the background; empty for none. None to find it by its name.
        groups: Group by label, for any of them.
        colours: Display colour (`#RRGGBB`) by label, for any of them.

    Raises:
        TaxonomyError: If the labels make no taxonomy.
        ValueError: If no label is that of the background that is named.
    """
    names = _names(labels)
    if background is None:
        nothing = [at for at, each in enumerate(names) if _is_background(each)]
    else:
        nothing = [at for at, each in enumerate(names) if each == background]
        if background and not nothing:
            raise ValueError(f"its background is {background!r}, and its classes are {', '.join(names)}")
    worn = [at for at in range(len(names)) if at not in nothing]
    sentence = "It has no class for the background, so every pixel gets a class."
    if nothing:
        listed = " and ".join(names[at] for at in nothing)
        sentence = f"Its background is the class{'es' if len(nothing) > 1 else ''} {listed}."
    if not (groups or colours):
        by_name = {names[at].casefold(): at for at in worn}
        for taxonomy in known_taxonomies():
            wanted = [each.casefold() for each in taxonomy.names[1:]]
            if sorted(wanted) == sorted(by_name):
                channels = (tuple(nothing), *((by_name[each],) for each in wanted))
                return Labels(taxonomy, channels, sentence)
    first = names[nothing[0]] if nothing else "Background"
    grouped = dict(groups or {})
    for at in worn:
        if _is_background(names[at]):  # where another one was named as the background
            grouped.setdefault(names[at], "body")
    taxonomy = make_taxonomy(name, [first, *(names[at] for at in worn)], grouped, colours)
    return Labels(taxonomy, (tuple(nothing), *((at,) for at in worn)), sentence)


def _is_background(name: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", name.lower()))
    return bool(words) and words <= _BACKGROUNDS


def _names(labels: Sequence[str]) -> list[str]:
    """Labels as names of classes: printable, not too long, each but once."""
    names: list[str] = []
    taken: set[str] = set()
    for at, label in enumerate(labels):
        name = "".join(each for each in label if each.isprintable()).strip()[:_LONGEST].strip() or f"class {at}"
        if name.casefold() in taken:
            name = f"{name[: _LONGEST - 6]} ({at})"
        taken.add(name.casefold())
        names.append(name)
    return names
