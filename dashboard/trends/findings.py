"""What the table of each view shows, as one sentence: the title of its slide."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = [
    "area_finding",
    "colour_change_finding",
    "colour_finding",
    "companion_finding",
    "group_finding",
    "lift_finding",
    "line_finding",
    "movement_finding",
    "pair_change_finding",
    "pair_finding",
    "palette_finding",
    "rule_finding",
    "season_finding",
    "share_finding",
]


def share_finding(table: pd.DataFrame, label: str = "", other: str = "") -> str:
    """Sentence on the most worn garments, or on the largest significant difference of two groups.

    Args:
        table: Table of `worn`, of one group, or of two with `other_share`, `change` and `significant`.
        label: Name of the group, in a comparison.
        other: Name of the other group.
    """
    if not other:
        named = " and ".join(f"{row['garment']} in {row['share']:.0%}" for row in _rows(table.nlargest(2, "share")))
        return f"Most worn: {named} of outfits"
    sure = table[table["significant"]]
    if sure.empty:
        return f"No garment differs significantly between {label} and {other}"
    row = _rows(sure.loc[[sure["change"].abs().idxmax()]])[0]
    more = "more" if row["change"] > 0 else "less"
    return f"{row['garment']} is worn {more} in {label} ({row['share']:.0%}) than in {other} ({row['other_share']:.0%})"


def area_finding(table: pd.DataFrame) -> str:
    """Sentence on the garment that takes the largest share of an outfit."""
    row = _rows(table.nlargest(1, "share"))[0]
    return f"{row['garment']} takes the largest area: {row['share']:.0%} of the outfit where it is worn"


def group_finding(table: pd.DataFrame) -> str:
    """Sentence on the garment whose share differs most between groups, of those that differ significantly."""
    sure = table[table["significant"]]
    if sure.empty:
        return "No garment differs significantly between the groups"
    spread = sure.groupby("garment", sort=False)["share"].agg(lambda shares: shares.max() - shares.min())
    garment = str(spread.idxmax())
    part = sure[sure["garment"] == garment].sort_values("share")
    least, most = _rows(part)[0], _rows(part)[-1]
    return f"{garment} differs most: {least['share']:.0%} in {least['group']}, {most['share']:.0%} in {most['group']}"


def line_finding(table: pd.DataFrame, first: str, last: str, garment: str = "") -> str:
    """Sentence on the line whose first and last shares differ most; it does not say that this is significant.

    Args:
        table: `name`, `start`, `share`.
        first: Name of the first period.
        last: Name of the last period.
        garment: Garment whose colours the lines are; empty if they are garments.
    """
    ends = table.sort_values("start").groupby("name", sort=False)["share"].agg(["first", "last"])
    ends["name"] = ends.index
    row = _rows(ends.loc[[(ends["last"] - ends["first"]).abs().idxmax()]])[0]
    what = f"{row['name']} {garment}".strip()
    return f"{what[:1].upper()}{what[1:]}: {row['first']:.0%} in {first}, {row['last']:.0%} in {last}"


def movement_finding(table: pd.DataFrame) -> str:
    """Sentence on the strongest significant rise and fall, by points of the fitted share."""
    table = table.assign(points=100 * (table["last_share"] - table["first_share"]))
    sure = table[table["significant"]]
    if sure.empty:
        return "No rise or fall is significant"
    up, down = sure[sure["points"] > 0].nlargest(1, "points"), sure[sure["points"] < 0].nsmallest(1, "points")
    parts = [f"{_thing(row)} {'rises' if row['points'] > 0 else 'falls'}" for row in _rows(pd.concat([up, down]))]
    points = [f" {abs(row['points']):.1f} points" for row in _rows(pd.concat([up, down]))]
    return ", ".join(part + many for part, many in zip(parts, points, strict=True))


def pair_finding(table: pd.DataFrame, first: str = "", second: str = "") -> str:
    """Sentence on the pair that occurs together most above chance, else most below it.

    Args:
        table: `first`, `second`, `lift`, `low`, `high`, `significant`.
        first: Garment whose colours `first` has; empty if it has garments.
        second: The same of `second`.
    """
    sure = table[table["significant"]]
    if sure.empty:
        return "No pair occurs together significantly more, or less, often than by chance"
    above = sure[sure["lift"] > 1]
    row = _rows(above.nlargest(1, "low") if len(above) else sure.nsmallest(1, "high"))[0]
    one, other = f"{row['first']} {first}".strip(), f"{row['second']} {second}".strip()
    text = f"{one} with {other}: {row['lift']:.1f} times as often as expected by chance"
    return text[:1].upper() + text[1:]


def pair_change_finding(table: pd.DataFrame, label: str, other: str) -> str:
    """Sentence on the pair whose share differs most between two groups, of those that differ significantly.

    Args:
        table: Table of `pair_changes`.
        label: Name of the first group.
        other: Name of the other group.
    """
    sure = table[table["significant"]]
    if sure.empty:
        return f"No pair differs significantly between {label} and {other}"
    row = _rows(sure.loc[[sure["change"].abs().idxmax()]])[0]
    more = "more" if row["change"] > 0 else "less"
    return (
        f"{row['first']} with {row['second']} is worn {more} in {label} ({row['share']:.0%}) than in {other} "
        f"({row['other_share']:.0%})"
    )


def colour_change_finding(table: pd.DataFrame, garment: str, label: str, other: str) -> str:
    """Sentence on the colour of a garment that differs most between two groups; arguments as above."""
    sure = table[table["significant"]]
    if sure.empty:
        return f"No colour of {garment} differs significantly between {label} and {other}"
    row = _rows(sure.loc[[sure["change"].abs().idxmax()]])[0]
    return f"{row['colour'].capitalize()} {garment}: {row['share']:.0%} in {label}, {row['other_share']:.0%} in {other}"


def season_finding(table: pd.DataFrame, now: str, before: str) -> str:
    """Sentence on the greatest significant rise and fall from a season to the same of the year before.

    Args:
        table: Rows with `change` and `significant`, and `garment`, maybe `colour`.
        now: Name of the season.
        before: Name of that of the year before.
    """
    sure = table[table["significant"]]
    if sure.empty:
        return f"Nothing differs significantly between {before} and {now}"
    up, down = sure[sure["change"] > 0].nlargest(1, "change"), sure[sure["change"] < 0].nsmallest(1, "change")
    parts = [f"{_thing(row)} {100 * row['change']:+.0f} points" for row in _rows(pd.concat([up, down]))]
    return f"{', '.join(parts)} from {before} to {now}"


def rule_finding(table: pd.DataFrame) -> str:
    """Sentence on the significant rule with the largest lift: the share of its wearers, and of all outfits."""
    sure = table[table["significant"] & (table["lift"] > 0)]
    if sure.empty:
        return "No two of them are worn together significantly more often than by chance"
    row = _rows(sure.nlargest(1, "lift"))[0]
    wearers, then = str(row["first"]), str(row["second"])
    if "then" in row:
        wearers, then = f"{row['first']} and {row['second']}", str(row["then"])
    share, base = row["confidence"], row["confidence"] / row["lift"]
    return f"Of outfits with {wearers}, {share:.0%} also have {then}; of all outfits, {base:.0%}"


def companion_finding(table: pd.DataFrame, garment: str) -> str:
    """Sentence on the garment that differs most between outfits with and without another one."""
    sure = table[table["significant"]]
    if sure.empty:
        return f"Nothing is worn significantly more, or less, with {garment}"
    row = _rows(sure.loc[[sure["change"].abs().idxmax()]])[0]
    more = "more" if row["change"] > 0 else "less"
    return (
        f"With {garment}, {row['garment']} is worn {more}: {row['share']:.0%} against {row['other_share']:.0%} without"
    )


def lift_finding(table: pd.DataFrame, pair: str, first: str, last: str) -> str:
    """Sentence on the first and the last lift of a pair that are known.

    Args:
        table: `start`, `lift`.
        pair: The two garments, in words.
        first: Name of the first period with a lift.
        last: Name of the last period with one.
    """
    known = table.dropna(subset=["lift"]).sort_values("start")["lift"]
    before = f"{known.iloc[0]:.1f} times as often as expected by chance in {first}"
    return f"{pair}: {before}, {known.iloc[-1]:.1f} times in {last}"


def palette_finding(table: pd.DataFrame) -> str:
    """Sentence on the most frequent main colour of the two garments worn most."""
    most = table.groupby("garment", sort=False)["outfits"].sum().nlargest(2).index
    tops = [_rows(table[table["garment"] == name].nlargest(1, "share"))[0] for name in most]
    return "Most frequent main colour: " + ", ".join(
        f"{row['colour']} for {row['garment']} ({row['share']:.0%})" for row in tops
    )


def colour_finding(table: pd.DataFrame, garment: str) -> str:
    """Sentence on the most frequent main colours of a garment."""
    tops = [f"{row['colour']} ({row['share']:.0%})" for row in _rows(table.nlargest(2, "share"))]
    return f"Most frequent main colours of {garment}: {' and '.join(tops)}"


def _thing(row: dict[str, Any]) -> str:
    text = " ".join(str(row[key]) for key in ("colour", "garment") if key in row)
    return text[:1].upper() + text[1:]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return found
