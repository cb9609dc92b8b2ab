"""Copies of uploaded files."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from copyreg import dispatch_table

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from dashboard.shared.upload_copies import share_bytes


@pytest.fixture
def upload() -> Iterator[UploadedFile]:
    share_bytes()
    yield UploadedFile(UploadedFileRec("7", "looks.zip", "application/zip", b"PK" * 5000), FileURLs(file_id="7"))
    dispatch_table.pop(UploadedFile)


def test_a_deep_copy_shares_the_bytes(upload: UploadedFile) -> None:
    (copied,) = deepcopy([upload])
    assert copied is not upload and copied == upload
    assert copied.getvalue() is upload.getvalue()
    assert (copied.name, copied.type, copied.size) == ("looks.zip", "application/zip", 10_000)
    assert copied.read(4) == b"PKPK" and upload.tell() == 0


def test_what_is_written_to_one_is_not_in_the_other(upload: UploadedFile) -> None:
    copied = deepcopy(upload)
    copied.write(b"no")
    assert copied.getvalue()[:4] == b"noPK" and upload.getvalue()[:4] == b"PKPK"
