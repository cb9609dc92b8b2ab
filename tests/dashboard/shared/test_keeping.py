from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from dashboard.shared import keeping
from dashboard.shared.keeping import LINK, KeepingError, SessionStore, kept_for, kept_minutes


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
    store, photos = SessionStore(), Photos()
    store.put("a", photos)
    assert store.find("a", Photos) is photos
    assert store.find("b", Photos) is None and store.find("a", Clock) is None
    assert store.holds("a") and not store.holds("b")
    photos.size = 0
    assert not store.holds("a")


def test_a_visit_goes_some_time_after_the_last_look() -> None:
    clock = Clock()
    store, photos = SessionStore(seconds=100, clock=clock), Photos()
    store.put("a", photos)
    clock.now = 90
    store.put("a", photos)
    clock.now = 190
    assert store.find("a", Photos) is photos
    clock.now = 190.5
    assert store.find("a", Photos) is None


@pytest.mark.parametrize(
    ("text", "minutes", "words"),
    [
        ("", 120, "2 hours"),
        ("1", 1, "1 minute"),
        (" 90", 90, "90 minutes"),
        ("60", 60, "1 hour"),
        ("10080", 10080, "168 hours"),
    ],
)
def test_how_long_is_for_whoever_keeps_the_server_to_say(
    text: str, minutes: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_KEEP", text)
    assert kept_minutes() == minutes and kept_for() == words


@pytest.mark.parametrize("text", ["0", "-1", "2h", "1.5", "10081", "٣", "9" * 5000])
def test_what_is_no_number_of_minutes_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_KEEP", text)
    with pytest.raises(KeepingError, match=r"GARMENTSCOPE_KEEP is .* a whole number from 1 to 10080"):
        kept_minutes()


def test_the_one_not_looked_at_for_longest_goes_when_the_shelf_is_full() -> None:
    store = SessionStore(most_bytes=25)
    for visit in "abac":
        store.put(visit, Photos())
    assert [store.find(visit, Photos) is None for visit in "abc"] == [False, True, False]
    store.put("d", Photos(size=1000))
    assert [store.find(visit, Photos) is None for visit in "acd"] == [True, True, False], "the newest stays"


def test_what_is_dropped_is_forgotten() -> None:
    store, photos = SessionStore(), Photos()
    store.put("a", photos)
    store.drop("a")
    assert photos.forgotten and store.find("a", Photos) is None
    store.drop("a")


def test_another_visitor_gets_a_copy_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class State:
        photos: dict[str, str] = field(default_factory=dict)

        @property
        def size(self) -> int:
            return len(self.photos)

        def start_over(self) -> None:
            self.photos = {}

    store = SessionStore()
    monkeypatch.setattr(keeping, "_store", lambda: store)

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
    with monkeypatch.context() as signing_in:
        signing_in.setattr(keeping.sign_in, "is_needed", lambda: True)
        arrive("bob", visit=link)
        assert keeping.kept(State) is None and "for you alone" in keeping.privacy_text()
        arrive("ann", visit=link)
        assert keeping.kept(State) is mine, "in whichever browser"
    arrive("ann", visit=link)
    assert keeping.kept(State) is mine and mine.photos == {"a": "coat"}
