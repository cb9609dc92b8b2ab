"""What is chosen in the views' own widgets: as a link has it, and kept while a view is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

__all__ = ["Chosen"]


class Chosen:
    """What each view's widgets begin with, and the part of the link that brings it back.

    Args:
        link: All values of each parameter; those that no widget of the view has are passed over.

    Attributes:
        link: What is chosen in the open view, where it differs from what is usual, as parameters.
    """

    def __init__(self, link: Mapping[str, Sequence[str]]) -> None:
        self.link: dict[str, list[str]] = {}
        self._linked = {name: list(values) for name, values in link.items()}
        self._kept: dict[tuple[str, str], list[str]] = {}
        self._place = ""
        self._sentences: list[str] = []

    def enter(self, tab: str) -> None:
        """Goes to a tab."""
        self._place, self.link = tab, {}

    def enter_view(self, view: str) -> None:
        """Goes to a view of the tab, whose widgets may have the names of another view's."""
        self._place += f"/{view}"

    def key(self, name: str, *parts: str) -> str:
        """Of a widget, which is another one where a part of it is."""
        return "-".join(["trends", self._place, name, *parts])

    def one(self, name: str, options: Sequence[str], usual: str) -> str:
        """What a widget begins with.

        Args:
            name: Name of the widget in the link.
            options: Options of the widget.
            usual: Option to begin with where nothing was chosen, or something that is no option now.
        """
        return self.some(name, options, [usual])[0]

    def some(self, name: str, options: Sequence[str], usual: Sequence[str]) -> list[str]:
        """The same of a widget that takes several."""
        values = self._begin(name)
        for value in self._linked.pop(name, []):
            if value in options:
                values.append(value)
            else:
                self._refuse(name, value)
        return [value for value in values if value in options] or list(usual)

    def days(self, name: str, usual: tuple[date, date]) -> tuple[date, date]:
        """The same of a widget that takes a first and a last day."""
        values = self._begin(name) or self._linked.pop(name, [])
        try:
            first, last = map(date.fromisoformat, values)
        except ValueError:
            first, last = date.max, date.min
        if first <= last:
            return first, last
        if values:
            self._refuse(name, " ".join(values))
        return usual

    def keep(self, name: str, values: Sequence[str], usual: Sequence[str]) -> None:
        """Takes over what is chosen now; what is usual may be something else another time."""
        self._kept.pop((self._place, name), None)
        if values and list(values) != list(usual):
            self._kept[self._place, name] = self.link[name] = list(values)

    def settle(self) -> list[str]:
        """Ends the reading of the link: sentences on what of it cannot be chosen."""
        found, self._sentences, self._linked = self._sentences, [], {}
        return found

    def _begin(self, name: str) -> list[str]:
        return list(self._kept.get((self._place, name), []))

    def _refuse(self, name: str, value: str) -> None:
        self._sentences.append(f'The value "{value[:40]}" for {name} in the link is not available here; it is ignored.')
