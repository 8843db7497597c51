"""What can go wrong with a request, in one shape: a code for programs, a message and a way out for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

Code = Literal[
    "invalid_request",
    "unauthorised",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "too_slow",
    "too_large",
    "unsupported_type",
    "unreadable_picture",
    "invalid_parameter",
    "internal",
    "busy",
    "not_ready",
    "timeout",
]
STATUS: dict[Code, int] = {
    "invalid_request": 400,
    "unauthorised": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "too_large": 413,
    "unsupported_type": 415,
    "unreadable_picture": 422,
    "invalid_parameter": 422,
    "internal": 500,
    "busy": 503,
    "not_ready": 503,
    "timeout": 504,
}
assert set(STATUS) == set(get_args(Code))


class ErrorBody(BaseModel):
    """Every error of this server, whatever its status."""

    code: Code = Field(description="for programs; does not change between versions")
    message: str = Field(description="what was wrong")
    hint: str | None = Field(default=None, description="a way out, where there is one")


class RequestError(Exception):
    """A request that is not answered, and why."""

    def __init__(
        self, code: Code, message: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.body = ErrorBody(code=code, message=message, hint=hint)
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return STATUS[self.body.code]

    def of_picture(self, number: int) -> RequestError:
        """The same about one of several pictures."""
        body = self.body
        return RequestError(body.code, f"picture {number}: {body.message}", hint=body.hint, headers=self.headers)

    def response(self) -> JSONResponse:
        """As it goes over the wire."""
        return JSONResponse(self.body.model_dump(), status_code=self.status, headers=self.headers)


def busy(message: str, *, seconds: int = 1) -> RequestError:
    """503 with the time, at least 1 s, after which asking again makes sense."""
    seconds = max(seconds, 1)
    hint = f"ask again after {seconds} s, or start more replicas"
    return RequestError("busy", message, hint=hint, headers={"Retry-After": str(seconds)})


def not_ready(message: str) -> RequestError:
    """503 until the model answers, which it is asked anew each time."""
    return RequestError("not_ready", message, headers={"Retry-After": "1"})


async def refuse(problem: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or the handshake of a WebSocket, with a problem."""
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(problem.response())
    else:
        await problem.response()(scope, receive, send)


def documented(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation that fails in these ways, for its OpenAPI description."""
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    return {status: _response(found) for status, found in by_status.items()}


def _response(codes: list[Code]) -> dict[str, Any]:
    examples = {code: {"value": EXAMPLES[code].body.model_dump()} for code in codes}
    described = {"description": ", ".join(codes), "model": ErrorBody}
    return described | {"content": {"application/json": {"examples": examples}}}


INTERNAL = RequestError("internal", "something went wrong in the server", hint="its log says more")
EXAMPLES: dict[Code, RequestError] = {
    "invalid_request": RequestError("invalid_request", "the form holds no picture", hint="send it as a file"),
    "unauthorised": RequestError("unauthorised", "an API key is needed", hint="Authorization: Bearer KEY"),
    "forbidden": RequestError("forbidden", "pages of https://elsewhere.example may not ask", hint="--allow-origin"),
    "not_found": RequestError("not_found", "there is nothing here"),
    "method_not_allowed": RequestError("method_not_allowed", "GET is not possible here"),
    "too_slow": RequestError("too_slow", "no more of the body came for 10 s"),
    "too_large": RequestError("too_large", "more than 8,388,608 bytes", hint="make the picture smaller"),
    "unsupported_type": RequestError("unsupported_type", "not a JPEG, PNG or WebP picture", hint="convert it"),
    "unreadable_picture": RequestError("unreadable_picture", "picture 3: damaged or unreadable"),
    "invalid_parameter": RequestError("invalid_parameter", "query faces: Input should be 'auto', 'crop' or 'detect'"),
    "internal": INTERNAL,
    "busy": busy("64 pictures are waiting already"),
    "not_ready": not_ready("the model does not answer"),
    "timeout": RequestError("timeout", "no answer within 10 s"),
}
