"""Kind and size of a picture from its first bytes, before any decoder sees it.

Nothing is decoded and nothing allocated: Pillow's own look at a WebP header already makes room for the whole canvas,
and its loops over the pieces of a PNG or JPEG run in Python, once a piece. Formats: ISO/IEC 15948 (PNG), ITU-T T.81
annex B (JPEG), RFC 9649 (WebP).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mien.serve.problems import RequestError

FORMATS = ("JPEG", "PNG", "WEBP")
# Far beyond what any encoder writes; each piece costs a decoder time that has nothing to do with the picture's size.
MOST_CHUNKS, MOST_SEGMENTS, MOST_SCANS = 10_000, 1_000, 100
# A pass over a JPEG takes time for every pixel and needs few bytes: 25 million pixels in 100 passes are 60 KB and 3 s.
MOST_FULL_SCANS = 20
# Decoders take more memory for a row and a column than for their pixels: 25 million in one column are 650 MB.
LONGEST_SIDE = 20_000

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END = 0xDA, 0xD9
# What a decoder looks for behind coded data and segments: it skips anything else, restarts and stuffed bytes too.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


class Header(NamedTuple):
    """What a picture says about itself; sides in pixels as stored, before any EXIF rotation."""

    format: str
    width: int
    height: int


def read_header(data: bytes, *, max_pixels: int) -> Header:
    """Kind and size of a JPEG, PNG or WebP picture.

    Raises:
        RequestError: another kind (415), cut off or damaged before its size (422), more than `max_pixels`, a
            side above LONGEST_SIDE or far too many pieces (413).
    """
    name, measure = _recognise(data)
    try:
        width, height = measure(data)
    except IndexError:
        raise RequestError("unreadable_picture", f"the {name} picture is cut off before its size") from None
    if not width or not height:
        raise RequestError("unreadable_picture", f"the {name} picture says it is {width}×{height} pixels")
    if width * height > max_pixels:
        raise RequestError(
            "too_large", f"{width}×{height} pixels, at most {max_pixels:,} are taken", hint="make the picture smaller"
        )
    if max(width, height) > LONGEST_SIDE:
        raise RequestError("too_large", f"{width}×{height} pixels, a side has at most {LONGEST_SIDE:,}", hint="cut it")
    if name == "JPEG":
        _check_scans(data, width * height, max_pixels)
    return Header(name, width, height)


def _recognise(data: bytes) -> tuple[str, Callable[[bytes], tuple[int, int]]]:
    if data.startswith(_PNG_SIGNATURE):
        return "PNG", _png
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", _jpeg
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP", _webp
    hint = "only the content counts, not the name or the declared type"
    raise RequestError("unsupported_type", "not a JPEG, PNG or WebP picture", hint=hint)


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise RequestError("unreadable_picture", "the PNG picture does not begin with its header")
    position, chunks = len(_PNG_SIGNATURE), 0
    while position + 8 <= len(data):
        position += 12 + int.from_bytes(data[position : position + 4], "big")
        chunks += 1
        if chunks > MOST_CHUNKS:
            raise RequestError("too_large", f"the PNG picture is cut into more than {MOST_CHUNKS:,} pieces")
    return _number(data, 16, 4, "big"), _number(data, 20, 4, "big")


def _jpeg(data: bytes) -> tuple[int, int]:
    position = 2
    for _ in range(MOST_SEGMENTS):
        if data[position] != 0xFF:
            break
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        if marker in _START_OF_FRAME:
            return _number(data, position + 6, 2, "big"), _number(data, position + 4, 2, "big")
        position += 1 if marker in _WITHOUT_LENGTH else 1 + _number(data, position + 1, 2, "big")
    raise RequestError("unreadable_picture", "the JPEG picture does not say its size")


def _check_scans(data: bytes, pixels: int, max_pixels: int) -> None:
    most = min(MOST_SCANS, MOST_FULL_SCANS * max_pixels // pixels)
    for scans, _ in enumerate(_scans(data), 1):
        if scans > most:
            raise RequestError(
                "too_large", f"the JPEG picture is built up in more than {most} passes", hint="save it anew"
            )


def _scans(data: bytes) -> Iterator[int]:
    """Where the passes of a JPEG begin, up to its end: phones put films and further pictures behind that."""
    position = 2
    for _ in range(MOST_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None or data[found.start() + 1] == _END:
            return
        if data[found.start() + 1] == _START_OF_SCAN:
            yield found.start()
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        position = found.end() + max(length, 2)
    raise RequestError("too_large", f"the JPEG picture is cut into more than {MOST_SEGMENTS:,} pieces")


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + _number(data, 24, 3), 1 + _number(data, 27, 3)
    if kind == b"VP8L":
        bits = _number(data, 21, 4)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return _number(data, 26, 2) & 0x3FFF, _number(data, 28, 2) & 0x3FFF
    raise RequestError("unreadable_picture", "the WebP picture does not begin with its size")


def _number(data: bytes, start: int, length: int, order: str = "little") -> int:
    part = data[start : start + length]
    if len(part) < length:
        raise IndexError
    return int.from_bytes(part, "big" if order == "big" else "little")
