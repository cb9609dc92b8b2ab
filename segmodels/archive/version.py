"""The version of rows: those of one model, revision and taxonomy share a folder of an archive."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["Version"]


@dataclass(frozen=True, order=True)
class Version:
    """Version of rows: the model that found the garments, its revision, and the taxonomy of its classes."""

    taxonomy: str
    model: str
    revision: str

    @property
    def folder(self) -> str:
        """Folder of its parts, below the folder of the archive."""
        return f"{quote(self.taxonomy, safe='')}/{quote(self.model, safe='')}@{quote(self.revision, safe='')}"

    @property
    def label(self) -> str:
        """Short name, as links of the Trends page and the API's parameter `by` have it."""
        return f"{self.model} {self.revision[:12]} ({self.taxonomy})"

    def __str__(self) -> str:
        return f"{self.model} (revision {self.revision}, {self.taxonomy})"
