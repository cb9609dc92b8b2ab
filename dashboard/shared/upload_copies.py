"""Copies of uploaded files that share their bytes.

Streamlit deep-copies the value of a widget at every run of a page, and a copied `BytesIO` has bytes of its own: a ZIP
of 1 GB would be in memory twice.
"""

from __future__ import annotations

import copyreg
from typing import Any

from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

__all__ = ["share_bytes"]


def share_bytes() -> None:
    """From now on, copies of an uploaded file share its bytes until one of them is written to."""
    copyreg.pickle(UploadedFile, _parts)  # `deepcopy` asks there as well


def _parts(file: UploadedFile) -> tuple[Any, ...]:
    return _made_of, (file.file_id, file.name, file.type, file.getvalue(), file._file_urls)


def _made_of(file_id: str, name: str, kind: str, data: bytes, urls: Any) -> UploadedFile:
    return UploadedFile(UploadedFileRec(file_id, name, kind, data), urls)
