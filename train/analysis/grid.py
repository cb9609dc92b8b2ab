"""A grid of experiments that `probe` goes through, one TOML file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from segmodels.validation import Count, CountOrZero, Positive, Share, checked_fields
from train.recipe import Recipe, RecipeError, read_toml, recipe_from

__all__ = ["GRIDS", "Grid", "load_grid"]

GRIDS = Path(__file__).parents[1] / "grids"
"""The grids that ship; `probe` takes their names without the ending."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells, which are all combinations of the five lists, and the sizes of the three steps.

    An empty list stands for the recipe's own value.
    """

    architectures: list[str] = field(default_factory=list)
    """Keys in `segmodels.architectures.ARCHITECTURES`."""

    losses: list[str] = field(default_factory=list)
    """Keys in `train.segmentation.losses.LOSSES`."""

    optimisers: list[str] = field(default_factory=list)
    """Values of the recipe's `optimiser`."""

    learning_rates: list[Positive] = field(default_factory=list)
    """Values of the recipe's `learning_rate`."""

    batch_sizes: list[Count] = field(default_factory=list)
    """Values of the recipe's `batch_size`."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """A table by architecture of what its function takes; where there is none, the recipe's own architecture has the
    recipe's arguments, and the others their defaults."""

    one_epochs: Count = 300
    """Epochs on one photo."""

    one_mean_iou: Share = 0.75
    """A cell that does not reach this mean IoU on the photo that it was fitted to does not overfit, and is out."""

    subset_photos: Count = 20
    """Photos in the subset that is overfitted, and in the other one that it is judged on."""

    subset_epochs: Count = 100
    """Epochs on the subset."""

    keep: CountOrZero = 0
    """How many cells of each architecture go on to the split, the best on the other subset; 0 for all."""

    split_photos: CountOrZero = 0
    """How many of the nine tenths are trained on, the first ones; 0 for all. All of the tenth are judged."""

    split_epochs: Count = 30
    """Most epochs on the split."""

    def __post_init__(self) -> None:
        checked_fields(Grid, vars(self), RecipeError)

    def recipes(self, recipe: Recipe) -> list[Recipe]:
        """The recipe of each cell.

        Args:
            recipe: Recipe that gives what the grid does not.

        Raises:
            RecipeError: If a value in a list is none that a recipe takes, or two cells are the same.
        """
        cells = []
        for architecture, loss, optimiser, learning_rate, batch_size in product(
            self.architectures or [recipe.architecture],
            self.losses or [recipe.loss],
            self.optimisers or [recipe.optimiser],
            self.learning_rates or [recipe.learning_rate],
            self.batch_sizes or [recipe.batch_size],
        ):
            own = recipe.arguments if architecture == recipe.architecture else {}
            changes = {
                "architecture": architecture,
                "arguments": self.arguments.get(architecture, own),
                "loss": loss,
                "optimiser": optimiser,
                "learning_rate": learning_rate,
                "batch_size": batch_size,
            }
            cells.append(recipe_from(recipe.to_dict() | changes))
            if cells[-1] in cells[:-1]:
                raise RecipeError(f"{architecture}, {loss}, {optimiser}, {learning_rate}, {batch_size} is there twice.")
        return cells

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, as TOML and JSON can hold them."""
        return asdict(self)


def load_grid(source: str | Path) -> Grid:
    """Reads a grid by path, or by the name of one that ships (`small`).

    Raises:
        RecipeError: If there is no such file, it is not TOML, or a key is unknown or of another type.
    """
    name, values = read_toml(source, GRIDS, "grid")
    try:
        return Grid(**checked_fields(Grid, values, RecipeError))
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from None
