"""The one exception that users see, and how it reads."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MienError(Exception):
    """Wrong use or wrong input. The message says what, where and the way out; the command line exits with 2.

    >>> str(MienError("no such file: a.csv", hint="check the path"))
    'no such file: a.csv\\n  → check the path'
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{message}\n  → {hint}" if hint else message)
        self.message = message
        self.hint = hint


class MissingExtraError(MienError):
    """A library that is not part of the plain installation is needed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package}", hint=f"pip install 'mien[{extra}]'")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> MienError:
    """An error for a name that is not among the known ones, with the nearest of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return MienError(f"unknown {kind} {name!r}", hint=hint)
