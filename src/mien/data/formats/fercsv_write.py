"""Writing the CSV family of FER2013."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.labels import FER2013
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.ahead import counted
from mien.data.formats.base import Progress
from mien.data.formats.pixeltext import format_pixels
from mien.data.split import USAGE
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import write_votes

FER2013_FILE, ICML_FILE = "fer2013.csv", "icml_face_data.csv"
CONTEST_FILES = tuple(f"{split}.csv" for split in SPLITS)


def write_layout(
    dataset: Dataset, out: Path, *, header: str, split_files: bool, progress: Progress | None = None
) -> None:
    """Write `dataset` under `header`, all in one file or a file for each split, in the order of rows.

    Votes go to fer2013new.csv in the order of the rows written; labels.txt names the ids where they are not
    FER2013's. A file without any label (the contest's test.csv) has the column `pixels` alone. Where the set says who
    is shown, `subject` is the last column.

    Raises:
        MienError: the pictures are colour or not square, or somebody's name cannot stand in such a file.
    """
    if dataset.info.channels != 1 or dataset.info.height != dataset.info.width:
        raise MienError(f"{dataset.info.name}: this CSV holds square grey pictures only", hint="--to folders holds any")
    _check_people(dataset)
    if dataset.labels.names != FER2013.names:
        names_file.write_names(out / names_file.FILE_NAMES[0], dataset.labels.names)
    rows = np.arange(len(dataset))
    whole = FER2013_FILE if header.endswith("Usage") else ICML_FILE
    parts = {f"{s}.csv": rows[dataset.split == s] for s in SPLITS} if split_files else {whole: rows}
    order = np.concatenate(list(parts.values())).tolist()
    tell = None if progress is None else lambda passed: progress(passed, len(order))
    upcoming = counted(order, tell)
    for name, part in parts.items():
        if len(part):
            _write_file(dataset, islice(upcoming, len(part)), out / name, _header(dataset, part, header, split_files))
    if dataset.votes is not None:
        names = [f"fer{row:07d}.png" for row in range(len(order))]
        splits = dataset.split[order].tolist()
        write_votes(out / VOTES_FILE, dataset.votes[order].tolist(), splits=splits, names=names)


def _header(dataset: Dataset, rows: NDArray[np.int64], header: str, split_files: bool) -> str:
    """The contest's test.csv has no labels."""
    labelled = header if not split_files or (dataset.label[rows] >= 0).any() else "pixels"
    return labelled if dataset.subject is None else f"{labelled},subject"


def _check_people(dataset: Dataset) -> None:
    """Rows of this family are cut at commas, whatever quotes say."""
    for name in sorted(set([] if dataset.subject is None else dataset.subject.tolist())):
        if any(mark in name for mark in ',"\r\n'):
            raise MienError(f"this CSV cannot hold the person {name!r}", hint="--to table holds any name")


def _write_file(dataset: Dataset, rows: Iterable[int], path: Path, header: str) -> None:
    columns = [column.strip() for column in header.split(",")]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        for row in rows:
            label = int(dataset.label[row])
            cells = {
                "emotion": str(label) if label >= 0 else "",
                "pixels": format_pixels(dataset.images[row]),
                "Usage": USAGE[str(dataset.split[row])],
                "subject": "" if dataset.subject is None else str(dataset.subject[row]),
            }
            file.write(",".join(cells[column] for column in columns) + "\n")
