"""Places that are to be written to, looked at before the work whose results they get."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mien.core.errors import MienError


def check_file(path: Path, *, endings: tuple[str, ...] = ()) -> None:
    """Raise MienError where no file can be written: a folder, or a folder above that cannot be written to.

    Of a kind of file that goes by `endings`, such as `.html`, other names are refused too: what has one is another
    kind of file, and would be lost.
    """
    if path.is_dir():
        raise MienError(f"{path}: is a folder", hint="name a file, such as one in this folder")
    if endings and path.suffix.lower() not in endings:
        raise MienError(
            f"{path}: does not end in {' or '.join(endings)}", hint=f"such as {path.with_suffix(endings[0]).name}"
        )
    _check_above(path)


def check_files(wanted: Iterable[Path | None], *, read: Iterable[Path] = (), endings: tuple[str, ...] = ()) -> None:
    """Raise MienError as `check_file` does, or when a file to write is read or written besides: one would be lost."""
    taken: list[Path] = []
    sources = set(map(_place, read))
    for path in filter(None, wanted):
        check_file(path, endings=endings)
        if _place(path) in sources:
            raise MienError(f"{path}: is what is looked at, and would be replaced", hint="write to another file")
        if _place(path) in map(_place, taken):
            raise MienError(
                f"{path}: is to be written twice, and one would be lost", hint="give each a name of its own"
            )
        taken.append(path)


def _place(path: Path) -> tuple[int, int] | Path:
    """The same for two names of one file, be it by links."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def check_folder(path: Path) -> None:
    """Raise MienError where no folder can be filled: a file, or a place that cannot be written to."""
    if path.exists() and not path.is_dir():
        raise MienError(f"{path}: is a file, not a folder", hint="name a folder, which may be a new one")
    _check_above(path / "file")


def _check_above(path: Path) -> None:
    """Raise MienError unless the nearest folder above `path` that exists can be written to."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise MienError(f"{path}: {above} is a file, not a folder", hint="choose another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise MienError(f"{path}: {above} cannot be written to", hint="choose another place, or ask for the permission")
