"""The rows of an archive as flat tables, and the counts for the Trends page.

The unit is one person's outfit. Two ways of counting:

- Expected counts add up, over outfits, the calibrated probability that a garment is worn (its presence), one number for
  each outfit and class. A filter on garments is a weight: an outfit counts with the probability that it meets it. Where
  a row has no presence, what was found counts as 1 and the rest as 0.
- Raw counts are of every garment found. What was found on a person is a number whose bit i says whether class i was, so
  that all pairs and triples come from one count of equal numbers: 12 garments make 4,096 of them at most.

Beside them lies the list of the outfit's garments found, with share, confidence, colour and presence, so that nothing
is joined with them.

Where kinds are counted, they take the place of the classes: see `segmodels.archive.division`. The presence of a kind is
that of its class times the probability of the kind; the rest of the class, whose kind is not certain, is what has no
such probability, as in a row from before the model had kinds. Raw counts are of the kinds that are named, and of
garments whose kind is not. A garment lies in the list once for each kind that it may be.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from segmodels.archive.counts import Counting, Counts, add_up
from segmodels.archive.dates import PRECISIONS, Precision
from segmodels.archive.division import divide, kinds_there
from segmodels.archive.duplicates import load_duplicates
from segmodels.archive.shows import TAG, Show
from segmodels.archive.store import Reader
from segmodels.colour import FINE_COLOURS
from segmodels.inference.presence import LIKELY
from segmodels.taxonomy import Taxonomy

__all__ = ["PERIODS", "Conditions", "Facts", "Hemispheres", "Period", "Size", "View"]

Period = Literal["week", "month", "season", "collection", "fashion season", "half-year", "year"]
PERIODS: tuple[Period, ...] = ("week", "month", "season", "collection", "fashion season", "half-year", "year")
"""Periods into which time can be divided, shorter ones first.

A season is three months, and winter starts in December. Fashion seasons are those in which clothes are worn:
Spring/Summer from March to August, Autumn/Winter from September to February. Collections are the four of a year, by
when they come to the shops: Resort from November, Spring/Summer from February, Pre-Fall from May, Autumn/Winter from
August. Half-years start in January and July.
"""

Hemispheres = Literal["north", "south", "both"]
"""Hemispheres of the dated photos of a view.

Seasons, collections and fashion seasons have the same first days in both, half a year apart in name: the season from
June is summer in the north and winter in the south. So photos of the south are counted in the period of their real day,
and only its name depends on the hemispheres of a view. Counting winters of both as one period was tried and dropped: in
the first and the last half-year such periods have photos of one hemisphere only, which looks like growth.
"""

_MOST_TAGS = 50  # keys that can be filtered by
_KEPT_VIEWS = 12
_KEPT_OUTFITS = 17_000_000  # of the kept views together: all of ten million photos, and a half to compare with
_BLOCK = 1024  # outfits that are added up at once: their products fit the processor's cache
_BLOCK_OF_KINDS = 16384  # the same, with fewer calls
_VIEW_COLUMNS = "o, p, day, named, south, mask, alone, worn, monochrome"  # in the table of every view
_MOST_PEOPLE = 64  # people per photo that the number of an outfit can hold
_PROBABILITY = (
    "lambda q: CASE WHEN q BETWEEN 0 AND 1 THEN q END"  # NaN is above 1 in DuckDB; null counts as found or not
)
_HALF = "date_trunc('year', {0}) + to_months((6 * ((month({0}) - 1) // 6))::INTEGER)"
# What a date may name so that its photo counts in a period: a photo of "1995" counts in years, and in no month.
_NAMED: Mapping[Period, tuple[Precision, ...]] = {
    "week": ("day", "week"),
    "month": ("day", "week", "month"),
    "season": ("day", "week", "month"),
    "collection": ("day", "week", "month"),
    "fashion season": ("day", "week", "month", "fashion season"),
    "half-year": ("day", "week", "month", "quarter", "half-year"),
    "year": PRECISIONS,
}
_STARTS: Mapping[Period, str] = {
    "week": "date_trunc('week', day)",
    "month": "date_trunc('month', day)",
    "season": "date_trunc('quarter', day + INTERVAL 1 MONTH) - INTERVAL 1 MONTH",
    "collection": "date_trunc('quarter', day + INTERVAL 2 MONTH) - INTERVAL 2 MONTH",
    "fashion season": f"{_HALF.format('(day - INTERVAL 2 MONTH)')} + INTERVAL 2 MONTH",
    "half-year": _HALF.format("day"),
    "year": "date_trunc('year', day)",
}
_CALENDAR = ", ".join(
    f"CASE WHEN named IN ({', '.join(str(PRECISIONS.index(each)) for each in _NAMED[period])}) "
    f'THEN ({start})::DATE END AS "{period}"'
    for period, start in _STARTS.items()
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
        min_share: Least share of the outfit that a garment must have to count, 0..1; for raw counts only.
        min_confidence: Least confidence of a garment to count, 0..1; for raw counts only.
        counting: Way of counting; None for the archive's default (`Facts.countings`).
        duplicates: Whether each of several near-duplicates counts, instead of one of them.
    """

    first: date | None = None
    last: date | None = None
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    garments: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    min_share: float = 0.0
    min_confidence: float = 0.0
    counting: Counting | None = None
    duplicates: bool = False


@dataclass(frozen=True)
class Conditions:
    """Conditions on the outfits behind a number, beside the filters of its view.

    Args:
        worn: Classes that an outfit holds, all of them.
        not_worn: Classes that it does not hold.
        coloured: Pairs of a class and a basic or fine colour; the outfit holds a garment for each pair.
        fine: Whether a name that is both, such as gray, is the fine colour.
        period: Period to which the photos are limited; only used together with `start`.
        start: First day of the period.
    """

    worn: Sequence[str] = ()
    not_worn: Sequence[str] = ()
    coloured: Sequence[tuple[str, str]] = ()
    fine: bool = False
    period: Period | None = None
    start: date | None = None


_NO_CONDITIONS = Conditions()


@dataclass(frozen=True)
class Size:
    """Size of a view: photos, outfits, outfits with a date, and the first and last day.

    The numbers are float where outfits count with a probability, and int otherwise.
    """

    photos: float
    outfits: float
    dated: float
    first: date | None
    last: date | None


class Facts:
    """The outfits and garments of a reader's rows, ready to be counted; any number of threads may ask.

    Args:
        reader: Reader whose rows are read once, here; it must stay open.
        taxonomy: Taxonomy of the rows.
        progress: Function that is called with a sentence before each long step.
        southern: Pairs of a tag and a value; photos with one of them are of the southern hemisphere.
        correlations: Correlation of the errors of each two garments' presence, `(k, k)` in display order, from the
            calibration; without it the presences of an outfit count as independent of each other, given its photo.
        kinds: Whether kinds are counted where classes have some.
        shows: Weeks of shows, by which photos without a tag `show` get one.

    Raises:
        ArchiveError: If there are too many kinds.
    """

    def __init__(
        self,
        reader: Reader,
        taxonomy: Taxonomy,
        progress: Callable[[str], None] = lambda sentence: None,
        southern: Sequence[tuple[str, str]] = (),
        correlations: Sequence[Sequence[float]] = (),
        *,
        kinds: bool = False,
        shows: Sequence[Show] = (),
    ):
        self._shows = sorted(shows)
        self.division = divide(taxonomy, kinds_there(reader)) if kinds else None
        """The kinds that are counted; None where classes are."""
        self.whole = taxonomy
        """Taxonomy of the rows."""
        self.taxonomy = self.division.taxonomy if self.division else taxonomy
        """What is counted: classes, or kinds."""
        names = [garment.name for garment in taxonomy.worn]
        self._correlations = {
            (one, other): value
            for one, row in zip(names, correlations, strict=bool(correlations))
            for other, value in zip(names, row, strict=True)
            if value
        }
        self.version = reader.version
        self._reader = reader
        self._lock = threading.Lock()
        self._views: OrderedDict[View, tuple[str, int]] = OrderedDict()
        self._tables = self._outfits = 0
        self.has_presence = False
        """Whether any outfit has a presence, so that there are expected counts."""
        self.lacking = 0
        """Number of outfits without a presence, which count as what was found."""
        self.duplicates = load_duplicates(reader, progress)
        """Number of photos that are near-duplicates of one that counts; None if they were never looked for."""
        self.tags, self.southern = self._load(progress, southern)
        """Values by tag, the most frequent first; and the pairs of `southern` that photos have."""

    def class_of(self, name: str) -> str:
        """Class of a garment of `taxonomy`: its own name, unless it is a kind."""
        return self.division.class_of[name] if self.division else name

    @property
    def countings(self) -> tuple[Counting, ...]:
        """Ways of counting, the default first: expected if every outfit has a presence; raw alone if none has one."""
        if not self.has_presence:
            return ("raw",)
        return ("raw", "expected") if self.lacking else ("expected", "raw")

    def counting_of(self, view: View) -> Counting:
        """Way of counting of a view."""
        return view.counting if view.counting in self.countings else self.countings[0]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Sentence on each part of the archive that cannot be used."""
        return self._reader.left_out

    def size(self, view: View) -> Size:
        """Size of a view."""
        view = self._resolved(view)
        weight = _weight(view)
        row = self._ask(
            view,
            f"SELECT (coalesce(sum({weight}) FILTER (alone), 0) + coalesce((SELECT sum(1 - none) FROM "
            f"(SELECT product(1 - {weight}) AS none FROM {{v}} WHERE NOT alone GROUP BY p)), 0))::DOUBLE photos, "
            f"coalesce(sum({weight}), 0)::DOUBLE outfits, coalesce(sum({weight}) FILTER (day IS NOT NULL), 0)::DOUBLE "
            "dated, min(day) a, max(day) b FROM {v}",
        ).iloc[0]
        first, last = (None if pd.isna(row[key]) else pd.Timestamp(row[key]).date() for key in "ab")
        photos, outfits, dated = (float(row[key]) for key in ("photos", "outfits", "dated"))
        if weight == "1":
            photos, outfits, dated = round(photos), round(outfits), round(dated)
        return Size(photos, outfits, dated, first, last)

    def monochrome(self, view: View) -> int:
        """Number of photos of a view that are black and white or toned: their garments have no colour here."""
        view = self._resolved(view)
        sql = f"SELECT count(DISTINCT p) n FROM {{v}} WHERE monochrome AND {_weight(view)} >= {LIKELY}"
        return int(self._ask(view, sql)["n"].iloc[0])

    def near_duplicates(self, view: View) -> int:
        """Number of photos that a view leaves out because they are near-duplicates of others."""
        if not self.duplicates or view.duplicates:
            return 0
        return round(self.size(replace(view, duplicates=True)).photos - self.size(view).photos)

    def hemispheres(self, view: View) -> Hemispheres:
        """Hemispheres of the dated photos of a view; north if none of them has a tag of the south."""
        if not self.southern:
            return "north"
        found = set(self._ask(view, "SELECT DISTINCT south FROM {v} WHERE day IS NOT NULL")["south"])
        return "both" if len(found) > 1 else "south" if True in found else "north"

    def counts(self, view: View, *, triples: bool = False) -> Counts:
        """Outfits by what is worn.

        Args:
            view: View that chooses the outfits.
            triples: Whether to count triples.
        """
        view = self._resolved(view)
        names = [garment.name for garment in self.taxonomy.worn]
        shown = ", ".join(self._presence(view, name) for name in names)
        raw = view.counting == "raw"
        sql = f"SELECT {_weight(view)}, {shown} FROM {{v}}"
        if raw:
            sql = f"SELECT n, {shown} FROM (SELECT mask, count(*) AS n FROM {{v}} GROUP BY mask)"
        wholes = [self.class_of(name) for name in names]
        correlations = None
        if self._correlations and not raw:
            correlations = np.array([[self._correlations.get((a, b), 0.0) for b in wholes] for a in wholes])
        block = _BLOCK_OF_KINDS if self.division else _BLOCK

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for batch in self._reader.batches(sql.format(v=self._table(view)), block):
                columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
                values = np.stack(columns, dtype=np.int64 if raw else np.float32, casting="unsafe")
                yield values[0], values[1:]

        with self._lock:
            return add_up(
                names,
                blocks(),
                correlations=correlations,
                classes=wholes if self.division else (),
                triples=triples,
            )

    def periods(self, view: View, period: Period) -> list[date]:
        """First days of the periods in which the view has outfits."""
        found = self._ask(
            view,
            f'SELECT DISTINCT "{period}" AS start FROM {{v}} {_divided(period)} ORDER BY start',
        )
        return [pd.Timestamp(start).date() for start in found["start"]]

    def counts_by_period(self, view: View, period: Period) -> pd.DataFrame:
        """Outfits with each garment over time, without those that have no date.

        Args:
            view: View that chooses the outfits.
            period: Period by which the outfits are divided.

        Returns:
            Columns `start` (first day of the period), `garment`, `outfits` with it, and `of` (all of that period).
        """
        view = self._resolved(view)
        names = [garment.name for garment in self.taxonomy.worn]
        sums = ", ".join(f"{_sum(view, self._presence(view, name))} AS s_{place}" for place, name in enumerate(names))
        found = self._ask(
            view,
            f'SELECT "{period}" AS start, {_sum(view, "1")} AS whole, {sums} FROM {{v}} {_divided(period)} '
            "GROUP BY start ORDER BY start",
        )
        outfits = found[[f"s_{place}" for place in range(len(names))]].to_numpy()
        return pd.DataFrame(
            {
                "start": found["start"].repeat(len(names)).to_numpy(),
                "garment": np.tile(np.array(names, object), len(found)),
                "outfits": outfits.ravel(),
                "of": found["whole"].repeat(len(names)).to_numpy(),
            }
        )

    def pair_by_period(self, view: View, first: str, second: str, period: Period) -> pd.DataFrame:
        """Outfits with two garments over time, without those that have no date.

        Args:
            view: View that chooses the outfits.
            first: Name of a class.
            second: Name of another class.
            period: Period by which the outfits are divided.

        Returns:
            Columns `start`, `first` and `second` (outfits with each), `outfits` with both, and `of` (all).
        """
        view = self._resolved(view)
        one, other = (self._presence(view, name) for name in (first, second))
        both = self._both(view, first, second)
        return self._ask(
            view,
            f'SELECT "{period}" AS start, {_sum(view, one)} AS first, {_sum(view, other)} AS second, '
            f'{_sum(view, both)} AS outfits, {_sum(view, "1")} AS "of" '
            f"FROM {{v}} {_divided(period)} GROUP BY start ORDER BY start",
        )

    def areas(self, view: View) -> pd.DataFrame:
        """Areas by class, over the garments found, each with the probability that its class is worn.

        Returns:
            Columns `class` id, `share` (weighted mean share of the outfit), `deviation` (standard deviation of the
            shares), `size` (Kish's effective number of garments), and `garments` (sum of the weights).
        """
        view = self._resolved(view)
        found = self._ask(
            view,
            f"SELECT g.class AS class, {_sum(view, 'w', weighted=False)} AS garments, sum(w * w)::DOUBLE AS squares, "
            "sum(w * g.share::DOUBLE) AS total, sum(w * g.share::DOUBLE * g.share) AS total_squares "
            f"FROM (SELECT g, {self._garment(view)} AS w FROM "
            f"(SELECT {_weight(view)} AS weight, unnest(worn) AS g FROM {{v}})) GROUP BY ALL ORDER BY ALL",
        )
        found = found[found["garments"] > 0]
        weight = found["garments"].astype(float)
        size, share = weight**2 / found["squares"], found["total"] / weight
        variance = (found["total_squares"] / weight - share**2).clip(lower=0) * size / (size - 1).where(size > 1)
        return pd.DataFrame(
            {
                "class": found["class"],
                "share": share,
                "deviation": variance.fillna(0) ** 0.5,
                "size": size,
                "garments": found["garments"],
            }
        ).reset_index(drop=True)

    def colours(self, view: View, *, fine: bool = False, period: Period | None = None) -> pd.DataFrame:
        """Garments by class and main colour, each with the probability that its class is worn.

        Args:
            view: View that chooses the outfits.
            fine: Whether to use fine names instead of basic ones.
            period: Period by which the garments are divided, without those that have no date; None for no division.

        Returns:
            Columns `class` id, `colour` name, number of `garments`, and with a period `start`.
        """
        view = self._resolved(view)
        start, calendar = (f'"{period}" AS start, ', f"{_divided(period)} ") if period else ("", "")
        return self._ask(
            view,
            f"SELECT {start}g.class AS class, c.{'fine' if fine else 'basic'} AS colour, "
            f"{_sum(view, self._garment(view), weighted=False)} AS garments "
            f"FROM (SELECT day, named, {_weight(view)} AS weight, unnest(worn) AS g FROM {{v}}) {calendar}"
            "JOIN colour c ON g.colour = c.id GROUP BY ALL HAVING garments > 0 ORDER BY ALL",
        )

    def main_colours(self, view: View) -> pd.DataFrame:
        """Garments by class and by the main colour that their pixels have, as `colours` counts them.

        Args:
            view: View that chooses the outfits.

        Returns:
            Columns `class` name, `name` of the colour (a fine one), `hex`, and number of `garments`.
        """
        self._make_main_colours()
        view = self._resolved(view)
        first = {name: parts[0] for name, parts in self.division.parts.items()} if self.division else {}
        presence = " ".join(
            f"WHEN {_text(each.name)} THEN {self._class_presence(view, first.get(each.name, each.name))}"
            for each in self.whole.worn
        )
        product = f"{_weight(view)} * CASE m.class {presence} END"
        return self._ask(
            view,
            f"SELECT m.class AS class, m.name AS name, m.hex AS hex, {_sum(view, product, weighted=False)} AS garments "
            "FROM {v} JOIN main_colour m USING (p) WHERE m.person = o % {people} "
            "GROUP BY ALL HAVING garments > 0 ORDER BY ALL",
            people=_MOST_PEOPLE,
        )

    def colour_pairs(self, view: View, first: str, second: str, *, fine: bool = False) -> pd.DataFrame:
        """Main colours of two garments worn together.

        Args:
            view: View that chooses the outfits.
            first: Name of a class.
            second: Name of another class.
            fine: Whether to use fine names instead of basic ones.

        Returns:
            Columns `first` and `second`, names of colours, and number of `outfits`.
        """
        view = self._resolved(view)
        name = "fine" if fine else "basic"
        one, other = self.taxonomy[first].id, self.taxonomy[second].id
        found = f"mask & {1 << one | 1 << other} = {1 << one | 1 << other}"
        if self.division and view.counting == "expected":  # the mask says which kinds are certain
            found = "true"
        product = f"{_weight(view)} * {self._both(view, first, second)}"
        return self._ask(
            view,
            f"SELECT c.{name} AS first, d.{name} AS second, {_sum(view, 'w', weighted=False)} AS outfits FROM "
            f"(SELECT [g.colour FOR g IN worn IF g.class = {one}][1] AS one, {product} AS w, "
            f"[g.colour FOR g IN worn IF g.class = {other}][1] AS other FROM {{v}} WHERE {found}) "
            "JOIN colour c ON c.id = one JOIN colour d ON d.id = other GROUP BY ALL ORDER BY ALL",
        )

    def photos(
        self, view: View, conditions: Conditions = _NO_CONDITIONS, *, limit: int = 24, likely: bool = True
    ) -> pd.DataFrame:
        """The photos behind a number: `photo_id`, `file_name`, `day`, `person` and `class_map`, the newest first.

        With expected counts, those that meet all conditions, including the view's, with a probability of at least 0.5.

        Args:
            view: View that chooses the outfits.
            conditions: Conditions on the outfits.
            limit: Largest number of photos.
            likely: False for photos of any probability but 0, the most probable first.
        """
        view = self._resolved(view)
        chance, certain, parameters = self._chosen(view, conditions)
        order = "day DESC NULLS LAST, o" if likely else "chance DESC, o"
        found = self._ask(
            view,
            "SELECT photo_id, file_name, day, o % {people} AS person "
            "FROM (SELECT o, p, day, {chance} AS chance FROM {v} WHERE {certain} AND {chance} {least} "
            "ORDER BY {order} LIMIT {limit}) JOIN photo USING (p) ORDER BY {order}",
            parameters,
            people=_MOST_PEOPLE,
            certain=certain,
            chance=chance,
            least=f">= {LIKELY}" if likely else "> 0",
            order=order,
            limit=int(limit),
        )
        return found.merge(self.class_maps(found["photo_id"].tolist()), on="photo_id", how="left")

    def class_maps(self, photo_ids: Sequence[str]) -> pd.DataFrame:
        """Columns `photo_id` and `class_map`, a small palette PNG, of the photos with these ids."""
        with self._lock:
            return self._reader.query(
                "SELECT photo_id, class_map FROM photos WHERE photo_id IN (SELECT unnest($ids))",
                {"ids": list(photo_ids)},
            )

    def matches(
        self, view: View, conditions: Conditions = _NO_CONDITIONS, *, limit: int = 2000, likely: bool = True
    ) -> pd.DataFrame:
        """The outfits behind a number, the most probable first.

        Args:
            view: View that chooses the outfits.
            conditions: Conditions on the outfits.
            limit: Largest number of outfits.
            likely: False for outfits of any probability but 0; else of at least 0.5 with expected counts.

        Returns:
            Columns `photo_id`, `file_name`, `day`, `person`, `chance` (probability that the outfit meets all
            conditions) and `hex`, the main colour of the first garment in the conditions; null without one.
        """
        self._make_main_colours()
        view = self._resolved(view)
        chance, certain, parameters = self._chosen(view, conditions)
        names = [*conditions.worn, *(name for name, _ in conditions.coloured)]
        return self._ask(
            view,
            "SELECT photo_id, file_name, day, o % {people} AS person, chance::DOUBLE AS chance, hex "
            "FROM (SELECT o, p, day, {chance} AS chance FROM {v} WHERE {certain} AND {chance} {least} "
            "ORDER BY chance DESC, day DESC NULLS LAST, o LIMIT {limit}) JOIN photo USING (p) "
            "LEFT JOIN (SELECT p, person, any_value(hex) AS hex FROM main_colour WHERE class = $garment GROUP BY ALL) "
            "m ON m.p = photo.p AND m.person = o % {people} ORDER BY chance DESC, day DESC NULLS LAST, o",
            {**parameters, "garment": self.class_of(names[0]) if names else ""},
            people=_MOST_PEOPLE,
            certain=certain,
            chance=chance,
            least=f">= {LIKELY}" if likely else "> 0",
            limit=int(limit),
        )

    def _make_main_colours(self) -> None:
        """Fills the table `main_colour`, once."""
        with self._lock:
            self._reader.query(
                "CREATE TABLE IF NOT EXISTS main_colour AS SELECT p, person, class, name, hex FROM photo JOIN ("
                "SELECT photo_id, g.class AS class, g.person AS person, g.colours[1].name AS name, "
                "lower(g.colours[1].hex) AS hex FROM (SELECT photo_id, unnest(garments) AS g FROM photos "
                "WHERE NOT coalesce(monochrome, false))) USING (photo_id) WHERE regexp_full_match(hex, '#[0-9a-f]{6}')"
            )

    def count(self, view: View, conditions: Conditions = _NO_CONDITIONS) -> int:
        """Number of outfits that `photos` with the same arguments would find without a limit."""
        view = self._resolved(view)
        chance, certain, parameters = self._chosen(view, conditions)
        sql = f"SELECT count(*) n FROM {{v}} WHERE {certain} AND {chance} >= {LIKELY}"
        return int(self._ask(view, sql, parameters)["n"].iloc[0])

    def expected(self, view: View, conditions: Conditions = _NO_CONDITIONS) -> float:
        """Sum, over the outfits of a view, of the probability that an outfit meets the conditions."""
        view = self._resolved(view)
        chance, certain, parameters = self._chosen(view, conditions)
        sql = f"SELECT coalesce(sum({chance}), 0)::DOUBLE n FROM {{v}} WHERE {certain}"
        return float(self._ask(view, sql, parameters)["n"].iloc[0])

    def _chosen(self, view: View, asked: Conditions) -> tuple[str, str, dict[str, object]]:
        """SQL: probability that an outfit meets the conditions, conditions that are certain, and their parameters."""
        held = list(dict.fromkeys([*asked.worn, *(name for name, _ in asked.coloured)]))
        factors = [_weight(view), self._all(view, held)]
        factors += [f"(1 - {self._given(view, name, held)})" for name in asked.not_worn]
        certain = ["true", *(self._coloured([name], [colour], fine=asked.fine) for name, colour in asked.coloured)]
        parameters: dict[str, object] = {}
        if asked.period and asked.start:
            certain.append(f'(day, named) IN (SELECT (day, named) FROM calendar WHERE "{asked.period}" = $start)')
            parameters["start"] = asked.start
        return " * ".join(factors), " AND ".join(certain), parameters

    def _resolved(self, view: View) -> View:
        """The view with its way of counting, and without what that ignores."""
        view = replace(view, duplicates=view.duplicates or not self.duplicates)
        if self.counting_of(view) == "raw":
            return replace(view, counting="raw")
        return replace(view, counting="expected", min_share=0.0, min_confidence=0.0)

    def _presence(self, view: View, name: str) -> str:
        """SQL: probability that an outfit of a resolved view wears a class."""
        number = self.taxonomy[name].id
        return f"(mask >> {number} & 1)" if view.counting == "raw" else f"p_{number}"

    def _class_presence(self, view: View, name: str) -> str:
        """SQL: probability that an outfit of a resolved view wears the class of a garment."""
        if not self.division:
            return self._presence(view, name)
        parts = self.division.parts[self.class_of(name)]
        return f"least(1, {' + '.join(self._presence(view, part) for part in parts)})"

    def _both(self, view: View, first: str, second: str) -> str:
        """SQL: probability that an outfit of a resolved view wears two garments.

        With presences p and q of their classes, whose errors have the correlation r, two classes are worn with
        `p q + r sqrt(p (1 - p) q (1 - q))`, at least `p + q - 1` and at most the smaller of the two. Kinds of two
        classes have their shares of it; kinds of one class exclude each other.
        """
        own, others = self._presence(view, first), self._presence(view, second)
        one, other = self.class_of(first), self.class_of(second)
        if one == other and first != second:
            return "0"
        r = self._correlations.get((one, other), 0.0)
        if view.counting == "raw" or not r:
            return f"{own} * {others}"
        p, q = self._class_presence(view, first), self._class_presence(view, second)
        joint = f"{p} * {q} + {r!r}::FLOAT * (sqrt({p} * (1 - {p})) * sqrt({q} * (1 - {q})))"  # DuckDB roots each once
        joint = f"least({p}, {q}, {joint})" if r > 0 else f"greatest(0, {p} + {q} - 1, {joint})"
        for part, whole in ((own, p), (others, q)):
            if part != whole:
                joint = f"{joint} * ({part} / greatest({whole}, 1e-9))"
        return joint

    def _given(self, view: View, name: str, held: Sequence[str]) -> str:
        """SQL: probability that an outfit of a resolved view wears a garment, given that it wears others.

        The ratios by which each of the others changes it are multiplied.
        """
        p, whole = self._presence(view, name), self.class_of(name)
        if any(other != name and self.class_of(other) == whole for other in held):  # another kind of the class
            return "0"
        related = [other for other in held if (whole, self.class_of(other)) in self._correlations]
        if view.counting == "raw" or not related:
            return p
        ratios = [
            f"{self._both(view, name, other)} / greatest({p} * {self._presence(view, other)}, 1e-12)"
            for other in related
        ]
        return f"least(1, {' * '.join([p, *(f'({ratio})' for ratio in ratios)])})"

    def _all(self, view: View, names: Sequence[str]) -> str:
        """SQL: probability that an outfit of a resolved view wears all of some classes."""
        return " * ".join(self._given(view, name, names[:place]) for place, name in enumerate(names)) or "1"

    def _garment(self, view: View) -> str:
        """SQL: probability that a garment `g` of an outfit of a resolved view is worn, and the outfit fits the view."""
        if view.counting == "raw":
            return "1"
        if view.garments:
            held = ", ".join(str(self.taxonomy[name].id) for name in view.garments)
            return f"weight * CASE WHEN g.class IN ({held}) THEN 1 ELSE g.presence END"
        if view.colours:
            return f"CASE WHEN g.colour IN ({_colour_ids(view.colours)}) THEN g.presence ELSE weight * g.presence END"
        return "g.presence"

    def _ask(
        self, view: View, sql: str, parameters: Mapping[str, object] | None = None, **parts: object
    ) -> pd.DataFrame:
        """Runs a query in which `{v}` is the table of the view.

        Its columns are `_VIEW_COLUMNS`, with expected counts `p_<class id>`, and with a filter on garments or colours
        `weight`.
        """
        view = self._resolved(view)
        with self._lock:
            return self._reader.query(sql.format(v=self._table(view), **parts), parameters or {})

    def _table(self, view: View) -> str:
        """The table of a resolved view, created if it is not among the latest ones."""
        if view == View(counting=view.counting, duplicates=True) and not (self.division and view.counting == "raw"):
            return "outfit"
        if view in self._views:
            self._views.move_to_end(view)
            return self._views[view][0]
        while self._views and (
            len(self._views) >= _KEPT_VIEWS
            or self._outfits + sum(size for _, size in self._views.values()) > _KEPT_OUTFITS
        ):
            self._reader.query(f"DROP TABLE {self._views.popitem(last=False)[1][0]}")
        self._tables += 1
        table = f"view_{self._tables}"
        make = self._expected_table if view.counting == "expected" else self._raw_table
        sql, parameters = make(view)
        self._reader.query(f"CREATE TABLE {table} AS {sql}", parameters)
        outfits = int(self._reader.query(f"SELECT count(*) AS n FROM {table}")["n"].iloc[0])
        self._views[view] = table, outfits
        return table

    def _raw_table(self, view: View) -> tuple[str, dict[str, object]]:
        """Query of the outfits of a view, and its parameters."""
        held = sum(1 << self.taxonomy[name].id for name in view.garments)
        conditions, parameters = self._conditions(view)
        conditions.append(f"mask & {held} = {held}")
        if view.colours:
            conditions.append(self._coloured(view.garments, view.colours))
        source = "outfit"
        if self.division:
            source = "(SELECT * REPLACE ([g FOR g IN worn IF g.certain] AS worn) FROM outfit)"
        if view.min_share > 0 or view.min_confidence > 0:
            large = "[g FOR g IN worn IF g.share >= $share AND g.confidence >= $confidence]"
            mask = "coalesce(list_bit_or([1::BIGINT << g.class FOR g IN worn]), 0)"
            source = f"(SELECT * REPLACE ({mask} AS mask) FROM (SELECT * REPLACE ({large} AS worn) FROM {source}))"
            parameters |= {"share": view.min_share, "confidence": view.min_confidence}
        return f"SELECT {_VIEW_COLUMNS} FROM {source} WHERE {' AND '.join(conditions)}", parameters

    def _expected_table(self, view: View) -> tuple[str, dict[str, object]]:
        """Query of the outfits of a view with their weights, and its parameters.

        In it, the probabilities are those given that the outfit fits the view: 1 for the garments of the filter. With
        a filter on colours alone, an outfit fits if any of the garments found in these colours is worn; the
        probability of each of them grows by the same factor, which ignores that they then depend on each other.
        """
        conditions, parameters = self._conditions(view)
        presence = {garment.id: f"p_{garment.id}" for garment in self.taxonomy.worn}
        weight, source = "", "outfit"
        if view.garments:
            held = [self.taxonomy[name].id for name in view.garments]
            weight = self._all(view, view.garments)
            presence |= {
                garment.id: f"({self._given(view, garment.name, view.garments)})::FLOAT AS p_{garment.id}"
                for garment in self.taxonomy.worn
            }
            presence |= {number: f"1::FLOAT AS p_{number}" for number in held}
            if view.colours:
                conditions.append(self._coloured(view.garments, view.colours))
        elif view.colours:
            found = f"[1::BIGINT << g.class FOR g IN worn IF g.colour IN ({_colour_ids(view.colours)})]"
            fitting: dict[str, list[str]] = {}
            for number in presence:
                name = self.class_of(self.taxonomy.names[number])
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
        columns = {key: f"tag_{place}" for place, key in enumerate(self.tags)}
        for key, values in view.tags:
            if key not in columns:
                conditions.append("false")
                continue
            conditions.append(f"{columns[key]} IN (SELECT unnest(${columns[key]}))")
            parameters[columns[key]] = list(values)
        return conditions, parameters

    def _coloured(self, names: Sequence[str], colours: Sequence[str], *, fine: bool = False) -> str:
        """SQL condition: an outfit has a garment of one of the colours, and of one of the classes if any are given."""
        condition = f"g.colour IN ({_colour_ids(colours, fine=fine)})"
        if names:
            condition += f" AND g.class IN ({', '.join(str(self.taxonomy[name].id) for name in names)})"
        return f"len([1 FOR g IN worn IF {condition}]) > 0"

    def _load(
        self, progress: Callable[[str], None], southern: Sequence[tuple[str, str]]
    ) -> tuple[dict[str, list[str]], tuple[tuple[str, str], ...]]:
        """Fills the tables `photo`, `outfit`, `colour` and `calendar`.

        Returns:
            Values by tag, and the pairs of `southern` that photos have.
        """
        run = self._reader.query
        colours = ", ".join(f"({number}, '{fine}', '{basic}')" for number, (fine, basic) in enumerate(_FINE))
        run(f"CREATE OR REPLACE TABLE colour AS FROM (VALUES {colours}) colour(id, fine, basic)")
        progress("Reading photos and their garments.")
        self._stage(southern)
        found = run(
            "SELECT key, value, count(*) n FROM (SELECT unnest(map_entries(tags), recursive := true) FROM staged) "
            "GROUP BY ALL ORDER BY n DESC, value"
        )
        tags = {str(key): list(map(str, rows["value"])) for key, rows in found.groupby("key", sort=False)}
        tags = {key: tags[key] for key in list(tags)[:_MOST_TAGS]}
        there = {(str(key), str(value)) for key, value in zip(found["key"], found["value"], strict=True)}
        row = run(
            "SELECT coalesce(sum(len(outfits)), 0)::BIGINT outfits, "
            "coalesce(sum(len(outfits)) FILTER (presence IS NULL), 0)::BIGINT lacking FROM staged"
        ).iloc[0]
        self._outfits, self.lacking = int(row.outfits), int(row.lacking)
        self.has_presence = self.lacking < self._outfits
        progress("Reading outfits.")
        run("CREATE OR REPLACE TABLE photo AS SELECT p, photo_id, file_name FROM staged")
        for column in ("photo_id", "file_name"):  # their memory is needed for the outfits
            run(f"ALTER TABLE staged DROP {column}")
        self._make_outfits(list(tags))
        days = "(SELECT DISTINCT day, named FROM outfit)"
        run(f"CREATE OR REPLACE TABLE calendar AS SELECT day, named, {_CALENDAR} FROM {days}")
        run("DROP TABLE staged")
        return tags, tuple(pair for pair in dict.fromkeys(southern) if pair in there)

    def _stage(self, southern: Sequence[tuple[str, str]]) -> None:
        """Fills the table `staged`: a row for each photo, its garments with numbers in place of names.

        With kinds, each garment has the list of the probabilities of its kinds, and the place of the certain one.
        """
        names = _texts(self.whole.names)
        fine = ", ".join(f"'{name}'" for name, _ in _FINE)
        precisions = ", ".join(f"'{each}'" for each in PRECISIONS)
        named = f"list_position([{precisions}], coalesce(date_precision, 'day')) - 1"
        kinds = ""
        if self.division and self.division.kinds:
            chances, certain = "", ""
            for name, own in self.division.kinds.items():
                when = f" WHEN {_text(name)} THEN"
                found = ", ".join(f"coalesce(kinds[i].probabilities[{_text(kind)}], 0)" for kind in own)
                chances += f"{when} CASE WHEN kinds[i] IS NOT NULL THEN [{found}] END"
                certain += f"{when} list_position([{_texts(own)}], kinds[i].name)"
            kinds = f", 'kinds': CASE g.class{chances} END, 'kind': (CASE g.class{certain} END)::UTINYINT"
        self._reader.query(
            "CREATE OR REPLACE TABLE staged AS SELECT (row_number() OVER ())::BIGINT AS p, photo_id, file_name, "
            f"taken_at::DATE AS day, ({named})::UTINYINT AS named, "
            f"{_south(southern)} AS south, {_tagged(self._shows)} AS tags, outfits, presence, "
            f"[{{'class': (list_position([{names}], g.class) - 1)::UTINYINT, "
            "'person': g.person, 'share': g.outfit_share, 'confidence': g.confidence, "
            "'colour': CASE WHEN monochrome THEN NULL "
            f"ELSE (list_position([{fine}], g.colours[1].name) - 1)::UTINYINT END{kinds}}} "
            "FOR g, i IN garments] AS garments, "
            "coalesce(monochrome, false) AS monochrome, "
            "photo_id IN (SELECT photo_id FROM duplicate) AS duplicate FROM photos"
        )

    def _make_outfits(self, tags: Sequence[str]) -> None:
        """Fills the table `outfit` from `staged`.

        Args:
            tags: Tags that become columns.
        """
        worn = sum(1 << garment.id for garment in self.whole.worn)
        numbers = [garment.id for garment in self.whole.worn]
        chosen = "".join(f", tags[{_text(key)}] AS tag_{number}" for number, key in enumerate(tags))
        shown, presences = "", ""
        if self.has_presence:
            shown = f", 'presence': coalesce(shown[list_position({numbers}, g.class)], 1)"
            presences = "".join(
                f", coalesce(shown[{place}], (mask >> {number} & 1)::FLOAT) AS p_{number}"
                for place, number in enumerate(numbers, 1)
            )
        kinds = ", 'kinds': g.kinds, 'kind': g.kind" if self.division and self.division.kinds else ""
        sql = (
            "SELECT p * {people} + person AS o, p, day, named, south, "
            f"mask & {worn} AS mask, len(outfits) = 1 AS alone, monochrome, duplicate, "
            f"[{{'class': g.class, 'share': g.share, 'confidence': g.confidence, 'colour': g.colour{shown}{kinds}}} "
            f"FOR g IN garments IF g.person = person AND (1::BIGINT << g.class) & {worn} != 0] AS worn"
            f"{presences}{chosen} FROM "
            f"(SELECT *, unnest(outfits) AS mask, list_transform(unnest(presence), {_PROBABILITY}) AS shown, "
            "generate_subscripts(outfits, 1) - 1 AS person FROM staged)"
        ).replace("{people}", str(_MOST_PEOPLE))
        if self.division:
            sql = self._divided_outfits(sql, [f"tag_{number}" for number in range(len(tags))])
        self._reader.query(f"CREATE OR REPLACE TABLE outfit AS {sql}")

    def _divided_outfits(self, outfits: str, tags: Sequence[str]) -> str:
        """SQL: outfits with kinds in place of classes.

        Args:
            outfits: SQL of the outfits with classes.
            tags: Columns of tags.
        """
        division = self.division
        assert division is not None
        ids = {name: [self.taxonomy[part].id for part in parts] for name, parts in division.parts.items()}
        presences = []
        for garment in self.whole.worn if self.has_presence else ():
            *kinds, rest = ids[garment.name]
            p, chances = f"p_{garment.id}", f"[g.kinds FOR g IN worn IF g.class = {garment.id}][1]"
            if not kinds:
                presences.append(f"{p} AS p_{rest}")
                continue
            presences += [
                f"({p} * coalesce({chances}[{place}], 0))::FLOAT AS p_{number}" for place, number in enumerate(kinds, 1)
            ]
            presences.append(f"CASE WHEN {chances} IS NULL THEN {p} ELSE 0 END AS p_{rest}")
        first, count = ([places[0] for places in ids.values()], [len(places) for places in ids.values()])
        place = f"(part - {first}[g.class + 1] + 1)"
        likely, certain = "g.presence", "true"
        if division.kinds:
            last = f"{count}[g.class + 1]"
            chance = (
                f"CASE WHEN g.kinds IS NULL THEN ({place} = {last})::INTEGER ELSE coalesce(g.kinds[{place}], 0) END"
            )
            likely, certain = f"g.presence * ({chance})", f"{place} = coalesce(g.kind, {last})"
        shown = f", 'presence': ({likely})::FLOAT" if self.has_presence else ""
        part = (
            f"{{'class': part::UTINYINT, 'share': g.share, 'confidence': g.confidence, 'colour': g.colour{shown}, "
            f"'certain': {certain}}}"
        )
        start = f"{first}[g.class + 1]"
        worn = f"flatten([[{part} FOR part IN range({start}, {start} + {count}[g.class + 1])] FOR g IN worn])"
        columns = [
            "o, p, day, named, south",
            "coalesce(list_bit_or([1::BIGINT << g.class FOR g IN parts IF g.certain]), 0) AS mask",
        ]
        columns += ["alone, monochrome, duplicate, parts AS worn", *presences, *tags]
        return f"SELECT {', '.join(columns)} FROM (SELECT *, {worn} AS parts FROM ({outfits}))"


def _divided(period: Period) -> str:
    """SQL: a join with the periods of the days, without dates that name more than a period."""
    return f'JOIN (FROM calendar WHERE "{period}" IS NOT NULL) USING (day, named)'


def _text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def _texts(values: Sequence[str]) -> str:
    """Texts in SQL, for a list."""
    return ", ".join(map(_text, values))


def _tagged(shows: Sequence[Show]) -> str:
    """SQL: the tags of a photo with that of the show on whose days it was taken; of two, the one that began later."""
    if not shows:
        return "tags"
    cases = " ".join(
        f"WHEN taken_at::DATE BETWEEN '{show.first}' AND '{show.last}' "
        f"THEN map_concat(MAP {{'{TAG}': {_text(show.name)}}}, tags)"
        for show in reversed(shows)
    )
    return f"CASE WHEN coalesce(date_precision, 'day') != 'day' THEN tags {cases} ELSE tags END"


def _south(southern: Sequence[tuple[str, str]]) -> str:
    """SQL condition: a photo has one of the tags."""
    parts = [[text.replace("'", "''") for text in pair] for pair in southern]
    return " OR ".join(f"coalesce(tags['{key}'] = '{value}', false)" for key, value in parts) or "false"


def _weight(view: View) -> str:
    """SQL: probability that an outfit in the table of a resolved view fits it."""
    return "weight" if view.counting == "expected" and (view.garments or view.colours) else "1"


def _sum(view: View, value: str, *, weighted: bool = True) -> str:
    """SQL: sum over the outfits of a resolved view; whole with raw counts.

    Args:
        view: View that chooses the outfits.
        value: SQL of what is added up.
        weighted: Whether each is multiplied by the weight of the outfit.
    """
    factor = _weight(view) if weighted else "1"
    product = value if factor == "1" else factor if value == "1" else f"{factor} * {value}"
    return f"coalesce(sum({product}), 0)::{'BIGINT' if view.counting == 'raw' else 'DOUBLE'}"


def _colour_ids(colours: Sequence[str], *, fine: bool = False) -> str:
    """Ids of the main colours with these basic or fine names, for an SQL list; a name that is both is the fine one."""
    asked = {number for number, each in enumerate(_FINE) if set(each[: 1 if fine else 2]) & set(colours)}
    return ", ".join(map(str, sorted(asked))) or "NULL"
