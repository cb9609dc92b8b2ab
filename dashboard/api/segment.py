"""`POST /segment`: the garments of photos."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dashboard.api.admission import Admission, Ticket
from dashboard.api.bodies import UploadedFile, faults_of, plain_name, read_body
from dashboard.api.limits import Limits
from dashboard.api.metrics import PHOTOS
from dashboard.api.problems import ProblemError, problem_responses
from dashboard.api.requests import check_parameters
from dashboard.api.together import Result, submit
from dashboard.api.waiting import as_problem, caller_of, fetched, outcomes, segmenter_of
from dashboard.shared.photo_file import file_digest
from segmodels.annotations import to_coco
from segmodels.checkpoints.catalog import DEFAULT_MODEL
from segmodels.inference.segmentation import Segmentation

__all__ = ["Addresses", "Found", "Masks", "Results", "router", "segment"]

Masks = Literal["none", "png", "rle", "polygons"]

router = APIRouter(tags=["photos"])


class Found(BaseModel):
    """What was found in a photo: the JSON of the command line, and what was asked for beside it."""

    model_config = ConfigDict(extra="allow")

    photo: str
    photo_id: str = Field(description="SHA-256 of the photo's file in hex digits, as in archives.")
    model: str
    revision: str
    taxonomy: str
    width: int
    height: int
    orientation: int
    seconds: float
    people: list[dict[str, Any]]
    garments: list[dict[str, Any]]
    class_map: str | None = None


class Results(BaseModel):
    """Results of several photos in their order; of one that failed, its name and the problem."""

    results: list[dict[str, Any]]


class Addresses(BaseModel):
    """Photos by their addresses: one, or several."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(default="", max_length=2048, description="Public address of one photo; the answer is its result.")
    urls: list[Annotated[str, Field(max_length=2048)]] = Field(
        default=[], max_length=256, description="Of several; the answer is a list of results in their order."
    )
    model: str | None = Field(default=None, max_length=200, description="As the parameter.")
    masks: Masks | None = Field(default=None, description="As the parameter.")


_PNG, _JSON = "image/png", "application/json"
_RAW = ("application/octet-stream", "image/")
_PHOTO = {"type": "string", "format": "binary", "description": "A JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP file."}
_OPTIONS = {
    "model": {"type": "string", "description": "As the parameter."},
    "masks": {"type": "string", "enum": ["none", "png", "rle", "polygons"], "description": "As the parameter."},
}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "photo": _PHOTO | {"description": "One photo; the answer is its result."},
                    "photos": {
                        "type": "array",
                        "items": _PHOTO,
                        "description": "Several photos; the answer is a list of results in their order.",
                    },
                    **_OPTIONS,
                },
            }
        },
        _JSON: {"schema": {"$ref": "#/components/schemas/Addresses"}},
        "application/octet-stream": {"schema": {}},
        "image/*": {"schema": {}},
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What was found: of one photo as the command line writes it, of several in `results`.",
        "content": {
            _JSON: {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/Found"},
                        {"$ref": "#/components/schemas/Results"},
                    ]
                }
            },
            _PNG: {"schema": {"type": "string", "contentMediaType": _PNG}},
        },
    }
}


@router.post(
    "/segment",
    summary="Find the garments of photos",
    operation_id="segment",
    response_model=None,
    responses=_ANSWERS
    | problem_responses(
        *(
            "unreadable-photo",
            "unreachable-photo",
            "unknown-model",
            "not-acceptable",
            "too-large",
            "unsupported-media-type",
        ),
        *("too-many-requests", "too-slow", "took-too-long", "unavailable"),
    ),
    openapi_extra={"requestBody": _BODY},
)
async def segment(
    request: Request,
    model: Annotated[
        str, Query(description="Name of a model, as `GET /models` lists it.", max_length=200)
    ] = DEFAULT_MODEL,
    masks: Annotated[
        Masks,
        Query(
            description="Masks in the answer: `png` adds `class_map`, a palette PNG in base64 whose values are ids of "
            "classes; `rle` and `polygons` add `segmentation` to each garment, as COCO has it."
        ),
    ] = "none",
    name: Annotated[str, Query(description="File name of a photo sent as its bytes.", max_length=200)] = "photo",
) -> Response:
    """Segments one photo, or several in one request.

    Send one photo as the body (`Content-Type: image/jpeg`, or any other `image/*`), or a form with one file `photo`,
    or with several files `photos`, or JSON with the public address of a photo. `Accept: image/png` asks for the class
    map of one photo instead of the JSON.

    The photos wait in the queue of all callers and visitors. When too many wait, the answer is 429 with `Retry-After`.
    If the caller leaves, photos that still wait are dropped.
    """
    form = _wanted(request)
    check_parameters(request)
    admission: Admission = request.app.state.admission
    limits: Limits = request.app.state.limits
    caller = caller_of(request)
    with admission.enter(caller) as ticket:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        several = False
        if kind == "multipart/form-data":
            body = await read_body(request, limits.photos)
            photos = [*body.files.get("photo", []), *body.files.get("photos", [])]
            several = "photos" in body.files
            model, masks = body.values.get("model", model), _masks(body.values.get("masks", masks))
            if texts := [each for each in ("photo", "photos") if each in body.values]:
                raise ProblemError(
                    "invalid-request",
                    f"The field {texts[0]} is text. Send a file, as curl does with -F {texts[0]}=@outfit.jpg.",
                )
            if unknown := [each for each in body.values if each not in _OPTIONS]:
                raise ProblemError(
                    "invalid-request",
                    f"There is no field {unknown[0][:40]!r}. There are photo or photos, and {', '.join(_OPTIONS)}.",
                )
            if unknown := [each for each in body.files if each not in ("photo", "photos")]:
                raise ProblemError(
                    "invalid-request",
                    f"The field {unknown[0][:40]!r} is neither photo nor photos. Name it photo.",
                )
            if len(body.files.get("photo", [])) > 1 or ("photo" in body.files and several):
                raise ProblemError("invalid-request", "Send one file as photo, or several as photos.")
        elif kind == _JSON:
            wanted = _addresses(await request.body())
            addresses, several = wanted.urls or [wanted.url], bool(wanted.urls)
            model, masks = wanted.model or model, wanted.masks or masks
            if len(addresses) > 1:
                admission.add(caller, ticket, len(addresses) - 1)
            photos = await fetched(request, addresses)
        elif kind.startswith(_RAW):
            data = await request.body()
            photos = [UploadedFile(plain_name(name), data)] if data else []
        else:
            raise ProblemError("unsupported-media-type")
        if not photos:
            raise ProblemError(
                "invalid-request", "The request holds no photo. Send one as photo, or several as photos."
            )
        if form == _PNG and several:
            raise ProblemError("not-acceptable", "image/png is the class map of one photo. Send one as photo.")
        if len(photos) > ticket.photos:
            admission.add(caller, ticket, len(photos) - ticket.photos)
        request.state.photos = len(photos)
        found = await _segmented(
            request,
            ticket,
            model,
            photos,
            partial(_result, masks=masks, form=form, note=partial(admission.note_pixels, caller)),
        )
    PHOTOS.labels(model).inc(sum(not isinstance(each, ProblemError) for each in found))
    if several:
        return Response(
            json.dumps({"results": [_listed(*each) for each in zip(photos, found, strict=True)]}), 200, None, _JSON
        )
    if isinstance(found[0], ProblemError):
        raise found[0]
    return Response(
        found[0] if isinstance(found[0], bytes) else json.dumps(found[0], ensure_ascii=False), media_type=form
    )


async def _segmented(
    request: Request, ticket: Ticket, model: str, photos: Sequence[UploadedFile], result: Result[dict[str, Any] | bytes]
) -> list[dict[str, Any] | bytes | ProblemError]:
    """Results of photos in their order."""
    segmenter = await segmenter_of(request, model)
    found = await outcomes(request, submit(ticket, segmenter, photos, result))
    return [as_problem(each) if isinstance(each, BaseException) else each for each in found]


def _result(
    found: Segmentation, photo: UploadedFile, *, masks: Masks, form: str, note: Callable[[int], None]
) -> dict[str, Any] | bytes:
    note(found.width * found.height)
    if form == _PNG:
        return found.class_map_png()
    listing = found.to_json(photo.name, file_digest(photo.data))
    if masks == "png":
        listing["class_map"] = base64.b64encode(found.class_map_png()).decode("ascii")
    elif masks != "none":
        coco = to_coco([(photo.name, found)], polygons=masks == "polygons")
        outlined = coco["annotations"]  # the garments come first
        for garment, region in zip(listing["garments"], outlined, strict=False):
            garment["segmentation"] = region["segmentation"]
    return listing


def _listed(photo: UploadedFile, found: dict[str, Any] | bytes | ProblemError) -> Any:
    return {"photo": photo.name, "problem": found.to_json()} if isinstance(found, ProblemError) else found


def _addresses(body: bytes) -> Addresses:
    """What a JSON body asks for: one address, or several."""
    try:
        wanted, faults = Addresses.model_validate_json(body), []
    except ValidationError as error:
        wanted, faults = Addresses(), faults_of(error)
    if bool(wanted.url) == bool(wanted.urls):
        sentence = 'Send {"url": "https://..."}, or {"urls": ["https://...", ...]}.'
        raise ProblemError("invalid-request", f"{sentence} {faults[0]}." if faults else sentence, faults)
    return wanted


def _masks(text: str) -> Masks:
    for each in get_args(Masks):
        if text == each:
            return each  # type: ignore[no-any-return]
    raise ProblemError("invalid-request", f"masks is one of {', '.join(get_args(Masks))}, not {text[:40]!r}.")


def _wanted(request: Request) -> str:
    """The form of the answer that the header `Accept` prefers; JSON among equals.

    Raises:
        ProblemError: If it takes neither.
    """
    weights = {_JSON: 0.0, _PNG: 0.0}
    for part in (request.headers.get("accept") or "*/*").split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        weight = 1.0
        for each in parameters:
            if each.startswith("q="):
                try:
                    weight = float(each.removeprefix("q="))
                except ValueError:
                    weight = 0.0
        for form, before in weights.items():
            exact = kind == form
            if exact or kind in ("*/*", f"{form.partition('/')[0]}/*"):
                weights[form] = max(before, weight - (0 if exact else 1e-3))
    form = max(weights, key=lambda each: weights[each])
    if weights[form] <= 0:
        raise ProblemError("not-acceptable")
    return form
