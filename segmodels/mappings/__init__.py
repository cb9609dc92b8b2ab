"""Which classes of one taxonomy are which of another, and the classes that several networks have in common."""

from __future__ import annotations

from segmodels.mappings.common import CommonClasses, common_classes
from segmodels.mappings.mapping import (
    MAPPING_FILE,
    ClassMapping,
    MappingError,
    mapping_beside,
    read_mapping,
    shipped_mappings,
)

__all__ = [
    "MAPPING_FILE",
    "ClassMapping",
    "CommonClasses",
    "MappingError",
    "common_classes",
    "mapping_beside",
    "read_mapping",
    "shipped_mappings",
]
