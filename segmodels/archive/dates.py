"""Dates as archives write them: days in many orders, weeks, months, quarters, fashion seasons, years, serial numbers.

A date that is no day has a precision, and stands at the first day of what it names: `SS24` at 1 March 2024. Fashion
seasons are those of `segmodels.archive.facts.PERIODS`, by the calendar of the northern hemisphere.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from segmodels.sentences import listed

__all__ = [
    "EARLIEST",
    "EARLIEST_TAKEN",
    "PRECISIONS",
    "Dates",
    "Precision",
    "Taken",
    "implausible",
    "is_season",
    "read_dates",
]

Precision = Literal["day", "week", "month", "quarter", "fashion season", "half-year", "year"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""What a date can name, the finest first; a time of day counts as `day`."""

EARLIEST = datetime(1700, 1, 1)
"""Earliest date that a table may give."""

EARLIEST_TAKEN = datetime(1900, 1, 1)
"""Earliest date that a camera or a scanner may give; older ones come from clocks that were never set."""

_AHEAD = timedelta(hours=26)  # most hours that a local time may be ahead of ours, with a margin
_YEARS_AHEAD = 10  # within which a year of two digits lies in the future
_SEASON_AHEAD = timedelta(days=366)  # most that the collection of a season is photographed before the season
_SHOWN = 3
_FORMS = "Write dates as 2024-03-31, 2024-03, 2024-Q1, SS24 or 2024."

_TIME = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([AaPp])\.?\s?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_DASHES = re.compile("[\u2010-\u2015\u2212]")  # of word processors and of typesetters
_SPLIT = re.compile(r"(.+?)(?:[ T,]+|(?<=\d{8})_)(\d{1,2}:\d{2}.*)")
_SPACED = re.compile(r"(\d{1,4})\s?([./-])\s?(\d{1,2})\s?\2\s?(\d{1,4})\.?(?=\s|$)")  # 31. 3. 2024, 2024. 03. 31.
_SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})")
_YEAR_FIRST = re.compile(r"(\d{4})([-:/.])(\d{1,2})\2(\d{1,2})")
_CHARACTERS = re.compile(r"(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월](?:\s*(\d{1,2})\s*[日일])?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:[_T ](\d{2})(\d{2})(\d{2}))?")
_MONTHS = tuple("january february march april may june july august september october november december".split())
_NAMED = re.compile(
    r"(?:(\d{1,2})[\s./-]+)?([A-Za-z]{3,9})\.?[\s./-]*(?:(\d{1,2})(?:st|nd|rd|th)?,?\s+)?'?(\d{4}|\d{2})"
)
_MONTH = re.compile(r"(\d{4})[-/.](\d{1,2})|(\d{1,2})[/.-](\d{4})")
_WEEK = re.compile(r"(\d{4})-?W(\d{2})", re.IGNORECASE)
_PART = re.compile(
    r"(?P<year>\d{4})[-/ ]?(?P<kind>[QH])(?P<number>[1-4])"
    r"|(?P<kind2>[QH])(?P<number2>[1-4])[-/ ]?'?(?P<year2>\d{4}|\d{2})",
    re.IGNORECASE,
)
_SPRING, _AUTUMN = (
    r"s\s?/?\s?s|spring(?:[\s/-]*summer)?|summer",
    r"[fa]\s?/?\s?w|(?:fall|autumn)(?:[\s/-]*winter)?|winter",
)
_SEASON = re.compile(
    rf"(?:(?P<spring>{_SPRING})|(?P<autumn>{_AUTUMN}))[\s-]*'?(?P<year>\d{{4}}|\d{{2}})(?:[/-](?:\d{{4}}|\d{{2}}))?"
    rf"|(?P<year2>\d{{4}})(?:[/-]\d{{2,4}})?[\s-]*(?:(?P<spring2>{_SPRING})|(?P<autumn2>{_AUTUMN}))",
    re.IGNORECASE,
)
_SERIAL = re.compile(r"([1-9]\d{4})(?:[.,](\d+))?")
_SERIAL_START = datetime(1899, 12, 30)  # day 0 of spreadsheets, right from 1 March 1900 on
_SECONDS, _MILLISECONDS = re.compile(r"\d{10}"), re.compile(r"\d{13}")


class Taken(NamedTuple):
    """When a photo was taken: the first moment of what is known, by the clock of the place, and how much is known."""

    at: datetime
    precision: Precision = "day"


@dataclass
class Dates:
    """A column of dates.

    Args:
        taken: What each text means; None where there is none, or it is implausible.
        notes: A sentence for each kind of text that was not used, or needs to be known.
        ambiguous: Texts that may have the day or the month first; without a choice they have no date.
        mixed: One text that can only have the day first and one that can only have the month first, where both occur.
    """

    taken: list[Taken | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)


def is_season(text: str) -> bool:
    """Whether a text names a fashion season, such as `SS24`."""
    return bool(_SEASON.fullmatch(text.strip()))


def read_dates(texts: Sequence[str], name: str, *, day_first: bool | None = None, now: datetime | None = None) -> Dates:
    """Reads a column of dates.

    Whether `03/04/2024` has the day or the month first is decided from the others of the column: one of them has a
    number above 12 in that place. Where none has, or some have it here and some there, these have no date unless the
    caller decides; where some have it here and some there, a note says so.

    Args:
        texts: Cells of the column.
        name: Name of the file, for messages.
        day_first: Order in which day and month are written; None to decide from the column.
        now: Time after which a date is implausible; the current time if left out.
    """
    now = now or datetime.now()
    plain = [_plain(text) for text in texts]
    slashed = [match for text in plain if (match := _SLASHED.fullmatch(_day_part(text)))]
    # A year that is still to come cannot be one, and a day is at most 31: then the year is first, as in 24-03-31.
    short = [match for match in slashed if len(match[4]) == 2]
    could = [match for match in short if _year_first(match, now)]
    years_first = any(_year(match[4], now) > now.year + 1 or int(match[1]) > 31 for match in could)
    if years_first:
        slashed = [match for match in slashed if match not in could]
    day_ahead = [match[0] for match in slashed if int(match[1]) > 12 >= int(match[3])]
    month_ahead = [match[0] for match in slashed if int(match[3]) > 12 >= int(match[1])]
    if day_first is None and bool(day_ahead) != bool(month_ahead):
        day_first = bool(day_ahead)
    dates, wrong, zones = Dates(), defaultdict[str, list[str]](list), set[timedelta | None]()
    kinds: Counter[str] = Counter()
    for text, said in zip(texts, plain, strict=True):
        taken, kind = _read(said, day_first, now, years_first=years_first) if said else (None, "")
        if kind == "ambiguous":
            dates.ambiguous.append(text)
        elif kind == "unknown":
            wrong["cannot be read as dates"].append(text)
        elif taken is not None:
            kinds[kind] += 1
            if taken.at.tzinfo is not None:
                zones.add(taken.at.utcoffset())
                taken = taken._replace(at=taken.at.replace(tzinfo=None))
            ahead = _SEASON_AHEAD if taken.precision == "fashion season" else timedelta()
            if reason := implausible(taken.at - ahead, now, EARLIEST - ahead):
                wrong[f"are {reason}"].append(text)
                taken = None
        dates.taken.append(taken)
    if years_first:
        dates.notes.append(f"{could[0][0]} in {name} has the year first; all such dates were read so.")
    elif could and len(could) == len(short) and could[0][2] == "-":
        dates.notes.append(
            f"{could[0][0]} in {name} may have the year first. Its year was read from the last two digits; if that is "
            "wrong, write dates as 2024-03-31."
        )
    if day_ahead and month_ahead:
        dates.mixed = [day_ahead[0], month_ahead[0]]
        dates.notes.append(
            f"{day_ahead[0]} in {name} has the day first and {month_ahead[0]} the month first. Each was read as it can "
            "only be; check them, or write dates as 2024-03-31."
        )
    if dates.ambiguous:
        dates.notes.append(
            f"{listed(dates.ambiguous, _SHOWN)} in {name} may have the day or the month first and were not used. "
            "Choose the order, or write dates as 2024-03-31."
        )
    for reason, found in wrong.items():
        dates.notes.append(f"{listed(found, _SHOWN)} in {name} {reason} and were not used. {_FORMS}")
    if count := kinds["serial"]:
        what = "1 date of {} is a number" if count == 1 else f"{count:,} dates of {{}} are numbers"
        dates.notes.append(
            f"{what.format(name)} of days, as spreadsheets count them from 1900 on; check that the years are right."
        )
    if count := kinds["unix"]:
        what = "1 date of {} is given" if count == 1 else f"{count:,} dates of {{}} are given"
        dates.notes.append(f"{what.format(name)} in seconds since 1970; the time of day is UTC.")
    coarse = Counter(taken.precision for taken in dates.taken if taken and taken.precision != "day")
    for precision in PRECISIONS:
        if precision != "day" and (count := coarse[precision]):
            dates.notes.append(
                f"1 date of {name} names a {precision}, not a day."
                if count == 1
                else f"{count:,} dates of {name} name a {precision}, not a day."
            )
    if len(zones) > 1:
        dates.notes.append(f"The dates of {name} have {len(zones)} time zones: each date keeps its local time.")
    return dates


def implausible(date: datetime, now: datetime | None = None, earliest: datetime = EARLIEST_TAKEN) -> str:
    """Reason why a date is implausible for a photo; empty if it is plausible."""
    if date > (now or datetime.now()) + _AHEAD:
        return "in the future"
    return f"before {earliest.year}" if date < earliest else ""


def _plain(text: str) -> str:
    """A text with plain blanks, digits, dashes and signs of whatever script or width, and no blank within a day."""
    text = "".join(str(unicodedata.decimal(each, each)) for each in unicodedata.normalize("NFKC", text))
    text = _DASHES.sub("-", text)
    return _SPACED.sub(r"\1\2\3\2\4", " ".join(text.split()), count=1)


def _day_part(text: str) -> str:
    match = _SPLIT.fullmatch(text)
    return match[1].strip() if match else text


def _read(text: str, day_first: bool | None, now: datetime, *, years_first: bool = False) -> tuple[Taken | None, str]:
    """What a text means, and of which kind it is: `ambiguous`, `unknown`, `serial`, `unix` or `date`."""
    try:
        if match := _SERIAL.fullmatch(text):
            days = float(f"{match[1]}.{match[2] or 0}")
            return Taken(_SERIAL_START + timedelta(seconds=round(days * 86400))), "serial"
        if _SECONDS.fullmatch(text) or _MILLISECONDS.fullmatch(text):
            return Taken(datetime.fromtimestamp(int(text[:10]), UTC).replace(tzinfo=None)), "unix"
        if (taken := _part_of_year(text, now)) is not None:
            return taken, "date"
        match = _SPLIT.fullmatch(text)
        day, clock = (match[1].strip(), match[2]) if match else (text, "")
        if (slashed := _SLASHED.fullmatch(day)) and years_first and (found := _year_first(slashed, now)):
            date = found
        elif slashed:
            first, second, year = int(slashed[1]), int(slashed[3]), _year(slashed[4], now)
            ahead = first > 12 if (first > 12) != (second > 12) else day_first
            if ahead is None and first != second:
                return None, "ambiguous"
            date = datetime(year, second, first) if ahead else datetime(year, first, second)
        elif (found := _day(day, now)) is not None:
            date = found
        else:
            return Taken(datetime.fromisoformat(text)), "date"  # with its time of day and its zone
        return Taken(_at(date, clock)), "date"
    except (ValueError, OverflowError, OSError):
        return None, "unknown"


def _day(text: str, now: datetime) -> datetime | None:
    """A day whose year, or the name of whose month, says which number is which."""
    if match := _YEAR_FIRST.fullmatch(text):
        return datetime(int(match[1]), int(match[3]), int(match[4]))
    if (match := _CHARACTERS.fullmatch(text)) and match[3]:
        return datetime(int(match[1]), int(match[2]), int(match[3]))
    if match := _COMPACT.fullmatch(text):
        return datetime(*(int(part) for part in match.groups(default="0")))  # type: ignore[arg-type]
    if (match := _NAMED.fullmatch(text)) and (month := _month(match[2])) and (day := match[1] or match[3]):
        return datetime(_year(match[4], now), month, int(day))
    return None


def _part_of_year(text: str, now: datetime) -> Taken | None:
    """A week, month, quarter, half-year, fashion season or year."""
    if re.fullmatch(r"[12]\d{3}", text):
        return Taken(datetime(int(text), 1, 1), "year")
    if match := _MONTH.fullmatch(text):
        return Taken(datetime(int(match[1] or match[4]), int(match[2] or match[3]), 1), "month")
    if (match := _CHARACTERS.fullmatch(text)) and not match[3]:
        return Taken(datetime(int(match[1]), int(match[2]), 1), "month")
    if match := _SEASON.fullmatch(text):
        spring = match["spring"] or match["spring2"]
        return Taken(datetime(_year(match["year"] or match["year2"], now), 3 if spring else 9, 1), "fashion season")
    if match := _PART.fullmatch(text):
        number, year = int(match["number"] or match["number2"]), _year(match["year"] or match["year2"], now)
        if (match["kind"] or match["kind2"]).upper() == "Q":
            return Taken(datetime(year, 3 * number - 2, 1), "quarter")
        return Taken(datetime(year, 6 * number - 5, 1), "half-year")  # H3 and H4 are no months: ValueError
    if match := _WEEK.fullmatch(text):
        return Taken(datetime.fromisocalendar(int(match[1]), int(match[2]), 1), "week")
    if (match := _NAMED.fullmatch(text)) and not (match[1] or match[3]) and (month := _month(match[2])):
        year = _year(match[4], now)
        if len(match[4]) == 2 and year < 2000 and int(match[4]) <= 31:
            raise ValueError(text)  # Mar-31 of a spreadsheet is a day of no year
        return Taken(datetime(year, month, 1), "month")
    return None


def _month(name: str) -> int:
    """Number of a month by its English name or the first three letters or more of it; 0 if it is none."""
    return next((number for number, month in enumerate(_MONTHS, 1) if month.startswith(name.lower())), 0)


def _year(digits: str, now: datetime) -> int:
    """The year; two digits are of the hundred years that end ten years from now."""
    year = int(digits)
    if len(digits) == 4:
        return year
    year += 2000
    return year if year <= now.year + _YEARS_AHEAD else year - 100


def _year_first(slashed: re.Match[str], now: datetime) -> datetime | None:
    """The day of a date such as 24-03-31 with the year first; None if there is none up to now."""
    if len(slashed[1]) != 2 or len(slashed[4]) != 2:
        return None
    try:
        date = datetime(_year(slashed[1], now), int(slashed[3]), int(slashed[4]))
    except ValueError:
        return None
    return None if implausible(date, now) else date


def _at(date: datetime, clock: str) -> datetime:
    if not clock:
        return date
    match = _TIME.fullmatch(clock.strip())
    if match is None:
        raise ValueError(clock)
    hour = int(match[1])
    if match[5]:
        if not 1 <= hour <= 12:
            raise ValueError(clock)
        hour = hour % 12 + (12 if match[5] in "Pp" else 0)
    fraction = int(f"{match[4] or 0:0<6}"[:6])
    date = date.replace(hour=hour, minute=int(match[2]), second=int(match[3] or 0), microsecond=fraction)
    if zone := match[6]:
        offset = "+00:00" if zone in ("Z", "UTC", "GMT") else zone
        date = datetime.fromisoformat(f"{date.isoformat()}{offset}")
    return date
