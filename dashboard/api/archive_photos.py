"""Photos into archives, as files or as the address of a product feed, and out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dashboard.api.archives import Name, asked, shelved
from dashboard.api.bodies import faults_of, read_body
from dashboard.api.jobs import Jobs, JobStatus
from dashboard.api.limits import Limits
from dashboard.api.problems import ProblemError, problem_responses
from dashboard.api.requests import check_parameters
from dashboard.api.routes import PREFIX, base_path
from dashboard.api.waiting import principal_of, result_of, segmenter_of
from dashboard.archive.intake import sort_files
from dashboard.archive.jobs import Job
from dashboard.archive.shelf import Shelved, check_size, choose_target, claim, owner_of
from dashboard.shared import audit, networks
from dashboard.shared.access import may_change, readable_archives
from dashboard.shared.principal import Principal
from dashboard.trends import cache
from segmodels.archive.care import NoPhotoError, delete_photos
from segmodels.archive.feeds import read_feed
from segmodels.archive.fetching import Fetcher, feed_name, feed_photos, fetch_feed
from segmodels.archive.metadata import Metadata
from segmodels.archive.selection import Selection
from segmodels.archive.sources import Found
from segmodels.archive.store import Archive, ArchiveError
from segmodels.checkpoints.catalog import DEFAULT_MODEL
from segmodels.settings import read_settings

__all__ = ["FeedOrder", "add_photos", "remove_photo", "router"]

router = APIRouter(tags=["archives"])

_MOST_FILES = 2000
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_FEEDS = ThreadPoolExecutor(2, thread_name_prefix="api-feeds")  # of their own: a shop may be slow


class FeedOrder(BaseModel):
    """A product feed whose photos are added to an archive."""

    model_config = ConfigDict(extra="forbid")

    feed: str = Field(
        min_length=1,
        max_length=2048,
        description="Public address of the feed: products.json of a shop, an export of Shopify, a feed of Google "
        "Merchant Center, or any table with a column of addresses of photos.",
    )
    model: str = Field(default=DEFAULT_MODEL, max_length=200, description="Name of a model.")
    one_row_a_product: bool = Field(
        default=False, description="Whether the pictures of a product become one row, of one outfit."
    )
    encoding: str | None = Field(default=None, max_length=40, description="Encoding of a table; found out if left out.")
    dates: Literal["day-first", "month-first"] | None = Field(
        default=None, description="What 03/04/2024 means; found out from the other dates if left out."
    )


@router.post(
    "/archives/{name}/photos",
    summary="Add photos",
    operation_id="add_photos",
    status_code=202,
    responses=problem_responses(
        *(
            "conflict",
            "unknown-model",
            "too-large",
            "unsupported-media-type",
            "too-slow",
            "took-too-long",
            "unavailable",
            "unreachable-feed",
        )
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["files"],
                        "properties": {
                            "files": {
                                "type": "array",
                                "items": {"type": "string", "format": "binary"},
                                "description": "Photos, ZIPs of photos, and one CSV with dates and tags; or a product "
                                "feed alone, as a file.",
                            },
                            "model": {"type": "string", "description": "Name of a model."},
                            "one_row_a_product": {"type": "boolean", "description": "As in FeedOrder, for a feed."},
                        },
                    }
                },
                "application/json": {"schema": {"$ref": "#/components/schemas/FeedOrder"}},
            },
        }
    },
)
async def add_photos(request: Request, response: Response, name: Name) -> JobStatus:
    """Adds photos to an archive, a new one where there is none of this name, and answers with the job that does it.

    Send files as a form, or the address of a product feed as JSON: `{"feed": "https://shop.example/products.json"}`.
    The job fetches the photos of a feed politely, from public addresses alone; one whose address is in the archive
    already is not fetched again. No photo is kept, only what is found in it. `GET /jobs/{id}` says how far the job is.
    """
    limits: Limits = request.app.state.limits
    jobs: Jobs = request.app.state.jobs
    check_parameters(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json"):
        raise ProblemError(
            "unsupported-media-type",
            "There is no form in the request. Send the photos as files of a multipart/form-data form, or the address "
            "of a product feed as application/json.",
        )
    jobs.check()
    who = principal_of(request)
    if kind == "application/json":
        order = _order(await request.body())
        model = order.model
        await segmenter_of(request, model)
        target = await asked(request, _target, who, name)
        photos = await result_of(request, _FEEDS.submit(_ordered, order, limits))
    else:
        body = await read_body(request, _MOST_FILES)
        if unknown := [each for each in body.files if each != "files"]:
            raise ProblemError(
                "invalid-request",
                f"The field {unknown[0][:40]!r} is not files. Send photos, ZIPs and the CSV as files.",
            )
        model, as_outfits = _options(body.values)
        files = [(each.name, each.data) for each in body.files.get("files", [])]
        await segmenter_of(request, model)
        target = await asked(request, _target, who, name)
        photos = await asked(request, _sent, files, as_outfits=as_outfits)
    job_id = await asked(request, _begin, jobs, who, target, photos, model, limits.archive)
    response.headers["Location"] = f"{base_path()}{PREFIX}/jobs/{job_id}"
    return jobs.status(job_id, who)


@router.delete(
    "/archives/{name}/photos/{photo_id}",
    summary="Remove a photo",
    operation_id="remove_photo",
    status_code=204,
    responses=problem_responses("not-found", "conflict", "took-too-long", "unavailable"),
)
async def remove_photo(
    request: Request,
    name: Name,
    photo_id: Annotated[str, Path(description="SHA-256 of the photo's file.", pattern="^[0-9a-f]{64}$")],
) -> Response:
    """Removes what was found in a photo, by whichever model, from an archive, for good.

    Nothing is kept of it but its hash, in the receipt in the archive's log.
    """
    await asked(request, _remove, principal_of(request), name, photo_id)
    return Response(status_code=204)


def _options(values: Mapping[str, str]) -> tuple[str, bool]:
    """The model, and whether a product becomes one row, of a form's fields beside its files."""
    known = ("model", "one_row_a_product")
    if "files" in values:
        sentence = "The field files is text. Send a file, as curl does with -F files=@outfit.jpg."
        raise ProblemError("invalid-request", sentence)
    if unknown := [each for each in values if each not in known]:
        raise ProblemError(
            "invalid-request", f"There is no field {unknown[0][:40]!r}. There are files, and {', '.join(known)}."
        )
    switch = values.get("one_row_a_product", "no").strip().lower()
    if switch not in _SWITCH:
        raise ProblemError("invalid-request", f"one_row_a_product is true or false, not {switch[:40]!r}.")
    return values.get("model", DEFAULT_MODEL), _SWITCH[switch]


def _order(body: bytes) -> FeedOrder:
    try:
        return FeedOrder.model_validate_json(body)
    except ValidationError as error:
        faults = faults_of(error)
        raise ProblemError(
            "invalid-request", f'Send {{"feed": "https://..."}}, the address of a product feed. {faults[0]}.', faults
        ) from None


def _ordered(order: FeedOrder, limits: Limits) -> tuple[Found, Metadata | None]:
    """The photos of a feed that lies at an address."""
    anywhere = read_settings().private_feeds
    most, seconds = limits.upload_mb * 1024**2, limits.seconds / 2  # the other half to read it
    try:
        data = fetch_feed(order.feed, anywhere=anywhere, max_bytes=most, seconds=seconds)
    except ArchiveError as error:
        raise ProblemError("unreachable-feed", str(error)) from None
    name = feed_name(order.feed)
    day_first = order.dates == "day-first" if order.dates else None
    try:
        feed = read_feed(data, name, encoding=order.encoding, day_first=day_first)
        if feed is None:
            raise ArchiveError(f"{name} has no column of addresses of photos. Send the address of a product feed.")
    except ArchiveError as error:
        raise ProblemError("invalid-request", str(error)) from None
    return feed_photos(feed, Fetcher(anywhere=anywhere), as_outfits=order.one_row_a_product), feed.metadata


def _sent(files: Sequence[tuple[str, bytes]], *, as_outfits: bool) -> tuple[Found, Metadata | None]:
    """The photos of files that were sent, with the CSV among them, or those of a feed that was sent alone."""
    try:
        intake = sort_files(files)
        metadata = intake.read()
        if intake.feed:
            fetcher = Fetcher(anywhere=read_settings().private_feeds)
            return feed_photos(intake.feed, fetcher, as_outfits=as_outfits), metadata
        if intake.is_empty:
            raise ArchiveError("There is no photo to add. Send photos or a ZIP of photos as files.")
        return intake.found, metadata
    except ArchiveError as error:
        raise ProblemError("invalid-request", str(error)) from None


def _target(who: Principal, name: str) -> Shelved:
    """The archive that photos go into, which need not be there yet."""
    try:
        target = choose_target(name)
    except ArchiveError as error:
        shipped = any(each.name == name.strip() and each.origin == "shipped" for each in readable_archives(who))
        raise ProblemError("conflict" if shipped else "invalid-request", str(error)) from None
    if owner_of(target.location) and not may_change(who, target):
        raise _taken(target)
    return target


def _taken(target: Shelved) -> ProblemError:
    return ProblemError("not-allowed", f"{target.name} was made by somebody else. Choose another name.")


def _begin(
    jobs: Jobs, who: Principal, target: Shelved, photos: tuple[Found, Metadata | None], model: str, most: int
) -> str:
    """Starts a job; gives its id."""
    try:
        check_size(target, len(photos[0].sources), most)
    except ArchiveError as error:
        raise ProblemError("too-large", str(error)) from None
    claim(target, who.id)  # of a caller, so that visitors of the pages do not change it
    if not may_change(who, target):  # another one was quicker
        raise _taken(target)
    load = partial(networks.segmenter, model)
    return jobs.begin(Job(target, *photos, load, networks.flow, who.id, model, is_repeatable=False))


def _remove(who: Principal, name: str, photo_id: str) -> None:
    found = shelved(who, name)
    if found.origin == "shipped":
        raise ProblemError("conflict", f"{name} comes with the app and cannot be changed. Nothing was removed.")
    if not may_change(who, found):
        raise ProblemError("not-allowed", f"Only whoever made {name} may remove photos from it. Nothing was removed.")
    try:
        delete_photos(Archive(found.location), Selection(ids=[photo_id]), for_good=True, by=f"API {who.id[:8]}")
    except NoPhotoError:
        raise ProblemError(
            "not-found", "The archive has no such photo. `GET /archives/{name}/photos` lists them."
        ) from None
    cache.forget_archives()
    audit.note("photo removed", who, archive=name, photo=photo_id)
