"""Predictions as files: a table for people and spreadsheets, a submission for a contest."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.deploy.photos import Photo

Sink = Callable[[Photo], None]
_COLUMNS = ("source", "face", "label", "probability", "unsure", "left", "top", "right", "bottom", "score")


@contextmanager
def csv_answers(path: Path, names: Sequence[str]) -> Iterator[Sink]:
    """Takes photos and writes a row for each face, at once; the file is there when all are written.

    Columns: source, face (numbered from 1 in each picture, from left to right), label, probability, unsure, the box
    in pixels, the detector's score, and `p_NAME` for each class. A picture without a face has a row that names it
    and is empty otherwise.
    """
    with _writer(path, [*_COLUMNS, *(f"p_{name}" for name in names)]) as write:
        yield lambda photo: write(_rows(photo))


@contextmanager
def submission_answers(path: Path, names: Sequence[str]) -> Iterator[Sink]:
    """Takes photos of one face each and writes `id,label` as contests want it: label ids, and `submission_id`."""
    with _writer(path, ["id", "label"]) as write:
        yield lambda photo: write([submission_id(photo.source), names.index(face.label)] for face in photo.faces)


def _rows(photo: Photo) -> Iterator[Sequence[object]]:
    for number, face in enumerate(photo.faces, 1):
        box = [f"{value:.1f}" for value in face.box]
        values = [f"{value:.6f}" for value in face.probabilities.values()]
        answer = [face.label, f"{face.probability:.6f}", int(face.unsure)]
        yield [photo.source, number, *answer, *box, f"{face.score:.4f}", *values]
    if not photo.faces:
        yield [photo.source]


def submission_id(source: str) -> str:
    """The row number of a picture out of a table, else the file's name without folder and extension.

    >>> submission_id("test.csv#12"), submission_id("faces/0007.png")
    ('12', '0007')
    """
    _, mark, row = source.rpartition("#")
    return row if mark and row.isdecimal() else Path(source).stem


def check_distinct(sources: Iterable[str]) -> None:
    """Raise MienError when two pictures would get the same id in a submission."""
    names = list(sources)
    counts = Counter(map(submission_id, names))
    doubled = next((name for name in names if counts[submission_id(name)] > 1), None)
    if doubled is not None:
        raise MienError(
            f"{doubled}: not the only picture with the id {submission_id(doubled)!r}, a submission needs distinct ones",
            hint="give one folder at a time, or --csv, which keeps the whole path",
        )


def _open(path: Path) -> TextIO:
    """For writing: names of files that are no UTF-8 are written as the bytes that they are."""
    return path.open("w", newline="", encoding="utf-8", errors="surrogateescape")


@contextmanager
def _writer(path: Path, header: Sequence[str]) -> Iterator[Callable[[Iterable[Sequence[object]]], None]]:
    with atomic_path(path) as temporary, _open(temporary) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        # Rows that are short get the commas of their empty columns.
        yield lambda rows: writer.writerows([*row, *[""] * (len(header) - len(row))] for row in rows)
