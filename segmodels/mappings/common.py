"""The classes that several taxonomies have in common.

Every taxonomy is mapped to one of them, the target. Classes of the target that any taxonomy does not tell apart become
one class: ATR's Upper-clothes makes one of Coat and Shirt. A class of the target that a taxonomy does not have at all
is left out where it is true, as that network cannot name it; where another network predicts it, it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segmodels.mappings.mapping import MAPPING_FILE, ClassMapping, MappingError, folded, shipped_mappings
from segmodels.sentences import listed
from segmodels.taxonomy import OUTFIT_15, UNLABELLED, GarmentClass, Taxonomy

__all__ = ["CommonClasses", "common_classes"]

_Sets = tuple[tuple[str, ...], ...]  # classes of the target by class id
_MOST_NAMED = 4  # classes of one sentence


@dataclass(frozen=True)
class CommonClasses:
    """The classes that several taxonomies have in common, and how each of them is mapped.

    Args:
        target: Taxonomy that all are mapped to.
        members: Classes of the target by id of the common class, the background first; classes of the target that are
            in none of them are left out.
        sets: Classes of the target by class id, for each taxonomy, with the name of who has it.
    """

    target: Taxonomy
    members: tuple[tuple[str, ...], ...]
    sets: tuple[tuple[str, Taxonomy, _Sets], ...]

    def __len__(self) -> int:
        return len(self.members)

    @property
    def is_whole(self) -> bool:
        """Whether all taxonomies are the same, so that nothing is mapped."""
        return all(taxonomy.matches(self.target) for _, taxonomy, _ in self.sets)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Classes of the target that are not among the common ones."""
        inside = {name for names in self.members for name in names}
        return tuple(name for name in self.target.display_order if name not in inside)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The common classes; the target itself if nothing is mapped."""
        if self.is_whole:
            return self.target
        return self._taxonomy(())

    @cached_property
    def shown(self) -> Taxonomy:
        """The common classes and, after them, the target's others, for pictures of class maps."""
        return self.target if self.is_whole else self._taxonomy(self.left_out)

    def _taxonomy(self, more: Sequence[str]) -> Taxonomy:
        groups = [*self.members, *((name,) for name in more)]
        names = [_joined(self.target, members) for members in groups]
        classes = tuple(
            GarmentClass(number, name, self.target[members[0]].group, self.target[members[0]].colour)
            for number, (name, members) in enumerate(zip(names, groups, strict=True))
        )
        place = {member: name for name, members in zip(names, groups, strict=True) for member in members}
        order = dict.fromkeys(place[name] for name in self.target.display_order if name in place)
        order.pop(names[0])
        return Taxonomy(f"{len(self)} common classes", classes, (*order, names[0]))

    def shown_ids(self, taxonomy: Taxonomy) -> np.ndarray:
        """A table from a taxonomy's class ids to those of `shown`: `class_map = table[class_map]`.

        Args:
            taxonomy: One of the taxonomies that have these classes in common.

        Returns:
            uint8 `(256,)`; `UNLABELLED` for a class that is left out on purpose, and for ids that are no class.

        Raises:
            KeyError: If the taxonomy is none of them.
        """
        table = np.full(256, UNLABELLED, np.uint8)
        place = {name: number for number, members in enumerate(self.members) for name in members}
        place |= {name: len(self) + number for number, name in enumerate(self.left_out)}
        for class_id, names in enumerate(self._sets(taxonomy)):
            if names:
                table[class_id] = min(place[name] for name in names)
        return table

    def true_ids(self, taxonomy: Taxonomy) -> np.ndarray:
        """The table of `shown_ids` for a ground truth: a class that is not common is `UNLABELLED` too."""
        table = self.shown_ids(taxonomy)
        return np.where(table < len(self), table, UNLABELLED).astype(np.uint8)

    def predicted_ids(self, taxonomy: Taxonomy) -> np.ndarray:
        """The table of `shown_ids` for a prediction: all classes that are not common have the id `len(self)`."""
        table = self.shown_ids(taxonomy)
        return np.where(table == UNLABELLED, table, np.minimum(table, len(self))).astype(np.uint8)

    def map_counts(self, counts: np.ndarray, truth: Taxonomy, prediction: Taxonomy) -> np.ndarray:
        """Counts of pixels in the common classes.

        Args:
            counts: int64 `(t, p)`: rows truth, columns prediction.
            truth: Taxonomy of the truth, with t classes.
            prediction: Taxonomy of the prediction, with p classes.

        Returns:
            int64 `(n, n + 1)`: the last column counts predictions of classes that are not common. Without the pixels
            of classes that are left out. The same counts if nothing is mapped.
        """
        if self.is_whole:
            return counts
        rows, columns = self.true_ids(truth)[: len(truth)], self.predicted_ids(prediction)[: len(prediction)]
        mapped = np.zeros((len(self), len(self) + 1), np.int64)
        kept = np.ix_(rows != UNLABELLED, columns != UNLABELLED)
        places = np.ix_(rows[rows != UNLABELLED], columns[columns != UNLABELLED])
        np.add.at(mapped, places, counts[kept])
        return mapped

    def shown_name(self, taxonomy: Taxonomy, name: str) -> str:
        """Name in `shown` of a taxonomy's class; that of the background if it is left out on purpose."""
        found = int(self.shown_ids(taxonomy)[taxonomy[name].id])
        return self.shown.names[0 if found == UNLABELLED else found]

    def remark(self) -> str:
        """What is scored, for people; empty if that is everything."""
        if self.is_whole:
            return ""
        if self._says_all():
            return ""
        parts = [f"Scored on {len(self)} of the {len(self.target)} classes of {self.target.name}, which all can name."]
        if merged := [self._merged(members) for members in self.members if len(members) > 1]:
            parts.append(f"Counted as one: {'; '.join(merged)}.")
        for names, lacking in self._missing():
            parts.append(f"Left out: {', '.join(names)}, which {listed(lacking)} cannot name.")
        for who, taxonomy, sets in self.sets:
            ignored = [name for name, to in zip(taxonomy.names, sets, strict=True) if not to]
            if ignored:
                more = f"; and {len(ignored) - _MOST_NAMED} more" if len(ignored) > _MOST_NAMED else ""
                parts.append(f"Left out of {who}: {'; '.join(ignored[:_MOST_NAMED])}{more}.")
        return " ".join(parts)

    def _says_all(self) -> bool:
        """Whether every class of the target is common by itself, and no class of a taxonomy is left out."""
        return len(self) == len(self.target) and all(to for _, _, sets in self.sets for to in sets)

    def _merged(self, members: Sequence[str]) -> str:
        first, *others = members
        return f"{first} and {listed(others, _MOST_NAMED)}"

    def _missing(self) -> list[tuple[list[str], list[str]]]:
        """Classes of the target that are not common, with who cannot name them."""
        found: dict[tuple[str, ...], list[str]] = {}
        for name in self.left_out:
            who = tuple(who for who, _, sets in self.sets if not any(name in each for each in sets))
            found.setdefault(who, []).append(name)
        return [(names, list(who)) for who, names in found.items()]

    def _sets(self, taxonomy: Taxonomy) -> _Sets:
        for _, known, sets in self.sets:
            if known.matches(taxonomy):
                return sets
        raise KeyError(f"{taxonomy.name} is none of the taxonomies that were mapped.")


def common_classes(taxonomies: Mapping[str, Taxonomy], own: Sequence[ClassMapping] = ()) -> CommonClasses:
    """The classes that taxonomies have in common, as many as there are.

    A taxonomy is mapped to another by a mapping of one's own; where all names are the same, by name; by a mapping that
    ships and has exactly its classes; and where each of its names is one of the other's, by name, the other's further
    classes being part of its background.

    Args:
        taxonomies: Taxonomies, at least one, by the name of who has them: a model, a data set.
        own: Mappings of one's own; they come before those that ship.

    Raises:
        MappingError: If no mapping connects them, one of them names a class that is not there, or nothing but the
            background is common.
    """
    candidates: list[Taxonomy] = []
    for each in (*taxonomies.values(), OUTFIT_15):
        if not any(each.matches(known) for known in candidates):
            candidates.append(each)
    found = []
    for target in candidates:
        mapped = {who: _sets_of(taxonomy, target, own) for who, taxonomy in taxonomies.items()}
        sets = tuple((who, taxonomies[who], each) for who, each in mapped.items() if each)
        if len(sets) == len(taxonomies):
            found.append(CommonClasses(target, _members(target, [each for _, _, each in sets]), sets))
    if not found:
        raise MappingError(_unconnected(taxonomies, own))
    best = max(found, key=len)
    if len(best) < 2:
        raise MappingError(f"{_named(taxonomies)} have no class in common but the background. Compare other models.")
    return best


def _sets_of(taxonomy: Taxonomy, target: Taxonomy, own: Sequence[ClassMapping]) -> _Sets | None:
    """Classes of the target by class id of a taxonomy; None if no mapping says which."""
    if taxonomy.matches(target):
        return tuple((name,) for name in target.names)
    mine = [each for each in own if each.target == target.name and _is_of(each, taxonomy)]
    shipped = [each for each in shipped_mappings() if each.target == target.name and each.covers(taxonomy)]
    by_name = _by_name(taxonomy, target)
    if mine:
        mapping = mine[0]
    elif by_name and len(taxonomy) == len(target):
        return by_name
    elif shipped:
        mapping = shipped[0]
    else:
        return by_name
    sets = mapping.of(taxonomy)
    if unknown := next((name for names in sets for name in names if name not in target.names), ""):
        raise MappingError(
            f"{mapping.file} maps to {unknown}, which is no class of {target.name}. Its classes are "
            f"{listed(target.names, 20)}."
        )
    if target.names[0] not in sets[0]:
        raise MappingError(f"{mapping.file} must map {taxonomy.names[0]} to {target.names[0]}, the background.")
    return sets


def _is_of(mapping: ClassMapping, taxonomy: Taxonomy) -> bool:
    return mapping.source == taxonomy.name or mapping.covers(taxonomy)


def _by_name(taxonomy: Taxonomy, target: Taxonomy) -> _Sets | None:
    """Classes of equal names; those of the target that the taxonomy lacks are in its background."""
    known = {folded(name): name for name in target.names[1:]}
    if any(folded(name) not in known for name in taxonomy.names[1:]):
        return None
    sets = [(known[folded(name)],) for name in taxonomy.names[1:]]
    named = {name for (name,) in sets}
    return ((target.names[0], *(name for name in target.names[1:] if name not in named)), *sets)


def _members(target: Taxonomy, mapped: Sequence[_Sets]) -> tuple[tuple[str, ...], ...]:
    """Classes of the target in groups that all can tell apart, without those that one of them cannot name."""
    group = {name: name for name in target.names}
    for sets in mapped:
        for names in sets:
            joined = {group[name] for name in names}
            first = min(joined, key=target.names.index, default="")
            group = {name: first if of in joined else of for name, of in group.items()}
    sayable = set.intersection(*({name for names in sets for name in names} for sets in mapped))
    groups: dict[str, list[str]] = {}
    for name in target.names:
        groups.setdefault(group[name], []).append(name)
    return tuple(tuple(names) for names in groups.values() if sayable & set(names))


def _joined(target: Taxonomy, members: Sequence[str]) -> str:
    """Name of a common class; the background keeps its own."""
    if members[0] == target.names[0]:
        return members[0]
    if len(members) == len(target) - 1:
        return f"Not {target.names[0]}"
    more = len(members) - 3
    return " or ".join(members) if more <= 0 else f"{', '.join(members[:3])} or {more} more"


def _named(taxonomies: Mapping[str, Taxonomy]) -> str:
    return " and ".join(f"{who} ({taxonomy.name})" for who, taxonomy in taxonomies.items())


def _unconnected(taxonomies: Mapping[str, Taxonomy], own: Sequence[ClassMapping]) -> str:
    """Sentence on which classes no mapping knows, and what to do."""
    alone = [who for who, taxonomy in taxonomies.items() if _sets_of(taxonomy, OUTFIT_15, own) is None]
    who = alone[0] if alone else list(taxonomies)[-1]
    taxonomy = taxonomies[who]
    others = [each.name_beside(taxonomy) for each in taxonomies.values() if not each.matches(taxonomy)]
    target = listed(others) or OUTFIT_15.name
    for mapping in own:
        if _is_of(mapping, taxonomy):
            return f"{mapping.file} maps {mapping.source} to {mapping.target}; a mapping to {target} is needed."
    for mapping in own:
        if not any(_is_of(mapping, each) for each in taxonomies.values()):
            return (
                f"{mapping.file} maps the classes of {mapping.source}, and those of {who} are {taxonomy.name}. "
                f'Write from = "{taxonomy.name}" there.'
            )
    known = {folded(name) for name in OUTFIT_15.names}
    unknown = [name for name in taxonomy.names[1:] if folded(name) not in known] or taxonomy.names[1:]
    return (
        f"{who} has the classes of {taxonomy.name}, and no mapping says what {listed(unknown, 3)} would be in "
        f"{target}. Write a mapping, and put it as {MAPPING_FILE} into the folder of the checkpoint, or name it with "
        "--mapping."
    )
