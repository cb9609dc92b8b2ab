"""Photos of feeds, fetched from a server of this machine: polite, once, with a reason for each that is not there."""

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from photo_server import PhotoServer, answer, busy, running_photos, slow, status

from segmodels import fetch as fetch_module
from segmodels.archive.__main__ import main
from segmodels.archive.feeds import read_feed
from segmodels.archive.fetching import Fetcher, Limits, feed_photos, fetch_feed
from segmodels.archive.ingest import Report, analyse_here, ingest, prepared, version_of
from segmodels.archive.place import ArchiveError
from segmodels.archive.store import Archive
from segmodels.archive.thumbnails import thumbnails_of
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError

Photo = Callable[..., bytes]
QUICK = Limits(seconds=2.0, pause=0.01, longest_wait=2.0)


@pytest.fixture
def shop() -> Iterator[PhotoServer]:
    with running_photos() as server:
        yield server


@pytest.fixture
def take(archive: Archive, segmenter: Segmenter, shop: PhotoServer) -> Callable[..., Report]:
    """Ingests a table whose lines are product and paths."""

    def run(*lines: str, as_outfits: bool = False, thumbnails: bool = False, limits: Limits = QUICK) -> Report:
        table = "product,images\n" + "".join(
            f"{line.partition(' ')[0]},{' '.join(shop.address + path for path in line.split(' ')[1:])}\n"
            for line in lines
        )
        feed = read_feed(table.encode(), "feed.csv")
        assert feed
        found = feed_photos(feed, Fetcher(limits, anywhere=True), as_outfits=as_outfits)
        version = version_of(segmenter)
        engine = prepared(partial(analyse_here, segmenter), found, archive, version, thumbnails=thumbnails)
        return ingest(found, archive, version, engine, feed.metadata, taxonomy=segmenter.taxonomy)

    return run


def test_what_is_there_is_added_and_the_rest_has_a_reason_each(
    take: Callable[..., Report], shop: PhotoServer, photo: Photo, archive: Archive
) -> None:
    shop.files = {
        "/a.jpg": photo(0),
        "/slow.jpg": slow(0.3, photo(1)),
        "/busy.jpg": busy(2, photo(2), Retry_After="0"),
        "/restarting.jpg": busy(1, photo(3), 503),
        "/img?id=1": photo(4),
        "/img?id=2": photo(5),
        "/too-slow.jpg": slow(30, photo(6)),
        "/closed.jpg": lambda request: status(request, 403),
        "/huge.jpg": lambda request: answer(request, b"", length=30 * 1024**2),
        "/text.jpg": lambda request: answer(request, b"hello" * 20),
        "/page.jpg": lambda request: answer(request, b"<p>", "text/html"),
        "/cut.jpg": lambda request: answer(request, photo(7)[:300], length=len(photo(7))),
    }
    first = time.monotonic()
    report = take("one " + " ".join(shop.files), "two /missing.jpg", limits=Limits(seconds=1.0, pause=0.01, tries=3))
    assert time.monotonic() - first < 15
    assert report.added == 6
    reasons = {file.removeprefix(shop.address): reason for file, reason in report.rejected}
    assert set(reasons) == {f"/{name}.jpg" for name in "too-slow closed huge text page cut missing".split()}
    assert all(reason.startswith(f"{shop.address}{path}") for path, reason in reasons.items())
    assert reasons["/missing.jpg"].endswith("answers with 404 Not Found. Check that the address opens without a login.")
    assert "The file has 30.0 MB, more than the 20 MB allowed" in reasons["/huge.jpg"]
    assert "took longer than 1 seconds" in reasons["/too-slow.jpg"]
    assert "leads to a web page" in reasons["/page.jpg"]
    assert (shop.asked["/cut.jpg"], shop.asked["/busy.jpg"], shop.asked["/closed.jpg"]) == (3, 3, 1)
    assert {agent.partition("/")[0] for agent in shop.agents} == {"Garmentscope"}
    listed = csv.DictReader(io.StringIO(archive.place.read("rejected.csv").decode("utf-8-sig")))
    assert {row["file"].removeprefix(shop.address) for row in listed} == set(reasons)
    with archive.reader() as reader:
        rows = reader.query("SELECT file_name, tags['product'] AS product FROM photos ORDER BY file_name")
    assert f"{shop.address}/img?id=2" in list(rows["file_name"]) and set(rows["product"]) == {"one"}


def test_a_second_run_fetches_only_what_is_missing(
    take: Callable[..., Report], shop: PhotoServer, photo: Photo, archive: Archive
) -> None:
    shop.files = {f"/{number}.jpg": slow(0.1, photo(number)) for number in range(3)}
    assert take("a /0.jpg /1.jpg", "b /2.jpg /late.jpg").added == 3
    assert shop.most_at_once == 2, "of a host"
    shop.files["/late.jpg"] = photo(9)
    shop.asked.clear()
    report = take("spring /0.jpg /1.jpg", "b /2.jpg /late.jpg")
    assert (report.added, report.known, report.retagged, report.rejected) == (1, 3, 2, [])
    assert dict(shop.asked) == {"/late.jpg": 1}
    shop.asked.clear()
    assert take("spring /0.jpg", thumbnails=True).known == 1
    assert dict(shop.asked) == {"/0.jpg": 1} and len(thumbnails_of(archive.place)) == 1
    assert take("spring /0.jpg", thumbnails=True).known == 1
    assert shop.asked["/0.jpg"] == 1


def test_the_pictures_of_a_product_become_one_row(
    take: Callable[..., Report], shop: PhotoServer, photo: Photo, archive: Archive
) -> None:
    shop.files = {f"/{number}.jpg": photo(number) for number in range(6)}
    lines = ("a /missing.jpg /0.jpg /1.jpg", "b /2.jpg /3.jpg", "c /4.jpg")
    report = take(*lines, as_outfits=True, thumbnails=True)
    assert (report.added, report.joined, len(report.rejected)) == (3, 2, 1)
    with archive.reader() as reader:
        rows = reader.query(
            "SELECT file_name, tags['product'] AS product, len(outfits) AS outfits, photo_id FROM photos"
        )
    found = dict(zip(rows["product"], rows["file_name"].str.removeprefix(shop.address), strict=True))
    assert found == {"a": "/0.jpg", "b": "/2.jpg", "c": "/4.jpg"} and set(rows["outfits"]) == {1}
    assert thumbnails_of(archive.place) == set(rows["photo_id"])
    shop.asked.clear()
    again = take(*lines, as_outfits=True)
    assert (again.added, again.known, again.joined, dict(shop.asked)) == (0, 3, 3, {})


def test_a_host_that_asks_for_a_long_wait_or_never_answers_is_given_up(
    shop: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.files = {"/later.jpg": lambda request: status(request, 429, Retry_After="3600")}
    fetcher = Fetcher(QUICK, anywhere=True)
    for path, sentence in (("/later.jpg", "429 Too Many Requests"), ("/other.jpg", "asks to wait 3,600 seconds")):
        with pytest.raises(PhotoError, match=sentence):
            fetcher.read(shop.address + path)
    assert shop.asked == {"/later.jpg": 1}
    shop.files = {f"/{number}": lambda request: status(request, 500) for number in range(11)}
    fetcher = Fetcher(Limits(pause=0.0, tries=1), anywhere=True)
    for number in range(10):
        with pytest.raises(PhotoError, match="500 Internal Server Error"):
            fetcher.read(f"{shop.address}/{number}")
    with pytest.raises(PhotoError, match="10 addresses one after the other failed"):
        fetcher.read(f"{shop.address}/10")
    assert shop.asked["/10"] == 0


def test_private_addresses_are_refused_unless_allowed(shop: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoError, match="names port"):
        Fetcher(QUICK).read(f"{shop.address}/a.jpg")
    with pytest.raises(PhotoError, match=r"10\.0\.0\.7 is not on the public internet"):
        Fetcher(QUICK).read("http://10.0.0.7/a.jpg")
    real = fetch_module._is_public  # the server is public from here on, and leads to what is not
    monkeypatch.setattr(fetch_module, "_PORTS", {"http": int(shop.address.rpartition(":")[2]), "https": 443})
    monkeypatch.setattr(fetch_module, "_is_public", lambda address: str(address) == "127.0.0.1" or real(address))
    shop.files = {"/in": lambda request: status(request, 302, Location="http://169.254.169.254/latest")}
    with pytest.raises(PhotoError, match=r"169\.254\.169\.254 is not on the public internet"):
        Fetcher(QUICK).read("http://127.0.0.1/in")


def test_stopping_ends_the_waits(shop: PhotoServer) -> None:
    shop.files = {"/busy.jpg": lambda request: status(request, 429, Retry_After="60")}
    fetcher = Fetcher(anywhere=True)
    threading.Timer(0.2, fetcher.stop).start()
    begun = time.monotonic()
    with pytest.raises(PhotoError, match="The ingest was stopped"):
        fetcher.read(f"{shop.address}/busy.jpg")
    assert time.monotonic() - begun < 5


def test_all_pages_of_a_shop_are_read(shop: PhotoServer) -> None:
    def page(number: int, count: int) -> None:
        products = [
            {"handle": f"{number}-{each}", "image": {"src": "https://c.example/a.jpg"}} for each in range(count)
        ]
        data = json.dumps({"products": products}).encode()
        shop.files[f"/products.json?limit=250&page={number}"] = lambda request: answer(
            request, data, "application/json"
        )

    page(1, 250)
    page(2, 3)
    assert len(json.loads(fetch_feed(f"{shop.address}/products.json", anywhere=True))["products"]) == 253
    with pytest.raises(
        ArchiveError, match=r"The feed http.*nothing\.xml cannot be read\. .* answers with 404 Not Found"
    ):
        fetch_feed(f"{shop.address}/nothing.xml", anywhere=True)
    with pytest.raises(ArchiveError, match="Its pages take longer than 0 seconds"):
        fetch_feed(f"{shop.address}/products.json", anywhere=True, seconds=0)
    with pytest.raises(ArchiveError, match="more than the 0 MB allowed"):
        fetch_feed(f"{shop.address}/products.json", anywhere=True, max_bytes=10_000)


def test_a_shop_that_gives_the_same_page_again_has_one_page(shop: PhotoServer) -> None:
    data = json.dumps({"products": [{"handle": str(each)} for each in range(250)]}).encode()
    for number in (1, 2):
        shop.files[f"/products.json?limit=250&page={number}"] = data
    assert len(json.loads(fetch_feed(f" {shop.address}/products.json", anywhere=True))["products"]) == 250
    for bad in (b"[" * 100_000, b'{"products": {"a": 1}}'):
        shop.files["/products.json?limit=250&page=1"] = bad
        with pytest.raises(ArchiveError, match=r"cannot be read\. It holds no list of products\."):
            fetch_feed(f"{shop.address}/products.json", anywhere=True)


def test_the_command_takes_a_feed(
    shop: PhotoServer, photo: Photo, archive: Archive, more_models: object, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.files = {"/0.jpg": photo(0), "/1.jpg": photo(1)}
    rss = "".join(
        f"<item><id>{each}</id><image_link>{shop.address}/{each}.jpg</image_link></item>" for each in range(3)
    )
    shop.files["/feed.xml"] = f"<rss>{rss}</rss>".encode()
    command = ["ingest", f"{shop.address}/feed.xml", "--archive", archive.place.location, "--allow-private"]
    assert main([*command, "--model", f"{more_models}/tiny"]) == 1
    printed = capsys.readouterr()
    assert "Google Merchant feed: 3 pictures of 3 products." in printed.out and "2 photos added" in printed.out
    assert f"{shop.address}/2.jpg was not fetched: 127.0.0.1 answers with 404 Not Found" in printed.err
    assert main([*command[:4], "--model", f"{more_models}/tiny"]) == 1
    assert "names port" in capsys.readouterr().err
