"""An entry of the Archive page's list: what an archive holds."""

from __future__ import annotations

import html

from dashboard.archive.shelf import TRAINED_ON, Contents, Tag
from segmodels.sentences import visible

__all__ = ["contents_html"]

_LONGEST = 80  # characters of a tag's name or value


def contents_html(contents: Contents) -> str:
    """What an archive holds of one model's results, as HTML: numbers, dates, model and tags."""
    dates = "none"
    if contents.first and contents.last:
        dates = f"{contents.first:%Y-%m-%d} to {contents.last:%Y-%m-%d}"
        if contents.dated < contents.photos:
            dates += f", {contents.photos - contents.dated:,} without date"
    facts = {
        "Photos": f"{contents.photos:,}",
        "Outfits": f"{contents.outfits:,}",
        "Dates": dates,
        "Model": f"{contents.version.model}, revision {contents.version.revision[:12]}",
    }
    cells = "".join(f"<div><dt>{key}</dt><dd>{html.escape(value)}</dd></div>" for key, value in facts.items())
    tags = "".join(map(_tag, contents.tags))
    cells += f'<div class="tags"><dt>Tags</dt><dd>{tags or "none"}</dd></div>'
    text = f"<dl>{cells}</dl>" + "".join(f"<p>{html.escape(each)}</p>" for each in contents.left_out)
    if contents.trained_on:
        text += (
            f"<p>The model saw {contents.trained_on:,} of these photos in training or selection (tag {TRAINED_ON}): "
            "its results on them are better than on new photos.</p>"
        )
    elif contents.trained_on == 0:
        text += "<p>The model saw none of these photos in training or selection.</p>"
    return text


def _tag(tag: Tag) -> str:
    values = ", ".join(f"{_short(value)} {count:,}" for value, count in tag.counts)
    more = tag.values - len(tag.counts)
    values += f" and {more:,} more" if more else ""
    return f"<p><b>{html.escape(_short(tag.name))}</b> {html.escape(values)}</p>"


def _short(text: str) -> str:
    """A tag as it is shown: other programs may have written anything into the archive."""
    text = visible(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
