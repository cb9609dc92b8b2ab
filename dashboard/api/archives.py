"""Archives: what is in them, and what they say.

Shares, pairs and series are the sections of the Trends page with its filters, so the numbers are the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from dashboard.api.problems import ProblemError, problem_responses
from dashboard.api.requests import check_parameters
from dashboard.api.waiting import ARCHIVES, principal_of, result_of
from dashboard.archive.cache import archive_contents
from dashboard.archive.shelf import Contents, Shelved
from dashboard.shared.access import readable_archives
from dashboard.shared.principal import Principal
from dashboard.trends import cache
from dashboard.trends.choice import SHIPPED
from dashboard.trends.moves import GARMENTS, line_section, things
from dashboard.trends.reliability import of_kinds, read_trust
from dashboard.trends.section import Question, Section
from dashboard.trends.together import matrix_section
from dashboard.trends.worn import share_section
from segmodels.archive.facts import Conditions, Facts, Period, View
from segmodels.archive.filters import evidence_line, from_link
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.place import NoSpaceError
from segmodels.archive.store import ArchiveError, Version

__all__ = [
    "ArchiveContents",
    "ArchiveEntry",
    "Name",
    "Photos",
    "Table",
    "archive",
    "archives",
    "asked",
    "pairs",
    "photos",
    "router",
    "series",
    "shares",
    "shelved",
]

P = ParamSpec("P")
T = TypeVar("T")

router = APIRouter(tags=["archives"])

_LONGEST_NAME = 80
_FILTERS = ("from", "to", "garments", "colours", "share", "confidence", "count", "duplicates")


class ArchiveContents(BaseModel):
    """What an archive holds of one model."""

    by: str = Field(description="Model, revision and classes: the value of the parameter `by`.")
    photos: int
    outfits: int
    dated: int = Field(description="Photos with a date.")
    first: date | None
    last: date | None
    left_out: int = Field(description="Parts of the archive that are damaged and left out.")
    tags: dict[str, dict[str, int]] = Field(description="The most frequent values of each tag, with their photos.")


class ArchiveEntry(BaseModel):
    """An archive."""

    name: str
    title: str
    origin: Literal["own", "named", "shipped"]
    contents: list[ArchiveContents] = Field(description="One entry for each model and revision.")
    problem: str = Field(default="", description="Why the contents cannot be read.")


class Table(BaseModel):
    """A table of the Trends page."""

    title: str
    evidence: str = Field(description="How many photos and outfits it is about, and which model analysed them.")
    method: str = Field(description="How the numbers were found.")
    rows: list[dict[str, Any]] = Field(
        description="The rows, with the names of the table's columns; null is no number."
    )


class Photos(BaseModel):
    """Photos behind a number."""

    evidence: str = Field(description="How many photos and outfits the filters leave.")
    outfits: int = Field(description="Outfits that meet the conditions with a probability of at least 0.5.")
    photos: list[dict[str, Any]] = Field(
        description="`photo_id`, `file_name`, `day` and `person` of each, the newest first."
    )


Name = Annotated[str, Path(description="Name of an archive, as `GET /archives` lists it.", max_length=_LONGEST_NAME)]
By = Annotated[
    str,
    Query(description="Whose results are counted, where the archive holds those of several models.", max_length=200),
]
YesNo = Literal["yes", "no"]
Kinds = Annotated[YesNo, Query(description="Whether kinds of garments, such as jeans, are counted instead of classes.")]
Periods = Annotated[Period, Query(description="Length of the periods into which time is divided.")]


def _filter_parameters() -> dict[str, Any]:
    """The filters of Trends for OpenAPI; `from_link` reads and checks them."""
    meanings = {
        "from": "First day, such as 2024-03-01; photos without a date are left out.",
        "to": "Last day, included.",
        "garments": "Classes that an outfit must hold, all of them, separated by commas.",
        "colours": "Basic colours of which a garment must have one, separated by commas.",
        "share": "Least share of the outfit that a garment must have to count, 0 to 0.5; for raw counts.",
        "confidence": "Least confidence of a garment to count, 0 to 0.99; for raw counts.",
        "count": "Way of counting: expected or raw.",
        "duplicates": "Whether each of several near-duplicates counts: yes or no.",
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "description": meanings[name], "schema": {"type": "string", "maxLength": 2000}}
        for name in _FILTERS
    ]
    parameters.append(
        {
            "name": "tag",
            "in": "query",
            "description": "Tags with values of which a photo must have one, as tag.market=North; may be repeated.",
            "style": "form",
            "explode": True,
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        }
    )
    return {"parameters": parameters}


_COUNTED = problem_responses("not-found", "not-enough", "unavailable", "took-too-long")


@router.get("/archives", summary="List archives", operation_id="archives", responses=problem_responses("took-too-long"))
async def archives(request: Request) -> list[ArchiveEntry]:
    """The archives that you may see, with what each holds."""
    who = principal_of(request)
    return await asked(request, lambda: [_entry(each) for each in readable_archives(who)])


@router.get(
    "/archives/{name}",
    summary="One archive",
    operation_id="archive",
    responses=problem_responses("not-found", "took-too-long"),
)
async def archive(request: Request, name: Name) -> ArchiveEntry:
    """What an archive holds."""
    who = principal_of(request)
    return await asked(request, lambda: _entry(shelved(who, name)))


@router.get(
    "/archives/{name}/shares",
    summary="What is worn",
    operation_id="shares",
    responses=_COUNTED,
    openapi_extra=_filter_parameters(),
)
async def shares(request: Request, name: Name, by: By = "", kinds: Kinds = "no") -> Table:
    """Share of outfits with each garment, with 95% intervals."""
    return await _section(request, name, by, kinds, share_section)


@router.get(
    "/archives/{name}/pairs",
    summary="What is worn together",
    operation_id="pairs",
    responses=_COUNTED,
    openapi_extra=_filter_parameters(),
)
async def pairs(request: Request, name: Name, by: By = "", kinds: Kinds = "no") -> Table:
    """Each pair of garments: outfits with both, lift, Jaccard index, normalised PMI, and what is significant."""
    return await _section(request, name, by, kinds, matrix_section)


@router.get(
    "/archives/{name}/series",
    summary="What moves",
    operation_id="series",
    responses=_COUNTED,
    openapi_extra=_filter_parameters(),
)
async def series(
    request: Request,
    name: Name,
    by: By = "",
    kinds: Kinds = "no",
    period: Periods = "month",
    of: Annotated[
        str, Query(description="A garment whose colours are counted, instead of all garments.", max_length=80)
    ] = GARMENTS,
) -> Table:
    """Shares over time, of every garment or of the colours of one."""

    def build(question: Question) -> Section:
        if of != GARMENTS and of not in [each.name for each in question.facts.taxonomy.worn]:
            raise ProblemError(
                "invalid-request", f"The parameter `of` is {of[:40]!r}, which is no garment of this archive."
            )
        return line_section(question, period=period, of=of, names=things(question, of))

    return await _section(request, name, by, kinds, build)


@router.get(
    "/archives/{name}/photos",
    summary="Photos behind a number",
    operation_id="photos",
    responses=_COUNTED,
    openapi_extra=_filter_parameters(),
)
async def photos(
    request: Request,
    name: Name,
    by: By = "",
    kinds: Kinds = "no",
    worn: Annotated[str, Query(description="Classes that an outfit holds, separated by commas.", max_length=1000)] = "",
    not_worn: Annotated[str, Query(description="Classes that it does not hold.", max_length=1000)] = "",
    limit: Annotated[int, Query(description="Most photos in the answer.", ge=1, le=1000)] = 24,
) -> Photos:
    """The photos whose outfits meet the filters and conditions, the newest first."""

    def answer(facts: Facts, version: Version, view: View) -> Photos:
        conditions = Conditions(worn=_classes(facts, "worn", worn), not_worn=_classes(facts, "not_worn", not_worn))
        found = facts.photos(view, conditions, limit=limit)
        rows = _rows(found[["photo_id", "file_name", "day", "person"]].to_json(orient="records", date_format="iso"))
        for row in rows:
            row["day"] = row["day"][:10] if row["day"] else None
        return Photos(evidence=_evidence(facts, version, view), outfits=facts.count(view, conditions), photos=rows)

    return await _counted(request, name, by, kinds, answer)


def shelved(who: Principal, name: str) -> Shelved:
    """The archive of a name among those that somebody may see.

    Raises:
        ProblemError: If there is none.
    """
    found = {each.name: each for each in readable_archives(who)}
    if name not in found:
        raise ProblemError("not-found", f'There is no archive "{name}". `GET /archives` lists those that you may see.')
    return found[name]


def _entry(found: Shelved) -> ArchiveEntry:
    entry = ArchiveEntry(name=found.name, title=found.title, origin=found.origin, contents=[])
    try:
        entry.contents = list(map(_contents, archive_contents(found.location)))
    except ArchiveError:
        entry.problem = "The archive cannot be read."
    return entry


def _contents(found: Contents) -> ArchiveContents:
    return ArchiveContents(
        by=found.version.label,
        photos=found.photos,
        outfits=found.outfits,
        dated=found.dated,
        first=found.first,
        last=found.last,
        left_out=len(found.left_out),
        tags={tag.name: dict(tag.counts) for tag in found.tags},
    )


def _version(found: Shelved, by: str) -> Version:
    versions = {each.label: each for each in cache.versions(found.location)}
    if not versions:
        raise ProblemError("not-enough", f"{found.name} holds no photos yet. Add some first.")
    if not by and len(versions) > 1:
        raise ProblemError(
            "invalid-request",
            f"The archive holds results of several models. Choose one with by={' or '.join(versions)}.",
        )
    by = by or next(iter(versions))
    if by not in versions:
        raise ProblemError(
            "invalid-request", f"The parameter `by` is {by[:80]!r}. The archive has {' and '.join(versions)}."
        )
    return versions[by]


def _classes(facts: Facts, parameter: str, text: str) -> list[str]:
    known = [each.name for each in facts.taxonomy.worn]
    named = [name for name in (each.strip() for each in text.split(",")) if name]
    if unknown := [each for each in named if each not in known]:
        raise ProblemError(
            "invalid-request", f"{parameter} names {unknown[0][:40]!r}. Garments are {', '.join(known)}."
        )
    return named


def _view(request: Request, facts: Facts) -> View:
    """The view of the filters in the address.

    Raises:
        ProblemError: If one cannot be used.
    """
    query = request.query_params
    check_parameters(request, _FILTERS, "tag.")
    filters = {key: query.getlist(key) for key in query if key in _FILTERS or key.startswith("tag.")}
    view, sentences = from_link(filters, facts.taxonomy, facts.tags, facts.countings)
    if sentences:
        errors = [_for_callers(each) for each in sentences]
        raise ProblemError("invalid-request", errors[0], errors)
    return replace(view, counting=facts.counting_of(view))


def _for_callers(sentence: str) -> str:
    """A sentence on a link as one on a request, which is refused where a link's filter is ignored."""
    for said, meant in (
        ("The link names", "The request names"),
        (" in the link", " in the request"),
        ("; it is ignored.", "."),
        ("; both are ignored.", "."),
        ("; those in the link are ignored.", "."),
        (", which is in the request.", "."),
    ):
        sentence = sentence.replace(said, meant)
    return sentence


def _evidence(facts: Facts, version: Version, view: View) -> str:
    return evidence_line(facts.size(view), version.model, version.revision, facts.near_duplicates(view))


def _rows(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    return found


async def _section(request: Request, name: str, by: str, kinds: YesNo, build: Callable[[Question], Section]) -> Table:
    """The table of a section of the Trends page."""

    def answer(facts: Facts, version: Version, view: View) -> Table:
        trust = read_trust(SHIPPED.parent / "reliability.json", version)
        if facts.division:
            trust = of_kinds(trust, facts.division)
        section = build(Question(facts, view, share_errors=trust.share_errors))
        return Table(
            title=section.title,
            evidence=_evidence(facts, version, view),
            method=section.caption,
            rows=_rows(section.numbers.to_json(orient="records", date_format="iso", double_precision=15)),
        )

    return await _counted(request, name, by, kinds, answer)


async def _counted(
    request: Request, name: str, by: str, kinds: YesNo, answer: Callable[[Facts, Version, View], T]
) -> T:
    """What an archive answers to a question about a view."""
    who = principal_of(request)

    def begin() -> tuple[Version, Future[Facts]]:
        found = shelved(who, name)
        version = _version(found, by)
        divided = kinds == "yes"
        if divided and not cache.has_kinds(found.location, version):
            raise ProblemError("invalid-request", "This archive has no kinds of garments. Leave kinds out.")
        return version, cache.facts(found.location, version, kinds=divided)[0]

    version, future = await asked(request, begin)
    facts = await _checked(result_of(request, asyncio.shield(asyncio.wrap_future(future))))  # shared with others
    return await asked(request, lambda: answer(facts, version, _view(request, facts)))


async def asked(request: Request, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function answers, with the errors of archives as problems.

    Args:
        request: The request.
        fn: Function that may block.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.

    Raises:
        ProblemError: If the archive cannot be read or has too little.
    """
    return await _checked(result_of(request, ARCHIVES.submit(fn, *args, **kwargs)))


async def _checked(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except NotEnoughError as error:
        raise ProblemError("not-enough", str(error)) from None
    except NoSpaceError as error:
        raise ProblemError("unavailable", "No space is left on the server. Free some, and try again.") from error
    except ArchiveError as error:  # its message may name a folder of the server
        raise ProblemError(
            "unavailable", "The archive cannot be read or written. The server's log says why."
        ) from error
