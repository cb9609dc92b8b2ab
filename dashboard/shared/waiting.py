"""Waiting for photos in the server's queue: progress sentences, and sentences on photos that fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

import streamlit as st

from dashboard.shared.inference_queue import Flow
from segmodels.photo import PhotoError

__all__ = ["as_done", "failure", "finished", "place_text"]

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)
_ASK_SECONDS = 0.3  # interval of the check whether the visitor is still there
_SHOW_SECONDS = 1.0  # least interval between two drawings: the bars of twenty visitors take time from the networks


def as_done(flow: Flow, futures: Sequence[Future[T]], show: Callable[[int, str], None]) -> Iterator[int]:
    """Indices of photos in the order in which they are done, whether they succeed or fail.

    Streamlit stops a script, because its visitor has clicked or left, when the script next asks for the session state
    or draws. So this function asks for the state regularly; leave the flow when the exception passes.

    Args:
        flow: The flow that the photos were submitted from.
        futures: The photos' futures, in the order of submission.
        show: Function that shows the number of photos that are done and the sentences of `place_text`. It is called
            at the beginning, and each second at most when either has changed.
    """
    pending = dict(enumerate(futures))
    shown, next_time = None, 0.0
    while pending:
        if (now := time.monotonic()) >= next_time:
            text = len(futures) - len(pending), place_text(flow.before(), flow.seconds_left())
            if text != shown:
                show(*text)
                shown, next_time = text, now + _SHOW_SECONDS
        wait(pending.values(), _ASK_SECONDS, FIRST_COMPLETED)
        for index in [index for index, future in pending.items() if future.done()]:
            del pending[index]
            yield index
        _stop_if_asked()


def finished(future: Future[T], show: Callable[[float], None]) -> None:
    """Waits for something that is done beside the script, and lets Streamlit stop the script meanwhile.

    Args:
        future: The future of it.
        show: Function that shows how many seconds have passed; called about each second.
    """
    begun, shown = time.monotonic(), 0.0
    while not future.done():
        wait([future], _ASK_SECONDS)
        _stop_if_asked()
        if (seconds := time.monotonic() - begun) >= shown + _SHOW_SECONDS:
            show(seconds)
            shown = seconds


def place_text(before: int, seconds: float | None) -> str:
    """Place in the queue and time left, as sentences: 3 photos before yours. About 4 s left.

    Args:
        before: Number of photos of others that come first.
        seconds: Time left; None if it is not known.

    Returns:
        The sentences, each with a space before it; empty if there is nothing to say.
    """
    place = f" {before} photo{'s' if before > 1 else ''} before yours." if before else ""
    return place + (f" About {seconds:.0f} s left." if seconds and seconds >= 1 else "")


def failure(name: str, error: BaseException) -> str:
    """The sentence for the visitor whose photo could not be analysed; unexpected errors are logged as well.

    Args:
        name: File name of the photo.
        error: What was raised.
    """
    if isinstance(error, PhotoError):
        return str(error)
    _LOGGER.error("A photo could not be analysed.", exc_info=error)
    reason = str(error).partition("\n")[0].rstrip(". ") or type(error).__name__
    return f"{name} could not be analysed: {reason}."


def _stop_if_asked() -> None:
    """Lets Streamlit stop the script; sends nothing to the browser, unlike drawing."""
    _ = "photos" in st.session_state
