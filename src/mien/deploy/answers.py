"""Predictions as files: a table for people and spreadsheets, a submission for a contest."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.deploy.runtime import Prediction


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """`source,label,probability,unsure` and a column `p_LABEL` for each class, one row a picture."""
    names = list(predictions[0].probabilities) if predictions else []
    header = ["source", "label", "probability", "unsure", *(f"p_{name}" for name in names)]
    rows = (
        [p.source, p.label, f"{p.probability:.6f}", int(p.unsure), *(f"{v:.6f}" for v in p.probabilities.values())]
        for p in predictions
    )
    _write(path, header, rows)


def write_submission(path: Path, predictions: Sequence[Prediction]) -> None:
    """`id,label` as contests want it: the id of `submission_id`, the label as its id in the label set."""
    rows = ([submission_id(p.source), list(p.probabilities).index(p.label)] for p in predictions)
    _write(path, ["id", "label"], rows)


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


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
