"""Gathers what single requests ask for into batches; the queue before it is bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar, final

Item = TypeVar("Item")
Result = TypeVar("Result")


class QueueFullError(Exception):
    """More waits than may wait."""


@dataclass(frozen=True, eq=False)
class _Job(Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]


@final
class Batcher(Generic[Item, Result]):
    """One thread answers batches; while it works, the next batch gathers.

    Args:
        run: answers a batch; gives for each item, in order, its result or the exception that this item raises.
        size: items at a time.
        wait_ms: that the first item of a batch waits for others while the thread is idle.
        capacity: items that may wait besides those at work.
        on_batch: is told the size of each batch before it runs.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result | Exception]],
        *,
        size: int,
        wait_ms: float,
        capacity: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._size, self._wait, self._capacity = size, wait_ms / 1000, capacity
        self._on_batch = on_batch
        self._waiting: deque[_Job[Item, Result]] = deque()
        self._at_work = 0
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mien-model")
        self._loop: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return len(self._waiting)

    @property
    def unanswered(self) -> int:
        """Items in the queue and in the batch that is being answered."""
        return len(self._waiting) + self._at_work

    async def submit(self, items: Sequence[Item], *, beyond_capacity: bool = False) -> list[Result]:
        """The results of `items`, which may end up in different batches; cancelling it takes them out of the queue.

        `beyond_capacity` is for the server's own questions, which go before all others.

        Raises:
            QueueFullError: there is not room for all of them, and not `beyond_capacity`.
            Exception: what the first of the items that failed raised.
        """
        if not beyond_capacity and len(self._waiting) + len(items) > self._capacity:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        jobs = [_Job[Item, Result](item, loop.create_future()) for item in items]
        if beyond_capacity:
            self._waiting.extendleft(reversed(jobs))
        else:
            self._waiting.extend(jobs)
        self._changed.set()
        try:
            return await asyncio.gather(*(job.answer for job in jobs))
        finally:
            for job in jobs:
                if job in self._waiting:
                    self._waiting.remove(job)
                # Nobody asks for the others' results any more when one of them has failed.
                if not job.answer.done():
                    job.answer.cancel()
                elif not job.answer.cancelled():
                    job.answer.exception()

    def start(self) -> None:
        """Begin to answer; needs a running event loop."""
        self._loop = asyncio.get_running_loop().create_task(self._answer_for_ever())

    async def close(self) -> None:
        """Stop. Whoever still waits is cancelled; a batch that runs is waited for."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        for job in self._waiting:
            job.answer.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    async def _answer_for_ever(self) -> None:
        while True:
            if batch := await self._gather():
                self._on_batch(len(batch))
                self._at_work = len(batch)
                await self._answer(batch)
                self._at_work = 0

    async def _gather(self) -> list[_Job[Item, Result]]:
        """The next batch; empty when those who waited have given up meanwhile."""
        await self._until(1)
        if len(self._waiting) < self._size and self._wait:
            try:
                async with asyncio.timeout(self._wait):
                    await self._until(self._size)
            except TimeoutError:
                pass
        return [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]

    async def _until(self, count: int) -> None:
        while len(self._waiting) < count:
            self._changed.clear()
            await self._changed.wait()

    async def _answer(self, batch: list[_Job[Item, Result]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            results = list(await loop.run_in_executor(self._thread, self._run, [job.item for job in batch]))
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for {len(batch)} items")
        except Exception as error:  # whatever it is, those who wait are told and the next batch is answered
            results = [error] * len(batch)
        except asyncio.CancelledError:
            for job in batch:
                job.answer.cancel()
            raise
        for job, result in zip(batch, results, strict=True):
            if job.answer.done():
                continue
            if isinstance(result, Exception):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)
