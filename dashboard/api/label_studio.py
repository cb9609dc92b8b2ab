"""Label Studio's protocol for machine learning backends: a pre-labeller for its projects.

https://labelstud.io/guide/ml describes the protocol: `/health`, `/setup` when a project connects, `/predict` for its
tasks. The project's labelling interface decides what is drawn: brush strokes, polygons or rectangles, with those of its
labels that are names of the model's classes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree

import httpx2
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from dashboard.api.admission import Admission
from dashboard.api.bodies import UploadedFile
from dashboard.api.metrics import PHOTOS
from dashboard.api.problems import ProblemError, problem_responses
from dashboard.api.together import submit
from dashboard.api.waiting import FETCHES, as_problem, asked, caller_of, check_sum, outcomes, segmenter_of
from dashboard.shared import networks
from segmodels.annotations import annotation_files
from segmodels.annotations.regions import regions_of
from segmodels.checkpoints.catalog import DEFAULT_MODEL
from segmodels.fetch import FetchError, fetch
from segmodels.inference.segmentation import Segmentation
from segmodels.photo import MAX_BYTES
from segmodels.settings import read_settings

__all__ = [
    "LabellingInterface",
    "Predictions",
    "Setup",
    "Task",
    "Wanted",
    "health",
    "predict",
    "predict_model",
    "predictions",
    "read_interface",
    "router",
    "setup",
    "setup_model",
]

T = TypeVar("T")

router = APIRouter(tags=["label studio"], prefix="/label-studio")

_TOOLS = {"BrushLabels": "labelstudio", "PolygonLabels": "labelstudio-polygons", "RectangleLabels": ""}
"""Controls that are filled, the best first, and the format of annotations whose results they take."""

_AT_ONCE = 4  # photos of one request that are fetched at the same time
_SECONDS = 20.0  # for a photo from Label Studio
_PHOTOS = ("/data/", "/storage-data/")  # where Label Studio has them; the key opens no other address
_DATA_ADDRESS = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


class Setup(BaseModel):
    """What Label Studio sends when a project connects."""

    model_config = ConfigDict(extra="ignore")

    label_schema: str = Field(default="", alias="schema", max_length=1_000_000)


class Task(BaseModel):
    """A task of a project."""

    model_config = ConfigDict(extra="ignore")

    id: int | str | None = None
    data: dict[str, Any]


class Wanted(BaseModel):
    """What Label Studio wants predicted."""

    model_config = ConfigDict(extra="ignore")

    tasks: list[Task] = Field(min_length=1)
    label_config: str = Field(default="", max_length=1_000_000)


class Predictions(BaseModel):
    """Predictions of the tasks, in their order."""

    results: list[dict[str, Any]]
    model_version: str


@dataclass(frozen=True)
class LabellingInterface:
    """What a project's labelling interface takes.

    Args:
        tool: Kind of the control, a key of those that are filled.
        from_name: Name of the control.
        to_name: Name of the picture that it is about.
        key: Key of the picture's address in the data of a task.
        labels: Labels of the control by their names in lower case.
    """

    tool: str
    from_name: str
    to_name: str
    key: str
    labels: Mapping[str, str]


def read_interface(text: str) -> LabellingInterface:
    """The first control of a labelling interface that can be filled.

    Args:
        text: XML of the labelling interface.

    Raises:
        ProblemError: If it is damaged, or has none.
    """
    if "<!" in text.replace("<!--", ""):
        raise ProblemError("invalid-request", "The labelling interface has a document type, which is not read.")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        raise ProblemError(
            "invalid-request", "The labelling interface is not XML. Save it again in the project's settings."
        ) from None
    pictures = {each.get("name", ""): each.get("value", "").removeprefix("$") for each in root.iter("Image")}
    for tool in _TOOLS:
        for control in root.iter(tool):
            picture = control.get("toName", "")
            if picture in pictures and control.get("name"):
                labels = {
                    (label.get("alias") or label.get("value") or "").lower(): label.get("value") or ""
                    for label in control.iter("Label")
                }
                return LabellingInterface(tool, control.get("name", ""), picture, pictures[picture], labels)
    raise ProblemError(
        "invalid-request",
        f"The labelling interface has no {', '.join(_TOOLS)} for an Image, so there is nothing to fill.",
    )


def predictions(found: Segmentation, interface: LabellingInterface) -> dict[str, Any]:
    """The prediction of a task.

    Args:
        found: What was found in its photo.
        interface: What the project takes.
    """
    kind = _TOOLS[interface.tool]
    if kind:
        (tasks, *_) = annotation_files(kind, [("photo", found)])
        prediction: dict[str, Any] = json.loads(tasks.content)[0]["predictions"][0]
    else:
        prediction = {"model_version": _version(found.model, found.revision), "score": 0.0, "result": _boxes(found)}
    labelled = interface.tool.lower()
    rows = []
    for row in prediction["result"]:
        name = row["value"].pop(row["type"])[0]
        if (label := interface.labels.get(name.lower())) is not None:
            row |= {"type": labelled, "from_name": interface.from_name, "to_name": interface.to_name}
            row["value"][labelled] = [label]
            rows.append(row)
    scores = [row["score"] for row in rows]
    return prediction | {"result": rows, "score": round(sum(scores) / len(scores), 4) if scores else 0.0}


@router.get("/health", summary="Whether the backend works", operation_id="label_studio_health")
@router.get("/{model}/health", include_in_schema=False)
async def health() -> dict[str, str]:
    """Answers at once."""
    return {"status": "UP", "model_class": "Garmentscope"}


Model = Annotated[str, Path(description="Name of a model, as `GET /models` lists it.", max_length=200)]


_PROBLEMS = problem_responses("unknown-model", "took-too-long", "unavailable")


@router.post("/setup", summary="Connect a project", operation_id="label_studio_setup", responses=_PROBLEMS)
async def setup(request: Request, wanted: Setup) -> dict[str, str]:
    """Checks the labelling interface, and says which model labels."""
    return await setup_model(request, DEFAULT_MODEL, wanted)


@router.post(
    "/{model}/setup",
    summary="Connect a project to a model",
    operation_id="label_studio_setup_model",
    responses=_PROBLEMS,
)
async def setup_model(request: Request, model: Model, wanted: Setup) -> dict[str, str]:
    """Checks the labelling interface, and says which model labels."""
    if model not in (names := await asked(request, networks.model_names)):
        raise ProblemError("unknown-model", f'There is no model "{model[:60]}". Models: {", ".join(names)}.')
    if wanted.label_schema:
        read_interface(wanted.label_schema)
    await asked(request, networks.warm_up, model)
    return {"model_version": _version(model, await asked(request, networks.revision, model))}


_PHOTO_PROBLEMS = problem_responses(
    *("unreadable-photo", "unreachable-photo", "unknown-model"),
    *("too-many-requests", "took-too-long", "unavailable"),
)


@router.post("/predict", summary="Label tasks", operation_id="label_studio_predict", responses=_PHOTO_PROBLEMS)
async def predict(request: Request, wanted: Wanted) -> Predictions:
    """Labels the photos of tasks with the default model."""
    return await predict_model(request, DEFAULT_MODEL, wanted)


@router.post(
    "/{model}/predict",
    summary="Label tasks with a model",
    operation_id="label_studio_predict_model",
    responses=_PHOTO_PROBLEMS,
)
async def predict_model(request: Request, model: Model, wanted: Wanted) -> Predictions:
    """Labels the photos of tasks.

    A photo's address is one with the data itself (`data:image/jpeg;base64,...`), one of the Label Studio that
    `GARMENTSCOPE_LABEL_STUDIO` names, or a public one.
    """
    admission: Admission = request.app.state.admission
    interface = read_interface(wanted.label_config)
    caller = caller_of(request)
    with admission.enter(caller, len(wanted.tasks)) as ticket:
        request.state.photos = len(wanted.tasks)
        segmenter = await segmenter_of(request, model)
        photos = await _photos(request, wanted.tasks, interface)

        def result(found: Segmentation, _: UploadedFile) -> dict[str, Any]:
            admission.note_pixels(caller, found.width * found.height)
            return predictions(found, interface)

        futures = submit(ticket, segmenter, photos, result)
        found = await outcomes(request, futures)
    results = _whole(found)
    PHOTOS.labels(model).inc(len(results))
    return Predictions(results=results, model_version=results[0]["model_version"])


def _version(model: str, revision: str) -> str:
    return f"{model} {revision}".strip()


def _boxes(found: Segmentation) -> list[dict[str, Any]]:
    """Regions as rectangles, in percent of the photo."""
    rows = []
    for number, region in enumerate(regions_of(found), start=1):
        x, y, width, height = region.box
        place = {
            "x": x / found.width,
            "y": y / found.height,
            "width": width / found.width,
            "height": height / found.height,
        }
        value = {key: round(100 * share, 4) for key, share in place.items()} | {"rotation": 0}
        rows.append(
            {
                "id": f"{number}",
                "type": "rectanglelabels",
                "original_width": found.width,
                "original_height": found.height,
                "image_rotation": 0,
                "score": round(region.confidence, 4),
                "value": {**value, "rectanglelabels": [region.category.name]},
            }
        )
    return rows


def _whole(found: Sequence[T | BaseException]) -> list[T]:
    """Results of all photos; the first problem is raised."""
    for each in found:
        if isinstance(each, BaseException):
            raise as_problem(each)
    return [each for each in found if not isinstance(each, BaseException)]


async def _photos(request: Request, tasks: Sequence[Task], interface: LabellingInterface) -> list[UploadedFile]:
    """The photos of tasks, fetched side by side."""
    turns = asyncio.Semaphore(_AT_ONCE)
    size = 0

    async def one(task: Task) -> UploadedFile:
        nonlocal size
        async with turns:
            check_sum(size)
            photo = await _photo(request, task, interface)
        size += len(photo.data)
        check_sum(size)
        return photo

    return _whole(await outcomes(request, [one(task) for task in tasks]))


async def _photo(request: Request, task: Task, interface: LabellingInterface) -> UploadedFile:
    """The photo of a task."""
    address = task.data.get(interface.key)
    if not isinstance(address, str) or not address:
        raise ProblemError(
            "invalid-request", f"Task {task.id} has no address of a photo under {interface.key!r}. Import it with one."
        )
    name = f"Task {task.id}"
    if match := _DATA_ADDRESS.match(address):
        try:
            return UploadedFile(name, base64.b64decode(address[match.end() :], validate=True))
        except ValueError:
            raise ProblemError(
                "unreadable-photo", f"The photo of task {task.id} is not in base64. Encode it again."
            ) from None
    settings = read_settings()
    home = settings.label_studio
    try:
        where, own = urlsplit(urljoin(home, address)), urlsplit(home)
    except ValueError:
        raise ProblemError(
            "invalid-request", f"The address of the photo of task {task.id} is none. Import it again."
        ) from None
    if home and (where.scheme, where.netloc) == (own.scheme, own.netloc):
        below = where.path.removeprefix(own.path.rstrip("/"))
        if not below.startswith(_PHOTOS) or ".." in unquote(below):
            raise ProblemError(
                "invalid-request",
                f"The address in task {task.id} is not one of a photo in Label Studio. Import the photo there.",
            )
        return UploadedFile(name, await _from_label_studio(where.geturl(), settings.label_studio_key, name))
    if not where.netloc:
        raise ProblemError(
            "unreachable-photo",
            "Set GARMENTSCOPE_LABEL_STUDIO to the address of your Label Studio, to fetch its photos.",
        )
    try:
        found = await asyncio.wrap_future(FETCHES.submit(fetch, address))
    except FetchError as error:
        raise ProblemError("unreachable-photo", str(error)) from None
    return UploadedFile(found.name, found.data)


async def _from_label_studio(address: str, key: str, name: str) -> bytes:
    """A photo from the Label Studio that the environment names, which may be on a private address."""
    headers = {"Authorization": f"Token {key}"} if key else {}
    content = bytearray()
    try:
        async with (
            httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", address, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise ProblemError(
                    "unavailable",
                    f"Label Studio answered {answer.status_code} for the photo of {name}. Is the key right?",
                )
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MAX_BYTES:
                    raise ProblemError(
                        "too-large", f"The photo of {name} has more than {MAX_BYTES // 1024**2} MB. Save it smaller."
                    )
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise ProblemError(
            "unavailable", f"Label Studio does not answer for the photo of {name}. Is it at GARMENTSCOPE_LABEL_STUDIO?"
        ) from None
    return bytes(content)
