"""Widgets of the pages that take photos: the uploader and the choice of one photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import streamlit as st

from dashboard.shared.choice import choose
from dashboard.shared.examples import Example
from segmodels.photo import MAX_BYTES

__all__ = ["MAX_UPLOAD_MB", "choose_photo", "upload_photos"]

MAX_UPLOAD_MB = MAX_BYTES // 1024**2
"""Largest photo, in MB; the larger limit of the server in .streamlit/config.toml is for the Archive page."""


def upload_photos(key: str) -> list[Example]:
    """The uploader for outfit photos, and what is in it.

    Args:
        key: Streamlit key; a new one is an empty uploader.
    """
    files = st.file_uploader(
        "Outfit photos: JPEG, PNG, WebP or HEIC, up to 20 MB each",
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD_MB,
        key=key,
    )
    return [Example(file.name, file.getvalue()) for file in files]


def choose_photo(names: Mapping[str, str], shown: str, take: Callable[[str], object], *, key: str) -> None:
    """A select box for one of several photos; nothing is drawn for a single one.

    Args:
        names: File name, of which one may occur twice, by digest of the file.
        shown: Digest of the photo that is on show.
        take: Function that puts the digest of the photo chosen into the state.
        key: Streamlit key.
    """
    if len(names) < 2:
        return
    numbered = enumerate(zip(names, _unique(names.values()), strict=True), start=1)
    labels = {digest: f"{number} of {len(names)}: {name}" for number, (digest, name) in numbered}
    choose(
        "Photo",
        list(names),
        shown,
        take,
        key=key,
        format_func=labels.__getitem__,
        label_visibility="collapsed",
        width=280,
    )


def _unique(names: Iterable[str]) -> list[str]:
    """Names with a number where one occurs again."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
