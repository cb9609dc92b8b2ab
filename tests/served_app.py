"""Servers of Streamlit scripts for the tests: each in a process of its own that begins with the app's imports done.

The imports of the app take longer than most tests. One process for each run of the tests does them once, and is forked
for each server. What has to be read while modules are imported, such as `HF_HOME`, needs a fresh interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

__all__ = ["Server"]

REPOSITORY = Path(__file__).parents[1]
PRELOADED = (
    *("streamlit.web.cli", "streamlit.web.bootstrap", "streamlit.testing.v1", "pandas", "plotly.graph_objects"),
    *("segmodels.inference.segmenter", "segmodels.archive.facts", "dashboard.shared.analysed"),
)


class Server:
    """A server of one script, started at once.

    Args:
        script: The script.
        arguments: Further arguments of `streamlit run`.
        environment: Variables that it has beside those of this process.
        log: File that its output goes to.
        fresh: Whether it starts with a fresh interpreter.
    """

    def __init__(
        self, script: Path, arguments: Sequence[str], environment: Mapping[str, str], log: Path, *, fresh: bool = False
    ) -> None:
        command = ["run", str(script), *arguments]
        self._forked: multiprocessing.process.BaseProcess | None = None
        self._started: subprocess.Popen[bytes] | None = None
        if fresh or "forkserver" not in multiprocessing.get_all_start_methods():
            with log.open("wb") as output:
                self._started = subprocess.Popen(
                    [sys.executable, "-m", "streamlit", *command],
                    cwd=REPOSITORY,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        else:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(list(PRELOADED))
            self._forked = context.Process(target=_run, args=(command, dict(environment), log), daemon=True)
            main = sys.modules["__main__"]  # the new process would import it, also where an AppTest has left its script
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                self._forked.start()
            finally:
                sys.modules["__main__"] = main

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._forked.is_alive() if self._forked else self._started is not None and self._started.poll() is None

    def kill(self) -> None:
        """Ends it at once: asked to end, it waits ten seconds for its connections."""
        if self._forked:
            self._forked.kill()
            self._forked.join()
        elif self._started:
            self._started.kill()
            self._started.wait()


def _run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """What the forked process does."""
    from streamlit.web.cli import main

    os.environ.update(environment)
    os.chdir(REPOSITORY)
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = ["streamlit", *command]
    main(command)
