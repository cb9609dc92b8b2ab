"""`python -m train fit | evaluate`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from segmodels.checkpoint import CheckpointError
from segmodels.datasets import DatasetError
from train.recipe import RecipeError, load_recipe


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; 0 if it did its work, 1 with one sentence on stderr if not."""
    parser = argparse.ArgumentParser(prog="python -m train", description="Fits and judges segmentation networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train a network by a recipe; the same command goes on after a stop")
    fit.add_argument("recipe", help="a TOML file, or the name of a recipe that ships, such as own/fpn")
    fit.add_argument("--data", type=Path, required=True, help="folder of the data set")
    fit.add_argument("--out", type=Path, required=True, help="folder of the run")
    fit.add_argument("--name", help="name of the checkpoint in the catalog (default: the architecture)")
    fit.add_argument("--workers", type=int, default=min(8, max(1, (os.cpu_count() or 2) - 1)), metavar="N")
    parsed = parser.parse_args(arguments)
    try:
        return _fit(parsed)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last whole epoch.", file=sys.stderr)
        return 130
    except (CheckpointError, DatasetError, RecipeError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1


def _fit(arguments: argparse.Namespace) -> int:
    from train.fit import fit

    recipe = load_recipe(arguments.recipe)
    folder = fit(recipe, arguments.data, arguments.out, name=arguments.name, workers=arguments.workers)
    print(f"The best epoch is in {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
