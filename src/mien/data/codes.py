"""Labels written as numbers: `3`, `03`, `3.0`."""

from __future__ import annotations

import re

_POINT = re.compile(r"(-?\d+)\.0*", re.ASCII)


def is_number(token: str) -> bool:
    """Whether a label is written in the digits 0 to 9 alone: `²` and `①` are names.

    >>> is_number("03"), is_number("²"), is_number("-1")
    (True, False, False)
    """
    return token.isascii() and token.isdigit()


def without_point(token: str) -> str:
    """A whole number that was written as a float, as the number; other labels as they are.

    >>> without_point("3.0"), without_point("-1.00"), without_point("3.5"), without_point("v1.0")
    ('3', '-1', '3.5', 'v1.0')
    """
    match = _POINT.fullmatch(token)
    return match[1] if match else token


def plain(token: str) -> str:
    """A whole number without leading zeros or a decimal point; other labels as they are.

    >>> plain("03"), plain("3.0"), plain("000"), plain("cat")
    ('3', '3', '0', 'cat')
    """
    whole = without_point(token)
    return whole.lstrip("0") or "0" if is_number(whole) else token


def by_value(token: str) -> tuple[int, int, str, str]:
    """A key that sorts numbers by their value, before all other labels."""
    digits = plain(token)
    return (0, len(digits), digits, token) if is_number(digits) else (1, 0, "", token)
