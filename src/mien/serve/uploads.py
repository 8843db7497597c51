"""Reading the body of a request: counted while it comes, never on disk, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import final

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from mien.serve.problems import RequestError, busy
from mien.serve.settings import Limits

FORM = "multipart/form-data"
# What a body that is one picture may be called besides an image of any type: its content is looked at anyway.
UNNAMED = ("", "application/octet-stream")


class ClientGoneError(Exception):
    """The client has left, nobody waits for an answer."""


@final
class Budget:
    """Bytes that all bodies together may take in memory."""

    def __init__(self, total: int) -> None:
        self._left = total

    @contextmanager
    def share(self) -> Iterator[Share]:
        """What one request takes; given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, size: int) -> None:
        """Raise RequestError (503) when that much is not left."""
        if size > self._left:
            raise busy("too many uploads at once")
        self._left -= size


@final
class Share:
    """One request's part of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.taken = 0

    def take(self, size: int) -> None:
        """Raise RequestError (503) when that much is not left."""
        self._budget.take(size)
        self.taken += size


async def read_pictures(request: Request, share: Share, limits: Limits) -> list[bytes]:
    """The pictures of a request, encoded as they came: the files of a form, or the body itself.

    Raises:
        RequestError: no picture (400), too slow (408), too large (413), another content type (415), no room (503).
        ClientGoneError: the client has left.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind not in UNNAMED and not kind.startswith("image/"):
        hint = f"use {FORM} with files, or image/… or none with one picture as the body"
        raise RequestError("unsupported_type", f"the content type is {kind[:80]}", hint=hint)
    _check_declared_length(request, limits)
    chunks = _chunks(request, share, limits)
    try:
        pictures = await (_form(request, chunks, limits) if kind == FORM else _raw(chunks))
    except ClientDisconnect:
        raise ClientGoneError from None
    if not pictures or not all(pictures):
        raise RequestError("invalid_request", "there is no picture in the request, or an empty one")
    return pictures


def _too_large(limits: Limits) -> RequestError:
    hint = "make the pictures smaller or send fewer at a time"
    return RequestError("too_large", f"more than {limits.body_bytes:,} bytes", hint=hint)


def _too_slow(limits: Limits) -> RequestError:
    times = f"{limits.chunk_seconds:g} s a piece, {limits.body_seconds:g} s in all"
    return RequestError("too_slow", f"the body did not come in time: {times}", headers={"Connection": "close"})


def _check_declared_length(request: Request, limits: Limits) -> None:
    declared = request.headers.get("content-length", "0")
    # Python refuses to read numbers of thousands of digits.
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limits.body_bytes):
        raise _too_large(limits)


async def _chunks(request: Request, share: Share, limits: Limits) -> AsyncGenerator[bytes, None]:
    size, stream, clock = 0, request.stream(), asyncio.get_running_loop().time
    end = clock() + limits.body_seconds
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream, None), min(limits.chunk_seconds, end - clock()))
        except TimeoutError:
            raise _too_slow(limits) from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limits.body_bytes:
            raise _too_large(limits)
        share.take(len(chunk))
        yield chunk


async def _raw(chunks: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [b"".join([chunk async for chunk in chunks])]


class _InMemory(MultiPartParser):
    """Starlette's parser; every part is a picture, with a file name or without, and none ever moves to disk."""

    spool_max_size = 2**62
    ended = False

    def on_headers_finished(self) -> None:
        """A part without a file name would be taken for text."""
        _, options = parse_options_header(self._current_part.content_disposition)
        if self._current_part.content_disposition is not None and b"filename" not in options:
            self._current_part.content_disposition += b'; filename="picture"'
        super().on_headers_finished()

    def on_end(self) -> None:
        """The form is complete: without its last boundary, pictures may be missing."""
        self.ended = True

    async def pictures(self) -> list[bytes]:
        """The parts, in their order. Raises MultiPartException when the form is damaged or cut off."""
        try:
            form = await self.parse()
            if not self.ended:
                raise MultiPartException("it is cut off")
            return [await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)]
        finally:
            for file in self._files_to_close_on_error:
                file.close()


async def _form(request: Request, chunks: AsyncGenerator[bytes, None], limits: Limits) -> list[bytes]:
    try:
        return await _InMemory(request.headers, chunks, max_files=limits.pictures).pictures()
    except (MultiPartException, UnicodeError) as error:  # the latter where it names a charset that decodes nothing
        raise RequestError("invalid_request", f"the form cannot be read: {error}") from None
