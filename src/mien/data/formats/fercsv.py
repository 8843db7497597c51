"""The CSV family of FER2013: fer2013.csv, icml_face_data.csv, and the contest's train.csv and test.csv.

Columns are found by name: `pixels` (grey, square, decimal numbers with spaces), `emotion` (absent in the contest's
test.csv), `Usage` (absent in both contest files, whose names then tell the split). Ids are FER2013's, unless a
`labels.txt` beside the file names others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.dataset import Dataset
from mien.data.formats import names_file
from mien.data.formats.ahead import ahead, chunks
from mien.data.formats.base import Block, Entry, Names, Notes, Pixels, Progress, Shape, not_this_format, readable
from mien.data.formats.csv_rows import Columns, Row, check_utf8, header_of
from mien.data.formats.fercsv_write import CONTEST_FILES, FER2013_FILE, ICML_FILE, write_layout
from mien.data.formats.pixeltext import parse_texts, side_of
from mien.data.formats.resize import resize_all
from mien.data.rejects import Rejects
from mien.data.split import split_of
from mien.data.votes_file import VoteTable

ROWS_AT_ONCE = 128
# A row of 1024×1024 px, the largest that a packed set may have; a longer one is a faulty row.
_LONGEST_ROW = (1 << 22) + 1024
_LARGE_BLOCK = 24 << 20  # bytes; above 32 MiB glibc no longer learns from it
_HEAD_ROWS = 32  # enough to tell the pictures' side when some rows are broken
READ_BYTES = 1 << 20


def layout_of(path: Path) -> str | None:
    """Which layout of the family is at `path`, or None."""
    files = _files_of(path)
    header = header_of(files[0]) if files else []
    if not header:
        return None
    if "usage" not in header:
        return "contest"
    return "icml" if header.index("usage") < header.index("pixels") else "fer2013"


def _files_of(path: Path) -> list[Path]:
    """The CSV files of this family at `path`: the file itself, or what a folder holds (the complete one first)."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".csv" and "pixels" in header_of(path) else []
    for name in (FER2013_FILE, ICML_FILE):
        if "pixels" in header_of(path / name):
            return [path / name]
    return [path / name for name in CONTEST_FILES if "pixels" in header_of(path / name)]


@dataclass
class FerCsvReading:
    """One or more files of the family, read as one stream in blocks."""

    files: list[Path]
    names: Names | None
    notes: Notes = field(default_factory=Notes)
    votes: VoteTable | None = None
    total: int | None = None
    labels: Counter[str] = field(default_factory=Counter)  # are read with the pixels; `names` says what they mean

    @cached_property
    def _heads(self) -> dict[Path, tuple[int, int]]:
        """Of each file the side of its pictures and about how many rows it has."""
        return {path: _head(path) for path in self.files}

    def survey(self, progress: Progress | None = None) -> Counter[Shape]:  # noqa: ARG002 — nothing takes long
        """The first rows of each file stand for all: a row of another length is a fault."""
        heads = self._heads.values()
        self.total = sum(rows for _, rows in heads)
        return Counter(Shape(side, side, 1) for side, _ in heads)

    def join(self, votes: VoteTable) -> None:
        self.votes = votes

    def blocks(self, shape: Shape, rejects: Rejects) -> Iterator[Block]:
        first = 0
        for path in self.files:
            line = 0
            for rows, images, faults in _parsed(path, self._heads[path][0]):
                entries = self._entries(path, rows, first + line, line)
                line += len(rows)
                yield _block(images, entries, faults, shape, rejects)
            first += line
        if self.votes is not None:
            self.votes.check_length(first)

    def _entries(self, path: Path, rows: list[Row], first: int, line: int) -> list[Entry]:
        """An entry for each row; its split comes from Usage, else from the name of a contest file."""
        by_file, name = split_of(path.stem), readable(path.name)
        splits = [by_file if row.usage is None else split_of(row.usage) or row.usage for row in rows]
        votes: Sequence[tuple[int, ...] | None] = [None] * len(rows)
        if self.votes is not None:
            for number, split in enumerate(splits, start=first):
                self.votes.check_usage(number, split)
            votes = self.votes.votes[first : first + len(rows)]
        return [
            Entry(first + i, f"{name}#{line + i}", row.label, splits[i], votes[i], row.subject or None)
            for i, row in enumerate(rows)
        ]


def _block(images: Pixels, entries: list[Entry], faults: dict[int, str], shape: Shape, rejects: Rejects) -> Block:
    for i, reason in faults.items():
        rejects.add(entries[i].row, entries[i].source, reason)
    if faults:
        kept = [i for i in range(len(entries)) if i not in faults]
        images, entries = images[kept], [entries[i] for i in kept]
    return Block(resize_all(images, shape), entries)


def _head(path: Path) -> tuple[int, int]:
    """Side of the pictures by the first rows, and about how many rows there are by the size of the file."""
    columns = Columns.of(path)
    with path.open("rb", buffering=READ_BYTES) as file:
        file.readline()
        lines = list(islice(_lines(file), _HEAD_ROWS))
    side = side_of([columns.cut(line).pixels for line in lines])
    if side is None:
        raise MienError(f"{path}: no row holds a square picture", hint="pixels are numbers with spaces between")
    return side, max(len(lines), round(path.stat().st_size * len(lines) / sum(map(len, lines))))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The rows of an open file, of a row without end the first part, so that it counts as one row."""
    begins = True
    while part := file.readline(_LONGEST_ROW):
        if begins and (len(part) > 2 or part.strip()):
            yield part
        begins = part.endswith(b"\n")


def _cut(columns: Columns, line: bytes) -> Row:
    if len(line) < _LONGEST_ROW or line.endswith(b"\n"):
        return columns.cut(line)
    return Row(None, None, b"", f"a row of more than {_LONGEST_ROW:,} bytes")


def _parsed(path: Path, side: int) -> Iterator[tuple[list[Row], Pixels, dict[int, str]]]:
    """Rows, pixels (n, side, side) and faults, a few hundred rows at a time, parsed ahead by threads."""
    columns = Columns.of(path)
    _keep_freed_memory()

    def parse(lines: list[bytes]) -> tuple[list[Row], Pixels, dict[int, str]]:
        rows = [_cut(columns, line) for line in lines]
        pixels, faults = parse_texts([row.pixels for row in rows], side * side)
        faults |= {i: row.fault for i, row in enumerate(rows) if row.fault}
        return rows, pixels.reshape(-1, side, side), faults

    with path.open("rb", buffering=READ_BYTES) as file:
        file.readline()
        yield from ahead(parse, chunks(_lines(file), ROWS_AT_ONCE))


def _keep_freed_memory() -> None:
    """Let glibc keep the memory of a chunk of rows for the next one.

    Blocks above a limit go back to the system when they are freed, and a new one costs a page fault for every 4 kB: a
    fifth of an import's time. The limit rises to the size of the largest block that was freed so (mallopt(3), dynamic
    M_MMAP_THRESHOLD); this one is never touched, so it costs nothing. Other systems do not care.
    """
    np.empty(_LARGE_BLOCK, np.uint8)


@dataclass(frozen=True)
class FerCsv:
    """One layout of the family as mien registers it: its header, and whether each split is a file of its own."""

    name: str
    about: str
    header: str
    split_files: bool = False

    def sniff(self, path: Path) -> bool:
        return layout_of(path) == self.name

    def read(self, path: Path) -> FerCsvReading:
        files = _files_of(path)
        if not files:
            raise not_this_format(path, self.name, "no CSV file with a column named pixels")
        for file in files:
            check_utf8(file)
        default = Names({str(i): name for i, name in enumerate(FER2013.names)}, "the ids of FER2013")
        reading = FerCsvReading(files, names_file.beside(files[0]) or default)
        for file in files:
            if Columns.of(file).label is None:
                reading.notes.add(
                    f"{file.name}: no column called emotion or label, so none of its pictures has a label"
                )
        return reading

    def write(self, dataset: Dataset, out: Path, *, progress: Progress | None = None) -> None:
        write_layout(dataset, out, header=self.header, split_files=self.split_files, progress=progress)


LAYOUTS = (
    FerCsv("fer2013", "a CSV with emotion, pixels and Usage, as fer2013.csv", "emotion,pixels,Usage"),
    FerCsv("icml", "a CSV with emotion, Usage and pixels, as icml_face_data.csv", "emotion, Usage, pixels"),
    FerCsv("contest", "train.csv and test.csv without Usage, as in the contest", "emotion,pixels", split_files=True),
)
