"""The lines of list files: a picture with or without a label each."""

from __future__ import annotations

from pathlib import Path

from mien.data.formats.csv_rows import encoding_of
from mien.data.formats.pictures import is_picture


def cut(line: str) -> tuple[str, str | None]:
    """Path and label of a line; a path may hold spaces, and a test list may have no labels."""
    line = line.strip()
    if is_picture(line):
        return line, None
    path, _, label = line.rpartition("\t") if "\t" in line else line.rpartition(" ")
    return path.strip(), label.strip()


def lists_pictures(path: Path) -> bool:
    """Whether the first line of a text file is a picture with or without a label. A pipe is none: it may never end."""
    if not path.is_file():
        return False
    try:
        with path.open(encoding=encoding_of(path), errors="replace") as file:
            first = next((line for line in file if line.strip()), "")
    except (OSError, UnicodeError):
        return False
    return is_picture(cut(first)[0])
