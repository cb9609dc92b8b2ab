from datetime import datetime

import pytest

from segmodels.archive.dates import Dates, Taken, read_dates

NOW = datetime(2026, 6, 1)


def read(*texts: str, day_first: bool | None = None) -> Dates:
    return read_dates(texts, "looks.csv", day_first=day_first, now=NOW)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("3/30/2024 9:05", datetime(2024, 3, 30, 9, 5)),
        ("30.03.2024 9:05", datetime(2024, 3, 30, 9, 5)),
        ("2024-03-30 9:05", datetime(2024, 3, 30, 9, 5)),
        ("3/30/2024 9:05:01 AM", datetime(2024, 3, 30, 9, 5, 1)),
        ("3/30/2024 12:05 am", datetime(2024, 3, 30, 0, 5)),
        ("3/30/2024 12:05 p.m.", datetime(2024, 3, 30, 12, 5)),
        ("2024-03-30T9:05:01.250 PM", datetime(2024, 3, 30, 21, 5, 1, 250_000)),
        ("2024-03-30 9:05+09:00", datetime(2024, 3, 30, 9, 5)),
        ("2024-03-30T09:05:00.000Z", datetime(2024, 3, 30, 9, 5)),
        ("31/03/24", datetime(2024, 3, 31)),
        ("31/03/95", datetime(1995, 3, 31)),
        ("2024-3-5", datetime(2024, 3, 5)),
        ("45382", datetime(2024, 3, 31)),
        ("45382,375", datetime(2024, 3, 31, 9)),
        ("1711870200", datetime(2024, 3, 31, 7, 30)),
        ("20240331_093000", datetime(2024, 3, 31, 9, 30)),
        ("31-Mar-24", datetime(2024, 3, 31)),
        ("March 31, 2024 9:05", datetime(2024, 3, 31, 9, 5)),
        ("1 Sept. 2023", datetime(2023, 9, 1)),
        ("2024年3月31日", datetime(2024, 3, 31)),
        ("1884-05-01", datetime(1884, 5, 1)),
        ("٢٠٢٤-٠٣-٣١", datetime(2024, 3, 31)),
        ("２０２４－０３－３１", datetime(2024, 3, 31)),
        ("2024–03–31", datetime(2024, 3, 31)),
        ("31‑03‑2024", datetime(2024, 3, 31)),
        ("2024-03-31\u00a09:05", datetime(2024, 3, 31, 9, 5)),
        ("3/31/2024, 9:05:01\u202fPM", datetime(2024, 3, 31, 21, 5, 1)),
        ("31. 3. 2024", datetime(2024, 3, 31)),
        ("31.\u00a03.\u00a02024 9:05", datetime(2024, 3, 31, 9, 5)),
        ("2024. 03. 31.", datetime(2024, 3, 31)),
        ("2024. 3. 31. 9:05", datetime(2024, 3, 31, 9, 5)),
        ("31.3.2024.", datetime(2024, 3, 31)),
    ],
)
def test_a_day_in_the_forms_of_spreadsheets_and_cameras(text: str, date: datetime) -> None:
    assert read(text).taken == [Taken(date, "day")]


@pytest.mark.parametrize(
    ("text", "start", "precision"),
    [
        ("1995", datetime(1995, 1, 1), "year"),
        ("1884", datetime(1884, 1, 1), "year"),
        ("٢٠٢٤", datetime(2024, 1, 1), "year"),
        ("SS24", datetime(2024, 3, 1), "fashion season"),
        ("FW 2023", datetime(2023, 9, 1), "fashion season"),
        ("F/W 23/24", datetime(2023, 9, 1), "fashion season"),
        ("AW'98", datetime(1998, 9, 1), "fashion season"),
        ("Spring/Summer 2024", datetime(2024, 3, 1), "fashion season"),
        ("2023 Autumn", datetime(2023, 9, 1), "fashion season"),
        ("SS27", datetime(2027, 3, 1), "fashion season"),  # photographed before the season
        ("2024-Q1", datetime(2024, 1, 1), "quarter"),
        ("Q4 2023", datetime(2023, 10, 1), "quarter"),
        ("H2 2023", datetime(2023, 7, 1), "half-year"),
        ("2024-03", datetime(2024, 3, 1), "month"),
        ("3/2024", datetime(2024, 3, 1), "month"),
        ("Mar 2024", datetime(2024, 3, 1), "month"),
        ("2024年3月", datetime(2024, 3, 1), "month"),
        ("2024-W12", datetime(2024, 3, 18), "week"),
    ],
)
def test_what_is_no_day_has_a_precision_and_says_so(text: str, start: datetime, precision: str) -> None:
    found = read(text)
    assert found.taken == [(start, precision)]
    assert found.notes == [f"1 date of looks.csv names a {precision}, not a day."]


@pytest.mark.parametrize(
    "text",
    [
        *("soon", "1990s", "c. 1995", "202403", "2024001", "2024-13", "H3 2024", "Q5 2024", "31/31/2024", "13:05"),
        *(
            "Mar-31",
            "00000",
            "2024-03-31 25:00",
            "2024-03-31 13:00 PM",
            "Marble 2024",
            "2031",
            "SS 2029",
            "1066-10-14",
            "99999999999",
        ),
    ],
)
def test_what_is_no_date_has_none_and_says_which_forms_are_read(text: str) -> None:
    found = read(text)
    assert found.taken == [None]
    assert len(found.notes) == 1
    assert text in found.notes[0]
    assert "2024-03-31, 2024-03, 2024-Q1, SS24 or 2024" in found.notes[0]


def test_numbers_of_spreadsheets_are_said() -> None:
    assert read("45382", "45383").notes == [
        "2 dates of looks.csv are numbers of days, as spreadsheets count them from 1900 on; check that the years are "
        "right."
    ]


@pytest.mark.parametrize("day_first", [None, True, False])
def test_dates_of_both_orders_are_said(day_first: bool | None) -> None:
    found = read_dates(["03/14/2024", "", "14/03/2024", "2024-03-01"], "looks.csv", day_first=day_first, now=NOW)
    day = Taken(datetime(2024, 3, 14))
    assert found.taken == [day, None, day, Taken(datetime(2024, 3, 1))] and found.ambiguous == []
    assert found.mixed == ["14/03/2024", "03/14/2024"]
    assert found.notes == [
        "14/03/2024 in looks.csv has the day first and 03/14/2024 the month first. Each was read as it can only be; "
        "check them, or write dates as 2024-03-31."
    ]
    asked = read("03/14/2024", "14/03/2024", "03/04/2024")
    assert asked.ambiguous == ["03/04/2024"] and len(asked.notes) == 2


def test_a_day_that_is_the_same_in_both_orders_is_no_question() -> None:
    found = read("04/04/2024")
    assert found.taken == [Taken(datetime(2024, 4, 4))]
    assert found.ambiguous == found.notes == []


@pytest.mark.parametrize(
    ("texts", "days", "note"),
    [
        (["24-03-31", "24-03-15"], ["2024-03-31", "2024-03-15"], "24-03-31 in looks.csv has the year first"),
        (["99.05.12", "24.03.05"], ["1999-05-12", "2024-03-05"], "99.05.12 in looks.csv has the year first"),
        (["24-03-15"], ["2015-03-24"], "24-03-15 in looks.csv may have the year first"),
        (["31/03/24", "15/03/24"], ["2024-03-31", "2024-03-15"], ""),
        (["13/02/31"], [None], "in the future"),
        (["SS28"], [None], "in the future"),
    ],
)
def test_years_of_two_digits_are_not_read_wrong_without_a_word(
    texts: list[str], days: list[str | None], note: str
) -> None:
    """24-03-31 was 24 March 1931, and SS28 was spring 1928."""
    dates = read_dates(texts, "looks.csv", now=datetime(2026, 11, 30))
    assert [taken and f"{taken.at:%Y-%m-%d}" for taken in dates.taken] == days
    assert note in " ".join(dates.notes) and bool(dates.notes) == bool(note)
