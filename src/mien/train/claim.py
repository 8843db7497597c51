"""Whose a run folder is: who writes in it now, and what a start that was killed at once has left there."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mien.core.errors import MienError, command
from mien.core.files import final_name
from mien.core.rundir import RunDir

try:
    import fcntl
except ImportError:  # where there are no such locks, nobody is kept out
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
# All that `train` writes before a folder is a run, under its own or a temporary name.
_WRITTEN = re.compile(
    r"\.lock|data\.json|env\.json|weights/resume/state\.safetensors|phases/\d+-(hard|left-out)\.parquet|teachers/\d+\.(safetensors|onnx)"
)
Stamp = tuple[int, int]


@contextmanager
def claimed(run: RunDir, *, is_first: bool) -> Iterator[None]:
    """While open, no other process can train in the folder of a run; the first process of a training claims it.

    The lock is the system's, on a file: it goes with the process that holds it, however that ends. Where the file
    system has none, nobody is kept out.

    Raises:
        MienError: another process trains there.
    """
    if not is_first or fcntl is None:
        yield
        return
    is_new, path = not run.path.exists(), run.path / LOCK
    with _locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if is_new:  # and nothing was written there: as it was
                with suppress(OSError):
                    run.path.rmdir()


def _locked(path: Path) -> IO[str]:
    """The lock's file, open, ours, and still the one under that name: whoever had it before deletes it at the end."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # the folder went with the holder before
            file = path.open("a+", encoding="utf-8")
            try:
                _lock(file, path)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()


def _lock(file: IO[str], path: Path) -> None:
    file.seek(0)
    holder = file.read().strip()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MienError(
            f"{path.parent}: {holder or 'another process'} is training there",
            hint="wait until it has ended, or end it: two would write one history",
        ) from None
    except OSError:  # a file system without locks
        return
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()


def leftovers(run: RunDir) -> dict[Path, Stamp]:
    """Files in a folder where a run is to begin: those of a start that was killed before it was a run, with stamps.

    Raises:
        MienError: the folder holds anything else.
    """
    if not run.path.exists():
        return {}
    if not run.path.is_dir():
        raise MienError(f"{run.path}: exists already, and is no folder", hint="choose another --out")
    found: dict[Path, Stamp] = {}
    for path in run.path.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        if not _is_ours(path.relative_to(run.path)):
            raise _taken(run)
        found[path] = _stamp(path)
    return found


def _taken(run: RunDir) -> MienError:
    begun = f"{command('resume', run.path)} goes on with it; or choose another --out"
    where = "" if run.path.resolve() != Path.cwd() else " (it is the working folder)"
    hint = begun if run.recipe.is_file() else "choose another --out"
    return MienError(f"{run.path}: exists already{where}", hint=hint)


def clear(left: dict[Path, Stamp]) -> None:
    """Delete leftovers that have not been written anew since."""
    for path, stamp in left.items():
        if path.name != LOCK and path.is_file() and _stamp(path) == stamp:
            path.unlink()


def _is_ours(path: Path) -> bool:
    """Whether `train` writes a file of this name, relative to the run folder."""
    return _WRITTEN.fullmatch(path.with_name(final_name(path.name)).as_posix()) is not None


def _stamp(path: Path) -> Stamp:
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns
