"""Sentences on the progress and outcome of an ingest."""

from __future__ import annotations

from segmodels.archive.ingest import Progress, Report
from segmodels.sentences import listed

__all__ = ["duration", "outcome_sentence", "progress_sentence", "rejected_sentence", "unmatched_sentences"]


def duration(seconds: float) -> str:
    """A duration, such as `2 h 05 min`, `11 min 03 s` or `40 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def progress_sentence(progress: Progress) -> str:
    """Progress, speed and remaining time of an ingest."""
    text = f"{progress.done:,} of {progress.total:,}"
    rate = progress.photos_a_second
    if rate:
        text += f", {rate:,.0f} per second" if rate >= 10 else f", {rate:.1f} per second"
    if (left := progress.seconds_left) is not None and progress.done < progress.total:
        text += f", {duration(left)} left"
    if progress.rejected:
        text += f", {progress.rejected:,} rejected"
    return f"{text}. Stopping keeps what is done."


def outcome_sentence(report: Report, name: str) -> str:
    """Outcome of a finished ingest."""
    text = f"{_photos(report.added)} added to {name}." if report.added else f"Nothing new in {name}."
    if report.known:
        text += f" {_photos(report.known)} {'was' if report.known == 1 else 'were'} there already."
    if report.doubled:
        text += f" {_photos(report.doubled)} {'is a duplicate' if report.doubled == 1 else 'are duplicates'}."
    if report.joined:
        text += f" {_photos(report.joined)} {'is' if report.joined == 1 else 'are'} part of the outfit of another."
    if report.retagged:
        text += f" Date or tags of {_photos(report.retagged)} updated."
    return text


def rejected_sentence(report: Report) -> str:
    """Number of rejected files; empty if there are none."""
    if not report.rejected:
        return ""
    text = f"{len(report.rejected):,} of {_photos(report.total)} rejected (see rejected.csv)."
    return text if len(report.rejected) < report.total else f"{text} Nothing was added."


def unmatched_sentences(report: Report) -> list[str]:
    """Sentences on rows of the CSV without a photo, and photos without a row."""
    result = []
    if names := report.rows_without_photo:
        rows = "row of the CSV has" if len(names) == 1 else "rows of the CSV have"
        result.append(f"{len(names):,} {rows} no photo: {listed(names)}.")
    if names := report.photos_without_row:
        photos = "photo has" if len(names) == 1 else "photos have"
        result.append(f"{len(names):,} {photos} no row in the CSV: {listed(names)}.")
    return result


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"
