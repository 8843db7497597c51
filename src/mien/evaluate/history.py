"""Tables of a run read back, such as its history: one row of figures an epoch."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.rundir import RunDir


def read_history(run: RunDir) -> list[dict[str, float]]:
    """Rows of history.csv, without the cells that are empty; no rows before the first epoch has ended.

    Raises:
        MienError: a cell is no number; names file, row and column.
    """
    return _rows(run.history) if run.history.is_file() else []


def read_columns(path: Path) -> dict[str, NDArray[np.float64]]:
    """The columns (n,) of such a table, NaN where a cell is empty.

    Raises:
        MienError: a cell is no number; names file, row and column.
    """
    rows = _rows(path)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [_row(path, number, cells) for number, cells in enumerate(csv.DictReader(file), 2)]


def _row(path: Path, number: int, cells: dict[str, str | None]) -> dict[str, float]:
    row = {}
    for name, text in cells.items():
        if not text:
            continue
        try:
            row[name] = float(text)
        except (ValueError, TypeError):
            raise MienError(
                f"{path}, row {number}: {name} = {text!r} is no number", hint="the file was edited"
            ) from None
    return row
