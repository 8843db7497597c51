"""What every way in shares: the queue, its limits, readiness and figures."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import final

from mien.core.errors import MienError
from mien.deploy.photos import Photo
from mien.faces.detector import Detector
from mien.serve.batcher import Batcher, QueueFullError
from mien.serve.engine import PROBES, Asked, Engine, Way
from mien.serve.header import read_header
from mien.serve.metrics import Metrics
from mien.serve.problems import RequestError, busy, not_ready
from mien.serve.settings import Settings
from mien.serve.uploads import Budget

log = logging.getLogger("mien.serve")
READY_FOR_SECONDS = 1.0
# Part of the time for an answer that may be spoken for before it is asked: times of batches vary.
IN_TIME = 0.7
_WEIGHT_OF_LAST = 0.3


@final
class Service:
    """One model behind one queue."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        # A request for more than may ever wait would be told to come back for ever.
        most = min(settings.limits.pictures, settings.batching.queue)
        self.limits = settings.limits.model_copy(update={"pictures": most})
        self.metrics = Metrics()
        self.budget = Budget(settings.limits.all_bodies_bytes)
        self.streams = 0
        self._capacity = settings.batching.queue
        self._batcher: Batcher[Asked, Photo] = Batcher(
            self._run,
            size=settings.batching.size,
            wait_ms=settings.batching.wait_ms,
            capacity=settings.batching.queue,
            on_batch=self.metrics.batch,
        )
        self.metrics.waiting.set_function(lambda: self._batcher.waiting)
        self._seconds_a_picture = 0.0
        self._ready_until = 0.0
        self._check: asyncio.Task[str | None] | None = None

    async def start(self) -> None:
        """Begin to answer, with one answer to itself: the first client does not wait for a cold model.

        Raises:
            RequestError: the model does not answer.
        """
        self._batcher.start()
        await self.check_ready()

    async def close(self) -> None:
        """End; what still waits is cancelled."""
        await self._batcher.close()

    def asked(self, data: bytes, way: Way, *, detector: Detector | None = None, number: int | None = None) -> Asked:
        """A picture and what is asked about it, looked at from outside; `detector` and `number` as in `Asked`.

        Raises:
            RequestError: its header says that it is refused, or the model has no such head or none of the labels.
        """
        try:
            read_header(data, max_pixels=self.limits.pixels)
        except RequestError as problem:
            raise problem if number is None else problem.of_picture(number) from None
        try:
            self.engine.check_way(way)
        except MienError as error:
            raise RequestError("invalid_parameter", error.message, hint=error.hint) from None
        return Asked(data, way, detector, number)

    async def answer(self, asked: Sequence[Asked]) -> list[Photo]:
        """The photos of what was asked, in its order.

        Raises:
            RequestError: the queue is full or too slow (503), too late (504), a picture that cannot be read (422).
        """
        self._check_in_time(len(asked))
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                photos = await self._batcher.submit(asked)
        except QueueFullError:
            message = f"{self._batcher.waiting} of {self._capacity} places are taken"
            raise busy(message, seconds=math.ceil(self._expected_seconds(0))) from None
        except TimeoutError:
            raise RequestError("timeout", f"no answer within {self.limits.answer_seconds:g} s") from None
        except MienError as error:
            raise RequestError("unreadable_picture", error.message, hint=error.hint) from None
        self.metrics.pictures.inc(len(photos))
        self.metrics.faces.inc(sum(len(photo.faces) for photo in photos))
        return photos

    def _expected_seconds(self, count: int) -> float:
        """How long `count` more pictures will take with those that came before them, going by the last batches."""
        return self._seconds_a_picture * (self._batcher.unanswered + count)

    def _check_in_time(self, count: int) -> None:
        """Tell whoever would wait in vain so at once: an answer that comes too late costs as much as one in time."""
        expected = self._expected_seconds(count)
        if self._batcher.waiting and expected > IN_TIME * self.limits.answer_seconds:
            raise busy(f"about {expected:.0f} s of work came before it", seconds=math.ceil(expected))

    async def check_ready(self) -> None:
        """Let detector and model answer, unless they just have: once a second, and once for all who ask meanwhile.

        Raises:
            RequestError: they do not (503).
        """
        if time.monotonic() < self._ready_until:
            return
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._ask_itself())
        # One who leaves does not end it for the others.
        if problem := await asyncio.shield(self._check):
            raise not_ready(problem)

    async def _ask_itself(self) -> str | None:
        """Why detector and model do not answer, or None."""
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                _, whole = await self._batcher.submit(PROBES, beyond_capacity=True)
        except TimeoutError:
            log.warning("not ready: the model does not answer within %g s", self.limits.answer_seconds)
            return f"the model does not answer within {self.limits.answer_seconds:g} s"
        except Exception as error:  # whatever it is, the server is not ready
            log.exception("not ready: the model does not answer")
            return f"the model does not answer ({type(error).__name__})"
        if not whole.faces:
            return "the model gives no answer"
        self._ready_until = time.monotonic() + READY_FOR_SECONDS
        return None

    def _run(self, batch: list[Asked]) -> list[Photo | Exception]:
        started = time.perf_counter()
        results = self.engine.answer(batch)
        seconds = time.perf_counter() - started
        self.metrics.model_seconds.observe(seconds)
        last = seconds / len(batch)
        before = self._seconds_a_picture or last
        self._seconds_a_picture = before + _WEIGHT_OF_LAST * (last - before)
        # A face that was found and has its label: detector and model are both at work.
        if any(isinstance(one, Photo) and one.faces and not one.is_crop for one in results):
            self._ready_until = time.monotonic() + READY_FOR_SECONDS
        return results
