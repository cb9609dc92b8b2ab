"""Photos and truths that are read ahead by threads, so that a network does not wait for files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from segmodels.datasets import DatasetError
from segmodels.photo import PhotoError

__all__ = ["read_batches"]

T = TypeVar("T")

_THREADS = 2


def read_batches(
    read: Callable[[str], T], ids: Sequence[str], size: int
) -> Iterator[tuple[dict[str, T], dict[str, DatasetError | PhotoError]]]:
    """Reads photos in batches, the next one while the caller works on the last.

    Args:
        read: A function of an id, such as a data set's `pair` or `photo`.
        ids: Ids of the photos, in their order.
        size: Photos of a batch.

    Yields:
        By id, what was read; and by id, the error that keeps another from being read.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="read") as pool:
        waiting: deque[tuple[str, Future[T]]] = deque()
        left = iter(ids)
        try:
            while True:
                while len(waiting) < 2 * size and (photo_id := next(left, None)) is not None:
                    waiting.append((photo_id, pool.submit(read, photo_id)))
                if not waiting:
                    return
                done: dict[str, T] = {}
                failed: dict[str, DatasetError | PhotoError] = {}
                for _ in range(min(size, len(waiting))):
                    photo_id, reading = waiting.popleft()
                    try:
                        done[photo_id] = reading.result()
                    except (DatasetError, PhotoError) as error:
                        failed[photo_id] = error
                yield done, failed
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
