"""A run of the Compare page: new photos are read, then all photos go through one model after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from dashboard.compare import agreement
from dashboard.compare.agreement import Finding, progress_text
from dashboard.shared import networks
from dashboard.shared.analysed import UploadedPhoto, read_photo
from dashboard.shared.inference_queue import Flow
from dashboard.shared.photo_file import PhotoFile, file_digest
from dashboard.shared.runs import Run
from dashboard.shared.waiting import as_done, failure, finished

__all__ = ["CompareRun"]


class CompareRun(Run):
    """Photos on their way through several models.

    Args:
        uploads: Photos to read first.
        models: Catalog names of the models; none if the photos are only to be read.
        photos: Photos that were read before, by digest of the file.
        known: What was found in them, by digest and model; what a model of the same revision found stays.

    Attributes:
        uploads: Photos that the page has not taken over yet.
        read: Whether all uploads have been read.
        photos: Photos that were read in this run, by digest of the file.
        findings: What was found, by digest and model.
        unloaded: Reasons why models could not be loaded, by model.
        sentences: A sentence for each photo that could not be read or analysed.
    """

    def __init__(
        self,
        uploads: Sequence[PhotoFile],
        models: Sequence[str],
        photos: Mapping[str, UploadedPhoto],
        known: Mapping[tuple[str, str], Finding],
    ) -> None:
        super().__init__("Reading the photo." if uploads else "Loading the first network.")
        self.uploads, self.models = list(uploads), list(models)
        self.read = False
        self.photos: dict[str, UploadedPhoto] = {}
        self.findings: dict[tuple[str, str], Finding] = {}
        self.unloaded: dict[str, str] = {}
        self.sentences: list[str] = []
        self._keys = {file_digest(upload.data) for upload in uploads}
        self._uploads, self._before, self._known = list(uploads), dict(photos), dict(known)

    def covers(self, uploads: Sequence[PhotoFile]) -> bool:
        """Whether these photos are in this run, which is under way."""
        return self.live and {file_digest(each.data) for each in uploads} <= self._keys

    def work(self) -> None:
        """Reads what is new, then runs each model on the photos that it has not run on yet."""
        with networks.flow() as flow:
            self._read(flow)
            if self.models and (self._before or self.photos):
                self._segment(flow)

    def _read(self, flow: Flow) -> None:
        count = len(self._uploads)
        futures = [flow.submit(read_photo, *upload) for upload in self._uploads]

        def show(done: int, turn: str) -> None:
            self.note(0.0, f"Reading the photo{'s' if count > 1 else ''}.{turn}")

        list(as_done(flow, futures, show, self.check_stop))
        for upload, future in zip(self._uploads, futures, strict=True):
            if error := future.exception():
                self.sentences.append(failure(upload.name, error))
            else:
                self.photos.setdefault(file_digest(upload.data), future.result())
        self.read = True

    def _segment(self, flow: Flow) -> None:
        photos = {**self._before, **self.photos}
        revisions = {model: networks.revision(model) for model in self.models}  # one may have been pulled anew
        missing = {
            model: [key for key in photos if self._revision(key, model) != revisions[model]] for model in revisions
        }
        todo = [model for model in self.models if missing[model]]
        total = sum(len(keys) for keys in missing.values())
        pixels_of = lru_cache(maxsize=1)(UploadedPhoto.pixels)  # a single photo is decoded once for all models
        before = 0
        for index, model in enumerate(todo):
            text, keys = progress_text(todo, index, list(self.unloaded)), missing[model]
            self.note(before / total, text)

            def wake(seconds: float, share: float = before / total, text: str = text) -> None:
                left = networks.usual_seconds() - seconds
                about = f" About {left:.0f} s left." if left >= 1 else ""
                self.note(share, f"{text} Loading the network.{about}")

            def show(done: int, turn: str, before: int = before, text: str = text, count: int = len(keys)) -> None:
                which = f" Photo {min(done + 1, count)} of {count}." if count > 1 else ""
                self.note((before + done) / total, text + which + turn)

            before += len(keys)
            try:
                finished(networks.loading(model), wake, self.check_stop)
                segmenter = networks.segmenter(model)
            except ValueError as error:
                self.unloaded[model] = str(error)
                continue
            size = networks.model_bytes(model)
            futures = [flow.submit(agreement.find, segmenter, photos[key], size, pixels_of) for key in keys]
            for at in as_done(flow, futures, show, self.check_stop):
                try:
                    self.findings[keys[at], model] = futures[at].result()
                except Exception as error:
                    if (sentence := f"{model}: {failure(photos[keys[at]].name, error)}") not in self.sentences:
                        self.sentences.append(sentence)

    def _revision(self, key: str, model: str) -> str | None:
        """Revision of a model when it ran on a photo; None if it has not run."""
        found = self._known.get((key, model))
        return found.analysed.revision if found else None
