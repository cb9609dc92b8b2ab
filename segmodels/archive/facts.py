"""The rows of an archive as flat tables, and the counts for the Trends page.

The unit is one person's outfit. What a person wears is a number whose bit i says whether class i is worn, so that all
pairs and triples come from one count of equal numbers: 12 garments make 4,096 of them at most. Beside it lies the list
of the outfit's garments with share, confidence and colour, so that nothing is joined with them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import pandas as pd

from segmodels.archive.duplicates import load_duplicates
from segmodels.archive.store import Reader
from segmodels.colour import FINE_COLOURS
from segmodels.taxonomy import Taxonomy

__all__ = ["PERIODS", "Facts", "Period", "Size", "View"]

Period = Literal["week", "month", "season", "year"]
PERIODS: tuple[Period, ...] = ("week", "month", "season", "year")
"""Periods into which time can be divided; a season is three months, and winter starts in December."""

_MOST_TAGS = 50  # keys that can be filtered by
_KEPT_VIEWS = 12
_VIEW_COLUMNS = "o, p, day, mask, alone, worn, monochrome"
_MOST_PEOPLE = 64  # people per photo that the number of an outfit can hold
_CALENDAR = ", ".join(
    f"({start})::DATE AS {period}"
    for period, start in {
        "week": "date_trunc('week', day)",
        "month": "date_trunc('month', day)",
        "season": "date_trunc('quarter', day + INTERVAL 1 MONTH) - INTERVAL 1 MONTH",
        "year": "date_trunc('year', day)",
    }.items()
)
_FINE = [(name, basic) for basic, names in FINE_COLOURS.items() for name in names]


@dataclass(frozen=True)
class View:
    """Filters that choose the outfits to count.

    Args:
        first: First day; with it or `last`, photos without a date are left out.
        last: Last day, included.
        tags: Pairs of a tag and values, of which a photo must have one.
        garments: Classes that an outfit must hold, all of them.
        colours: Basic colours of which a garment (one of `garments`, if any) must have one.
        min_share: Least share of the outfit that a garment must have to count, 0..1.
        min_confidence: Least confidence of a garment to count, 0..1.
        duplicates: Whether each of several near-duplicates counts, instead of one of them.
    """

    first: date | None = None
    last: date | None = None
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    garments: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    min_share: float = 0.0
    min_confidence: float = 0.0
    duplicates: bool = False


@dataclass(frozen=True)
class Size:
    """Size of a view: photos, outfits, outfits with a date, and the first and last day."""

    photos: int
    outfits: int
    dated: int
    first: date | None
    last: date | None


class Facts:
    """The outfits and garments of a reader's rows, ready to be counted; any number of threads may ask.

    Args:
        reader: Reader whose rows are read once, here; it must stay open.
        taxonomy: Taxonomy of the rows.
        progress: Function that is called with a sentence before each long step.
    """

    def __init__(self, reader: Reader, taxonomy: Taxonomy, progress: Callable[[str], None] = lambda sentence: None):
        self.taxonomy = taxonomy
        self.version = reader.version
        self._reader = reader
        self._lock = threading.Lock()
        self._views: OrderedDict[View, str] = OrderedDict()
        self._tables = 0
        self.duplicates = load_duplicates(reader, progress)
        """Number of photos that are near-duplicates of one that counts; None if they were never looked for."""
        self.tags = self._load(progress)
        """Values by tag, the most frequent first."""

    def size(self, view: View) -> Size:
        """Size of a view."""
        row = self._ask(
            view,
            "SELECT count(*) FILTER (alone) + (SELECT count(DISTINCT p) FROM {v} WHERE NOT alone) photos, "
            "count(*) outfits, count(day) dated, min(day) a, max(day) b FROM {v}",
        ).iloc[0]
        first, last = (None if pd.isna(row[key]) else pd.Timestamp(row[key]).date() for key in "ab")
        return Size(int(row.photos), int(row.outfits), int(row.dated), first, last)

    def monochrome(self, view: View) -> int:
        """Number of photos of a view that are black and white or toned: their garments have no colour here."""
        return int(self._ask(view, "SELECT count(DISTINCT p) n FROM {v} WHERE monochrome")["n"].iloc[0])

    def near_duplicates(self, view: View) -> int:
        """Number of photos that a view leaves out because they are near-duplicates of others."""
        if not self.duplicates or view.duplicates:
            return 0
        return self.size(replace(view, duplicates=True)).photos - self.size(view).photos

    def masks(self, view: View, period: Period | None = None) -> pd.DataFrame:
        """Number of outfits by the exact set of their classes.

        Args:
            view: View that chooses the outfits.
            period: Period by which the outfits are divided, without those that have no date; None for no division.

        Returns:
            Columns `mask` int64, `outfits` int64, and with a period `start` (its first day).
        """
        if period is None:
            return self._ask(view, "SELECT mask, count(*) outfits FROM {v} GROUP BY mask ORDER BY mask")
        return self._ask(
            view,
            f"SELECT {period} AS start, mask, count(*) outfits FROM {{v}} JOIN calendar USING (day) "
            "GROUP BY ALL ORDER BY ALL",
        )

    def holding(self, view: View, least: Mapping[str, tuple[float, float]]) -> dict[str, int]:
        """Outfits with a garment of enough share and confidence, ignoring the minimums of the view.

        Args:
            view: View that chooses the outfits.
            least: Least share of the outfit and least confidence, by class.

        Returns:
            Number of outfits by class.
        """
        if not least:
            return {}
        lacking = view.min_share > 0 or view.min_confidence > 0  # the table of the view lacks some garments
        source = "outfit WHERE o IN (SELECT o FROM {v})" if lacking else "{v}"
        asked = ", ".join(f"({self.taxonomy[name].id}, {share}, {sure})" for name, (share, sure) in least.items())
        found = self._ask(
            view,
            f"SELECT g.class AS class, count(*) outfits FROM (SELECT unnest(worn) AS g FROM {source}) "
            f"JOIN (VALUES {asked}) least(class, share, confidence) ON g.class = least.class "
            "WHERE g.share >= least.share AND g.confidence >= least.confidence GROUP BY ALL",
        )
        counts = dict(zip(found["class"], found["outfits"], strict=True))
        return {name: int(counts.get(self.taxonomy[name].id, 0)) for name in least}

    def areas(self, view: View) -> pd.DataFrame:
        """Areas by class: `class` id, `share` (mean share of the outfit), its `deviation`, and number of `garments`."""
        return self._ask(
            view,
            "SELECT g.class AS class, avg(g.share) AS share, coalesce(stddev_samp(g.share), 0) AS deviation, "
            "count(*) AS garments FROM (SELECT unnest(worn) AS g FROM {v}) GROUP BY ALL ORDER BY ALL",
        )

    def colours(self, view: View, *, fine: bool = False, period: Period | None = None) -> pd.DataFrame:
        """Garments by class and main colour.

        Args:
            view: View that chooses the outfits.
            fine: Whether to use fine names instead of basic ones.
            period: Period by which the garments are divided, as in `masks`.

        Returns:
            Columns `class` id, `colour` name, `garments` int64, and with a period `start`.
        """
        start, calendar = (f"{period} AS start, ", "JOIN calendar USING (day) ") if period else ("", "")
        return self._ask(
            view,
            f"SELECT {start}g.class AS class, c.{'fine' if fine else 'basic'} AS colour, count(*) garments "
            f"FROM (SELECT day, unnest(worn) AS g FROM {{v}}) {calendar}JOIN colour c ON g.colour = c.id "
            "GROUP BY ALL ORDER BY ALL",
        )

    def colour_pairs(self, view: View, first: str, second: str, *, fine: bool = False) -> pd.DataFrame:
        """Main colours of two garments worn together.

        Args:
            view: View that chooses the outfits.
            first: Name of a class.
            second: Name of another class.
            fine: Whether to use fine names instead of basic ones.

        Returns:
            Columns `first` and `second`, names of colours, and `outfits` int64.
        """
        name = "fine" if fine else "basic"
        one, other = self.taxonomy[first].id, self.taxonomy[second].id
        both = 1 << one | 1 << other
        return self._ask(
            view,
            f"SELECT c.{name} AS first, d.{name} AS second, count(*) outfits FROM "
            f"(SELECT [g.colour FOR g IN worn IF g.class = {one}][1] AS one, "
            f"[g.colour FOR g IN worn IF g.class = {other}][1] AS other FROM {{v}} WHERE mask & {both} = {both}) "
            "JOIN colour c ON c.id = one JOIN colour d ON d.id = other GROUP BY ALL ORDER BY ALL",
        )

    def photos(
        self,
        view: View,
        *,
        worn: Sequence[str] = (),
        not_worn: Sequence[str] = (),
        coloured: Sequence[tuple[str, str]] = (),
        fine: bool = False,
        period: Period | None = None,
        start: date | None = None,
        limit: int = 24,
    ) -> pd.DataFrame:
        """The photos behind a number: `photo_id`, `file_name`, `day`, `person` and `class_map`, the newest first.

        Args:
            view: View that chooses the outfits.
            worn: Classes that the outfit holds, all of them.
            not_worn: Classes that it does not hold.
            coloured: Pairs of a class and a basic or fine colour; the outfit holds a garment for each pair.
            fine: Whether a name that is both, such as gray, is the fine colour.
            period: Period to which the photos are limited; only used together with `start`.
            start: First day of the period.
            limit: Largest number of photos.
        """
        conditions, parameters = self._chosen(worn, not_worn, coloured, fine, period, start)
        found = self._ask(
            view,
            "SELECT photo_id, file_name, day, o % {people} AS person "
            "FROM (SELECT o, p, day FROM {v} WHERE {conditions} "
            "ORDER BY day DESC NULLS LAST, o LIMIT {limit}) JOIN photo USING (p) ORDER BY day DESC NULLS LAST, o",
            parameters,
            people=_MOST_PEOPLE,
            conditions=conditions,
            limit=int(limit),
        )
        with self._lock:
            maps = self._reader.query(
                "SELECT photo_id, class_map FROM photos WHERE photo_id IN (SELECT unnest($ids))",
                {"ids": found["photo_id"].tolist()},
            )
        return found.merge(maps, on="photo_id", how="left")

    def count(
        self,
        view: View,
        *,
        worn: Sequence[str] = (),
        not_worn: Sequence[str] = (),
        coloured: Sequence[tuple[str, str]] = (),
        fine: bool = False,
        period: Period | None = None,
        start: date | None = None,
    ) -> int:
        """Number of outfits that `photos` with the same arguments would find without a limit."""
        conditions, parameters = self._chosen(worn, not_worn, coloured, fine, period, start)
        sql = "SELECT count(*) n FROM {v} WHERE {conditions}"
        return int(self._ask(view, sql, parameters, conditions=conditions)["n"].iloc[0])

    def _chosen(
        self,
        worn: Sequence[str],
        not_worn: Sequence[str],
        coloured: Sequence[tuple[str, str]],
        fine: bool,
        period: Period | None,
        start: date | None,
    ) -> tuple[str, dict[str, object]]:
        """Conditions of `photos`, and their parameters."""
        held = sum(1 << self.taxonomy[name].id for name in worn)
        lacking = sum(1 << self.taxonomy[name].id for name in not_worn)
        conditions = [f"mask & {held} = {held}", f"mask & {lacking} = 0"]
        parameters: dict[str, object] = {}
        conditions += [self._coloured([name], [colour], fine=fine) for name, colour in coloured]
        if period and start:
            conditions.append(f"day IN (SELECT day FROM calendar WHERE {period} = $start)")
            parameters["start"] = start
        return " AND ".join(conditions), parameters

    def _ask(
        self, view: View, sql: str, parameters: Mapping[str, object] | None = None, **parts: object
    ) -> pd.DataFrame:
        """Runs a query in which `{v}` is the table of the view, with the columns of `_VIEW_COLUMNS`."""
        with self._lock:
            return self._reader.query(sql.format(v=self._table(view), **parts), parameters or {})

    def _table(self, view: View) -> str:
        """The table of a view, created if it is not among the latest ones."""
        if not self.duplicates:
            view = replace(view, duplicates=True)
        if view == View(duplicates=True):
            return "outfit"
        if view in self._views:
            self._views.move_to_end(view)
            return self._views[view]
        conditions, parameters = self._conditions(view)
        source = "outfit"
        if view.min_share > 0 or view.min_confidence > 0:
            large = "[g FOR g IN worn IF g.share >= $share AND g.confidence >= $confidence]"
            mask = "coalesce(list_bit_or([1::BIGINT << g.class FOR g IN worn]), 0)"
            source = f"(SELECT * REPLACE ({mask} AS mask) FROM (SELECT * REPLACE ({large} AS worn) FROM outfit))"
            parameters |= {"share": view.min_share, "confidence": view.min_confidence}
        self._tables += 1
        table = f"view_{self._tables}"
        self._reader.query(
            f"CREATE TABLE {table} AS SELECT {_VIEW_COLUMNS} FROM {source} WHERE {' AND '.join(conditions)}",
            parameters,
        )
        self._views[view] = table
        if len(self._views) > _KEPT_VIEWS:
            self._reader.query(f"DROP TABLE {self._views.popitem(last=False)[1]}")
        return table

    def _conditions(self, view: View) -> tuple[list[str], dict[str, object]]:
        """SQL conditions of a view on an outfit, and their parameters."""
        held = sum(1 << self.taxonomy[name].id for name in view.garments)
        conditions, parameters = [f"mask & {held} = {held}"], dict[str, object]()
        for name, operator in (("first", ">="), ("last", "<=")):
            if (day := getattr(view, name)) is not None:
                conditions.append(f"day {operator} ${name}")
                parameters[name] = day
        columns = {key: f"tag_{place}" for place, key in enumerate(self.tags)}
        for key, values in view.tags:
            if key not in columns:
                conditions.append("false")
                continue
            conditions.append(f"{columns[key]} IN (SELECT unnest(${columns[key]}))")
            parameters[columns[key]] = list(values)
        if not view.duplicates:
            conditions.append("NOT duplicate")
        if view.colours:
            conditions.append(self._coloured(view.garments, view.colours))
        return conditions, parameters

    def _coloured(self, names: Sequence[str], colours: Sequence[str], *, fine: bool = False) -> str:
        """SQL condition: an outfit has a garment of one of the colours, and of one of the classes if any are given."""
        asked = {number for number, each in enumerate(_FINE) if set(each[: 1 if fine else 2]) & set(colours)}
        condition = f"g.colour IN ({', '.join(map(str, sorted(asked))) or 'NULL'})"
        if names:
            condition += f" AND g.class IN ({', '.join(str(self.taxonomy[name].id) for name in names)})"
        return f"len([1 FOR g IN worn IF {condition}]) > 0"

    def _load(self, progress: Callable[[str], None]) -> dict[str, list[str]]:
        """Fills the tables `photo`, `outfit`, `colour` and `calendar`; gives the tags and their values."""
        run = self._reader.query
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in self.taxonomy.names)
        fine = ", ".join(f"'{name}'" for name, _ in _FINE)
        worn = sum(1 << garment.id for garment in self.taxonomy.worn)
        colours = ", ".join(f"({number}, '{fine}', '{basic}')" for number, (fine, basic) in enumerate(_FINE))
        run(f"CREATE OR REPLACE TABLE colour AS FROM (VALUES {colours}) colour(id, fine, basic)")
        progress("Reading photos and their garments.")
        run(
            "CREATE OR REPLACE TABLE staged AS SELECT (row_number() OVER ())::BIGINT AS p, photo_id, file_name, "
            f"taken_at::DATE AS day, tags, outfits, [{{'class': (list_position([{names}], g.class) - 1)::UTINYINT, "
            "'person': g.person, 'share': g.outfit_share, 'confidence': g.confidence, "
            "'colour': CASE WHEN monochrome THEN NULL "
            f"ELSE (list_position([{fine}], g.colours[1].name) - 1)::UTINYINT END}} FOR g IN garments] AS garments, "
            "coalesce(monochrome, false) AS monochrome, "
            "photo_id IN (SELECT photo_id FROM duplicate) AS duplicate FROM photos"
        )
        found = run(
            "SELECT key, value, count(*) n FROM (SELECT unnest(map_entries(tags), recursive := true) FROM staged) "
            "GROUP BY ALL ORDER BY n DESC, value"
        )
        tags = {str(key): list(map(str, rows["value"])) for key, rows in found.groupby("key", sort=False)}
        tags = {key: tags[key] for key in list(tags)[:_MOST_TAGS]}
        chosen = "".join(
            f", tags['{key.replace(chr(39), chr(39) * 2)}'] AS tag_{number}" for number, key in enumerate(tags)
        )
        progress("Reading outfits.")
        run("CREATE OR REPLACE TABLE photo AS SELECT p, photo_id, file_name FROM staged")
        run(
            f"CREATE OR REPLACE TABLE outfit AS SELECT p * {_MOST_PEOPLE} + person AS o, p, day, "
            f"mask & {worn} AS mask, len(outfits) = 1 AS alone, monochrome, duplicate, "
            "[{'class': g.class, 'share': g.share, 'confidence': g.confidence, 'colour': g.colour} FOR g IN garments "
            f"IF g.person = person AND (1::BIGINT << g.class) & {worn} != 0] AS worn{chosen} FROM (SELECT *, "
            "unnest(outfits) AS mask, generate_subscripts(outfits, 1) - 1 AS person FROM staged)"
        )
        run(f"CREATE OR REPLACE TABLE calendar AS SELECT day, {_CALENDAR} FROM (SELECT DISTINCT day FROM outfit)")
        run("DROP TABLE staged")
        return tags
