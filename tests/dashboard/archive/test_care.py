"""The section Care of the page: what an owner does to an archive, and what nobody else may."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from archive_rows import VERSION, made, rows_of
from streamlit.testing.v1 import AppTest

from dashboard.archive.shelf import Shelved
from dashboard.shared import visitor as module
from segmodels.archive.changes import read_log
from segmodels.archive.store import Archive

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "archive.py"


def key_of(archive: Archive) -> str:
    """Key of the section of an archive."""
    return f"archive-care-{Shelved('', archive.place.location, 'own').key}"


@pytest.fixture
def street(tmp_path: Path, more_models: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive of three photos among the user's own, the only one but the shipped."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "is_trusted", lambda: True)
    archive = Archive(tmp_path / "cache" / "archives" / "street")
    archive.writer(VERSION).append(made("a", "b", tags={"market": "North"}, taken=datetime(2024, 3, 1)))
    archive.writer(VERSION).append(made("c", tags={"market": "South"}))
    return archive


@pytest.fixture
def cared(street: Archive) -> Callable[..., AppTest]:
    """Opens the page with the section of an archive, street, unfolded at an action."""

    def run(action: str, archive: Archive = street) -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=120)
        page.session_state[key_of(archive)] = True
        page.run()
        page.selectbox(key=f"{key_of(archive)}-action").set_value(action).run()
        assert not page.exception
        return page

    return run


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join(each.value.replace("\\", "") for each in (*page.success, *page.error, *page.caption))


def ids(archive: Archive) -> list[str]:
    return rows_of(archive, "photo_id, file_name")["photo_id"].tolist()


def test_photos_are_deleted_after_the_word_and_come_back(cared: Callable[..., AppTest], street: Archive) -> None:
    page = cared("Delete photos")
    page.text_area(key=f"{key_of(street)}-names").set_value("?.jpg")
    page.multiselect(key=f"{key_of(street)}-tags").set_value(["market=North"]).run()
    assert "2 photos meet all of this" in said(page)
    press(page, "Delete 2 photos")
    assert "Nothing was deleted. Type DELETE" in said(page) and ids(street) == ["a", "b", "c"]
    next(each for each in page.text_input if each.label == "Type DELETE to confirm").set_value("DELETE")
    press(page, "Delete 2 photos")
    assert "2 photos deleted." in said(page) and ids(street) == ["c"]
    press(page, "Undo")
    assert "Undone: delete." in said(page) and ids(street) == ["a", "b", "c"]
    assert [entry.by for entry in read_log(street.place)] == ["this machine", "this machine"]


def test_a_privacy_request_gives_a_receipt_and_no_undo(cared: Callable[..., AppTest], street: Archive) -> None:
    page = cared("Delete photos")
    page.text_area(key=f"{key_of(street)}-names").set_value("b.jpg")
    page.checkbox(key=f"{key_of(street)}-for-good").check().run()
    assert "There is no undo" in said(page)
    next(each for each in page.text_input if each.label == "Type DELETE to confirm").set_value("DELETE")
    press(page, "Delete 1 photo")
    assert "1 photo deleted, for good." in said(page) and ids(street) == ["a", "c"]
    assert not [button for button in page.button if button.label == "Undo"]
    assert json.loads(page.session_state["ArchiveState"].outcomes[street.place.location].file[1])["sha256"] == ["b"]


def test_an_archive_is_split_merged_renamed_checked_and_deleted(
    cared: Callable[..., AppTest], street: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.jsonl"
    monkeypatch.setenv("GARMENTSCOPE_AUDIT", str(log))
    press(cared("Split by a tag"), "Split")
    north = Archive(street.place.beside("street North"))
    assert ids(north) == ["a", "b"] and ids(Archive(street.place.beside("street South"))) == ["c"]
    page = press(cared("Merge with another archive"), "Merge")  # the first of the others is chosen
    assert "From street North: 0 rows were added." in said(page)
    assert "2 parts became 1." in said(press(cared("Join small parts"), "Join parts"))
    assert "1 part with 3 rows: all can be read." in said(press(cared("Check for damage"), "Check"))
    assert "compact by this machine" in said(cared("Log"))
    page = cared("Rename")
    page.text_input(key=f"{key_of(street)}-name").set_value("alley").run()
    press(page, "Rename")
    alley = Archive(street.place.beside("alley"))
    assert "street is now called alley." in said(page) and ids(alley) == ["a", "b", "c"] and not street.versions()
    page = cared("Delete the archive", alley)
    next(each for each in page.text_input if each.label == "Type alley to confirm").set_value("street")
    press(page, "Delete alley")
    assert "Nothing was deleted" in said(page) and ids(alley)
    next(each for each in page.text_input if each.label == "Type alley to confirm").set_value("alley")
    press(page, "Delete alley")
    assert "alley was deleted, with 3 rows." in said(page) and not alley.versions()
    page.selectbox(key="archive-target").set_value("street North")  # AppTest knows no option that was typed
    assert "alley was deleted" in said(page.run()), "it stays until it is dismissed"
    assert "alley was deleted" not in said(press(page, "Dismiss"))
    done = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(each["audit"], each["archive"]) for each in done] == [
        ("archive split", "street"),
        ("archive merged", "street"),
        ("archive renamed", "street"),
        ("archive deleted", "alley"),
    ]


def test_tags_come_from_a_csv_and_a_bad_one_is_a_sentence(cared: Callable[..., AppTest], street: Archive) -> None:
    page = cared("Set tags from a CSV")
    assert "Choose a CSV first." in said(press(page, "Apply tags"))
    upload = next(each for each in page.file_uploader if each.label.startswith("CSV"))
    upload.upload("looks.csv", b"file_name,market\na.jpg,West\n", "text/csv").run()
    assert "1 photo has new tags" in said(press(page, "Apply tags"))
    assert dict(rows_of(street)["tags"][0]) == {"market": "West"}


def test_nobody_else_sees_the_section(street: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    street.place.write(".owner", module.identifier("visitor", "somebody").encode())
    monkeypatch.setattr(module, "is_trusted", lambda: False)
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.session_state[key_of(street)] = True
    page.run()
    assert not page.exception and not [each for each in page.expander if each.label.startswith("Care")]


def test_a_list_that_changes_meanwhile_moves_no_click(cared: Callable[..., AppTest], street: Archive) -> None:
    page = cared("Delete the archive")
    next(each for each in page.text_input if each.label == "Type street to confirm").set_value("street")
    Archive(street.place.beside("alley")).writer(VERSION).append(made("d"))  # it stands before street
    press(page, "Delete street")
    assert not street.versions() and Archive(street.place.beside("alley")).versions()


def test_what_is_chosen_is_what_was_listed(cared: Callable[..., AppTest], street: Archive) -> None:
    page = cared("Delete photos")
    page.text_area(key=f"{key_of(street)}-names").set_value("*").run()
    next(each for each in page.text_input if each.label == "Type DELETE to confirm").set_value("DELETE")
    street.writer(VERSION).append(made("d"))
    button = next(each for each in page.button if each.label == "Delete 3 photos")
    button.click().run()
    assert not page.exception and ids(street) == ["a", "b", "c", "d"], "the button was about other photos"


def test_nothing_is_made_of_what_is_somebody_elses(
    cared: Callable[..., AppTest], street: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "visitor", lambda: "1" * 64)
    monkeypatch.setattr(module, "is_trusted", lambda: False)
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(tmp_path / "named"))
    street.place.write(".owner", b"1" * 64)
    Archive(street.place.beside("hers")).place.write(".owner", b"2" * 64)  # made, and not yet written to
    for name in ("hers", "named"):
        page = cared("Rename")
        page.text_input(key=f"{key_of(street)}-name").set_value(name).run()
        press(page, "Rename")
        assert f"There is an archive {name} already. Choose another name." in said(page) and ids(street)
    Archive(street.place.beside("street North")).place.write(".owner", b"2" * 64)
    assert "There is an archive street North already." in said(press(cared("Split by a tag"), "Split"))
    assert not Archive(street.place.beside("street North")).versions()
