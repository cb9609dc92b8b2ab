"""Segmentations as files that annotation tools and training programs read.

Each format holds every class but the background, on each person apart: garments and accessories, likely or not, and
skin and hair. Formats with masks give back the very class map; polygons keep within one pixel of the outline, and holes
are cut in (`segmodels.annotations.outlines`). Annotations are of the photo turned upright, as EXIF says, and so are the
widths and heights in the files; `Segmentation.as_stored` turns them back first where a tool ignores EXIF.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmodels.annotations.coco import CocoWriter, to_coco
from segmodels.annotations.cvat import CvatWriter
from segmodels.annotations.files import AnnotationFile, AnnotationWriter, names_apart
from segmodels.annotations.index_masks import IndexMaskWriter
from segmodels.annotations.label_studio import LOCAL_FILES, LabelStudioWriter
from segmodels.annotations.yolo import YoloWriter

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation

__all__ = [
    "ANNOTATION_FORMATS",
    "LOCAL_FILES",
    "AnnotationFile",
    "AnnotationFormat",
    "AnnotationWriter",
    "annotation_files",
    "names_apart",
    "to_coco",
]


@dataclass(frozen=True)
class AnnotationFormat:
    """A format of annotations.

    Args:
        title: Name of the format for people.
        hint: What the files are and where they go, in a sentence.
        open: Function that makes a writer of it, from what comes before a photo's path in its address; only the tasks
            of Label Studio name addresses.
        only_file: Path of its file, where it has only one.
    """

    title: str
    hint: str
    open: Callable[[str], AnnotationWriter]
    only_file: str = ""


ANNOTATION_FORMATS: Mapping[str, AnnotationFormat] = {
    "coco": AnnotationFormat(
        "COCO, masks", "One JSON with compressed run lengths (RLE).", lambda _: CocoWriter(), "coco.json"
    ),
    "coco-polygons": AnnotationFormat(
        "COCO, polygons", "One JSON with polygons.", lambda _: CocoWriter(polygons=True), "coco.json"
    ),
    "yolo": AnnotationFormat(
        "YOLO, polygons",
        "data.yaml and labels/ for Ultralytics; put the photos into images/ beside them.",
        lambda _: YoloWriter(),
    ),
    "labelstudio": AnnotationFormat(
        "Label Studio, brush",
        "Tasks with predictions, and the labeling configuration of the project.",
        lambda address: LabelStudioWriter(address=address),
    ),
    "labelstudio-polygons": AnnotationFormat(
        "Label Studio, polygons",
        "Tasks with predictions, and the labeling configuration of the project.",
        lambda address: LabelStudioWriter(polygons=True, address=address),
    ),
    "cvat": AnnotationFormat(
        "CVAT, masks",
        "CVAT for images 1.1; upload it to a task as CVAT 1.1.",
        lambda _: CvatWriter(),
        "annotations.xml",
    ),
    "cvat-polygons": AnnotationFormat(
        "CVAT, polygons",
        "CVAT for images 1.1; upload it to a task as CVAT 1.1.",
        lambda _: CvatWriter(polygons=True),
        "annotations.xml",
    ),
    "masks": AnnotationFormat(
        "Index PNG, 8 bits", "Grey PNGs whose values are class ids, and classes.txt.", lambda _: IndexMaskWriter()
    ),
}
"""Formats by the name that `garmentscope segment --export` takes."""


def annotation_files(
    kind: str, photos: Iterable[tuple[str, Segmentation]], address: str = LOCAL_FILES
) -> Iterator[AnnotationFile]:
    """The files of an export, made while they are asked for.

    Args:
        kind: Key in `ANNOTATION_FORMATS`.
        photos: Path of each photo in the folder of photos, with `/` between folders, and what was found in it; all of
            one taxonomy.
        address: What comes before a photo's path in its address, for Label Studio.
    """
    writer = ANNOTATION_FORMATS[kind].open(address)
    for name, segmentation in photos:
        yield from writer.add(name, segmentation)
    yield from writer.close()
