"""A run of the Segment page: new photos through one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.shared import analysed, networks
from dashboard.shared.analysed import Analysed
from dashboard.shared.photo_file import PhotoFile, file_digest
from dashboard.shared.runs import Run
from dashboard.shared.waiting import as_done, failure, finished

__all__ = ["SegmentRun", "is_of"]


def is_of(photo: Analysed, model: str, revision: str) -> bool:
    """Whether a photo was analysed by a model as it is installed now; the model may have been pulled again since.

    Args:
        photo: Photo with what was found in it.
        model: Catalog name of the model.
        revision: Revision that is installed; empty if it is not known.
    """
    return photo.model == model and revision in ("", photo.revision)


class SegmentRun(Run):
    """Photos on their way through a network.

    Args:
        model: Catalog name of the network.
        uploads: The photos, at least one; one may occur twice.
        photos: Photos that are there already, by digest of the file: what this network found in them stays.

    Attributes:
        revision: Revision of the network; empty until it is loaded.
        keys: Digests of the photos, in the order of arrival.
        new: Those of them that were not there already.
        order: Digests of the photos that were there already and of the new ones, in the order wanted.
        found: What was found, by digest of the file.
    """

    def __init__(self, model: str, uploads: Sequence[PhotoFile], photos: Mapping[str, Analysed]) -> None:
        self._loading = f"1 of {len(uploads)}, {uploads[0].name}. Loading the network."
        super().__init__(self._loading)
        self.model, self.revision = model, ""
        self.keys = [file_digest(upload.data) for upload in uploads]
        self.new = [key for key in self.keys if key not in photos]
        self.order = [*photos, *self.keys]
        self.found: dict[str, Analysed] = {}
        self._failed: dict[int, str] = {}  # by index of the photo
        self._uploads, self._photos = list(uploads), dict(photos)

    @property
    def failures(self) -> list[str]:
        """A sentence for each photo that could not be analysed, in the order of arrival."""
        return [sentence for _, sentence in sorted(self._failed.items())]

    def covers(self, model: str, uploads: Sequence[PhotoFile]) -> bool:
        """Whether these photos are on their way through this network."""
        return self.live and model == self.model and {file_digest(each.data) for each in uploads} <= set(self.keys)

    def work(self) -> None:
        """Loads the network and analyses what is new."""
        uploads = self._uploads
        finished(networks.loading(self.model), self._show_loading, self.check_stop)
        segmenter = networks.segmenter(self.model)
        self.revision = revision = segmenter.checkpoint.revision
        done = {key for key, photo in self._photos.items() if is_of(photo, self.model, revision)}
        new = [i for i, key in enumerate(self.keys) if key not in self.keys[:i] and key not in done]
        with networks.flow() as flow:
            futures = [flow.submit(analysed.analyse, segmenter, *uploads[index]) for index in new]

            def show(count: int, turn: str) -> None:
                name = uploads[next((new[at] for at, each in enumerate(futures) if not each.done()), new[-1])].name
                before, total = len(uploads) - len(new) + count, len(uploads)
                self.note(before / total, f"{min(before + 1, total)} of {total}, {name}.{turn}")

            for at in as_done(flow, futures, show, self.check_stop):
                index = new[at]
                try:
                    self.found[self.keys[index]] = futures[at].result()
                except Exception as error:
                    self._failed[index] = failure(uploads[index].name, error)

    def _show_loading(self, seconds: float) -> None:
        usual = networks.usual_seconds()
        left = f" About {usual - seconds:.0f} s left." if usual - seconds >= 1 else " It takes longer than usual."
        self.note(min(0.9, seconds / usual), self._loading + left)
