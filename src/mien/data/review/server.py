"""The review page over HTTP: on the loopback address only, for one browser on this machine.

What keeps others out: the address, a secret in the path, the Host header (a page elsewhere whose name was made to
point here cannot send the right one), Origin and content type on everything that writes, and a policy that lets the
page load nothing from anywhere else.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, NamedTuple

from mien.core.errors import MienError
from mien.data.review.session import Session

LOOPBACK = "127.0.0.1"
LARGEST_BODY = 4096
SECONDS = 30  # a connection that says nothing for so long is closed
_FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Answer(NamedTuple):
    """What goes back."""

    status: HTTPStatus
    kind: str
    body: bytes


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, "application/json; charset=utf-8", json.dumps(value).encode())


def _error(status: HTTPStatus, text: str) -> Answer:
    return _json({"error": text}, status)


class ReviewServer(ThreadingHTTPServer):
    """Serves one session. `url` is where its page is; `serve_forever` runs it, `shutdown` ends it.

    Args:
        session: what is reviewed.
        port: 0 takes a free one.

    Raises:
        MienError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, session: Session, *, port: int = 0) -> None:
        self.session = session
        self.secret = secrets.token_urlsafe(16)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise MienError(f"port {port}: {error.strerror}", hint="--port 0 takes a free one") from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no error; anything else is shown as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host headers that are answered."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        """Where the page is, with the secret that opens it."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    """One request; its routes are those of `_get` and `_post`."""

    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mien", ""
    timeout = SECONDS

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def log_message(self, *_: Any) -> None:
        """The terminal belongs to the command."""

    def _respond(self, answer: Callable[[str], Answer]) -> None:
        path = self.path.partition("?")[0].removeprefix("/")
        secret, _, place = path.partition("/")
        # What was refused has not been read: the rest of its body must not pass for the next request.
        self.close_connection = True
        if self.headers.get("Host") not in self.server.hosts:
            reply = _error(HTTPStatus.FORBIDDEN, "wrong host")
        elif not secrets.compare_digest(secret.encode(), self.server.secret.encode()):
            reply = _error(HTTPStatus.NOT_FOUND, "open the address that the command printed")
        else:
            try:
                reply = answer(place)
            except MienError as error:
                reply = _error(HTTPStatus.CONFLICT, str(error))
        self._send(reply)

    def _get(self, place: str) -> Answer:
        self.close_connection = False
        session, (verb, _, number) = self.server.session, place.partition("/")
        if place in _FILES:
            name, kind = _FILES[place]
            return Answer(HTTPStatus.OK, kind, resources.files("mien.data.review").joinpath(name).read_bytes())
        if place == "set":
            return _json(session.about() | {"start": session.undecided(0), "counts": session.counts()})
        if verb == "item" and _is_number(number):
            return _json(session.item(int(number)))
        if verb == "picture" and _is_number(number.removesuffix(".png")):
            return Answer(HTTPStatus.OK, "image/png", session.picture(int(number.removesuffix(".png"))))
        return _error(HTTPStatus.NOT_FOUND, "nothing here")

    def _post(self, place: str) -> Answer:
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            return _error(HTTPStatus.FORBIDDEN, "wrong origin")
        if self.headers.get_content_type() != "application/json":
            return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
        length = self.headers.get("Content-Length", "")
        if not _is_number(length) or int(length) > LARGEST_BODY:
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {LARGEST_BODY} bytes and say how many")
        body = self.rfile.read(int(length))
        self.close_connection = False
        if place == "undo":
            undone = self.server.session.undo()
            return _json(undone) if undone else _error(HTTPStatus.CONFLICT, "nothing to undo in this session")
        return self._decide(body) if place == "decide" else _error(HTTPStatus.NOT_FOUND, "nothing here")

    def _decide(self, body: bytes) -> Answer:
        try:
            said = json.loads(body)
            row, action, new_label = said["row"], said["action"], said.get("new_label", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return _error(HTTPStatus.BAD_REQUEST, "send row and action")
        if type(row) is not int or not isinstance(action, str) or not isinstance(new_label, str):
            return _error(HTTPStatus.BAD_REQUEST, "row is a whole number, action and new_label are texts")
        return _json(self.server.session.decide(row, action, new_label))

    def _send(self, reply: Answer) -> None:
        self.send_response(reply.status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12
