"""`labels.txt`: which class name a number or token stands for. One `token name` or `name` a line."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.core.paths import unreadable
from mien.data.codes import is_number, plain
from mien.data.formats.base import Names
from mien.data.formats.list_lines import lists_pictures

FILE_NAMES = ("labels.txt", "label_list.txt", "classes.txt")


def beside(path: Path) -> Names | None:
    """The names file in the folder `path`, or in the folder of the file `path`; None when there is none.

    A file of that name which lists pictures is none.
    """
    folder = path if path.is_dir() else path.parent
    files = (folder / name for name in FILE_NAMES if (folder / name).is_file())
    found = next((file for file in files if not lists_pictures(file)), None)
    return read_names(found) if found else None


def read_names(path: Path) -> Names:
    """Read a names file.

    Raises:
        MienError: it cannot be read, is empty, or gives one token two names.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    if not lines:
        raise MienError(f"{path}: no class names in it", hint="one name a line, or `0 angry`")
    pairs = [line.split(None, 1) for line in lines]
    numbered = all(len(pair) == 2 and is_number(pair[0]) for pair in pairs)
    by_token: dict[str, str] = {}
    for number, line in enumerate(lines):
        token, name = pairs[number] if numbered else (str(number), line)
        other = by_token.setdefault(plain(token), name)
        if other != name:
            raise MienError(f"{path}: {token} stands for {other!r} and for {name!r}", hint="one name a number")
    return Names(by_token, str(path))


def write_names(path: Path, names: tuple[str, ...]) -> None:
    """Write `id name` lines, as PaddleClas does."""
    write_text(path, "".join(f"{i} {name}\n" for i, name in enumerate(names)))
