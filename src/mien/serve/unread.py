"""Connections whose client does not read what it is sent: given up, with all that they hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Protocol = asyncio.Protocol
else:
    _Protocol = object

# Answers to one picture take a few kilobytes. Only pongs, which no flow control holds back, come to as much.
MOST_UNSENT = 2**20


class GivenUp(_Protocol):
    """Before one of uvicorn's protocols: aborts a connection of which nothing was taken for `unread_seconds`.

    uvicorn waits for ever for a client to read, and closing waits for what is unsent.
    """

    transport: Any
    loop: asyncio.AbstractEventLoop
    unread_seconds: float
    _look_again: asyncio.TimerHandle | None = None
    _unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From here on `pause_writing` is called as soon as anything is unsent."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        """Something came, which may be pings, whose answers pile up."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MOST_UNSENT:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Something is unsent: it must become less."""
        super().pause_writing()
        self._watch_unsent()

    def resume_writing(self) -> None:
        """All is sent."""
        super().resume_writing()
        self._forget_unsent()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to send."""
        self._forget_unsent()
        super().connection_lost(exc)

    def _watch_unsent(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._look_again = self.loop.call_later(self.unread_seconds, self._look)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() >= self._unsent:
            self.transport.abort()
        else:
            self._watch_unsent()

    def _forget_unsent(self) -> None:
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
