"""Waiting for photos in the server's queue: progress bars, their sentences, and sentences on photos that fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.inference_queue import Flow
from dashboard.shared.runs import Run
from dashboard.shared.text import literal
from segmodels.photo import PhotoError
from segmodels.sentences import first_line

__all__ = ["as_done", "failure", "finished", "follow", "place_text"]

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)
_ASK_SECONDS = 0.3  # interval of the check whether the visitor is still there
_SHOW_SECONDS = 1.0  # least interval between two drawings: the bars of twenty visitors take time from the networks


def follow(run: Run, place: DeltaGenerator, cancel: Callable[[], None]) -> None:
    """Shows the progress of a run with a button that cancels it, until it has ended.

    Streamlit stops a script, because its visitor has clicked or left, when the script next asks for the session state
    or draws. So this function asks for the state regularly; the run goes on.

    Args:
        run: The run.
        place: Place of the page that the bar is drawn in.
        cancel: Function that the button calls; it stops the run.
    """
    share, text = shown = run.progress
    with place, st.container(horizontal=True, vertical_alignment="center", key="waiting"):
        bar = st.progress(share, text=literal(text))
        st.button("Cancel", on_click=cancel)
    while run.live:
        if (now := run.progress) != shown:
            share, text = shown = now
            bar.progress(share, text=literal(text))
        run.wait(_ASK_SECONDS)
        _stop_if_asked()


def as_done(
    flow: Flow, futures: Sequence[Future[T]], show: Callable[[int, str], None], check: Callable[[], None]
) -> Iterator[int]:
    """Indices of photos in the order in which they are done, whether they succeed or fail.

    Args:
        flow: The flow that the photos were submitted from.
        futures: The photos' futures, in the order of submission.
        show: Function that is given the number of photos that are done and the sentences of `place_text`. It is called
            at the beginning, and each second at most when either has changed.
        check: Function that is called several times a second, and raises to end the wait.
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
        if pending:
            check()


def finished(future: Future[T], show: Callable[[float], None], check: Callable[[], None] | None = None) -> None:
    """Waits for something that is done in another thread.

    Args:
        future: The future of it.
        show: Function that is given how many seconds have passed, about each second.
        check: Function that is called several times a second, and raises to end the wait; lets Streamlit stop the
            script if left out.
    """
    begun, shown = time.monotonic(), 0.0
    while not future.done():
        wait([future], _ASK_SECONDS)
        (check or _stop_if_asked)()
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
    reason = first_line(error) or type(error).__name__
    return f"{name} could not be analysed: {reason}."


def _stop_if_asked() -> None:
    """Lets Streamlit stop the script; sends nothing to the browser, unlike drawing."""
    _ = "photos" in st.session_state
