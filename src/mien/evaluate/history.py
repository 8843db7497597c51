"""The history of a run read back: one row of figures an epoch."""

from __future__ import annotations

import csv
from pathlib import Path

from mien.core.errors import MienError
from mien.core.rundir import RunDir


def read_history(run: RunDir) -> list[dict[str, float]]:
    """Rows of history.csv, without the cells that are empty; no rows before the first epoch has ended.

    Raises:
        MienError: a cell is no number; names file, row and column.
    """
    if not run.history.is_file():
        return []
    with run.history.open(encoding="utf-8", newline="") as file:
        return [_row(run.history, number, cells) for number, cells in enumerate(csv.DictReader(file), 2)]


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
