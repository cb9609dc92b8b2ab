"""What the Compare page keeps for a visitor, and the comparisons that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.compare.agreement import Comparison, Finding
from dashboard.compare.ground_truth import read_mask
from dashboard.shared.analysed import UploadedPhoto
from dashboard.shared.examples import Example
from segmodels.taxonomy import OUTFIT_15, Taxonomy

__all__ = ["CompareState"]


@dataclass
class CompareState:
    """State of the Compare page. Photos are named by the digest of their file.

    Args:
        link_read: Whether the models of the page's address have been taken over.
        models: Catalog names of the models chosen.
        photos: Photos by digest, in the order of arrival.
        findings: What was found, by digest and model.
        masks: Files of ground truth, by digest of their photo.
        mask_classes: Taxonomies of the ids in them, by the same digest; `OUTFIT_15` where left out.
        unloaded: Reasons why models could not be loaded, by model.
        sentences: Sentences on what was wrong in the address or with the last files.
        refused: Sentences about the last files that are too large to be sent.
        intake: Number of times that the uploaders were emptied; part of their keys, as a new key is an empty uploader.
        shown: Digest of the photo in the viewer; empty while there is no photo.
        staged: Models side by side, where more are chosen than fit.
        stages: Findings in the viewer and what the viewer gets of them.
        latest: Comparisons on show, each with the findings and the mask that it was made from, so that a rerun does not
            compute it again; by digest, and under "staged" that of the models side by side.
    """

    link_read: bool = False
    models: list[str] = field(default_factory=list)
    photos: dict[str, UploadedPhoto] = field(default_factory=dict)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    masks: dict[str, Example] = field(default_factory=dict)
    mask_classes: dict[str, Taxonomy] = field(default_factory=dict)
    unloaded: dict[str, str] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    refused: Sequence[str] = ()
    intake: int = 0
    shown: str = ""
    staged: list[str] = field(default_factory=list)
    stages: tuple[tuple[Finding, ...], list[dict[str, Any]]] | None = None
    latest: dict[str, tuple[tuple[Finding, ...], Example | None, Comparison]] = field(default_factory=dict)

    def start_over(self) -> None:
        """Forgets the photos and all that was found, and empties the uploaders; the models stay."""
        self.photos, self.findings, self.masks, self.unloaded, self.latest = {}, {}, {}, {}, {}
        self.mask_classes = {}
        self.sentences, self.refused, self.stages, self.shown = [], (), None, ""
        self.intake += 1

    def revision(self, key: str, model: str) -> str | None:
        """Revision of a model at its run on a photo; None if it has not run."""
        finding = self.findings.get((key, model))
        return finding.analysed.revision if finding else None

    def comparison(self, key: str) -> Comparison | None:
        """The comparison of a photo under the models chosen that have run; None where none has.

        Of models of several taxonomies, those of the first one's are compared.
        """
        found = [finding for model in self.models if (finding := self.findings.get((key, model)))]
        present = tuple(finding for finding in found if finding.taxonomy.matches(found[0].taxonomy))
        return self._kept(key, key, present) if present else None

    def side_by_side(self, findings: tuple[Finding, ...]) -> Comparison:
        """The comparison of the photo in the viewer under some of the models."""
        return self._kept("staged", self.shown, findings)

    def stages_of(self, findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
        """What the viewer gets, made anew only for other findings than the last time."""
        if self.stages is None or self.stages[0] != findings:
            self.stages = findings, [finding.stage for finding in findings]
        return self.stages[1]

    def _kept(self, place: str, key: str, findings: tuple[Finding, ...]) -> Comparison:
        """A comparison, made anew only if findings or mask are others than the last time at this place."""
        mask, kept = self.masks.get(key), self.latest.get(place)
        if kept is None or kept[0] != findings or kept[1] is not mask:
            photo = findings[0].analysed.photo
            taxonomy = findings[0].taxonomy
            fits = mask and self.mask_classes.get(key, OUTFIT_15).matches(taxonomy)
            truth = read_mask(mask.name, mask.data, photo.width, photo.height, taxonomy) if mask and fits else None
            kept = self.latest[place] = findings, mask, Comparison(findings, truth)
        return kept[2]
