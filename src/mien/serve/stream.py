"""A stream over a WebSocket: pictures in, answers out; of frames that come too fast only the newest is answered."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple, final

from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.serve.calm import Calm
from mien.serve.engine import Way
from mien.serve.guard import SUBPROTOCOL
from mien.serve.problems import INTERNAL, RequestError, busy
from mien.serve.service import Service
from mien.serve.wire import PictureAnswer

log = logging.getLogger("mien.serve")
# Codes of RFC 6455, 7.4; from 4000 on they are an application's own.
UNSUPPORTED, IDLE = 1003, 4408


class Frame(NamedTuple):
    """A frame as it came: its number, from 1, and when that was, by a clock that never goes back."""

    number: int
    data: bytes
    time_s: float


@final
class Newest:
    """A place for one frame. A newer one takes the place of one that was not yet fetched."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self.received = 0

    def put(self, data: bytes, time_s: float) -> bool:
        """Leave a frame; whether an older one was dropped for it."""
        dropped = self._frame is not None
        self.received += 1
        self._frame = Frame(self.received, data, time_s)
        self._changed.set()
        return dropped

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._changed.set()

    async def take(self) -> Frame | None:
        """The newest frame, waiting for one; None after `close`."""
        while self._frame is None and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed or self._frame is None:
            return None
        frame, self._frame = self._frame, None
        return frame


@final
class Stream:
    """One client's camera."""

    def __init__(self, socket: WebSocket, service: Service, way: Way, calm: Calm) -> None:
        self._socket = socket
        self._service = service
        self._way = way
        self._calm = calm
        self._detector = service.engine.detector_of_stream()
        self._newest = Newest()

    async def run(self) -> None:
        """From the handshake to the end."""
        service = self._service
        if service.streams >= service.limits.streams:
            problem = busy(f"{service.streams} streams are open already", seconds=10)
            await self._socket.send_denial_response(problem.response())
            return
        service.streams += 1
        service.metrics.streams.inc()
        try:
            offered = SUBPROTOCOL in self._socket.scope.get("subprotocols", [])
            await self._socket.accept(subprotocol=SUBPROTOCOL if offered else None)
            await self._talk()
        finally:
            service.streams -= 1
            service.metrics.streams.dec()

    async def _talk(self) -> None:
        reader = asyncio.create_task(self._read())
        try:
            while (frame := await self._newest.take()) is not None:
                if not await self._send(await self._reply(frame)):
                    break
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self) -> None:
        idle = self._service.limits.stream_idle_seconds
        try:
            while True:
                message = await asyncio.wait_for(self._socket.receive(), idle)
                if message["type"] == "websocket.disconnect":
                    break
                data = message.get("bytes")
                if data is None:
                    await self._socket.close(UNSUPPORTED, "send pictures as binary messages")
                    break
                if self._newest.put(data, asyncio.get_running_loop().time()):
                    self._count("dropped")
        except TimeoutError:
            await self._socket.close(IDLE, f"no frame for {idle:g} s")
        finally:
            self._newest.close()

    async def _reply(self, frame: Frame) -> dict[str, Any]:
        reply: dict[str, Any] = {"frame": frame.number}
        try:
            asked = self._service.asked(frame.data, self._way, detector=self._detector)
            [photo] = await self._service.answer([asked])
        except RequestError as problem:
            return self._failed(reply, problem)
        except Exception:  # a defect, as the app's own handler takes it for a picture: the stream goes on
            log.exception("a frame was not answered")
            return self._failed(reply, INTERNAL)
        self._count("answered")
        # When it came, not now: how long it waited says nothing about how far faces have moved.
        photo, numbers = self._calm.add(photo, frame.time_s)
        return reply | {"picture": PictureAnswer.of(photo, numbers).model_dump()}

    def _failed(self, reply: dict[str, Any], problem: RequestError) -> dict[str, Any]:
        self._count("failed")
        return reply | {"error": problem.body.model_dump()}

    async def _send(self, reply: dict[str, Any]) -> bool:
        """Whether the client is still there; one that does not read is let go by the server (`mien.serve.unread`)."""
        try:
            await self._socket.send_json(reply)
        except (WebSocketDisconnect, RuntimeError):  # it left, or was told to, while its frame was being answered
            return False
        return True

    def _count(self, outcome: str) -> None:
        self._service.metrics.frames.labels(outcome).inc()
