import json
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from segmodels.architectures import ARCHITECTURES
from segmodels.datasets import DATASETS
from train.recipe import RECIPES, Recipe, RecipeError, load_recipe, recipe_from
from train.segmentation.losses import LOSSES

SHIPPED = sorted(RECIPES.rglob("*.toml"))


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_recipes_ship() -> None:
    assert RECIPES / "own" / "fpn.toml" in SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path: Path) -> None:
    name = path.relative_to(RECIPES).with_suffix("").as_posix()
    recipe = load_recipe(name)
    assert recipe == load_recipe(path) == load_recipe(str(path))
    for key, value in tomllib.loads(path.read_text("utf-8")).items():
        assert getattr(recipe, key) == value
    assert recipe.architecture in ARCHITECTURES and recipe.dataset in DATASETS and recipe.loss in LOSSES


def test_an_empty_recipe_is_the_default(write) -> None:  # type: ignore[no-untyped-def]
    assert load_recipe(write("")) == Recipe()


def test_a_recipe_goes_through_json_and_comes_back() -> None:
    recipe = Recipe(arguments={"encoder": "resnet18"}, epochs=3, sampling="uniform")
    assert recipe_from(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert list(recipe.to_dict()) == [item.name for item in fields(Recipe)]


def test_the_detectors_person_needs_a_crop_about_a_person() -> None:
    with pytest.raises(RecipeError, match=r'person = "detector" needs a crop about the person, and crop is "none"\.'):
        Recipe(person="detector", crop="none")


def test_a_square_of_an_even_side_opens_nothing() -> None:
    assert Recipe(opening_kernel=5).opening_kernel == 5
    with pytest.raises(RecipeError, match="opening_kernel must be 0 or an odd number of pixels, not 4"):
        Recipe(opening_kernel=4)


def test_a_source_is_a_data_set(write) -> None:  # type: ignore[no-untyped-def]
    assert load_recipe(write("dataset = 'coco:my photos/instances.json'")).dataset == "coco:my photos/instances.json"


def test_a_whole_number_is_a_number(write) -> None:  # type: ignore[no-untyped-def]
    recipe = load_recipe(write("rotation = 5\nlearning_rate = 1"))
    assert recipe.rotation == 5.0 and type(recipe.rotation) is float


def test_every_field_is_documented() -> None:
    source = Path(RECIPES.parent, "recipe.py").read_text("utf-8")
    body = source[source.index("class Recipe:") : source.index("def __post_init__")].splitlines()
    for item in fields(Recipe):
        line = next(n for n, text in enumerate(body) if text.strip().startswith(f"{item.name}:"))
        assert body[line + 1].strip().startswith('"""'), item.name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epoch = 3", "mine.toml: unknown key epoch. Did you mean epochs?"),
        (
            "[optimiser]\nname = 'sgd'",
            "mine.toml: optimiser must be 'adam', 'adamw', 'rmsprop' or 'sgd', not {'name': 'sgd'}.",
        ),
        ("sampling = 'often'", "mine.toml: sampling must be 'uniform' or 'rare', not 'often'."),
        ("epochs = 3.5", "mine.toml: epochs must be a whole number, not 3.5."),
        ("epochs = '3'", "mine.toml: epochs must be a whole number, not '3'."),
        ("epochs = true", "mine.toml: epochs must be a whole number, not True."),
        ("imagenet = 1", "mine.toml: imagenet must be true or false, not 1."),
        ("learning_rate = 'high'", "mine.toml: learning_rate must be a number, not 'high'."),
        ("learning_rate = true", "mine.toml: learning_rate must be a number, not True."),
        ("architecture = 3", "mine.toml: architecture must be a text, not 3."),
        ("arguments = 'resnet18'", "mine.toml: arguments must be a table of keys and values, not 'resnet18'."),
        ("epochs = 0", "mine.toml: epochs must be at least 1, not 0."),
        ("batch_size = -1", "mine.toml: batch_size must be at least 1, not -1."),
        ("height = 15", "mine.toml: height must be a whole number of pixels from 16 to 2048, not 15."),
        ("margin = -0.1", "mine.toml: margin must be a number between 0 and 1, not -0.1."),
        ("average = 1.0", "mine.toml: average must be at least 0 and below 1, not 1.0."),
        ("learning_rate = 0", "mine.toml: learning_rate must be above 0, not 0."),
        ("learning_rate = nan", "mine.toml: learning_rate must be a finite number, not nan."),
        ("grey = 1.5", "mine.toml: grey must be a number between 0 and 1, not 1.5."),
        ("margin = nan", "mine.toml: margin must be a number between 0 and 1, not nan."),
        (
            "scales = [1, 'half']",
            "mine.toml: scales must be a list of up to 8 factors from 0.25 to 4, not [1, 'half'].",
        ),
        ("folds = 1", "mine.toml: folds must be at least 2, not 1."),
        ("decay = -1e-6", "mine.toml: decay must be at least 0, not -1e-06."),
        ("schedule = 'plateau'\nfold = -1", "mine.toml: schedule plateau needs a fold to judge by, and fold is -1."),
        ("std = 0", "mine.toml: std must be a number from 0.001 to 10, as pixels are scaled to 0..1, not 0."),
        ("architecture = 'fnp'", "mine.toml: architecture must be one of fpn"),
        ("dataset = 'coco'", "mine.toml: dataset must be one of ccp"),
        (
            "dataset = 'voc:x'",
            "mine.toml: dataset must be one of ccp, cfpd, ccp_cfpd, imaterialist, fashionpedia, "
            "or coco: or masks: or yolo: or labelstudio: or cvat: or hub: and a path, not 'voc:x'.",
        ),
        (
            "dataset = 'coco:'",
            "mine.toml: dataset must be coco: and a path, such as coco:annotations.json, not 'coco:'.",
        ),
        ("loss = 'lovasz'", "mine.toml: loss must be one of complement_cross_entropy, cross_entropy, "),
        ("epochs = ", "mine.toml is not valid TOML: "),
        ("epochs = 3\nepochs = 4", "mine.toml is not valid TOML: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(write, text: str, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(text))
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    for content in (b"\xff\xfe\x00", "epochs = 3".encode("utf-16"), b"# \xe9t\xe9"):
        (tmp_path / "mine.toml").write_bytes(content)
        with pytest.raises(RecipeError, match=r"mine\.toml is not in UTF-8. Save it in UTF-8."):
            load_recipe(tmp_path / "mine.toml")


def test_the_mark_that_editors_of_windows_write_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("epochs = 3", "utf-8-sig")
    assert load_recipe(tmp_path / "mine.toml").epochs == 3


def test_no_such_recipe() -> None:
    with pytest.raises(RecipeError, match=r"^There is no recipe own/fnp: name a TOML file, or .*: .*own/fpn.*\.$"):
        load_recipe("own/fnp")


def test_keys_are_replaced_from_outside() -> None:
    changes = ["dataset=ccp", "epochs = 2", "arguments={encoder='resnet18'}", "learning_rate=1e-2", "imagenet=false"]
    recipe = load_recipe("inacio/fpn", changes)
    assert (recipe.dataset, recipe.epochs, recipe.arguments) == ("ccp", 2, {"encoder": "resnet18"})
    assert (recipe.learning_rate, recipe.imagenet, recipe.height) == (0.01, False, 320)
    assert load_recipe("own/fpn_all").start and load_recipe("own/fpn_all", ["start="]).start == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("epochs", "A key is replaced by key=value, such as epochs=3, not by 'epochs'."),
        ("=3", "A key is replaced by key=value, such as epochs=3, not by '=3'."),
        ("epochs=", "fpn.toml with epochs=: epochs must be a whole number, not ''."),
        ("epoch=3", "fpn.toml with epoch=3: unknown key epoch."),
        ("epochs=many", "fpn.toml with epochs=many: epochs must be a whole number, not 'many'."),
    ],
)
def test_a_change_that_cannot_be_made(change: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("own/fpn", [change])
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("seed", [-1, 10_000_000])
def test_a_seed_that_no_epoch_could_use(seed: int) -> None:
    with pytest.raises(RecipeError, match="seed"):
        recipe_from({"seed": seed})
