"""Imported first by the command line: where the extra `train` is missing, a sentence says so and the command ends."""

import sys

from segmodels.extras import missing_extra

__all__: list[str] = []

if problem := missing_extra("train", "lightning", "plotly"):
    print(problem, file=sys.stderr)
    sys.exit(2)
