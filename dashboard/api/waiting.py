"""Waiting for what runs beside the event loop: until it is done, the time is over, or the caller has left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from dashboard.api.bodies import UploadedFile
from dashboard.api.problems import ProblemError
from dashboard.shared import networks
from segmodels.device import DeviceError
from segmodels.fetch import FetchError, fetch
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError

__all__ = ["LeftError", "as_problem", "asked", "caller_of", "fetched", "outcomes", "segmenter_of"]

P = ParamSpec("P")
T = TypeVar("T")

_LOGGER = logging.getLogger("garmentscope.api")
_QUESTIONS = ThreadPoolExecutor(2, thread_name_prefix="api")
"""Threads for what is no photo: archives and lists of models."""

_FETCHES = ThreadPoolExecutor(4, thread_name_prefix="api-fetch")
"""Threads for photos of other hosts."""

_RETRY = {"Retry-After": "10"}


class LeftError(Exception):
    """The caller has left, so nobody waits for an answer."""


async def outcomes(request: Request, futures: Sequence[Future[T]], seconds: float) -> list[T | BaseException]:
    """The results of some work, in its order, or what was raised instead.

    Args:
        request: The request, whose body has been read.
        futures: Futures of the work.
        seconds: Seconds until they must be done.

    Raises:
        LeftError: If the caller leaves meanwhile.
        ProblemError: If the time is over.
    """
    done = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    gone = asyncio.create_task(_gone(request))
    try:
        either: set[asyncio.Future[Any]] = {done, gone}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            return done.result()
        if gone.done():
            raise LeftError
        raise ProblemError(
            "took-too-long",
            f"The answer was not ready within {seconds:g} s. Send less at once, or try later.",
            (),
            _RETRY,
        )
    finally:
        gone.cancel()
        if not done.done():
            done.add_done_callback(_ignored)
            done.cancel()


async def asked(request: Request, seconds: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a function that runs in a thread; what it raises is raised.

    Args:
        request: The request, whose body has been read.
        seconds: Seconds until it must be done.
        fn: The function.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.

    Raises:
        LeftError: If the caller leaves meanwhile.
        ProblemError: If the time is over.
    """
    return await _result(request, seconds, _QUESTIONS.submit(fn, *args, **kwargs))


async def fetched(request: Request, url: str, seconds: float) -> UploadedFile:
    """A photo from a public address.

    Args:
        request: The request, whose body has been read.
        url: Address of the photo.
        seconds: Seconds until it must be there.

    Raises:
        LeftError: If the caller leaves meanwhile.
        ProblemError: If it is not public, does not answer in time, or gives no photo.
    """
    try:
        found = await _result(request, seconds, _FETCHES.submit(fetch, url))
    except FetchError as error:
        raise ProblemError("unreachable-photo", str(error)) from None
    return UploadedFile(found.name, found.data)


async def _result(request: Request, seconds: float, future: Future[T]) -> T:
    (found,) = await outcomes(request, [future], seconds)
    if isinstance(found, BaseException):
        raise found
    return found


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


async def segmenter_of(request: Request, model: str, seconds: float) -> Segmenter:
    """The segmenter of a model, which is loaded the first time.

    Raises:
        ProblemError: If there is no such model, or it cannot be loaded.
    """
    names = await asked(request, seconds, networks.model_names)
    if model not in names:
        raise ProblemError("unknown-model", f'There is no model "{model[:60]}". Models: {", ".join(names)}.')
    try:
        return await asked(request, seconds, networks.segmenter, model)
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
