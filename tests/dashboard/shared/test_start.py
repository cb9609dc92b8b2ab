"""Environment variables that nothing can be made of, before a server starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.__main__ import main
from dashboard.shared.start import problem


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PROXIES", "10.0.0.0/33", 'has "10.0.0.0/33". Give addresses or networks, such as 10.0.0.0/24.'),
        ("PROXIES", "10.0.0.1/24", 'has "10.0.0.1/24". Give addresses or networks'),
        ("PROXIES", "proxy", 'has "proxy". Give addresses or networks'),
        ("PEOPLE", "anna@shop.example,shop.example", 'has "shop.example". Give e-mail addresses, or domains'),
        ("PEOPLE", "@", 'has "@". Give e-mail addresses, or domains'),
        ("KEEPERS", "@shop.example", 'has "@shop.example". Give e-mail addresses.'),
        ("TRUST_EMAIL", "maybe", 'is "maybe". Set it to yes, or leave it out.'),
        ("PRIVATE_FEEDS", "private", 'is "private". Set it to yes'),
        ("SHARED", "y", 'is "y". Set it to yes'),
        ("BASE_PATH", "../x", 'is "../x". Give a path of letters, digits'),
        ("BASE_PATH", "a b", 'is "a b". Give a path of letters, digits'),
        ("BASE_PATH", "a//b", 'is "a//b". Give a path of letters, digits'),
        ("LABEL_STUDIO", "localhost:8080", 'is "localhost:8080". Give an address such as http://localhost:8080.'),
        ("LABEL_STUDIO", "http://", 'is "http://". Give an address'),
        ("AUDIT", "/dev/null/audit", "names /dev/null/audit, which cannot be written: "),
    ],
)
def test_a_value_that_nothing_can_be_made_of_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"GARMENTSCOPE_{name}", value)
    assert main(["--port", "8599"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"GARMENTSCOPE_{name} {words}") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROXIES", "10.0.0.0/24, ::1,192.168.1.7"),
        ("PEOPLE", "anna@shop.example, @Shop.example"),
        ("KEEPERS", "anna@shop.example"),
        ("SHARED", "No"),
        ("TRUST_EMAIL", "YES"),
        ("BASE_PATH", "/shop/garments-2/"),
        ("LABEL_STUDIO", "https://labels.example/"),
        ("AUDIT", "{folder}/logs/audit.jsonl"),
    ],
)
def test_usual_values_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str) -> None:
    assert problem() == ""
    monkeypatch.setenv(f"GARMENTSCOPE_{name}", value.format(folder=tmp_path))
    assert problem() == ""
