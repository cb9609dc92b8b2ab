"""What the Compare page keeps for a visitor, and the comparisons that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.compare.agreement import Comparison, Finding
from dashboard.compare.conventions import TruthFile
from dashboard.compare.run import CompareRun
from dashboard.shared.analysed import UploadedPhoto
from dashboard.shared.examples import EXAMPLE_MODELS, Example, shipped
from dashboard.shared.photo_file import file_digest
from segmodels.mappings import ClassMapping, MappingError, common_classes
from segmodels.taxonomy import Taxonomy

__all__ = ["CompareState", "connected"]


@dataclass
class CompareState:
    """State of the Compare page. Photos are named by the digest of their file.

    Args:
        link_read: Whether the models of the page's address have been taken over.
        models: Catalog names of the models chosen.
        photos: Photos by digest, in the order of arrival.
        example: Example that is on show, the only one of the photos; None once there are photos of the visitor's own.
        findings: What was found, by digest and model.
        run: Run that is under way, or whose results have not been taken over yet.
        masks: Files of ground truth, by digest of their photo.
        own: Mappings in the folders of the models.
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
    example: Example | None = None
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    run: CompareRun | None = None
    masks: dict[str, TruthFile] = field(default_factory=dict)
    own: tuple[ClassMapping, ...] = ()
    unloaded: dict[str, str] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    refused: Sequence[str] = ()
    intake: int = 0
    shown: str = ""
    staged: list[str] = field(default_factory=list)
    stages: tuple[tuple[Finding, ...], list[dict[str, Any]]] | None = None
    latest: dict[str, tuple[tuple[Finding, ...], TruthFile | None, Comparison]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Size of the visitor's own photos and of what was found in them, in bytes."""
        run = self.run
        coming = sum(len(upload.data) for upload in run.uploads) if run else 0
        if self.example:
            return coming
        photos, findings = list(self.photos.values()), list(self.findings.values())  # other visitors' threads ask too
        return (
            coming
            + sum(len(photo.data) for photo in photos)
            + sum(found.analysed.size - len(found.analysed.photo.data) for found in findings)
        )

    def take_over(self) -> None:
        """Takes over what the run has done so far; the first photo of the visitor's own replaces the example."""
        if (run := self.run) is None:
            return
        live = run.live  # asked first: what an ended run has done is all there
        for key, photo in list(run.photos.items()):
            if key not in self.photos:
                if self.example:
                    self.photos, self.findings, self.masks, self.latest, self.example = {}, {}, {}, {}, None
                self.photos[key] = photo
                self.shown = key
        if run.read and run.uploads:
            run.uploads = []
            self.sentences, self.refused = list(run.sentences), ()
            self.intake += 1
        self.findings |= {place: found for place, found in list(run.findings.items()) if place[0] in self.photos}
        self.unloaded = dict(run.unloaded)
        if not live and run.phase != "stopped":
            self.sentences = list(dict.fromkeys([*self.sentences, *run.sentences, *filter(None, [run.error])]))
            self.run = None
            self.intake += 1  # else photos that were not read would be tried again and again

    def show_example(self, example: Example) -> None:
        """Shows an example, with what was found in it by the networks whose results ship, in place of another one.

        Args:
            example: The example.
        """
        self.photos, self.findings, self.masks, self.unloaded, self.latest = {}, {}, {}, {}, {}
        self.sentences, self.refused, self.stages = [], (), None
        found = [Finding(*shipped(example, model)) for model in EXAMPLE_MODELS]
        photo = found[0].analysed.photo
        self.shown = file_digest(photo.data)
        self.photos[self.shown] = photo
        self.findings = {(self.shown, each.model): each for each in found}
        self.example = example

    def start_over(self) -> None:
        """Forgets the photos and all that was found, and empties the uploaders; the models stay."""
        if self.run:
            self.run.stop()
        self.run = self.example = None
        self.photos, self.findings, self.masks, self.unloaded, self.latest = {}, {}, {}, {}, {}
        self.sentences, self.refused, self.stages, self.shown = [], (), None, ""
        self.intake += 1

    def comparison(self, key: str) -> Comparison | None:
        """The comparison of a photo under the models chosen that have run; None where none has.

        Models whose classes no mapping connects with those of the first ones are left out.
        """
        found = {model: finding for model in self.models if (finding := self.findings.get((key, model)))}
        kept, _ = connected({model: finding.taxonomy for model, finding in found.items()}, self.own)
        return self._kept(key, key, tuple(found[model] for model in kept)) if kept else None

    def side_by_side(self, findings: tuple[Finding, ...]) -> Comparison:
        """The comparison of the photo in the viewer under some of the models."""
        return self._kept("staged", self.shown, findings)

    def stages_of(self, comparison: Comparison) -> list[dict[str, Any]]:
        """What the viewer gets, made anew only for other findings than the last time."""
        findings = comparison.findings
        if self.stages is None or self.stages[0] != findings:
            self.stages = findings, [finding.stage(comparison.common) for finding in findings]
        return self.stages[1]

    def _kept(self, place: str, key: str, findings: tuple[Finding, ...]) -> Comparison:
        """A comparison, made anew only if findings or mask are others than the last time at this place."""
        mask, kept = self.masks.get(key), self.latest.get(place)
        if kept is None or kept[0] != findings or kept[1] is not mask:
            kept = self.latest[place] = findings, mask, self._compared(findings, mask)
        return kept[2]

    def _compared(self, findings: tuple[Finding, ...], mask: TruthFile | None) -> Comparison:
        """A comparison, with the ground truth if its classes are known and a mapping connects them with the models'."""
        if mask is None or (convention := mask.convention) is None:
            return Comparison(findings, own=self.own)
        photo = findings[0].analysed.photo
        own = (*self.own, *((convention.mapping,) if convention.mapping else ()))
        try:
            return Comparison(findings, mask.ids(photo.width, photo.height), convention.taxonomy, own)
        except MappingError:
            return Comparison(findings, own=self.own)


def connected(taxonomies: Mapping[str, Taxonomy], own: Sequence[ClassMapping]) -> tuple[list[str], list[str]]:
    """The models that can be compared with each other, and a sentence for each that cannot.

    Args:
        taxonomies: Taxonomy by name of the model; the first model is always among those that can.
        own: Mappings of one's own.
    """
    kept: dict[str, Taxonomy] = {}
    sentences = []
    for model, taxonomy in taxonomies.items():
        try:
            common_classes({**kept, model: taxonomy}, own)
        except MappingError as error:
            sentences.append(f"{model} is left out. {error}")
        else:
            kept[model] = taxonomy
    return list(kept), sentences
