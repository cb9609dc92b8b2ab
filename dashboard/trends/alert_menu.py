"""Alerts on the Trends page: those that were raised lately, how the rules stand, and setting one."""

from __future__ import annotations

import streamlit as st

from dashboard.archive.alerts import alert_line, list_raised, new_alerts, set_alert, show_rules
from dashboard.trends.choice import Choice
from dashboard.trends.section import Question
from segmodels.archive.alerts import list_rules, standing_of
from segmodels.archive.place import ArchiveError, Place

__all__ = ["show_alerts", "show_new"]

_LINES = 2  # alerts above the chart


def show_new(choice: Choice) -> None:
    """The newest alerts, above the chart."""
    for alert in new_alerts(choice.location)[:_LINES]:
        st.info(alert_line(alert))


def show_alerts(choice: Choice, question: Question) -> None:
    """The menu of the alerts.

    Args:
        choice: The archive.
        question: Question that the page answers.
    """
    place = Place(choice.location)
    try:
        rules = list_rules(place)
    except ArchiveError:
        rules = []
    if not rules and not choice.may_change:
        return
    new = len(new_alerts(choice.location))
    with st.popover(f"Alerts ({new} new)" if new else "Alerts", key="trends-alerts"):
        facts = question.facts
        names = [garment.name for garment in facts.taxonomy.worn]
        standings = [standing_of(rule, facts, question.share_errors) for rule in rules if rule.garment in names]
        show_rules(choice.location, standings, may_change=choice.may_change, key="trends-alert", archive=choice.name)
        list_raised(choice.location)
        if choice.may_change:
            tags = [(name, value) for name, values in question.view.tags for value in values]
            dated = bool(facts.size(question.view).dated)
            set_alert(choice.location, names, tags, dated=dated, key="trends-alert", archive=choice.name)
