"""Product feeds as shops export them: which pictures they name, of which products, with which tags and dates."""

import gzip
import json
import re
from datetime import datetime

import pytest

from segmodels.archive import feeds
from segmodels.archive.feeds import Feed, read_feed
from segmodels.archive.place import ArchiveError

NOW = datetime(2026, 1, 1)
SHOPIFY = """Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Variant Price,Image Src,Image Position,Variant Image
red-dress,Red dress,<p>Nice</p>,Atelier,Dresses,"summer, SS24, fit:loose",true,99,https://cdn.example/r2.jpg?v=7,2,
red-dress,,,,,,,99,https://cdn.example/r1.jpg?v=7,1,https://cdn.example/r1.jpg?v=7
blue-hat,Blue hat,,Atelier,Hats,,true,20,//cdn.example/h.png,1,
no-picture,None,,Atelier,Hats,,true,20,,,
"""
RSS = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item><g:id>A-S</g:id><g:item_group_id>A</g:item_group_id><g:title>Coat &amp; belt</g:title><g:link>https://shop.example/a</g:link>
 <g:image_link>https://cdn.example/a.jpg?id=1</g:image_link>
 <g:additional_image_link>https://cdn.example/a.jpg?id=2</g:additional_image_link>
 <g:color>Red</g:color><g:brand>Atelier</g:brand><g:availability_date>2024-03-01T00:00+01:00/2024-04-01T00:00</g:availability_date></item>
<item><g:id>A-M</g:id><g:item_group_id>A</g:item_group_id><g:image_link>https://cdn.example/a.jpg?id=1</g:image_link><g:color>Red</g:color></item>
<item><g:id>A-B</g:id><g:item_group_id>A</g:item_group_id><g:image_link>https://cdn.example/b.jpg</g:image_link><g:color>Blue</g:color></item>
</channel></rss>"""


def read(text: str, name: str) -> Feed:
    feed = read_feed(text.encode(), name, now=NOW)
    assert feed
    return feed


def rows(feed: Feed) -> list[tuple[str, dict[str, str]]]:
    return [(entry.name, entry.tags) for entry in feed.metadata.entries]


def test_an_export_of_shopify() -> None:
    feed = read(SHOPIFY, "products_export.csv")
    dress = {"product": "red-dress", "title": "Red dress", "vendor": "Atelier", "type": "Dresses", "published": "true"}
    dress |= {"tags": "summer, SS24", "fit": "loose", "season": "SS24"}
    hat = {"product": "blue-hat", "title": "Blue hat", "vendor": "Atelier", "type": "Hats", "published": "true"}
    assert rows(feed) == [
        ("https://cdn.example/r1.jpg?v=7", dress),
        ("https://cdn.example/r2.jpg?v=7", dress),
        ("https://cdn.example/h.png", hat),
    ]
    assert (feed.metadata.entries[0].taken_at, feed.metadata.entries[0].precision) == (
        datetime(2024, 3, 1),
        "fashion season",
    )
    assert str(feed) == "Shopify export: 3 pictures of 2 products."
    assert "1 line of products_export.csv without a picture passed over." in feed.metadata.notes


def test_the_json_of_shopify() -> None:
    product = {
        "handle": "red-dress",
        "published_at": "2024-03-31T10:00:00-04:00",
        "vendor": "Atelier",
        "product_type": "Dresses",
        "tags": ["summer"],
        "images": [
            {"src": "https://c.example/2.jpg", "position": 2},
            {"src": "https://c.example/1.jpg", "position": 1},
        ],
    }
    feed = read(json.dumps({"products": [product]}), "products.json")
    assert [name for name, _ in rows(feed)] == ["https://c.example/1.jpg", "https://c.example/2.jpg"]
    assert feed.metadata.entries[0].taken_at == datetime(2024, 3, 31, 10)
    assert feed.metadata.entries[0].tags == {
        "product": "red-dress",
        "vendor": "Atelier",
        "type": "Dresses",
        "tags": "summer",
    }


def test_a_feed_of_google() -> None:
    feed = read(RSS, "feed.xml")
    coat = {"product": "A", "title": "Coat & belt", "brand": "Atelier", "color": "Red"}
    assert rows(feed) == [
        ("https://cdn.example/a.jpg?id=1", coat),
        ("https://cdn.example/a.jpg?id=2", coat),
        ("https://cdn.example/b.jpg", {"product": "A", "color": "Blue"}),
    ]
    assert len(set(feed.products.values())) == 2, "sizes are one product, colours are not"
    assert feed.metadata.entries[0].taken_at == datetime(2024, 3, 1)


def test_atom_and_tabs_of_google_give_the_same() -> None:
    atom = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><entry><g:id>1</g:id>'
        "<g:image_link>https://c.example/1.jpg</g:image_link><g:brand>Atelier</g:brand></entry></feed>"
    )
    tabs = (
        "id\timage link\tadditional image link\tbrand\tlink\n"
        "1\thttps://c.example/1.jpg\thttps://c.example/2,3.jpg,https://c.example/4.jpg\tAtelier\thttps://c.example\n"
    )
    expected = {"product": "1", "brand": "Atelier"}
    assert rows(read(atom, "feed.atom")) == [("https://c.example/1.jpg", expected)]
    names = ["https://c.example/1.jpg", "https://c.example/2,3.jpg", "https://c.example/4.jpg"]
    assert rows(read(tabs, "feed.txt")) == [(name, expected) for name in names]


def test_any_table_with_addresses() -> None:
    feed = read(
        "sku;market;page;front;image 2;date\n"
        "7;Milan;https://s.example/7;https://c.example/a.jpg|https://c.example/b.jpg;http://c.example/img?id=3;2024-05\n"
        "8;Paris;https://s.example/8;ftp://c.example/c.jpg https://c.example/d.webp;;2024-06\n",
        "looks.csv",
    )
    seven = {"product": "7", "market": "Milan"}
    assert rows(feed) == [
        ("https://c.example/a.jpg", seven),
        ("https://c.example/b.jpg", seven),
        ("http://c.example/img?id=3", seven),
        ("https://c.example/d.webp", {"product": "8", "market": "Paris"}),
    ]
    assert feed.wrong == ["ftp://c.example/c.jpg"]
    assert feed.metadata.entries[3].precision == "month"
    assert feed.metadata.notes[0] == "Columns of long texts or other addresses were passed over: page."


@pytest.mark.parametrize("text", ["file_name;market\na.jpg;Milan\n", "photo,page\na.jpg,x\nb.jpg,https://s.example\n"])
def test_a_table_of_file_names_is_no_feed(text: str) -> None:
    assert read_feed(text.encode(), "looks.csv") is None


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("feed.xml", RSS[:300], "feed.xml is damaged: it is no XML that can be read, from line 4 on."),
        ("feed.xml", '<!DOCTYPE a [<!ENTITY b "c">]><rss>&b;</rss>', "feed.xml is a web page or declares entities"),
        ("feed.xml", "<rss/>", "feed.xml has no item, as a feed of Google Merchant Center has."),
        ("p.json", '{"products": [', "p.json is damaged: it is no JSON that can be read."),
        ("p.json", "[" * 100_000, "p.json is damaged: it is no JSON that can be read."),
        ("p.json", '{"items": 3}', 'p.json has no list "products", as products.json of Shopify has.'),
        ("p.json", '{"products": []}', "p.json (Shopify products.json) holds no address of a picture."),
        (
            "p.json",
            '{"products": [{"images": 5, "tags": 3, "image": {"src": "/x.jpg"}}]}',
            "p.json (Shopify products.json) has pictures such as /x.jpg, but addresses begin with https:// or http://.",
        ),
        ("feed", "%PDF-1.4", "feed is no product feed that is known."),
        ("feed.xml", "<html><body>404</body></html>", "feed.xml is a web page, not a feed."),
        ("feed.xml", '<?xml version="1.0" encoding="klingon"?><rss/>', "feed.xml is not in klingon, the encoding it"),
        ("feed.rss", "hello", "feed.rss is no product feed that is known."),
    ],
)
def test_a_bad_feed_is_a_sentence(name: str, text: str, sentence: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        read_feed(text.encode(), name)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "shift_jis", "gb18030"])
def test_a_feed_is_read_in_the_encoding_that_it_declares(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'''<?xml version="1.0" encoding="{declared}"?><rss><item><id>1</id><title>日本</title>
    <image_link>https://c.example/1.jpg</image_link></item></rss>'''
    feed = read_feed(text.encode(encoding), "feed.xml")
    assert feed and rows(feed) == [("https://c.example/1.jpg", {"product": "1", "title": "日本"})]


def test_what_cannot_be_stored_is_left_out_of_tags_and_addresses() -> None:
    product = {"handle": "a\0b", "title": "\ud800", "tags": "fit:\x1b[31mloose, " + "x" * 300 + ":long"}
    feed = read(
        json.dumps({"products": [product | {"images": ["https://c.example/a.jpg\0", "b\udfff.jpg"]}]}), "p.json"
    )
    ((name, tags),) = rows(feed)
    assert name == "https://c.example/a.jpg" and feed.wrong == ["b .jpg"]
    assert (tags["product"], tags["fit"]) == ("a b", "[31mloose") and "title" not in tags
    assert all(len(key) < 300 for key in tags)


def test_a_packed_feed_is_unpacked_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(b"sku,image\n7,https://c.example/a.jpg\n")
    for name in ("looks.csv.gz", "looks.csv", "export"):
        feed = read_feed(packed, name)
        assert feed and rows(feed) == [("https://c.example/a.jpg", {"product": "7"})]
    for data, sentence in [
        (packed[:-9], "a.gz is cut off: it cannot be unpacked to its end."),
        (packed[:-8] + bytes(8), "a.gz is damaged: it cannot be unpacked."),
        (gzip.compress(bytes(3_000_000)), "a.gz has more than 2 MB when it is unpacked."),
    ]:
        monkeypatch.setattr(feeds, "_MOST_UNPACKED", 2 * 1024**2)
        with pytest.raises(ArchiveError, match=f"^{re.escape(sentence)}"):
            read_feed(data, "a.gz")
