"""A menu of palette files for design programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from dashboard.shared import audit
from dashboard.shared.visitor import principal
from segmodels.palettes import PALETTE_FORMATS, PaletteFormat, Swatch

__all__ = ["show_palettes"]


def show_palettes(
    label: str, key: str, title: str, swatches: Callable[[], Sequence[Swatch]], note: str = "", archive: str = ""
) -> None:
    """A menu with a palette in each format.

    Args:
        label: Label of the menu.
        key: Key of the widgets, and name of the files.
        title: Title of the palette.
        swatches: Function that makes the palette when a file is asked for.
        note: Sentence on what the colours are.
        archive: Archive that the palette is of, for the audit log; without one nothing is written there.
    """
    exported = partial(audit.note, "palette exported", principal(), archive=archive) if archive else None
    with st.popover(label, key=f"{key}-menu"):
        with st.container(horizontal=True):
            for form in PALETTE_FORMATS.values():
                made = partial(_file, form, swatches, title)
                st.download_button(
                    form.label,
                    partial(audit.audited, exported, made) if exported else made,
                    f"{key}.{form.ending}",
                    form.mime,
                    key=f"{key}-{form.ending}",
                    on_click="ignore",
                )
        if note:
            st.caption(note)


def _file(form: PaletteFormat, swatches: Callable[[], Sequence[Swatch]], title: str) -> bytes:
    return form.write(swatches(), title)
