"""Choices in the widgets of the views: read from a link, and kept while a view is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

__all__ = ["Chosen"]


class Chosen:
    """Initial values of each view's widgets, and the part of the link that restores them.

    Args:
        link: All values of each parameter; parameters without a widget in the view are ignored.
        link_number: Number of the link; part of the widgets' keys, as new widgets begin with what the link says.
        is_drawn: Whether there are widgets; without, the choices are those of the link.

    Attributes:
        link: Choices in the open view as parameters of a link, without those that are the default of every archive.
    """

    def __init__(self, link: Mapping[str, Sequence[str]], link_number: int = 0, *, is_drawn: bool = True) -> None:
        self.link_number = link_number
        self.is_drawn = is_drawn
        self.link: dict[str, list[str]] = {}
        self._linked = {name: list(values) for name, values in link.items()}
        self._kept: dict[tuple[str, str], list[str]] = {}
        self._place = ""
        self._sentences: list[str] = []

    def enter(self, tab: str) -> None:
        """Enters a tab."""
        self._place, self.link = tab, {}

    def enter_view(self, view: str) -> None:
        """Enters a view of the tab, whose widgets may have the same names as those of another view."""
        self._place += f"/{view}"

    def key(self, name: str, *parts: str) -> str:
        """Key of a widget; another part makes another widget."""
        return "-".join(["trends", *([str(self.link_number)] if self.link_number else []), self._place, name, *parts])

    def one(self, name: str, options: Sequence[str], usual: str) -> str:
        """Initial value of a widget.

        Args:
            name: Name of the widget in the link.
            options: Options of the widget.
            usual: Default, used if nothing was chosen or the choice is not an option now.
        """
        return self.some(name, options, [usual])[0]

    def some(self, name: str, options: Sequence[str], usual: Sequence[str]) -> list[str]:
        """Initial values of a widget that takes several; arguments as in `one`."""
        values = self._begin(name)
        for value in self._linked.pop(name, []):
            if value in options:
                values.append(value)
            else:
                self._refuse(name, value)
        return [value for value in values if value in options] or list(usual)

    def group(self, prefix: str) -> dict[str, list[str]]:
        """Initial values of a group of widgets, by the name of each without the prefix of the group."""
        kept = {name: values for (place, name), values in self._kept.items() if place == self._place}
        linked = {name: self._linked.pop(name) for name in list(self._linked) if name.startswith(prefix)}
        found = {name: values for name, values in {**linked, **kept}.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): list(values) for name, values in found.items()}

    def keep_group(self, prefix: str, values: Mapping[str, Sequence[str]]) -> None:
        """Keeps the current choices of a group, in place of those before; arguments as in `group`."""
        for place, name in [key for key in self._kept if key[0] == self._place and key[1].startswith(prefix)]:
            del self._kept[place, name]
        for name, some in values.items():
            self._kept[self._place, prefix + name] = list(some)
            self.link[prefix + name] = list(some)

    def days(self, name: str, usual: tuple[date, date]) -> tuple[date, date]:
        """Initial days of a widget that takes a first and a last day; arguments as in `one`."""
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

    def keep(self, name: str, values: Sequence[str], usual: Sequence[str], *, constant: bool = False) -> None:
        """Keeps the current choice.

        Args:
            name: Name of the widget in the link.
            values: Current choice; the default applies if it is empty.
            usual: Default, which may change between calls; a choice equal to it follows it.
            constant: Whether every archive has this default; if so, the link leaves it out. Any other default is
                written, so that the link shows the same after the archive has grown.
        """
        values = list(filter(None, values)) or list(filter(None, usual))
        self._kept.pop((self._place, name), None)
        if values != list(usual):
            self._kept[self._place, name] = values
        if values and not (constant and values == list(usual)):
            self.link[name] = values

    def complain(self, sentences: Sequence[str]) -> None:
        """Adds sentences on choices of the link that are not available, for `settle`."""
        self._sentences += sentences

    def settle(self) -> list[str]:
        """Ends the reading of the link; returns sentences on the choices that are not available."""
        found, self._sentences, self._linked = self._sentences, [], {}
        return found

    def _begin(self, name: str) -> list[str]:
        return list(self._kept.get((self._place, name), []))

    def _refuse(self, name: str, value: str) -> None:
        self._sentences.append(f'The value "{value[:40]}" for {name} in the link is not available here; it is ignored.')
