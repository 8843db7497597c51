from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from mien.serve.batcher import Batcher, QueueFullError

T = TypeVar("T")


class Doubler:
    """Doubles numbers, raises those below zero, and notes the batches; waits while `go` is not set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, items: list[int]) -> list[int | Exception]:
        self.begun += 1
        assert self.go.wait(10)
        self.batches.append(items)
        return [2 * item if item >= 0 else ValueError(item) for item in items]


def with_batcher(
    run: Callable[[list[int]], object],
    talk: Callable[[Batcher[int, int]], Awaitable[T]],
    *,
    size: int = 4,
    wait_ms: float = 0,
    capacity: int = 8,
) -> T:
    async def main() -> T:
        batcher: Batcher[int, int] = Batcher(run, size=size, wait_ms=wait_ms, capacity=capacity)
        batcher.start()
        try:
            async with asyncio.timeout(10):
                return await talk(batcher)
        finally:
            await batcher.close()

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_results_reach_those_who_asked_in_their_order() -> None:
    async def talk(batcher: Batcher[int, int]) -> list[list[int]]:
        return await asyncio.gather(batcher.submit([1, 2, 3]), batcher.submit([10]), batcher.submit([20, 30]))

    assert with_batcher(Doubler(), talk) == [[2, 4, 6], [20], [40, 60]]


def test_what_is_asked_while_the_model_works_is_gathered_up_to_the_size() -> None:
    run = Doubler()

    async def talk(batcher: Batcher[int, int]) -> None:
        run.go.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await until(lambda: run.begun == 1)
        rest = [asyncio.create_task(batcher.submit([i])) for i in range(1, 7)]
        await until(lambda: batcher.waiting == 6)
        run.go.set()
        await asyncio.gather(first, *rest)

    with_batcher(run, talk)
    assert run.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_a_first_item_waits_for_others_while_the_model_is_idle() -> None:
    run = Doubler()

    async def talk(batcher: Batcher[int, int]) -> None:
        first = asyncio.create_task(batcher.submit([1]))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, *(batcher.submit([i]) for i in (2, 3, 4)))

    with_batcher(run, talk, wait_ms=9000)
    assert run.batches == [[1, 2, 3, 4]]


def test_a_lonely_item_is_answered_when_its_wait_is_over() -> None:
    assert with_batcher(Doubler(), lambda batcher: batcher.submit([7]), wait_ms=1) == [14]


def test_a_full_queue_refuses_a_request_as_a_whole() -> None:
    run = Doubler()

    async def talk(batcher: Batcher[int, int]) -> None:
        run.go.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await until(lambda: run.begun == 1)
        second = asyncio.create_task(batcher.submit([1, 2]))
        await until(lambda: batcher.waiting == 2)
        with pytest.raises(QueueFullError):
            await batcher.submit([3, 4])
        assert batcher.waiting == 2
        probe = asyncio.create_task(batcher.submit([5], beyond_capacity=True))
        await until(lambda: batcher.waiting == 3)
        run.go.set()
        assert await asyncio.gather(first, second, probe) == [[0], [2, 4], [10]]

    with_batcher(run, talk, capacity=3)


def test_the_servers_own_questions_go_before_all_who_wait() -> None:
    run = Doubler()

    async def talk(batcher: Batcher[int, int]) -> None:
        run.go.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await until(lambda: run.begun == 1)
        rest = [asyncio.create_task(batcher.submit([i])) for i in (1, 2, 3)]
        await until(lambda: batcher.waiting == 3)
        probe = asyncio.create_task(batcher.submit([8, 9], beyond_capacity=True))
        await until(lambda: batcher.waiting == 5)
        run.go.set()
        await asyncio.gather(first, probe, *rest)

    with_batcher(run, talk, size=2, capacity=3)
    assert run.batches == [[0], [8, 9], [1, 2], [3]]


def test_an_item_that_fails_is_told_to_its_asker_alone() -> None:
    async def talk(batcher: Batcher[int, int]) -> list[object]:
        asked = (batcher.submit([1]), batcher.submit([2, -1]), batcher.submit([3]))
        return await asyncio.gather(*asked, return_exceptions=True)

    one, failed, three = with_batcher(Doubler(), talk)
    assert (one, three) == ([2], [6])
    assert isinstance(failed, ValueError)


@pytest.mark.parametrize("broken", [lambda items: [1] * (len(items) + 1), lambda _: 1 / 0])
def test_a_batch_that_fails_as_a_whole_is_told_to_all_and_the_next_one_is_answered(
    broken: Callable[[list[int]], object],
) -> None:
    ways = [broken, Doubler()]

    async def talk(batcher: Batcher[int, int]) -> tuple[list[object], list[int]]:
        told = await asyncio.gather(batcher.submit([1]), batcher.submit([2]), return_exceptions=True)
        return told, await batcher.submit([3])

    told, after = with_batcher(lambda items: ways.pop(0)(items), talk)
    assert all(isinstance(error, RuntimeError | ZeroDivisionError) for error in told)
    assert after == [6]


def test_whoever_gives_up_leaves_the_queue() -> None:
    run = Doubler()

    async def talk(batcher: Batcher[int, int]) -> None:
        run.go.clear()
        first = asyncio.create_task(batcher.submit([0]))
        await until(lambda: run.begun == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await batcher.submit([1, 2])
        assert batcher.waiting == 0
        run.go.set()
        assert await first == [0]
        assert await batcher.submit([4]) == [8]

    with_batcher(run, talk)
    assert run.batches == [[0], [4]]


def test_closing_cancels_who_waits_and_hangs_nobody() -> None:
    run = Doubler()

    async def main() -> list[object]:
        batcher: Batcher[int, int] = Batcher(run, size=1, wait_ms=0, capacity=8)
        batcher.start()
        run.go.clear()
        asked = [asyncio.create_task(batcher.submit([i])) for i in range(3)]
        await until(lambda: batcher.waiting == 2)
        closing = asyncio.create_task(batcher.close())
        results = await asyncio.gather(*asked, return_exceptions=True)
        run.go.set()
        await closing
        return results

    assert all(isinstance(result, asyncio.CancelledError) for result in asyncio.run(main()))
