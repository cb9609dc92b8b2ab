"""The photos behind a number: names and class maps from the archive, photos from a folder if one is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from dashboard.evaluation.pictures import Card, PictureError, colour_map, jpeg, read_class_map
from dashboard.trends.contents import Contents
from dashboard.trends.section import Question, rows
from segmodels.archive.behind import read_behind
from segmodels.archive.rows import MAX_PHOTO_BYTES, photo_id
from segmodels.photo import PhotoError, open_photo
from segmodels.taxonomy import Taxonomy

__all__ = ["photo_cards", "read_photo", "section_photos"]

_SIDE = 256  # pixels of a small photo, at most


def photo_cards(
    found: pd.DataFrame, taxonomy: Taxonomy, classes: Sequence[str], read: Callable[[str, str], bytes] | None
) -> tuple[list[Card], str]:
    """Cards of photos, and a sentence on what could not be shown.

    Args:
        found: Rows that `Facts.photos` returned.
        taxonomy: Taxonomy of the class maps.
        classes: Classes that stand out in the class maps; all do where there are none.
        read: Function that gives the small photo of a file name and an id, or raises `PictureError`; None where there
            is no folder.
    """
    cards, remark = [], ""
    for row in rows(found):
        pictures: dict[str, bytes | None] = {}
        if read:
            try:
                pictures["Photo"] = read(row.file_name, row.photo_id)
            except PictureError as error:
                remark = str(error)
        try:
            pictures["Class map"] = colour_map(read_class_map(row.class_map), taxonomy, tuple(classes) or None)
        except PictureError:
            pictures["Class map"] = None
            remark = f"The class map of {row.file_name} is damaged. Ingest the photo again."
        notes = [f"{row.day:%Y-%m-%d}"] if not pd.isna(row.day) else []
        notes += [f"person {row.person + 1}"] if row.person else []
        cards.append(Card(row.file_name, ", ".join(notes), pictures))
    return cards, remark


def read_photo(roots: tuple[Path, ...], file_name: str, identity: str, side: int = _SIDE) -> bytes:
    """The photo of an archive's row, reduced; JPEG.

    Args:
        roots: Folders, of which the first that has it is used.
        file_name: Path of the file below one of the folders, with forward slashes.
        identity: Id of the photo, by which another file of the same name is told apart.
        side: Longest side of the result, in pixels, at most.

    Raises:
        PictureError: If it is in none of them, is another file, or is damaged.
    """
    for root in roots:
        file = (root / file_name).resolve()
        if not file.is_relative_to(root.resolve()) or not file.is_file():
            continue
        try:
            if file.stat().st_size > MAX_PHOTO_BYTES:
                continue
            data = file.read_bytes()
            if photo_id(data) != identity:
                continue
            image = Image.fromarray(open_photo(data, name=file_name, max_bytes=MAX_PHOTO_BYTES))
        except OSError as error:
            raise PictureError(f"{file_name} cannot be read ({error.strerror}). Copy it again.") from None
        except PhotoError as error:
            raise PictureError(str(error)) from None
        image.thumbnail((side, side))
        return jpeg(image)
    raise PictureError(f"{file_name} is not in the folder of photos, or has changed since it was ingested.")


def section_photos(
    question: Question, clicked: tuple[str, str], read: Callable[[str, str], bytes], limit: int, contents: Contents
) -> dict[str, list[Card]]:
    """A few photos behind each section, by its key: of what was clicked in it, or of what it shows first.

    Args:
        question: Question that the sections answer.
        clicked: Key of a section and code of what was clicked in its chart; both empty if nothing was.
        read: Function that gives the small photo of a file name and an id, or raises `PictureError`.
        limit: Most photos of a section.
        contents: The sections.
    """
    facts, found = question.facts, {}
    for section in contents.sections:
        key, code = clicked
        behind = (read_behind(code, facts.taxonomy) if key == section.key else None) or section.behind
        view = behind.within(section.view or question.view)
        likely = facts.count(view, behind.conditions) > 0
        photos = facts.photos(view, behind.conditions, limit=limit, likely=likely)
        classes = [facts.class_of(name) for name in behind.classes]
        found[section.key], _ = photo_cards(photos, facts.whole, classes, read)
    return found
