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
such probability, as shoes without a wearer or a row from before the model had kinds. Raw counts are of the kinds that
are named, and of garments whose kind is not. A garment lies in the list once for each kind that it may be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from segmodels.archive.chances import Chances, weight_of
from segmodels.archive.conditions import NO_CONDITIONS, Conditions, Size, View
from segmodels.archive.counts import Counting, Counts, add_up
from segmodels.archive.division import divide, kinds_there
from segmodels.archive.duplicates import load_duplicates
from segmodels.archive.outfit_tables import MOST_PEOPLE, OutfitTables, text
from segmodels.archive.periods import PERIODS, Hemispheres, Period
from segmodels.archive.reader import Reader
from segmodels.archive.shows import Show
from segmodels.archive.view_queries import ViewQueries
from segmodels.inference.presence import LIKELY
from segmodels.taxonomy import Taxonomy

__all__ = ["PERIODS", "Conditions", "Facts", "Hemispheres", "Period", "Size", "View"]

_BLOCK = 1024  # outfits that are added up at once: their products fit the processor's cache
_BLOCK_OF_KINDS = 16384  # the same, with fewer calls


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
        self.duplicates = load_duplicates(reader, progress)
        """Number of photos that are near-duplicates of one that counts; None if they were never looked for."""
        filled = OutfitTables(reader, taxonomy, self.division, southern, shows).fill(progress)
        self.tags = filled.tags
        """Values by tag, the most frequent first."""
        self.southern = filled.southern
        """The pairs of `southern` that photos have."""
        self.lacking = filled.lacking
        """Number of outfits without a presence, which count as what was found."""
        self.has_presence = filled.lacking < filled.outfits
        """Whether any outfit has a presence, so that there are expected counts."""
        self._chances = Chances(self.taxonomy, self.division, self._correlations)
        self._views = ViewQueries(reader, self.taxonomy, self.division, self._chances, list(self.tags))

    def class_of(self, name: str) -> str:
        """Class of a garment of `taxonomy`: its own name, unless it is a kind."""
        return self._chances.class_of(name)

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
        weight = weight_of(view)
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
        sql = f"SELECT count(DISTINCT p) n FROM {{v}} WHERE monochrome AND {weight_of(view)} >= {LIKELY}"
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
        shown = ", ".join(self._chances.presence(view, name) for name in names)
        raw = view.counting == "raw"
        sql = f"SELECT {weight_of(view)}, {shown} FROM {{v}}"
        if raw:
            sql = f"SELECT n, {shown} FROM (SELECT mask, count(*) AS n FROM {{v}} GROUP BY mask)"
        wholes = [self.class_of(name) for name in names]
        correlations = None
        if self._correlations and not raw:
            correlations = np.array([[self._correlations.get((a, b), 0.0) for b in wholes] for a in wholes])
        block = _BLOCK_OF_KINDS if self.division else _BLOCK

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            source, parameters = self._views.source(view)
            for batch in self._reader.batches(sql.format(v=source), block, parameters):
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
        sums = ", ".join(
            f"{_sum(view, self._chances.presence(view, name))} AS s_{place}" for place, name in enumerate(names)
        )
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
        one, other = (self._chances.presence(view, name) for name in (first, second))
        both = self._chances.both(view, first, second)
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
            f"FROM (SELECT g, {self._chances.garment(view)} AS w FROM "
            f"(SELECT {weight_of(view)} AS weight, unnest(worn) AS g FROM {{v}})) GROUP BY ALL ORDER BY ALL",
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
            f"{_sum(view, self._chances.garment(view), weighted=False)} AS garments "
            f"FROM (SELECT day, named, {weight_of(view)} AS weight, unnest(worn) AS g FROM {{v}}) {calendar}"
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
            f"WHEN {text(each.name)} THEN {self._chances.class_presence(view, first.get(each.name, each.name))}"
            for each in self.whole.worn
        )
        product = f"{weight_of(view)} * CASE m.class {presence} END"
        return self._ask(
            view,
            f"SELECT m.class AS class, m.name AS name, m.hex AS hex, {_sum(view, product, weighted=False)} AS garments "
            "FROM {v} JOIN main_colour m USING (p) WHERE m.person = o % {people} "
            "GROUP BY ALL HAVING garments > 0 ORDER BY ALL",
            people=MOST_PEOPLE,
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
        product = f"{weight_of(view)} * {self._chances.both(view, first, second)}"
        return self._ask(
            view,
            f"SELECT c.{name} AS first, d.{name} AS second, {_sum(view, 'w', weighted=False)} AS outfits FROM "
            f"(SELECT [g.colour FOR g IN worn IF g.class = {one}][1] AS one, {product} AS w, "
            f"[g.colour FOR g IN worn IF g.class = {other}][1] AS other FROM {{v}} WHERE {found}) "
            "JOIN colour c ON c.id = one JOIN colour d ON d.id = other GROUP BY ALL ORDER BY ALL",
        )

    def photos(
        self, view: View, conditions: Conditions = NO_CONDITIONS, *, limit: int = 24, likely: bool = True
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
            people=MOST_PEOPLE,
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
        self, view: View, conditions: Conditions = NO_CONDITIONS, *, limit: int = 2000, likely: bool = True
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
            people=MOST_PEOPLE,
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

    def count(self, view: View, conditions: Conditions = NO_CONDITIONS) -> int:
        """Number of outfits that `photos` with the same arguments would find without a limit."""
        view = self._resolved(view)
        chance, certain, parameters = self._chosen(view, conditions)
        sql = f"SELECT count(*) n FROM {{v}} WHERE {certain} AND {chance} >= {LIKELY}"
        return int(self._ask(view, sql, parameters)["n"].iloc[0])

    def expected(self, view: View, conditions: Conditions = NO_CONDITIONS) -> float:
        """Sum, over the outfits of a view, of the probability that an outfit meets the conditions."""
        view = self._resolved(view)
        chance, certain, parameters = self._chosen(view, conditions)
        sql = f"SELECT coalesce(sum({chance}), 0)::DOUBLE n FROM {{v}} WHERE {certain}"
        return float(self._ask(view, sql, parameters)["n"].iloc[0])

    def _chosen(self, view: View, asked: Conditions) -> tuple[str, str, dict[str, object]]:
        """SQL: probability that an outfit meets the conditions, conditions that are certain, and their parameters."""
        held = list(dict.fromkeys([*asked.worn, *(name for name, _ in asked.coloured)]))
        factors = [weight_of(view), self._chances.all_of(view, held)]
        factors += [f"(1 - {self._chances.given(view, name, held)})" for name in asked.not_worn]
        certain = [
            "true",
            *(self._chances.coloured([name], [colour], fine=asked.fine) for name, colour in asked.coloured),
        ]
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

    def _ask(
        self, view: View, sql: str, parameters: Mapping[str, object] | None = None, **parts: object
    ) -> pd.DataFrame:
        """Runs a query in which `{v}` are the outfits of the view: see `ViewQueries.source`."""
        view = self._resolved(view)
        with self._lock:
            source, own = self._views.source(view)
            return self._reader.query(sql.format(v=source, **parts), {**(parameters or {}), **own})


def _divided(period: Period) -> str:
    """SQL: a join with the periods of the days, without dates that name more than a period."""
    return f'JOIN (FROM calendar WHERE "{period}" IS NOT NULL) USING (day, named)'


def _sum(view: View, value: str, *, weighted: bool = True) -> str:
    """SQL: sum over the outfits of a resolved view; whole with raw counts.

    Args:
        view: View that chooses the outfits.
        value: SQL of what is added up.
        weighted: Whether each is multiplied by the weight of the outfit.
    """
    factor = weight_of(view) if weighted else "1"
    product = value if factor == "1" else factor if value == "1" else f"{factor} * {value}"
    return f"coalesce(sum({product}), 0)::{'BIGINT' if view.counting == 'raw' else 'DOUBLE'}"
