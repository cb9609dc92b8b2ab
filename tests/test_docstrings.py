"""Docstrings can be read alone: "Height of the photo, in pixels.", not "Of the photo, in pixels."."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for package in ("segmodels", "train", "dashboard") for path in (ROOT / package).rglob("*.py"))
FRAGMENT = re.compile(r"(Of|That|As|In|For|To|With|From|On|By|Under|Beside)\b")


def entries(tree: ast.AST) -> list[tuple[str, str, str]]:
    """Name of the function or class, of the argument, and the text of its entry."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", ast.get_docstring(node) or "", re.MULTILINE)
        entries = re.finditer(r"^    (\w+): (.*)", section[1] if section else "", re.MULTILINE)
        found.extend((node.name, entry[1], entry[2]) for entry in entries)
    return found


def first_lines(tree: ast.AST) -> list[tuple[str, str]]:
    """Name and text of each docstring of a function, a class, and of a field or constant, which follows it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((node.name, ast.get_docstring(node) or ""))
        if isinstance(node, ast.ClassDef | ast.Module):
            for one, other in pairwise(node.body):
                text = other.value if isinstance(other, ast.Expr) else None
                if isinstance(one, ast.Assign | ast.AnnAssign) and isinstance(text, ast.Constant):
                    found.append((ast.unparse(one).partition(" ")[0].rstrip(":"), str(text.value)))
    return found


def test_the_entries_are_found() -> None:
    tree = ast.parse(
        'def f(a, b):\n    """Does.\n\n    Args:\n        a: Of it,\n            more.\n        b: Number.\n    """'
    )
    assert entries(tree) == [("f", "a", "Of it,"), ("f", "b", "Number.")]


def test_the_first_lines_are_found() -> None:
    tree = ast.parse('class C:\n    """Holds."""\n    a: int\n    """Of it."""\n\n\nB = 1\n"""Number."""')
    assert sorted(first_lines(tree)) == [("B", "Number."), ("C", "Holds."), ("a", "Of it.")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_entry_is_no_fragment(path: Path) -> None:
    fragments = [entry for entry in entries(ast.parse(path.read_text("utf-8"))) if FRAGMENT.match(entry[2])]
    assert not fragments


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_first_line_is_no_fragment(path: Path) -> None:
    assert not [line for line in first_lines(ast.parse(path.read_text("utf-8"))) if FRAGMENT.match(line[1])]
