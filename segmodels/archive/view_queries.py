"""The outfits of a view, as a query over the table `outfit` of `OutfitTables`.

Nothing is copied. Only what a filter on colours, or on least shares, finds in the lists of garments is kept in a table,
for the latest of them: such lists are slow to read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from segmodels.archive.chances import Chances
from segmodels.archive.conditions import View
from segmodels.archive.division import Division
from segmodels.archive.outfit_tables import colour_ids
from segmodels.archive.reader import Reader
from segmodels.taxonomy import Taxonomy

__all__ = ["ViewQueries"]

_MOST_KEPT = 12  # tables
_MOST_KEPT_ROWS = 50_000_000  # of all of them, about 20 bytes each


class ViewQueries:
    """Queries of views; one thread at a time may ask.

    Args:
        reader: Reader that has the tables of `OutfitTables`.
        taxonomy: What is counted: classes, or kinds.
        division: The kinds that are counted; None where classes are.
        chances: Probabilities of the archive.
        tags: Tags, in the order of their columns.
    """

    def __init__(
        self,
        reader: Reader,
        taxonomy: Taxonomy,
        division: Division | None,
        chances: Chances,
        tags: Sequence[str],
    ) -> None:
        self._reader = reader
        self._taxonomy = taxonomy
        self._division = division
        self._chances = chances
        self._tags = {key: f"tag_{place}" for place, key in enumerate(tags)}
        self._kept: OrderedDict[View, tuple[str, int]] = OrderedDict()
        self._made = 0

    def source(self, view: View) -> tuple[str, dict[str, object]]:
        """SQL of the outfits of a resolved view, and its parameters.

        The columns are those of `outfit`. With expected counts, presences are those given that the outfit fits the
        view, and a filter on garments or colours adds `weight`, the probability that it does, which is above 0.
        """
        conditions, parameters = self._conditions(view)
        if view.counting == "raw":
            columns, source = self._raw(view, conditions, parameters)
        elif view.garments:
            columns, source = self._with_garments(view, conditions)
        elif view.colours:
            columns, source = self._with_colours(view)
        else:
            columns, source = "*", "outfit"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"(SELECT {columns} FROM {source}{where})", parameters

    def _raw(self, view: View, conditions: list[str], parameters: dict[str, object]) -> tuple[str, str]:
        """Columns and tables of raw counts; adds conditions and parameters."""
        counted = ["g.certain"] if self._division else []
        columns, mask, least = "*", "mask", dict[str, object]()
        if view.min_share > 0 or view.min_confidence > 0:
            counted += ["g.share >= $share", "g.confidence >= $confidence"]
            least = {"share": view.min_share, "confidence": view.min_confidence}
            mask = f"coalesce(list_bit_or([1::BIGINT << g.class FOR g IN worn IF {' AND '.join(counted)}]), 0)"
        if counted:
            parameters |= least
            columns = f"* REPLACE ([g FOR g IN worn IF {' AND '.join(counted)}] AS worn)"
        held = sum(1 << self._taxonomy[name].id for name in view.garments)
        if not (least or view.colours):
            conditions += [f"mask & {held} = {held}"] if held else []
            return columns, "outfit"
        where = f" WHERE {self._chances.coloured(view.garments, view.colours, counted)}" if view.colours else ""
        kept = self._keep(view, f"SELECT o, {mask} AS counted FROM outfit{where}", least)
        conditions += [f"counted & {held} = {held}"] if held else []
        columns = columns.replace("REPLACE (", "REPLACE (counted AS mask, ")
        return columns, f"outfit JOIN {kept} USING (o)"

    def _with_garments(self, view: View, conditions: list[str]) -> tuple[str, str]:
        """Columns and tables of expected counts with a filter on garments, which have presence 1; adds conditions."""
        weight = self._chances.all_of(view, view.garments)
        conditions.append(f"{weight} > 0")
        given = {
            garment.id: f"({self._chances.given(view, garment.name, view.garments)})::FLOAT"
            for garment in self._taxonomy.worn
        }
        given |= {self._taxonomy[name].id: "1::FLOAT" for name in view.garments}
        columns = f"* REPLACE ({_presences(given)}), ({weight})::FLOAT AS weight"
        if not view.colours:
            return columns, "outfit"
        coloured = self._chances.coloured(view.garments, view.colours)
        return columns, f"outfit JOIN {self._keep(view, f'SELECT o FROM outfit WHERE {coloured}')} USING (o)"

    def _with_colours(self, view: View) -> tuple[str, str]:
        """Columns and tables of expected counts with a filter on colours alone.

        An outfit fits if any of the garments found in these colours is worn; the probability of each of them grows by
        the same factor, which ignores that they then depend on each other.
        """
        of_class: dict[str, list[int]] = {}
        for garment in self._taxonomy.worn:
            of_class.setdefault(self._chances.class_of(garment.name), []).append(garment.id)
        fits = {ids[0]: f"fits >> {ids[0]} & 1" for ids in of_class.values()}  # the same for all kinds of a class
        none = " * ".join(
            f"(1 - {' - '.join(f'p_{number} * ({fits[ids[0]]})' for number in ids)})" for ids in of_class.values()
        )
        found = f"[1::BIGINT << g.class FOR g IN worn IF g.colour IN ({colour_ids(view.colours)})]"
        kept = self._keep(
            view,
            # materialized, as DuckDB would otherwise look for the colours once more for each use of `fits`
            f"WITH found AS MATERIALIZED (SELECT o, coalesce(list_bit_or({found}), 0) AS fits FROM outfit) "
            f"SELECT o, fits, (1 - greatest(0, {none}))::FLOAT AS weight FROM outfit JOIN found USING (o) "
            "WHERE fits != 0",
        )
        given = {
            number: f"least(1, p_{number} / CASE WHEN {fits[ids[0]]} = 1 THEN weight ELSE 1 END)"
            for ids in of_class.values()
            for number in ids
        }
        return f"* REPLACE ({_presences(given)})", f"outfit JOIN (FROM {kept} WHERE weight > 0) USING (o)"

    def _keep(self, view: View, sql: str, parameters: Mapping[str, object] | None = None) -> str:
        """Name of a table of what is costly in a view, whatever its dates and tags; made if it is not there."""
        key = replace(view, first=None, last=None, tags=(), duplicates=True)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        while self._kept and (
            len(self._kept) >= _MOST_KEPT or sum(rows for _, rows in self._kept.values()) > _MOST_KEPT_ROWS
        ):
            self._reader.query(f"DROP TABLE {self._kept.popitem(last=False)[1][0]}")
        self._made += 1
        table = f"view_{self._made}"
        self._reader.query(f"CREATE TABLE {table} AS {sql}", parameters or {})
        rows = int(self._reader.query(f"SELECT count(*) AS n FROM {table}")["n"].iloc[0])
        self._kept[key] = table, rows
        return table

    def _conditions(self, view: View) -> tuple[list[str], dict[str, object]]:
        """SQL conditions of a view's dates, tags and near-duplicates on an outfit, and their parameters."""
        conditions, parameters = [] if view.duplicates else ["NOT duplicate"], dict[str, object]()
        for name, operator in (("first", ">="), ("last", "<=")):
            if (day := getattr(view, name)) is not None:
                conditions.append(f"day {operator} ${name}")
                parameters[name] = day
        for key, values in view.tags:
            if key not in self._tags:
                conditions.append("false")
                continue
            conditions.append(f"{self._tags[key]} IN (SELECT unnest(${self._tags[key]}))")
            parameters[self._tags[key]] = list(values)
        return conditions, parameters


def _presences(given: Mapping[int, str]) -> str:
    """SQL: presences by class id, as columns."""
    return ", ".join(f"{sql} AS p_{number}" for number, sql in given.items())
