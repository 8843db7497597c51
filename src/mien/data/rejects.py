"""Rows and files that could not be taken, with the reason: kept in a table, or fatal when the user wants it so."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mien.core.errors import MienError
from mien.core.files import atomic_path

FILE_NAME = "rejects.csv"


class Reject(NamedTuple):
    """Position in the source counted from 0, the file (or file#row), why it was not taken, and the kind of reason."""

    row: int
    source: str
    reason: str
    kind: str


@dataclass
class Rejects:
    """Collects what was not taken. With `strict`, the first damaged row or picture raises MienError instead."""

    strict: bool = False
    items: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, row: int, source: str, reason: str, *, kind: str = "damaged") -> None:
        """Note something that is wrong with the source. Raises MienError when `strict`."""
        if self.strict:
            raise MienError(f"{source}: {reason}", hint="leave out --strict to skip such rows and go on")
        self.items.append(Reject(row, source, reason, kind))

    def leave_out(self, row: int, source: str, reason: str) -> None:
        """Note something that the user's own choice (such as a smaller label set) leaves out; never fatal."""
        self.items.append(Reject(row, source, reason, "left out"))

    def faults(self) -> list[Reject]:
        """What is wrong with the source, without what was left out by choice."""
        return [item for item in self.items if item.kind != "left out"]

    def counts(self) -> dict[str, int]:
        """Rejects by kind."""
        return dict(Counter(item.kind for item in self.items))

    def commonest(self, kind: str) -> tuple[str, int]:
        """The reason that most of a kind have, and how many have it."""
        return Counter(item.reason for item in self.items if item.kind == kind).most_common(1)[0]

    def write(self, path: Path) -> None:
        """Write them as CSV, in the order of the source."""
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(Reject._fields)
            writer.writerows(sorted(self.items))


def read(path: Path) -> list[Reject]:
    """What `write` has written; of a file without the column `kind`, all count as damaged.

    Raises:
        MienError: not such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restval=""))
        return [Reject(int(r["row"]), r["source"], r["reason"], r.get("kind") or "damaged") for r in rows]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise MienError(f"{path}: cannot be read ({error})", hint="delete it, or import the source again") from None
