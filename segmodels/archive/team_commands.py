"""The commands for questions that come back: saved views, alerts, and weeks of shows."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from segmodels.archive import alerts, views
from segmodels.archive.alert_rules import LEAST_OUTFITS, Rule, Way
from segmodels.archive.calibration import opened_facts
from segmodels.archive.care_commands import user
from segmodels.archive.facts import PERIODS
from segmodels.archive.selection import parse_tag
from segmodels.archive.shows import parse_shows, read_shows, set_shows
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.archive.webhook import Webhook, forget_webhook, read_webhook, send_test, set_webhook
from segmodels.arguments import path_argument, place_argument

__all__ = ["COMMANDS", "add_commands", "run_command"]

COMMANDS = ("views", "alerts", "shows")


def add_commands(commands: Any) -> None:
    """Adds the commands to a parser.

    Args:
        commands: What `add_subparsers` gives.
    """
    saved = commands.add_parser("views", help="list, show, save or delete the saved views of an archive")
    saved.add_argument("archive", type=place_argument, metavar="ARCHIVE", help="folder or URI of the archive")
    saved.add_argument("action", nargs="?", choices=["list", "show", "save", "delete"], default="list")
    saved.add_argument("name", nargs="?", metavar="NAME", help="name of the view")
    saved.add_argument("--link", metavar="ADDRESS", help="to save: the address of the view on the Trends page")
    saved.add_argument("--note", default="", metavar="TEXT", help="to save: what the view is for")
    saved.add_argument("--json", action="store_true", help="one JSON object a line")
    rules = commands.add_parser("alerts", help="list, set, delete or check the alerts of an archive")
    rules.add_argument("archive", type=place_argument, metavar="ARCHIVE", help="folder or URI of the archive")
    rules.add_argument(
        "action", nargs="?", choices=["list", "add", "delete", "check", "raised", "webhook"], default="list"
    )
    rules.add_argument("alert", nargs="?", metavar="ALERT", help="to delete: the alert in words, as listed")
    rules.add_argument("--garment", metavar="NAME", help="to add: a garment, or a kind such as Jeans")
    way = rules.add_mutually_exclusive_group()
    way.add_argument("--above", type=float, metavar="PERCENT", help="its share passes this")
    way.add_argument("--below", type=float, metavar="PERCENT", help="its share falls below this")
    way.add_argument("--change", type=float, metavar="POINTS", help="its share changes by this from period to period")
    rules.add_argument("--by", choices=PERIODS, metavar="PERIOD", help="the latest month, season, ... instead of all")
    rules.add_argument("--tag", action="append", default=[], metavar="TAG=VALUE", help="only these photos; repeatable")
    rules.add_argument(
        "--least", type=int, default=LEAST_OUTFITS, metavar="N", help="fewest outfits; default %(default)s"
    )
    rules.add_argument(
        "--by-value", action="store_true", help="compare the share itself, not its 95%% interval, which noise passes"
    )
    rules.add_argument("--url", metavar="ADDRESS", help="webhook: where alerts are sent to; empty for nowhere")
    rules.add_argument("--secret", default="", metavar="TEXT", help="webhook: what signs them (Standard Webhooks)")
    rules.add_argument("--test", action="store_true", help="webhook: send a test message")
    rules.add_argument("--json", action="store_true", help="one JSON object a line")
    weeks = commands.add_parser("shows", help="give photos the tag show by the days of a table of shows")
    weeks.add_argument("archive", type=place_argument, metavar="ARCHIVE", help="folder or URI of the archive")
    weeks.add_argument(
        "csv",
        nargs="?",
        type=path_argument,
        metavar="CSV",
        help="columns name, from and to; the shows are listed without",
    )
    weeks.add_argument("--remove", action="store_true", help="remove the table")


def run_command(parsed: argparse.Namespace, archive: Archive) -> int:
    """Runs one of `COMMANDS`: 0 if all went well, 1 if something failed.

    Raises:
        ArchiveError: If it cannot be done.
    """
    if parsed.command == "shows":
        return _shows(parsed, archive)
    return _views(parsed, archive) if parsed.command == "views" else _alerts(parsed, archive)


def _shows(parsed: argparse.Namespace, archive: Archive) -> int:
    if parsed.remove:
        set_shows(archive.place, [], user())
    elif parsed.csv:
        try:
            data = parsed.csv.read_bytes()
        except OSError as error:
            raise ArchiveError(f"{parsed.csv} cannot be read: {error.strerror}.") from None
        set_shows(archive.place, parse_shows(data), user())
    shows = read_shows(archive.place)
    for show in shows:
        print(f"{show.name}: {show.first} to {show.last}")
    if not shows:
        print(f"{archive.place.name} has no table of shows.", file=sys.stderr)
    return 0


def _views(parsed: argparse.Namespace, archive: Archive) -> int:
    if parsed.action == "list":
        found = views.list_views(archive.place)
        for view in found:
            about = f": {view.measured}" if view.measured else ""
            line = f"{view.name} (saved on {view.day}{f' by {view.by}' if view.by else ''}){about}"
            print(json.dumps(view.to_json(), ensure_ascii=False) if parsed.json else line)
        if not found:
            print(
                f"{archive.place.name} has no saved view yet. Save one on the Trends page, or with save.",
                file=sys.stderr,
            )
        return 0
    if not parsed.name:
        raise ArchiveError("Name the view.")
    if parsed.action == "delete":
        print(f'The view "{views.delete_view(archive.place, parsed.name, user()).name}" is deleted.')
        return 0
    if parsed.action == "save":
        if not parsed.link:
            raise ArchiveError("Give the address of the view with --link: open it on the Trends page and copy it.")
        link = views.link_of(parsed.link)
        measured = _measured(archive, link)
        view = views.save_view(
            archive.place, views.SavedView(parsed.name, link, parsed.note, measured=measured), user()
        )
        print(f'The view "{view.name}" is saved, with {view.measured}.')
        return 0
    view = views.find_view(archive.place, parsed.name)
    now = _measured(archive, view.link)
    if parsed.json:
        print(json.dumps(view.to_json() | {"now": now.to_json()}, ensure_ascii=False))
        return 0
    print(view.name)
    if view.note:
        print(view.note)
    print(views.since_then(view, now))
    print(f"On the Trends page: ?{view.query}")
    return 0


def _measured(archive: Archive, link: dict[str, list[str]] | Any) -> views.Measured:
    """What a link shows now."""
    version = _version(archive, (link.get("by") or [""])[-1])
    kinds = (link.get("kinds") or [""])[-1] == "yes"
    with opened_facts(archive, version, kinds=kinds) as (facts, errors):
        return views.measure(facts, link, errors)


def _version(archive: Archive, label: str) -> Version:
    """The version of a label, or the only one.

    Raises:
        ArchiveError: If there is none, or several without the label.
    """
    versions = archive.versions()
    found = [each for each in versions if each.label == label] or versions
    if not found:
        raise ArchiveError(f"{archive.place.location} holds no archive yet. Check the path.")
    if len(found) > 1:
        raise ArchiveError(
            f"The view names none of the models of this archive: {', '.join(each.label for each in found)}. "
            "Open it on the Trends page, choose a model, and save it again."
        )
    return found[0]


def _alerts(parsed: argparse.Namespace, archive: Archive) -> int:
    action = parsed.action
    if action == "list":
        return _list(archive, as_json=parsed.json)
    if action == "raised":
        found = alerts.list_alerts(archive.place)
        for alert in found:
            print(json.dumps(alert.to_json(), ensure_ascii=False) if parsed.json else _raised(alert))
        return 0
    if action == "check":
        raised = alerts.check_alerts(archive)
        for alert in raised:
            print(json.dumps(alert.to_json(), ensure_ascii=False) if parsed.json else _raised(alert))
        if not raised and not parsed.json:
            print("No alert was raised.")
        return 0
    if action == "delete":
        if not parsed.alert:
            raise ArchiveError("Give the alert in words, as it is listed.")
        print(f"The alert {alerts.delete_rule(archive.place, parsed.alert, user()).words} is deleted.")
        return 0
    if action == "webhook":
        return _webhook(parsed, archive)
    rule = alerts.add_rule(archive, _rule(parsed), user())
    for standing in rule:
        print(f"{standing.rule.words}. Now {standing}")
    return 0


def _list(archive: Archive, *, as_json: bool) -> int:
    rules = alerts.list_rules(archive.place)
    if as_json:
        for rule in rules:
            print(json.dumps(rule.to_json() | {"alert": rule.words}, ensure_ascii=False))
        return 0
    for version in archive.versions() if rules else ():
        for standing in alerts.standings(archive, version):
            print(f"{standing.rule.words}{', met' if standing.beyond else ''}. Now {standing}")
    if not rules:
        print(f"{archive.place.name} has no alert yet. Set one with add.", file=sys.stderr)
    return 0


def _rule(parsed: argparse.Namespace) -> Rule:
    """The rule of the options.

    Raises:
        ArchiveError: If one is missing.
    """
    ways: dict[Way, float | None] = {"above": parsed.above, "below": parsed.below, "change": parsed.change}
    given = [(way, number) for way, number in ways.items() if number is not None]
    if not parsed.garment or not given:
        raise ArchiveError("Give a garment and a share, such as --garment Coat --above 20.")
    way, number = given[0]
    tags = tuple(map(parse_tag, parsed.tag))
    return Rule(
        parsed.garment,
        way,
        number / 100,
        parsed.by,
        tags,
        least=parsed.least,
        by_value=parsed.by_value,
    )


def _webhook(parsed: argparse.Namespace, archive: Archive) -> int:
    if parsed.url == "":
        forget_webhook(archive.place, user())
        print("Alerts are not sent anywhere.")
        return 0
    if parsed.url:
        set_webhook(archive.place, Webhook(parsed.url, parsed.secret), user())
    webhook = read_webhook(archive.place)
    if webhook is None:
        print("Alerts are not sent anywhere. Give an address with --url.")
        return 0
    print(f"Alerts are sent to {webhook.host}, {'signed' if webhook.secret else 'without a signature'}.")
    if parsed.test:
        if failure := send_test(webhook):
            print(failure, file=sys.stderr)
            return 1
        print("The test was received.")
    return 0


def _raised(alert: alerts.Alert) -> str:
    sent = "" if alert.sent in ("", "sent") else f" Not sent: {alert.sent}" if alert.tries else " Not sent yet."
    return f"{alert.at[:16].replace('T', ' ')} UTC: {alert.rule}. {alert.sentence}.{sent}"
