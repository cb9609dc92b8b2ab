"""Alerts: raised once when a share passes a threshold, kept in the archive, and sent to a receiver."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from archive_rows import VERSION, made

from segmodels.archive import alerts, webhook
from segmodels.archive.__main__ import main
from segmodels.archive.alert_rules import Rule
from segmodels.archive.alerts import add_rule, check_alerts, delete_rule, list_alerts, list_rules, standings
from segmodels.archive.changes import foreign_files, read_log
from segmodels.archive.ingest import Outcome, ingest
from segmodels.archive.merging import Merged, merge
from segmodels.archive.place import ArchiveError
from segmodels.archive.rows import as_table
from segmodels.archive.sources import Found, Source
from segmodels.archive.store import Archive
from segmodels.archive.webhook import Webhook, deliver, read_webhook, set_webhook, signature
from segmodels.taxonomy import OUTFIT_15


def rows(first: int, coats: int, others: int, month: int = 1) -> list[dict[str, Any]]:
    """Rows of outfits with and without a coat."""
    table = made(*(f"p{first + number}" for number in range(coats + others)), taken=datetime(2024, month, 5))
    found = table.to_pylist()
    for number, row in enumerate(found):
        row["outfits"] = [1 << OUTFIT_15["Coat"].id if number < coats else 0]
        row["tags"] = {"market": "North"}
    return found


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """40 outfits in January, 4 of them with a coat."""
    archive = Archive(tmp_path / "looks")
    grow(archive, 0, 4, 36)
    return archive


def grow(archive: Archive, first: int, coats: int, others: int, month: int = 1) -> None:
    table: pa.Table = as_table(rows(first, coats, others, month))
    archive.writer(VERSION).append(table)


def test_an_alert_is_raised_once_when_the_interval_has_passed(archive: Archive) -> None:
    (now,) = add_rule(archive, Rule("coat", "above", 0.2), "ada")
    assert now.rule.garment == "Coat" and now.share == pytest.approx(0.1) and not now.beyond
    assert check_alerts(archive) == []
    grow(archive, 100, 20, 20)  # 24 of 80: 30 %, from 21 % to 41 %
    (alert,) = check_alerts(archive)
    assert alert.rule == "Coat above 20%" and alert.sentence.startswith("Coat: 30.0% (21.1% to 40.8%) of 80 outfits")
    assert check_alerts(archive) == [] and [each.id for each in list_alerts(archive.place)] == [alert.id]
    grow(archive, 200, 0, 30)  # 22 %: its interval holds 20 %, the share itself is not back
    assert check_alerts(archive) == []
    grow(archive, 300, 40, 0)
    assert check_alerts(archive) == [], "it was not back in between"
    grow(archive, 400, 0, 200)  # 18 %
    assert check_alerts(archive) == []
    grow(archive, 700, 100, 0)
    assert len(check_alerts(archive)) == 1, "passed for the second time"
    lines = (archive.place.local / "alerts.jsonl").read_text("utf-8").splitlines()  # type: ignore[operator]
    assert [json.loads(line)["rule"] for line in lines] == ["Coat above 20%"] * 2
    assert [entry.what for entry in read_log(archive.place)] == ["alert", "alert", "set alert"]
    assert foreign_files(archive.place) == []


def test_noise_few_outfits_and_what_is_met_already_raise_nothing(archive: Archive) -> None:
    add_rule(archive, Rule("Coat", "above", 0.15))
    add_rule(archive, Rule("Coat", "above", 0.15, by_value=True))
    add_rule(archive, Rule("Coat", "above", 0.15, least=1000))
    (met,) = add_rule(archive, Rule("Coat", "below", 0.5, tags=(("market", "North"),)))
    assert met.beyond
    grow(archive, 100, 6, 4)  # 20 %, from 11 % to 33 %
    assert [alert.rule for alert in check_alerts(archive)] == ["Coat above 15%, by the value alone"]
    assert any("waits for 1,000" in str(each) for each in standings(archive, VERSION))
    delete_rule(archive.place, "coat ABOVE 15%, by the value alone")
    assert len(list_rules(archive.place)) == 3
    for rule, part in (
        (Rule("Cape", "above", 0.1), "no garment of this archive"),
        (Rule("Coat", "above", 1.5), "between 0 and 100"),
        (Rule("Coat", "change", 0.1), "needs a period"),
        (Rule("Coat", "above", 0.15), "already"),
        (Rule("Coat", "above", 0.15, least=0), "1 or more"),
        (Rule("Coat", "above", 0.15, least=True), "1 or more"),
    ):
        with pytest.raises(ArchiveError, match=part):
            add_rule(archive, rule)


def test_a_change_is_raised_once_a_period(archive: Archive) -> None:
    add_rule(archive, Rule("Coat", "change", 0.1, "month"))
    grow(archive, 100, 30, 10, month=2)
    (alert,) = check_alerts(archive)
    assert "February 2024, +65.0 points" in alert.sentence and alert.facts["start"] == "2024-02-01"
    assert check_alerts(archive) == []
    grow(archive, 200, 5, 20, month=3)
    assert check_alerts(archive) == [], "March has 25 outfits so far"
    grow(archive, 300, 0, 20, month=3)
    (alert,) = check_alerts(archive)
    assert "March 2024, -63.9 points" in alert.sentence


def test_a_damaged_file_stops_no_ingest(archive: Archive) -> None:
    add_rule(archive, Rule("Coat", "above", 0.2))

    def engine(sources, known):  # type: ignore[no-untyped-def]
        for row in rows(500, 60, 0):
            yield Outcome(row["file_name"], row["photo_id"], row)

    found = Found([Source(f"p{500 + number}.jpg", lambda: b"") for number in range(60)], [])
    report = ingest(found, archive, VERSION, engine, by="ada")
    assert any(each.startswith("Alert: Coat above 20%. Coat: 64.0%") for each in report.notes)
    archive.place.write("alerts.json", b"no JSON")
    report = ingest(found, archive, VERSION, engine, by="ada")
    assert any("alerts were not checked" in each and "damaged" in each for each in report.notes)
    assert read_log(archive.place)[0].what == "alerts not checked"


def test_a_merge_checks_the_alerts_and_brings_rules_but_no_address(tmp_path: Path, archive: Archive) -> None:
    other = Archive(tmp_path / "other")
    grow(other, 100, 60, 0)
    for rule in (Rule("Coat", "above", 0.3), Rule("Coat", "above", 0.2), Rule("Coat", "below", 0.1)):
        add_rule(other, rule, "bea")
    add_rule(archive, Rule("Coat", "above", 0.2), "ada")
    set_webhook(other.place, Webhook("https://example.org/hook"))
    merged = merge(archive, other, "cem")
    assert merged.rows == 60 and list(merged.alerts) == ["Coat above 30%", "Coat below 10%"]
    said = str(merged)
    assert "60 rows were added. Alert: Coat above 20%. Coat: 64.0%" in said, "its own alert is raised"
    assert '2 alerts came along: "Coat above 30%", "Coat below 10%". They are sent nowhere. The address' in said
    assert "example.org" not in said and read_webhook(archive.place) is None
    assert [alert.rule for alert in list_alerts(archive.place)] == ["Coat above 20%"], "30 % was met already"
    assert {rule.words: rule.by for rule in list_rules(archive.place)}["Coat above 30%"] == "cem"
    assert check_alerts(archive) == [] and merge(archive, other) == Merged(0, 0, [], [])
    new = Archive(tmp_path / "new")
    set_webhook(archive.place, Webhook("https://example.com/hook"))
    assert len(merge(new, archive).alerts) == 3 and len(list_rules(new.place)) == 3
    archive.place.write("alerts.json", b"no JSON")
    grow(other, 300, 1, 0)
    broken = merge(archive, other)
    assert broken.rows == 1 and "alerts were not checked" in str(broken) and "not all views and alerts" in str(broken)


# --- The receiver -----------------------------------------------------------------------------------------------------


class Receiver:
    """A small receiver on this machine: what it got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = ""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("GARMENTSCOPE_WEBHOOKS", "private")
    with _receiving() as found:
        yield found


@contextmanager
def _receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            status = receiver.answers.pop(0) if receiver.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hooks?key=a"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_alert_is_sent_signed_and_again_if_it_failed(archive: Archive, receiver: Receiver) -> None:
    set_webhook(archive.place, Webhook(receiver.url, "whsec_c2VjcmV0"), "ada")
    add_rule(archive, Rule("Coat", "above", 0.2))
    grow(archive, 100, 60, 0)
    receiver.answers = [503, 503, 503]
    send: Callable[..., str] = partial(deliver, wait=lambda seconds: None)
    (alert,) = check_alerts(archive, send=send)
    assert (
        len(receiver.got) == 3
        and list_alerts(archive.place)[0].sent == "127.0.0.1 answered with 503. Check the address."
    )
    assert [entry.what for entry in read_log(archive.place)][:2] == ["alert not sent", "alert"]
    assert check_alerts(archive, send=send) == [] and list_alerts(archive.place)[0].sent == "sent"
    headers, body = receiver.got[-1]
    assert len(receiver.got) == 4 and headers["webhook-id"] == alert.id == receiver.got[0][0]["webhook-id"]
    assert headers["webhook-signature"] == signature("whsec_c2VjcmV0", alert.id, headers["webhook-timestamp"], body), (
        "as Standard Webhooks has it"
    )
    said = json.loads(body)
    assert (said["alert"], said["garment"], said["archive"]) == ("Coat above 20%", "Coat", "looks")
    assert said["share"] == pytest.approx(0.64) and receiver.url.split("?")[0].endswith("/hooks")
    check_alerts(archive, send=send)
    assert len(receiver.got) == 4, "what was received is not sent again"
    assert receiver.url not in json.dumps([entry.to_json() for entry in read_log(archive.place)])


def test_a_signature_is_that_of_the_standard() -> None:
    # The example of the specification's reference implementation.
    assert (
        signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_redirect_is_not_followed_and_private_addresses_are_refused(
    archive: Archive, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [302]
    assert deliver(Webhook(receiver.url), "1", {}) == "127.0.0.1 answered with 302. Check the address."
    monkeypatch.setattr(webhook, "SECONDS", 0.5)
    quiet = deliver(Webhook("http://127.0.0.1:1/"), "1", {}, wait=lambda seconds: None)
    assert quiet.startswith("127.0.0.1 could not be reached")
    monkeypatch.delenv("GARMENTSCOPE_WEBHOOKS")
    assert "names port" in deliver(Webhook(receiver.url), "1", {})
    for url in ("http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://169.254.169.254/latest"):
        assert "not on the public internet" in deliver(Webhook(url), "1", {})
    assert len(receiver.got) == 1
    for url in ("ftp://example.org", "https://", "https://a:b@example.org", "https://example.org/ x", ""):
        with pytest.raises(ArchiveError, match="address for alerts"):
            set_webhook(archive.place, Webhook(url))
    with pytest.raises(ArchiveError, match="base64"):
        set_webhook(archive.place, Webhook("https://example.org", "whsec_??"))
    assert read_webhook(archive.place) is None


def test_the_commands(archive: Archive, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    place = archive.place.location

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["alerts", place, *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    assert run("add", "--garment", "coat", "--above", "20", "--tag", "market=North")[1].startswith(
        "Coat above 20%, market North. Now 10.0%"
    )
    assert run("add", "--garment", "coat")[0] == 1
    assert "Coat above 20%, market North. Now 10.0%" in run()[1]
    assert run("webhook", "--url", receiver.url, "--test") == (
        0,
        "Alerts are sent to 127.0.0.1, without a signature.\nThe test was received.\n",
    )
    assert run("check") == (0, "No alert was raised.\n")
    grow(archive, 100, 60, 0)
    assert "Coat above 20%, market North. Coat: 64.0%" in run("check")[1] and len(receiver.got) == 2
    assert json.loads(run("raised", "--json")[1])["sent"] == "sent"
    assert run("webhook", "--url", "") == (0, "Alerts are not sent anywhere.\n")
    assert run("delete", "Coat above 20%, market North")[0] == 0 and list_rules(archive.place) == []
    assert alerts.list_alerts(archive.place), "what was raised stays"
