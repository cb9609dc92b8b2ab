"""Lists every sentence that says what went wrong, as `segmodels/ERRORS.md`: `make errors` writes it.

Sentences are found in the source: those that an error of the family of `GarmentscopeError` is made with, those that a
page shows as an error or a warning, and those that a command writes to stderr or refuses its arguments with. A part in
braces is filled in; a sentence that comes whole from another function is not listed.
"""

from __future__ import annotations

import ast
import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGE", "ROOT", "Sentence", "family", "modules", "page", "sentences", "sentences_of"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "segmodels" / "ERRORS.md"
_PACKAGES = ("segmodels", "train", "dashboard")
_SHOWN = {"error": "page", "warning": "page"}
_HEAD = """# Every error sentence

Written by `make errors` from the source, and compared with it by `tests/test_errors_page.py`. A part in braces is
filled in. An error sentence says which file, what is wrong and what to do, and, where something was being written, what
is safe; [`errors.py`](errors.py) has the family of errors.
"""


class Sentence(NamedTuple):
    """A sentence, and how it reaches a person: the name of the error, `page`, `stderr` or `usage`."""

    line: int
    way: str
    text: str


def family() -> set[str]:
    """Names of `GarmentscopeError` and of all classes that are derived from it."""
    parents: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                parents[node.name] = {ast.unparse(each).rpartition(".")[2] for each in node.bases}
    found = {"GarmentscopeError"}
    while more := {name for name, bases in parents.items() if bases & found} - found:
        found |= more
    return found


def sentences(path: Path, errors: set[str]) -> list[Sentence]:
    """The sentences of a module, in the order of its lines.

    Args:
        path: Path of the module.
        errors: Names of the errors whose message is for people.
    """
    return sentences_of(path.read_text("utf-8"), errors)


def sentences_of(source: str, errors: set[str]) -> list[Sentence]:
    """The sentences of a module's source, in the order of its lines.

    Args:
        source: Source of the module.
        errors: Names of the errors whose message is for people.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        owner = ast.unparse(node.func).partition(".")[0]
        if name in errors:
            way = name
        elif owner == "st" and name in _SHOWN:
            way = _SHOWN[name]
        elif name == "error" and owner == "parser":
            way = "usage"
        elif name in ("print", "write") and any(
            keyword.arg == "file" and ast.unparse(keyword.value) == "sys.stderr" for keyword in node.keywords
        ):
            way = "stderr"
        else:
            continue
        sentence = node.args[1] if way == "ProblemError" and len(node.args) > 1 else node.args[0]  # after its kind
        found += [Sentence(node.lineno, way, text) for text in _texts(sentence)]
    return sorted(set(found))


def page() -> str:
    """The whole page."""
    errors = family()
    parts = [_HEAD]
    for path in modules():
        if found := sentences(path, errors):
            name = path.relative_to(ROOT).as_posix()
            rows = [f"| {each.way} | {_cell(each.text)} |" for each in found]
            parts.append("\n".join([f"## {name}", "", "| How | Sentence |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def modules() -> list[Path]:
    """All modules of the three packages."""
    return sorted(path for package in _PACKAGES for path in (ROOT / package).rglob("*.py"))


def _texts(node: ast.expr) -> Iterator[str]:
    """The sentences that an expression may be; none where it is made elsewhere."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "literal" and node.args:
        yield from _texts(node.args[0])
    elif (text := _text(node)) and re.search(r"\w [\w{]", re.sub(r"\{[^}]*\}", "", text)):
        yield text


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.FormattedValue):
        return "{" + _called(node.value) + "}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "{" + _called(node) + "}"


def _called(node: ast.expr) -> str:
    """What stands between braces: names as they are, calls by their function, other expressions as dots."""
    if isinstance(node, ast.Name | ast.Attribute):
        return ast.unparse(node)
    if isinstance(node, ast.Call):
        first = _called(node.args[0]) if node.args else "…"
        return first if first != "…" else ast.unparse(node.func).rpartition(".")[2]
    return "…"


def _cell(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} written.", file=sys.stderr)
