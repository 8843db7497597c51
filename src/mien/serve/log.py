"""What is written about a request, and the headers on every answer. Of a picture, nothing."""

from __future__ import annotations

import logging
import time
from typing import final
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.serve.metrics import Metrics

access = logging.getLogger("mien.access")
LONGEST_PATH = 100
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


@final
class Outermost:
    """ASGI middleware: one line and one count for each request, and the headers that every answer carries.

    The line has method, path, status and milliseconds: no query, no body, no address, no name of a file.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and watch."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._tell(scope, status, time.perf_counter() - started)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope.get("method", "WS")
        # Quoted, so that a path cannot forge lines of the log.
        path = quote(scope["path"])[:LONGEST_PATH]
        access.info("%s %s %d %.0f ms", method, path, status, 1000 * seconds)
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.request(route, method, status, seconds)
