"""Rows of CSV files: those of any table, and those of the FER2013 family, cut at their commas, fast.

Cells may stand between commas, semicolons (as spreadsheets write them in many countries) or tabs: the header tells.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mien.core.errors import MienError
from mien.core.paths import unreadable

TABLE_SUFFIXES = (".csv", ".tsv")
_LONGEST_HEADER = 1 << 16
_AROUND = ' \t\r\n"'  # what may surround a cell; no cell of this family holds a comma or a quote
_AROUND_BYTES = _AROUND.encode()
_QUOTED = re.compile(r'"[^"]*"')
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# What the labels of the FER2013 family are called, the usual name first.
_LABELS = ("emotion", "label", "labels", "expression", "class")


def _first_line(path: Path) -> str:
    """The header as it is written; empty when there is no such file. A pipe is none: to look would be to wait."""
    try:
        if not path.is_file():
            return ""
        with path.open(encoding=encoding_of(path), errors="replace") as file:
            return file.readline(_LONGEST_HEADER)
    except (OSError, ValueError):
        return ""


def encoding_of(path: Path) -> str:
    """UTF-8, or UTF-16 where the file begins with its mark."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in _UTF16 else "utf-8-sig"


def check_utf8(path: Path) -> None:
    """Raise MienError when a file whose rows are cut as bytes is in UTF-16, as some spreadsheets write it."""
    if encoding_of(path) == "utf-16":
        raise MienError(f"{path}: written in UTF-16", hint="save it as CSV in UTF-8")


def _separator(header: str) -> str:
    """What stands between the cells of a header, outside of quotes."""
    plain = _QUOTED.sub("", header)
    return next((mark for mark in (",", ";", "\t") if mark in plain), ",")


def header_of(path: Path) -> list[str]:
    """The column names of a CSV file, trimmed, in lower case; empty when there is no such file."""
    line = _first_line(path)
    cells = next(csv.reader([line], delimiter=_separator(line)), [])
    return [cell.strip(_AROUND).lower() for cell in cells]


def table_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV file with a cell each, the header first, without empty ones.

    Raises:
        MienError: it cannot be read, or is not in UTF-8 or UTF-16.
    """
    separator = _separator(_first_line(path))
    try:
        with path.open(newline="", encoding=encoding_of(path)) as file:
            yield from (cells for cells in csv.reader(file, delimiter=separator) if cells)
    except UnicodeError as error:
        raise MienError(f"{path}: neither UTF-8 nor UTF-16 ({error})", hint="save it as CSV in UTF-8") from None
    except OSError as error:
        raise unreadable(path, error) from None
    except csv.Error as error:
        raise MienError(f"{path}: is no CSV file ({error})", hint="save it as CSV in UTF-8") from None


def check_once(path: Path, names: list[str], used: tuple[str, ...]) -> None:
    """Raise MienError when one of the `used` columns stands twice among `names`: nobody can tell which is meant."""
    twice = next((name for name, count in Counter(names).items() if count > 1 and name in used), None)
    if twice is not None:
        raise MienError(f"{path}: its header has the column {twice!r} twice", hint="rename or delete one of them")


class Row(NamedTuple):
    """A row cut at its commas. `label`, `usage` and `subject` are None where the file has no such column."""

    label: str | None
    usage: str | None
    pixels: bytes
    fault: str = ""
    subject: str | None = None


@dataclass(frozen=True)
class Columns:
    """Where the columns stand, and what is between them."""

    count: int
    pixels: int
    label: int | None
    usage: int | None
    subject: int | None = None
    separator: bytes = b","

    @classmethod
    def of(cls, path: Path) -> Columns:
        """The columns of a file that has `pixels`. Raises MienError when one that is used stands twice."""
        names = header_of(path)
        check_once(path, names, ("pixels", "usage", "subject", *_LABELS))
        place = {name: i for i, name in enumerate(names)}
        label = next((place[name] for name in _LABELS if name in place), None)
        separator = _separator(_first_line(path)).encode()
        return cls(len(names), place["pixels"], label, place.get("usage"), place.get("subject"), separator)

    def cut(self, line: bytes) -> Row:
        """The row of a line, with a fault when it has another number of columns than the header."""
        cells = self._cells(line)
        if len(cells) != self.count:
            return Row(None, None, b"", f"{len(cells)} columns instead of {self.count}")
        label, usage, subject = (_text(cells, place) for place in (self.label, self.usage, self.subject))
        return Row(label, usage, cells[self.pixels].strip(_AROUND_BYTES), subject=subject)

    def _cells(self, line: bytes) -> list[bytes]:
        """`line.split(b",")`, but from both ends, so that the pixels' bytes are not looked at one by one."""
        mark = self.separator
        *before, rest = line.split(mark, self.pixels)
        pixels, *after = rest.rsplit(mark, self.count - 1 - self.pixels)
        return line.split(mark) if mark in pixels else [*before, pixels, *after]


def _text(cells: list[bytes], place: int | None) -> str | None:
    return None if place is None else _word(cells[place])


@lru_cache(maxsize=256)  # asked for every row, of a handful of labels and usages
def _word(cell: bytes) -> str:
    return cell.decode("utf-8", "replace").strip(_AROUND)
