"""What the Trends page keeps for a visitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dashboard.trends.chosen import Chosen
from dashboard.trends.moodboard import Board
from segmodels.archive.counts import Counting
from segmodels.archive.facts import View
from segmodels.archive.filters import from_link
from segmodels.taxonomy import Taxonomy

__all__ = ["TrendsState"]


@dataclass
class TrendsState:
    """State of the Trends page.

    Args:
        archive: Name of the archive that is open; None before one is.
        version: Label of the model whose results are shown; None before one of several is chosen.
        link_read: Whether filters, choices and click of the page's address have been taken over.
        kinds: Whether kinds are counted where classes have some; None before the address was read.
        view: Filters.
        generation: Number of times that the filters were set other than by their widgets; part of the widgets' keys, as
            new widgets begin with the values of `view`.
        chosen: Choices in the widgets of the tabs' views.
        clicked: Key of a section and code of what was clicked in its chart; both empty if nothing was.
        link_number: Number of times that a link was followed within the page, or by the browser's Back; part of the
            keys of the tabs and of the widgets in them.
        tab: Name of the tab that was followed to; empty for that of the address.
        more: Number of photos to list beyond the first few.
        picked: Ids of the photos that are chosen in the gallery, in the order of the choice.
        alike: Photo and person whose like the gallery shows, and the words of the gallery in which it was chosen; None
            for the photos behind a number.
        board: Moodboard that was arranged last; None before one was.
        saved: Name of the saved view that was opened last; empty before one was.
        sentences: Sentences on what was wrong in the address.
    """

    archive: str | None = None
    version: str | None = None
    link_read: bool = False
    kinds: bool | None = None
    view: View = field(default_factory=View)
    generation: int = 0
    chosen: Chosen = field(default_factory=lambda: Chosen({}))
    clicked: tuple[str, str] = ("", "")
    link_number: int = 0
    tab: str = ""
    more: int = 0
    picked: list[str] = field(default_factory=list)
    alike: tuple[str, int, str] | None = None
    board: Board | None = None
    saved: str = ""
    sentences: list[str] = field(default_factory=list)

    def read_link(
        self,
        link: Mapping[str, Sequence[str]],
        taxonomy: Taxonomy,
        tags: Mapping[str, Sequence[str]],
        countings: Sequence[Counting] = ("raw",),
    ) -> None:
        """Takes over filters, choices and click of the page's address, once for a visit.

        Args:
            link: All values of each parameter.
            taxonomy: Taxonomy of the archive.
            tags: Values by tag that the archive has.
            countings: Ways of counting that the archive has, the default first.
        """
        if self.link_read:
            return
        self.link_read = True
        self.view, sentences = from_link(link, taxonomy, tags, countings)
        self.sentences = [*self.sentences, *sentences]
        self._choose_by(link)

    def return_to_link(self) -> None:
        """Forgets the view, so that that of the page's address is read again: the visitor went back or forward."""
        self.archive, self.version, self.kinds, self.link_read, self.tab = None, None, None, False, ""
        self.saved = ""
        self.generation += 1
        self.link_number += 1

    def follow(self, tab: str, link: Mapping[str, Sequence[str]]) -> None:
        """Opens a tab with other choices, and keeps the filters.

        Args:
            tab: Name of the tab.
            link: Choices in the tab, as parameters of a link.
        """
        self.tab = tab
        self.link_number += 1
        self._choose_by(link)

    def _choose_by(self, link: Mapping[str, Sequence[str]]) -> None:
        self.chosen, self.more = Chosen(link, self.link_number), 0
        key, _, code = (link.get("photos") or [""])[-1].partition(":")
        self.clicked = (key, code)

    def count_kinds(self, kinds: bool) -> None:
        """Counts kinds or classes; a filter on garments goes, as it names the others."""
        self.kinds, self.clicked, self.more = kinds, ("", ""), 0
        self.filter_by(replace(self.view, garments=()))

    def open_archive(self, name: str) -> None:
        """Opens another archive, without filters."""
        self.archive, self.version, self.clicked, self.more, self.picked = name, None, ("", ""), 0, []
        self.saved = ""
        self.link_read = True
        self.filter_by(View())

    def pick(self, photo_id: str) -> None:
        """Chooses a photo of the gallery, or no longer."""
        if photo_id in self.picked:
            self.picked.remove(photo_id)
        else:
            self.picked.append(photo_id)

    def look_like(self, alike: tuple[str, int, str] | None) -> None:
        """Shows the outfits like one in the gallery, or again those behind the number."""
        self.alike = alike

    def filter_by(self, view: View) -> None:
        """Sets other filters, in the widgets too."""
        self.view, self.sentences = view, []
        self.generation += 1

    def click(self, key: str, code: str) -> None:
        """Takes over a click in a chart: the key of its section, and the code of what was clicked."""
        self.clicked, self.more = (key, code), 0
