"""Scores from the two papers: reference numbers, measured by their authors on other photos than ours.

They stand beside our own results and are compared with none of them directly: Castro & Ramirez trained and judged on
iMaterialist 2019 in 47 classes, Inácio et al. on Clothing Co-Parsing and CFPD together, 3,686 photos in the 15 classes
of `OUTFIT_15`, over five folds. All values are shares, 0 to 1, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "ARCHITECTURE_PAPERS",
    "CASTRO_TABLE_3",
    "CASTRO_TABLE_5",
    "INACIO_FPN_MEAN_IOU",
    "INACIO_TABLE_2",
    "INACIO_TABLE_3",
    "AccuracyAndIou",
    "PrecisionRecallF1",
]


@dataclass(frozen=True)
class PrecisionRecallF1:
    """Scores as the paper prints them; the three need not agree with one another."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class AccuracyAndIou:
    """Pixel accuracy and *binary* IoU, background against everything else (section 8.2); None where none is printed."""

    accuracy: float
    binary_iou: float | None = None


ARCHITECTURE_PAPERS: Mapping[str, str] = {
    "fpn": "Lin et al., Feature Pyramid Networks for Object Detection, 2017",
    "unet": "Ronneberger et al., U-Net, 2015",
    "linknet": "Chaurasia & Culurciello, LinkNet, 2017",
    "pspnet": "Zhao et al., Pyramid Scene Parsing Network, 2017",
    "fcn": "Long et al., Fully Convolutional Networks for Semantic Segmentation, 2015",
    "atrous": "Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017",
    "densenet": "Huang et al., Densely Connected Convolutional Networks, 2017",
    "segnet": "Badrinarayanan et al., SegNet, 2017",
    "unet_classic": "Ronneberger et al., U-Net, 2015",
}
"""Publication of each architecture."""

INACIO_TABLE_2: Mapping[str, PrecisionRecallF1] = {
    "linknet": PrecisionRecallF1(0.748, 0.772, 0.749),
    "pspnet": PrecisionRecallF1(0.719, 0.697, 0.703),
    "unet": PrecisionRecallF1(0.753, 0.782, 0.767),
    "fpn": PrecisionRecallF1(0.766, 0.804, 0.779),
}
"""Inácio et al., Table II: means over the classes and five folds, by architecture."""

INACIO_FPN_MEAN_IOU = 0.657
"""Inácio et al., section V-A: mean IoU of the FPN over the 15 classes, background included."""

INACIO_TABLE_3: Mapping[str, PrecisionRecallF1] = {
    "Background": PrecisionRecallF1(0.964, 0.932, 0.947),
    "Bag": PrecisionRecallF1(0.821, 0.848, 0.834),
    "Coat": PrecisionRecallF1(0.778, 0.859, 0.817),
    "Dress": PrecisionRecallF1(0.898, 0.895, 0.897),
    "Footwear": PrecisionRecallF1(0.773, 0.854, 0.811),
    "Glasses": PrecisionRecallF1(0.466, 0.783, 0.584),
    "Hair": PrecisionRecallF1(0.839, 0.846, 0.842),
    "Hat": PrecisionRecallF1(0.616, 0.690, 0.651),
    "Pants": PrecisionRecallF1(0.904, 0.906, 0.905),
    "Romper": PrecisionRecallF1(0.534, 0.309, 0.392),
    "Scarf/Tie": PrecisionRecallF1(0.686, 0.737, 0.711),
    "Shirt": PrecisionRecallF1(0.851, 0.850, 0.850),
    "Shorts": PrecisionRecallF1(0.726, 0.823, 0.813),
    "Skin": PrecisionRecallF1(0.857, 0.882, 0.869),
    "Socks": PrecisionRecallF1(0.780, 0.746, 0.762),
}
"""Inácio et al., Table III: the FPN by class.

It contradicts itself and Table II: the F1 of Shorts cannot follow from a precision of 72.6 and a recall of 82.3 %,
which give 77.1 %, not 81.3 %; and the recalls average 79.7 %, where Table II has 80.4 %. Whether the printed means are
of the folds' scores or of one matrix over all of them, the paper does not say, which would explain the second.
"""

CASTRO_TABLE_3: Mapping[str, tuple[AccuracyAndIou, AccuracyAndIou, AccuracyAndIou]] = {
    "unet_classic": (AccuracyAndIou(0.8084), AccuracyAndIou(0.7675), AccuracyAndIou(0.76, 0.0)),
    "segnet": (AccuracyAndIou(0.7802), AccuracyAndIou(0.778), AccuracyAndIou(0.77, 0.06)),
    "atrous": (AccuracyAndIou(0.797), AccuracyAndIou(0.774), AccuracyAndIou(0.77, 0.09)),
}
"""Castro & Ramirez, Table 3: with Adam at 0.01, at 0.001, and at 0.01 with a decay of 1e-6, by architecture.

A binary IoU near 0 beside an accuracy of 77 % says that these networks found next to nothing but background. The last
row could hardly be read in the copy at hand.
"""

CASTRO_TABLE_5: Mapping[str, AccuracyAndIou] = {
    "atrous": AccuracyAndIou(0.93, 0.80),
    "segnet": AccuracyAndIou(0.89, 0.77),
}
"""Castro & Ramirez, Table 5: on the photos kept for testing, by architecture."""
