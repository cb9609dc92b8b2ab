"""A table of the outfits of each of the latest views, so that one view is read several times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from segmodels.archive.chances import Chances
from segmodels.archive.conditions import View
from segmodels.archive.division import Division
from segmodels.archive.outfit_tables import colour_ids
from segmodels.archive.reader import Reader
from segmodels.taxonomy import Taxonomy

__all__ = ["ViewTables"]

_KEPT_VIEWS = 12
_KEPT_OUTFITS = 17_000_000  # of the kept views together: all of ten million photos, and a half to compare with
_VIEW_COLUMNS = "o, p, day, named, south, mask, alone, worn, monochrome"  # in the table of every view


class ViewTables:
    """Tables of views; one thread at a time may ask.

    Args:
        reader: Reader that has the tables of `OutfitTables`.
        taxonomy: What is counted: classes, or kinds.
        division: The kinds that are counted; None where classes are.
        chances: Probabilities of the archive.
        tags: Tags, in the order of their columns.
        outfits: Number of outfits of the archive.
    """

    def __init__(
        self,
        reader: Reader,
        taxonomy: Taxonomy,
        division: Division | None,
        chances: Chances,
        tags: Sequence[str],
        outfits: int,
    ) -> None:
        self._reader = reader
        self._taxonomy = taxonomy
        self._division = division
        self._chances = chances
        self._tags = {key: f"tag_{place}" for place, key in enumerate(tags)}
        self._outfits = outfits
        self._views: OrderedDict[View, tuple[str, int]] = OrderedDict()
        self._made = 0

    def table(self, view: View) -> str:
        """The table of a resolved view, created if it is not among the latest ones.

        Its columns are those of `outfit` that every query may need; with expected counts also `p_<class id>`, and with
        a filter on garments or colours `weight`.
        """
        if view == View(counting=view.counting, duplicates=True) and not (self._division and view.counting == "raw"):
            return "outfit"
        if view in self._views:
            self._views.move_to_end(view)
            return self._views[view][0]
        while self._views and (
            len(self._views) >= _KEPT_VIEWS
            or self._outfits + sum(size for _, size in self._views.values()) > _KEPT_OUTFITS
        ):
            self._reader.query(f"DROP TABLE {self._views.popitem(last=False)[1][0]}")
        self._made += 1
        table = f"view_{self._made}"
        make = self._expected if view.counting == "expected" else self._raw
        sql, parameters = make(view)
        self._reader.query(f"CREATE TABLE {table} AS {sql}", parameters)
        outfits = int(self._reader.query(f"SELECT count(*) AS n FROM {table}")["n"].iloc[0])
        self._views[view] = table, outfits
        return table

    def _raw(self, view: View) -> tuple[str, dict[str, object]]:
        """Query of the outfits of a view, and its parameters."""
        held = sum(1 << self._taxonomy[name].id for name in view.garments)
        conditions, parameters = self._conditions(view)
        conditions.append(f"mask & {held} = {held}")
        if view.colours:
            conditions.append(self._chances.coloured(view.garments, view.colours))
        source = "outfit"
        if self._division:
            source = "(SELECT * REPLACE ([g FOR g IN worn IF g.certain] AS worn) FROM outfit)"
        if view.min_share > 0 or view.min_confidence > 0:
            large = "[g FOR g IN worn IF g.share >= $share AND g.confidence >= $confidence]"
            mask = "coalesce(list_bit_or([1::BIGINT << g.class FOR g IN worn]), 0)"
            source = f"(SELECT * REPLACE ({mask} AS mask) FROM (SELECT * REPLACE ({large} AS worn) FROM {source}))"
            parameters |= {"share": view.min_share, "confidence": view.min_confidence}
        return f"SELECT {_VIEW_COLUMNS} FROM {source} WHERE {' AND '.join(conditions)}", parameters

    def _expected(self, view: View) -> tuple[str, dict[str, object]]:
        """Query of the outfits of a view with their weights, and its parameters.

        In it, the probabilities are those given that the outfit fits the view: 1 for the garments of the filter. With
        a filter on colours alone, an outfit fits if any of the garments found in these colours is worn; the
        probability of each of them grows by the same factor, which ignores that they then depend on each other.
        """
        conditions, parameters = self._conditions(view)
        presence = {garment.id: f"p_{garment.id}" for garment in self._taxonomy.worn}
        weight, source = "", "outfit"
        if view.garments:
            held = [self._taxonomy[name].id for name in view.garments]
            weight = self._chances.all_of(view, view.garments)
            presence |= {
                garment.id: f"({self._chances.given(view, garment.name, view.garments)})::FLOAT AS p_{garment.id}"
                for garment in self._taxonomy.worn
            }
            presence |= {number: f"1::FLOAT AS p_{number}" for number in held}
            if view.colours:
                conditions.append(self._chances.coloured(view.garments, view.colours))
        elif view.colours:
            found = f"[1::BIGINT << g.class FOR g IN worn IF g.colour IN ({colour_ids(view.colours)})]"
            fitting: dict[str, list[str]] = {}
            for number in presence:
                name = self._chances.class_of(self._taxonomy.names[number])
                fitting.setdefault(name, []).append(f"p_{number} * (fits >> {number} & 1)")
            none = " * ".join(f"(1 - {' - '.join(of_class)})" for of_class in fitting.values())
            none = f"greatest(0, {none})"
            source = f"(SELECT *, coalesce(list_bit_or({found}), 0) AS fits FROM outfit)"
            source = f"(SELECT *, (1 - {none})::FLOAT AS either FROM {source} WHERE fits != 0)"
            weight = "either"
            presence = {
                number: f"CASE WHEN fits >> {number} & 1 = 1 THEN least(1, p_{number} / either) ELSE p_{number} END "
                f"AS p_{number}"
                for number in presence
            }
        columns = [_VIEW_COLUMNS, *presence.values()]
        if weight:
            columns.append(f"({weight})::FLOAT AS weight")
            conditions.append(f"{weight} > 0")
        return f"SELECT {', '.join(columns)} FROM {source} WHERE {' AND '.join(conditions)}", parameters

    def _conditions(self, view: View) -> tuple[list[str], dict[str, object]]:
        """SQL conditions of a view's dates, tags and near-duplicates on an outfit, and their parameters."""
        conditions, parameters = ["true" if view.duplicates else "NOT duplicate"], dict[str, object]()
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
