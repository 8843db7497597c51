"""The one exception that users see, and how it reads."""

from __future__ import annotations

import shlex
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


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in long work: the message says what is kept and how to go on. The command line exits with 130."""


_LISTED, _NEAREST = 30, 5


def unknown_name(kind: str, name: str, known: Iterable[str]) -> MienError:
    """An error for a name that is not among the known ones: with the nearest of them, else all, else some of many."""
    return MienError(f"unknown {kind} {name!r}", hint=nearest(name, known))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not among the known ones: which may have been meant, else which there are.

    >>> nearest("FER2013", ["ferplus8", "fer2013"]), nearest("x", ["ferplus8", "fer2013"])
    ("did you mean 'fer2013'?", 'known: fer2013, ferplus8')
    """
    names = sorted(known)
    near = like(name, names)
    return f"did you mean {near!r}?" if near else _listed(name, names)


def like(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The known name most like another one, in whatever case; None where none is by `cutoff`, from 0 to 1 for equal."""
    folded = {own.casefold(): own for own in sorted(known, reverse=True)}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else None


def _listed(name: str, names: list[str]) -> str:
    if len(names) <= _LISTED:
        return f"known: {', '.join(names)}"
    some = get_close_matches(name, names, n=_NEAREST, cutoff=0) or names[:_NEAREST]
    return f"{len(names):,} are known, the nearest by spelling: {', '.join(some)}"


def command(*words: object) -> str:
    """A command of mien as it can be pasted into a shell, whatever its paths are called.

    >>> command("export", "my run")
    "mien export 'my run'"
    """
    return shlex.join(["mien", *map(str, words)])
