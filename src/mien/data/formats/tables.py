"""A CSV or TSV table with a file and a label column (`id,class_num`, `file,label` …) beside picture files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.core.files import atomic_path
from mien.data.dataset import Dataset
from mien.data.formats import names_file
from mien.data.formats.base import Entry, Names, Notes, Progress, not_this_format, with_codes
from mien.data.formats.csv_rows import TABLE_SUFFIXES, check_once, header_of, table_rows
from mien.data.formats.listed import parts_at, pictures_of
from mien.data.formats.pictures import PictureReading, file_names, from_files, write_pngs
from mien.data.split import split_in, split_of
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import HEADER as VOTES_HEADER
from mien.data.votes_file import write_votes

# Column names in the order of preference, lower case.
_FILE = ("file", "filename", "file_name", "filepath", "file_path", "path", "pth", "image_path", "img_path", "image",
         "img", "image_name", "image_id", "name", "id")  # fmt: skip
_LABEL = ("label", "labels", "class", "class_name", "emotion", "expression", "category", "target", "class_num",
          "class_id", "class_idx", "label_id", "y")  # fmt: skip
_SPLIT = ("split", "usage", "set", "subset", "partition")
_SUBJECT = ("subject", "subject_id", "person", "person_id", "identity")


@dataclass(frozen=True)
class Columns:
    """Places of the columns in a table, of which all but the file may be missing, and what the used ones are called."""

    file: int
    label: int | None
    split: int | None
    subject: int | None
    count: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> Columns | None:
        """The columns of a CSV file, or None when it is no such table."""
        header = header_of(path) if path.suffix.lower() in TABLE_SUFFIXES else []
        if "pixels" in header or header == [name.lower() for name in VOTES_HEADER]:
            return None
        file, label, split, subject = (
            next((header.index(name) for name in wanted if name in header), None)
            for wanted in (_FILE, _LABEL, _SPLIT, _SUBJECT)
        )
        if file is None or (label is None and split_in(path.stem) != "test"):
            return None
        used = tuple(header[place] for place in (file, label, split, subject) if place is not None)
        return cls(file, label, split, subject, len(header), used)


def _read_table(path: Path, first: int) -> Iterator[tuple[Entry, str]]:
    """The entries of a table, numbered from `first`, with the name of the file that each means."""
    columns = Columns.of(path)
    assert columns is not None
    check_once(path, header_of(path), columns.names)
    by_name = split_in(path.stem)
    rows = table_rows(path)
    next(rows)
    for i, row in enumerate(rows):
        cells = [cell.strip() for cell in row] + [""] * (columns.count - len(row))
        split = by_name
        if columns.split is not None:
            split = split_of(cells[columns.split]) or cells[columns.split] or None
        label = cells[columns.label] if columns.label is not None else None
        subject = cells[columns.subject] or None if columns.subject is not None else None
        name = cells[columns.file]
        source = name or f"{path.name}#{i}"
        yield Entry(first + i, source, label, split, subject=subject), name


@dataclass(frozen=True)
class Tables:
    """The format as mien registers it."""

    name: str = "table"
    about: str = "a CSV or TSV with a file and a label column, beside the pictures"

    def sniff(self, path: Path) -> bool:
        return bool(parts_at(path, Columns.of))

    def read(self, path: Path) -> PictureReading:
        notes = Notes()
        tables = parts_at(path, Columns.of, notes)
        if not tables:
            raise not_this_format(path, self.name, f"no CSV with a file column ({', '.join(_FILE[:6])} …) and a label")
        rows: dict[str, list[tuple[Entry, str]]] = {}
        for table in tables:
            rows[table.name] = list(_read_table(table, sum(map(len, rows.values()))))
        pairs = pictures_of(path, rows, notes)
        entries = with_codes([entry for entry, _ in pairs])
        places = [place for _, place in pairs]
        reading = from_files(entries, places, root=path, names=_names(path, entries), ordered=True)
        reading.notes = notes
        return reading

    def write(self, dataset: Dataset, out: Path, *, progress: Progress | None = None) -> None:
        """images/00012.png, labels.csv with file, label (a name), split and person, and labels.txt; rows in order."""
        (out / "images").mkdir()
        files = [f"images/{name}" for name in file_names(len(dataset))]
        write_pngs(dataset, out, files=files, progress=progress)
        names = dataset.labels.names
        names_file.write_names(out / names_file.FILE_NAMES[0], names)
        columns = {
            "file": files,
            "label": [names[label] if label >= 0 else "" for label in dataset.label.tolist()],
            "split": dataset.split.tolist(),
        }
        if dataset.subject is not None:
            columns["subject"] = dataset.subject.tolist()
        with atomic_path(out / "labels.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        if dataset.votes is not None:
            plain = [name.rpartition("/")[2] for name in files]
            write_votes(out / VOTES_FILE, dataset.votes.tolist(), splits=dataset.split.tolist(), names=plain)


def _names(path: Path, entries: list[Entry]) -> Names | None:
    names = names_file.beside(path)
    return names.for_words({entry.label for entry in entries if entry.label}) if names else None
