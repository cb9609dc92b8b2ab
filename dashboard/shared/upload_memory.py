"""Uploaded files: each once in memory, and no longer than it is needed.

Streamlit deep-copies the value of a widget at every run of a page, and a copied `BytesIO` has bytes of its own: a ZIP
of 1 GB would be in memory twice. It also keeps what was uploaded until the session ends.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterable
from typing import Any

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

__all__ = ["forget_uploads", "share_bytes"]


def share_bytes() -> None:
    """Lets copies of an uploaded file share its bytes until one of them is written to, from now on."""
    copyreg.pickle(UploadedFile, _parts)  # `deepcopy` asks there as well


def forget_uploads(file_ids: Iterable[str]) -> None:
    """Lets the server forget uploads of this session that its pages have done with.

    Args:
        file_ids: `file_id` of each.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file_id in file_ids:
            context.uploaded_file_mgr.remove_file(context.session_id, file_id)


def _parts(file: UploadedFile) -> tuple[Any, ...]:
    return _made_of, (file.file_id, file.name, file.type, file.getvalue(), file._file_urls)


def _made_of(file_id: str, name: str, kind: str, data: bytes, urls: Any) -> UploadedFile:
    return UploadedFile(UploadedFileRec(file_id, name, kind, data), urls)
