import time
from datetime import datetime

import pytest

from segmodels.archive.metadata import ArchiveError, Metadata, join, parse_metadata, unify_tags

NOW = datetime(2026, 6, 1)


def parsed(text: str, encoding: str = "utf-8") -> Metadata:
    return parse_metadata(text.encode(encoding), "looks.csv", NOW)


def dates(*texts: str) -> list[str | None]:
    entries = parsed("file_name;date\n" + "".join(f"{n}.jpg;{text}\n" for n, text in enumerate(texts))).entries
    return [entry.taken_at.isoformat() if entry.taken_at else None for entry in entries]


def test_columns_that_are_neither_name_nor_date_are_tags() -> None:
    metadata = parsed('File Name,market,Date,price band\nlook.jpg,North,2024-03-31,"10,00 to 20"\nb.jpg, ,,\n')
    assert metadata.notes == []
    first, second = metadata.entries
    assert (first.name, first.taken_at) == ("look.jpg", datetime(2024, 3, 31))
    assert first.tags == {"market": "North", "price band": "10,00 to 20"}
    assert (second.tags, second.taken_at) == ({}, None)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_encodings_and_byte_order_marks(mark: str, encoding: str) -> None:
    metadata = parsed(f"photo{mark}brand\r\nlook.jpg{mark}Schön & Söhne\r\n", encoding)
    assert metadata.entries[0].tags == {"brand": "Schön & Söhne"}
    assert metadata.notes == []


def test_what_is_not_utf_8_is_read_and_said() -> None:
    metadata = parsed("photo;brand\nlook.jpg;Schön\n", "cp1252")
    assert metadata.entries[0].tags == {"brand": "Schön"}
    assert "not in UTF-8" in metadata.notes[0]
    assert "Windows-1252 (Western Europe): Schön" in metadata.notes[0]


@pytest.mark.parametrize(
    ("encoding", "city", "other"),
    [
        ("gbk", "上海", "北京"),
        ("cp932", "東京", "大阪"),
        ("big5", "台北", "高雄"),
        ("cp949", "서울", "부산"),
        ("cp1251", "Москва", "Киев"),
        ("cp1250", "Łódź", "Wrocław"),
        ("mac_roman", "Orléans", "Besançon"),
        ("cp1252", "€ 30", "Córdoba"),
        ("utf-16-le", "Łódź", "上海"),
    ],
)
def test_the_encoding_is_the_one_in_which_it_looks_like_text(encoding: str, city: str, other: str) -> None:
    metadata = parsed(f"photo,city\na.jpg,{city}\nb.jpg,{other}\n", encoding)
    assert [entry.tags["city"] for entry in metadata.entries] == [city, other]
    if encoding != "utf-16-le":
        assert city.split(maxsplit=1)[0] in metadata.notes[0]


def test_an_encoding_that_is_not_certain_can_be_chosen() -> None:
    data = "photo,city\na.jpg,米\n".encode("gbk")
    metadata = parse_metadata(data, "looks.csv", NOW)
    assert metadata.entries[0].tags == {"city": "米"}
    assert metadata.encoding == metadata.encodings[0] == "gb18030"
    assert len(metadata.encodings) > 1 and "choose its encoding" in metadata.notes[0]
    chosen = parse_metadata(data, "looks.csv", NOW, encoding="cp1252")
    assert chosen.entries[0].tags == {"city": "Ã×"}
    assert chosen.notes == []
    with pytest.raises(ArchiveError, match="looks.csv is not in UTF-8. Choose another encoding"):
        parse_metadata(data, "looks.csv", NOW, encoding="utf-8")
    with pytest.raises(
        ArchiveError, match="There is no encoding of text .klingon.. Name one such as utf-8, gbk or windows-1252"
    ):
        parse_metadata(data, "looks.csv", NOW, encoding="klingon")


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;\r"])
def test_the_separator_that_a_spreadsheet_states_is_taken(first: str) -> None:
    metadata = parsed(f"{first}\nphoto;note,with,commas,more\nlook.jpg;a\n")
    assert metadata.entries[0].tags == {"note,with,commas,more": "a"}


def test_tags_that_differ_in_case_alone_are_one_and_said() -> None:
    metadata = parsed("photo,market\na.jpg,milan\nb.jpg,Milan\nc.jpg,Milan\nd.jpg,new  york\ne.jpg,New York\n")
    assert [entry.tags["market"] for entry in metadata.entries] == ["Milan"] * 3 + ["new  york"] * 2
    assert metadata.notes == [
        "Tags that differ in upper and lower case alone were made one: milan to Milan, New York to new  york."
    ]
    with pytest.raises(ArchiveError, match="two columns called 'Market'"):
        parsed("photo,Market,market\na.jpg,1,2\n")
    entries, changed = unify_tags(parsed("photo,market\na.jpg,MILAN\n").entries, {"Market": ["Milan", "milan"]})
    assert [entry.tags for entry in entries] == [{"Market": "Milan"}]
    assert changed == ["market to Market", "MILAN to Milan"]


def test_a_missing_quotation_mark_that_swallows_rows_is_said() -> None:
    metadata = parsed('photo,market\na.jpg,"Milan\nb.jpg,Paris\nc.jpg,"Rome"\nd.jpg,x\n')
    assert "The row that ends in line 4 of looks.csv has a cell of several lines" in " ".join(metadata.notes)
    assert parsed('photo,note\na.jpg,"two\nlines"\n').notes == []


@pytest.mark.parametrize("header", ["id", "image_path", "Image-ID", "whatever", "img"])
def test_the_column_of_names_has_many_headers(header: str) -> None:
    metadata = parsed(f"market,{header}\nMilan,photos/a.jpg\nParis,b.jpg\n")
    assert [entry.name for entry in metadata.entries] == ["photos/a.jpg", "b.jpg"]
    assert metadata.name_column == header


def test_of_two_columns_the_one_with_names_of_photos_is_taken() -> None:
    metadata = parsed("id,name,photo_url\n7,Anna,https://host/x/a.jpg?width=3\n8,Eva,https://host/x/b.jpg\n")
    assert metadata.name_column == "photo_url"
    assert metadata.entries[0].tags == {"id": "7", "name": "Anna"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"market:season\nlook.jpg:spring\n", "no column with file names: its header is 'market:season'"),
        (b"PK\x03\x04 a workbook", "Export it as CSV"),
        (b"photo\0market", "not text"),
        (b"\x81\x8d\x8f\x01", "not text"),
        (b"photo,market,market\na.jpg,1,2\n", "two columns called 'market'"),
        (b'photo,market\na.jpg,Milan\nb.jpg,"Paris\nc.jpg,Rome\n', "quotation mark in the row of line 3"),
        (b'photo,"market\na.jpg,Milan\n', "quotation mark in the row of line 1"),
        (b"photo," + b",".join(b"c%d" % n for n in range(100_000)), "has 100,001 columns; 1,000 are allowed"),
        (b"a.jpg,Milan\nb.jpg,Paris\n", "no header: its first line is a row"),
        (b'photo,market\na.jpg,"' + b"x" * 200_000, "not a valid CSV: a cell is far too long"),
    ],
)
def test_a_file_that_is_no_such_csv_is_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as error:
        parse_metadata(data, "looks.csv")
    assert "\n" not in str(error.value)
    assert "looks.csv" in str(error.value)


def test_rows_that_do_not_fit_are_named_by_line() -> None:
    metadata = parsed("photo,market\na.jpg,North\n\nb.jpg,South,one too many\n,West\nc.jpg\nd.jpg,East,\n")
    assert [entry.name for entry in metadata.entries] == ["a.jpg", "c.jpg", "d.jpg"]
    assert metadata.notes == ["line 4, line 5 of looks.csv left out: no file name, or more cells than the header has."]


def test_dates_in_many_forms() -> None:
    texts = ["2024-03-31", "2024-03-31 08:30", "2024/3/31", "2024:03:31 08:30:00", "20240331", "2024-03", "31.03.2024"]
    assert dates(*texts) == [
        "2024-03-31T00:00:00",
        "2024-03-31T08:30:00",
        "2024-03-31T00:00:00",
        "2024-03-31T08:30:00",
        "2024-03-31T00:00:00",
        "2024-03-01T00:00:00",
        "2024-03-31T00:00:00",
    ]
    assert dates("", "soon", "2024-02-30", "0000:00:00 00:00:00") == [None] * 4


def test_the_column_tells_whether_the_day_comes_first() -> None:
    assert dates("03/04/2024", "31/12/2023") == ["2024-04-03T00:00:00", "2023-12-31T00:00:00"]
    assert dates("03/04/2024", "12/31/2023") == ["2024-03-04T00:00:00", "2023-12-31T00:00:00"]
    metadata = parsed("photo,date\na.jpg,03/04/2024\nb.jpg,2024-04-03\n")
    assert [entry.taken_at for entry in metadata.entries] == [None, datetime(2024, 4, 3)]
    assert "03/04/2024 in looks.csv may have the day or the month first" in metadata.notes[0]


def test_a_column_of_both_orders_asks_and_takes_the_answer() -> None:
    text = "photo,date\na.jpg,03/04/2024\nb.jpg,31/12/2023\nc.jpg,12/31/2023\n"
    metadata = parsed(text)
    assert [entry.taken_at for entry in metadata.entries] == [None, datetime(2023, 12, 31), datetime(2023, 12, 31)]
    assert metadata.ambiguous_dates == ["03/04/2024"]
    for day_first, date in ((True, datetime(2024, 4, 3)), (False, datetime(2024, 3, 4))):
        chosen = parse_metadata(text.encode(), "looks.csv", NOW, day_first=day_first)
        assert chosen.entries[0].taken_at == date
        assert chosen.ambiguous_dates == []


def test_dates_that_cannot_be_right_are_said_and_not_used() -> None:
    metadata = parsed("photo,date\na.jpg,2031-01-01\nb.jpg,1066-10-14\nc.jpg,2026-06-02\nd.jpg,soon\n")
    assert [entry.taken_at for entry in metadata.entries] == [None, None, datetime(2026, 6, 2), None]
    said = " ".join(metadata.notes)
    for part in (
        "2031-01-01 in looks.csv are in the future",
        "1066-10-14 in",
        "before 1700",
        "soon in looks.csv cannot",
    ):
        assert part in said


def test_mixed_time_zones_keep_the_clock_of_the_place_and_are_said() -> None:
    metadata = parsed("photo,date\na.jpg,2024-03-01T00:30:00+09:00\nb.jpg,2024-03-01T00:30:00Z\nc.jpg,2024-03-01\n")
    assert [str(entry.taken_at) for entry in metadata.entries] == ["2024-03-01 00:30:00"] * 2 + ["2024-03-01 00:00:00"]
    assert metadata.notes == ["The dates of looks.csv have 2 time zones: each date keeps its local time."]


def test_a_tag_with_ten_thousand_values_is_kept_and_said() -> None:
    metadata = parsed("photo,sku\n" + "".join(f"{number}.jpg,S{number}\n" for number in range(10_000)))
    assert len({entry.tags["sku"] for entry in metadata.entries}) == 10_000
    assert metadata.notes == ["The tag 'sku' has 10,000 different values: too many for comparisons."]


def test_a_tag_that_is_too_long_to_be_shown_is_cut_and_said() -> None:
    metadata = parsed(f"photo,{'x' * 301},brand\na.jpg,{'y' * 10_000},{'z' * 300}\nb.jpg,{'y' * 10_000},\n")
    assert metadata.entries[0].tags == {"x" * 299 + "…": "y" * 299 + "…", "brand": "z" * 300}
    assert metadata.notes == [f"2 tags are longer than 300 characters and were cut: {'x' * 40}…"]


def test_rows_find_photos_by_path_then_by_a_name_that_is_unique() -> None:
    metadata = parsed("photo,tag\nA\\Look.JPG,1\nonly.jpg,2\nlook.jpg,3\nabsent.jpg,4\n./top.jpg,5\ncafe\u0301.jpg,6\n")
    photos = ["a/look.jpg", "b/look.jpg", "b/only.jpg", "top.jpg", "c/top.jpg", "café.jpg", "lonely.jpg"]
    joined = join(metadata, photos)
    assert {photo: entry.tags["tag"] for photo, entry in joined.entries.items()} == {
        "a/look.jpg": "1",
        "b/only.jpg": "2",
        "top.jpg": "5",
        "café.jpg": "6",
    }
    assert joined.without_photo == ["absent.jpg"]
    assert joined.without_row == ["b/look.jpg", "c/top.jpg", "lonely.jpg"]
    assert len(joined.notes) == 1 and "Several photos are called look.jpg" in joined.notes[0]


@pytest.mark.parametrize(
    ("row", "photo"),
    [
        ("photos/a.jpg", "a.jpg"),
        (r"C:\photos\b.jpg", "2024/b.jpg"),
        ("/home/anna/2024/c.jpg", "2024/c.jpg"),
        ("https://host/shop/d%20e.jpg?width=800", "d e.jpg"),
        ("0001", "sets/0001.png"),
        (r"..\A.JPG", "a.jpg"),
        ("http://[host/a.jpg", "a.jpg"),
        ("https://[::1]x/a.jpg", "a.jpg"),
    ],
)
def test_rows_find_photos_in_other_folders_by_a_name_that_is_unique(row: str, photo: str) -> None:
    photos = ["a.jpg", "2024/b.jpg", "2023/c.jpg", "2024/c.jpg", "d e.jpg", "sets/0001.png"]
    joined = join(parsed(f"photo,tag\n{row},1\n"), photos)
    assert list(joined.entries) == [photo]
    assert joined.without_photo == []


def test_a_photo_with_a_row_of_its_own_is_not_given_to_another() -> None:
    joined = join(parsed("photo,tag\nb/look.jpg,1\na/look.jpg,2\n"), ["a/look.jpg"])
    assert joined.entries["a/look.jpg"].tags == {"tag": "2"}
    assert joined.without_photo == ["b/look.jpg"]
    joined = join(parsed("photo,tag\nb/look.jpg,1\n"), ["a/look.jpg"])
    assert joined.notes == [
        "Folders of rows that are not those of the photos were passed over: b/look.jpg (a/look.jpg)."
    ]


def test_two_rows_for_one_photo_are_said_where_they_differ() -> None:
    joined = join(parsed("photo,tag\na.jpg,1\na.jpg,1\nb.jpg,1\nb.jpg,2\n"), ["a.jpg", "b.jpg"])
    assert joined.entries["b.jpg"].tags == {"tag": "1"}
    assert joined.notes == ["Several different rows for b.jpg: the first was used."]


@pytest.mark.parametrize("cell", ["x" * 100_000, "aGVsbG8" * 14_000, "x," * 50_000])
def test_a_long_cell_beside_accents_takes_no_longer_than_reading_it(cell: str) -> None:
    started = time.process_time()
    metadata = parsed(f'photo;brand\na.jpg;"Schön {cell}"\nb.jpg;Süß\n', "cp1252")
    assert time.process_time() - started < 5  # 0.3 s; it was 14 s and more
    assert [entry.tags["brand"] for entry in metadata.entries] == [f"Schön {cell}"[:299] + "…", "Süß"]
    assert "Windows-1252 (Western Europe): Schön, Süß" in metadata.notes[0]


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-32", "utf-16"])
def test_wide_encodings_of_either_order_with_or_without_a_mark(encoding: str) -> None:
    metadata = parsed("photo,city\na.jpg,Łódź\n", encoding)
    assert [(entry.name, entry.tags) for entry in metadata.entries] == [("a.jpg", {"city": "Łódź"})]
    assert metadata.notes == []


@pytest.mark.parametrize(
    "cell",
    [
        *("\ufeffb.jpg", "b.jpg\u200b", "\u200eb.jpg\u200f", "\u202ab.jpg\u202c", "b\u00ad.jpg"),
        *("\u00a0b.jpg\u00a0", "\u202fb.jpg"),
    ],
)
def test_marks_that_nobody_sees_are_no_part_of_a_name(cell: str) -> None:
    metadata = parsed(f"photo,{cell.replace('b.jpg', 'market')}\n{cell},North\n")
    assert [entry.name for entry in metadata.entries] == ["b.jpg"]
    assert join(metadata, ["b.jpg"]).without_photo == []


def test_a_name_with_the_blank_of_a_macs_screenshots_is_found() -> None:
    photo = "Screenshot 2024-03-31 at 9.05.01\u202fPM.png"
    for written in (photo, photo.replace("\u202f", " "), photo.replace("\u202f", "\u00a0")):
        assert join(parsed(f"photo,market\n{written},North\n"), [photo]).without_photo == []


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("# exported 2024\n", 2),
        ("Export of 2024,,\n,,\n", 3),
        ("Looks;Milan\n\nby Anna\n", 4),
        ("Looks, Milan, 2024\n", 2),
    ],
)
@pytest.mark.parametrize("mark", [",", ";"])
def test_a_title_before_the_header_is_passed_over_and_said(before: str, line: int, mark: str) -> None:
    metadata = parsed(before + "file_name,taken_at,market\na.jpg,2024-03-31,Milan\n".replace(",", mark))
    assert [(entry.name, entry.tags) for entry in metadata.entries] == [("a.jpg", {"market": "Milan"})]
    assert metadata.entries[0].taken_at == datetime(2024, 3, 31)
    assert metadata.notes == [f"The header of looks.csv is line {line}; what stands before it was passed over."]


def test_a_row_is_not_taken_for_a_header() -> None:
    text = "Bildname,Typ\na.jpg,photo\nb.jpg,image\n"
    assert [entry.tags["Typ"] for entry in parsed(text).entries] == ["photo", "image"]
    assert [entry.name for entry in parsed("id,kind\nlook1,photo\nlook2,image\n").entries] == ["look1", "look2"]


def test_a_header_that_comes_again_is_no_photo() -> None:
    table = "photo,market\na.jpg,North\n"
    metadata = parsed(f"\ufeff{table}\ufeff{table.replace('a.jpg', 'b.jpg')}")
    assert [entry.name for entry in metadata.entries] == ["a.jpg", "b.jpg"]
    assert metadata.notes == ["line 3 of looks.csv left out: the header once more."]


@pytest.mark.parametrize("mark", ["", "\n", "\u2028a.jpg,North", "\u0085a.jpg,North"])
def test_a_table_without_rows_is_said(mark: str) -> None:
    metadata = parsed(f"photo,market{mark}")
    assert metadata.entries == []
    assert metadata.notes == ["looks.csv has a header and no rows: write a line for each photo."]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04mimetype application/vnd.oasis", "a spreadsheet workbook"),  # .ods
        (b"\xef\xbb\xbf <HTML><table><tr><td>photo", "a web page or XML"),  # an .xls of a web shop
        (b'<?xml version="1.0"?><Workbook>', "a web page or XML"),
        (b'[\n {"file_name": "a.jpg"}]', "JSON"),
        (b'{"file_name": "a.jpg"}\n', "JSON"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"%PDF-1.7", "a PDF"),
        (b"{\\rtf1 photo,market}", "a text document"),
        (b"\x1f\x8b\x08\0", "a packed file"),
    ],
)
def test_another_file_called_csv_is_named(data: bytes, what: str) -> None:
    with pytest.raises(ArchiveError, match=f"^looks.csv is {what}. Export it as CSV.$"):
        parse_metadata(data, "looks.csv")


def test_a_header_in_brackets_is_no_json() -> None:
    assert [entry.name for entry in parsed("[id],photo\n1,a.jpg\n").entries] == ["a.jpg"]


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "zlib", "base64", "utf-8\0", ""])
def test_an_encoding_that_is_none_of_text_is_a_sentence(encoding: str) -> None:
    if not encoding:
        assert parse_metadata(b"photo\na.jpg\n", "looks.csv", encoding=encoding).encoding == "utf-8"
        return
    with pytest.raises(ArchiveError, match="^There is no encoding of text .* Name one such as utf-8"):
        parse_metadata(b"photo\na.jpg\n", "looks.csv", encoding=encoding)


@pytest.mark.parametrize("encoding", ["punycode", "ascii", "utf-16"])
def test_a_table_that_is_not_in_the_encoding_chosen_is_a_sentence(encoding: str) -> None:
    with pytest.raises(ArchiveError, match="^looks.csv is not in .* Choose another encoding.$"):
        parse_metadata("photo,city\na.jpg,Göß\xff\n".encode("cp1252"), "looks.csv", encoding=encoding)


@pytest.mark.parametrize("nothing", ["NULL", "NaN", "nan", "<NA>", "NaT", "\\N", "#N/A", "#REF!"])
def test_what_other_programs_write_for_nothing_is_nothing(nothing: str) -> None:
    found = parse_metadata(f"file_name,date,market\na.jpg,{nothing},{nothing}\n".encode(), "looks.csv")
    assert found.entries[0].tags == {} and found.entries[0].taken_at is None and found.notes == []


def test_a_blank_before_a_quotation_mark_splits_no_cell() -> None:
    found = parse_metadata(b'file_name, market\na.jpg, "Paris, France"\n', "looks.csv")
    assert found.entries[0].tags == {"market": "Paris, France"} and found.notes == []


@pytest.mark.parametrize("encoding", ["unicode_escape", "raw_unicode_escape", "utf-7"])
def test_halves_of_characters_are_refused_with_the_encoding(encoding: str) -> None:
    half = {"utf-7": b"+2AA-"}.get(encoding, rb"\ud800")
    with pytest.raises(ArchiveError, match=f"looks.csv is not in {encoding}. Choose another encoding"):
        parse_metadata(b"file_name,market\na.jpg," + half + b"\n", "looks.csv", encoding=encoding)
