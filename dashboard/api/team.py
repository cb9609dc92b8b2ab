"""Saved views and alerts of archives, for reading."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from dashboard.api.archives import Name, asked, shelved
from dashboard.api.problems import problem_responses
from dashboard.api.waiting import principal_of
from segmodels.archive.alerts import list_alerts, list_rules
from segmodels.archive.store import Archive
from segmodels.archive.views import list_views

__all__ = [
    "AlertRule",
    "Alerts",
    "MeasuredView",
    "RaisedAlert",
    "SavedViewEntry",
    "alerts",
    "router",
    "views",
]

router = APIRouter(tags=["archives"])

_MOST_ALERTS = 100


class MeasuredView(BaseModel):
    """What a view counted."""

    outfits: float
    subject: str = Field(description="What was clicked, such as a garment; empty if nothing was.")
    share: float | None = Field(description="Share of the outfits with it, 0 to 1.")
    low: float = Field(description="Lower end of its 95% interval.")
    high: float


class SavedViewEntry(BaseModel):
    """A saved view."""

    name: str
    note: str
    by: str = Field(description="Who saved it.")
    at: str = Field(description="When it was saved, UTC.")
    query: str = Field(description="What follows `?` in its address on the Trends page, without the archive.")
    measured: MeasuredView | None = Field(description="What it counted when it was saved.")


class AlertRule(BaseModel):
    """A rule on a share, and whether it is met."""

    alert: str = Field(description="The rule in words.")
    garment: str
    way: Literal["above", "below", "change"]
    threshold: float = Field(description="Share, or points of share, 0 to 1.")
    period: str | None
    tags: list[tuple[str, str]]
    least: int = Field(description="Fewest outfits.")
    by_value: bool = Field(description="Whether the share is compared, and not its interval.")


class RaisedAlert(BaseModel):
    """An alert that was raised."""

    id: str
    at: str = Field(description="When, UTC.")
    alert: str = Field(description="The rule in words.")
    sentence: str = Field(description="What was counted.")
    facts: dict[str, Any] = Field(description="Share, interval, outfits, period and model.")


class Alerts(BaseModel):
    """The alerts of an archive."""

    rules: list[AlertRule]
    raised: list[RaisedAlert] = Field(description="The last 100, the newest first.")


@router.get(
    "/archives/{name}/views",
    summary="Saved views",
    operation_id="views",
    responses=problem_responses("not-found", "unavailable", "took-too-long"),
)
async def views(request: Request, name: Name) -> list[SavedViewEntry]:
    """The views that were saved on the Trends page, with what each counted then."""
    who = principal_of(request)

    def answer() -> list[SavedViewEntry]:
        found = list_views(Archive(shelved(who, name).location).place)
        return [
            SavedViewEntry(
                name=view.name,
                note=view.note,
                by=view.by,
                at=view.at,
                query=view.query,
                measured=MeasuredView(**view.measured.to_json()) if view.measured else None,
            )
            for view in found
        ]

    return await asked(request, answer)


@router.get(
    "/archives/{name}/alerts",
    summary="Alerts",
    operation_id="alerts",
    responses=problem_responses("not-found", "unavailable", "took-too-long"),
)
async def alerts(request: Request, name: Name) -> Alerts:
    """The rules on shares, and the alerts that they raised."""
    who = principal_of(request)

    def answer() -> Alerts:
        place = Archive(shelved(who, name).location).place
        rules = [
            AlertRule(
                alert=rule.words,
                garment=rule.garment,
                way=rule.way,
                threshold=rule.threshold,
                period=rule.period,
                tags=list(rule.tags),
                least=rule.least,
                by_value=rule.by_value,
            )
            for rule in list_rules(place)
        ]
        raised = [
            RaisedAlert(id=each.id, at=each.at, alert=each.rule, sentence=each.sentence, facts=dict(each.facts))
            for each in list_alerts(place)[:_MOST_ALERTS]
        ]
        return Alerts(rules=rules, raised=raised)

    return await asked(request, answer)
