"""A recipe: all that decides what a training gives, one TOML file per experiment."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, WrapValidator
from pydantic_core import PydanticCustomError

from segmodels.architectures import ARCHITECTURES
from segmodels.datasets import DATASETS, SOURCE_EXAMPLES, SOURCES, is_dataset
from segmodels.errors import GarmentscopeError
from segmodels.validation import (
    Amount,
    Arguments,
    Count,
    CountOrZero,
    Deviation,
    Kernel,
    Pixels,
    Positive,
    Scales,
    Share,
    checked_fields,
    expected,
    key_of,
)
from train.segmentation.losses import LOSSES

__all__ = ["RECIPES", "Recipe", "RecipeError", "load_recipe", "read_toml", "recipe_from"]

RECIPES = Path(__file__).parent / "recipes"
"""The recipes that ship; `fit` takes their names without the ending."""


class RecipeError(GarmentscopeError, ValueError):
    """A recipe that cannot be used; the message names the file, the key and what is expected."""


def _check_dataset(value: Any, rest: Callable[[Any], Any]) -> Any:
    """Takes the texts that `open_dataset` takes."""
    if not is_dataset(rest(value)):
        kind, colon, _ = value.partition(":")
        if colon and kind in SOURCES:  # and no path
            raise PydanticCustomError("key", "{text}", {"text": f"{kind}: and a path, such as {SOURCE_EXAMPLES[kind]}"})
        kinds = " or ".join(f"{kind}:" for kind in SOURCES)
        raise PydanticCustomError("key", "{text}", {"text": f"one of {', '.join(DATASETS)}, or {kinds} and a path"})
    return value


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment. Every field has a default, so that a file holds only what it means to say."""

    architecture: Annotated[str, key_of(ARCHITECTURES)] = "fpn"
    """Key in `segmodels.architectures.ARCHITECTURES`."""

    arguments: Arguments = field(default_factory=dict)
    """What the architecture's function takes beside the number of classes."""

    imagenet: bool = True
    """Whether the network starts from weights of ImageNet, or of a segmentation task where it has them, or from random
    ones; what it starts from is printed."""

    dataset: Annotated[str, WrapValidator(_check_dataset)] = "ccp"
    """Key in `segmodels.datasets.DATASETS`; or one in its `SOURCES`, a colon and a path, as `coco:annotations.json`."""

    start: str = ""
    """Checkpoint to start from: a name in the catalog, a folder, or `hf://owner/repo@revision`, with `#` and a number
    for a member of an ensemble; empty for none. All weights that fit are loaded: of a wider FPN pruned, of another
    architecture the encoder's only. Classes that it does not have get new rows in the last layer."""

    frozen: CountOrZero = 0
    """Epochs at the beginning in which the encoder, its batch norms included, stays as it starts."""

    encoder_rate: Share = 1.0
    """Learning rate of the encoder, as a share of `learning_rate`."""

    split: str = ""
    """File with the columns `id` and `fold`, as `check-data` writes it. If empty, the folds are those that are stored
    for the data set, else those of `split.csv` in its folder, else dealt out by the classes that photos show."""

    fold: Annotated[int, Field(ge=-1, le=999), expected("the number of a fold, or -1")] = 0
    """Fold of the split that is left out of training and chooses the epoch; -1 trains on all folds and keeps the last
    epoch, so that `epochs` must have been chosen before."""

    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    """Number of folds of the photos; where five are stored, any other number hashes their photos anew."""

    photos: CountOrZero = 0
    """How many of the training photos are used, the first ones; 0 for all."""

    pseudo: str = ""
    """Folder of pseudo-labels (`pseudo-label`) whose photos are trained on beside the folds'; empty for none."""

    teacher: str = ""
    """Folder of a checkpoint from whose probabilities the network learns too (distillation); empty for none."""

    teacher_share: Share = 0.5
    """Share of the cross-entropy with the teacher's probabilities in the loss, where there is a teacher."""

    flatlays: str = ""
    """Folder of flat-lays, photos of one garment without a person, that are trained on beside the photos of people;
    empty for none."""

    flatlay_masks: str = ""
    """Folder of their masks (`mask-flatlays`)."""

    flatlay_share: Share = 0.2
    """Share of the flat-lays among the training crops."""

    samples: CountOrZero = 0
    """Training crops of an epoch; 0 for as many as there are photos."""

    height: Pixels = 480
    """Height of the network's input, in pixels."""

    width: Pixels = 240
    """Width of the network's input, in pixels."""

    mean: Share = 0.5
    """Subtracted from each channel after scaling to 0..1."""

    std: Deviation = 0.5
    """Each channel is divided by it after the mean is subtracted."""

    cache_side: Annotated[int, Field(ge=16, le=8192)] = 640
    """Photos are decoded once and kept with this long side, in pixels; crops are cut from there."""

    crop: Literal["person", "box", "found", "none"] = "found"
    """`person`, `box` and `found`: training crops are cut around the person that the truth shows, and the checkpoint
    finds its regions of interest by that rule of `CheckpointConfig.crop`; `none`: whole photos only."""

    resize: Literal["keep", "squash"] = "keep"
    """`keep`: a crop has the shape of the input and reaches beyond the photo where it must; `squash`: it is resized to
    the input whatever its shape."""

    person: Literal["truth", "detector"] = "truth"
    """What says where the person of a training crop is: the true mask; or the person detector, as where the checkpoint
    is used with the crop `box`. Take the detector where the mask shows a part of what is worn only."""

    whole_photo: Share = 0.25
    """Share of training crops that show about the whole photo; the others show about the person."""

    framing: Share = 0.0
    """Share of the training crops that are cut from a part of the photo that shows a part of the person only, as a bust
    or a pair of legs does."""

    margin: Share = 0.06
    """Border around the person, as a share of the longer side of the box; training jitters around it."""

    crop_margin: Share = 0.03
    """Border around the person when the checkpoint is used."""

    scales: Scales = field(default_factory=lambda: [1.0])
    """Factors on the input's size over which the checkpoint, when it is used, averages."""

    mirror: bool = False
    """Whether the checkpoint, when it is used, averages each crop with its mirror image."""

    opening_kernel: Kernel = 0
    """Side of the square that opens each class's probabilities when the checkpoint is used, in pixels of the input, an
    odd number; 0 for none (Inácio et al., section IV-C)."""

    jitter: Share = 0.08
    """How far each side of a training crop's box moves at random, as a share of the box's side."""

    stretch: Share = 0.12
    """How far a training crop's shape leaves the photo's, as a share."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 8.0
    """Largest rotation of a training crop, in degrees either way."""

    flip: bool = True
    """Whether half of the training crops are mirrored."""

    colour_jitter: Share = 0.25
    """Largest relative change of brightness and contrast of four fifths of the training crops."""

    saturation_jitter: Share = 0.25
    """Largest relative change of saturation of the same crops; hue moves by a tenth of it."""

    grey: Share = 0.03
    """Share of the training crops that lose their colours."""

    noise: Share = 0.02
    """Standard deviation of the Gaussian noise that half of the training crops get, of a range of 0..1."""

    low_light: Share = 0.0
    """Share of the training crops that are darkened to 0.12 to 0.5 of their brightness and get more noise."""

    warmth: Share = 0.0
    """Largest logarithm of the factor on red, whose inverse is that on blue: the colour temperature of the light."""

    skin_tone: Share = 0.0
    """Share of the training crops whose true Skin pixels are multiplied by 0.3 to 1.15, so that the network does not
    depend on them being light."""

    blur: Share = 0.0
    """Share of the training crops that a Gaussian of 0.5 to 3 pixels blurs."""

    low_resolution: Share = 0.0
    """Share of the training crops that are reduced to 0.2 to 0.7 of their size and enlarged again."""

    jpeg: Share = 0.0
    """Share of the training crops that went through JPEG of quality 10 to 59."""

    paste: Share = 0.0
    """Share of the training crops onto which a garment of another photo is pasted, at the same place on the body."""

    pasted: list[str] = field(default_factory=lambda: ["Glasses", "Hat", "Romper", "Scarf/Tie", "Socks"])
    """Names of the classes that are pasted, each as often as the others."""

    mix: Share = 0.0
    """Share of the training crops of which a rectangle shows the same part of another person's body."""

    sampling: Literal["uniform", "rare"] = "rare"
    """`uniform`: each photo once an epoch; `rare`: photos drawn by the rarest class they show."""

    loss: Annotated[str, key_of(LOSSES)] = "cross_entropy_dice"
    """Key in `train.segmentation.losses.LOSSES`."""

    gamma: Amount = 2.0
    """Exponent of the focal loss: how strongly easy pixels are played down; 0 is cross-entropy."""

    optimiser: Literal["adam", "adamw", "rmsprop", "sgd"] = "adamw"
    """Which optimiser steps."""

    learning_rate: Positive = 1e-3
    """Highest learning rate of the schedule."""

    momentum: Amount = 0.0
    """Momentum of SGD and RMSprop."""

    weight_decay: Amount = 0.01
    """Decoupled weight decay with AdamW, added to the gradient with the others; biases and norms are not decayed."""

    schedule: Literal["constant", "inverse_time", "one_cycle", "plateau"] = "one_cycle"
    """`constant`; `inverse_time`: `learning_rate / (1 + decay * step)`, which old Keras calls decay; `one_cycle`: up
    for 15 per cent of the steps, then down; `plateau`: times 0.1 when the validation loss has not fallen for
    `plateau_patience` epochs."""

    decay: Amount = 0.0
    """Decay of the schedule `inverse_time`, by step."""

    plateau_patience: CountOrZero = 3
    """Patience of the schedule `plateau`, in epochs."""

    clip: Amount = 5.0
    """Largest norm of the gradient; a longer one is shortened to it. 0 for no limit."""

    batch_size: Count = 8
    """Photos that a device holds at a time, summed over all processes."""

    accumulate: Count = 1
    """Batches whose gradients make one step: a small GPU takes half the `batch_size` and twice of this. The photos of
    a step are the product of the two, and a run may go on with any other pair of the same product."""

    epochs: Count = 30
    """Most epochs."""

    patience: Count = 10
    """Epochs without a better score on the fold after which the fit stops."""

    stop_by: Literal["mean_iou", "pixel_accuracy"] = "mean_iou"
    """The score that `patience` is about. Which epoch is kept, mean IoU decides."""

    average: Annotated[float, Field(ge=0, lt=1), expected("at least 0 and below 1")] = 0.998
    """Decay of the exponential moving average of the weights that is judged and kept; 0 keeps the plain weights."""

    seed: Annotated[int, Field(ge=0, le=4_000_000)] = 0
    """Seed of all random numbers."""

    def __post_init__(self) -> None:
        checked_fields(Recipe, vars(self), RecipeError)
        if self.schedule == "plateau" and self.fold == -1:
            raise RecipeError("schedule plateau needs a fold to judge by, and fold is -1. Take another schedule.")
        if self.flatlays and not self.flatlay_masks:
            raise RecipeError("flatlays needs flatlay_masks, the folder that python -m train mask-flatlays wrote.")
        if self.samples and self.sampling == "uniform":
            raise RecipeError('samples needs sampling = "rare": with "uniform" an epoch takes each photo once.')
        if self.person == "detector" and self.crop == "none":
            raise RecipeError('person = "detector" needs a crop about the person, and crop is "none".')
        if self.flatlays and self.sampling == "uniform":
            raise RecipeError('flatlays needs sampling = "rare", which keeps to flatlay_share.')

    @property
    def aspect(self) -> float | None:
        """Height over width of a crop; None if it is squashed from the shape it has."""
        return self.height / self.width if self.resize == "keep" else None

    @property
    def step_photos(self) -> int:
        """Photos of an optimiser step, over all processes."""
        return self.batch_size * self.accumulate

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, as TOML and JSON can hold them."""
        return asdict(self)


def load_recipe(source: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe by path, or by the name of one that ships (`own/fpn`).

    Args:
        source: Path or name of the recipe.
        changes: Keys to replace, as `key=value`; the value as TOML has it, quotes may be left out; no value is "".

    Raises:
        RecipeError: If there is no such file, it is not TOML, or a key is unknown or of another type.
    """
    name, values = read_toml(source, RECIPES, "recipe")
    changed = dict(map(_change, changes))
    try:
        return recipe_from(values | changed)
    except RecipeError as error:
        what = f"{name} with {', '.join(changes)}" if changes else name
        raise RecipeError(f"{what}: {error}") from None


def read_toml(source: str | Path, folder: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Name and content of a TOML file, given by path, or by the name of one that ships in `folder`.

    Args:
        source: Path or name of the file.
        folder: Folder with the files that ship.
        what: Kind of the files in the folder, for people.

    Raises:
        RecipeError: If there is no such file, or it is not TOML.
    """
    path = Path(source)
    if not path.is_file():
        path = folder / f"{source}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.toml")))
        raise RecipeError(f"There is no {what} {source}: name a TOML file, or one of those that ship: {known}.")
    try:
        return path.name, tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise RecipeError(f"{path.name} is not in UTF-8. Save it in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name} is not valid TOML: {error}. Correct it.") from None


def _change(text: str) -> tuple[str, Any]:
    """Key and value of `key=value`."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key.isidentifier() and equals):
        raise RecipeError(f"A key is replaced by key=value, such as epochs=3, not by {text!r}.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """A recipe from keys and values.

    Raises:
        RecipeError: If a key is unknown or a value is of another type.
    """
    return Recipe(**checked_fields(Recipe, values, RecipeError))
