"""What else lies in a folder or a ZIP: tables, other files, names in other encodings, what is no file at all."""

import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from s3_server import running_s3, s3_client

from segmodels.archive import sources
from segmodels.archive.metadata import join
from segmodels.archive.place import Place
from segmodels.archive.sources import (
    ArchiveError,
    Found,
    find_sources,
    from_uploads,
    from_zip,
    photo_in,
    read_file,
    read_tables,
)
from segmodels.photo import PhotoError

CSV = b"file_name;market\na.jpg;Milan\n"


def packed(files: dict[str, bytes], encoding: str | None = None) -> bytes:
    """A ZIP; names in another encoding than UTF-8 are not marked, as older programs write them."""
    out = io.BytesIO()
    stored = {name: f"{number:x<{len(name.encode(encoding))}}" for number, name in enumerate(files)} if encoding else {}
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(stored.get(name, name), data)
    data = out.getvalue()
    for name, written in stored.items():
        assert encoding and data.count(written.encode()) == 2
        data = data.replace(written.encode(), name.encode(encoding))
    return data


def names_of(found: Found) -> list[str]:
    return [source.name for source in found.sources]


def test_a_zip_with_its_own_csv_uses_it_and_lists_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "can_read_raw", lambda: False)
    files = {"a.jpg": b"1", "looks.csv": CSV, "b.nef": b"raw", "inner.zip": packed({"c.jpg": b"2"}), "c.mov": b"film"}
    found = from_zip(packed({**files, "__MACOSX/x.csv": b"", ".hidden.csv": b""}), "looks.zip")
    assert names_of(found) == ["a.jpg"]
    assert [table.name for table in found.tables] == ["looks.csv"]
    assert found.notes == [
        "Files of looks.zip that are no photos were passed over: 1 packed file, to be unpacked "
        "(inner.zip); 1 raw camera file, to be exported as JPEG, or read after pip install "
        '"garmentscope[raw]" (b.nef); 1 video, whose frames `archive ingest --videos` takes (c.mov).'
    ]
    metadata = read_tables(found)
    assert metadata and join(metadata, names_of(found)).entries["a.jpg"].tags == {"market": "Milan"}


@pytest.mark.parametrize("name", ["", " ", "/"])
def test_a_member_without_a_name_is_passed_over(name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.jpg", b"1")
        archive.writestr(zipfile.ZipInfo(name), b"2")
    assert names_of(from_zip(out.getvalue(), "looks.zip")) == ["a.jpg"]


@pytest.mark.parametrize("name", ["looks.tsv", "looks.TXT", "looks.tab"])
def test_tables_of_other_endings_are_no_photos(name: str) -> None:
    table = CSV.replace(b";", b"\t")
    for found in (from_zip(packed({"a.jpg": b"1", name: table}), "looks.zip"), from_uploads([(name, table)])):
        assert [table.name for table in found.tables] == [name]
        metadata = read_tables(found)
        assert metadata and metadata.entries[0].tags == {"market": "Milan"}


def test_a_table_in_a_folder_names_photos_from_there_and_a_letter_is_no_table() -> None:
    files = {f"{year}/{name}": data for year in (2023, 2024) for name, data in (("a.jpg", b"1"), ("looks.csv", CSV))}
    files["2024/looks.csv"] = CSV.replace(b"Milan", b"Paris")
    found = from_zip(packed({**files, "read me.txt": b"Dear tailor,\nthank you.\n"}), "looks.zip")
    metadata = read_tables(found)
    assert metadata
    entries = join(metadata, names_of(found)).entries
    assert {name: entry.tags["market"] for name, entry in entries.items()} == {
        "2023/a.jpg": "Milan",
        "2024/a.jpg": "Paris",
    }
    (note,) = metadata.notes
    assert note.startswith("read me.txt was not used: read me.txt has no column with file names")


def test_a_given_csv_goes_before_that_of_the_zip() -> None:
    found = from_uploads([("looks.zip", packed({"a.jpg": b"1", "looks.csv": CSV}))])
    first = read_tables(Found([], [], from_uploads([("own.csv", CSV.replace(b"Milan", b"Rome"))]).tables))
    metadata = read_tables(found, first)
    assert metadata
    joined = join(metadata, names_of(found))
    assert joined.entries["a.jpg"].tags == {"market": "Rome"}
    assert joined.notes == ["Several different rows for a.jpg: the first was used."]


def test_a_csv_in_a_folder_is_said_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jpg").write_bytes(b"1")
    (tmp_path / "looks.csv").write_bytes(CSV)
    found = find_sources(tmp_path)
    assert names_of(found) == ["sub/a.jpg"] and found.tables == []
    assert "1 table, to be given as the CSV (looks.csv)" in found.notes[0]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "été.jpg"),
        ("cp437", "été.jpg"),
        ("cp850", "Größe.jpg"),
        ("gbk", "红裙/上海.jpg"),
        ("cp932", "東京.jpg"),
    ],
)
def test_names_in_a_zip_that_do_not_state_their_encoding(encoding: str, name: str) -> None:
    found = from_zip(packed({name: b"1", "b.jpg": b"2"}, encoding), "looks.zip")
    assert set(names_of(found)) == {name, "b.jpg"}
    assert {source.read() for source in found.sources} == {b"1", b"2"}
    if encoding == "utf-8":
        assert found.notes == []
    else:
        assert "looks.zip does not say how its file names are written" in found.notes[0]
        assert name in found.notes[0]


def test_names_that_state_utf_8_stay() -> None:
    found = from_zip(packed({"été.jpg": b"1"}), "looks.zip")
    assert (names_of(found), found.notes) == (["été.jpg"], [])


def test_an_uploaded_zip_is_in_memory_once() -> None:
    photo = os.urandom(1_000_000)
    data = packed({f"{number}.jpg": photo for number in range(40)})
    tracemalloc.start()
    try:
        found = from_uploads([("looks.zip", io.BytesIO(data).getvalue())])
        assert sum(len(source.read()) for source in found.sources) == 40_000_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * len(data)


def test_a_cut_off_zip_is_called_one(tmp_path: Path) -> None:
    data = packed({"a.jpg": bytes(1000)})[:600]
    (tmp_path / "looks.zip").write_bytes(data)
    message = "looks.zip is a ZIP whose end, with the list of its files, is missing or damaged. Copy it again."
    with pytest.raises(ArchiveError, match=message):
        from_zip(data, "looks.zip")
    with pytest.raises(ArchiveError, match=message):
        find_sources(tmp_path / "looks.zip")
    (tmp_path / "no.zip").write_bytes(b"a letter")
    with pytest.raises(ArchiveError, match=r"no\.zip is not a ZIP, or is damaged"):
        find_sources(tmp_path / "no.zip")


@pytest.mark.parametrize("damage", ["beginning lost", "LZMA", "bzip2", "extra field"])
def test_a_damaged_member_of_a_zip_is_one_sentence(damage: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    method = {"LZMA": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2}.get(damage, zipfile.ZIP_STORED)
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.jpg", bytes(range(256)) * 8)
        archive.writestr("b.jpg", b"2")
    data = bytearray(out.getvalue())
    if damage == "beginning lost":  # the list of files then names a place before the first byte
        del data[:20]
    elif damage == "extra field":
        data[28:30] = b"\xff\xff"
    else:
        data[40:70] = bytes(30)
    (tmp_path / "looks.zip").write_bytes(data)
    for found in (from_zip(bytes(data), "looks.zip"), find_sources(tmp_path / "looks.zip")):
        assert names_of(found)[0] == "a.jpg"
        with pytest.raises(PhotoError, match=r"^a\.jpg is damaged in the ZIP\. Pack it again\.$"):
            found.sources[0].read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_a_pipe_named_like_a_photo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "y.jpg")
    (tmp_path / "z.jpg").symlink_to(tmp_path / "y.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    gone, pipe, link = find_sources(tmp_path).sources
    for source in (pipe, link):
        with pytest.raises(PhotoError, match=rf"{source.name} is not a regular file\."):
            source.read()
        with pytest.raises(PhotoError, match=rf"{source.name} is not a regular file\."):
            read_file(str(tmp_path), source.name)  # of a cluster
    with pytest.raises(FileNotFoundError):
        gone.read()


def test_a_bucket_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_s3() as port:
        place = Place("bucket/looks", s3_client(port))
        for name in ("a.jpg", "spring/b.JPG", ".hidden.jpg", "looks.csv", "c.mov"):
            place.write(name, name.encode())
        monkeypatch.setattr(sources, "Place", lambda location: place)
        found = find_sources("s3://bucket/looks")
        assert names_of(found) == ["a.jpg", "spring/b.JPG"]
        assert found.sources[1].read() == b"spring/b.JPG"
        assert found.sources[1].location == place.location
        assert "1 table, to" in found.notes[0]


def test_members_that_cannot_be_unpacked_are_sentences_whatever_python_raises() -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a.jpg", bytes(range(256)) * 9)
        whole = out.getvalue()
        at = whole.index(b"PK\x01\x02")
        spoilt = whole[:60] + bytes(each ^ 0x5A for each in whole[60:100]) + whole[100:]  # in its data
        moved = whole[: at + 42] + (10**9).to_bytes(4, "little") + whole[at + 46 :]  # where it begins
        shifted = (
            whole[: whole.index(b"PK\x05\x06") + 16] + b"\xff\xff\xff\x7f" + whole[whole.index(b"PK\x05\x06") + 20 :]
        )
        assert len(from_zip(whole, "looks.zip").sources[0].read()) == 256 * 9
        for data in (spoilt, moved, shifted):
            with pytest.raises(PhotoError, match="^a.jpg is damaged in the ZIP. Pack it again.$"):
                from_zip(data, "looks.zip").sources[0].read()


def test_a_damaged_table_in_a_zip_is_said() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("looks.csv", CSV * 20)
    data = out.getvalue()
    metadata = read_tables(from_zip(data[:60] + bytes(each ^ 0x5A for each in data[60:80]) + data[80:], "looks.zip"))
    assert metadata is not None and metadata.entries == []
    assert metadata.notes == ["looks.csv was not used: looks.csv is damaged in the ZIP. Pack it again."]


@pytest.mark.parametrize(("method", "name"), [(9, "deflate64"), (98, "ppmd"), (222, "method 222")])
def test_a_way_of_packing_that_is_not_read_is_named(method: int, name: str) -> None:
    data = bytearray(packed({"a.jpg": b"1"}))
    for at in (8, data.index(b"PK\x01\x02") + 10):
        data[at : at + 2] = method.to_bytes(2, "little")
    with pytest.raises(PhotoError, match=f"^a.jpg is packed with {name}, which cannot be read. Pack it again"):
        from_zip(bytes(data), "looks.zip").sources[0].read()


@pytest.mark.parametrize("bit", [0x01, 0x40])
def test_an_encrypted_member_is_said_however_it_is_encrypted(bit: int) -> None:
    data = bytearray(packed({"a.jpg": b"1", "b.jpg": b"2"}))
    data[data.index(b"PK\x01\x02") + 8] |= bit
    found = from_zip(bytes(data), "looks.zip")
    assert [each.reason for each in found.rejected] == ["a.jpg is encrypted. Pack it without a password."]
    assert names_of(found) == ["b.jpg"]


def test_a_link_in_a_zip_is_no_photo() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("a.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert from_zip(out.getvalue(), "looks.zip").rejected == [
        ("a.jpg", "a.jpg is a link in looks.zip. Pack the photo itself.")
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"Rar!\x1a\x07\1\0",
            "looks.zip is a RAR archive, not a ZIP. Unpack it and give the folder, or pack the photos",
        ),
        (b"7z\xbc\xaf\x27\x1c\0\4", "looks.zip is a 7-Zip archive, not a ZIP"),
        (b"\x1f\x8b\x08\0", "looks.zip is a gzip file, not a ZIP"),
        (b"a.jpg".ljust(257, b"\0") + b"ustar\0", "looks.zip is a tar archive, not a ZIP"),
        (b"\n<!DOCTYPE html><title>Sign in", "looks.zip is a web page, not a ZIP. Download the ZIP itself."),
        (b"", "looks.zip is empty"),
        (b"\0\1\2\3", "looks.zip is not a ZIP, or is damaged"),
    ],
)
def test_what_is_called_a_zip_and_is_none_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "looks.zip"
    file.write_bytes(data)
    for source in (data, file):
        with pytest.raises(ArchiveError, match=f"^{message}"):
            from_zip(source, "looks.zip")


def test_files_that_systems_put_into_folders_are_not_listed() -> None:
    files = dict.fromkeys(("a.jpg", "x/Thumbs.db", "x/desktop.ini", "x/.DS_Store", "__MACOSX/._a.jpg"), b"1")
    found = from_zip(packed(files), "looks.zip")
    assert (names_of(found), found.notes) == (["a.jpg"], [])


def test_class_maps_of_earlier_runs_are_no_photos_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("P", (6, 4)).save(file, "PNG")
    listing = dict.fromkeys(("photo", "model", "taxonomy", "people", "garments"), "") | {"width": 6, "height": 4}
    files = {"a.jpg": b"1", "out/a.png": file.getvalue(), "out/a.json": json.dumps(listing).encode(), "out/b.png": b"1"}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    watched = [name for name in files if photo_in(tmp_path, tmp_path / name)]
    with running_s3() as port:
        place = Place("bucket/looks", s3_client(port))
        for name, data in files.items():
            place.write(name, data)
        found = [find_sources(tmp_path), from_zip(packed(files), "looks.zip"), from_uploads(files.items())]
        monkeypatch.setattr(sources, "Place", lambda location: place)
        found.append(find_sources("s3://bucket/looks"))
    for each in found:
        assert names_of(each) == watched == ["a.jpg", "out/b.png"]
        assert "1 class map or cut-out (out/a.png); 1 other (out/a.json)" in each.notes[0]
