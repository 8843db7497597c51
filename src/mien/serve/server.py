"""The server around the app: uvicorn with clients that may not dawdle, and an end that answers who still waits."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mien.core.errors import MienError
from mien.serve.settings import Limits, Settings
from mien.serve.unread import GivenUp

# How uvicorn's lines about the server itself begin; its others name a client's address and what it asked for.
_OWN_LINES = ("Started", "Waiting", "Application", "Uvicorn running", "Shutting down", "Finished")


def make_server(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    """A server that is not yet started, for an app and where it shall listen."""
    limits = settings.limits
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_timed(limits),
        ws=_stream(limits),
        ws_max_size=limits.body_bytes,
        ws_per_message_deflate=False,  # JPEG frames do not get smaller
        log_config=None,
        access_log=False,  # uvicorn's line has the query; `mien.serve.log` writes ours
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=limits.shutdown_seconds,
    )
    return uvicorn.Server(config)


def run(app: ASGIApp, settings: Settings) -> None:
    """Serve until SIGTERM, SIGHUP or Ctrl-C, answer what is in flight, then return; `nohup` keeps SIGHUP away.

    Raises:
        KeyboardInterrupt: it was Ctrl-C.
        MienError: the address or port cannot be listened on, or the model does not answer.
    """
    # uvicorn ends gracefully and then raises the signal once more; a server that did as it was told exits with 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    server = make_server(app, settings)
    _end_on_hangup(server)
    try:
        server.run()
    except SystemExit as end:
        if server.started:
            raise
        raise _not_started(settings, end.__context__) from None


def _end_on_hangup(server: uvicorn.Server) -> None:
    """As on SIGTERM, which uvicorn knows by itself: a terminal that is closed loses no request."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        signal.signal(hangup, lambda *_: setattr(server, "should_exit", True))


def require_free(settings: Settings) -> None:
    """Raises MienError when this server could not listen where it shall: said before a model is loaded.

    Binds every address of the host for a moment, as asyncio will: a family that this machine does not have is passed
    over as long as another one works.
    """
    absent: OSError | None = None
    works = False
    try:
        places = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in places:
            try:
                tried = socket.socket(family, kind, protocol)
            except OSError as error:
                absent = error
                continue
            with tried:
                try:
                    _bind(tried, address)
                    works = True
                except OSError as error:
                    if error.errno != errno.EADDRNOTAVAIL:
                        raise
                    absent = error
    except OSError as error:  # that there is no such name as well
        raise _cannot_listen(settings, error) from None
    if absent is not None and not works:
        raise _cannot_listen(settings, absent)


def _bind(tried: socket.socket, address: Any) -> None:
    """As asyncio does."""
    if os.name == "posix":  # elsewhere it would let two programs have one port
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if tried.family == socket.AF_INET6:  # else a program that has the port for IPv4 would be in the way
        tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    tried.bind(address)


def _not_started(settings: Settings, reason: BaseException | None) -> MienError:
    """uvicorn exits where it cannot listen, while it handles the error that says why, and where the app fails."""
    if not isinstance(reason, OSError):
        return MienError("the server did not start", hint="the lines above say why")
    return _cannot_listen(settings, reason)


def _cannot_listen(settings: Settings, reason: OSError) -> MienError:
    why = (reason.strerror or str(reason)).rpartition(": ")[2].lower()
    return MienError(
        f"cannot listen on {settings.host}, port {settings.port}: {why}",
        hint="--host takes an address of this machine, --port 0 any port that is free",
    )


def log_to_terminal() -> None:
    """Requests and the server's own words on standard error, with the time."""
    handler = logging.StreamHandler()
    handler.addFilter(_about_no_client)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    for name in ("mien", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


def _about_no_client(record: logging.LogRecord) -> bool:
    ours = not record.name.startswith("uvicorn") or record.levelno > logging.INFO
    return ours or record.getMessage().startswith(_OWN_LINES)


def _timed(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol class with this server's patience: uvicorn makes its protocols itself."""

    class Timed(TimedProtocol):
        head_seconds = limits.head_seconds
        unread_seconds = limits.unread_seconds

    return Timed


def _stream(limits: Limits) -> type[asyncio.Protocol]:
    """The same for streams."""

    class Stream(GivenUp, WebSocketsSansIOProtocol):
        unread_seconds = limits.unread_seconds

    return Stream


class TimedProtocol(GivenUp, H11Protocol):
    """Closes a connection that has no request under way for too long, however slowly it sends something.

    uvicorn alone waits for ever for the head of a request, and for the rest of a body that was refused.
    """

    head_seconds: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its first request must follow."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Something came: the head is complete, or the time for it goes on running."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next request, and what is left of this one, must come in time."""
        super().on_response_complete()
        self._watch()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """A stream has its own times."""
        self._stop()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to wait for."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.get_protocol() is not self or self.transport.is_closing():
            self._stop()
        elif self._patience is None:
            self._patience = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
