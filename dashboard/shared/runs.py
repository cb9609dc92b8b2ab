"""Runs: a visitor's photos on their way through networks.

A run works in a thread of its own, so it goes on while its visitor looks at another page. It changes nothing but
itself: the page takes over what is done whenever it is drawn. Once the visitor has closed the app, or the connection
has ended, what waits is dropped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.shared import background
from segmodels.sentences import first_line

__all__ = ["Run"]


class Run(background.Task):
    """Work on a visitor's photos; a page has a class of its own for it.

    Args:
        text: First sentence of the progress bar.

    Attributes:
        progress: Share of the work that is done, 0 to 1, and what the bar says.
    """

    def __init__(self, text: str) -> None:
        super().__init__(secrets.token_hex(16))
        self.progress = 0.0, text
        self._is_here = _presence()

    def note(self, share: float, text: str) -> None:
        """Notes how far the work is.

        Args:
            share: Share of the work that is done, 0 to 1.
            text: What the bar is to say.
        """
        self.progress = share, text

    def check_stop(self) -> None:
        """Ends the work if the visitor has cancelled it or left the app.

        Raises:
            StoppedError: If so.
        """
        if not self._is_here():
            self.stop()
        super().check_stop()

    def explain(self, error: Exception) -> str:
        """The error's own sentence if it is meant for visitors."""
        if isinstance(error, ValueError):
            return str(error)
        return f"The run failed: {first_line(error) or type(error).__name__}. What was done before is kept."


def _presence() -> Callable[[], bool]:
    """A function that tells whether the visitor whose script this is has the app open."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or not runtime.exists():
        return lambda: True
    return partial(runtime.get_instance().is_active_session, context.session_id)
