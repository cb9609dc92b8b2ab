"""Every route of the API and every page as nobody, as somebody who may read, and as the owner of an archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from archive_rows import VERSION, made
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard.api.application import create_api
from dashboard.api.limits import Limits
from dashboard.api.routes import PREFIX
from dashboard.api.tokens import SCOPES, Tokens, needed_scope, tokens_of_server
from dashboard.archive.shelf import list_archives
from dashboard.shared import sign_in
from dashboard.shared.access import may_change, may_read, readable_archives, share, sharing_of
from dashboard.shared.principal import Principal
from dashboard.shared.visitor import identifier
from segmodels.archive.store import Archive, ArchiveError

ROOT = Path(__file__).parents[3] / "dashboard"
PAGES = sorted(each.name for each in (ROOT / "app_pages").glob("*.py"))
ANN, BEN, EVE = "ann@shop.example", "ben@shop.example", "eve@else.example"
NAME = "autumn-looks"


@pytest.fixture
def location(tmp_path: Path, more_models: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An archive of Ann's, on a server where people sign in."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sign_in, "is_needed", lambda: True)
    place = tmp_path / "cache" / "archives" / NAME
    archive = Archive(place)
    archive.writer(VERSION).append(made("one", "two"))
    archive.place.write(".owner", identifier("person", ANN).encode())
    return str(place)


def who(person: str, *, keeper: bool = False) -> Principal:
    return Principal(identifier("person", person), person, keeper)


def test_an_archive_is_its_makers_until_it_is_shared(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (archive,) = (each for each in list_archives() if each.name == NAME)
    stranger = Principal(identifier("visitor", "cookie"))
    assert may_read(who(ANN), archive) and may_change(who(ANN), archive)
    assert may_read(who(EVE, keeper=True), archive) and may_change(who(EVE, keeper=True), archive)
    assert not any(may_read(each, archive) for each in (who(BEN), who(EVE), stranger))
    share(location, [" Ben@Shop.example ", ""])
    assert may_read(who(BEN), archive) and not may_change(who(BEN), archive)
    assert not may_read(who(EVE), archive) and not may_read(stranger, archive)
    share(location, [], everybody=True)
    assert may_read(who(EVE), archive) and not may_read(stranger, archive), "who is not signed in is nobody"
    with pytest.raises(ArchiveError, match="200 people at most"):
        share(location, [f"{number}@shop.example" for number in range(201)])
    for damaged in (b"", b"[]", b"{}", b'{"people": 3, "everybody": true}', b'{"people": [], "everybody": 1}'):
        Archive(location).place.write(".sharing.json", damaged)
        assert not may_read(who(BEN), archive) and not sharing_of(location).everybody
    names = [each.name for each in readable_archives(who(EVE))]
    assert NAME not in names and "ccp" in names, "what ships is for all"
    monkeypatch.setattr(sign_in, "is_needed", lambda: False)
    assert may_read(stranger, archive)


@pytest.fixture
def call(location: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Calls the API with a token of a person that has all scopes, or without one."""
    tokens = Tokens(tmp_path / "cache" / "tokens.json")
    secrets = {name: tokens.make(name, SCOPES, 1, person=name) for name in (ANN, BEN, EVE)}
    with TestClient(Starlette(routes=[Mount(PREFIX, create_api(Limits()))]), f"http://localhost{PREFIX}") as client:

        def ask(person: str, method: str, path: str, **more: Any) -> Any:
            headers = {"Authorization": f"Bearer {secrets[person]}"} if person else {}
            return client.request(method, path, headers=headers, **more)

        yield ask


def test_every_route(call: Callable[..., Any], location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    share(location, [BEN])
    walked = 0
    for path, operations in call("", "GET", "/openapi.json").json()["paths"].items():
        for method in (each.upper() for each in operations):
            address = path.replace("{photo_id}", "0" * 64).replace("{name}", NAME).replace("{model}", "none")
            nobody, eve, ben, ann = (call(each, method, address).status_code for each in ("", EVE, BEN, ANN))
            needed = needed_scope(method, path)
            assert (nobody == 401) == (needed is not None), path
            assert 401 not in (eve, ben, ann)
            if "{name}" in path:
                walked += 1
                if method == "POST":  # Eve is told only that the name is taken, once there is something to add
                    assert (eve, ben, ann) == (415, 415, 415)
                elif method == "DELETE":
                    assert (eve, ben, ann) == (404, 403, 404)
                else:
                    assert eve == 404 and ben == ann != 404, path
    assert walked == 9
    photo = {"files": ("a.png", b"none", "image/png")}
    for person, status in ((EVE, 403), (BEN, 403), (ANN, 202)):
        answer = call(person, "POST", f"/archives/{NAME}/photos", files=[*photo.items()], data={"model": "tiny"})
        assert answer.status_code == status, answer.text
    job = answer.json()["id"]
    assert [call(each, "GET", f"/jobs/{job}").status_code for each in ("", EVE, BEN, ANN)] == [401, 404, 404, 200]
    assert [call(each, "DELETE", f"/jobs/{job}").status_code for each in (EVE, BEN, ANN)] == [404, 404, 200]
    assert NAME not in call(EVE, "GET", "/archives").text and NAME in call(BEN, "GET", "/archives").text
    monkeypatch.setenv("GARMENTSCOPE_PEOPLE", "@shop.example")
    assert call(EVE, "GET", "/archives").status_code == 401, "who may enter no more has no token either"
    assert call(BEN, "GET", "/archives").status_code == 200


def test_what_is_removed_is_written_down(
    call: Callable[..., Any], location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log" / "audit.jsonl"
    monkeypatch.setenv("GARMENTSCOPE_AUDIT", str(log))
    photo_id = "a" * 64
    Archive(location).writer(VERSION).append(made(photo_id))
    assert call(EVE, "DELETE", f"/archives/{NAME}/photos/{photo_id}").status_code == 404 and not log.exists()
    assert call(ANN, "DELETE", f"/archives/{NAME}/photos/{photo_id}").status_code == 204
    (line,) = log.read_text("utf-8").splitlines()
    found = json.loads(line)
    assert (found["audit"], found["who"], found["archive"]) == ("photo removed", ANN, NAME)
    assert found["photo"] == photo_id and ".jpg" not in line


def run(page: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    return app.switch_page(f"app_pages/{page}").run()


@pytest.mark.parametrize("page", PAGES)
def test_every_page(page: str, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = run(page)
    assert [each.value for each in nobody.title] == ["Sign in"] and not nobody.exception
    assert [each.key for each in nobody.button] == ["sign-in-"] or not nobody.button
    for person in (EVE, ANN) if page in ("account.py", "archive.py", "trends.py") else (EVE,):
        monkeypatch.setattr(sign_in, "person", lambda person=person: person)
        shown = run(page)
        assert not shown.exception and [each.value for each in shown.title] != ["Sign in"]
        everything = str(shown.main) + "".join(each.body for each in shown.get("html"))
        assert (NAME in everything) == (person == ANN and page in ("archive.py", "trends.py"))


def test_its_maker_shares_an_archive_on_the_page(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "audit.jsonl"
    monkeypatch.setenv("GARMENTSCOPE_AUDIT", str(log))
    monkeypatch.setattr(sign_in, "person", lambda: ANN)
    page = AppTest.from_file(str(ROOT / "app_pages" / "archive.py"), default_timeout=120).run()
    page.radio[0].set_value("Some people")
    page.text_area[0].set_value("ben")
    save = next(each for each in page.button if each.label == "Save")
    save.click().run()
    assert [each.value.replace("\\", "") for each in page.error] == ["ben is not an e-mail address."]
    assert not sharing_of(location).people
    page.text_area[0].set_value(f"{BEN}, {EVE}")
    next(each for each in page.button if each.label == "Save").click().run()
    assert not page.exception and sharing_of(location).people == (BEN, EVE)
    assert json.loads(log.read_text("utf-8"))["people"] == f"{BEN}, {EVE}"


def test_nobody_makes_tokens_for_others(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page itself checks, not only the list of pages."""
    page = AppTest.from_file(str(ROOT / "app_pages" / "account.py"), default_timeout=120).run()
    assert len(page.error) == 1 and not page.button and not page.text_input
    tokens = tokens_of_server()
    assert tokens is not None
    tokens.make("bens", ["read"], 1, person=BEN)
    tokens.make("of the command line", ["read"], 1)
    monkeypatch.setattr(sign_in, "person", lambda: ANN)
    page.run()
    assert "No token yet" in [each.value for each in page.subheader]
    page.text_input[0].set_value("anns")
    next(each for each in page.button if each.label == "Make token").click().run()
    found = tokens.find(page.code[0].value)
    assert found is not None and (found.person, found.scopes) == (ANN, ("segment",))
    monkeypatch.setenv("GARMENTSCOPE_KEEPERS", ANN)
    assert len([each for each in page.run().button if each.label == "Revoke"]) == 3
