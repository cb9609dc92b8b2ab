"""How the project is set up: the lock files, the Makefile's two states, and what a wheel must hold."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOL = re.compile(r"(?P<path>PYTHONPATH=\. )?(\$\(BIN\)/)?python tests/(?P<name>\w+)\.py")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def locked(name: str) -> set[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def named(lines: set[str]) -> set[str]:
    return {line.partition("==")[0] for line in lines}


def test_what_the_app_needs_is_a_part_of_the_whole() -> None:
    app, whole = locked("requirements-app.lock"), locked("requirements.lock")
    assert {line.partition(" ;")[0] for line in app} < {line.partition(" ;")[0] for line in whole}
    assert {"streamlit", "plotly", "statsmodels", "torch"} <= named(app)
    assert not {"pytest", "mypy", "ruff", "playwright", "lightning", "ray"} & named(app)
    assert {"pytest", "mypy", "ruff", "playwright", "lightning", "ray"} <= named(whole)


def planned(target: str, folder: Path) -> str:
    """What `make` would do with an environment in this folder."""
    command = ["make", "--dry-run", "--no-print-directory", f"VENV={folder}", target]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of a `make test`
    return subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout


def test_the_app_is_set_up_without_the_tools_of_tests(tmp_path: Path) -> None:
    first = planned("app", tmp_path)
    assert "-m venv" in first and "-r requirements-app.lock" in first and "-m dashboard" in first
    assert "requirements.lock" not in first and "chromium" not in first
    assert "-r requirements.lock" in planned("check", tmp_path)


def test_either_may_be_set_up_first(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    (tmp_path / ".app").touch()
    assert "pip" not in planned("app", tmp_path)
    rest = planned("check", tmp_path)
    assert "-r requirements.lock" in rest and "-m venv" not in rest and f"touch {tmp_path}/.app" in rest
    (tmp_path / ".ready").touch()
    assert "pip" not in planned("check", tmp_path) + planned("app", tmp_path)


def test_packages_are_typed_and_say_so() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("segmodels", "train", "dashboard"):
        assert (ROOT / package / "py.typed").is_file() and "py.typed" in data[package]


def test_tools_are_run_where_they_find_the_packages() -> None:
    """`tests/segmodels` would stand for the package: a tool beside it needs the root of the repository on its path."""
    texts = [ROOT / "Makefile", *(path for path in ROOT.rglob("*.md") if path.relative_to(ROOT).parts[0][0] != ".")]
    found = [match for path in texts for match in TOOL.finditer(path.read_text("utf-8"))]
    assert len(found) > 30
    for match in found:
        source = (ROOT / "tests" / f"{match['name']}.py").read_text("utf-8")
        needs = re.search(r"^\s*(from|import) (segmodels|train|dashboard|tests)\b", source, re.MULTILINE)
        assert not needs or match["path"], match[0]
