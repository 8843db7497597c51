"""Whatever goes wrong is answered in the shape of `ErrorBody`."""

from __future__ import annotations

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mien.serve.problems import INTERNAL, RequestError
from mien.serve.uploads import ClientGoneError

CLIENT_GONE = 499  # as nginx logs it; nobody is there to read it


def handle_errors(app: FastAPI) -> None:
    """Give the app its answers to errors of its own, of FastAPI and of Starlette, and to defects."""

    async def problem(_: Request, error: Exception) -> Response:
        return _as_problem(error).response()

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    async def refused(socket: WebSocket, error: Exception) -> None:
        await socket.send_denial_response(_as_problem(error).response())

    for kind in (RequestError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, problem)
    app.add_exception_handler(ClientGoneError, gone)
    app.add_exception_handler(WebSocketRequestValidationError, refused)


def _as_problem(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, RequestValidationError | WebSocketRequestValidationError):
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"])
        return RequestError("invalid_parameter", f"{place}: {first['msg']}")
    if isinstance(error, HTTPException):
        return _of_starlette(error)
    return INTERNAL


def _of_starlette(error: HTTPException) -> RequestError:
    if error.status_code == 404:
        return RequestError("not_found", "there is nothing here", hint="/openapi.json lists what there is")
    if error.status_code == 405:
        return RequestError("method_not_allowed", "that method is not possible here", headers=error.headers)
    return RequestError("invalid_request", str(error.detail))
