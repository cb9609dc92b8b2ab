"""Photos, classes, networks, checkpoints and archives, and how to run a network.

The names below are the public face. Each is loaded when it is first asked for, so that `import segmodels` costs next to
nothing, and whoever only opens photos does not load PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segmodels.threads import set_waiting

if TYPE_CHECKING:
    from importlib.metadata import version

    from segmodels.checkpoints.catalog import list_models, load_segmenter
    from segmodels.errors import GarmentscopeError
    from segmodels.inference.segmentation import Garment, Person, Segmentation
    from segmodels.photo import open_photo
    from segmodels.taxonomy import OUTFIT_15, Taxonomy

    __version__ = version("garmentscope")

__all__ = [
    "OUTFIT_15",
    "Garment",
    "GarmentscopeError",
    "Person",
    "Segmentation",
    "Taxonomy",
    "__version__",
    "list_models",
    "load_segmenter",
    "open_photo",
]

_HOMES = {
    "OUTFIT_15": "segmodels.taxonomy",
    "Garment": "segmodels.inference.segmentation",
    "GarmentscopeError": "segmodels.errors",
    "Person": "segmodels.inference.segmentation",
    "Segmentation": "segmodels.inference.segmentation",
    "Taxonomy": "segmodels.taxonomy",
    "list_models": "segmodels.checkpoints.catalog",
    "load_segmenter": "segmodels.checkpoints.catalog",
    "open_photo": "segmodels.photo",
}

set_waiting()  # before anything loads PyTorch


def __getattr__(name: str) -> Any:
    """Loads a name of the public face."""
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version("garmentscope")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
