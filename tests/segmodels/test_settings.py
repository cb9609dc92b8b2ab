"""Each variable is read in one place, typed, and honoured wherever it should be."""

import ast
import os
import re
import shutil
import tempfile
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import pytest
import torch
from archive_rows import VERSION, made
from platformdirs.macos import MacOS
from streamlit.testing.v1 import AppTest

import segmodels.inference.detector
import segmodels.inference.segmenter
from dashboard.archive.shelf import cache_folder as folder_of_archives
from dashboard.archive.shelf import list_archives
from dashboard.shared.principal import Principal
from dashboard.trends.cache import facts as load_facts
from dashboard.trends.choice import choices
from segmodels import load_segmenter
from segmodels.archive.facts import View
from segmodels.archive.store import Archive
from segmodels.checkpoints.catalog import hub_owner, list_checkpoints
from segmodels.device import DeviceError, pick_device
from segmodels.inference.detector import find_people
from segmodels.settings import PREFIX, Settings, read_settings
from train.data.cache import cache_folder

ROOT = Path(__file__).parents[2]
MODULES = [path for package in ("segmodels", "train", "dashboard") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home; no variable of Garmentscope is set."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


def test_nothing_is_set(home: Path) -> None:
    defaults = Settings(
        *("", "", (), "", "", None, (), (), (), home / ".cache" / "garmentscope", (), "", None, ""),
        *(None, (), (), False, (), "", None, "", "", "", False, False),
    )
    assert read_settings({}) == read_settings() == defaults
    assert read_settings({f"{PREFIX}{each.name.upper()}": "" for each in fields(Settings)}) == defaults


def test_everything_is_set(home: Path) -> None:
    between = os.pathsep
    assert read_settings(
        {
            "GARMENTSCOPE_DEVICE": " cuda:1 ",
            "GARMENTSCOPE_RUNTIME": " OpenVINO ",
            "GARMENTSCOPE_MODELS": between.join(["~/models", "", "/models"]),
            "GARMENTSCOPE_HUB": " atelier ",
            "GARMENTSCOPE_DETECTOR": "~/detector",
            "GARMENTSCOPE_DATA": "~/ccp",
            "GARMENTSCOPE_DATASETS": " coco:~/a.json , coco:b.json = ~/photos,, masks:c,cfpd=/cfpd, masks:c",
            "GARMENTSCOPE_ARCHIVE": between.join(["~/looks", "s3://bucket/looks", " ", "/looks"]),
            "GARMENTSCOPE_PHOTOS": between.join(["~/photos", "/photos"]),
            "GARMENTSCOPE_CACHE": "~/cache",
            "GARMENTSCOPE_SOUTHERN": "market=AU, shop = Rio = 2 ,,Chile",
            "GARMENTSCOPE_KEEP": " 30 ",
            "GARMENTSCOPE_SLIDES": "~/team.pptx",
            "GARMENTSCOPE_SHARED": "Yes",
            "GARMENTSCOPE_PRIVATE_FEEDS": "1",
            "GARMENTSCOPE_API": " photos=8 ",
            "GARMENTSCOPE_TOKENS": "~/tokens.json",
            "GARMENTSCOPE_PEOPLE": " @Shop.example,, ben@x ",
            "GARMENTSCOPE_KEEPERS": "Ann@shop.example",
            "GARMENTSCOPE_TRUST_EMAIL": "yes",
            "GARMENTSCOPE_PROXIES": "10.0.0.0/24,fd00::1",
            "GARMENTSCOPE_BASE_PATH": "/garments/",
            "GARMENTSCOPE_AUDIT": "~/audit.jsonl",
            "GARMENTSCOPE_WEBHOOKS": " Private ",
            "GARMENTSCOPE_LABEL_STUDIO": "http://localhost:8080",
            "GARMENTSCOPE_LABEL_STUDIO_KEY": "abc",
        }
    ) == Settings(
        device="cuda:1",
        runtime="openvino",
        models=(home / "models", Path("/models")),
        hub="atelier",
        detector=str(home / "detector"),
        data=home / "ccp",
        datasets=(
            (f"coco:{home / 'a.json'}", None),
            ("coco:b.json", home / "photos"),
            ("masks:c", None),
            ("cfpd", Path("/cfpd")),
        ),
        archive=(str(home / "looks"), "s3://bucket/looks", "/looks"),
        photos=(home / "photos", Path("/photos")),
        cache=home / "cache",
        keep="30",
        slides=home / "team.pptx",
        southern=(("market", "AU"), ("shop", "Rio = 2"), ("Chile", "")),
        shared=True,
        private_feeds=True,
        api="photos=8",
        tokens=home / "tokens.json",
        people=("@shop.example", "ben@x"),
        keepers=("ann@shop.example",),
        trust_email=True,
        proxies=("10.0.0.0/24", "fd00::1"),
        base_path="garments",
        audit=home / "audit.jsonl",
        webhooks="private",
        label_studio="http://localhost:8080",
        label_studio_key="abc",
    )
    assert read_settings({"GARMENTSCOPE_DETECTOR": "coco"}).detector == "coco"
    assert read_settings({"XDG_CACHE_HOME": "~/caches"}).cache == home / "caches" / "garmentscope"
    assert read_settings({"GARMENTSCOPE_CACHE": "~nobody-of-this-name/a"}).cache == Path("~nobody-of-this-name/a")


def test_the_system_has_a_folder_of_caches(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "segmodels.settings.user_cache_path", lambda name, appauthor: MacOS(name, appauthor).user_cache_path
    )
    assert read_settings({}).cache == home / "Library" / "Caches" / "garmentscope"
    assert read_settings({"XDG_CACHE_HOME": "/caches"}).cache == Path("/caches/garmentscope")


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("segmodels.settings.user_cache_path", unknown)
    assert read_settings({}).cache == Path(tempfile.gettempdir()) / "garmentscope"


def test_the_table_says_the_same() -> None:
    page = (ROOT / "segmodels" / "SETTINGS.md").read_text("utf-8")
    table = page.partition("|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert table == [
        f"| `{PREFIX}{each.name.upper()}` | {each.metadata['meaning']} | {each.metadata['default']} |"
        for each in fields(Settings)
    ]
    assert "(SETTINGS.md)" in (ROOT / "segmodels" / "README.md").read_text("utf-8")


def test_a_variable_that_a_page_names_is_one(home: Path) -> None:
    known = {f"{PREFIX}{each.name.upper()}" for each in fields(Settings)} | {"GARMENTSCOPE_CHROMIUM"}
    pages = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *MODULES] if path.name != "CHANGELOG.md"]
    named = {name for page in pages for name in re.findall(rf"{PREFIX}[A-Z]+(?:_[A-Z]+)*", page.read_text("utf-8"))}
    assert named == known


def test_variables_are_read_in_one_module() -> None:
    """A name alone in quotes is one to look up; sentences that name a variable are longer."""
    readers = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(rf"{PREFIX}\w*", node.value)
    }
    assert readers == {str(Path("segmodels", "settings.py"))}


def test_device(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
    monkeypatch.setenv("GARMENTSCOPE_DEVICE", "abacus")
    for asks in (pick_device, lambda: load_segmenter("fpn")):
        with pytest.raises(DeviceError, match="^GARMENTSCOPE_DEVICE 'abacus' is not available"):
            asks()


def test_models(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(models, home / "mine")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", "~/mine")
    assert {each.name: each.folder for each in list_checkpoints()}["tiny"] == home / "mine" / "tiny"


def test_hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_HUB", "atelier")
    assert hub_owner() == "atelier"


def test_detector(models: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Nobody:
        def find(self, photo: object) -> list[object]:
            return []

    def load(which: str = "", *_: object) -> Nobody:
        asked.append(which)
        return Nobody()

    segmenter = load_segmenter(str(models / "tiny"))
    for module in (segmodels.inference.detector, segmodels.inference.segmenter):
        monkeypatch.setattr(module, "load_detector", load)
    monkeypatch.setenv("GARMENTSCOPE_DETECTOR", "~/detector")
    assert isinstance(segmenter.detector, Nobody) and find_people(None) == []  # type: ignore[arg-type]
    assert asked == [str(home / "detector")] * 2


def test_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ccp" / "photos").mkdir(parents=True)
    monkeypatch.setenv("GARMENTSCOPE_DATA", "~/ccp")
    shutil.rmtree(home / "ccp")
    page = AppTest.from_file(str(ROOT / "dashboard" / "app_pages" / "dataset.py"), default_timeout=120).run()
    said = " ".join(each.value for each in [*page.info, *page.warning, *page.error]).replace("\\", "")
    assert "GARMENTSCOPE_DATA is set to ccp, which is not a folder." in said


def test_archive(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", os.pathsep.join(["~/looks", "s3://bucket/shop"]))
    expected = [str(home / "looks"), "s3://bucket/shop"]
    assert [each.location for each in list_archives() if each.origin == "named"] == expected
    assert [each.location for each in choices(Principal(""))][:2] == expected


def test_photos(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Trends page asks for them; its own tests look at the pictures."""
    monkeypatch.setenv("GARMENTSCOPE_PHOTOS", "~/photos")
    assert read_settings().photos == (home / "photos",)


def test_southern(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Archive(home).writer(VERSION).append(made("one", tags={"market": "AU"}, taken=datetime(2024, 6, 15)))
    opened = []
    for setting in ("", "market=AU,market=Brazil"):
        monkeypatch.setenv("GARMENTSCOPE_SOUTHERN", setting)
        facts = load_facts(str(home), VERSION)[0].result()
        opened.append((facts.southern, facts.hemispheres(View())))
    assert opened == [((), "north"), ((("market", "AU"),), "south")]


@pytest.mark.parametrize("name", ["GARMENTSCOPE_CACHE", "XDG_CACHE_HOME"])
def test_cache(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "~/caches")
    caches = home / "caches" / ("" if name == "GARMENTSCOPE_CACHE" else "garmentscope")
    assert cache_folder() == caches
    assert folder_of_archives() == caches / "archives"
    assert Path(choices(Principal(""))[-1].location).parent == caches, "the made-up sample of Trends"
