"""Brings the rows of an archive up to date with a model: its weights, its calibration, its kinds and its embedding.

A photo is found by its content, wherever it lies and whatever its name. Its tags, date and file name stay. Rows whose
photos are not there stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segmodels.archive.alerts import alert_sentences
from segmodels.archive.changes import note
from segmodels.archive.ingest import PART_PHOTOS, Engine, Progress
from segmodels.archive.log import LogEntry
from segmodels.archive.rows import Row, as_table
from segmodels.archive.sources import Found, Rejected
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.sentences import listed
from segmodels.taxonomy import Taxonomy

if TYPE_CHECKING:
    from segmodels.checkpoints.checkpoint import Checkpoint

__all__ = ["Renewal", "fitted_of", "renew"]

_NOTHING: Mapping[str, str] = {}
_OLDER, _ASKED = "had another revision of the weights", "had nothing older; --all asks for them"
_MADE_BY: Mapping[str, str] = {
    "presence": "calibration_revision",
    "kinds": "kinds_revision",
    "embeddings": "embedding_revision",
}
_OTHER: Mapping[str, str] = {
    "presence": "had presence of another calibration",
    "kinds": "had kinds of another fit",
    "embeddings": "had embeddings of another fit",
}


@dataclass(frozen=True)
class Renewal:
    """What became of the rows of a model.

    Args:
        renewed: Number of rows that are new.
        current: Number of rows that were up to date.
        without_photo: Number of rows that stay as they are, because their photos are not there or cannot be read.
        rejected: Files that belong to a row and cannot be read.
        reasons: Number of rows that were not up to date, by reason.
        unknown: Number of rows that were taken to be up to date, though they do not say what beside the weights made
            them.
        notes: Sentences on alerts that were raised.
    """

    renewed: int = 0
    current: int = 0
    without_photo: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    reasons: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        stay = "1 row stays" if self.without_photo == 1 else f"{self.without_photo:,} rows stay"
        whose = "its photo is" if self.without_photo == 1 else "their photos are"
        left = f"; {stay} as before, because {whose} not in the folder or cannot be read" if self.without_photo else ""
        rows = "1 row" if self.renewed == 1 else f"{self.renewed:,} rows"
        return f"{rows} brought up to date, {self.current:,} already were{left}."

    def explanations(self) -> list[str]:
        """Why rows were not up to date, a line each, how many cannot be told, and the alerts that were raised."""
        lines = [f"{number:,} {reason}." for reason, number in self.reasons.items()]
        if self.unknown:
            lines.append(
                f"{self.unknown:,} taken to be up to date were written before rows recorded their calibration and "
                "kinds; --all analyses them again."
            )
        return lines + self.notes


class _AllBut(Container[str]):
    """Ids of photos that need no analysis: all but some."""

    def __init__(self, wanted: Container[str]) -> None:
        self._wanted = wanted

    def __contains__(self, photo_id: object) -> bool:
        return photo_id not in self._wanted


def renew(
    found: Found,
    archive: Archive,
    version: Version,
    engine: Engine,
    taxonomy: Taxonomy,
    *,
    gives: Mapping[str, str] = _NOTHING,
    everything: bool = False,
    progress: Callable[[Progress], None] | None = None,
    by: str = "",
) -> Renewal:
    """Analyses photos again whose rows are of another revision of the weights, calibration, kinds or embedding.

    A new row takes the place of the old one in one step; a photo that was deleted meanwhile does not come back. If the
    process is killed, calling it again continues. Alerts are checked at the end; what was met by the older rows is not
    raised again.

    Args:
        found: Photos, among which those of the archive are looked for.
        archive: Archive to bring up to date.
        version: Version of the rows that the engine makes.
        engine: `ingest.analyse_here` with its segmenter bound.
        taxonomy: Taxonomy of the version.
        gives: What the model has beside its weights, from `fitted_of`: revision by name of the column.
        everything: Whether rows that are up to date are made again as well.
        progress: Function that is called after each photo.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If the archive has no rows of the model, or cannot be read or written.
        CheckpointError: If the model is missing or damaged.
    """
    with archive.place.lock(".ingest", shared=True):  # no renaming and no deletion for good meanwhile
        stale: dict[str, tuple[Version, dict[str, Any]]] = {}
        current: dict[str, bool] = {}
        versions = [
            each for each in archive.versions() if (each.model, each.taxonomy) == (version.model, version.taxonomy)
        ]
        if not versions:
            others = sorted({f"{each.model} ({each.taxonomy})" for each in archive.versions()})
            if not others:
                raise ArchiveError(f"{archive.place.location} holds no archive yet. Ingest photos into it first.")
            raise ArchiveError(
                f"{archive.place.location} holds no rows of {version.model} ({version.taxonomy}) to bring up to date, "
                f"but of {listed(others)}. Name the model that analysed it with --model."
            )
        for each in sorted(
            versions, key=lambda each: each == version
        ):  # a current row counts, also beside an older one
            reason = _OLDER if each != version else _ASKED if everything else None
            with archive.reader(each) as reader:
                rows = reader.query(
                    "SELECT photo_id, file_name, taken_at, date_precision, map_entries(tags) AS tags, "
                    f"coalesce($reason::VARCHAR, {_outdated(gives)}) AS reason, {_untold(gives)} AS untold FROM photos",
                    {"reason": reason} | {f"{name}_revision": gives.get(name) for name in _MADE_BY},
                )
            for row in rows.to_dict("records"):
                if isinstance(row["reason"], str):
                    stale[row["photo_id"]] = each, {str(key): value for key, value in row.items()}
                else:
                    current[row["photo_id"]] = bool(row["untold"])
                    stale.pop(row["photo_id"], None)
        reasons = Counter(row["reason"] for _, row in stale.values())
        archive.keep_taxonomy(version, taxonomy)
        run = _Run(archive, version, stale, len(found.sources))
        with closing(engine(found.sources, _AllBut(run.left))) as outcomes:
            try:
                for outcome in outcomes:
                    run.done += 1
                    if outcome.reason:
                        run.rejected.append(Rejected(outcome.name, outcome.reason))
                    elif outcome.row is not None and outcome.photo_id in run.left:
                        run.take(outcome.row)
                    if progress:
                        progress(run.progress())
            finally:
                run.write()
                details = {
                    "model": version.model,
                    "revision": version.revision,
                    "renewed": run.renewed,
                    "current": len(current),
                }
                note(archive.place, LogEntry("re-analyse", by, details | {"rejected": len(run.rejected)}))
        notes = (
            alert_sentences(archive, [version], [each for each in versions if each != version]) if run.renewed else []
        )
        return Renewal(
            run.renewed, len(current), len(run.left), run.rejected, dict(reasons), sum(current.values()), notes
        )


def fitted_of(checkpoint: Checkpoint) -> dict[str, str]:
    """Revisions of what a model has beside its weights, by name of the column that it gives.

    Args:
        checkpoint: Checkpoint of the model.
    """
    found = {"presence": checkpoint.calibration, "kinds": checkpoint.kinds, "embeddings": checkpoint.embedding}
    return {name: each.revision for name, each in found.items() if each is not None}


def _outdated(gives: Mapping[str, str]) -> str:
    """SQL for the reason why a row of the version is not up to date; null where it is."""
    cases = []
    for name, made_by in _MADE_BY.items():
        if name in gives:
            cases.append(f"WHEN {name} IS NULL THEN 'lacked {name}'")
        cases.append(
            f"WHEN {made_by} IS NOT NULL AND {made_by} IS DISTINCT FROM ${name}_revision THEN '{_OTHER[name]}'"
        )
    return f"CASE {' '.join(cases)} END"


def _untold(gives: Mapping[str, str]) -> str:
    """SQL for whether a row does not say what made a column that the model gives."""
    return " OR ".join(f"{_MADE_BY[name]} IS NULL" for name in gives) or "false"


class _Run:
    """One renewal: collects rows and writes them."""

    def __init__(
        self, archive: Archive, version: Version, stale: dict[str, tuple[Version, dict[str, Any]]], total: int
    ) -> None:
        self.left = set(stale)
        self.rejected: list[Rejected] = []
        self.renewed = self.done = 0
        self._stale = stale
        self._total = total
        self._writer = archive.writer(version)
        self._rows: list[Row] = []

    def progress(self) -> Progress:
        return Progress(self.done, self._total, self.renewed + len(self._rows), 0, len(self.rejected), 0.0)

    def take(self, row: Row) -> None:
        _, old = self._stale[row["photo_id"]]
        tags = {entry["key"]: entry["value"] for entry in old["tags"]}
        taken_at = None if old["taken_at"] is None or old["taken_at"] != old["taken_at"] else old["taken_at"]
        kept = {"file_name": old["file_name"], "taken_at": taken_at, "tags": tags}
        precision = old["date_precision"] if isinstance(old["date_precision"], str) else None
        self._rows.append({**row, **kept, "date_precision": precision})
        self.left.discard(row["photo_id"])
        if len(self._rows) >= PART_PHOTOS:
            self.write()

    def write(self) -> None:
        """Writes what is waiting in the place of the rows that it renews."""
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        older = {self._stale[row["photo_id"]][0] for row in rows}
        self.renewed += self._writer.renew(as_table(rows), older)
