"""`python -m dashboard.archive`, the name that `python -m segmodels.archive` had before the archive moved."""

from __future__ import annotations

import sys

from segmodels.archive.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
