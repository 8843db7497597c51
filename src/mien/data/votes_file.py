"""Reading and joining `fer2013new.csv`, the vote table of FER+ (microsoft/FERPlus)."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.paths import unreadable
from mien.core.votes import COLUMNS
from mien.data.arrow import to_numpy
from mien.data.split import USAGE, split_of

FILE_NAME = "fer2013new.csv"
HEADER = ("Usage", "Image name", *COLUMNS)


@dataclass(frozen=True)
class VoteTable:
    """Rows of a vote file: split (train, val, test), the picture's file name as it is written, and ten votes."""

    path: Path
    splits: list[str]
    names: list[str]
    votes: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.votes)

    def check_usage(self, row: int, split: str | None) -> None:
        """Raise MienError unless row `row` of the votes has the split of row `row` of the pictures."""
        if row >= len(self):
            raise MienError(f"{self.path}: {len(self)} rows of votes, but the pictures go on at row {row}", hint=_HINT)
        if split is not None and self.splits[row] != split:
            ours, theirs = USAGE.get(split, split), USAGE[self.splits[row]]
            raise MienError(f"{self.path}: row {row} (from 0) is {theirs}, but that picture is {ours}", hint=_HINT)

    def check_length(self, rows: int) -> None:
        """Raise MienError unless there are exactly `rows` rows."""
        if rows != len(self):
            raise MienError(f"{self.path}: {len(self)} rows of votes for {rows} rows of pictures", hint=_HINT)

    def by_name(self) -> dict[str, int]:
        """Row by file name, without the rows that have none (FER+ leaves it out where nobody saw a face)."""
        return {name: row for row, name in enumerate(self.names) if name}

    def check_names(self, pictures: Sequence[str], rows: Sequence[int]) -> None:
        """Raise MienError unless each of the `pictures`, joined with `rows` by file name, has a row of its own.

        A picture may be listed twice; two pictures of one name, or one name in two rows, cannot be told apart.
        """
        counts = Counter(self.names)
        taken: dict[int, str] = {}
        for picture, row in zip(pictures, rows, strict=True):
            other = taken.setdefault(row, picture)
            if other != picture:
                raise MienError(f"{self.path}: row {row} (from 0) would go to {other} and to {picture}", hint=_BY_NAME)
            if counts[self.names[row]] > 1:
                count = counts[self.names[row]]
                raise MienError(f"{self.path}: {count} rows are called {self.names[row]}", hint=_BY_NAME)


_BY_NAME = "votes join pictures by file name, so each name may stand once: rename them, or --no-votes"
_HINT = "votes belong to the pictures by row order: use the two files that come together, or --no-votes"


def read_votes(path: Path) -> VoteTable:
    """Read a vote file.

    Raises:
        MienError: no such file, other columns than `HEADER`, or a cell that is no vote; names the row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = [cell.strip().lower() for cell in next(csv.reader(file), [])]
            if header != [cell.lower() for cell in HEADER]:
                raise MienError(f"{path}: not a FER+ vote file", hint=f"its header is {','.join(HEADER)}")
            table = _read_fast(path)
            return table if table is not None else _read_slowly(path, csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None


def _read_fast(path: Path) -> VoteTable | None:
    """The whole table by Arrow, or None when something in it is odd."""
    columns = ["usage", "name", *COLUMNS]
    types = {"usage": pa.string(), "name": pa.string(), **{name: pa.uint8() for name in COLUMNS}}
    try:
        table = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(column_names=columns, skip_rows=1),
            convert_options=pa_csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    splits = [split_of(usage) for usage in table.column("usage").to_pylist()]
    if None in splits:
        return None
    votes = [to_numpy(table.column(name)).tolist() for name in COLUMNS]
    known = [split for split in splits if split is not None]
    names = [name.strip() for name in table.column("name").to_pylist()]
    return VoteTable(path, known, names, list(zip(*votes, strict=True)))


def _read_slowly(path: Path, reader: Iterator[list[str]]) -> VoteTable:
    rows = [_row(path, number, cells) for number, cells in enumerate(reader)]
    return VoteTable(path, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def _row(path: Path, number: int, cells: Sequence[str]) -> tuple[str, str, tuple[int, ...]]:
    split = split_of(cells[0]) if cells else None
    votes = [cell.strip() for cell in cells[2:]]
    good = len(votes) == len(COLUMNS) and all(v.isascii() and v.isdigit() and int(v) <= 255 for v in votes)
    if split is None or not good:
        raise MienError(
            f"{path}: row {number} (from 0) has no Usage or not ten votes: {','.join(cells)[:80]}",
            hint="a row is Usage, image name and ten whole numbers from 0",
        )
    return split, cells[1].strip(), tuple(int(v) for v in votes)


def write_votes(path: Path, votes: Sequence[Sequence[int]], *, splits: Sequence[str], names: Sequence[str]) -> None:
    """Write a vote file in the layout of FER+."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(
            (USAGE[split], name, *map(int, row)) for split, name, row in zip(splits, names, votes, strict=True)
        )
