"""Pixels written as decimal numbers with spaces, as in fer2013.csv, to uint8: many rows at once, checked exactly.

The fast way takes a chunk of rows that fits the cache, finds the separators, and gathers the one to three digits in
front of each. It accepts a chunk only when every token is a number from 0 to 255, all separators are single spaces,
and every row has the wanted count. Anything else is read row by row, which names the fault.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_SPACE, _ZERO = 32, 48
_MARGIN = b"    "
_ROWS_AT_ONCE = 16  # of 48×48 about 130 kB of text: larger chunks leave the cache, smaller ones pay per call


def parse_texts(texts: Sequence[bytes], count: int) -> tuple[Pixels, dict[int, str]]:
    """Pixels (n, count) of n texts, and the reason for each one that has none (its pixels are 0)."""
    pixels = np.zeros((len(texts), count), np.uint8)
    faults: dict[int, str] = {}
    for first in range(0, len(texts), _ROWS_AT_ONCE):
        chunk, out = texts[first : first + _ROWS_AT_ONCE], pixels[first : first + _ROWS_AT_ONCE]
        if not _parse_fast(chunk, out.reshape(-1)):
            faults |= {first + i: fault for i, fault in _parse_slowly(chunk, out).items()}
    return pixels, faults


def _parse_slowly(texts: Sequence[bytes], out: Pixels) -> dict[int, str]:
    """Fill `out` (n, count) one text after the other and return what is wrong with those that have no pixels."""
    faults = {}
    for i, text in enumerate(texts):
        values = parse_text(text.decode("utf-8", "replace"), out.shape[1])
        if isinstance(values, str):
            faults[i] = values
            out[i] = 0
        else:
            out[i] = values
    return faults


def _parse_fast(texts: Sequence[bytes], out: Pixels) -> bool:
    """Whether every text is flawless; `out` (n·count,) then holds their numbers.

    Works on the texts laid end to end, a space after each. At a separator the three bytes before it are the number,
    as far as they are digits of its own; those values are computed at every byte and gathered at the separators.
    """
    text = np.frombuffer(b"".join((_MARGIN, b" ".join((*texts, b"")))), np.uint8)
    not_digit = (text - np.uint8(_ZERO)) > 9
    here, one, two, three, four = (not_digit[4 - back : len(text) - back] for back in range(5))
    stops = np.flatnonzero(here)
    if len(stops) != len(out) or np.count_nonzero(text == _SPACE) != len(stops) + len(_MARGIN):
        return False
    ends = np.cumsum([len(t) + 1 for t in texts]) - 1
    last = len(out) // len(texts) - 1
    empty, too_long = here & one, here > (one | two | three | four)
    if (stops[last :: last + 1] != ends).any() or empty.any() or too_long.any():
        return False
    digit = text & 15  # a space becomes 0, so that only the hundreds of a one-digit number need a mask
    value = digit[1:-3] * np.uint16(100)
    value *= ~two
    value += digit[2:-2] * np.uint8(10)
    value += digit[3:-1]
    numbers = value.take(stops)
    if numbers.max() > 255:
        return False
    out[:] = numbers
    return True


def parse_text(text: str, count: int) -> Pixels | str:
    """The pixels (count,) of one row, or what is wrong with it."""
    tokens = text.split()
    if not tokens:
        return "no pixels"
    for place, token in enumerate(tokens):
        if not (token.isascii() and token.isdigit()):
            return f"pixel {place} is {token[:20]!r}, not a whole number from 0 to 255"
        if int(token[:9]) > 255:
            return f"pixel {place} is {token[:20]}, beyond 0–255"
    if len(tokens) != count:
        return f"{len(tokens)} pixels instead of {count}"
    return np.array(tokens, np.uint16).astype(np.uint8)


def side_of(texts: Sequence[bytes]) -> int | None:
    """The side of the square pictures that most of `texts` hold, or None when none of them is a square."""
    lengths = [len(text.split()) for text in texts]
    squares = [n for n in lengths if n and round(n**0.5) ** 2 == n]
    return round(max(set(squares), key=squares.count) ** 0.5) if squares else None


def format_pixels(image: Pixels) -> str:
    """Pixels (H, W) as text, row after row."""
    return " ".join(map(str, np.asarray(image).reshape(-1).tolist()))
