"""Writing files and folders so that a kill at any moment leaves the old state or the new one, never a half."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.core.errors import MienError

_HOST = re.sub(r"[^0-9A-Za-z-]", "-", socket.gethostname())
_OF_SAFETENSORS = re.compile(r"\.tmp[0-9A-Za-z]{6}")  # which it writes by way of, since 0.8 at the latest
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9A-Za-z-]+)-(?P<process>\d+)\.tmp")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file name beside `path`; on success the file is synced and renamed to `path`."""
    path = _target(path)
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; on success it takes the place of `path` (an old one is removed after).

    Raises:
        MienError: `path` is the working folder, which cannot be replaced under those who work in it.
    """
    path = _target(path)
    if path == Path.cwd():
        raise MienError(f"{path} is the working folder", hint="name a folder below it or beside it")
    _remove_left(path)
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        # A folder cannot be replaced in one step: between the two renames the old one stands beside, as `.NAME.old`.
        old = path.with_name(f".{path.name}.old")
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.replace(old)
        try:
            temporary.replace(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _target(path: Path) -> Path:
    """Where `path` leads: links stay links, and what is written lies on the disk that they name."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.tmp")


def final_name(name: str) -> str:
    """What a temporary file or folder will be called; other names as they are.

    >>> final_name(".model.onnx.host-12.tmp"), final_name("model.onnx")
    ('model.onnx', 'model.onnx')
    """
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found else name


def _remove_left(path: Path) -> None:
    """Delete what writers of the folder `path` left that were killed on this machine."""
    for left in path.parent.iterdir():
        found = _TEMPORARY.fullmatch(left.name)
        ours = found is not None and (found["name"], found["host"]) == (path.name, _HOST)
        if found and ours and not _is_alive(int(found["process"])):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_table(path: Path, *keys: str, hint: str) -> dict[str, Any]:
    """A JSON table that mien has written. Raises MienError when it is damaged or lacks one of the keys."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MienError(f"{path}: damaged ({error})", hint=hint) from None
    if not isinstance(facts, dict) or any(key not in facts for key in keys):
        raise MienError(f"{path}: damaged, it lacks {' or '.join(keys)}", hint=hint)
    return facts


def remove_temporaries(folder: Path) -> None:
    """Delete what killed writers have left below `folder`. Call it only when no other process writes there."""
    for left in [*folder.rglob(".*")]:
        if left.name.endswith(".tmp") and left.is_dir():
            shutil.rmtree(left)
        elif left.name.endswith(".tmp") or (_OF_SAFETENSORS.fullmatch(left.name) and left.is_file()):
            left.unlink(missing_ok=True)
