"""The page with a tiny checkpoint: what it says, and what is in the archive after it."""

import io
import os
import re
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_rows import VERSION, made, rows_of
from photo_server import running_photos
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit_page import state_of

from dashboard.archive.state import ArchiveState
from dashboard.shared import networks
from dashboard.shared import visitor as module
from segmodels.archive.store import Archive

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "archive.py"
WAIT = 120.0


@pytest.fixture
def cache(tmp_path: Path, more_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's archives go here."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "archives"


@pytest.fixture
def opened(cache: Path) -> Callable[[], AppTest]:
    def run() -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=120).run()
        assert not page.exception
        return page

    return run


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((40, 60)).save(out, "JPEG")
    return out.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def add(page: AppTest, files: dict[str, bytes], into: str = "My photos") -> AppTest:
    """Uploads, presses the button, waits for the end."""
    page.selectbox(key="archive-target").set_value(into)
    page.selectbox(key="archive-model").set_value("tiny")
    for name, data in files.items():
        page.file_uploader[0].upload(name, data, "application/octet-stream")
    run(page)
    press(page, "Add photos")
    return finish(page)


def run(page: AppTest) -> None:
    for box in page.selectbox:  # AppTest does not know that a box may take what is not among its options
        if box.value not in box.options:
            box.options.append(box.value)
    page.run()
    assert not page.exception


def press(page: AppTest, label: str) -> None:
    next(each for each in page.button if each.label == label).click()
    run(page)


def finish(page: AppTest) -> AppTest:
    if job := state_of(page, ArchiveState).job:
        job.wait(WAIT)
        assert not job.live
        run(page)
    return page


def said(page: AppTest) -> str:
    texts = [each.value for each in [*page.error, *page.info, *page.caption, *page.markdown, *page.subheader]]
    return "\n".join(texts).replace("\\", "")


def listed(page: AppTest) -> str:
    return "\n".join(each.body for each in page.get("html"))


def downloads(page: AppTest) -> list[str]:
    return [each.proto.label for each in page.get("download_button")]


def test_it_opens_empty(opened: Callable[[], AppTest], cache: Path) -> None:
    page = opened()
    assert page.title[0].value == "Archive" and not page.error
    assert page.selectbox(key="archive-target").value == "My photos"
    assert page.file_uploader[0].proto.max_upload_size_mb == 1000
    assert not cache.exists()


def test_photos_and_a_csv_go_in_and_the_same_again_adds_nothing(opened: Callable[[], AppTest], cache: Path) -> None:
    files = {f"look{number}.jpg": jpeg(number) for number in range(3)}
    table = b"file_name;taken_at;market\r\nlook0.jpg;2024-03-05;Paris\r\nlook1.jpg;2024-04-01;Milan\r\nx.jpg;;Rome\r\n"
    page = add(opened(), {**files, "looks.csv": table})
    assert "3 photos added to My photos." in said(page) and not page.error
    assert "1 row of the CSV has no photo: x.jpg." in said(page)
    assert "1 photo has no row in the CSV: look2.jpg." in said(page)
    assert downloads(page) == ["unmatched.csv"] * 2  # of this ingest, and beside the archive
    for text in (
        "<dd>3</dd>",
        "2024-03-05 to 2024-04-01, 1 without date",
        "<b>market</b> Milan 1, Paris 1",
        "tiny, revision",
    ):
        assert text in listed(page)
    archive = Archive(cache / "My photos")
    assert rows_of(archive)["file_name"].tolist() == list(files)

    page = add(page, files)
    assert "Nothing new in My photos. 3 photos were there already." in said(page)
    assert len(rows_of(archive)) == 3
    page = add(page, {**files, "more.csv": b"file_name,market\nlook0.jpg,Paris\ny.jpg,Rome\n"})
    assert downloads(page) == ["unmatched.csv", "unmatched-1.csv", "unmatched.csv"], "that of the CSV before is kept"
    archive = Archive(cache / "My photos")
    assert b"x.jpg,no photo" in archive.place.read("unmatched-1.csv")
    assert b"y.jpg,no photo" in archive.place.read("unmatched.csv")


def test_the_model_that_analysed_an_archive_is_proposed_for_it(opened: Callable[[], AppTest], cache: Path) -> None:
    page = add(opened(), {"a.jpg": jpeg(1)}, "Spring")
    fresh = opened()
    fresh.selectbox(key="archive-target").set_value("Spring").run()
    assert fresh.selectbox(key="archive-model").value == "tiny"
    fresh.selectbox(key="archive-model").set_value("fpn").run()
    assert fresh.selectbox(key="archive-model").value == "fpn", "a proposal"
    assert not page.exception and not fresh.exception
    assert "See its trends" in [each.label for each in fresh.button]


def test_a_new_name_is_a_new_archive(opened: Callable[[], AppTest], cache: Path) -> None:
    page = add(opened(), {"a.jpg": jpeg(1)}, "Spring")
    assert page.selectbox(key="archive-target").value == "Spring"
    assert page.selectbox(key="archive-model").value == "tiny"
    page = add(page, {"looks.zip": packed({"more/b.jpg": jpeg(2), "c.jpg": jpeg(1)})}, "Autumn")
    assert "2 photos added to Autumn." in said(page) and "3 archives" in said(page), "one ships"
    assert rows_of(Archive(cache / "Autumn"))["file_name"].tolist() == ["c.jpg", "more/b.jpg"]
    assert page.selectbox(key="archive-target").options == ["Autumn", "Spring"]
    assert page.selectbox(key="archive-target").value == "Autumn"


def test_bad_files_are_sentences_and_the_others_are_in(opened: Callable[[], AppTest], cache: Path) -> None:
    climbing = packed({"../../evil.jpg": jpeg(2), "good.jpg": jpeg(3)})
    page = add(opened(), {"letter.jpg": b"Dear tailor, no photo. " * 9, "looks.zip": climbing, "a.jpg": jpeg(1)})
    assert "2 photos added" in said(page)
    error = page.error[0].value.replace("\\", "")
    assert error.startswith("2 of 4 photos rejected (see rejected.csv).")
    assert "letter.jpg is text, not a photo" in error and "../../evil.jpg points outside of looks.zip" in error
    assert downloads(page) == ["rejected.csv"] * 2
    assert not list(cache.parent.glob("**/evil.jpg")) and len(rows_of(Archive(cache / "My photos"))) == 2


def test_a_csv_alone_updates_photos_that_are_in_the_archive(opened: Callable[[], AppTest], cache: Path) -> None:
    page = add(opened(), {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})
    table = b"file_name,taken_at,market\na.jpg,2024-03-05,Paris\ngone.jpg,2024-03-05,Paris\n"
    page.file_uploader[0].upload("looks.csv", table, "text/csv")
    run(page)
    press(page, "Update dates and tags")
    assert not page.exception and not page.error
    (said,) = [each.value.replace("\\", "") for each in page.markdown if "new tags" in each.value]
    assert said == (
        "**My photos: 1 photo has new tags or dates, 0 had them already. 1 row matches no photo: gone.jpg.**"
    )
    rows = {row["file_name"]: row for row in rows_of(Archive(cache / "My photos")).to_dict("records")}
    assert rows["a.jpg"]["taken_at"] == datetime(2024, 3, 5) and dict(rows["a.jpg"]["tags"]) == {"market": "Paris"}
    assert pd.isna(rows["b.jpg"]["taken_at"]) and len(rows) == 2
    page.file_uploader[0].upload("looks.csv", b"file_name,market\nother.jpg,Paris\n", "text/csv")
    run(page)
    press(page, "Update dates and tags")
    assert "No row of the CSV matches a photo of the archive." in page.error[0].value.replace("\\", "")
    assert "Nothing was changed." in page.error[0].value.replace("\\", "")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "Choose photos or a ZIP file of photos first."),
        ({"a.jpg": jpeg(1), "looks.csv": b"file_name#market\na.jpg#Paris\n"}, "separate columns by one of: comma,"),
        ({"a.jpg": jpeg(1), "looks.csv": b"", "b.csv": b""}, "looks.csv and b.csv are two tables or feeds. Keep one."),
        ({"a.jpg": jpeg(1), "looks.zip": b"PK\x03\x04 no more"}, "looks.zip is a ZIP whose end"),
    ],
)
def test_what_cannot_begin_is_a_sentence_and_the_files_stay(
    opened: Callable[[], AppTest], cache: Path, files: dict[str, bytes], sentence: str
) -> None:
    page = add(opened(), files)
    assert sentence in page.error[0].value.replace("\\", "") and "Nothing was added." in page.error[0].value.replace(
        "\\", ""
    )
    assert state_of(page, ArchiveState).intake == 0 and not cache.exists()


def uploaded(page: AppTest, files: dict[str, bytes]) -> AppTest:
    page.selectbox(key="archive-model").set_value("tiny")
    for name, data in files.items():
        page.file_uploader[0].upload(name, data, "application/octet-stream")
    run(page)
    return page


def test_the_first_rows_are_shown_before_anything_is_stored(opened: Callable[[], AppTest], cache: Path) -> None:
    rows = "".join(f"look{number}.jpg;SS24;Milan\n" for number in range(7))
    page = uploaded(opened(), {"look0.jpg": jpeg(0), "looks.csv": b"photo;shot;date\n" + rows.encode()})
    assert "The first of 7 rows of the CSV as read; nothing is stored yet." in said(page)
    table = page.dataframe[0].value
    assert table.columns.tolist() == ["photo", "date", "shot"] and len(table) == 5
    assert not cache.exists()

    page = uploaded(opened(), {"look0.jpg": jpeg(0), "b.csv": b"photo;date;city\nlook0.jpg;SS24;Milan\n"})
    assert page.dataframe[0].value.iloc[0].tolist() == ["look0.jpg", "fashion season from 2024-03-01", "Milan"]


def test_the_encoding_and_the_order_of_dates_are_asked_for(opened: Callable[[], AppTest], cache: Path) -> None:
    table = "photo;date;city\nlook0.jpg;03/04/2024;上海\n".encode("gbk")
    page = uploaded(opened(), {"look0.jpg": jpeg(0), "looks.csv": table})
    assert page.dataframe[0].value.iloc[0].tolist() == ["look0.jpg", "", "上海"]
    box = next(each for each in page.selectbox if each.label == "Encoding of the CSV")
    assert box.options[0] == "GBK (simplified Chinese)" and "Windows-1252 (Western Europe)" in box.options
    box.set_value("cp1252")
    run(page)
    assert page.dataframe[0].value.iloc[0].tolist() == ["look0.jpg", "", "ÉÏº£"]
    box = next(each for each in page.selectbox if each.label == "Encoding of the CSV")
    box.set_value("gb18030")
    run(page)
    order = page.button_group[0]
    assert order.options == ["Day first", "Month first"]
    order.set_value("Day first")
    run(page)
    assert page.dataframe[0].value.iloc[0].tolist() == ["look0.jpg", "2024-04-03", "上海"]
    press(page, "Add photos")
    finish(page)
    (row,) = rows_of(Archive(cache / "My photos")).to_dict("records")
    assert (f"{row['taken_at']:%Y-%m-%d}", row["tags"]) == ("2024-04-03", {"city": "上海"})


def test_a_csv_in_the_zip_is_used_and_the_rest_listed(opened: Callable[[], AppTest], cache: Path) -> None:
    files = {"a.jpg": jpeg(1), "looks.csv": b"photo,market\na.jpg,Milan\n", "b.mov": b"film"}
    page = add(opened(), {"looks.zip": packed(files)})
    assert "1 photo added" in said(page)
    assert "1 video, whose frames" in said(page)
    assert rows_of(Archive(cache / "My photos"))["tags"].iloc[0] == {"market": "Milan"}


def test_a_name_that_climbs_is_a_sentence(opened: Callable[[], AppTest], cache: Path) -> None:
    page = add(opened(), {"a.jpg": jpeg(1)}, "../outside")
    assert "An archive cannot be called '../outside'." in said(page) and not cache.exists()


def test_two_models_are_listed_apart_and_a_damaged_archive_is_a_sentence(
    opened: Callable[[], AppTest], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Archive(cache / "Spring").writer(VERSION).append(made("a", tags={"<b>": "<script>", "trained_on": "yes"}))
    broken = tmp_path / "team" / "OUTFIT_15" / "fpn@abc"
    broken.mkdir(parents=True)
    (broken / "part.parquet").write_bytes(b"junk")
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", os.pathsep.join([str(tmp_path / "team"), str(tmp_path / "new")]))
    page = add(opened(), {"b.jpg": jpeg(1)}, "Spring")
    assert "Results of several models, kept separate." in listed(page) and "1 photo added to Spring." in said(page)
    assert "The model saw 1 of these photos in training or selection" in listed(page)
    assert "&lt;script&gt;" in listed(page) and "<script>" not in listed(page)
    assert "part.parquet is left out: it is damaged" in listed(page)
    assert "No photos yet." in listed(page)
    page = add(page, {"b.jpg": jpeg(1)}, "new")
    assert "1 photo added to new." in said(page) and len(rows_of(Archive(tmp_path / "new"))) == 1


def test_a_job_of_somebody_else_is_shown_and_can_be_stopped(
    opened: Callable[[], AppTest], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from dashboard.archive.jobs import Job, begin
    from dashboard.archive.shelf import Shelved
    from segmodels.archive.sources import from_uploads
    from segmodels.checkpoints.catalog import load_segmenter

    opening = threading.Event()

    def load() -> object:
        opening.wait(WAIT)
        return load_segmenter("tiny")

    job = Job(Shelved("Spring", str(cache / "Spring"), "own"), from_uploads([("a.jpg", jpeg(1))]), None, load)  # type: ignore[arg-type]
    begin(job)
    try:
        page = opened()
        assert "Adding to Spring" in said(page) and not page.file_uploader
        press(page, "Stop")
        assert job.stopping
    finally:
        opening.set()
    finish(page)
    assert "Stopped. No photo was analysed." in said(page)
    press(page, "Continue")
    finish(page)
    assert "1 photo added to Spring." in said(page) and len(rows_of(Archive(cache / "Spring"))) == 1


# --- A server that several people use ---------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes whoever runs the page next a visitor from another machine, by the cookie of his browser."""

    def as_visitor(name: str) -> None:
        monkeypatch.setattr(module, "_headers", lambda: {"X-Forwarded-For": "10.0.0.7"})
        monkeypatch.setattr(module, "_cookies", lambda: {module.COOKIE: name})

    return as_visitor


def targets(page: AppTest) -> list[str]:
    return list(page.selectbox(key="archive-target").options)


def test_what_a_visitor_makes_is_his(
    opened: Callable[[], AppTest], cache: Path, elsewhere: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere("alice")
    mine = add(opened(), {"look.jpg": jpeg(1), "torn.jpg": b"x"}, into="hers")
    assert "1 photo added to hers." in said(mine) and "rejected.csv" in downloads(mine)
    assert str(cache) not in listed(mine), "not even whoever made it is told where on the server it lies"

    elsewhere("mallory")
    page = opened()
    assert targets(page) == ["My photos"] and downloads(page) == []
    assert "hers" in listed(page) and "torn.jpg" not in listed(page) + said(page), "that it is there is no secret"
    add(page, {"another.jpg": jpeg(2)}, into="hers")
    assert "hers was made by somebody else. Choose another name." in said(page)
    assert rows_of(Archive(cache / "hers"))["file_name"].tolist() == ["look.jpg"]

    elsewhere("alice")
    again = opened()  # in another tab, or after the page was loaded anew
    assert targets(again) == ["hers"] and "rejected.csv" in downloads(again)
    assert "1 photo added to hers." in said(add(again, {"third.jpg": jpeg(3)}, into="hers"))

    elsewhere("mallory")
    monkeypatch.setenv("GARMENTSCOPE_SHARED", "yes")
    assert targets(opened()) == ["hers"]


def test_an_archive_of_the_command_line_is_not_for_everybody(
    opened: Callable[[], AppTest], tmp_path: Path, elsewhere: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Archive(tmp_path / "shop")
    shop.writer(VERSION).append(made("one"))
    shop.place.write("rejected.csv", b"file,reason,at\nsecret client/torn.jpg,x,y\n")
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(tmp_path / "shop"))
    assert (
        targets(opened()) == ["shop"] and downloads(opened()) == ["rejected.csv"] and str(tmp_path) in listed(opened())
    )
    elsewhere("mallory")
    page = opened()
    assert targets(page) == ["My photos"] and downloads(page) == [] and str(tmp_path) not in listed(page)
    assert "shop" in listed(page)


def test_nobody_stops_the_ingest_of_another_visitor(
    opened: Callable[[], AppTest], cache: Path, elsewhere: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    load = networks.segmenter
    monkeypatch.setattr(networks, "segmenter", lambda name: go_on.wait(WAIT) and load(name))
    elsewhere("alice")
    mine = opened()
    mine.selectbox(key="archive-target").set_value("hers")
    mine.selectbox(key="archive-model").set_value("tiny")
    mine.file_uploader[0].upload("look.jpg", jpeg(1), "image/jpeg")
    run(mine)
    press(mine, "Add photos")
    assert "Stop" in [each.label for each in mine.button]
    try:
        elsewhere("mallory")
        page = opened()
        assert "Stop" not in [each.label for each in page.button]
        assert "Photos of another visitor are being added" in said(page) and "hers" not in said(page)
        assert state_of(page, ArchiveState).job is None
        elsewhere("alice")
        assert "Stop" in [each.label for each in opened().button], "also in another tab"
    finally:
        go_on.set()
    finish(mine)


def test_a_bad_archive_hurts_no_other(
    opened: Callable[[], AppTest], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, worse = (Archive(tmp_path / name) for name in ("good", "bad", "worse"))
    for archive in (good, bad):
        archive.writer(VERSION).append(made("one", "two", taken=datetime(9999, 12, 31)))
    for archive in (bad, worse):
        out = pa.BufferOutputStream()
        pq.write_table(made("three").drop_columns(["tags"]), out)
        archive.place.write(f"{VERSION.folder}/x.parquet", out.getvalue())
    monkeypatch.setenv(
        "GARMENTSCOPE_ARCHIVE", os.pathsep.join(str(tmp_path / each) for each in ("bad", "worse", "good"))
    )
    page = opened()
    entries = [each for each in listed(page).split("</article>") if "<h3>" in each]
    by_name = {re.search("<h3>(.+?)</h3>", each)[1]: each for each in entries}  # type: ignore[index]
    assert all("<dd>2</dd>" in by_name[name] for name in ("good", "bad")) and "left out" not in by_name["good"]
    for name in ("bad", "worse"):
        assert "x.parquet is left out: it has no column tags. Move it away" in by_name[name]


def test_a_feed_is_shown_as_understood_and_its_photos_are_fetched(
    opened: Callable[[], AppTest], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_PRIVATE_FEEDS", "yes")
    with running_photos() as shop:
        shop.files = {"/1.jpg": jpeg(1), "/2.jpg": jpeg(2)}
        first, second, third = (f"{shop.address}/{number}.jpg" for number in (1, 2, 3))
        table = f"sku,image_url,market\n7,{first} {second},Milan\n8,{third},Rome\n"
        page = opened()
        page.text_input(key="archive-address-0").set_value(f"{shop.address}/feed.csv")
        run(page)
        assert "answers with 404 Not Found." in said(page)
        shop.files["/feed.csv"] = table.encode()
        press(page, "Add photos")  # tries again
        assert "Table of addresses: 3 pictures of 2 products." in said(page) and shop.asked == {"/feed.csv": 2}
        page.text_input(key="archive-address-0").set_value("")
        run(page)
        assert "Table of addresses" not in said(page)
        shop.asked.clear()
        page.file_uploader[0].upload("feed.csv", table.encode(), "text/csv")
        run(page)
        assert "Table of addresses: 3 pictures of 2 products. Its first rows as read" in said(page)
        assert page.dataframe[0].value["address"].tolist() == [first, second, third]
        assert not shop.asked, "nothing is fetched yet"
        page.radio(key="archive-feed-0").set_value("Only update photos that are in the archive")
        run(page)
        assert "Update dates and tags" in [each.label for each in page.button]
        page.radio(key="archive-feed-0").set_value("Fetch the photos")
        run(page)
        page.checkbox(key="archive-as-outfits").set_value(True)
        page.selectbox(key="archive-model").set_value("tiny")
        press(page, "Add photos")
        finish(page)
        assert "1 photo added to My photos. 1 photo is part of the outfit of another." in said(page)
        assert f"{third} was not fetched: 127.0.0.1 answers with 404 Not Found." in said(page)
        assert rows_of(Archive(cache / "My photos"))["tags"].tolist() == [{"product": "7", "market": "Milan"}]


def test_hundreds_of_files_are_told_of_the_quicker_way(opened: Callable[[], AppTest], cache: Path) -> None:
    page = opened()
    for count, sentence in ((199, ""), (200, " So many are quicker to send as one ZIP.")):
        for number in range(count):
            page.file_uploader[0].upload(f"{number}.jpg", b"x", "image/jpeg")
        run(page)
        assert f"{count} files uploaded.{sentence}" in said(page).splitlines()
