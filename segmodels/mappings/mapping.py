"""Mappings between taxonomies: TOML files, those that ship in this folder and those of one's own.

from = "ATR_18"             name of the taxonomy that is mapped
to = "OUTFIT_15"            name of the taxonomy that it is mapped to
about = "..."               may be left out

[classes]                   every class of `from`, the background first, in the order of its ids
Hat = "Hat"                 the class of `to`
Upper-clothes = ["Coat", "Shirt"]   several, which `from` does not tell apart
hood = "ignore"             no class of `to` in particular: its pixels are left out
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from segmodels.errors import GarmentscopeError
from segmodels.files import open_regular
from segmodels.sentences import first_line
from segmodels.taxonomy import Taxonomy, TaxonomyError, make_taxonomy

__all__ = [
    "IGNORE",
    "MAPPING_FILE",
    "ClassMapping",
    "MappingError",
    "folded",
    "mapping_beside",
    "read_mapping",
    "shipped_mappings",
]

MAPPING_FILE = "mapping.toml"
"""Name of a checkpoint's own mapping, in its folder."""

IGNORE = "ignore"
"""What a file says of a class that has no counterpart."""

_KEYS = {"from", "to", "about", "classes"}
_LARGEST = 256 * 1024  # bytes


class MappingError(GarmentscopeError, ValueError):
    """A mapping that cannot be used, or taxonomies that none connects; the message says what to do."""


@dataclass(frozen=True)
class ClassMapping:
    """A mapping from one taxonomy to another.

    Args:
        source: Name of the taxonomy that is mapped.
        target: Name of the taxonomy that it is mapped to.
        about: Data set and publication of `source`; may be empty.
        classes: Classes of `target` by class of `source`, in the order of the ids, the background first; none for a
            class whose pixels are left out.
        file: Name of the file, for messages.
    """

    source: str
    target: str
    about: str
    classes: Mapping[str, tuple[str, ...]]
    file: str

    def taxonomy(self) -> Taxonomy:
        """The classes of `source` as a taxonomy, with ids as the data set's masks have them.

        Raises:
            MappingError: If its names make no taxonomy.
        """
        try:
            return make_taxonomy(self.source, list(self.classes))
        except TaxonomyError as error:
            raise MappingError(f"{self.file}: {error}") from None

    def unknown_to(self, taxonomy: Taxonomy) -> list[str]:
        """Classes of a taxonomy, the background aside, that the mapping does not name."""
        known = {folded(name) for name in self.classes}
        return [name for name in taxonomy.names[1:] if folded(name) not in known]

    def covers(self, taxonomy: Taxonomy) -> bool:
        """Whether a taxonomy has exactly these classes, in whatever order and spelling; backgrounds have any name."""
        return {folded(name) for name in taxonomy.names[1:]} == {folded(name) for name in list(self.classes)[1:]}

    def of(self, taxonomy: Taxonomy) -> tuple[tuple[str, ...], ...]:
        """Classes of `target` by class id of a taxonomy.

        Raises:
            MappingError: If the taxonomy has a class that the mapping does not name.
        """
        if unknown := self.unknown_to(taxonomy):
            raise MappingError(
                f"{self.file} does not name {unknown[0]}, a class of {taxonomy.name}. Add it to [classes], or say "
                f'"{IGNORE}" there.'
            )
        by_name = {folded(name): to for name, to in self.classes.items()}
        first = next(iter(self.classes.values()))
        return (by_name.get(folded(taxonomy.names[0]), first), *(by_name[folded(name)] for name in taxonomy.names[1:]))


def folded(name: str) -> str:
    """A name of a class without case, spaces and punctuation: `Upper-clothes` and `upper clothes` are the same."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name


def read_mapping(path: Path) -> ClassMapping:
    """Reads a mapping.

    Args:
        path: Path of a TOML file; the top of this module says what it holds.

    Raises:
        MappingError: If the file cannot be read, or is no such file.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
        values = {} if len(content) > _LARGEST else tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise MappingError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise MappingError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:  # TOML's own error, or a number of thousands of digits
        raise MappingError(f"{path} is not TOML ({first_line(error)}). Mend that place.") from None
    if len(content) > _LARGEST:
        raise MappingError(f"{path} has more than {_LARGEST // 1024} KB, too many for a mapping.")
    return _mapping(path, values)


def mapping_beside(folder: Path) -> ClassMapping | None:
    """The mapping in a checkpoint's folder; None if there is none.

    Raises:
        MappingError: If there is one that cannot be used.
    """
    file = folder / MAPPING_FILE
    return read_mapping(file) if file.is_file() else None


@cache
def shipped_mappings() -> tuple[ClassMapping, ...]:
    """The mappings that ship, by file name: ATR 18, CCP 59, CFPD 23, Fashionpedia 46 and LIP 20, all to `OUTFIT_15`."""
    return tuple(map(read_mapping, sorted(Path(__file__).parent.glob("*.toml"))))


def _mapping(path: Path, values: Mapping[str, Any]) -> ClassMapping:
    if unknown := sorted(set(values) - _KEYS):
        raise MappingError(f"{path} has the unknown key {unknown[0]}. The keys are {', '.join(sorted(_KEYS))}.")
    for key in ("from", "to"):
        if not isinstance(values.get(key), str) or not values[key].strip():
            raise MappingError(f'{path} does not say {key}. Write {key} = "NAME OF A TAXONOMY".')
    if not isinstance(values.get("about", ""), str):
        raise MappingError(f"{path}: about must be a text.")
    table = values.get("classes")
    if not isinstance(table, dict) or len(table) < 2:
        raise MappingError(f"{path} has no table [classes] with the background and at least one other class. Add it.")
    _check_names(path, table)
    classes = {name: _targets(path, name, to) for name, to in table.items()}
    return ClassMapping(values["from"], values["to"], values.get("about", ""), classes, str(path))


def _check_names(path: Path, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(folded(name), name)) != name:
            raise MappingError(f"{path} names {other} and {name}, which are the same. Remove one.")


def _targets(path: Path, name: str, to: object) -> tuple[str, ...]:
    if to == IGNORE:
        return ()
    listed = [to] if isinstance(to, str) else to
    if not isinstance(listed, list) or not listed or not all(isinstance(each, str) and each for each in listed):
        raise MappingError(f'{path}: {name} must be the name of a class, a list of names, or "{IGNORE}".')
    return tuple(dict.fromkeys(listed))
