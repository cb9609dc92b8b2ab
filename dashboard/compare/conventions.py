"""Conventions of a ground truth: which class each value of a mask stands for.

A file that does not say is read in the classes of the models, unless its values speak against that: it has an id that
is no class of theirs, nothing but 0 and 255, or it agrees with what the models find far better in other known classes.
Then the visitor is asked.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from PIL import Image

from dashboard.compare.ground_truth import MaskError, read_mask, read_values
from segmodels.datasets import DatasetError
from segmodels.datasets.coco import draw_coco
from segmodels.datasets.drawn import Classes
from segmodels.datasets.masks import class_table, listed_classes
from segmodels.mappings import ClassMapping, MappingError, common_classes, shipped_mappings
from segmodels.photo import PhotoError, read_stored
from segmodels.taxonomy import OUTFIT_15, TAXONOMIES, UNLABELLED, Taxonomy, make_taxonomy

__all__ = [
    "Convention",
    "Prediction",
    "TruthFile",
    "coco_truths",
    "is_class_list",
    "read_class_list",
    "read_truth_file",
]

_MOST_NAMED = 4  # classes of a convention
_SIDE = 320  # pixels of the longest side on which agreement is counted
_AGREES = 0.5  # least agreement of another convention that is asked about
_BETTER = 2.0  # and least factor on that of the models' classes


@dataclass(frozen=True, eq=False)
class Convention:
    """Meaning of the values of a mask.

    Args:
        name: Name for people.
        taxonomy: Taxonomy of the classes.
        table: Class id by value, int16 `(256,)`; `UNLABELLED` for pixels that are not judged, -1 for what is no class.
        mapping: Mapping of the taxonomy, where none that ships has it.
    """

    name: str
    taxonomy: Taxonomy
    table: np.ndarray
    mapping: ClassMapping | None = None

    def fits(self, values: Sequence[int]) -> bool:
        """Whether each of the values stands for a class or for none on purpose."""
        return bool((self.table[list(values)] >= 0).all())

    def read(self, values: np.ndarray) -> np.ndarray:
        """Class ids or `UNLABELLED`, uint8 `(H, W)`."""
        return np.asarray(self.table[values], np.uint8)

    def words(self, values: Sequence[int]) -> str:
        """Its name, and what some values of a mask stand for."""
        known = [value for value in values if 0 < self.table[value] != UNLABELLED]
        if not known or UNLABELLED in known:
            return self.name
        named = [f"{value} {self.taxonomy.names[self.table[value]]}" for value in known[:_MOST_NAMED]]
        return f"{self.name}: {', '.join(named)}{' …' if len(known) > _MOST_NAMED else ''}"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model finds in the photo of a mask.

    Args:
        model: Catalog name of the model.
        taxonomy: Taxonomy of the class map.
        class_map: uint8 `(h, w)`, of any size.
    """

    model: str
    taxonomy: Taxonomy
    class_map: np.ndarray


@dataclass(frozen=True, eq=False)
class TruthFile:
    """A ground truth of a visitor.

    Args:
        name: File name.
        data: The file: a PNG, or a .mat of Clothing Co-Parsing.
        conventions: Conventions in which it can be read, the likeliest first; at least one.
        values: Values in the mask, from the lowest; none for a file that is no PNG.
        question: Sentence to ask the visitor which one it is; empty if that is known.
        chosen: Name of the convention that it is read in; empty if that is not known.
    """

    name: str
    data: bytes
    conventions: tuple[Convention, ...]
    values: tuple[int, ...] = ()
    question: str = ""
    chosen: str = ""

    @property
    def convention(self) -> Convention | None:
        """The convention that it is read in; None as long as the visitor has not said."""
        return next((each for each in self.conventions if each.name == self.chosen), None)

    def ids(self, width: int, height: int) -> np.ndarray:
        """Class ids or `UNLABELLED`, uint8 `(height, width)`.

        Raises:
            MaskError: If the file cannot be read.
        """
        convention = self.convention
        assert convention
        if self.data.startswith(b"MATLAB"):
            return read_mask(self.name, self.data, width, height)
        return convention.read(read_values(self.name, self.data, width, height))

    def read_as(self, name: str) -> TruthFile:
        """The same file, read in another convention."""
        return replace(self, chosen=name)

    def words(self, name: str) -> str:
        """What a convention is, for people."""
        return next(each for each in self.conventions if each.name == name).words(self.values)


def read_truth_file(
    name: str,
    data: bytes,
    size: tuple[int, int],
    taxonomies: Sequence[Taxonomy],
    classes: Classes | None = None,
    predictions: Sequence[Prediction] = (),
    own: Sequence[ClassMapping] = (),
) -> TruthFile:
    """Reads a mask and finds out, as far as it can, what its values stand for.

    Args:
        name: File name.
        data: The file: a PNG of 8-bit palette or grey, or a .mat of Clothing Co-Parsing.
        size: Width and height of the photo, in pixels.
        taxonomies: Taxonomies of the models, at least one.
        classes: Classes of a list that came with it.
        predictions: What models find in the photo.
        own: Mappings of one's own.

    Raises:
        MaskError: If it cannot be used; the message is for the visitor.
    """
    if data.startswith(b"MATLAB"):
        read_mask(name, data, *size)
        ccp = Convention("Clothing Co-Parsing", OUTFIT_15, _identity(OUTFIT_15))
        return _checked(TruthFile(name, data, (ccp,), chosen=ccp.name), taxonomies, own)
    values = read_values(name, data, *size)
    present = np.unique(values).tolist()
    used = [value for value in present if value != UNLABELLED]
    if classes:
        by_list = Convention(classes.taxonomy.name, classes.taxonomy, class_table(classes))
        if not by_list.fits(used):
            unknown = next(value for value in used if by_list.table[value] < 0)
            raise MaskError(f"{name} contains the id {unknown}, which the list of classes does not name. Correct it.")
        return _checked(TruthFile(name, data, (by_list,), tuple(used), chosen=by_list.name), taxonomies, own)
    models = _models_conventions(taxonomies)
    if present == [UNLABELLED]:
        read_mask(name, data, *size, taxonomies[0])  # says what is wrong
    if present == [0, UNLABELLED]:
        every = [each for each in _two_valued(taxonomies[0], UNLABELLED) if _connected(each, taxonomies, own)]
        every.append(replace(models[0], name="Unlabelled; 0 is the background"))
        question = f"{name} has only the values 0 and {UNLABELLED}. What is {UNLABELLED}?"
        return TruthFile(name, data, tuple(every), tuple(present), question)
    others = [*_known_conventions(taxonomies), *(_two_valued(taxonomies[0], 1) if used == [0, 1] else [])]
    others = [each for each in others if each.fits(used) and _connected(each, taxonomies, own)]
    fitting = [each for each in models if each.fits(used)]
    if not fitting and not others:
        read_mask(name, data, *size, taxonomies[0])  # says what is wrong
    every = [*fitting, *others]
    if coloured := next((each for each in every if _has_palette(data, each.taxonomy, used)), None):
        return TruthFile(name, data, tuple(every), tuple(used), chosen=coloured.name)
    agreement = {each.name: _agreement(each, values, predictions, own) for each in every}
    every.sort(key=lambda each: -agreement[each.name])  # stable: the models' come first where nothing is known
    file = TruthFile(name, data, tuple(every), tuple(used))
    if not fitting:
        number = next(value for value in used if not models[0].fits([value]))
        question = f"{name} contains the id {number}, which is no class of {models[0].name}. What are its ids?"
        return replace(file, question=question)
    mine = max(fitting, key=lambda each: agreement[each.name])
    best = every[0]
    if agreement[best.name] >= max(_AGREES, _BETTER * agreement[mine.name]):
        question = (
            f"As ids of {best.name}, {name} agrees with the models on {agreement[best.name]:.0%} of the person; as ids "
            f"of {mine.name} on {agreement[mine.name]:.0%}. What are its ids?"
        )
        return replace(file, question=question)
    return file.read_as(mine.name)


def coco_truths(
    name: str,
    data: bytes,
    photos: Mapping[str, bytes],
    taxonomies: Sequence[Taxonomy],
    own: Sequence[ClassMapping] = (),
) -> dict[str, TruthFile]:
    """The truths of photos in a COCO file, such as Segment exports.

    Args:
        name: File name.
        data: The file.
        photos: Content of each photo by its name.
        taxonomies: Taxonomies of the models, at least one.
        own: Mappings of one's own.

    Returns:
        The truth by name of the photo.

    Raises:
        MaskError: If it is no such file, names none of the photos, or an annotation cannot be read.
    """
    try:
        stored = {normalize("NFC", each): (each, read_stored(content, each)) for each, content in photos.items()}
        taxonomy, drawn = draw_coco(Path(name), data, {each: size for each, (_, size) in stored.items()})
    except (DatasetError, PhotoError) as error:
        raise MaskError(str(error)) from None
    if not drawn:
        raise MaskError(f"{name} names no photo of this session, such as {next(iter(photos))}. Add the photo first.")
    convention = Convention(taxonomy.name, taxonomy, _identity(taxonomy))
    return {
        stored[each][0]: _checked(
            TruthFile(name, _png(truth.truth), (convention,), chosen=convention.name), taxonomies, own
        )
        for each, truth in drawn.items()
    }


def is_class_list(name: str, data: bytes) -> bool:
    """Whether a file is a list of classes, `classes.txt` or `classes.json`, and not a mask."""
    if name.lower().endswith(".txt"):
        return True
    if not name.lower().endswith(".json"):
        return False
    try:
        content: Any = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, list) or (isinstance(content, dict) and "images" not in content)


def read_class_list(name: str, data: bytes) -> Classes:
    """The classes of a list.

    Raises:
        MaskError: If it is no list of classes; the message is for the visitor.
    """
    try:
        return listed_classes(Path(name), data.decode("utf-8-sig"), Path(name).stem)
    except UnicodeDecodeError:
        raise MaskError(f"{name} is not UTF-8 text. Save it as UTF-8.") from None
    except DatasetError as error:
        raise MaskError(str(error)) from None


def _checked(file: TruthFile, taxonomies: Sequence[Taxonomy], own: Sequence[ClassMapping]) -> TruthFile:
    """A file whose classes, if they are known, are connected with those of the models.

    Raises:
        MaskError: If they are not.
    """
    if convention := file.convention:
        try:
            common_classes({file.name: convention.taxonomy, **_named(taxonomies)}, [*own, *_mappings(convention)])
        except MappingError as error:
            raise MaskError(str(error)) from None
    return file


def _two_valued(taxonomy: Taxonomy, value: int) -> list[Convention]:
    """Conventions of a mask that has 0 and one other value: all that is not background, or one class."""
    background = taxonomy.names[0]
    person = make_taxonomy("two values", [background, "Everything else"])
    classes = {background: (background,), person.names[1]: taxonomy.names[1:]}
    mapping = ClassMapping(person.name, taxonomy.name, "", classes, "the mask")
    table = _table({0: 0, UNLABELLED: UNLABELLED, value: 1})
    return [
        Convention("The person: everything but the background", person, table, mapping),
        *(
            Convention(f"{name}; 0 is everything else", make_taxonomy("two values", [background, name]), table)
            for name in taxonomy.display_order
            if name != background
        ),
    ]


def _models_conventions(taxonomies: Sequence[Taxonomy]) -> list[Convention]:
    distinct: list[Taxonomy] = []
    for each in taxonomies:
        if not any(each.matches(known) for known in distinct):
            distinct.append(each)
    return [Convention(each.name, each, _identity(each)) for each in distinct]


def _known_conventions(taxonomies: Sequence[Taxonomy]) -> list[Convention]:
    """Conventions of known data sets, without those of the models."""
    names = {frozenset(each.names[1:]) for each in taxonomies}
    found = []
    for each in (*TAXONOMIES.values(), *(mapping.taxonomy() for mapping in shipped_mappings())):
        if (key := frozenset(each.names[1:])) not in names:
            names.add(key)
            found.append(Convention(each.name, each, _identity(each)))
    return found


def _connected(convention: Convention, taxonomies: Sequence[Taxonomy], own: Sequence[ClassMapping]) -> bool:
    try:
        common_classes({"the mask": convention.taxonomy, **_named(taxonomies)}, [*own, *_mappings(convention)])
    except MappingError:
        return False
    return True


def _agreement(
    convention: Convention, values: np.ndarray, predictions: Sequence[Prediction], own: Sequence[ClassMapping]
) -> float:
    """Mean over models of the share of the person's pixels on which mask and model name the same class, 0..1."""
    shares = []
    step = max(1, max(values.shape) // _SIDE)
    truth = convention.read(values[::step, ::step])
    for each in predictions:
        common = common_classes(
            {"mask": convention.taxonomy, each.model: each.taxonomy}, [*own, *_mappings(convention)]
        )
        rows = np.linspace(0, each.class_map.shape[0] - 1, truth.shape[0]).round().astype(np.intp)
        columns = np.linspace(0, each.class_map.shape[1] - 1, truth.shape[1]).round().astype(np.intp)
        true = common.true_ids(convention.taxonomy)[truth]
        found = common.predicted_ids(each.taxonomy)[each.class_map[np.ix_(rows, columns)]]
        person = (true != UNLABELLED) & (found != UNLABELLED) & ((true > 0) | (found > 0))
        shares.append(float((true == found)[person].mean()) if person.any() else 0.0)
    return float(np.mean(shares)) if shares else 0.0


def _has_palette(data: bytes, taxonomy: Taxonomy, used: Sequence[int]) -> bool:
    """Whether the colours of a palette PNG are those of a taxonomy; one value alone tells nothing."""
    with Image.open(io.BytesIO(data)) as image:
        palette = image.getpalette("RGB") if image.mode == "P" else None
    if not palette or len(used) < 2:
        return False
    colours = np.array(palette).reshape(-1, 3)
    return max(used) < min(len(colours), len(taxonomy)) and bool((colours[used] == taxonomy.palette[used]).all())


def _table(ids: Mapping[int, int]) -> np.ndarray:
    table = np.full(256, -1, np.int16)
    table[list(ids)] = list(ids.values())
    return table


def _identity(taxonomy: Taxonomy) -> np.ndarray:
    return _table({**{each: each for each in range(len(taxonomy))}, UNLABELLED: UNLABELLED})


def _mappings(convention: Convention) -> list[ClassMapping]:
    return [convention.mapping] if convention.mapping else []


def _named(taxonomies: Sequence[Taxonomy]) -> dict[str, Taxonomy]:
    return {f"model {number}": each for number, each in enumerate(taxonomies, start=1)}


def _png(truth: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(truth).save(out, "PNG")
    return out.getvalue()
