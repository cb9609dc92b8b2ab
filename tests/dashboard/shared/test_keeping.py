from dataclasses import dataclass

from dashboard.shared.keeping import Shelf


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
