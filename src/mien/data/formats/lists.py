"""List files of `path label` lines, as PaddleClas uses: train_list.txt, val_list.txt, test_list.txt, labels.txt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.core.paths import unreadable
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.base import Entry, Notes, Progress, not_this_format, with_codes
from mien.data.formats.csv_rows import encoding_of
from mien.data.formats.list_lines import cut, lists_pictures
from mien.data.formats.listed import parts_at, pictures_of
from mien.data.formats.pictures import PictureReading, file_names, from_files, write_pngs
from mien.data.split import split_in
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import write_votes


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in (".txt", ".lst", ".list") and lists_pictures(path)


def _read_list(path: Path, first: int) -> list[tuple[Entry, str]]:
    """The entries of a list, numbered from `first`, with the name of the file that each means."""
    split = split_in(path.stem)
    try:
        lines = [line for line in path.read_text(encoding=encoding_of(path)).splitlines() if line.strip()]
    except UnicodeError as error:
        raise MienError(f"{path}: neither UTF-8 nor UTF-16 ({error})", hint="save it in UTF-8") from None
    except OSError as error:
        raise unreadable(path, error) from None
    return [
        (Entry(first + i, name or f"{path.name}#{i}", label, split), name)
        for i, (name, label) in enumerate(map(cut, lines))
    ]


@dataclass(frozen=True)
class Lists:
    """The format as mien registers it."""

    name: str = "list"
    about: str = "text files of `path label` lines, as PaddleClas uses"

    def sniff(self, path: Path) -> bool:
        return bool(parts_at(path, _is_list))

    def read(self, path: Path) -> PictureReading:
        notes = Notes()
        lists = parts_at(path, _is_list, notes)
        if not lists:
            raise not_this_format(path, self.name, "no text file of `path label` lines")
        rows: dict[str, list[tuple[Entry, str]]] = {}
        for file in lists:
            rows[file.name] = _read_list(file, sum(map(len, rows.values())))
        pairs = pictures_of(path, rows, notes)
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
