"""Hostile inputs for every door of the product, as strategies of Hypothesis: real files that were changed in places.

An input is a dict of files by name. A photo, a ZIP or a part of an archive is cut where its format cuts it (chunks,
segments, boxes, entries), and the pieces are changed, dropped, repeated and swapped; checksums that a reader looks at
first are then made right again, so that what lies behind them is reached.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from dashboard.trends.tabs import TABS
from segmodels.archive.rows import SCHEMA
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.photo import PHOTO_SUFFIXES

__all__ = ["PAGES", "checkpoints", "links", "metadata", "parts", "photo", "photos", "zips"]

Files = dict[str, bytes]
Draw = Callable[[st.SearchStrategy[Any]], Any]

PAGES = ("segment", "compare", "evaluation", "dataset", "archive", "trends", "models")

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "GIF", "BMP")
_NUMBERS = [0, 1, 2, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1]

# --- Photos -----------------------------------------------------------------------------------------------------------


@cache
def photo(kind: str = "JPEG", variant: int = 0) -> bytes:
    """A real portrait of 120 x 160 pixels as a file; variants have EXIF data, other modes, frames or encodings."""
    picture = Image.fromarray(astronaut()).resize((120, 160))
    options: dict[str, Any] = {}
    exif = Image.Exif()
    exif[0x0112] = (1, 6, 5, 3)[variant % 4]
    exif.get_ifd(0x8769)[0x9003] = "2021:07:06 12:00:00"
    if variant:
        options["exif"] = exif
    if kind == "JPEG":
        picture = picture.convert(("RGB", "RGB", "L", "CMYK")[variant % 4])
        options |= {"progressive": variant == 1, "subsampling": variant % 3}
    elif kind in ("PNG", "TIFF"):
        picture = picture.convert(("RGB", "RGBA", "P", "I;16")[variant % 4] if variant % 4 < 3 else "L")
        if variant % 4 == 3:
            picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        if kind == "TIFF":
            options |= {"compression": ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")[variant % 4]}
        elif variant == 1:
            options |= {"save_all": True, "append_images": [picture.rotate(5)]}
    elif kind == "WEBP":
        picture = picture.convert(("RGB", "RGBA")[variant % 2])
        options |= {"lossless": variant == 2}
        if variant == 3:
            options |= {"save_all": True, "append_images": [picture.rotate(5)]}
    elif kind == "GIF":
        picture = picture.convert("P")
        options = {"save_all": variant > 1, "append_images": [picture.rotate(5)]} if variant else {}
    elif kind == "BMP":
        picture, options = picture.convert(("RGB", "L", "1", "P")[variant % 4]), {}
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _pieces(data: bytes, kind: str) -> list[bytes]:
    """A file cut where its format cuts it; the pieces put together are the file."""
    cuts = {
        "PNG": _png_cuts,
        "JPEG": _jpeg_cuts,
        "WEBP": _riff_cuts,
        "TIFF": _tiff_cuts,
        "HEIF": _box_cuts,
        "AVIF": _box_cuts,
        "GIF": lambda data: [6, 13, *(match.start() for match in re.finditer(rb"[\x21\x2c]", data))],
        "BMP": lambda data: [2, 6, 10, 14, 18, 22, 26, 28, 30, 34, 38, 42, 46, 50, 54],
        "ZIP": lambda data: [match.start() for match in re.finditer(rb"PK(\x03\x04|\x01\x02|\x05\x06)", data)],
    }[kind](data)
    ends = sorted({0, len(data), *(cut for cut in cuts if 0 < cut < len(data))})
    return [data[start:end] for start, end in pairwise(ends)]


def _png_cuts(data: bytes) -> list[int]:
    cuts, at = [8], 8
    while at + 8 <= len(data):
        at += 12 + int(struct.unpack(">I", data[at : at + 4])[0])
        cuts.append(at)
    return cuts


def _jpeg_cuts(data: bytes) -> list[int]:
    return [match.start() for match in re.finditer(rb"\xff[\xc0-\xfe]", data)][:60]


def _riff_cuts(data: bytes) -> list[int]:
    cuts, at = [8, 12], 12
    while at + 8 <= len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        at += 8 + size + size % 2
        cuts.append(at)
    return cuts


def _tiff_cuts(data: bytes) -> list[int]:
    (first,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[first : first + 2])
    return [4, 8, first, first + 2, *(first + 2 + 12 * number for number in range(1, count + 1))]


def _box_cuts(data: bytes) -> list[int]:
    """Boxes of the ISO base media format, at every depth: wherever a size stands before four letters."""
    known = rb"ftyp|meta|hdlr|pitm|iloc|iinf|infe|iprp|ipco|ipma|ispe|pixi|colr|hvcC|av1C|irot|imir|mdat|idat|iref|Exif"
    return [match.start() - 4 for match in re.finditer(known, data)]


def _with_checksums(pieces: list[bytes], kind: str) -> list[bytes]:
    """The checksums of a PNG's chunks made right again."""
    if kind != "PNG":
        return pieces
    right = [pieces[0]]
    for piece in pieces[1:]:
        if len(piece) >= 12:
            body = piece[4:-4]
            right.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
        else:
            right.append(piece)
    return right


_PLACE = st.floats(0, 1, exclude_max=True)
_CHANGES = st.lists(
    st.tuples(
        st.sampled_from("drop repeat swap number number bytes bytes cut insert".split()),
        _PLACE,
        _PLACE,
        st.sampled_from(_NUMBERS),
        st.sampled_from(["<B", ">H", "<H", ">I", "<I", ">Q"]),
        st.binary(max_size=8),
    ),
    max_size=5,
)


def _changed(draw: Draw, data: bytes, kind: str) -> bytes:
    """A file with up to five changes to its pieces, and sometimes cut off or with a few bytes altered anywhere."""
    pieces = _pieces(data, kind)
    for change, place, second, number, form, raw in draw(_CHANGES):
        at, other = int(place * len(pieces)), int(second * len(pieces))
        piece = pieces[at]
        inside = int(second * len(piece))
        if change == "drop" and len(pieces) > 1:
            del pieces[at]
        elif change == "repeat":
            pieces[at:at] = [piece] * (1 + number % 50)
        elif change == "swap":
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif change == "number":
            value = struct.pack(form, number & (256 ** struct.calcsize(form) - 1))
            pieces[at] = piece[:inside] + value + piece[inside + len(value) :]
        elif change == "bytes":
            pieces[at] = piece[:inside] + raw + piece[inside + len(raw) :]
        elif change == "cut":
            pieces[at] = piece[:inside]
        else:
            pieces[at] = piece[:inside] + raw * (1 + number % 300) + piece[inside:]
    if draw(st.booleans()):
        pieces = _with_checksums(pieces, kind)
    whole = b"".join(pieces)
    return whole[: int(draw(_PLACE) * len(whole))] if draw(st.integers(0, 9)) == 9 else whole


def _named(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _words(text: str) -> list[str]:
    """Words that are set apart by two blanks or a line's end."""
    return [word for word in re.split(r" {2,}|\n", text) if word]


_SUFFIXES = st.sampled_from([*PHOTO_SUFFIXES, ".JPG", ".HEIC"])
_STEMS = st.one_of(
    st.sampled_from(
        _words("""look  -h  --out  ![i](http://127.0.0.1:9/a.png)  <script>  \udcff\udcfe  \u00e9  e\u0301  $x$  CON
        a.b.  \u202egpj  %2e%2e  =1+1  ..x  ~  $(id)  `id`  0  A  Z""")
    ),
    st.sampled_from(["a" * 246, "\n", " ", "\U0001f642" * 60]),
    st.text(max_size=60),
)


@st.composite
def _photo_names(draw: Draw) -> str:
    """A name that a file of a Linux disk can have."""
    name = str(draw(_STEMS)) + str(draw(_SUFFIXES))
    raw = name.encode("utf-8", "surrogateescape" if re.search("[\udc80-\udcff]", name) else "replace")
    return raw.replace(b"/", b"_").replace(b"\0", b"_")[-255:].decode("utf-8", "surrogateescape")


@st.composite
def photos(draw: Draw) -> Files:
    """A photo of any format, changed, under any name."""
    kind = draw(st.sampled_from(_FORMATS))
    data = photo(kind, draw(st.integers(0, 3)))
    return {"photo": _changed(draw, data, kind), "name": _named(draw(_photo_names()))}


# --- ZIPs -------------------------------------------------------------------------------------------------------------

_MEMBER_NAMES = st.one_of(
    _photo_names(),
    st.sampled_from(
        _words("""../x.jpg  /etc/x.jpg  C:\\x.jpg  a/b/../c.jpg  look.jpg  LOOK.JPG  looks.csv  sub/looks.csv
        .hidden.jpg  __MACOSX/._a.jpg  folder.jpg/  a\\b.jpg  x.zip  .jpg  \0.jpg""")
    ),
    st.sampled_from(["", "a" * 70_000]),
)


@st.composite
def zips(draw: Draw) -> Files:
    """A ZIP of photos, tables and others, under any names, changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in enumerate(draw(st.lists(_MEMBER_NAMES, max_size=6))):
            legible = name.encode("utf-8", "replace").decode()[:65_000]
            if legible.lower().endswith((".csv", ".tsv")):
                data = draw(metadata())["looks.csv"]
            elif draw(st.integers(0, 3)) == 3:
                data = draw(photos())["photo"]
            else:
                data = photo("JPEG", number % 4) + bytes([number])
            method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, 14]))
            member = zipfile.ZipInfo(legible, draw(st.sampled_from([(1980, 1, 1, 0, 0, 0), (2107, 12, 31, 0, 0, 0)])))
            member.external_attr = draw(st.sampled_from([0, 0o120777 << 16, 0o010644 << 16]))  # also a link, a pipe
            archive.writestr(member, data, method)
        archive.comment = draw(st.sampled_from([b"", b"PK\x05\x06" + bytes(18), b"x" * 65_535]))
    data = out.getvalue()
    return {"photos.zip": _changed(draw, data, "ZIP") if draw(st.booleans()) else data}


# --- Tables -----------------------------------------------------------------------------------------------------------

_CELLS = st.one_of(
    st.sampled_from(
        _words("""a.jpg  z.jpg  b.JPG  photos/a.jpg  C:\\a.jpg  https://x/a.jpg?b=c  http://[::1  //[  2024-05-01
        01/02/2024
        31.12.1999  0000-00-00  9999-12-31  0001-01-01  2024-02-30  12/31/0000  1/1/1  20240501  2024  2024-13  2024-W60
        Q5 2024  1 janvier 2024  5/2024  Spring 2024  1714521600  99999999999999999999  2024-05-01T12:00:00+14:00
        \u0662\u0660\u0662\u0664-\u0660\u0665-\u0660\u0661  \uff12\uff10\uff12\uff14-05-01  1e400  -0  \ufeff
        "  '  \"\"  =1+1  NULL  nan  North  north  NORTH  \0  \r  \u2028""")
    ),
    st.sampled_from(["", "a\nb", "x" * 140_000, "NORTH "]),
    st.text(max_size=20),
)
_HEADERS = st.sampled_from(
    [*"file_name filename photo image id taken_at date market Market tags url".split(), "", "x" * 300]
)


@st.composite
def metadata(draw: Draw) -> Files:
    """A table of dates and tags, in any encoding, with any separator and quoting, changed in places."""
    header = draw(st.lists(_HEADERS, min_size=1, max_size=5))
    if draw(st.integers(0, 3)):
        header[0] = "file_name"
    rows = draw(st.lists(st.lists(_CELLS, min_size=1, max_size=6), max_size=8))
    for row in rows:
        if draw(st.booleans()):
            row[0] = draw(st.sampled_from(["a.jpg", "z.jpg"]))
    mark = draw(st.sampled_from([",", ";", "\t", "|", ", "]))
    quoted = draw(st.booleans())

    def line(cells: list[str]) -> str:
        return mark.join('"' + cell.replace('"', '""') + '"' if quoted else cell for cell in cells)

    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join([line(header), *map(line, rows)])
    text = draw(st.sampled_from(["", "sep=;\n", "\ufeff", "\n\n"])) + text
    encoding = draw(st.sampled_from("utf-8 utf-16 utf-16-le utf-32 cp1252 gb18030 shift_jis utf-7".split()))
    data = text.encode(encoding, "replace")
    for place, raw in draw(st.lists(st.tuples(_PLACE, st.binary(max_size=3)), max_size=3)):
        at = int(place * len(data))
        data = data[:at] + raw + data[at + len(raw) :]
    return {"looks.csv": data}


# --- Checkpoints ------------------------------------------------------------------------------------------------------

_RAW = {  # what Python's own writer of JSON would not write
    "@huge@": "1" + "0" * 5000,
    "@deep@": "[" * 100_000 + "]" * 100_000,
    "@nan@": "NaN",
    "@infinite@": "1e999",
    "@surrogate@": '"\\ud800"',
    "@broken@": "{",
}
_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(list(_RAW)),
    st.sampled_from(
        [0, -1, 1, 3, 1e300, -1e300, 1e-300, 0.5, 2**31, 2**63, 10**30, 4096, 100_000, True, None, "", "x"]
    ),
    st.sampled_from(
        [[], {}, [[]], ["x"] * 1000, "../../etc/passwd", "a\0b", [0.0] * 1000, {"x": {"x": {}}}, "fpn", "unet"]
    ),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
)


def _paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places in a JSON value, a tuple of keys and numbers each, without the later members of long lists."""
    found = [before] if before else []
    members = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, member in members:
        found += _paths(member, (*before, key))
    return found


def _changed_json(draw: Draw, text: str) -> bytes:
    """JSON of which up to three values are replaced, removed or added."""
    whole = json.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        if not (places := _paths(whole)):
            break
        *way, last = draw(st.sampled_from(places))
        parent = whole
        for key in way:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if change == "remove":
            del parent[last]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = draw(_VALUES)
        else:
            parent[last] = draw(_VALUES)
    text = json.dumps(whole)
    for name, raw in _RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text.encode("utf-8", "replace")


def checkpoints(sample: Path) -> st.SearchStrategy[Files]:
    """The folder of a checkpoint, with one or two files of it changed.

    Args:
        sample: Folder of a checkpoint to change.
    """
    files = {path.name: path.read_bytes() for path in sample.iterdir()}

    @st.composite
    def strategy(draw: Draw) -> Files:
        changed = dict(files)
        for name in draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2)):
            way = draw(st.integers(0, 9))
            if way == 9:
                del changed[name]
                break
            if way == 8:
                changed[name] = draw(
                    st.sampled_from([b"", b"\xff\xfe", b"null", b"[]", b"[" * 200_000, b"{}", bytes(99)])
                )
            elif name.endswith(".json"):
                changed[name] = _changed_json(draw, files[name].decode())
            elif name.endswith(".safetensors"):
                changed[name] = _changed_weights(draw, files[name])
            else:
                at = int(draw(_PLACE) * len(files[name]))
                changed[name] = files[name][:at] + draw(st.binary(max_size=8)) + files[name][at:]
        linked = draw(
            st.sampled_from([b"", b"", b"", b"", b"", b"/dev/zero", b"pipe", b"itself", b"/nowhere", b"folder"])
        )
        return changed | {"odd": draw(st.sampled_from(sorted(files))).encode() + b"\n" + linked}

    return strategy()


def _changed_weights(draw: Draw, data: bytes) -> bytes:
    """Weights with a changed header, or with values that are no numbers."""
    (size,) = struct.unpack("<Q", data[:8])
    header, body = data[8 : 8 + size], data[8 + size :]
    way = draw(st.sampled_from(["header", "size", "values", "cut"]))
    if way == "header":
        header = _changed_json(draw, header.decode())
    elif way == "values":
        at = int(draw(_PLACE) * len(body)) // 4 * 4
        body = body[:at] + struct.pack("<f", draw(st.sampled_from([float("nan"), float("inf"), 3e38]))) + body[at + 4 :]
    elif way == "cut":
        body = body[: int(draw(_PLACE) * len(body))]
    length = draw(st.sampled_from(_NUMBERS)) if way == "size" else len(header)
    return struct.pack("<Q", length) + header + body


# --- Parts of an archive ----------------------------------------------------------------------------------------------


@cache
def _sample_rows(folder: Path) -> pa.Table:
    archive = Archive(folder)
    make_archive(archive, 40, seed=1)
    (part,) = folder.rglob("*.parquet")
    return pq.read_table(part)


_TYPES = [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.binary(), pa.list_(pa.string()), pa.date32(), pa.null()]
_TYPES += [
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.map_(pa.string(), pa.int64()),
    pa.struct([("x", pa.int8())]),
]
_ODD = [
    *(
        0,
        -1,
        1.5,
        float("nan"),
        float("inf"),
        2**40,
        -(2**62),
        "",
        "x",
        "9999-12-31",
        b"\xff",
        True,
        [],
        {},
        [None],
        ["x"],
    ),
    *([{"class": "Hat"}], [{"class": "nothing", "person": 99}], {"market": None}, [("market", "x" * 100_000)], [-1]),
    *([2**62], np.datetime64("0001-01-01"), np.datetime64("9999-12-31"), [[float("nan")]], [[]], [[2.0] * 500]),
    *("\n", "<script>"),
]


def parts(folder: Path) -> st.SearchStrategy[Files]:
    """A part of an archive with other columns, types or values, or damaged.

    Args:
        folder: An empty folder to work in.
    """

    @st.composite
    def strategy(draw: Draw) -> Files:
        table = _sample_rows(folder)
        for _ in range(draw(st.integers(0, 3))):
            name = draw(st.sampled_from([name for name in SCHEMA.names if name in table.column_names] or ["none"]))
            place = table.column_names.index(name) if name in table.column_names else -1
            way = draw(st.sampled_from(["drop", "null", "type", "value", "value", "value", "rename", "rows"]))
            if place < 0 or way == "rows":
                table = table.slice(0, draw(st.sampled_from([0, 1, 2, 40])))
            elif way == "drop":
                table = table.drop_columns([name])
            elif way == "rename":
                names = list(table.column_names)
                names[place] = draw(st.text(max_size=8))
                table = table.rename_columns(names)
            else:
                kind = draw(st.sampled_from(_TYPES)) if way == "type" else table.schema.field(place).type
                values = [None] * table.num_rows if way == "null" else table[name].to_pylist()
                if way == "value" and values:
                    values[draw(st.integers(0, len(values) - 1))] = draw(st.sampled_from(_ODD))
                table = _replaced(table, place, name, values, kind)
        out = io.BytesIO()
        pq.write_table(table, out, compression=draw(st.sampled_from(["zstd", "none", "gzip"])))
        data = out.getvalue()
        for at, raw in draw(st.lists(st.tuples(_PLACE, st.binary(min_size=1, max_size=8)), max_size=2)):
            start = int(at * len(data)) if draw(st.booleans()) else max(0, len(data) - int(at * 2000) - 8)
            data = data[:start] + raw + data[start + len(raw) :]
        version = draw(
            st.sampled_from(
                ["OUTFIT_15/made-up@seed-1"] * 3 + ["OUTFIT_15/x@y", "", "nothing/x@y", "@/@", "OUTFIT_15/x@y/z"]
            )
        )
        return {"part.parquet": data, "version": version.encode()}

    return strategy()


def _replaced(table: pa.Table, place: int, name: str, values: list[Any], kind: pa.DataType) -> pa.Table:
    """The table with other values in a column, where they can be of a type; else without the column."""
    try:
        column = pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        try:
            column = pa.array([None if value is None else str(value) for value in values])
        except (UnicodeError, pa.ArrowException):
            return table
    return table.set_column(place, pa.field(name, column.type), column)


# --- Links ------------------------------------------------------------------------------------------------------------

_KEYS = [
    *(
        "archive by tab view from to garments colours share confidence count duplicates corrected photos shown period"
    ).split(),
    *(
        "against tag value other days tag.market tag.season tag. models on of with measure sort order first last"
    ).split(),
]
_TABS = [tab.name for tab in TABS]
_WORDS = st.one_of(
    st.sampled_from(
        _words("""ccp  good  Made-up sample  made-up seed-1 (OUTFIT_15)  Shares  Areas  Lift  Matrix  Rules  Forecast
        Colours  Hat  Coat,Hat  white  black,red  0.1  nan  inf  -1  1e999  50%  expected  raw  yes  no  2023-01-01
        2023-12-31  0001-01-01  9999-12-31  2023-02-30  2023-W01  North  South  market  season  Any other  A tag  month
        Another period  week  fpn  fpn,unet  fpn,fpn  tiny  ,  trends-lines:{}  trends-lines:[  trends-lines:null
        trends-together:{"worn": 5}
        trends-lines:{"worn": ["Hat"], "period": "week", "start": "2023-01-02"}  <script>alert(1)</script>
        trends-lines:{"worn": ["Hat"], "start": "9999-12-31"}  ![i](http://127.0.0.1:9/a.png)  $x$  ../../etc  \0
        \u202e  \u0663  \u00b2  1_000  0x10  ''; DROP TABLE""")
    ),
    st.sampled_from(["", "\r", "x" * 20_000, "trends-lines:" + "[" * 5000, *_TABS]),
    st.text(max_size=30),
)


@st.composite
def links(draw: Draw) -> Files:
    """A page and the parameters of its address."""
    page = draw(st.sampled_from([*PAGES, "trends", "trends", "trends", "evaluation", "compare"]))
    link = draw(
        st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=10), st.lists(_WORDS, max_size=3), max_size=6)
    )
    if page == "trends" and draw(st.booleans()):
        link |= {"archive": ["good"], "tab": [draw(st.sampled_from(_TABS))]}
    return {"link.json": json.dumps({"page": page, "link": link}).encode()}
