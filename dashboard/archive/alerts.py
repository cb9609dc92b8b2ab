"""Alerts of an archive on the pages: what was raised, which there are, and setting one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard.shared import audit
from dashboard.shared.text import literal
from dashboard.shared.visitor import log_name, principal, without_folders
from segmodels.archive.alert_rules import LEAST_OUTFITS, Rule, Way
from segmodels.archive.alerts import (
    Alert,
    Standing,
    add_rule,
    delete_rule,
    list_alerts,
    list_rules,
)
from segmodels.archive.facts import PERIODS, Period
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.store import Archive
from segmodels.archive.webhook import Webhook, forget_webhook, read_webhook, send_test, set_webhook

__all__ = ["alert_line", "choose_webhook", "list_raised", "new_alerts", "set_alert", "show_rules"]

_DAYS = 14  # for which an alert is shown on the pages
_SHOWN = 10
_ALL = "All outfits"
_WAYS: dict[str, Way] = {"Above": "above", "Below": "below", "Changed by": "change"}


def new_alerts(location: str) -> list[Alert]:
    """The alerts that were raised in the last two weeks, the newest first; none if they cannot be read."""
    since = f"{datetime.now(UTC) - timedelta(days=_DAYS):%Y-%m-%dT%H:%M:%SZ}"
    try:
        return [alert for alert in list_alerts(Place(location)) if alert.at >= since]
    except ArchiveError:
        return []


def alert_line(alert: Alert) -> str:
    """An alert as Markdown: `**Alert**, 3 May 2026. Coat above 20%. Coat: 23.1% ...`."""
    moment = datetime.fromisoformat(alert.at)
    return f"**Alert**, {moment.day} {moment:%B %Y}: {literal(alert.rule)}. {literal(alert.sentence)}."


def list_raised(location: str) -> None:
    """The last alerts, with what became of those that were to be sent."""
    for alert in list_alerts(Place(location))[:_SHOWN]:
        sent = "" if alert.sent in ("", "sent") else f" Not sent{f': {alert.sent}' if alert.tries else ' yet'}"
        st.caption(alert_line(alert) + literal(without_folders(sent)))


def show_rules(location: str, standings: Sequence[Standing], *, may_change: bool, key: str, archive: str) -> None:
    """The rules, each with how it stands, if that is known, and a button that deletes it.

    Args:
        location: Location of the archive.
        standings: How rules stand, of those for which it is known.
        may_change: Whether the visitor may delete them.
        key: Start of the keys of the widgets.
        archive: Name of the archive, for the audit log.
    """
    place = Place(location)
    try:
        rules = list_rules(place)
    except ArchiveError as error:
        st.error(literal(without_folders(str(error))))
        return
    now = {standing.rule.words: standing for standing in standings}
    for number, rule in enumerate(rules):
        with st.container(horizontal=True, vertical_alignment="center"):
            standing = now.get(rule.words)
            text = f"**{literal(rule.words)}**"
            if standing:
                text += f"{', met' if standing.beyond else ''}. Now {literal(str(standing))}."
            st.caption(text, width="stretch")
            if may_change and st.button("Delete", key=f"{key}-delete-{number}", type="tertiary"):
                try:
                    delete_rule(place, rule.words, log_name())
                except ArchiveError as error:
                    st.error(literal(without_folders(str(error))))
                else:
                    audit.note("alert deleted", principal(), archive=archive, alert=rule.words)
                    st.rerun()
    if not rules:
        st.caption("No alert is set. An alert tells when the share of a garment passes a threshold.")


def set_alert(
    location: str, garments: Sequence[str], tags: Sequence[tuple[str, str]], *, dated: bool, key: str, archive: str
) -> None:
    """The form for a new rule.

    Args:
        location: Location of the archive.
        garments: Names of garments to choose from.
        tags: Tags of the filters with a value each, to which the rule may be limited.
        dated: Whether photos have dates.
        key: Start of the keys of the widgets.
        archive: Name of the archive, for the audit log.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        garment = st.selectbox("Tell me when", garments, key=f"{key}-garment", width=170)
        ways = list(_WAYS) if dated else list(_WAYS)[:2]
        said = st.segmented_control("Its share is", ways, default=ways[0], required=True, key=f"{key}-way") or ways[0]
        way = _WAYS[said]
        unit = "points" if way == "change" else "% of outfits"
        threshold = st.number_input(
            unit, 0.1, 99.9, 5.0 if way == "change" else 20.0, 1.0, "%.1f", key=f"{key}-{way}", width=120
        )
        periods: list[str] = list(PERIODS) if way == "change" else [_ALL, *PERIODS]
        usual = periods.index("month") if way == "change" else 0
        of = _ALL
        if dated:
            label = "From one to the next" if way == "change" else "Of"
            of = st.selectbox(label, periods, usual, format_func=_period, key=f"{key}-of-{way}", width=190)
        least = st.number_input("Fewest outfits", 1, 1_000_000, LEAST_OUTFITS, key=f"{key}-least", width=130)
    limited = False
    if tags:
        words = ", ".join(f"{name} {value}" for name, value in tags)
        limited = st.toggle(literal(f"Only photos with {words}"), key=f"{key}-tags")
    by_value = st.toggle("By the share alone", key=f"{key}-value")
    st.caption(
        "Any share beyond the threshold raises it, also by chance."
        if by_value
        else "It is raised when the whole 95% interval is beyond the threshold, so that chance seldom raises it. Then "
        "it is quiet until the share has come back."
    )
    if st.button("Set alert", key=f"{key}-set", type="primary"):
        period: Period | None = next((each for each in PERIODS if each == of), None)
        rule = Rule(garment or "", way, threshold / 100, period, tuple(tags) if limited else (), int(least), by_value)
        try:
            with st.spinner("Counting.", show_time=False):
                found = add_rule(Archive(location), rule, log_name())
        except ArchiveError as error:
            st.error(literal(without_folders(str(error))))
        else:
            audit.note("alert set", principal(), archive=archive, alert=found[0].rule.words)
            st.rerun()


def choose_webhook(location: str, key: str, archive: str) -> None:
    """The address that alerts are sent to.

    Args:
        location: Location of the archive.
        key: Start of the keys of the widgets.
        archive: Name of the archive, for the audit log.
    """
    place = Place(location)
    now = read_webhook(place)
    st.caption(
        f"Alerts are sent to {literal(now.host)}, {'signed' if now.secret else 'without a signature'}."
        if now
        else "Alerts can also be sent as JSON to an address of yours (Standard Webhooks), such as that of a chat."
    )
    with st.form(f"{key}-webhook", border=False):
        url = st.text_input("Address", placeholder="https://chat.example.org/hooks/looks")
        secret = st.text_input("Secret that signs them (optional)", type="password", autocomplete="off")
        saving = st.form_submit_button("Save address")
    try:
        if saving:
            set_webhook(place, Webhook(url.strip(), secret.strip()), log_name())
            audit.note("webhook set", principal(), archive=archive, host=Webhook(url.strip()).host)
            st.rerun()
        if now:
            with st.container(horizontal=True):
                if st.button("Send a test", key=f"{key}-test"):
                    with st.spinner("Sending.", show_time=False):
                        failure = send_test(now)
                    (st.error if failure else st.success)(literal(failure or "The test was received."))
                if st.button("Remove address", key=f"{key}-forget", type="tertiary"):
                    forget_webhook(place, log_name())
                    audit.note("webhook removed", principal(), archive=archive)
                    st.rerun()
    except ArchiveError as error:
        st.error(literal(without_folders(str(error))))


def _period(name: str) -> str:
    return name if name == _ALL else f"The latest {name}"
