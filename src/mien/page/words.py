"""Figures as they are written in sentences."""

from __future__ import annotations


def percent(share: float | None, digits: int = 0) -> str:
    """0.914 as 91 % with a space that does not break; – where there is no figure."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def plural(count: int, one: str, many: str = "") -> str:
    """1 picture, 2,000 pictures; `many` where an s is not enough."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
