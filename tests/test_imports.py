"""Who may import whom, what may be unpickled, and what is public: read off the source, nothing is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("segmodels", "train", "dashboard")
FORBIDDEN = {
    "segmodels": {"train", "dashboard", "streamlit", "lightning", "pytorch_lightning"},
    "train": {"dashboard", "streamlit"},
    "dashboard": {"train", "lightning", "pytorch_lightning"},
}
UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            yield ast.unparse(node.args[0]).strip("'\"").split(".")[0]


def names_used(tree: ast.AST) -> set[str]:
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}


def test_all_three_packages_are_read() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)


@each_module
def test_dependencies_run_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert not FORBIDDEN[package] & set(imported(ast.parse(path.read_text("utf-8"))))


@each_module
def test_nothing_is_unpickled(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert not UNPICKLERS & set(imported(tree))
    assert "read_pickle" not in names_used(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("allow_pickle", "False") == "False", f"line {node.lineno}"
            if ast.unparse(node.func) == "torch.load":
                assert keywords.get("weights_only") == "True", f"line {node.lineno}"
    from_torch = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "torch"]
    assert "load" not in {alias.name for node in from_torch for alias in node.names}, "call it torch.load"


def test_only_caches_and_networks_are_shared_by_all_visitors() -> None:
    caching = {
        path.relative_to(ROOT)
        for path in MODULES
        if {"cache_data", "cache_resource", "experimental_memo"} & names_used(ast.parse(path.read_text("utf-8")))
    }
    networks = Path("dashboard", "shared", "networks.py")
    assert networks in caching
    assert {path.name for path in caching - {networks}} == {"cache.py"}


def is_library(path: Path) -> bool:
    """Whether others import from it: not a script, not an `__init__` that binds nothing of its own."""
    scripts = path.name in ("__main__.py", "app.py") or path.parent.name == "app_pages"
    body = ast.parse(path.read_text("utf-8")).body
    return not scripts and not (path.name == "__init__.py" and all(map(_binds_nothing, body)))


def _binds_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr | ast.Import | ast.ImportFrom)


@pytest.mark.parametrize("path", list(filter(is_library, MODULES)), ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_listed(path: Path) -> None:
    """An `__all__` holds every public function and class, and nothing undefined."""
    bound: set[str] = set()
    public: set[str] = set()
    listed: list[str] | None = None
    body = ast.parse(path.read_text("utf-8")).body
    lazy = [node for node in body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for node in [*body, *(inner for block in lazy for inner in block.body)]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
            public |= {node.name} if not node.name.startswith("_") else set()
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if ast.unparse(targets[0]) == "__all__" and node.value:
                listed = ast.literal_eval(node.value)
    assert listed is not None, "no __all__"
    assert len(set(listed)) == len(listed)
    assert set(listed) <= bound
    assert public <= set(listed)
