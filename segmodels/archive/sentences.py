"""What an ingest says of itself, for people."""

from __future__ import annotations

from segmodels.archive.ingest import Progress, Report
from segmodels.sentences import listed

__all__ = ["duration", "outcome_sentence", "progress_sentence", "rejected_sentence", "unmatched_sentences"]


def duration(seconds: float) -> str:
    """Such as `2 h 05 min`, `11 min 03 s` or `40 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def progress_sentence(progress: Progress) -> str:
    """How far it is, how fast, and how long it still takes."""
    text = f"{progress.done:,} of {progress.total:,}"
    rate = progress.photos_a_second
    if rate:
        text += f", {rate:,.0f} a second" if rate >= 10 else f", {rate:.1f} a second"
    if (left := progress.seconds_left) is not None and progress.done < progress.total:
        text += f", {duration(left)} left"
    if progress.rejected:
        text += f", {progress.rejected:,} rejected"
    return f"{text}. Stopping keeps what is done."


def outcome_sentence(report: Report, name: str) -> str:
    """What came of an ingest that went to its end."""
    text = f"{_photos(report.added)} added to {name}." if report.added else f"Nothing new in {name}."
    if report.known:
        text += f" {_photos(report.known)} {'was' if report.known == 1 else 'were'} there already."
    if report.doubled:
        text += f" {_photos(report.doubled)} came twice."
    if report.retagged:
        text += (
            f" {_photos(report.retagged)} {'has' if report.retagged == 1 else 'have'} another date or other tags now."
        )
    return text


def rejected_sentence(report: Report) -> str:
    """How many files are no good, and how many are in; empty if all are good."""
    if not report.rejected:
        return ""
    good = report.total - len(report.rejected)
    rest = f"{good:,} {'is' if good == 1 else 'are'} in." if good else "Nothing was added."
    return f"{len(report.rejected):,} rejected, see rejected.csv. {rest}"


def unmatched_sentences(report: Report) -> list[str]:
    """Which rows of the CSV have no photo, and which photos no row."""
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
