"""The tables that `Facts` counts, filled once from the rows of an archive.

- `photo`: `p`, the number of the photo, with `photo_id` and `file_name`.
- `outfit`: `o`, which is `p * MOST_PEOPLE` and the number of the person, and `p`; of the photo `day`, `named` (what its
  date names), `south`, `monochrome`, `duplicate`, `alone` (whether it shows one person) and tags, `tag_<place>`; of the
  outfit `mask` (bit i says whether class i was found), `worn` (the garments found) and presences, `p_<class id>`.
- `colour`: `id` of each main colour, with its `fine` and its `basic` name.
- `calendar`: `day` and `named` with the first day of each period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segmodels.archive.dates import PRECISIONS
from segmodels.archive.division import Division
from segmodels.archive.periods import CALENDAR
from segmodels.archive.reader import Reader
from segmodels.archive.shows import TAG, Show
from segmodels.colour import FINE_COLOURS
from segmodels.taxonomy import Taxonomy

__all__ = ["MOST_PEOPLE", "Filled", "OutfitTables", "colour_ids", "text"]

MOST_PEOPLE = 64
"""People per photo that the number of an outfit can hold."""

_MOST_TAGS = 50  # keys that can be filtered by
_PROBABILITY = (
    "lambda q: CASE WHEN q BETWEEN 0 AND 1 THEN q END"  # NaN is above 1 in DuckDB; null counts as found or not
)
_FINE = [(name, basic) for basic, names in FINE_COLOURS.items() for name in names]


@dataclass(frozen=True)
class Filled:
    """What the tables hold.

    Args:
        tags: Values by tag, the most frequent first; the place of a tag is the number of its column.
        southern: Tags of the southern hemisphere that photos have, with their values.
        outfits: Number of outfits.
        lacking: Number of outfits without a presence.
    """

    tags: dict[str, list[str]]
    southern: tuple[tuple[str, str], ...]
    outfits: int
    lacking: int


class OutfitTables:
    """Fills the tables of a reader.

    Args:
        reader: Reader of the rows.
        whole: Taxonomy of the rows.
        division: Kinds that are counted; None where classes are.
        southern: Pairs of a tag and a value; photos with one of them are of the southern hemisphere.
        shows: Weeks of shows, by which photos without a tag `show` get one.
    """

    def __init__(
        self,
        reader: Reader,
        whole: Taxonomy,
        division: Division | None,
        southern: Sequence[tuple[str, str]],
        shows: Sequence[Show],
    ) -> None:
        self._run = reader.query
        self._whole = whole
        self._division = division
        self._southern = southern
        self._shows = sorted(shows)

    def fill(self, progress: Callable[[str], None]) -> Filled:
        """Fills all tables.

        Args:
            progress: Function that is called with a sentence before each long step.
        """
        run = self._run
        colours = ", ".join(f"({number}, '{fine}', '{basic}')" for number, (fine, basic) in enumerate(_FINE))
        run(f"CREATE OR REPLACE TABLE colour AS FROM (VALUES {colours}) colour(id, fine, basic)")
        progress("Reading photos and their garments.")
        self._stage()
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
        outfits, lacking = int(row.outfits), int(row.lacking)
        progress("Reading outfits.")
        run("CREATE OR REPLACE TABLE photo AS SELECT p, photo_id, file_name FROM staged")
        for column in ("photo_id", "file_name"):  # their memory is needed for the outfits
            run(f"ALTER TABLE staged DROP {column}")
        sql = self._outfits(list(tags), presence=lacking < outfits)
        run(f"CREATE OR REPLACE TABLE outfit AS {sql}")
        days = "(SELECT DISTINCT day, named FROM outfit)"
        run(f"CREATE OR REPLACE TABLE calendar AS SELECT day, named, {CALENDAR} FROM {days}")
        run("DROP TABLE staged")
        southern = tuple(pair for pair in dict.fromkeys(self._southern) if pair in there)
        return Filled(tags, southern, outfits, lacking)

    def _stage(self) -> None:
        """Fills the table `staged`: a row for each photo, its garments with numbers in place of names.

        With kinds, each garment has the list of the probabilities of its kinds, and the place of the certain one.
        """
        names = _texts(self._whole.names)
        fine = ", ".join(f"'{name}'" for name, _ in _FINE)
        precisions = ", ".join(f"'{each}'" for each in PRECISIONS)
        named = f"list_position([{precisions}], coalesce(date_precision, 'day')) - 1"
        kinds = ""
        if self._division and self._division.kinds:
            chances, certain = "", ""
            for name, own in self._division.kinds.items():
                when = f" WHEN {text(name)} THEN"
                found = ", ".join(f"coalesce(kinds[i].probabilities[{text(kind)}], 0)" for kind in own)
                chances += f"{when} CASE WHEN kinds[i] IS NOT NULL THEN [{found}] END"
                certain += f"{when} list_position([{_texts(own)}], kinds[i].name)"
            kinds = f", 'kinds': CASE g.class{chances} END, 'kind': (CASE g.class{certain} END)::UTINYINT"
        self._run(
            "CREATE OR REPLACE TABLE staged AS SELECT (row_number() OVER ())::BIGINT AS p, photo_id, file_name, "
            f"taken_at::DATE AS day, ({named})::UTINYINT AS named, "
            f"{_south(self._southern)} AS south, {_tagged(self._shows)} AS tags, outfits, presence, "
            f"[{{'class': (list_position([{names}], g.class) - 1)::UTINYINT, "
            "'person': g.person, 'share': g.outfit_share, 'confidence': g.confidence, "
            "'colour': CASE WHEN monochrome THEN NULL "
            f"ELSE (list_position([{fine}], g.colours[1].name) - 1)::UTINYINT END{kinds}}} "
            "FOR g, i IN garments] AS garments, "
            "coalesce(monochrome, false) AS monochrome, "
            "photo_id IN (SELECT photo_id FROM duplicate) AS duplicate FROM photos"
        )

    def _outfits(self, tags: Sequence[str], *, presence: bool) -> str:
        """SQL: the rows of `outfit`, from `staged`.

        Args:
            tags: Tags that become columns.
            presence: Whether any outfit has a presence.
        """
        worn = sum(1 << garment.id for garment in self._whole.worn)
        numbers = [garment.id for garment in self._whole.worn]
        chosen = "".join(f", tags[{text(key)}] AS tag_{number}" for number, key in enumerate(tags))
        shown, presences = "", ""
        if presence:
            shown = f", 'presence': coalesce(shown[list_position({numbers}, g.class)], 1)"
            presences = "".join(
                f", coalesce(shown[{place}], (mask >> {number} & 1)::FLOAT) AS p_{number}"
                for place, number in enumerate(numbers, 1)
            )
        kinds = ", 'kinds': g.kinds, 'kind': g.kind" if self._division and self._division.kinds else ""
        sql = (
            f"SELECT p * {MOST_PEOPLE} + person AS o, p, day, named, south, "
            f"mask & {worn} AS mask, len(outfits) = 1 AS alone, monochrome, duplicate, "
            f"[{{'class': g.class, 'share': g.share, 'confidence': g.confidence, 'colour': g.colour{shown}{kinds}}} "
            f"FOR g IN garments IF g.person = person AND (1::BIGINT << g.class) & {worn} != 0] AS worn"
            f"{presences}{chosen} FROM "
            f"(SELECT *, unnest(outfits) AS mask, list_transform(unnest(presence), {_PROBABILITY}) AS shown, "
            "generate_subscripts(outfits, 1) - 1 AS person FROM staged)"
        )
        if not self._division:
            return sql
        columns = [f"tag_{number}" for number in range(len(tags))]
        return self._divided(sql, self._division, columns, presence=presence)

    def _divided(self, outfits: str, division: Division, tags: Sequence[str], *, presence: bool) -> str:
        """SQL: outfits with kinds in place of classes.

        Args:
            outfits: SQL of the outfits with classes.
            division: Kinds that are counted.
            tags: Columns of tags.
            presence: Whether any outfit has a presence.
        """
        ids = {name: [division.taxonomy[part].id for part in parts] for name, parts in division.parts.items()}
        presences = []
        for garment in self._whole.worn if presence else ():
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
        shown = f", 'presence': ({likely})::FLOAT" if presence else ""
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


def colour_ids(colours: Sequence[str], *, fine: bool = False) -> str:
    """Ids of main colours, for an SQL list.

    Args:
        colours: Basic or fine names of colours.
        fine: Whether a name that is both is the fine colour alone.
    """
    asked = {number for number, each in enumerate(_FINE) if set(each[: 1 if fine else 2]) & set(colours)}
    return ", ".join(map(str, sorted(asked))) or "NULL"


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def _texts(values: Sequence[str]) -> str:
    """Texts in SQL, for a list."""
    return ", ".join(map(text, values))


def _tagged(shows: Sequence[Show]) -> str:
    """SQL: the tags of a photo with that of the show on whose days it was taken; of two, the one that began later."""
    if not shows:
        return "tags"
    cases = " ".join(
        f"WHEN taken_at::DATE BETWEEN '{show.first}' AND '{show.last}' "
        f"THEN map_concat(MAP {{'{TAG}': {text(show.name)}}}, tags)"
        for show in reversed(shows)
    )
    return f"CASE WHEN coalesce(date_precision, 'day') != 'day' THEN tags {cases} ELSE tags END"


def _south(southern: Sequence[tuple[str, str]]) -> str:
    """SQL condition: a photo has one of the tags."""
    return " OR ".join(f"coalesce(tags[{text(key)}] = {text(value)}, false)" for key, value in southern) or "false"
