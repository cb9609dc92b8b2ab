"""The filters of a view: in a link, in words, and removed one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from segmodels.archive.counts import Counting
from segmodels.archive.facts import Size, View
from segmodels.colour import BASIC_COLOURS
from segmodels.taxonomy import Taxonomy

__all__ = ["evidence_line", "from_link", "removals", "to_link"]

_TAG = "tag."


def to_link(view: View) -> dict[str, str | list[str]]:
    """A view as parameters of a link, without empty ones."""
    link: dict[str, str | list[str]] = {
        "from": view.first.isoformat() if view.first else "",
        "to": view.last.isoformat() if view.last else "",
        "garments": ",".join(view.garments),
        "colours": ",".join(view.colours),
        "share": f"{view.min_share:g}" if view.min_share else "",
        "confidence": f"{view.min_confidence:g}" if view.min_confidence else "",
        "count": view.counting or "",
        "duplicates": "yes" if view.duplicates else "",
    }
    link |= {_TAG + key: list(values) for key, values in view.tags}
    return {key: value for key, value in link.items() if value}


def from_link(
    link: Mapping[str, Sequence[str]],
    taxonomy: Taxonomy,
    tags: Mapping[str, Sequence[str]],
    countings: Sequence[Counting] = ("raw",),
) -> tuple[View, list[str]]:
    """The view of a link, and a sentence for each filter in it that cannot be used.

    Args:
        link: All values of each parameter.
        taxonomy: Taxonomy of the archive.
        tags: Values by tag that the archive has.
        countings: Ways of counting that the archive has, the default first.
    """
    sentences: list[str] = []
    counting = _counting(link, countings, sentences)
    least = {key: _share(link, key, most, sentences) for key, most in (("share", 0.5), ("confidence", 0.99))}
    if (counting or countings[0]) == "expected" and any(least.values()):
        sentences.append("Minimum shares and confidences apply to raw counts only; those in the link are ignored.")
        least = dict.fromkeys(least, 0.0)
    if link.get("corrected"):
        sentences.append("Shares are no longer corrected for recognition errors; expected counts allow for them.")
    worn = [garment.name for garment in taxonomy.worn]
    first, last = (_day(link, key, sentences) for key in ("from", "to"))
    if first and last and first > last:
        sentences.append("The start date in the link is after its end date; both are ignored.")
        first = last = None
    found = []
    for key in (key for key in link if key.startswith(_TAG)):
        name = key.removeprefix(_TAG)
        known = tags.get(name, ())
        values = tuple(dict.fromkeys(value for value in link[key] if value in known))
        if values:
            found.append((name, values))
            sentences.extend(
                f'No photo here has the value "{value[:40]}" of "{name[:40]}", which is in the link; it is ignored.'
                for value in [value for value in link[key] if value not in known][:3]
            )
        else:
            sentences.append(f'The filter on "{name[:40]}" in the link matches no photo here; it is ignored.')
    return View(
        first=first,
        last=last,
        tags=tuple(found),
        garments=_known(link, "garments", worn, sentences),
        colours=_known(link, "colours", BASIC_COLOURS, sentences),
        min_share=least["share"],
        min_confidence=least["confidence"],
        counting=counting,
        duplicates=_yes(link, "duplicates", sentences),
    ), sentences


def removals(view: View) -> list[tuple[str, View]]:
    """Each filter in words, and the view without it."""
    found = []
    if view.first or view.last:
        ends = f"{view.first or 'the first day'} to {view.last or 'the last day'}"
        found.append((ends, replace(view, first=None, last=None)))
    for key, values in view.tags:
        rest = tuple(pair for pair in view.tags if pair[0] != key)
        found.append((f"{key}: {' or '.join(values)}", replace(view, tags=rest)))
    found.extend(
        (name, replace(view, garments=tuple(each for each in view.garments if each != name))) for name in view.garments
    )
    if view.colours:
        found.append((" or ".join(view.colours), replace(view, colours=())))
    if view.min_share:
        found.append((f"share of at least {view.min_share:.0%}", replace(view, min_share=0.0)))
    if view.min_confidence:
        found.append((f"confidence of at least {view.min_confidence:.0%}", replace(view, min_confidence=0.0)))
    if view.duplicates:
        found.append(("near-duplicates counted", replace(view, duplicates=False)))
    return found


def evidence_line(size: Size, model: str, revision: str, near_duplicates: int = 0) -> str:
    """Size and source of the data: `1,800 photos, 1,912 outfits, no dates, analysed by fpn 3f2a91c`.

    Args:
        size: Size of the view.
        model: Name of the model.
        revision: Revision of the model.
        near_duplicates: Number of photos that are left out as near-duplicates of others.
    """
    if not size.dated or not size.first or not size.last:
        dates = "no dates"
    else:
        dates = f"{size.first}" if size.first == size.last else f"{size.first} to {size.last}"
        if round(undated := size.outfits - size.dated):
            dates += f" ({_count(undated, 'outfit')} without a date)"
    found = f"{_count(size.photos, 'photo').capitalize()}, {_count(size.outfits, 'outfit')}"
    if near_duplicates:
        found += f", {_count(near_duplicates, 'near-duplicate')} not counted"
    return f"{found}, {dates}, analysed by {model} {revision[:12]}"


def _count(number: float, what: str) -> str:
    return f"{'about ' if isinstance(number, float) else ''}{number:,.0f} {what}{'' if number == 1 else 's'}"


def _counting(
    link: Mapping[str, Sequence[str]], countings: Sequence[Counting], sentences: list[str]
) -> Counting | None:
    """Way of counting, if the link names another one than the default."""
    text = "".join(link.get("count", ())[:1])
    if not text or text in countings:
        return next((each for each in countings[1:] if each == text), None)
    sentences.append(
        "This archive has raw counts only."
        if text == "expected"
        else f'The way of counting in the link ("{text[:20]}") is not "expected" or "raw"; it is ignored.'
    )
    return None


def _day(link: Mapping[str, Sequence[str]], key: str, sentences: list[str]) -> date | None:
    if not (text := "".join(link.get(key, ())[:1])):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        which = "start" if key == "from" else "end"
        sentences.append(f'The {which} date in the link ("{text[:20]}") is not a date; write it as 2024-03-31.')
        return None


def _known(link: Mapping[str, Sequence[str]], key: str, known: Sequence[str], sentences: list[str]) -> tuple[str, ...]:
    named = [name for text in link.get(key, ()) for name in text.split(",") if name]
    unknown = [name for name in named if name not in known][:3]
    sentences.extend(f'The link names "{name[:40]}", which is not one of the {key}; it is ignored.' for name in unknown)
    return tuple(dict.fromkeys(name for name in named if name in known))


def _yes(link: Mapping[str, Sequence[str]], key: str, sentences: list[str]) -> bool:
    text = "".join(link.get(key, ())[:1])
    if text not in ("", "yes", "no"):
        sentences.append(f'The value "{text[:20]}" for {key} in the link is not yes or no; it is ignored.')
    return text == "yes"


def _share(link: Mapping[str, Sequence[str]], key: str, most: float, sentences: list[str]) -> float:
    """A minimum, 0..most, in the whole percents of the filter's slider."""
    text = "".join(link.get(key, ())[:1])
    try:
        value = float(text or 0)
    except ValueError:
        value = -1.0
    if 0 <= value <= most:
        return round(100 * value) / 100
    sentences.append(f'The minimum {key} in the link ("{text[:20]}") is not a number from 0 to {most}; it is ignored.')
    return 0.0
