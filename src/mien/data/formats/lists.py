"""List files of `path label` lines, as PaddleClas uses: train_list.txt, val_list.txt, test_list.txt, labels.txt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.base import Entry, Notes, Progress, not_this_format, with_codes
from mien.data.formats.csv_rows import encoding_of
from mien.data.formats.overlap import Pair, joined
from mien.data.formats.pictures import PictureReading, file_at, file_names, from_files, is_picture, write_pngs
from mien.data.split import split_of
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import write_votes


def _cut(line: str) -> tuple[str, str | None]:
    """Path and label of a line; a path may hold spaces, and a test list may have no labels."""
    line = line.strip()
    if is_picture(line):
        return line, None
    path, _, label = line.rpartition("\t") if "\t" in line else line.rpartition(" ")
    return path.strip(), label.strip()


def _is_list(path: Path) -> bool:
    """Whether the first line of a text file is a picture with or without a label. A pipe is none: it may never end."""
    if path.suffix.lower() not in (".txt", ".lst", ".list") or path.name in names_file.FILE_NAMES:
        return False
    if not path.is_file():
        return False
    try:
        with path.open(encoding=encoding_of(path), errors="replace") as file:
            first = next((line for line in file if line.strip()), "")
    except (OSError, UnicodeError):
        return False
    return is_picture(_cut(first)[0])


def split_in(stem: str) -> str | None:
    """The split that a file name speaks of: train_list → train, my-validation → val, labels → None."""
    return next((split for word in re.split(r"[^A-Za-z]+", stem) if (split := split_of(word))), None)


def _lists_at(path: Path) -> list[Path]:
    """The list files at `path`, train before val before test."""
    found = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
    order = {split: i for i, split in enumerate(SPLITS)}
    return sorted(filter(_is_list, found), key=lambda p: order.get(split_in(p.stem) or "", -1))


def _read_list(path: Path, first: int) -> list[Pair]:
    split = split_in(path.stem)
    try:
        lines = [line for line in path.read_text(encoding=encoding_of(path)).splitlines() if line.strip()]
    except UnicodeError as error:
        raise MienError(f"{path}: neither UTF-8 nor UTF-16 ({error})", hint="save it in UTF-8") from None
    except OSError as error:
        raise MienError(f"{path}: cannot be read ({error})") from None
    cut = [_cut(line) for line in lines]
    return [
        (Entry(first + i, name or f"{path.name}#{i}", label, split), file_at(path.parent, name))
        for i, (name, label) in enumerate(cut)
    ]


@dataclass(frozen=True)
class Lists:
    """The format as mien registers it."""

    name: str = "list"
    about: str = "text files of `path label` lines, as PaddleClas uses"

    def sniff(self, path: Path) -> bool:
        return bool(_lists_at(path))

    def read(self, path: Path) -> PictureReading:
        lists = _lists_at(path)
        if not lists:
            raise not_this_format(path, self.name, "no text file of `path label` lines")
        parts: list[list[Pair]] = []
        for file in lists:
            parts.append(_read_list(file, sum(map(len, parts))))
        notes = Notes()
        pairs = joined(parts, notes)
        entries = with_codes([entry for entry, _ in pairs])
        names = names_file.beside(path)
        reading = from_files(entries, [where for _, where in pairs], root=path, names=names, ordered=True)
        reading.notes = notes
        return reading

    def write(self, dataset: Dataset, out: Path, *, progress: Progress | None = None) -> None:
        """images/00012.png numbered by row, a list for each split, labels.txt, and votes in the order of the lists."""
        (out / "images").mkdir()
        files = [f"images/{name}" for name in file_names(len(dataset))]
        write_pngs(dataset, out, files=files, progress=progress)
        names_file.write_names(out / names_file.FILE_NAMES[0], dataset.labels.names)
        order: list[int] = []
        for split in SPLITS:
            rows = np.flatnonzero(dataset.split == split).tolist()
            order += rows
            lines = [f"{files[i]} {dataset.label[i]}" if dataset.label[i] >= 0 else files[i] for i in rows]
            if lines:
                write_text(out / f"{split}_list.txt", "\n".join(lines) + "\n")
        if dataset.votes is not None:
            names = [files[i].rpartition("/")[2] for i in order]
            splits = dataset.split[order].tolist()
            write_votes(out / VOTES_FILE, dataset.votes[order].tolist(), splits=splits, names=names)
