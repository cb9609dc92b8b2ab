"""The queue without a network: each task waits at a gate that the test opens, so that nothing depends on time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future

import pytest

from dashboard.shared.inference_queue import Batch, Flow, InferenceQueue

WAIT = 60.0
"""Seconds after which a test gives up."""


class Gate:
    """Work that begins when its turn has come and ends when the test says so."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self._changed = threading.Condition()
        self._open: set[str] = set()

    def work(self, name: str) -> str:
        with self._changed:
            self.began.append(name)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: name in self._open, WAIT)
        return name

    def open(self, *names: str) -> None:
        with self._changed:
            self._open.update(names)
            self._changed.notify_all()

    def wait(self, count: int) -> list[str]:
        """The names that have begun, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.began) >= count, WAIT), self.began
            return list(self.began)


@pytest.fixture
def gate() -> Gate:
    return Gate()


Make = Callable[..., InferenceQueue]


@pytest.fixture
def make(gate: Gate) -> Iterator[Make]:
    """Makes queues that are closed when the test ends."""
    made: list[InferenceQueue] = []

    def queue(slots: int = 1, **options: object) -> InferenceQueue:
        made.append(InferenceQueue(slots, **options))  # type: ignore[arg-type]
        return made[-1]

    yield queue
    gate.open(*gate.began)
    for each in made:
        each.close(WAIT)


def ask(flow: Flow, gate: Gate, *names: str) -> list[Future[str]]:
    return [flow.submit(gate.work, name) for name in names]


def serve(gate: Gate, count: int) -> list[str]:
    """Lets one photo after another be done; gives the order in which they began."""
    for number in range(1, count + 1):
        gate.open(gate.wait(number)[-1])
    return gate.began


def test_fifty_photos_hold_up_another_visitor_by_one(make: Make, gate: Gate) -> None:
    queue = make()
    fifty = ask(queue.flow(), gate, *(f"a{number}" for number in range(50)))
    gate.wait(1)
    (one,) = ask(queue.flow(), gate, "b")
    gate.open("a0", "a1", "b")
    assert one.result(WAIT) == "b"
    assert gate.wait(3)[:3] == ["a0", "a1", "b"] and sum(future.done() for future in fifty) == 2


def test_turns_go_round_the_visitors_and_each_keeps_its_order(make: Make, gate: Gate) -> None:
    queue = make()
    ask(queue.flow(), gate, "a1", "a2", "a3")
    gate.wait(1)
    ask(queue.flow(), gate, "b1", "b2")
    ask(queue.flow(), gate, "c1")
    assert serve(gate, 6) == ["a1", "a2", "b1", "c1", "a3", "b2"]


def test_the_place_counts_the_photos_of_others_that_come_first(make: Make, gate: Gate) -> None:
    queue = make()
    flows = [queue.flow() for _ in range(4)]
    ask(flows[0], gate, "a1")
    gate.wait(1)
    for flow, name in zip(flows[1:], "bcd", strict=True):
        ask(flow, gate, f"{name}1", f"{name}2")
    ask(flows[0], gate, "a2")
    assert [flow.before() for flow in flows] == [0, 1, 2, 3]
    gate.open("a1")
    gate.wait(2)
    assert [flow.before() for flow in flows] == [3, 0, 1, 2]
    assert queue.flow().before() == 0, "who waits for nothing has nobody before"


def test_whoever_leaves_makes_room(make: Make, gate: Gate) -> None:
    queue = make()
    first, second, third = (queue.flow() for _ in range(3))
    (running,) = ask(first, gate, "a")
    gate.wait(1)
    dropped = ask(second, gate, "b1", "b2")
    ask(third, gate, "c")
    assert third.before() == 2
    second.leave()
    assert third.before() == 1 and all(future.cancelled() for future in dropped)
    gate.open("a")
    assert gate.wait(2) == ["a", "c"] and running.result(WAIT) == "a"
    with pytest.raises(RuntimeError):
        second.submit(gate.work, "b3")


def test_a_photo_in_work_is_finished_when_its_visitor_leaves(make: Make, gate: Gate) -> None:
    queue = make()
    with queue.flow() as flow:
        running, waiting = ask(flow, gate, "a1", "a2")
        gate.wait(1)
    gate.open("a1")
    assert running.result(WAIT) == "a1"
    with pytest.raises(CancelledError):
        waiting.result(WAIT)


def test_an_exception_in_the_page_leaves_the_queue(make: Make, gate: Gate) -> None:
    queue = make()
    with pytest.raises(KeyError), queue.flow() as flow:
        waiting = ask(flow, gate, "a1", "a2")[1]
        gate.wait(1)
        raise KeyError
    assert waiting.cancelled()


def test_a_future_that_is_cancelled_is_passed_over(make: Make, gate: Gate) -> None:
    flow = make().flow()
    _, second, third = ask(flow, gate, "a", "b", "c")
    gate.wait(1)
    assert second.cancel()
    gate.open("a", "c")
    assert third.result(WAIT) == "c" and gate.began == ["a", "c"]


@pytest.mark.parametrize(
    "error", [ValueError("no"), MemoryError(), SystemExit(3)], ids=lambda each: type(each).__name__
)
def test_a_photo_that_fails_harms_nobody_else(make: Make, gate: Gate, error: BaseException) -> None:
    def fail() -> None:
        raise error

    queue = make()
    bad, good = queue.flow(), queue.flow()
    failing, next_of_bad = bad.submit(fail), bad.submit(gate.work, "a")
    (fine,) = ask(good, gate, "b")
    gate.open("a", "b")
    assert failing.exception(WAIT) is error
    assert (next_of_bad.result(WAIT), fine.result(WAIT)) == ("a", "b")


def test_a_setting_of_threads_that_fails_is_the_photos_failure(make: Make, gate: Gate) -> None:
    def refuse(slots: int) -> None:
        raise OSError("no threads")

    (photo,) = ask(make(use_threads=refuse).flow(), gate, "a")
    assert isinstance(photo.exception(WAIT), OSError)


def test_a_photo_alone_has_all_slots_and_many_share_them(make: Make, gate: Gate) -> None:
    used: list[int] = []
    queue = make(4, use_threads=used.append)
    ask(queue.flow(), gate, "alone")
    gate.wait(1)
    assert used == [4]
    for name in "abcdef":
        ask(queue.flow(), gate, name)
    assert gate.began == ["alone"], "the next waits until it is done"
    gate.open("alone")
    gate.wait(5)
    assert used == [4, 1, 1, 1, 1]
    gate.open(*"abcd")
    gate.wait(7)
    assert sum(used[5:]) <= 4


def test_two_share_the_slots_of_four(make: Make, gate: Gate) -> None:
    used: list[int] = []
    queue = make(4, use_threads=used.append)
    ask(queue.flow(), gate, "alone")
    gate.wait(1)
    ask(queue.flow(), gate, "a", "b")
    gate.open("alone")
    gate.wait(3)
    assert used == [4, 2, 2]


def test_a_limit_of_slots_holds_for_a_photo_alone(make: Make, gate: Gate) -> None:
    used: list[int] = []
    queue = make(4, most=1, use_threads=used.append)
    flow = queue.flow()
    ask(flow, gate, "a")
    gate.wait(1)
    ask(flow, gate, "b")
    assert set(gate.wait(2)) == {"a", "b"} and used == [1, 1]


def test_the_time_left_counts_the_turns_of_others(make: Make, gate: Gate) -> None:
    queue = make()
    first, second = queue.flow(), queue.flow()
    assert first.seconds_left() is None
    (done,) = ask(first, gate, "a0")
    gate.open("a0")
    done.result(WAIT)
    queue._state.costs.clear()
    queue._state.costs.append(2.0)
    ask(first, gate, *(f"a{number}" for number in range(1, 11)))
    gate.wait(2)
    ask(second, gate, "b1", "b2")
    assert second.seconds_left() == 2.0 * (1 + 2 + 2)  # one in work, and two turns of each
    assert first.seconds_left() == 2.0 * (1 + 9 + 2)


def test_workers_end_when_idle_and_start_again(make: Make, gate: Gate) -> None:
    ended = threading.Semaphore(0)
    queue = make(2, when_idle=ended.release, idle_seconds=0.01)
    gate.open("a", "b")
    for name in "ab":
        (photo,) = ask(queue.flow(), gate, name)
        assert photo.result(WAIT) == name
        assert ended.acquire(timeout=WAIT)
        assert not queue._workers


def test_closing_drops_what_waits_and_waits_for_what_is_in_work(make: Make, gate: Gate) -> None:
    queue = make()
    flow = queue.flow()
    running, waiting = ask(flow, gate, "a", "b")
    gate.wait(1)
    closing = threading.Thread(target=queue.close, args=(WAIT,))
    closing.start()
    with pytest.raises(CancelledError):
        waiting.result(WAIT)
    assert closing.is_alive() and not running.done()
    gate.open("a")
    closing.join(WAIT)
    assert running.result(WAIT) == "a" and not queue._workers
    with pytest.raises(RuntimeError):
        queue.flow().submit(gate.work, "c")


def test_shutdown_as_of_a_pool_waits_for_what_is_in_work(make: Make, gate: Gate) -> None:
    flow = make().flow()
    running, waiting = ask(flow, gate, "a", "b")
    gate.wait(1)
    leaving = threading.Thread(target=flow.shutdown)
    leaving.start()
    with pytest.raises(CancelledError):
        waiting.result(WAIT)
    assert leaving.is_alive()
    gate.open("a")
    leaving.join(WAIT)
    assert not leaving.is_alive() and running.result(WAIT) == "a"


def test_a_queue_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="slots"):
        InferenceQueue(0)


def test_photos_can_be_withdrawn(gate: Gate, make: Make) -> None:
    queue = make()
    with queue.flow() as flow, queue.flow() as other:
        first, second, third = (flow.submit(gate.work, name) for name in "abc")
        gate.wait(1)
        assert queue.load() == (2, 1)
        flow.withdraw([first, second])
        assert second.cancelled() and not first.cancelled() and queue.load() == (1, 1)
        flow.withdraw([third])
        assert third.cancelled() and queue.load() == (0, 1)
        last = other.submit(gate.work, "d")
        gate.open("a", "d")
        assert (first.result(WAIT), last.result(WAIT)) == ("a", "d") and gate.began == ["a", "d"]


def test_photos_of_several_visitors_go_together(gate: Gate, make: Make) -> None:
    """In the order of turns, as many as a batch takes; what is of another kind keeps its turn."""
    together: list[list[str]] = []

    def work(photos: Sequence[str]) -> list[object]:
        together.append(list(photos))
        return [ValueError(each) if each == "a2" else each.upper() for each in photos]

    queue = make()
    one, two, three = queue.flow(), queue.flow(), queue.flow()
    held = one.submit(gate.work, "held")
    gate.wait(1)
    batch, again = Batch("x", work, 4), Batch("x", work, 4)
    other = Batch("y", work, 4)
    futures = [one.submit_to(batch, name) for name in ("a1", "a2", "a3")]
    alone = two.submit(gate.work, "alone")
    futures += [two.submit_to(again, "b1"), three.submit_to(again, "c1"), three.submit_to(other, "c2")]
    dropped = three.submit_to(again, "c3")
    dropped.cancel()
    gate.open("held", "alone")
    for future in (held, alone, *futures):
        future.exception(WAIT)
    assert together == [["a1", "c1", "a2", "a3"], ["c2"], ["b1"]] and gate.began == ["held", "alone"]
    assert [each.result() for each in futures if each is not futures[1]] == ["A1", "A3", "B1", "C1", "C2"]
    with pytest.raises(ValueError, match="a2"):
        futures[1].result()
    assert dropped.cancelled() and queue.load() == (0, 0)


def test_a_batch_that_fails_fails_all_its_photos(make: Make) -> None:
    queue = make()
    flow = queue.flow()
    short, broken = Batch("a", lambda photos: [], 4), Batch("b", lambda photos: 1 // 0, 4)
    with pytest.raises(RuntimeError, match="1 photos has 0 results"):
        flow.submit_to(short, "a").result(WAIT)
    with pytest.raises(ZeroDivisionError):
        flow.submit_to(broken, "b").result(WAIT)
    assert flow.submit(str, 1).result(WAIT) == "1"
