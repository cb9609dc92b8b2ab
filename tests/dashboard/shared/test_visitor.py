"""Who may change what, and what he is told of the server."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dashboard.shared import visitor as module
from dashboard.shared.text import literal
from dashboard.shared.visitor import COOKIE, identifier, is_trusted, principal, visitor, without_folders


def arrive(
    monkeypatch: pytest.MonkeyPatch, address: str | None, headers: dict[str, str] | None = None, cookie: str = ""
) -> None:
    context = SimpleNamespace(ip_address=address, headers=headers or {}, cookies={COOKIE: cookie} if cookie else {})
    monkeypatch.setattr(module, "st", SimpleNamespace(context=context, session_state={}))


@pytest.mark.parametrize(
    ("address", "headers", "trusted"),
    [
        (None, {}, True),
        ("10.0.0.7", {}, False),
        (None, {"Host": "localhost:8501", "X-Forwarded-Proto": "https"}, False),
        (None, {"Host": "localhost:8501", "Via": "1.1 proxy"}, False),
        (None, {"X-Forwarded-For": "10.0.0.7"}, False),
        (None, {"x-real-ip": "10.0.0.7"}, False),
        (None, {"Forwarded": "for=10.0.0.7"}, False),
        (None, {"Host": "localhost:8501"}, True),
    ],
)
def test_only_visitors_at_the_server_itself_are_trusted(
    monkeypatch: pytest.MonkeyPatch, address: str | None, headers: dict[str, str], trusted: bool
) -> None:
    arrive(monkeypatch, address, headers)
    assert is_trusted() is trusted and principal().controls("") is trusted and principal().controls("0" * 64) is trusted
    monkeypatch.setenv("GARMENTSCOPE_SHARED", "yes")
    assert is_trusted()


def test_where_visitors_sign_in_only_keepers_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(monkeypatch, None, {})
    monkeypatch.setenv("GARMENTSCOPE_SHARED", "yes")
    monkeypatch.setenv("GARMENTSCOPE_KEEPERS", "ben@shop.example")
    monkeypatch.setattr(module.sign_in, "is_needed", lambda: True)
    for person, trusted in (("", False), ("ann@shop.example", False), ("ben@shop.example", True)):
        monkeypatch.setattr(module.sign_in, "person", lambda person=person: person)
        assert is_trusted() is trusted and module.log_name() == f"visitor {visitor()[:8]}"


def test_a_visitor_whose_connection_has_ended_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(monkeypatch, None, {})
    monkeypatch.setattr(module, "_is_served", lambda: True)
    assert not is_trusted()
    arrive(monkeypatch, None, {"Host": "localhost:8501"})
    assert is_trusted()


def test_no_cookie_makes_a_visitor_a_caller_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(monkeypatch, "10.0.0.7", {"Host": "shop"}, "api 127.0.0.1")
    own = identifier("caller", "127.0.0.1")
    assert visitor() != own and not principal().controls(own)
    arrive(monkeypatch, "10.0.0.7", {"Host": "shop"}, "caller 127.0.0.1")
    assert visitor() != own and not principal().controls(own)


def test_a_browser_is_known_again_and_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(monkeypatch, "10.0.0.7", cookie="alice")
    alice = visitor()
    assert len(alice) == 64 and "alice" not in alice and principal().controls(alice)
    arrive(monkeypatch, "10.0.0.7", cookie="alice")
    assert visitor() == alice
    arrive(monkeypatch, "10.0.0.7", cookie="mallory")
    assert visitor() != alice and not principal().controls(alice) and not principal().controls("")
    arrive(monkeypatch, "10.0.0.7", cookie=alice)
    assert not principal().controls(alice), "what is written beside an archive opens nothing"
    arrive(monkeypatch, "10.0.0.7")
    assert visitor() == visitor() != alice, "without a cookie for as long as the session is"


def test_visitors_from_elsewhere_are_not_told_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", "/srv/models")
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", "/srv/secret client/spring")
    sentence = (
        "/srv/secret client/spring/OUTFIT_15/x.parquet is left out; /srv/models/mine/config.json is damaged; "
        "/home/ann/notes.txt; and/or 3/4"
    )
    arrive(monkeypatch, None)
    assert without_folders(sentence) == sentence
    arrive(monkeypatch, "10.0.0.7")
    told = "spring/OUTFIT_15/x.parquet is left out; models/mine/config.json is damaged; notes.txt; and/or 3/4"
    assert without_folders(sentence) == told
    assert "secret" not in literal(sentence)
    source = str(Path(module.__file__))
    assert without_folders(f"{source} failed").endswith("dashboard/shared/visitor.py failed")
    assert str(Path(module.__file__).parents[3]) not in without_folders(source)
