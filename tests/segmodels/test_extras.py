"""What each package imports, what each extra brings, and what a command says whose extra is not there."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from segmodels.extras import missing_extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
COMMANDS = PROJECT["entry-points"]["garmentscope.commands"]
NAMES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "iterstrat": "iterative-stratification",
    "pptx": "python-pptx",
    "pydantic_core": "pydantic",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
ABSENT = "streamlit plotly statsmodels lightning pytorch_lightning ray supervision tensorboard".split()
Run = Callable[..., str]


def packages(requirements: list[str]) -> set[str]:
    """Names of the distributions, without versions and extras."""
    return {requirement.split(">")[0].split("=")[0].split("[")[0] for requirement in requirements}


def outermost(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported; what only a type checker reads is left out."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) != "TYPE_CHECKING":
            yield from outermost([*node.body, *node.orelse])


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Names of the distributions that are imported, without this project's packages and Python's own."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module))
    found = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"segmodels", "train", "dashboard"}
    return {NAMES.get(name, name.replace("_", "-")) for name in found}


def test_segmodels_imports_what_is_always_there() -> None:
    base = packages(PROJECT["dependencies"])
    paths = sorted((ROOT / "segmodels").rglob("*.py"))
    trees = {path: ast.parse(path.read_text("utf-8")) for path in paths}
    assert {path.name: more for path in paths if (more := imported(outermost(trees[path].body)) - base)} == {}
    inside = set().union(*(imported(ast.walk(tree)) for tree in trees.values())) - base
    extras = {"av", "datasets", "onnx", "onnxruntime", "openvino", "rawpy", "ray", "statsmodels", "supervision"}
    assert inside == extras | {"transformers", "watchdog"}


@pytest.mark.parametrize(("package", "extras"), [("dashboard", ["app"]), ("train", ["train", "onnx", "openvino"])])
def test_an_extra_brings_what_its_package_imports(package: str, extras: list[str]) -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / package).rglob("*.py")]
    found = set().union(*(imported(ast.walk(tree)) for tree in trees))
    assert "numpy" in found and found <= packages(
        [*PROJECT["dependencies"], *(each for name in extras for each in EXTRAS[name])]
    )


def test_all_is_all_and_dev_holds_it() -> None:
    each = ["app", "train", "ray", "supervision", "tensorboard", "transformers", "onnx", "openvino"]
    each += ["watch", "raw", "video", "datasets"]
    assert set(EXTRAS) == {*each, "all", "dev"}
    assert EXTRAS["all"] == [f"garmentscope[{','.join(each)}]"]
    assert "garmentscope[all]" in EXTRAS["dev"]


def test_the_sentence() -> None:
    sentence = missing_extra("app", "numpy", "no_such_module")
    assert sentence == 'This command needs no_such_module, which is not installed: pip install "garmentscope[app]"'
    assert missing_extra("app", "numpy") == ""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python where this project is installed, as it is now, without what the extras bring."""
    folder = tmp_path_factory.mktemp("bare")
    info = folder / "path" / f"garmentscope-{PROJECT['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: garmentscope\nVersion: {PROJECT['version']}\n")
    lines = [f"{name} = {value}" for name, value in COMMANDS.items()]
    (info / "entry_points.txt").write_text("\n".join(["[garmentscope.commands]", *lines]))

    def run(code: str, *arguments: str) -> str:
        start = (
            f"import sys; sys.path[:0] = {[str(info.parent), str(ROOT)]}; sys.modules.update(dict.fromkeys({ABSENT}))"
        )
        command = [sys.executable, "-c", f"{start}\n{code}", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.stderr == "" and done.returncode == 0
        return done.stdout

    return run


REFUSED = {
    "garmentscope app": ("streamlit", "app"),
    "garmentscope serve": ("streamlit", "app"),
    "garmentscope train fit": ("lightning", "train"),
    "train --help": ("lightning", "train"),
    "garmentscope archive ingest . --archive a --engine ray": ("ray", "ray"),
}
"""Commands, the last but one as `python -m train`; with the module that is not there and the extra that brings it."""

ANSWERS = """
import io, json, runpy
from contextlib import redirect_stderr, redirect_stdout

def answer(program, *arguments):
    sys.argv = [program, *arguments]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            runpy.run_module({"garmentscope": "segmodels"}.get(program, program), run_name="__main__")
        except SystemExit as stopped:
            return stopped.code, out.getvalue(), err.getvalue()

print(json.dumps({line: answer(*line.split()) for line in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def answers(bare: Run) -> dict[str, list[object]]:
    """Status, stdout and stderr of each command; one process runs all, as it takes seconds to start."""
    found: dict[str, list[object]] = json.loads(bare(ANSWERS, "garmentscope --help", "garmentscope models", *REFUSED))
    return found


def test_every_module_of_segmodels_can_be_imported(bare: Run) -> None:
    said = bare(
        "import importlib, pkgutil, segmodels\n"
        "for name in segmodels.__all__: getattr(segmodels, name)\n"
        "names = [each.name for each in pkgutil.walk_packages(segmodels.__path__, 'segmodels.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), segmodels.__version__)"
    )
    count, version = said.split()
    assert int(count) > 50 and version == PROJECT["version"]


def test_commands_of_the_library_run(answers: dict[str, list[object]]) -> None:
    status, shown, errors = answers["garmentscope --help"]
    assert (status, errors) == (0, "")
    listed = {line.split()[0] for line in str(shown).splitlines() if line.startswith("    ") and line.strip()}
    assert {"segment", "models", "pull", "archive", "app", "train"} <= listed
    status, models, errors = answers["garmentscope models"]
    assert (status, errors) == (0, "") and "fpn " in str(models)


@pytest.mark.parametrize("command", REFUSED)
def test_a_command_without_its_extra_says_what_to_install(command: str, answers: dict[str, list[object]]) -> None:
    module, extra = REFUSED[command]
    sentence = f'This command needs {module}, which is not installed: pip install "garmentscope[{extra}]"\n'
    assert answers[command] == [2, "", sentence]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = EntryPoint(name, COMMANDS[name], "garmentscope.commands").load()
    with pytest.raises(SystemExit) as stopped:
        command(["--help"])
    assert stopped.value.code == 0 and capsys.readouterr().out.startswith("usage: ")
