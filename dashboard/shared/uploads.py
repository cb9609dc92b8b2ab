"""Widgets of the pages that take photos: all the ways in which photos come in, and the choice of one photo."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

import streamlit as st

from dashboard.shared.choice import choose
from dashboard.shared.photo_file import PhotoFile
from segmodels.photo import MAX_BYTES, PHOTO_SUFFIXES

__all__ = ["MAX_UPLOAD_MB", "choose_photo", "more_ways", "upload_photos"]

MAX_UPLOAD_MB = MAX_BYTES // 1024**2
"""Largest photo, in MB; the larger limit of the server in .streamlit/config.toml is for the Archive page."""

_LOCAL = re.compile(r"(.+\.)?localhost|127(\.\d{1,3}){3}|::1")  # which browsers trust without https


def upload_photos(key: str) -> list[PhotoFile]:
    """The uploader for outfit photos, and what is in it.

    Its container has the key "photo-intake", by which `watch_pasted` finds it.

    Args:
        key: Streamlit key; a new one is an empty uploader.
    """
    with st.container(key="photo-intake"):
        files = st.file_uploader(
            "Outfit photos: drop, paste or choose. JPEG, PNG, WebP or HEIC, up to 20 MB each",
            accept_multiple_files=True,
            max_upload_size=MAX_UPLOAD_MB,
            key=key,
        )
    return [PhotoFile(file.name, file.getvalue()) for file in files]


def more_ways(key: str) -> tuple[list[PhotoFile], str]:
    """A folder, the camera and a field for an address.

    Args:
        key: Streamlit key; a new one is an empty one.

    Returns:
        The photos of folder and camera, and the address that is to be opened, or an empty text.
    """
    with st.form(f"{key}-link", border=False):
        address = st.text_input(
            "Link to a photo",
            placeholder="https://example.org/look.jpg",
            key=f"{key}-address",
            help="The server opens it, not your browser: it must be a photo that anybody can open.",
        )
        fetched = st.form_submit_button("Open the link")
    files = st.file_uploader(
        "A folder of photos",
        type=[suffix.removeprefix(".") for suffix in PHOTO_SUFFIXES],
        accept_multiple_files="directory",
        max_upload_size=MAX_UPLOAD_MB,
        key=f"{key}-folder",
    )
    photos = [PhotoFile(file.name, file.getvalue()) for file in files]
    if not _camera_allowed():
        st.caption(
            "Browsers allow the camera only on pages opened by https://, and this one is not. Take the photo with the "
            "camera app and choose it above."
        )
    elif st.toggle("Use the camera", key=f"{key}-camera-on"):
        shot = st.camera_input("Take a photo", key=f"{key}-camera")
        photos += [PhotoFile(f"{key}-camera.jpg", shot.getvalue())] if shot else []
    return photos, address if fetched else ""


def _camera_allowed() -> bool:
    """Whether a browser lets this page use the camera: https, or a server on the visitor's own machine."""
    parts = urlsplit(st.context.url or "")
    return parts.scheme != "http" or _LOCAL.fullmatch(parts.hostname or "") is not None


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
