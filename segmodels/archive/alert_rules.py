"""Rules of alerts: a share of a garment above a threshold, below it, or changing by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from segmodels.archive.facts import PERIODS, Period, View

__all__ = ["LEAST_OUTFITS", "Rule", "Way", "fault"]

Way = Literal["above", "below", "change"]
"""How a share meets a rule: it is above a threshold, below it, or changes by it from one period to the next."""

LEAST_OUTFITS = 30
"""Fewest outfits from which a share can raise an alert, unless a rule says otherwise."""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Args:
        garment: Class or kind of garment, as Trends names it.
        way: Whether the share is to be above a threshold, below it, or to change by it from a period to the next.
        threshold: The threshold, 0 to 1; of a change in points of share.
        period: Period of which the latest one counts; None for all outfits.
        tags: Pairs of a tag and a value that the photos have.
        least: Fewest outfits, below which nothing is raised.
        by_value: Whether the share itself is compared, and not its interval.
        by: Who set it; empty if that is not known.
        at: Time at which it was set, UTC.
    """

    garment: str
    way: Way
    threshold: float
    period: Period | None = None
    tags: tuple[tuple[str, str], ...] = ()
    least: int = LEAST_OUTFITS
    by_value: bool = False
    by: str = ""
    at: str = ""

    @property
    def words(self) -> str:
        """The rule in words, by which it is known: `Coat above 20%, by month`."""
        text = f"{self.garment} {'changes by' if self.way == 'change' else self.way} {self.threshold * 100:g}"
        text += " points" if self.way == "change" else "%"
        text += f", by {self.period}" if self.period else ""
        text += "".join(f", {name} {value}" for name, value in self.tags)
        text += f", from {self.least:,} outfits" if self.least != LEAST_OUTFITS else ""
        return text + (", by the value alone" if self.by_value else "")

    @property
    def view(self) -> View:
        """The filters of the rule."""
        names = dict.fromkeys(name for name, _ in self.tags)
        tags = tuple((name, tuple(value for key, value in self.tags if key == name)) for name in names)
        return View(tags=tags)

    def to_json(self) -> dict[str, Any]:
        """The rule for a file."""
        return asdict(self) | {"tags": [list(pair) for pair in self.tags]}

    @classmethod
    def from_json(cls, value: Any) -> Rule:
        """The rule of a file.

        Raises:
            ValueError: If it is none.
        """
        try:
            tags = tuple((str(name), str(text)) for name, text in value["tags"])
            rule = cls(**{**value, "tags": tags})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("it is no rule") from error
        if wrong := fault(rule):
            raise ValueError(wrong)
        return rule


def fault(rule: Rule) -> str:
    """What is wrong with a rule, as a sentence; empty if nothing is."""
    number = isinstance(rule.threshold, int | float) and not isinstance(rule.threshold, bool)
    if rule.way not in ("above", "below", "change") or not isinstance(rule.garment, str):
        return "An alert is on a share above, below, or on a change."
    if not number or not 0 < rule.threshold < 1:
        return "The threshold of an alert lies between 0 and 100 percent."
    if rule.period is not None and rule.period not in PERIODS:
        return f"The period of an alert is one of {', '.join(PERIODS)}."
    if rule.way == "change" and rule.period is None:
        return "An alert on a change needs a period, such as a month, to compare with the one before."
    if type(rule.least) is not int or not 1 <= rule.least <= 1_000_000_000:
        return "The fewest outfits of an alert are 1 or more."
    return ""
