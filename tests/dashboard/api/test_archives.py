"""Archives over HTTP: the numbers of the Trends page, photos in and out, and what is refused."""

from __future__ import annotations

import errno
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from photo_server import running_photos
from starlette.testclient import TestClient

from dashboard.api import archives
from dashboard.api.limits import Limits
from dashboard.archive import jobs as archive_jobs
from dashboard.archive import spool
from dashboard.trends.moves import GARMENTS, line_section, things
from dashboard.trends.section import Question, Section
from dashboard.trends.together import matrix_section
from dashboard.trends.worn import share_section
from segmodels.archive.alert_rules import Rule
from segmodels.archive.alerts import add_rule
from segmodels.archive.facts import Facts, View
from segmodels.archive.place import Place
from segmodels.archive.rows import photo_id
from segmodels.archive.store import Archive, ArchiveError
from segmodels.archive.synthetic import make_archive
from segmodels.archive.views import Measured, SavedView, save_view
from segmodels.archive.webhook import Webhook, set_webhook

Make = Callable[[int], bytes]
WAIT = 60.0


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 600 photos with dates and tags."""
    folder = tmp_path_factory.mktemp("archives") / "looks"
    make_archive(Archive(folder), 600, 0)
    return folder


@pytest.fixture(scope="module")
def facts(looks: Path) -> Iterator[Facts]:
    archive = Archive(looks)
    with archive.reader() as reader:
        yield Facts(reader, archive.taxonomy(archive.versions()[0]))


@pytest.fixture
def named(client: TestClient, looks: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of a server that lists the archive."""
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(looks))
    return client


def refusal(answer: Any, status: int, kind: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["type"]) == (status, f"/api/v1/problems/{kind}"), body
    return str(body["detail"])


def rows(section: Section) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        section.numbers.to_json(orient="records", date_format="iso", double_precision=15)
    )
    return found


def lines(question: Question) -> Section:
    return line_section(question, period="season", names=things(question, GARMENTS))


@pytest.mark.parametrize(
    ("name", "build", "more"),
    [("shares", share_section, {}), ("pairs", matrix_section, {}), ("series", lines, {"period": "season"})],
)
def test_the_numbers_are_those_of_trends(
    named: TestClient, facts: Facts, name: str, build: Callable[[Question], Section], more: dict[str, str]
) -> None:
    tag, values = next(iter(facts.tags.items()))
    filters = {"garments": "Pants", "from": "2022-01-01", f"tag.{tag}": values[0], "count": "raw"}
    view = View(date(2022, 1, 1), None, ((tag, (values[0],)),), ("Pants",), counting="raw")
    for asked, seen in (({}, View()), (filters, view)):
        answer = named.get(f"/archives/looks/{name}", params=asked | more)
        section = build(Question(facts, seen))
        assert answer.status_code == 200 and answer.json()["rows"] == rows(section) != []
        assert answer.json()["method"] == section.caption and answer.json()["title"] == section.title


def test_kinds_as_trends_counts_them(named: TestClient, looks: Path) -> None:
    archive = Archive(looks)
    with archive.reader() as reader:
        divided = Facts(reader, archive.taxonomy(archive.versions()[0]), kinds=True)
        for seen, asked in ((View(), {}), (View(counting="raw"), {"count": "raw"})):
            table = named.get("/archives/looks/shares", params={"kinds": "yes"} | asked).json()
            assert table["rows"] == rows(share_section(Question(divided, seen)))
            assert len(table["rows"]) > len(named.get("/archives/looks/shares").json()["rows"])


def test_a_share_counted_by_hand(named: TestClient, looks: Path) -> None:
    with Archive(looks).reader() as reader:
        found = reader.query("SELECT len(outfits) AS people, garments FROM photos")
    worn = sum(len({g["person"] for g in row if g["class"] == "Coat"}) for row in found["garments"])
    table = named.get("/archives/looks/shares?count=raw&duplicates=yes").json()["rows"]
    coat = next(row for row in table if row["garment"] == "Coat")
    assert coat["outfits"] == worn > 0 and coat["share"] == pytest.approx(worn / found["people"].sum())


def test_photos_behind_a_number(named: TestClient, facts: Facts) -> None:
    answer = named.get("/archives/looks/photos?worn=Hat,%20Hat&not_worn=Coat&count=raw&limit=5").json()
    assert len(answer["photos"]) == 5 < answer["outfits"]
    days = [row["day"] for row in answer["photos"]]
    assert days == sorted(days, reverse=True) and pd.Timestamp(days[0]).date().isoformat() == days[0]
    assert set(answer["photos"][0]) == {"photo_id", "file_name", "day", "person"}


def test_saved_views_and_alerts(named: TestClient, looks: Path) -> None:
    place = Archive(looks).place
    save_view(place, SavedView("Coats", {"garments": ["Coat"]}, "Ours", measured=Measured(7.5, "Coat", 0.5, 0.4, 0.6)))
    add_rule(Archive(looks), Rule("Coat", "above", 0.9))
    set_webhook(place, Webhook("https://example.org/secret-path", "secret-word"))
    (view,) = named.get("/archives/looks/views").json()
    assert (view["name"], view["query"], view["measured"]["share"]) == ("Coats", "garments=Coat", 0.5)
    answer = named.get("/archives/looks/alerts")
    assert [rule["alert"] for rule in answer.json()["rules"]] == ["Coat above 90%"] and answer.json()["raised"] == []
    assert "secret" not in answer.text and named.get("/archives/none/views").status_code == 404


def test_what_an_archive_holds(named: TestClient) -> None:
    listed = {each["name"]: each for each in named.get("/archives").json()}
    assert listed["ccp"]["origin"] == "shipped" and listed["looks"]["origin"] == "named"
    (contents,) = listed["looks"]["contents"]
    assert contents["photos"] == contents["dated"] == 600 and contents["tags"]
    assert named.get("/archives/looks").json() == listed["looks"]
    assert "/" not in json.dumps(listed["looks"])  # no folder of the server


@pytest.mark.parametrize(
    ("address", "status", "kind", "sentence"),
    [
        ("none/shares", 404, "not-found", 'There is no archive "none"'),
        ("looks/shares?garments=Sari", 422, "invalid-request", 'The request names "Sari"'),
        ("looks/shares?garment=Coat", 422, "invalid-request", "There is no parameter 'garment'. There are by, colours"),
        ("looks/series?garments=Coat&perod=week", 422, "invalid-request", "There is no parameter 'perod'"),
        ("looks/shares?from=soon", 422, "invalid-request", "The start date in the request"),
        ("looks/shares?tag.planet=Mars", 422, "invalid-request", 'The filter on "planet" in the request'),
        ("looks/shares?by=fpn", 422, "invalid-request", "The parameter `by` is 'fpn'. The archive has"),
        ("looks/shares?from=1900-01-01&to=1900-02-01", 422, "not-enough", "outfits"),
        ("looks/series?of=Sari", 422, "invalid-request", "The parameter `of` is 'Sari'"),
        ("looks/series?period=decade", 422, "invalid-request", "period: "),
        ("looks/photos?worn=Sari", 422, "invalid-request", "worn names 'Sari'"),
        ("looks/photos?limit=100000", 422, "invalid-request", "limit: "),
        ("..%2Flooks/shares", 404, "not-found", ""),
    ],
)
def test_a_bad_question_gets_a_sentence(named: TestClient, address: str, status: int, kind: str, sentence: str) -> None:
    assert sentence in refusal(named.get(f"/archives/{address}"), status, kind)


def test_a_damaged_archive_names_no_folder(named: TestClient, looks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(location: str) -> None:
        raise ArchiveError(f"{location}/part.parquet is damaged.")

    monkeypatch.setattr(archives.cache, "versions", damaged)
    assert str(looks) not in refusal(named.get("/archives/looks/shares"), 503, "unavailable")
    monkeypatch.setattr(archives, "archive_contents", damaged)
    assert named.get("/archives/looks").json()["problem"] == "The archive cannot be read."


def ended(client: TestClient, answer: Any) -> dict[str, Any]:
    """The job of an answer, once it has ended."""
    assert answer.status_code == 202, answer.text
    where = answer.headers["location"].removeprefix("/api/v1")
    deadline = time.monotonic() + WAIT
    while (job := client.get(where).json())["phase"] in ("waiting", "loading", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.json()["id"] == job["id"]
    found: dict[str, Any] = job
    return found


def add(client: TestClient, *files: tuple[str, bytes], name: str = "spring", model: str = "tiny") -> Any:
    sent = [("files", file) for file in files]
    return client.post(f"/archives/{name}/photos", files=sent, data={"model": model})


def test_photos_go_in_and_out(client: TestClient, photo: Make) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("b.png", photo(1))
        file.writestr("c.png", b"no photo")
    table = b"file_name,market\na.png,Paris\n"
    job = ended(client, add(client, ("a.png", photo(0)), ("more.zip", packed.getvalue()), ("looks.csv", table)))
    assert (job["phase"], job["archive"], job["done"], job["added"], job["known"]) == ("done", "spring", 3, 2, 0)
    assert [each["file"] for each in job["rejected"]] == ["c.png"] and job["message"] == "2 photos added to spring."
    assert ended(client, add(client, ("a.png", photo(0))))["known"] == 1
    (contents,) = client.get("/archives/spring").json()["contents"]
    assert contents["photos"] == 2 and contents["tags"] == {"market": {"Paris": 1}}

    removed = client.delete(f"/archives/spring/photos/{photo_id(photo(0))}")
    assert removed.status_code == 204 and not removed.content
    assert client.get("/archives/spring").json()["contents"][0]["photos"] == 1
    assert "no such photo" in refusal(client.delete(f"/archives/spring/photos/{photo_id(photo(0))}"), 404, "not-found")


def test_the_photos_of_a_feed_are_fetched(client: TestClient, photo: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_photos() as shop:
        shop.files = {f"/{number}.png": photo(number) for number in range(3)}
        addresses = [f"{shop.address}/{number}.png" for number in range(4)]
        products = [
            {"handle": handle, "vendor": "Ada", "images": [{"src": each} for each in images]}
            for handle, images in (("one", addresses[:2]), ("two", addresses[2:]))
        ]
        page = json.dumps({"products": products}).encode()
        shop.files["/products.json?limit=250&page=1"] = page
        order = {"feed": f"{shop.address}/products.json", "model": "tiny"}
        refused = refusal(client.post("/archives/drop/photos", json=order), 422, "unreachable-feed")
        assert "names port" in refused and not shop.asked, "private addresses are refused"
        monkeypatch.setenv("GARMENTSCOPE_PRIVATE_FEEDS", "yes")
        job = ended(client, client.post("/archives/drop/photos", json=order))
        assert (job["added"], job["rejected_count"], job["message"]) == (3, 1, "3 photos added to drop.")
        assert job["rejected"][0]["file"] == addresses[3] and "404" in job["rejected"][0]["reason"]
        (contents,) = client.get("/archives/drop").json()["contents"]
        assert contents["tags"] == {"product": {"one": 2, "two": 1}, "vendor": {"Ada": 3}}
        again = ended(client, client.post("/archives/drop/photos", json=order))
        assert again["known"] == 3 and all(shop.asked[f"/{number}.png"] == 1 for number in range(3))
        form = {"model": "tiny", "one_row_a_product": "true"}
        sent = client.post("/archives/looks/photos", files={"files": ("products.json", page)}, data=form)
        assert ended(client, sent)["message"].startswith("2 photos added to looks. 1 photo is part of the outfit")


def test_a_feed_that_cannot_be_used(open_api: Callable[[Limits], TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_PRIVATE_FEEDS", "yes")
    client = open_api(Limits(upload_mb=1))
    with running_photos() as shop:
        shop.files = {"/large.csv": bytes(2 * 1024**2), "/looks.csv": b"file_name,market\na.jpg,Rome\n"}

        def said(kind: str, archive: str = "drop", **order: object) -> str:
            answer = client.post(f"/archives/{archive}/photos", json={"model": "tiny", **order})
            return refusal(answer, {"conflict": 409}.get(kind, 422), kind)

        assert "2.0 MB, more than the 1 MB allowed" in said("unreachable-feed", feed=f"{shop.address}/large.csv")
        assert "404" in said("unreachable-feed", feed=f"{shop.address}/none.csv")
        assert "no column of addresses" in said("invalid-request", feed=f"{shop.address}/looks.csv")
        assert "file:" not in said("unreachable-feed", feed="ftp://example.org/feed.csv")
        assert 'Send {"feed": "https://..."}' in said("invalid-request")
        assert "Extra inputs" in said("invalid-request", feed=shop.address, url="x")
        asked = shop.asked.total()
        assert "comes with the app" in said("conflict", "ccp", feed=f"{shop.address}/looks.csv")
        assert shop.asked.total() == asked, "nothing is fetched for an archive that cannot be changed"
        feed = {"files": ("feed.xml", b"<rss/>")}
        files = [("files", feed["files"]), ("files", ("a.png", b"x"))]
        both = client.post("/archives/drop/photos", files=files, data={"model": "tiny"})
        assert "Send it alone" in refusal(both, 422, "invalid-request")


def test_an_archive_has_a_size(open_api: Callable[[Limits], TestClient], photo: Make) -> None:
    client = open_api(Limits(archive=2))
    assert ended(client, add(client, ("a.png", photo(0)), ("b.png", photo(1))))["added"] == 2
    said = refusal(add(client, ("c.png", photo(2))), 413, "too-large")
    assert "spring holds 2 photos, and an archive takes 2 at most here" in said
    assert "autumn holds 0 photos" in refusal(
        add(client, *((f"{number}.png", photo(number)) for number in range(3)), name="autumn"), 413, "too-large"
    )


def test_what_cannot_be_added(client: TestClient, photo: Make) -> None:
    assert "comes with the app" in refusal(add(client, ("a.png", photo(0)), name="ccp"), 409, "conflict")
    assert "cannot be called" in refusal(add(client, ("a.png", photo(0)), name="a:b"), 422, "invalid-request")
    assert "as files" in refusal(client.post("/archives/spring/photos", content=b"x"), 415, "unsupported-media-type")
    assert "no photo" in refusal(
        client.post(
            "/archives/spring/photos", files={"files": ("looks.csv", b"file_name\na\n")}, data={"model": "tiny"}
        ),
        *(422, "invalid-request"),
    )
    two = refusal(add(client, ("a.csv", b"a"), ("b.csv", b"b")), 422, "invalid-request")
    assert two == "a.csv and b.csv are two tables or feeds. Keep one."
    assert "fpn" in refusal(add(client, ("a.png", photo(0)), model="none"), 404, "unknown-model")
    assert refusal(add(client, ("a.zip", b"PK\x03\x04" + bytes(99))), 422, "invalid-request").startswith("a.zip")
    assert "no such job" in refusal(client.get("/jobs/none"), 404, "not-found")
    assert "no such job" in refusal(client.delete("/jobs/none"), 404, "not-found")
    shipped = client.delete(f"/archives/ccp/photos/{'a' * 64}")
    assert "comes with the app" in refusal(shipped, 409, "conflict")
    assert "photo_id" in refusal(client.delete("/archives/ccp/photos/a"), 422, "invalid-request")


def test_a_full_disk(client: TestClient, photo: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that could write nothing had added a photo, and why it failed stood in the log alone."""
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_: object, **about: object) -> None:
        raise full

    def fill(place: Place, path: Path) -> Any:
        return fail() if path.suffix == ".parquet" else writing(place, path)

    writing = Place._writing_local
    with monkeypatch.context() as patch:
        patch.setattr(Place, "_writing_local", fill)
        job = ended(client, add(client, ("a.png", photo(0))))
        patch.setattr(Place, "_writing_local", fail)
        said = refusal(add(client, ("a.png", photo(0)), name="autumn"), 503, "unavailable")
    assert said == "No space is left on the server. Free some, and try again."
    assert (job["phase"], job["added"]) == ("failed", 0)
    assert job["message"].startswith("No space is left on the server for spring. What was written before is kept")
    with monkeypatch.context() as patch:
        patch.setattr(spool, "save", fail)
        said = refusal(add(client, ("a.png", photo(0))), 503, "unavailable")
    assert said == "The photos cannot be kept until they are added: No space left on device. Free some space."
    assert ended(client, add(client, ("a.png", photo(0))))["added"] == 1


@pytest.mark.parametrize(
    ("query", "fields", "sentence"),
    [
        ("?model=tiny", {}, "There is no parameter 'model'."),
        ("", {"modle": "tiny"}, "There is no field 'modle'. There are files, and model, one_row_a_product."),
        ("", {"files": "look.jpg"}, "The field files is text. Send a file, as curl does with -F files=@outfit.jpg."),
        ("", {"one_row_a_product": "maybe"}, "one_row_a_product is true or false, not 'maybe'."),
    ],
)
def test_what_has_no_effect_is_named(
    client: TestClient, photo: Make, query: str, fields: dict[str, str], sentence: str
) -> None:
    """Photos went into the archive by the default model, although another one was asked for."""
    sent: list[tuple[str, Any]] = [
        ("files", ("a.png", photo(0))),
        *((key, (None, text)) for key, text in fields.items()),
    ]
    said = refusal(client.post(f"/archives/spring/photos{query}", files=sent), 422, "invalid-request")
    assert said.startswith(sentence)


def test_a_zip_bomb_meets_the_guard_of_the_page(client: TestClient) -> None:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("a.png", "w", force_zip64=True) as member,
    ):
        for _ in range(1040):
            member.write(bytes(1024**2))
    assert len(packed.getvalue()) < 2 * 1024**2
    assert "would unpack to 1 files of 1.0 GB" in refusal(
        add(client, ("a.zip", packed.getvalue())), 422, "invalid-request"
    )


def test_jobs_are_bounded_and_can_be_stopped(client: TestClient, photo: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive_jobs._turn:  # of ingests, so that none begins
        answer = add(client, ("a.png", photo(0)))
        where = answer.headers["location"].removeprefix("/api/v1")
        assert client.get(where).json()["phase"] == "waiting" and client.get(where).json()["total"] is None
        assert "already" in refusal(add(client, ("b.png", photo(1))), 409, "conflict")
        monkeypatch.setattr("dashboard.api.jobs._MOST_LIVE", 1)
        refused = add(client, ("b.png", photo(1)), name="autumn")
        assert "Too many" in refusal(refused, 429, "too-many-requests") and refused.headers["retry-after"] == "60"
        assert client.delete(where).status_code == 200
        assert ended(client, answer)["phase"] == "stopped"
