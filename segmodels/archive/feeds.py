"""Product feeds: tables and files that hold the addresses of photos, and what their products are.

Read are any table of text with a column of addresses, the product export and `products.json` of Shopify, and the feeds
of Google Merchant Center: RSS 2.0, Atom, and text with tabs. Each picture gets the tag `product`, those that its format
is known to have, and a date where the product has one. Nothing is fetched here.
"""

from __future__ import annotations

import codecs
import html
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

from segmodels.archive.dates import is_season, read_dates
from segmodels.archive.metadata import DATE_COLUMNS, TABLE_SUFFIXES, Entry, Metadata, read_lines, tidied
from segmodels.archive.place import ArchiveError
from segmodels.photo import PHOTO_SUFFIXES
from segmodels.sentences import listed

__all__ = ["FEED_SUFFIXES", "Feed", "is_feed_file", "read_feed"]

FEED_SUFFIXES = (*TABLE_SUFFIXES, ".xml", ".rss", ".atom", ".json")
"""File name endings, in lower case, of feeds."""

_SHOWN = 3
_MOST_UNPACKED = 200 * 1024**2
_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LONG = 200  # characters above which a cell is text to be read, no tag
_ADDRESS = re.compile(r"(?:https?:)?//[^\s/]", re.IGNORECASE)
_ANY_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//[^\s/]", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s;|]+|,(?=\s*(?:https?:)?//)", re.IGNORECASE)  # addresses may have commas in them
_PICTURE_WORDS = frozenset("image images img imgs photo photos picture pictures pic pics media".split())
_PRODUCT_COLUMNS = (
    *("product", "handle", "item_group_id", "product_id", "product_handle", "style", "style_id", "sku", "article"),
    *("article_id", "article_number", "item_id", "gtin", "ean", "id", "title", "name", "product_name"),
)
_MORE_DATE_COLUMNS = ("published_at", "available_from", "launch_date", "launched", "release_date", "availability_date")
_GOOGLE_TAGS = (
    *("title", "brand", "color", "gender", "age_group", "material", "pattern", "product_type"),
    *("google_product_category", "condition", *(f"custom_label_{number}" for number in range(5))),
)
_SHOPIFY_TAGS = {
    "title": "title",
    "vendor": "vendor",
    "type": "type",
    "product_category": "category",
    "published": "published",
    "status": "status",
}


class _Product(NamedTuple):
    """A line of a feed: pictures, and what they show."""

    key: str  # pictures of one key show one outfit
    addresses: list[str]
    tags: dict[str, str]
    date: str = ""


@dataclass(frozen=True)
class Feed:
    """The pictures of a feed.

    Args:
        kind: What the feed is, such as `Shopify products.json`, for people.
        metadata: A row for each picture, named by its address, with tags and date of its product.
        products: Product of each picture, by address; pictures of one product show one outfit.
        wrong: Addresses that cannot be opened, as they do not begin with http.
    """

    kind: str
    metadata: Metadata
    products: dict[str, str] = field(repr=False)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        pictures, products = len(self.products), len(set(self.products.values()))
        return (
            f"{self.kind}: {pictures:,} picture{'' if pictures == 1 else 's'} of {products:,} "
            f"product{'' if products == 1 else 's'}."
        )


def is_feed_file(name: str) -> bool:
    """Whether a file may be a feed, by its ending; a table need not hold addresses."""
    return name.lower().endswith(FEED_SUFFIXES)


def read_feed(
    data: bytes,
    name: str,
    *,
    encoding: str | None = None,
    day_first: bool | None = None,
    now: datetime | None = None,
) -> Feed | None:
    """Reads a product feed.

    A picture that several products have is taken once, with the tags of the first.

    Args:
        data: The file.
        name: Name of the file, for messages, and its kind by the ending.
        encoding: Encoding of a table, by Python's name; found out if left out.
        day_first: Whether `03/04/2024` is 3 April; found out from the other dates if left out.
        now: Time after which a date is implausible; the current time if left out.

    Returns:
        The feed; None for a table without a column of addresses.

    Raises:
        ArchiveError: If the file is damaged, or holds no pictures; the message says what is wrong and what to do.
    """
    if data.startswith(b"\x1f\x8b"):
        data, name = _unpacked(data, name), re.sub(r"\.gz$", "", name, flags=re.IGNORECASE)
    is_table = name.lower().endswith(TABLE_SUFFIXES)
    may_be_table = is_table or not is_feed_file(name)  # addresses of tables often have no ending
    start = data[:400].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    encodings, notes = ["utf-8"], list[str]()
    if start in (b"{", b"[") and not is_table:
        kind, products = "Shopify products.json", _from_json(data, name)
    elif start == b"<":
        kind, products = "Google Merchant feed", _from_xml(data, name)
    else:
        unknown = ArchiveError(
            f"{name} is no product feed that is known. Give a CSV with a column of addresses, an export or "
            "products.json of Shopify, or a feed of Google Merchant Center."
        )
        if not may_be_table:
            raise unknown
        try:
            lines, encodings, notes = read_lines(data, name, encoding)
        except ArchiveError as error:
            raise error if is_table else unknown from None
        found = _from_table(lines)
        if found is None:
            return None
        kind, products, left_out = found
        if left_out:
            notes.append(f"Columns of long texts or other addresses were passed over: {listed(left_out, _SHOWN)}.")
    return _feed(kind, products, name, encodings, notes, day_first, now)


def _unpacked(data: bytes, name: str) -> bytes:
    """The file in a file of gzip, as feeds are often packed."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(data, _MOST_UNPACKED)
    except zlib.error as error:
        raise ArchiveError(f"{name} is damaged: it cannot be unpacked. Download it again.") from error
    if unpacker.unconsumed_tail:
        most = f"{_MOST_UNPACKED / 1024**2:.0f} MB"
        raise ArchiveError(f"{name} has more than {most} when it is unpacked. Split it into several feeds.")
    if not unpacker.eof:
        raise ArchiveError(f"{name} is cut off: it cannot be unpacked to its end. Download it again.")
    return plain


def _feed(
    kind: str,
    products: Iterable[_Product],
    name: str,
    encodings: list[str],
    notes: list[str],
    day_first: bool | None,
    now: datetime | None,
) -> Feed:
    keys: dict[str, str] = {}
    entries, texts, wrong, without = list[Entry](), list[str](), list[str](), 0
    for product in products:
        without += not product.addresses
        tags = {_clean(key): _clean(value) for key, value in product.tags.items()}
        tags = {key: value for key, value in tags.items() if key and value}
        for written in map(_clean, product.addresses):
            address = f"https:{written}" if written.startswith("//") else written
            if not _ADDRESS.match(address):
                wrong.append(address)
            elif address not in keys:
                keys[address] = product.key
                entries.append(Entry(address, tags))
                texts.append(product.date)
    if wrong and not entries:
        raise ArchiveError(
            f"{name} ({kind}) has pictures such as {wrong[0][:_LONG]}, but addresses begin with https:// or http://. "
            "Export it with whole addresses."
        )
    if not entries:
        raise ArchiveError(f"{name} ({kind}) holds no address of a picture. Export it with its pictures.")
    if without:
        notes.append(f"{without:,} line{'' if without == 1 else 's'} of {name} without a picture passed over.")
    dates = read_dates(texts, name, day_first=day_first, now=now)
    entries = [
        replace(entry, taken_at=taken.at, precision=taken.precision) if taken else entry
        for entry, taken in zip(entries, dates.taken, strict=True)
    ]
    entries, said = tidied(entries)
    said = [each for each in said if not each.startswith(("The tag 'product'", "The tag 'title'"))]
    metadata = Metadata(
        entries, [*notes, *dates.notes, *said], encodings[0], encodings, dates.ambiguous, "address", "", dates.mixed
    )
    return Feed(kind, metadata, keys, wrong)


def _clean(text: str) -> str:
    """A text that can be stored and shown: without control and direction characters and halves of characters."""
    return _NOT_TEXT.sub(" ", text).strip()


# --- Tables -----------------------------------------------------------------------------------------------------------


def _from_table(lines: Sequence[tuple[int, list[str]]]) -> tuple[str, list[_Product], list[str]] | None:
    """Kind, products, and columns that were passed over; None without a column of addresses."""
    header = lines[0][1]
    rows = [(number, cells[: len(header)] + [""] * (len(header) - len(cells))) for number, cells in lines[1:]]
    columns = {plain: at for at, cell in reversed(list(enumerate(header))) if (plain := _plain(cell))}
    pictures = _picture_columns(header, [cells for _, cells in rows])
    if not pictures:
        return None
    if {"handle", "image_src"} <= columns.keys():
        return "Shopify export", _shopify_rows(rows, columns, pictures), []
    if "image_link" in columns and "id" in columns:
        items = [
            {plain: cells[at] for plain, at in columns.items()}
            | {"addresses": [each for place in pictures for each in _addresses(cells[place])]}
            for _, cells in rows
        ]
        return "Google Merchant feed", [_google_product(item) for item in items], []
    return ("Table of addresses", *_plain_rows(header, rows, columns, pictures))


def _plain_rows(
    header: Sequence[str],
    rows: Sequence[tuple[int, list[str]]],
    columns: Mapping[str, int],
    pictures: Sequence[int],
) -> tuple[list[_Product], list[str]]:
    product = next((columns[each] for each in _PRODUCT_COLUMNS if columns.get(each, pictures[0]) not in pictures), None)
    date = next((columns[each] for each in (*DATE_COLUMNS, *_MORE_DATE_COLUMNS) if each in columns), None)
    others = [at for at in range(len(header)) if header[at] and at not in (*pictures, product, date)]
    passed = [at for at in others if any(len(cells[at]) > _LONG or _ANY_ADDRESS.match(cells[at]) for _, cells in rows)]
    products = []
    for number, cells in rows:
        tags = {header[at]: cells[at] for at in others if at not in passed and cells[at]}
        if product is not None and cells[product]:
            tags = {"product": cells[product], **tags}
        key = tags.get("product") or f"line {number}"
        addresses = [each for at in pictures for each in _addresses(cells[at])]
        products.append(_Product(key, addresses, tags, cells[date] if date is not None else ""))
    return products, [header[at] for at in passed]


def _shopify_rows(
    rows: Sequence[tuple[int, list[str]]], columns: Mapping[str, int], pictures: Sequence[int]
) -> list[_Product]:
    """Products of an export: later lines repeat the handle alone, and `Image Position` orders the pictures."""
    by_handle: dict[str, list[list[str]]] = defaultdict(list)
    for _, cells in rows:
        by_handle[cells[columns["handle"]]].append(cells)
    products = []
    for handle, lines in by_handle.items():
        first = {plain: next((line[at] for line in lines if line[at]), "") for plain, at in columns.items()}
        position = columns.get("image_position")
        ordered = sorted(lines, key=lambda line: _number(line[position]) if position is not None else 0)
        addresses = [each for at in pictures for line in ordered for each in _addresses(line[at])]
        tags = {tag: first[plain] for plain, tag in _SHOPIFY_TAGS.items() if first.get(plain)}
        products.append(_shopify_product(handle, addresses, tags, first.get("tags", "").split(",")))
    return products


def _picture_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Columns of addresses of pictures: by header or ending of the addresses, else the only one with addresses."""
    filled = [[cells[at] for cells in rows if cells[at]] for at in range(len(header))]
    links = [
        at
        for at, cells in enumerate(filled)
        if cells and 2 * sum(bool(_ANY_ADDRESS.match(cell)) for cell in cells) > len(cells)
    ]

    def is_picture(at: int) -> bool:
        if _PICTURE_WORDS & set(_plain(header[at]).split("_")):
            return True
        return 2 * sum(any(map(_ends_as_photo, _addresses(cell))) for cell in filled[at]) > len(filled[at])

    return [at for at in links if is_picture(at)] or (links if len(links) == 1 else [])


def _ends_as_photo(address: str) -> bool:
    try:
        return urlsplit(address).path.lower().endswith(PHOTO_SUFFIXES)
    except ValueError:
        return False


def _addresses(cell: str) -> list[str]:
    return [each.strip(" ,") for each in _BETWEEN.split(cell) if each.strip(" ,")]


def _plain(header: str) -> str:
    """A header in lower case, with underscores; without the `g:` of Google's feeds."""
    return re.sub(r"[^a-z0-9]+", "_", header.casefold().removeprefix("g:")).strip("_")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


# --- Shopify ----------------------------------------------------------------------------------------------------------


def _from_json(data: bytes, name: str) -> list[_Product]:
    try:
        values = json.loads(data)  # in UTF-8, UTF-16 or UTF-32
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{name} is damaged: it is no JSON that can be read. Download it again.") from error
    found = values.get("products", values.get("product")) if isinstance(values, dict) else values
    products = [found] if isinstance(found, dict) else found
    if not isinstance(products, list) or not all(isinstance(each, dict) for each in products):
        raise ArchiveError(f'{name} has no list "products", as products.json of Shopify has. Export it again.')
    return [_json_product(each) for each in products]


def _json_product(product: Mapping[str, Any]) -> _Product:
    given = _list(product.get("images")) or [product.get("image")]
    images = [{"src": each} if isinstance(each, str) else each for each in given if isinstance(each, (dict, str))]
    images.sort(key=lambda image: _number(str(image.get("position", ""))))
    tags = {"title": product.get("title"), "vendor": product.get("vendor"), "type": product.get("product_type")}
    said = product.get("tags") or []
    return _shopify_product(
        str(product.get("handle") or product.get("id") or product.get("title") or ""),
        [str(image["src"]) for image in images if image.get("src")],
        {tag: str(value) for tag, value in tags.items() if value},
        said.split(",") if isinstance(said, str) else list(map(str, _list(said))),
        str(product.get("published_at") or product.get("created_at") or ""),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shopify_product(
    handle: str, addresses: list[str], tags: dict[str, str], said: Iterable[str], date: str = ""
) -> _Product:
    """A product; of its own tags those such as `fit:loose` get a column each, and a fashion season is a date."""
    said = [each.strip() for each in said if each.strip()]
    parts = [each.partition(":") for each in said]
    pairs = {key.strip(): value.strip() for key, _, value in parts if value.strip() and len(key + value) <= _LONG}
    alone = [each for each in said if each.partition(":")[0].strip() not in pairs]
    season = next(filter(is_season, [*alone, *pairs.values()]), "")
    more = {"tags": ", ".join(alone)} if alone else {}
    more |= {key: value for key, value in pairs.items() if key and key not in tags}
    if season:
        more.setdefault("season", season)
    return _Product(handle, addresses, {"product": handle, **tags, **more}, date or season)


# --- Google Merchant Center -------------------------------------------------------------------------------------------


class _DoctypeError(Exception):
    """A document that may declare entities."""


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Builds a tree, but refuses documents that declare entities, which can grow without end."""

    def doctype(self, *_: str | None) -> None:
        raise _DoctypeError


def _from_xml(data: bytes, name: str) -> list[_Product]:
    try:
        root = ElementTree.fromstring(_xml_text(data, name), ElementTree.XMLParser(target=_WithoutDoctype()))
    except ElementTree.ParseError as error:
        raise ArchiveError(
            f"{name} is damaged: it is no XML that can be read, from line {error.position[0]:,} on. Download it again."
        ) from error
    except _DoctypeError:
        raise ArchiveError(
            f"{name} is a web page or declares entities (DOCTYPE), as no feed does. Download the feed itself."
        ) from None
    items = [_item(each) for each in root.iter() if _local(each) in ("item", "entry")]
    if not items:
        raise ArchiveError(
            f"{name} has no item, as a feed of Google Merchant Center has. Export it as RSS 2.0 or Atom."
        )
    return [_google_product(item) for item in items]


def _xml_text(data: bytes, name: str) -> str:
    """The text of a document, in the encoding that it declares."""
    start = data[:200]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start:
        encoding = "utf-16"
    else:
        declared = re.match(rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)""", start)
        encoding = declared[1].decode("ascii") if declared else "utf-8"
    try:
        text = data.decode(encoding).removeprefix("\ufeff").lstrip()
        text.encode()  # halves of characters
    except (LookupError, UnicodeError):
        raise ArchiveError(f"{name} is not in {encoding}, the encoding it names. Export it in UTF-8.") from None
    if re.match("<(?:!doctype )?html", text, re.IGNORECASE):
        raise ArchiveError(f"{name} is a web page, not a feed. Give the address of the feed itself.")
    return text


def _item(element: ElementTree.Element) -> dict[str, Any]:
    values: dict[str, Any] = {"addresses": []}
    more: list[str] = []
    for child in element:
        key, text = _local(child), html.unescape((child.text or "").strip())
        if key == "image_link":
            values["addresses"] += _addresses(text)
        elif key == "additional_image_link":
            more += _addresses(text)
        elif text:
            values.setdefault(key, text)
    values["addresses"] += more
    return values


def _google_product(item: Mapping[str, Any]) -> _Product:
    """A product: its variants in one colour are one outfit, as they differ in size alone."""
    product = item.get("item_group_id") or item.get("id") or ""
    tags = {tag: str(item[tag]) for tag in _GOOGLE_TAGS if item.get(tag) and len(item[tag]) <= _LONG}
    key = "\n".join(filter(None, (product, item.get("color")))) or "\n".join(item["addresses"])
    if product:
        tags = {"product": product, **tags}
    date = next((item[each] for each in ("published_at", "availability_date", "published") if item.get(each)), "")
    return _Product(key, item["addresses"], tags, date.partition("/")[0] if "T" in date else date)


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]
