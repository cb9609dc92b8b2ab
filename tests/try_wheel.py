"""Builds a wheel, installs it into an empty environment outside the repository, and segments a photo with it.

`make wheel` runs it. What the wheel depends on is taken from the environment that runs this script; with
`--dependencies`, pip installs it, which fetches several GB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGES = ("segmodels", "train", "dashboard")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dependencies", action="store_true", help="install what the wheel needs, too")
    dependencies = parser.parse_args().dependencies
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        wheel = build(home)
        missing = left_out(wheel)
        if missing:
            print(f"The wheel lacks {len(missing)} files, {', '.join(missing[:5])} among them.", file=sys.stderr)
            return 1
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        use(install(home / "environment", wheel, dependencies), home)
    return 0


def build(home: Path) -> Path:
    """Builds from a copy, so that nothing of an older build gets in and nothing is left behind."""
    source = home / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", home, source], check=True)
    return next(home.glob("*.whl"))


def left_out(wheel: Path) -> list[str]:
    """Files of the packages that git knows and the wheel lacks; pages for who changes a package may be absent."""
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    packed = set(zipfile.ZipFile(wheel).namelist())
    links = {name for name in listed.stdout.splitlines() if (ROOT / name).is_symlink()}
    needed = {name for name in listed.stdout.splitlines() if not name.endswith(".md") or "embedded" in name} - links
    return sorted((needed | {"dashboard/.streamlit/config.toml"}) - packed)


def install(folder: Path, wheel: Path, dependencies: bool) -> Path:
    """A new environment that holds the wheel; its folder of commands is returned."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [commands / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, wheel] if dependencies else [*pip, "--no-deps", wheel], check=True)
    if not dependencies:
        paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
        Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return commands


def use(commands: Path, home: Path) -> None:
    """Calls the installed command in a folder of its own and looks at what it wrote."""
    work = home / "work"
    work.mkdir()
    Image.fromarray(skimage.data.astronaut()).save(work / "astronaut.png")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [commands / "garmentscope", *arguments], cwd=work, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"garmentscope {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    help_page = call("--help")
    assert all(f"\n    {name} " in help_page for name in ("segment", "models", "pull", "archive", "app", "train"))
    assert "usage: garmentscope app" in call("app", "--help")
    assert str(home / "environment") in call("models"), "the models are those of the wheel"
    call("segment", "astronaut.png", "--out", "out")
    listing = json.loads((work / "out" / "astronaut.json").read_text("utf-8"))
    assert Image.open(work / "out" / "astronaut.png").size == (listing["width"], listing["height"]) == (512, 512)
    found = ", ".join(f"{each['class']} {each['area_share']:.0%}" for each in listing["garments"])
    assert found, "garments are found"
    print(f"Installed, away from the repository, it finds in the example photo: {found}.")


if __name__ == "__main__":
    sys.exit(main())
