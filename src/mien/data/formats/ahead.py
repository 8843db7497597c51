"""Long loops: working ahead on threads, in order and without filling the memory, and telling how far it is."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Part = TypeVar("Part", bound=Sized)


def ahead(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map(work, items)` on one thread a core; at most two items a thread are under way or waiting.

    Decoding pictures and numpy leave the interpreter lock, so threads are enough. When the consumer stops or is
    interrupted, nothing further is started.
    """
    threads = max(1, min(os.cpu_count() or 1, 8))
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to `size` items, in order."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def counted(items: Iterable[Item], tell: Callable[[int], object] | None, *, every: int = 256) -> Iterator[Item]:
    """The items as they are; `tell` gets how many have passed, now and then and at the end."""
    passed = 0
    for passed, item in enumerate(items, start=1):
        yield item
        if tell is not None and passed % every == 0:
            tell(passed)
    if tell is not None:
        tell(passed)


def told(parts: Iterable[Part], tell: Callable[[int, int | None], object] | None, *, total: int) -> Iterator[Part]:
    """The parts as they are; `tell` gets how many items have passed in them, of `total`."""
    passed = 0
    for part in parts:
        yield part
        passed += len(part)
        if tell is not None:
            tell(passed, total)
