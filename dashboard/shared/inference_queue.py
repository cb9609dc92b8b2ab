"""The queue in which the photos of all visitors wait for the networks: one for a server, in fair turn.

Twenty threads that run a network at once fight for the processor, and each keeps memory of its own. Here a few workers
take one photo after another: the visitors' turns go round, and the photos of one visitor keep their order. A visitor
with fifty photos delays another one's photo by a single photo, not by fifty.

The machine is divided into slots, one for each thread of a processor. A photo takes its share of the slots that are
free: all of them if no other photo waits, which is fastest for the one visitor, and a single one if many wait, which
is fastest for all of them together. A photo that holds all slots is finished before the next one begins.

Photos that were submitted to a `Batch` go through the network together with others of the same batch, of whichever
visitors: those whose turn comes next, as many as the batch takes. None waits for others to come.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

__all__ = ["Batch", "Flow", "InferenceQueue"]

P = ParamSpec("P")
T = TypeVar("T")

_MEASURED = 32  # photos over which the pace is averaged


@dataclass(frozen=True)
class Batch:
    """Work on several photos at once.

    Args:
        key: Photos of batches with equal keys go together.
        work: Function that takes photos and gives the result of each, or the exception that it is to raise.
        most: Most photos that it takes.
    """

    key: Hashable
    work: Callable[[Sequence[Any]], Sequence[Any]]
    most: int


@dataclass(eq=False)
class _Task:
    """One photo: what to do with it, and where the result goes."""

    flow: Flow
    future: Future[Any]
    work: Callable[[], Any]
    slots: int = 0
    batch: Batch | None = None
    photo: Any = None


@dataclass(eq=False)
class _State:
    """What the workers and the flows share; `changed` guards all of it."""

    free: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    turns: deque[Flow] = field(default_factory=deque)  # flows with waiting photos, the next one first
    running: list[_Task] = field(default_factory=list)
    costs: deque[float] = field(default_factory=lambda: deque(maxlen=_MEASURED))  # seconds of the whole machine a photo


class InferenceQueue:
    """Runs the tasks of all flows, each flow in its turn.

    The workers are threads that start when there is work and end when there has been none for a while.

    Args:
        slots: Number of photos that can be in work at once.
        most: Largest number of slots that one photo takes; all if left out.
        use_threads: Function that is called in a worker's thread before each photo, with the photo's number of slots.
        when_idle: Function that is called in the last worker's thread before that ends.
        idle_seconds: Time without work after which a worker ends.
    """

    def __init__(
        self,
        slots: int,
        *,
        most: int | None = None,
        use_threads: Callable[[int], object] = lambda slots: None,
        when_idle: Callable[[], object] = lambda: None,
        idle_seconds: float = 5.0,
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots: expected at least 1, got {slots}.")
        self.slots = slots
        self._most = most or slots
        self._use_threads, self._when_idle, self._idle_seconds = use_threads, when_idle, idle_seconds
        self._state = _State(free=slots)
        self._workers: set[threading.Thread] = set()
        self._resting = 0  # workers that wait for a photo
        self._closed = False

    def flow(self) -> Flow:
        """A new place to submit photos from; leave it (`with` does) when the visitor is gone."""
        return Flow(self, self._state)

    def load(self) -> tuple[int, int]:
        """Number of photos that wait, and of those in work, of all flows."""
        with self._state.changed:
            return sum(len(flow._waiting) for flow in self._state.turns), len(self._state.running)

    def close(self, seconds: float = 5.0) -> None:
        """Drops what waits, refuses what comes, and waits for the photos in work, but no longer than `seconds`."""
        with self._state.changed:
            self._closed = True
            flows = list(self._state.turns)
        for flow in flows:
            flow.leave()
        deadline = time.monotonic() + seconds
        with self._state.changed:
            self._state.changed.notify_all()
            workers = list(self._workers)
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _accept(self, task: _Task) -> None:
        with self._state.changed:
            if self._closed or task.flow.left:
                raise RuntimeError("Nothing can be submitted after the flow has ended.")
            task.flow._waiting.append(task)
            if len(task.flow._waiting) == 1:
                self._state.turns.append(task.flow)
            self._call_workers()

    def _call_workers(self) -> None:
        """Wakes the workers that are needed, and starts those that are missing. Called with the lock held."""
        waiting = sum(len(flow._waiting) for flow in self._state.turns)
        wanted = min(waiting, self._state.free, self.slots)
        for _ in range(self._resting, wanted):
            if len(self._workers) == self.slots:
                break
            worker = threading.Thread(target=self._work, name="inference", daemon=True)
            self._workers.add(worker)
            self._resting += 1
            worker.start()
        self._state.changed.notify_all()

    def _work(self) -> None:
        """What a worker does: one photo, or batch, after another."""
        while tasks := self._next():
            wanted = [task for task in tasks if task.future.set_running_or_notify_cancel()]
            if wanted:
                started = time.perf_counter()
                try:
                    self._use_threads(tasks[0].slots)
                    results = _results(wanted)
                except BaseException as error:  # belongs to the photos' visitors; the worker goes on
                    results = [error] * len(wanted)
                self._end(tasks, len(wanted), time.perf_counter() - started)
                for task, result in zip(wanted, results, strict=True):
                    if isinstance(result, BaseException):
                        task.future.set_exception(result)
                    else:
                        task.future.set_result(result)
                    del result
                del task, results
            else:
                self._end(tasks, 0, 0.0)
            del tasks, wanted  # else the last photos and their results would stay in memory

    def _next(self) -> list[_Task]:
        """Waits for the photo whose turn it is, and takes those of its batch; empty if the worker is to end."""
        state = self._state
        with state.changed:
            state.changed.wait_for(lambda: (state.turns and state.free) or self._closed, self._idle_seconds)
            self._resting -= 1
            if not (state.turns and state.free):
                self._workers.discard(threading.current_thread())
                last = not self._workers
            else:
                waiting = sum(len(flow._waiting) for flow in state.turns)
                flow = state.turns.popleft()
                task = flow._waiting.popleft()
                if flow._waiting:
                    state.turns.append(flow)
                task.slots = min(self._most, max(1, state.free // waiting))
                state.free -= task.slots
                tasks = [task, *self._companions(task)]
                state.running += tasks
                return tasks
        if last:
            self._when_idle()
        return []

    def _companions(self, task: _Task) -> list[_Task]:
        """Takes the photos that go along with one, in the order of turns. Called with the lock held."""
        found: list[_Task] = []
        turns, batch = self._state.turns, task.batch
        passed = 0  # flows whose next photo is of another kind
        while batch and turns and passed < len(turns) and len(found) < batch.most - 1:
            flow = turns.popleft()
            first = flow._waiting[0]
            if first.batch and first.batch.key == batch.key:
                found.append(flow._waiting.popleft())
                passed = 0
            else:
                passed += 1
            if flow._waiting:
                turns.append(flow)
        turns.rotate(passed)  # those that were passed over keep their turns
        return found

    def _end(self, tasks: Sequence[_Task], done: int, seconds: float) -> None:
        """Gives the slots of some photos back.

        Args:
            tasks: The photos; the slots are with the first.
            done: Number of them that were not cancelled.
            seconds: Seconds that these took.
        """
        slots = tasks[0].slots
        with self._state.changed:
            for task in tasks:
                self._state.running.remove(task)
            self._state.free += slots
            self._state.costs.extend([seconds * slots / self.slots / done] * done if done else [])
            self._resting += 1
            self._call_workers()


def _results(tasks: Sequence[_Task]) -> Sequence[Any]:
    """The result of each photo, or what it is to raise."""
    if (batch := tasks[0].batch) is None:
        return [tasks[0].work()]
    results = batch.work([task.photo for task in tasks])
    if len(results) != len(tasks):
        raise RuntimeError(f"A batch of {len(tasks)} photos has {len(results)} results.")
    return results


class Flow(Executor):
    """The photos of one visitor (a flow, in fair queueing), an executor: `shutdown` and `with` leave the queue.

    Obtained from `InferenceQueue.flow`.
    """

    def __init__(self, queue: InferenceQueue, state: _State) -> None:
        self._queue, self._state = queue, state
        self._waiting: deque[_Task] = deque()
        self._left = False

    @property
    def left(self) -> bool:
        """Whether the visitor has left."""
        return self._left

    @property
    def slots(self) -> int:
        """Number of photos that the queue has in work at once."""
        return self._queue.slots

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Puts a photo behind the others of this visitor.

        Args:
            fn: Function that does the work, in a worker's thread.
            *args: Positional arguments of the function.
            **kwargs: Keyword arguments of the function.

        Raises:
            RuntimeError: If the visitor has left or the server stops.
        """
        future: Future[T] = Future()
        self._queue._accept(_Task(self, future, lambda: fn(*args, **kwargs)))
        return future

    def submit_to(self, batch: Batch, photo: Any) -> Future[Any]:
        """Puts a photo that may go through the network with others behind the others of this visitor.

        Args:
            batch: What is done with it and with others.
            photo: What its function takes of this photo.

        Raises:
            RuntimeError: As `submit` does.
        """
        future: Future[Any] = Future()
        self._queue._accept(_Task(self, future, lambda: None, batch=batch, photo=photo))
        return future

    def before(self) -> int:
        """Number of photos of others that come before this visitor's next one; 0 if one of its own is in work."""
        with self._state.changed:
            if self not in self._state.turns or any(task.flow is self for task in self._state.running):
                return 0
            return len(self._state.running) + self._state.turns.index(self)

    def seconds_left(self) -> float | None:
        """Time until this visitor's last photo is done, if nobody else comes; None before the first photo of all."""
        with self._state.changed:
            costs, mine = self._state.costs, len(self._waiting)
            if not costs:
                return None
            photos = mine + len(self._state.running)
            if mine:
                place = self._state.turns.index(self)
                for index, flow in enumerate(self._state.turns):
                    if flow is not self:
                        photos += min(len(flow._waiting), mine if index < place else mine - 1)
            return photos * sum(costs) / len(costs)

    def leave(self) -> None:
        """Drops the photos that wait; those in work are finished, and nobody asks for their results."""
        with self._state.changed:
            self._left = True
            dropped = list(self._waiting)
            self._waiting.clear()
            if self in self._state.turns:
                self._state.turns.remove(self)
            self._state.changed.notify_all()
        for task in dropped:
            task.future.cancel()

    def withdraw(self, futures: Collection[Future[Any]]) -> None:
        """Drops some photos of this visitor that wait; those in work are finished, and nobody asks for their results.

        Args:
            futures: Futures that `submit` gave.
        """
        with self._state.changed:
            dropped = [task for task in self._waiting if task.future in futures]
            for task in dropped:
                self._waiting.remove(task)
            if dropped and not self._waiting:
                self._state.turns.remove(self)
        for task in dropped:
            task.future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Leaves the queue.

        Args:
            wait: Whether to wait until the photos in work are done.
            cancel_futures: Without effect: the photos that wait are always dropped.
        """
        self.leave()
        if wait:
            with self._state.changed:
                self._state.changed.wait_for(lambda: all(task.flow is not self for task in self._state.running))

    def __exit__(self, *exception: object) -> None:
        self.leave()
