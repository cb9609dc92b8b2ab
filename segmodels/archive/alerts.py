"""Alerts: "tell me when skirts pass 20 %". Rules on shares, checked after each ingest, re-analysis and merge.

    DIR/alerts.json     the rules, what each saw last, and the alerts raised so far
    DIR/alerts.jsonl    the alerts raised so far, one a line, for other programs

A rule is met when the share of a garment lies beyond its threshold: with its whole 95 % interval, unless the rule goes
by the value alone. It is raised when that happens and then not again until the share itself has come back; a rule on
the change from one period to the next is raised once for each period. A rule that is met already when it is set waits
for the next time. The whole state is one file that is written in one step, so that a process that is killed raises
nothing twice. Who checks holds the lock `.alerts`, so that two ingests raise nothing twice either.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from segmodels.archive.alert_rules import Rule, fault
from segmodels.archive.behind import period_name
from segmodels.archive.calibration import opened_facts
from segmodels.archive.changes import ALERTS, changing, note, visible_parts
from segmodels.archive.facts import Conditions, Facts
from segmodels.archive.intervals import difference, wilson
from segmodels.archive.log import LogEntry
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.store import Archive, Version
from segmodels.archive.webhook import deliver, read_webhook
from segmodels.files import MOST_JSON_BYTES, parse_json
from segmodels.sentences import first_line, listed

__all__ = [
    "Alert",
    "Standing",
    "add_rule",
    "alert_sentences",
    "check_alerts",
    "copy_rules",
    "delete_rule",
    "list_alerts",
    "list_rules",
    "standing_of",
    "standings",
]

_MOST_RULES = 50
_KEPT = 1000  # alerts
_TRIES = 5  # checks at which an alert that could not be sent is sent again


@dataclass(frozen=True)
class Standing:
    """How a rule stands.

    Args:
        rule: The rule.
        outfits: Number of outfits that it looked at.
        share: Share of them with the garment; None without any, or where it cannot be counted.
        low: Lower end of its 95 % interval.
        high: Upper end of that interval.
        start: First day of the period that it looked at.
        change: Change from the period before, its lower and its upper end; None if the rule is on none.
        beyond: Whether the rule is met.
        back: Whether the share itself is on the other side of the threshold.
        lacking: Why nothing can be said, as a sentence; empty if something can.
        when: Name of the period.
    """

    rule: Rule
    outfits: float = 0.0
    share: float | None = None
    low: float = 0.0
    high: float = 1.0
    start: date | None = None
    change: tuple[float, float, float] | None = None
    beyond: bool = False
    back: bool = False
    lacking: str = ""
    when: str = ""

    def __str__(self) -> str:
        if self.share is None:
            return self.lacking
        text = f"{self.share:.1%} ({self.low:.1%} to {self.high:.1%}) of {self.outfits:,.0f} outfits"
        text += f", {self.when}" if self.when else ""
        if self.change:
            value, low, high = (100 * each for each in self.change)
            text += f", {value:+.1f} points ({low:+.1f} to {high:+.1f}) on the {self.rule.period} before"
        return f"{text}. {self.lacking}" if self.lacking else text


@dataclass(frozen=True)
class Alert:
    """An alert that was raised.

    Args:
        id: Id of the alert.
        at: Time, UTC.
        rule: The rule in words.
        sentence: What happened.
        facts: Numbers and names that belong to it.
        sent: `waiting`, `sent`, a sentence on why it could not be sent, or empty if there is no address.
        tries: Number of checks at which it was tried to send it.
    """

    id: str
    at: str
    rule: str
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    sent: str = ""
    tries: int = 0

    def to_json(self) -> dict[str, Any]:
        """The alert for a file."""
        return asdict(self) | {"facts": dict(self.facts)}


@dataclass
class _State:
    """What stands in `alerts.json`."""

    rules: list[Rule] = field(default_factory=list)
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)  # by rule, then by version
    raised: list[Alert] = field(default_factory=list)


def list_rules(place: Place) -> list[Rule]:
    """The rules of an archive, in the order in which they were set.

    Raises:
        ArchiveError: If the file is damaged or cannot be read.
    """
    return _read(place).rules


def list_alerts(place: Place) -> list[Alert]:
    """The alerts that were raised, the newest first.

    Raises:
        ArchiveError: If the file is damaged or cannot be read.
    """
    return _read(place).raised[::-1]


def add_rule(archive: Archive, rule: Rule, by: str = "") -> list[Standing]:
    """Sets a rule, and looks at once how it stands; if it is met already, it is not raised.

    Args:
        archive: The archive.
        rule: The rule; time and author are set here. The garment may be written in any case.
        by: Who does it, also for the log.

    Returns:
        How it stands, for each version of the rows.

    Raises:
        ArchiveError: If the rule cannot be used, is there already, or the archive cannot be read or written.
    """
    if wrong := fault(rule):
        raise ArchiveError(f"Nothing was set. {wrong}")
    versions = archive.versions()
    if not versions:
        raise ArchiveError(f"{archive.place.location} holds no archive yet. Check the path.")
    with _turn(archive.place):
        rule = replace(rule, garment=_known(archive, versions, rule.garment), by=by, at=_now())
        state = _read(archive.place)
        if any(each.words == rule.words for each in state.rules):
            raise ArchiveError(f"There is an alert {rule.words} already. Nothing was set.")
        if len(state.rules) >= _MOST_RULES:
            raise ArchiveError(f"There are {_MOST_RULES} alerts, the most there can be. Delete one first.")
        return [found[0] for found in _set(archive, versions, state, [rule])]


def copy_rules(source: Place, target: Archive, by: str = "") -> list[Rule]:
    """Sets the rules of an archive for another as well, whose own stay; what is met already is not raised.

    Neither the alerts that were raised nor the webhook are copied: an address gets only what the owner of an archive
    sends there.

    Args:
        source: Place of the archive that has the rules.
        target: The other archive.
        by: Who does it, also for the log.

    Returns:
        The rules that are new there.

    Raises:
        ArchiveError: If one of the archives cannot be read, or the other not be written.
    """
    rules = list_rules(source)
    if not rules:
        return []
    with _turn(target.place):
        state = _read(target.place)
        there = {rule.words for rule in state.rules}
        new = [replace(rule, by=by, at=_now()) for rule in rules if rule.words not in there]
        new = new[: max(0, _MOST_RULES - len(there))]
        if new:
            _set(target, target.versions(), state, new)
    return new


def delete_rule(place: Place, words: str, by: str = "") -> Rule:
    """Deletes a rule; alerts that it raised stay.

    Args:
        place: Place of the archive.
        words: The rule in words.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If there is none of this name, or the file cannot be written.
    """
    with _turn(place):
        state = _read(place)
        plain = " ".join(words.split()).casefold()
        rule = next((each for each in state.rules if each.words.casefold() == plain), None)
        if rule is None:
            there = listed([f'"{each.words}"' for each in state.rules]) or "none"
            raise ArchiveError(f'{place.name} has no alert "{words[:100]}". There is {there}.')
        state.rules.remove(rule)
        state.seen.pop(rule.words, None)
        _write(place, state, LogEntry("delete alert", by, {"alert": rule.words}))
    return rule


def standings(archive: Archive, version: Version) -> list[Standing]:
    """How each rule stands; nothing is raised.

    Args:
        archive: The archive.
        version: Version of the rows.

    Raises:
        ArchiveError: If the archive cannot be read.
    """
    rules = list_rules(archive.place)
    return _look(archive, version, rules) if rules else []


def check_alerts(
    archive: Archive,
    versions: Sequence[Version] | None = None,
    send: Callable[..., str] = deliver,
    older: Sequence[Version] = (),
) -> list[Alert]:
    """Checks the rules, raises those that are newly met, and sends what is to be sent.

    Args:
        archive: The archive.
        versions: Versions of the rows; all of them if left out.
        send: Function that sends a payload to a webhook, and gives why it could not; empty if it could.
        older: Versions whose rows have become rows of `versions`: what was met by them is not raised again.

    Returns:
        The alerts that were raised now.

    Raises:
        ArchiveError: If the archive cannot be read or written. That an alert cannot be sent is no error: it stands in
            the log, and is sent at the next check.
    """
    place = archive.place
    if not _read(place).rules:
        return []
    raised: list[Alert] = []
    with _turn(place):
        state = _read(place)
        webhook = read_webhook(place)
        for version in archive.versions() if versions is None else versions:
            for standing in _look(archive, version, state.rules) if state.rules else ():
                known = state.seen.setdefault(standing.rule.words, {})
                before = (known[each.label] for each in (version, *older) if each.label in known)
                memory, is_new = _judge(standing, next(before, None))
                if memory:
                    known[version.label] = memory
                if is_new:
                    raised.append(_alert(standing, archive, version, waiting=webhook is not None))
        state.raised = [*state.raised, *raised][-_KEPT:]
        _write(place, state, *(LogEntry("alert", "", {"alert": each.rule, "now": each.sentence}) for each in raised))
        if webhook is None:
            return raised
        due = [each for each in state.raised if each.sent not in ("", "sent") and each.tries < _TRIES]
        if not due:
            return raised
        outcome = {}
        for alert in due:
            failure = send(webhook, alert.id, _payload(place, alert))
            outcome[alert.id] = replace(alert, sent=failure or "sent", tries=alert.tries + 1)
            if failure:  # the others would wait as long for the same host
                break
        state.raised = [outcome.get(each.id, each) for each in state.raised]
        failed = [each for each in outcome.values() if each.sent != "sent"]
        _write(
            place, state, *(LogEntry("alert not sent", "", {"alert": each.rule, "why": each.sent}) for each in failed)
        )
    return raised


def alert_sentences(
    archive: Archive, versions: Sequence[Version] | None = None, older: Sequence[Version] = ()
) -> list[str]:
    """Checks the alerts after a change, which is done, whatever fails here.

    Args:
        archive: The archive.
        versions: Versions of the rows that changed; all of them if left out.
        older: Versions whose rows have become rows of `versions`.

    Returns:
        A sentence on each alert that was raised, or on why they were not checked.
    """
    try:
        raised = check_alerts(archive, versions, older=older)
        return [f"Alert: {alert.rule}. {alert.sentence}." for alert in raised]
    except Exception as error:
        reason = first_line(error)
        with suppress(ArchiveError):
            note(archive.place, LogEntry("alerts not checked", "", {"why": reason}))
        return [f"The alerts were not checked: {reason}. The change itself is done."]


def _set(archive: Archive, versions: Sequence[Version], state: _State, rules: Sequence[Rule]) -> list[list[Standing]]:
    """Adds rules to a state and writes it; gives how they stand in each version, which is not raised."""
    found = {version: _look(archive, version, rules) for version in versions}
    for place, rule in enumerate(rules):
        state.rules.append(rule)
        state.seen[rule.words] = {
            version.label: _memory(each[place]) for version, each in found.items() if not each[place].lacking
        }
    _write(archive.place, state, *(LogEntry("set alert", rule.by, {"alert": rule.words}) for rule in rules))
    return list(found.values())


# --- Looking ----------------------------------------------------------------------------------------------------------


def _look(archive: Archive, version: Version, rules: Sequence[Rule]) -> list[Standing]:
    """How rules stand, in their order; classes are counted first, and kinds if a rule names one."""
    found: dict[int, Standing] = {}
    for kinds in (False, True):
        left = [place for place in range(len(rules)) if place not in found]
        if not left:
            break
        with opened_facts(archive, version, kinds=kinds) as (facts, errors):
            names = {garment.name for garment in facts.taxonomy.worn}
            for place in left:
                if rules[place].garment in names:
                    found[place] = standing_of(rules[place], facts, errors)
            if not facts.division and kinds:
                break
    absent = "No row of this archive has this garment."
    return [found.get(place) or Standing(rule, lacking=absent) for place, rule in enumerate(rules)]


def standing_of(rule: Rule, facts: Facts, errors: Mapping[str, float]) -> Standing:
    """How a rule stands.

    Args:
        rule: The rule.
        facts: Facts of the archive, which have its garment.
        errors: Standard errors of a share that stem from the calibration, by class.
    """
    view = rule.view
    error = errors.get(rule.garment, 0.0) if facts.counting_of(view) == "expected" else 0.0
    if any(value not in facts.tags.get(name, ()) for name, values in view.tags for value in values):
        return Standing(rule, lacking="No photo has these tags.")
    if rule.period is None:
        size = facts.size(view).outfits
        count = facts.expected(view, Conditions(worn=[rule.garment])) if size else 0.0
        return _compared(rule, count, size, error, None, None)
    table = facts.counts_by_period(view, rule.period)
    table = table[table["garment"] == rule.garment].sort_values("start")
    if table.empty:
        return Standing(rule, lacking="No photo has a date.")
    rows = [(float(row["outfits"]), float(row["of"])) for row in table[["outfits", "of"]].to_dict("records")]
    start = pd.Timestamp(table["start"].iloc[-1]).date()
    before = rows[-2] if len(rows) > 1 else None
    found = _compared(rule, *rows[-1], error, start, before)
    return replace(found, when=period_name(start, rule.period, facts.hemispheres(view)))


def _compared(
    rule: Rule, count: float, size: float, error: float, start: date | None, before: tuple[float, float] | None
) -> Standing:
    """How a rule stands with a count.

    Args:
        rule: The rule.
        count: Outfits with the garment.
        size: All outfits.
        error: Standard error of the share that stems from the calibration.
        start: First day of the period.
        before: The two counts of the period before.
    """
    if size <= 0:
        return Standing(rule, start=start, lacking="There is no outfit yet.")
    count = min(count, size)
    share = count / size
    low, high = (float(end[0]) for end in wilson([count], [size], error))
    standing = Standing(rule, size, share, low, high, start)
    if size < rule.least:
        return replace(standing, lacking=f"It waits for {rule.least:,} outfits.")
    least, most = (share, share) if rule.by_value else (low, high)
    if rule.way == "above":
        return replace(standing, beyond=least > rule.threshold, back=share <= rule.threshold)
    if rule.way == "below":
        return replace(standing, beyond=most < rule.threshold, back=share >= rule.threshold)
    if before is None or before[1] < rule.least:
        return replace(standing, lacking=f"The {rule.period} before has fewer than {rule.least:,} outfits.")
    moved = difference(count, size, *before)
    least, most = (moved.value, moved.value) if rule.by_value else (moved.low, moved.high)
    return replace(
        standing,
        change=(moved.value, moved.low, moved.high),
        beyond=least > rule.threshold or most < -rule.threshold,
        back=abs(moved.value) <= rule.threshold,
    )


def _judge(standing: Standing, memory: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, bool]:
    """What is remembered of a rule, and whether it is raised.

    Args:
        standing: How it stands.
        memory: What was remembered of it; None if nothing was.
    """
    if standing.lacking:
        return None, False
    met = bool(memory and memory.get("met"))
    if standing.rule.way == "change" and memory and memory.get("start") != _text(standing.start):
        met = False  # each period has a change of its own
    if standing.beyond and not met:
        return _memory(standing), True
    return _memory(replace(standing, beyond=met and not standing.back)), False


def _memory(standing: Standing) -> dict[str, Any]:
    return {"met": standing.beyond, "start": _text(standing.start), "share": standing.share, "at": _now()}


def _alert(standing: Standing, archive: Archive, version: Version, *, waiting: bool) -> Alert:
    rule = standing.rule
    facts = {
        "garment": rule.garment,
        "way": rule.way,
        "threshold": rule.threshold,
        "period": rule.period,
        "start": _text(standing.start),
        "tags": [list(pair) for pair in rule.tags],
        "share": standing.share,
        "low": standing.low,
        "high": standing.high,
        "change": list(standing.change) if standing.change else None,
        "outfits": standing.outfits,
        "model": version.model,
        "revision": version.revision,
    }
    several = f" ({version.model})" if len(archive.versions()) > 1 else ""
    sentence = f"{rule.garment}: {standing}{several}"
    return Alert(secrets.token_hex(8), _now(), rule.words, sentence, facts, "waiting" if waiting else "")


def _payload(place: Place, alert: Alert) -> dict[str, Any]:
    """What is sent of an alert."""
    about = {"archive": place.name, "id": alert.id, "at": alert.at, "alert": alert.rule, "sentence": alert.sentence}
    return about | dict(alert.facts)


def _known(archive: Archive, versions: Sequence[Version], garment: str) -> str:
    """Name of a class or kind as Trends has it.

    Raises:
        ArchiveError: If there is none.
    """
    names: dict[str, str] = {}
    for version in versions:
        for kinds in (False, True):
            with opened_facts(archive, version, kinds=kinds) as (facts, _):
                for each in facts.taxonomy.worn:
                    names.setdefault(each.name.casefold(), each.name)
            if garment.casefold() in names:
                return names[garment.casefold()]
    raise ArchiveError(f"{garment[:40]!r} is no garment of this archive. Choose one of {', '.join(names.values())}.")


# --- The file ---------------------------------------------------------------------------------------------------------


@contextmanager
def _turn(place: Place) -> Iterator[None]:
    """Waits until nobody else checks or changes the alerts."""
    with place.lock(".alerts"):
        yield


def _read(place: Place) -> _State:
    try:
        content = place.read(ALERTS[0], MOST_JSON_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return _State()
    except OSError as error:
        raise ArchiveError(f"{place.location}/{ALERTS[0]} cannot be read: {first_line(error)}.") from error
    try:
        value = parse_json(content.decode("utf-8"))
        return _State(
            [Rule.from_json(each) for each in value["rules"]],
            {str(key): dict(each) for key, each in value["seen"].items()},
            [Alert(**each) for each in value["raised"]],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(
            f"{place.location}/{ALERTS[0]} is damaged ({first_line(error)}). Restore it from a backup, or remove it "
            "and set the alerts again."
        ) from None


def _write(place: Place, state: _State, *entries: LogEntry) -> None:
    """Writes the file, and entries of the log; not for an archive that is gone meanwhile."""
    value = {
        "rules": [rule.to_json() for rule in state.rules],
        "seen": state.seen,
        "raised": [alert.to_json() for alert in state.raised],
    }
    with changing(place):
        if not visible_parts(place):
            raise ArchiveError(f"{place.location} holds no archive any more. The alerts were not kept.")
        place.write(ALERTS[0], (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
        lines = "".join(json.dumps(each.to_json(), ensure_ascii=False) + "\n" for each in state.raised)
        if lines:
            place.write(ALERTS[1], lines.encode())
        for entry in entries:
            note(place, entry)


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
