"""What the READMEs of the rooms and CONTRIBUTING name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md"]
PAGES += [path for package in ("segmodels", "train", "dashboard") for path in (ROOT / package).rglob("*.md")]
PAGES = [page for page in PAGES if "embedded" not in page.parts]
_ELSEWHERE = {"preprocessor_config.json", "garmentscope.json"}  # files of networks from elsewhere
_ENDINGS = r"(?:py|md|toml|csv|txt|json|yml)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text("utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("package", ["segmodels", "train", "dashboard"])
def test_the_files_that_a_room_names_are_there(package: str) -> None:
    text = (ROOT / package / "README.md").read_text("utf-8")
    names = set(re.findall(rf"`([\w/]+\.{_ENDINGS})`", text))
    assert len(names) > 5
    folders = [ROOT, ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]
    names = {name for name in names - _ELSEWHERE if "NAME" not in name}  # what whoever adds something is to choose
    missing = [name for name in names if not any((folder / name).exists() for folder in folders)]
    assert not missing


def test_every_module_of_a_room_is_in_a_folder_that_its_readme_names() -> None:
    for package in ("segmodels", "train"):
        text = (ROOT / package / "README.md").read_text("utf-8")
        rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert rooms and all(f"`{room}/`" in text for room in rooms), package
