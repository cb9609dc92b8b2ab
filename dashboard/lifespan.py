"""What the server does when it starts and when it is stopped: jobs that ran go on after a restart."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from segmodels.settings import read_settings

__all__ = ["lifespan"]

_SECONDS = 20.0  # for what jobs have done to be written when the server is stopped


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Goes on with the jobs of an earlier run, and stops those of this one so that the next can.

    Args:
        app: The application.
    """
    if any((read_settings().cache / "jobs").glob("*/")):  # else nothing is imported
        threading.Thread(target=_resume, name="resume-jobs", daemon=True).start()
    yield
    if "dashboard.archive.jobs" in sys.modules:
        from dashboard.archive import jobs

        await asyncio.to_thread(jobs.pause, _SECONDS)


def _resume() -> None:
    from dashboard.archive import jobs

    jobs.resume()
