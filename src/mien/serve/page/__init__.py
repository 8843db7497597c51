"""The page that the server shows: plain files beside this module, held in memory, under a strict security policy."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import NamedTuple

from fastapi import FastAPI, Request
from starlette.responses import Response

INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class _File(NamedTuple):
    content: bytes
    type: str
    tag: str


def mount(app: FastAPI) -> None:
    """Serve the page at / and its files below /page. What is not beside this module is not there."""
    files = _files()

    async def index(request: Request) -> Response:
        return _answer(request, files[INDEX])

    app.add_api_route("/", index, methods=["GET", "HEAD"], include_in_schema=False)
    for name, file in files.items():
        app.add_api_route(f"/page/{name}", _route(file), methods=["GET", "HEAD"], include_in_schema=False)


def _route(file: _File) -> Callable[[Request], Awaitable[Response]]:
    async def one(request: Request) -> Response:
        return _answer(request, file)

    return one


def _files() -> dict[str, _File]:
    found = {}
    for entry in resources.files(__name__).iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in TYPES:
            content = entry.read_bytes()
            found[entry.name] = _File(content, TYPES[suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return found


def _answer(request: Request, file: _File) -> Response:
    headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Content-Security-Policy": _policy(request)}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.type, headers=headers)


def _policy(request: Request) -> str:
    """Nothing but our own files: no inline code or style, no other server, no frame around the page."""
    host = request.headers["host"]  # compared with the allowed names before we come here
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            # Older browsers do not take a WebSocket of the same server for 'self'.
            f"connect-src 'self' ws://{host} wss://{host}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
