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

_ZERO = 48
_SPACE = (32 - _ZERO) % 256
_BEFORE = 4  # spaces in front of all texts, so that each number has three bytes before it
_MARGIN = b" " * (_BEFORE - 1)
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

    Works on the texts laid end to end, a space after each, in bytes all through: wider types cost more than all else.
    At a separator the three bytes before it are the number, as far as they are digits of its own. Those values are
    computed at every byte, modulo 256, and gathered at the separators.
    """
    digit = np.frombuffer(b" ".join((_MARGIN, *texts, b"")), np.uint8) - np.uint8(_ZERO)
    not_digit = digit > 9
    stops = np.flatnonzero(not_digit[_BEFORE:])
    if len(stops) != len(out) or np.count_nonzero(digit == _SPACE) != len(stops) + _BEFORE:
        return False
    lengths, last = np.diff(stops), len(out) // len(texts) - 1
    ends = np.cumsum([len(t) + 1 for t in texts]) - 1
    one_to_three = 1 <= stops[0] <= 3 and (len(lengths) == 0 or (lengths.min() > 1 and lengths.max() < 5))
    if not one_to_three or (stops[last :: last + 1] != ends).any():
        return False
    own = not_digit.view(np.uint8) - np.uint8(1)  # 255 at digits, 0 at separators
    digit &= own
    hundreds = digit[1:-3] & own[2:-2]  # a digit counts for hundreds when the next byte is one, too
    below = digit[2:-2] * np.uint8(10)
    below += digit[3:-1]
    value = hundreds * np.uint8(100)
    value += below
    beyond = value < below  # 256 to 299
    beyond |= hundreds > 2
    beyond &= not_digit[_BEFORE:]
    if beyond.any():
        return False
    np.take(value, stops, out=out, mode="clip")  # "raise" would go through a buffer
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
