import json
from dataclasses import fields
from pathlib import Path

import pytest

from train.analysis.grid import GRIDS, Grid, load_grid
from train.recipe import Recipe, RecipeError, load_recipe

SHIPPED = sorted(GRIDS.glob("*.toml"))


def test_cells_are_all_combinations() -> None:
    recipe = Recipe(architecture="unet", arguments={"encoder": "resnet18"}, learning_rate=0.2, epochs=7)
    grid = Grid(
        architectures=["unet", "fpn", "fcn"],
        losses=["focal", "cross_entropy"],
        batch_sizes=[1, 4],
        arguments={"fcn": {"encoder": "resnet50"}},
    )
    cells = grid.recipes(recipe)
    assert len(cells) == 12 and [cell.batch_size for cell in cells[:3]] == [1, 4, 1]
    assert {(cell.architecture, *cell.arguments.values()) for cell in cells} == {
        ("unet", "resnet18"),
        ("fpn",),
        ("fcn", "resnet50"),
    }
    assert {(cell.learning_rate, cell.optimiser, cell.epochs) for cell in cells} == {(0.2, "adamw", 7)}


def test_an_empty_grid_is_the_recipe() -> None:
    assert Grid().recipes(Recipe(epochs=3)) == [Recipe(epochs=3)]


def test_small_ships() -> None:
    assert {path.stem for path in SHIPPED} == {"castro", "small"}
    assert len(load_grid("small").recipes(load_recipe("own/trial"))) == 4


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_grid_loads(path: Path) -> None:
    grid = load_grid(path.stem)
    assert grid == load_grid(path)
    cells = grid.recipes(load_recipe("castro/table5_atrous"))
    sizes = (grid.architectures, grid.losses, grid.optimisers, grid.learning_rates, grid.batch_sizes)
    count = 1
    for values in sizes:
        count *= max(1, len(values))
    assert len(cells) == count
    assert Grid(**json.loads(json.dumps(grid.to_dict()))) == grid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3", "unknown key epochs"),
        ("losses = 'focal'", "losses must be a list"),
        ("learning_rates = [1, 'fast']", r"learning_rates\[1\] must be a number, not 'fast'"),
        ("keep = -1", "keep must be at least 0"),
        ("subset_photos = 0", "subset_photos must be at least 1"),
        ("one_mean_iou = 1.5", "one_mean_iou must be a number between 0 and 1, not 1.5"),
        ("losses = [", "is not valid TOML"),
    ],
)
def test_what_is_no_grid(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as raised:
        load_grid(path)
    assert "mine.toml" in str(raised.value)


def test_a_grid_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match="There is no grid tiny: .* ship: castro, small."):
        load_grid("tiny")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(architectures=["yolo"]), "architecture must be one of"),
        (Grid(optimisers=["adagrad"]), "optimiser must be 'adam'"),
        (Grid(batch_sizes=[2, 2]), "2 is there twice"),
    ],
)
def test_cells_that_are_no_recipes(grid: Grid, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        grid.recipes(Recipe())


def test_every_field_is_documented() -> None:
    source = Path(GRIDS.parent, "analysis", "grid.py").read_text("utf-8")
    body = source[source.index("class Grid:") : source.index("def __post_init__")].splitlines()
    for item in fields(Grid):
        line = next(n for n, text in enumerate(body) if text.strip().startswith(f"{item.name}:"))
        assert body[line + 1].strip().startswith('"""'), item.name


def test_a_number_out_of_bounds_makes_no_grid() -> None:
    with pytest.raises(RecipeError, match=r"^batch_sizes\[0\] must be at least 1, not 0\.$"):
        Grid(batch_sizes=[0])
