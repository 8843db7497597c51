"""A CSV table with a file and a label column (`id,class_num`, `file,label`, `pth,label` …) beside picture files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.core.files import atomic_path
from mien.core.picture import SUFFIXES
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.base import Entry, Names, Notes, Progress, not_this_format, with_codes
from mien.data.formats.csv_rows import check_once, header_of, table_rows
from mien.data.formats.lists import split_in
from mien.data.formats.overlap import Pair, joined
from mien.data.formats.pictures import PictureReading, file_at, file_names, from_files, pictures_under, write_pngs
from mien.data.split import split_of
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import HEADER as VOTES_HEADER
from mien.data.votes_file import write_votes

# Column names in the order of preference, lower case.
_FILE = ("file", "filename", "file_name", "filepath", "file_path", "path", "pth", "image_path", "img_path", "image",
         "img", "image_name", "image_id", "name", "id")  # fmt: skip
_LABEL = ("label", "labels", "class", "class_name", "emotion", "expression", "category", "target", "class_num",
          "class_id", "class_idx", "label_id", "y")  # fmt: skip
_SPLIT = ("split", "usage", "set", "subset", "partition")
_MISSING = "no such file"
_TWICE = "{} files have this name: say in which folder"
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
        header = header_of(path) if path.suffix.lower() == ".csv" else []
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


def _tables_at(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted(path.glob("*.csv")) if path.is_dir() else []
    order = {split: i for i, split in enumerate(SPLITS)}
    return sorted((p for p in found if Columns.of(p)), key=lambda p: order.get(split_in(p.stem) or "", -1))


def _found(root: Path, names: list[str], notes: Notes) -> list[Path | str]:
    """The pictures that tables mean by `names`, or why they cannot be told.

    They are found by path, else by name or stem anywhere under the folder. A path that leads nowhere is only taken for
    a name where none leads anywhere: the tables are of another place then. Else its file is missing, and another of
    that name may be anybody's.
    """
    places = [_at(root, name) for name in names]
    if _MISSING not in places:
        return places
    plain = [PurePosixPath(name.replace("\\", "/")) for name in names]
    has_folder = [len(name.parts) > 1 for name in plain]
    elsewhere = not any(folder and isinstance(place, Path) for folder, place in zip(has_folder, places, strict=True))
    by_name: dict[str, list[Path]] = {}
    for path in map(root.joinpath, pictures_under(root)):
        for name in {path.name, path.stem}:
            by_name.setdefault(name, []).append(path)
    count = 0
    for i, place in enumerate(places):
        if place == _MISSING and (elsewhere or not has_folder[i]):
            found = by_name.get(plain[i].name, [])
            places[i] = found[0] if len(found) == 1 else _TWICE.format(len(found)) if found else _MISSING
            count += len(found) == 1
    if count:
        notes.add(f"{count:,} pictures found by their names alone, whatever the folder")
    return places


def _at(root: Path, name: str) -> Path | str:
    """The file of this path, with or without its suffix, or why there is none."""
    direct = file_at(root, name)
    if direct.is_file() if isinstance(direct, Path) else direct != _MISSING:
        return direct
    plain = PurePosixPath(name.replace("\\", "/"))
    with_suffix = (file_at(root, f"{plain}{suffix}") for suffix in SUFFIXES)
    return next((path for path in with_suffix if isinstance(path, Path) and path.is_file()), _MISSING)


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
    about: str = "a CSV with a file and a label column, beside the pictures"

    def sniff(self, path: Path) -> bool:
        return bool(_tables_at(path))

    def read(self, path: Path) -> PictureReading:
        tables = _tables_at(path)
        if not tables:
            raise not_this_format(path, self.name, f"no CSV with a file column ({', '.join(_FILE[:6])} …) and a label")
        rows: list[list[tuple[Entry, str]]] = []
        for table in tables:
            rows.append(list(_read_table(table, sum(map(len, rows)))))
        notes = Notes()
        names = [name for part in rows for _, name in part]
        found = iter(_found(path if path.is_dir() else path.parent, names, notes))
        parts: list[list[Pair]] = [[(entry, next(found)) for entry, _ in part] for part in rows]
        pairs = joined(parts, notes)
        entries = with_codes([entry for entry, _ in pairs])
        places = [place for _, place in pairs]
        reading = from_files(entries, places, root=path, names=_names(path, entries), ordered=True)
        reading.notes = notes
        if reading.names is None and reading.numeric:
            reading.notes.add("labels are numbers without names: give --names FILE or --labels fer2013 to name them")
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
