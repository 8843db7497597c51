"""Who may ask: the name the server is called by, the page a request comes from, and the API key.

A page of any web site can make its visitors' browsers send requests to this machine. CORS does not stop it from
sending forms and opening WebSockets, so Origin is compared here; and a name that its owner points at 127.0.0.1 (DNS
rebinding) makes such a page look like our own, so Host is compared as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mien.serve.problems import RequestError, refuse
from mien.serve.settings import LOOPBACK_NAMES, Access

GUARDED = ("/v1/", "/metrics")
# Browsers cannot set headers on a WebSocket, so a page offers its key as a subprotocol, as Kubernetes' pages do.
SUBPROTOCOL, KEY_SUBPROTOCOL = "mien.v1", "mien.key."


@final
class Guard:
    """ASGI middleware in front of everything, HTTP and WebSocket alike."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | access.hosts
        self._origins = access.origins
        self._digests = [_digest(key.get_secret_value()) for key in access.keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before any of its body is read."""
        problem = None if scope["type"] == "lifespan" else self._problem(scope)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await refuse(problem, scope, receive, send)

    def _problem(self, scope: Scope) -> RequestError | None:
        headers = Headers(scope=scope)
        if host_name(headers.get("host", "")) not in self._hosts:
            return RequestError("forbidden", "this server goes by another name", hint="--allow-host NAME")
        if not self._is_welcome(headers):
            return RequestError("forbidden", "pages of that origin may not ask", hint="--allow-origin https://NAME")
        # A browser's question whether it may ask carries no key.
        asks_first = scope["type"] == "http" and scope["method"] == "OPTIONS"
        if self._digests and scope["path"].startswith(GUARDED) and not asks_first and not self._has_key(scope, headers):
            hint = "send the header Authorization: Bearer KEY"
            return RequestError(
                "unauthorised", "an API key is needed", hint=hint, headers={"WWW-Authenticate": "Bearer"}
            )
        return None

    def _is_welcome(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") not in ("cross-site", "same-site") or _is_navigation(headers)
        return _address(origin) == headers["host"].lower() or origin.lower() in self._origins

    def _has_key(self, scope: Scope, headers: Headers) -> bool:
        # Blanks around a header's value do not count in HTTP, so around a stream's key they do not either.
        given = _digest(_key(scope, headers).strip())
        # All are compared, so that the time says nothing about which one was nearly right.
        return sum(hmac.compare_digest(given, digest) for digest in self._digests) > 0


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; empty when it is not well formed.

    >>> host_name("[::1]:8000"), host_name("Example.org"), host_name("a@b"), host_name("a:b")
    ('::1', 'example.org', '', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises when it is no number
        plain = parts.netloc == host and "@" not in host and not parts.path
    except ValueError:
        return ""
    return (parts.hostname or "") if plain else ""


def _address(origin: str) -> str:
    """Host and port of an origin as the Host header has them: browsers leave out the scheme's own port in both."""
    scheme, _, address = origin.lower().partition("://")
    return address if scheme in ("http", "https") else ""


def _is_navigation(headers: Headers) -> bool:
    return headers.get("sec-fetch-mode") == "navigate"


def _key(scope: Scope, headers: Headers) -> str:
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return key
    for protocol in scope.get("subprotocols", []):
        if protocol.startswith(KEY_SUBPROTOCOL):
            return _decode(protocol.removeprefix(KEY_SUBPROTOCOL))
    return ""


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _digest(key: str) -> bytes:
    """Of equal length for every key: comparing the keys themselves would tell their length."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
