"""Work on several threads whose results come in order, with a bounded number on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_order(
    work: Callable[[Item], Found], items: Iterable[Item], workers: int
) -> Generator[tuple[Item, Found], None, None]:
    """Yield each item and what `work` makes of it, in the order of `items`.

    `items` are taken, and results used, on the caller's thread; at most two items a worker are held.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="modelyard-batch")
    waiting: deque[tuple[Item, Future[Found]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > 2 * workers:
                first, found = waiting.popleft()
                yield first, found.result()
        while waiting:
            first, found = waiting.popleft()
            yield first, found.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
