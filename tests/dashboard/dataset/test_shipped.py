import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.dataset.shipped import (
    CCP,
    StatisticsError,
    flow_table,
    garments_table,
    parts_table,
    read_statistics,
    shares,
    shares_table,
    sizes_table,
)
from dashboard.shared.tables import as_csv
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15
from train.__main__ import main


def rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(table).decode())))


def test_the_numbers_that_ship() -> None:
    ccp = read_statistics()
    assert (ccp.photos, ccp.tagged, ccp.taxonomy) == (900, 900, OUTFIT_15)
    assert tuple(each.name for each in ccp.counts["labels"]) == CCP_59
    assert {each.name: each.class_name for each in ccp.counts["labels"] if each.class_name} == CCP_TO_OUTFIT_15
    assert ccp.unseen("labels") == ("clogs", "intimate", "panties", "swimwear") and not ccp.unseen("classes")
    assert [part.photos for part in ccp.parts] == [158, 166, 158, 159, 157, 101, 1]
    assert sum(ccp.garments["classes"].values()) == sum(ccp.garments["labels"].values()) == 900
    assert ccp.width.smallest == ccp.width.largest == 550 and sum(ccp.height.photos) == 900
    assert CCP.stat().st_size < 50_000


def test_shares_by_hand() -> None:
    ccp = read_statistics()
    pixels = {each.count.name: each for each in shares(ccp, "classes", "pixels", background=True)}
    assert sum(each.share for each in pixels.values()) == pytest.approx(1)
    assert pixels["Background"].share == pytest.approx(0.7711, abs=5e-5)
    without = shares(ccp, "classes", "pixels", background=False)
    assert without[0].count.name == "Coat" and without[0].share == pytest.approx(0.2001, abs=5e-5)
    assert [each.share for each in without] == sorted((each.share for each in without), reverse=True)
    photos = {each.count.name: each for each in shares(ccp, "labels", "photos", background=False)}
    assert (photos["jeans"].value, photos["jeans"].share) == (141, 141 / 900)
    assert "null" not in photos and "clogs" not in photos and len(photos) == 54
    labels = shares(ccp, "labels", "pixels", background=False)
    assert sum(each.share for each in labels) == pytest.approx(1)


def test_every_chart_is_there_as_numbers() -> None:
    ccp = read_statistics()
    classes = {row["class"]: row for row in rows(shares_table(ccp, "classes"))}
    assert tuple(classes) == OUTFIT_15.names and classes["Background"]["share_of_foreground"] == ""
    assert classes["Romper"]["photos"] == "31" and classes["Coat"]["share_of_foreground"] == "0.200132"
    labels = {row["label"]: row for row in rows(shares_table(ccp, "labels"))}
    assert labels["blazer"]["class"] == "Coat" and labels["panties"]["class"] == ""
    flow = rows(flow_table(ccp))
    coats = sum(int(row["pixels"]) for row in flow if row["class"] == "Coat")
    assert len(flow) == 59 and str(coats) == classes["Coat"]["pixels"]
    assert sum(int(row["photos"]) for row in rows(garments_table(ccp)) if row["counted"] == "labels") == 900
    assert {"side": "width", "from": "550", "below": "551", "photos": "900"} in rows(sizes_table(ccp))
    parts = {row["part"]: row for row in rows(parts_table(ccp))}
    assert list(parts) == ["Fold 0", "Fold 1", "Fold 2", "Fold 3", "Fold 4", "Test", "None"]
    assert parts["Test"]["photos"] == "101" and parts["Test"]["Scarf/Tie"] == "9"


def test_what_the_command_writes_is_what_the_page_reads(photo_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "made" / "up.json"
    command = ["stats", "--dataset", "ccp", "--data", str(photo_folder), "--out", str(tmp_path), "--json", str(path)]
    assert main(command) == 0
    found = read_statistics(path)
    assert (found.photos, found.tagged, found.pixels) == (16, 1, 16 * 72 * 48)
    counts = {each.name: each for each in found.counts["labels"]}
    assert (counts["blazer"].photos, counts["jeans"].pixels) == (4, 16 * 28 * 24)
    assert found.garments == {"classes": {2: 12, 3: 4}, "labels": {3: 12, 4: 4}}  # a belt is background
    assert sum(part.photos for part in found.parts) == 16


def test_the_numbers_that_ship_are_those_of_the_real_data_set(clothing_co_parsing: Path, tmp_path: Path) -> None:
    path, root = tmp_path / "ccp.json", str(clothing_co_parsing)
    assert main(["stats", "--dataset", "ccp", "--data", root, "--out", str(tmp_path), "--json", str(path)]) == 0
    assert path.read_text() == CCP.read_text()


def damaged(change: Callable[[dict[str, Any]], None]) -> str:
    found = json.loads(CCP.read_text())
    change(found)
    return json.dumps(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "made.json cannot be read"),
        ("[]", "made.json is damaged"),
        (damaged(lambda f: f.pop("photos_by_number_of_garments")), "has no 'photos_by_number_of_garments'; an older"),
        (damaged(lambda f: f["classes"].pop("Coat")), "its classes are not those of OUTFIT_15"),
        (damaged(lambda f: f.update(photos="many")), "is damaged"),
        (damaged(lambda f: f["width"]["histogram"]["edges"].pop()), "one edge more than it has bins"),
        (damaged(lambda f: f.update(pixels=1)), "pixels of its classes do not add up"),
        (
            damaged(lambda f: f["labels"]["blazer"].update({"class": "Cape"})),
            "which is not a class",
        ),
        (
            damaged(lambda f: f["labels"]["blazer"].update({"class": "Hat"})),
            "labels that become Coat do not add",
        ),
        (damaged(lambda f: f["height"]["histogram"]["photos"].__setitem__(0, 3)), "does not cover all of its photos"),
        (damaged(lambda f: f["parts"].pop()), "parts of its split do not cover all"),
    ],
)
def test_a_file_of_another_form_is_a_sentence(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "made.json"
    path.write_text(content)
    with pytest.raises(StatisticsError, match=message) as caught:
        read_statistics(path)
    assert "Count it again: python -m train stats" in str(caught.value)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StatisticsError, match="nowhere.json cannot be read"):
        read_statistics(tmp_path / "nowhere.json")
