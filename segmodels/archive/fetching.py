"""Photos of a feed, fetched politely: few at once from a host, again later if it asks, never what is there already."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Container, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from segmodels.archive.feeds import Feed
from segmodels.archive.place import ArchiveError
from segmodels.archive.sources import Found, Rejected, Source
from segmodels.archive.store import Archive, Version
from segmodels.archive.thumbnails import has_thumbnails, thumbnails_of
from segmodels.fetch import FetchError, fetch
from segmodels.photo import PhotoError
from segmodels.sentences import first_line

if TYPE_CHECKING:
    from segmodels.archive.ingest import Engine, Outcome

__all__ = ["Fetcher", "Limits", "feed_name", "feed_photos", "fetch_feed", "fetching", "photo_at"]

_BATCH = 16  # photos that are fetched while as many are analysed, so that no thread of the network waits for a host
_GIVEN_UP = 10  # addresses that fail one after the other at a host before the rest of it is not tried
_FEED_BYTES = 200 * 1024**2
_FEED_SECONDS = 120.0
_PAGE = 250  # products of a page of Shopify, the most that it gives
_MOST_PAGES = 4000
_SHOWN = 200  # characters of an address in a message


@dataclass(frozen=True)
class Limits:
    """How photos are fetched.

    Args:
        max_bytes: Most bytes of a photo.
        seconds: Most seconds that a photo may take.
        at_once: Most photos at once.
        at_once_a_host: Most photos at once from one host.
        tries: Most tries of a photo where the host is not reached or says that it is busy.
        pause: Seconds before the second try; each further pause is twice as long.
        longest_wait: Most seconds that a host may ask to wait; one that asks for more is given up.
    """

    max_bytes: int = 20 * 1024**2
    seconds: float = 20.0
    at_once: int = 8
    at_once_a_host: int = 2
    tries: int = 4
    pause: float = 1.0
    longest_wait: float = 120.0


@dataclass
class _Host:
    """What is known of a host."""

    turn: threading.Semaphore
    not_before: float = 0.0
    failures: int = 0
    given_up: str = ""


@dataclass
class Fetcher:
    """Fetches photos from the public internet.

    Args:
        limits: How they are fetched.
        anywhere: Whether private addresses and ports other than the usual ones are opened as well.
    """

    limits: Limits = field(default_factory=Limits)
    anywhere: bool = False
    _hosts: dict[str, _Host] = field(init=False, repr=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forgets what is known of hosts, for another run."""
        self._stopped.clear()
        self._hosts = defaultdict(lambda: _Host(threading.Semaphore(self.limits.at_once_a_host)))

    def stop(self) -> None:
        """Ends the waits of all threads that fetch."""
        self._stopped.set()

    def read(self, address: str) -> bytes:
        """The file at an address.

        Raises:
            PhotoError: If it cannot be had; the message names address and reason.
        """
        name = _host_of(address)
        with self._lock:
            host = self._hosts[name]
        try:
            return self._read(address, name, host)
        except FetchError as error:
            raise PhotoError(f"{address} was not fetched: {error}") from None

    def _read(self, address: str, name: str, host: _Host) -> bytes:
        limits = self.limits
        for tried in range(1, limits.tries + 1):
            with host.turn:
                self._wait(host.not_before - time.monotonic())
                if host.given_up:
                    raise FetchError(host.given_up)
                try:
                    found = fetch(address, max_bytes=limits.max_bytes, seconds=limits.seconds, anywhere=self.anywhere)
                except FetchError as error:
                    if not error.is_temporary:
                        host.failures = 0
                        raise
                    failure = error
                else:
                    host.failures = 0
                    return found.data
                asked = failure.retry_after
                if asked is not None and asked > limits.longest_wait:
                    host.given_up = f"{name} asks to wait {asked:,.0f} seconds. Run the same command again after that."
                    raise failure
                pause = limits.pause * 2 ** (tried - 1) * random.uniform(0.8, 1.2)
                if asked is not None:
                    host.not_before = max(host.not_before, time.monotonic() + asked)
                    pause = 0.0
            if tried < limits.tries:
                self._wait(pause)
        host.failures += 1
        if host.failures >= _GIVEN_UP:
            host.given_up = (
                f"{_GIVEN_UP} addresses one after the other failed at {name}, so that this one was not tried. Run the "
                "same command again later."
            )
        raise failure

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(max(0.0, seconds)):
            raise FetchError("The ingest was stopped. Run the same command to continue.")


def fetch_feed(
    address: str, *, anywhere: bool = False, max_bytes: int | None = None, seconds: float | None = None
) -> bytes:
    """The file of a feed; all pages of a shop's `products.json`, as one.

    Args:
        address: Address of the feed.
        anywhere: Whether private addresses and ports other than the usual ones are opened as well.
        max_bytes: Most bytes of all pages; 200 MB of each page if left out.
        seconds: Most seconds that all pages may take; 120 for each page if left out.

    Raises:
        ArchiveError: If it cannot be had.
    """
    address = address.strip()
    ask = _Pages(anywhere, max_bytes, seconds)
    try:
        path, _, query = address.partition("#")[0].partition("?")
        if not path.endswith("/products.json") or query:
            return ask(address)
        products, pages = list[object](), set[bytes]()
        for page in range(1, _MOST_PAGES + 1):
            data = ask(f"{path}?{urlencode({'limit': _PAGE, 'page': page})}")
            found = json.loads(data)["products"]
            if not isinstance(found, list):
                raise TypeError
            if (digest := sha256(data).digest()) in pages:
                break  # this shop has one page, whichever is asked for
            pages.add(digest)
            products += found
            if len(found) < _PAGE:
                break
        return json.dumps({"products": products}).encode()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error) if isinstance(error, FetchError) else "It holds no list of products."
        raise ArchiveError(f"The feed {address[:_SHOWN]} cannot be read. {reason}") from None


def feed_name(address: str) -> str:
    """Name of the file at an address, for messages, and the feed's kind by its ending."""
    return (re.split("[?#]", address.strip())[0].rstrip("/").rpartition("/")[2] or "The feed")[:_SHOWN]


class _Pages:
    """Fetches the pages of a feed, all of them within a number of bytes and seconds."""

    def __init__(self, anywhere: bool, max_bytes: int | None, seconds: float | None) -> None:
        self._anywhere = anywhere
        self._bytes = max_bytes
        self._until = None if seconds is None else time.monotonic() + seconds
        self._seconds = seconds

    def __call__(self, address: str) -> bytes:
        wait = _FEED_SECONDS if self._until is None else min(_FEED_SECONDS, self._until - time.monotonic())
        if wait <= 0:
            raise FetchError(f"Its pages take longer than {self._seconds:g} seconds. Save it, and add it as a file.")
        most = _FEED_BYTES if self._bytes is None else self._bytes
        data = fetch(address, max_bytes=most, seconds=wait, anywhere=self._anywhere, what="feed").data
        if self._bytes is not None:
            self._bytes -= len(data)
        return data


def feed_photos(feed: Feed, fetcher: Fetcher, *, as_outfits: bool = False) -> Found:
    """The photos of a feed, to be fetched when they are read.

    Args:
        feed: The feed.
        fetcher: Fetcher of the photos.
        as_outfits: Whether the pictures of a product become one row, of one outfit.
    """
    names = [entry.name for entry in feed.metadata.entries]
    if as_outfits:  # the pictures of a product one after the other
        order = {key: at for at, key in enumerate(dict.fromkeys(feed.products[name] for name in names))}
        names.sort(key=lambda name: order[feed.products[name]])
    sources = [photo_at(name, fetcher, feed.products[name] if as_outfits else "") for name in names]
    wrong = [Rejected(each, f"{each[:200]} is no address that begins with http:// or https://.") for each in feed.wrong]
    return Found(sources, wrong)


def photo_at(address: str, fetcher: Fetcher, product: str = "") -> Source:
    """A photo of the internet; its name is its address."""
    return Source(address, partial(fetcher.read, address), product=product, fetcher=fetcher)


def fetching(engine: Engine, archive: Archive, version: Version, *, thumbnails: bool = False) -> Engine:
    """An engine that fetches photos ahead, and passes over those whose address is in the archive.

    Of a product whose pictures are one outfit, one address in the archive is enough.

    Args:
        engine: Engine that analyses the photos.
        archive: Archive for the rows.
        version: Version of the rows.
        thumbnails: Whether photos without thumbnails are fetched again.
    """
    from segmodels.archive.ingest import Outcome

    def run(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        there = _addresses(archive, version)
        if thumbnails:
            kept = thumbnails_of(archive.place) if has_thumbnails(archive.place) else set[str]()
            there = {address: key for address, key in there.items() if key in kept}
        wanted, outcomes = _wanted(sources, there)
        yield from outcomes
        fetchers = list({id(each.fetcher): each.fetcher for each in wanted if each.fetcher}.values())
        for each in fetchers:
            each.begin()
        at_once = max((each.limits.at_once for each in fetchers), default=1)
        with ThreadPoolExecutor(at_once, thread_name_prefix="fetch") as executor:
            batches = deque(_batches(wanted))
            coming = deque[list[Future[bytes]]]()
            try:
                while batches:
                    while len(coming) < min(2, len(batches)):  # the next one is fetched while one is analysed
                        coming.append([executor.submit(each.read) for each in batches[len(coming)]])
                    fetched = []
                    for source, file in zip(batches.popleft(), coming.popleft(), strict=True):
                        try:
                            data = file.result()
                        except PhotoError as error:
                            yield Outcome(source.name, reason=str(error))
                        except Exception as error:  # one photo never stops the others
                            reason = first_line(error) or type(error).__name__
                            yield Outcome(source.name, reason=f"{source.name} was not fetched: {reason}.")
                        else:
                            fetched.append(replace(source, read=partial(bytes, data), location=""))
                    yield from engine(fetched, known)
            finally:
                for each in fetchers:
                    each.stop()
                executor.shutdown(wait=True, cancel_futures=True)

    return run


def _wanted(sources: Sequence[Source], there: Mapping[str, str]) -> tuple[list[Source], list[Outcome]]:
    """The photos that are to be fetched, and the outcomes of the others."""
    from segmodels.archive.ingest import Outcome

    row_of = {source.product: source.name for source in reversed(sources) if source.product and source.name in there}
    wanted, outcomes = list[Source](), list[Outcome]()
    for source in sources:
        main = row_of.get(source.product, "") if source.product else ""
        if main and main != source.name:
            outcomes.append(Outcome(source.name, part_of=main))
        elif source.name in there:
            outcomes.append(Outcome(source.name, there[source.name]))
        else:
            wanted.append(source)
    return wanted, outcomes


def _batches(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """Some photos at a time; the pictures of a product, which follow each other, stay together."""
    batch: list[Source] = []
    for source in sources:
        if len(batch) >= _BATCH and not (source.product and source.product == batch[-1].product):
            yield batch
            batch = []
        batch.append(source)
    if batch:
        yield batch


def _addresses(archive: Archive, version: Version) -> dict[str, str]:
    """Ids of the photos of a version that came from an address, by address."""
    if version not in archive.versions():
        return {}
    with archive.reader(version) as reader:
        found = reader.query("SELECT file_name, photo_id FROM photos WHERE file_name LIKE 'http%://%'")
    return dict(zip(found["file_name"], found["photo_id"], strict=True))


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).netloc or address
    except ValueError:
        return address
