"""Photos and truths read ahead by threads, so that a network does not wait for files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from segmodels.datasets import Dataset, DatasetError
from segmodels.photo import PhotoError

__all__ = ["read_batches"]

Pair = tuple[np.ndarray, np.ndarray]

_THREADS = 2


def read_batches(
    dataset: Dataset, ids: Sequence[str], size: int
) -> Iterator[tuple[dict[str, Pair], dict[str, DatasetError | PhotoError]]]:
    """Reads the photos of a data set in batches, the next one while the caller works on the last.

    Args:
        dataset: The data set.
        ids: Ids of the photos, in their order.
        size: Photos of a batch.

    Yields:
        By id, photo uint8 `(H, W, 3)` and truth uint8 `(H, W)`; and by id, what keeps others from being read.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="read") as pool:
        waiting: deque[tuple[str, Future[Pair]]] = deque()
        left = iter(ids)
        try:
            while True:
                while len(waiting) < 2 * size and (photo_id := next(left, None)) is not None:
                    waiting.append((photo_id, pool.submit(dataset.pair, photo_id)))
                if not waiting:
                    return
                pairs: dict[str, Pair] = {}
                failed: dict[str, DatasetError | PhotoError] = {}
                for _ in range(min(size, len(waiting))):
                    photo_id, reading = waiting.popleft()
                    try:
                        pairs[photo_id] = reading.result()
                    except (DatasetError, PhotoError) as error:
                        failed[photo_id] = error
                yield pairs, failed
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
