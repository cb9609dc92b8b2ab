from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from dashboard.shared import keeping
from dashboard.shared.keeping import LINK, Shelf


@dataclass
class Photos:
    size: int = 10
    forgotten: bool = False

    def start_over(self) -> None:
        self.forgotten = True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_state_is_found_by_its_id_and_class() -> None:
    shelf, photos = Shelf(), Photos()
    shelf.put("a", photos)
    assert shelf.find("a", Photos) is photos
    assert shelf.find("b", Photos) is None and shelf.find("a", Clock) is None
    assert shelf.holds("a") and not shelf.holds("b")
    photos.size = 0
    assert not shelf.holds("a")


def test_a_visit_goes_some_time_after_the_last_look() -> None:
    clock = Clock()
    shelf, photos = Shelf(seconds=100, clock=clock), Photos()
    shelf.put("a", photos)
    clock.now = 90
    shelf.put("a", photos)
    clock.now = 190
    assert shelf.find("a", Photos) is photos
    clock.now = 190.5
    assert shelf.find("a", Photos) is None


def test_the_one_not_looked_at_for_longest_goes_when_the_shelf_is_full() -> None:
    shelf = Shelf(most_bytes=25)
    for visit in "abac":
        shelf.put(visit, Photos())
    assert [shelf.find(visit, Photos) is None for visit in "abc"] == [False, True, False]
    shelf.put("d", Photos(size=1000))
    assert [shelf.find(visit, Photos) is None for visit in "acd"] == [True, True, False], "the newest stays"


def test_what_is_dropped_is_forgotten() -> None:
    shelf, photos = Shelf(), Photos()
    shelf.put("a", photos)
    shelf.drop("a")
    assert photos.forgotten and shelf.find("a", Photos) is None
    shelf.drop("a")


def test_another_visitor_gets_a_copy_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class State:
        photos: dict[str, str] = field(default_factory=dict)

        @property
        def size(self) -> int:
            return len(self.photos)

        def start_over(self) -> None:
            self.photos = {}

    shelf = Shelf()
    monkeypatch.setattr(keeping, "_shelf", lambda: shelf)

    def arrive(who: str, **query: str) -> None:
        monkeypatch.setattr(keeping, "visitor", lambda: who)
        monkeypatch.setattr(keeping, "st", SimpleNamespace(session_state={}, query_params=dict(query)))

    arrive("ann")
    mine = State({"a": "coat"})
    keeping.keep(mine)
    link = keeping.st.query_params[LINK]

    arrive("ann", visit=link)
    assert keeping.kept(State) is mine

    arrive("bob", visit=link)
    theirs = keeping.kept(State)
    assert theirs is not None and theirs is not mine and theirs.photos == {"a": "coat"}
    theirs.photos["b"] = "secret"
    keeping.keep(theirs)
    assert keeping.st.query_params[LINK] != link and mine.photos == {"a": "coat"}
    keeping.forget(theirs)
    arrive("ann", visit=link)
    assert keeping.kept(State) is mine and mine.photos == {"a": "coat"}
