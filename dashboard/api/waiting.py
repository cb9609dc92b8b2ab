"""Waiting for what runs beside the event loop: until it is done, the time is over, or the caller has left.

A request has one deadline, `Limits.seconds` after the first thing that it waits for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from dashboard.api.bodies import UploadedFile
from dashboard.api.limits import MOST_MB, Limits
from dashboard.api.problems import ProblemError
from dashboard.shared import networks
from dashboard.shared.principal import Principal
from segmodels.device import DeviceError
from segmodels.fetch import FETCH_SECONDS, FetchError, fetch
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError

__all__ = [
    "ARCHIVES",
    "FETCHES",
    "LeftError",
    "as_problem",
    "asked",
    "caller_of",
    "check_sum",
    "fetched",
    "outcomes",
    "principal_of",
    "result_of",
    "seconds_left",
    "segmenter_of",
]

P = ParamSpec("P")
T = TypeVar("T")

_LOGGER = logging.getLogger("garmentscope.api")
ARCHIVES = ThreadPoolExecutor(2, thread_name_prefix="api-archives")
"""Threads for questions to archives, which can take long; nothing else waits for them."""

_MODELS = ThreadPoolExecutor(2, thread_name_prefix="api-models")
"""Threads that list and load models."""

FETCHES = ThreadPoolExecutor(16, thread_name_prefix="api-fetch")
"""Threads for photos of other hosts."""

_RETRY = {"Retry-After": "10"}


class LeftError(Exception):
    """The caller has left, so nobody waits for an answer."""


def seconds_left(request: Request) -> float:
    """Seconds until a request must be answered; the first call starts the clock."""
    now = asyncio.get_running_loop().time()
    if not hasattr(request.state, "deadline"):
        limits: Limits = request.app.state.limits
        request.state.deadline = now + limits.seconds
    return max(0.0, float(request.state.deadline - now))


async def outcomes(request: Request, work: Sequence[Future[T] | Awaitable[T]]) -> list[T | BaseException]:
    """The results of some work, in its order, or what was raised instead.

    Args:
        request: The request, whose body has been read.
        work: Futures or coroutines of the work.

    Raises:
        LeftError: If the caller leaves meanwhile.
        ProblemError: If the request's time is over.
    """
    waited = (asyncio.wrap_future(each) if isinstance(each, Future) else each for each in work)
    done = asyncio.gather(*waited, return_exceptions=True)
    gone = asyncio.create_task(_gone(request))
    try:
        either: set[asyncio.Future[Any]] = {done, gone}
        await asyncio.wait(either, timeout=seconds_left(request), return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            return done.result()
        if gone.done():
            raise LeftError
        limits: Limits = request.app.state.limits
        raise ProblemError(
            "took-too-long",
            f"The answer was not ready within {limits.seconds:g} s. Send less at once, or try later.",
            (),
            _RETRY,
        )
    finally:
        gone.cancel()
        if not done.done():
            done.add_done_callback(_ignored)
            done.cancel()


async def result_of(request: Request, work: Future[T] | Awaitable[T]) -> T:
    """The result of one future or coroutine; what it raises is raised, and what `outcomes` raises."""
    (found,) = await outcomes(request, [work])
    if isinstance(found, BaseException):
        raise found
    return found


async def asked(request: Request, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a function about models that runs in a thread; what it raises is raised.

    Args:
        request: The request, whose body has been read.
        fn: The function.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.

    Raises:
        LeftError: If the caller leaves meanwhile.
        ProblemError: If the request's time is over.
    """
    return await result_of(request, _MODELS.submit(fn, *args, **kwargs))


async def fetched(request: Request, urls: Sequence[str]) -> list[UploadedFile]:
    """Photos from public addresses, fetched side by side.

    Args:
        request: The request, whose body has been read.
        urls: Addresses of the photos.

    Raises:
        LeftError: If the caller leaves meanwhile.
        ProblemError: If one is not public, does not answer in time, or gives no photo, or if they are too large
            together.
    """
    seconds, lock, sizes = min(FETCH_SECONDS, seconds_left(request)), threading.Lock(), [0]

    def one(url: str) -> UploadedFile:
        check_sum(sizes[0])
        found = fetch(url, seconds=seconds)
        with lock:
            sizes[0] += len(found.data)
        check_sum(sizes[0])
        return UploadedFile(found.name, found.data)

    photos = []
    for each in await outcomes(request, [FETCHES.submit(one, url) for url in urls]):
        if isinstance(each, FetchError):
            raise ProblemError("unreachable-photo", str(each)) from None
        if isinstance(each, BaseException):
            raise each
        photos.append(each)
    return photos


def check_sum(size: int) -> None:
    """Refuses photos that are too large together.

    Args:
        size: Bytes of the photos so far.

    Raises:
        ProblemError: If that is more than a request may hold.
    """
    if size > MOST_MB * 1024**2:
        raise ProblemError("too-large", f"The photos have more than {MOST_MB} MB together. Send fewer in a request.")


def as_problem(error: BaseException) -> ProblemError:
    """The problem of a photo that could not be analysed; an unexpected error is logged."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, PhotoError):
        return ProblemError("unreadable-photo", str(error))
    if isinstance(error, asyncio.CancelledError):
        return ProblemError("unavailable", "The server is stopping. Try again in a minute.", (), _RETRY)
    _LOGGER.error("A photo could not be analysed.", exc_info=error)
    if isinstance(error, DeviceError):
        return ProblemError("unavailable", "The photo does not fit into the memory of the device. Save it smaller.")
    return ProblemError("internal", "The photo could not be analysed. The server's log says why.")


def caller_of(request: Request) -> str:
    """Who asks: the name of a token, or an address."""
    named: str = getattr(request.state, "caller", "")
    return named or (request.client.host if request.client else "unknown")


def principal_of(request: Request) -> Principal:
    """Who asks, as the middleware found out."""
    found: Principal = request.state.principal
    return found


async def segmenter_of(request: Request, model: str) -> Segmenter:
    """The segmenter of a model, which is loaded the first time.

    Raises:
        ProblemError: If there is no such model, or it cannot be loaded.
    """
    names = await asked(request, networks.model_names)
    if model not in names:
        raise ProblemError("unknown-model", f'There is no model "{model[:60]}". Models: {", ".join(names)}.')
    try:
        return await asked(request, networks.segmenter, model)
    except ProblemError:
        raise
    except ValueError as error:  # its message names folders of the server
        _LOGGER.error("The model %s cannot be loaded.", model, exc_info=error)
        raise ProblemError("unavailable", f"The model {model} cannot be loaded. The server's log says why.") from None


def _ignored(future: asyncio.Future[Any]) -> None:
    """Looks at what a cancelled future raises; else asyncio writes it into the log."""
    if not future.cancelled():
        future.exception()


async def _gone(request: Request) -> None:
    """Returns when the caller leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
