"""The app, in which each photo waits for its test: the n-th begins to be analysed when `$GATE/open` says n or more.

What has begun is written to `$GATE/begun`, a file name a line.
"""

import os
import runpy
import threading
import time
from pathlib import Path

from dashboard.shared import analysed as photos

GATE = Path(os.environ["GATE"])
APP = Path(__file__).parents[3] / "dashboard" / "app.py"


def gated(analyse):  # type: ignore[no-untyped-def]
    lock, begun = threading.Lock(), []

    def wait(segmenter, name, data):  # type: ignore[no-untyped-def]
        with lock:
            begun.append(name)
            number = len(begun)
            (GATE / "begun").write_text("".join(f"{each}\n" for each in begun))
        while int((GATE / "open").read_text() or 0) < number:
            time.sleep(0.02)
        return analyse(segmenter, name, data)

    wait.gated = True  # type: ignore[attr-defined]
    return wait


if not hasattr(photos.analyse, "gated"):
    photos.analyse = gated(photos.analyse)
runpy.run_path(str(APP))
