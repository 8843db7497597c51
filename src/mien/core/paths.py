"""Errors for paths that are not there or cannot be read, with what may have been meant."""

from __future__ import annotations

import os
from pathlib import Path

from mien.core.errors import MienError, like

_MOST_LOOKED_AT = 10_000
_WEB = ("http:/", "https:/")  # of two slashes a path keeps one
_ALIKE = 0.8  # names of one ending are half alike by that


def absent(path: Path) -> MienError:
    """An error for a path where nothing is: with a name like it in its folder, or the folder that is missing."""
    if str(path).startswith(_WEB):
        return MienError(f"{path}: an address, not a file", hint="mien reads files: download it first")
    return MienError(f"{path}: no such file or folder", hint=_way_out(path))


def unreadable(path: Path, error: Exception) -> MienError:
    """An error for a file that could not be read, by what was raised: not there, not allowed, not text, or damaged."""
    if isinstance(error, FileNotFoundError):
        return absent(path)
    ways_out = ((PermissionError, "ask for the permission to read it"), (UnicodeError, "save it as UTF-8"))
    hint = next((way for kind, way in ways_out if isinstance(error, kind)), None)
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return MienError(f"{path}: cannot be read ({why})", hint=hint)


def _way_out(path: Path) -> str:
    above = path.parent
    if not above.is_dir():
        missing = next(folder for folder in [*reversed(path.parents)] if not folder.is_dir())
        return f"the folder {missing} is not there"
    near = like(path.name, _names(above), cutoff=_ALIKE)
    return f"did you mean {above / near}?" if near else f"mien works in {Path.cwd()}: paths count from there"


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [entry.name for entry, _ in zip(found, range(_MOST_LOOKED_AT), strict=False)]
    except OSError:
        return []
