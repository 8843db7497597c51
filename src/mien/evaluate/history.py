"""Tables of a run read back, such as its history: one row of figures an epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir


def read_history(run: RunDir) -> list[dict[str, float]]:
    """Rows of history.csv, without the cells that are empty; no rows before the first epoch has ended.

    Raises:
        MienError: a cell is no number; names file, row and column.
    """
    return _rows(run.history) if run.history.is_file() else []


def best_epoch(recipe: Recipe, rows: Sequence[Mapping[str, float]]) -> int:
    """As training chose it: the first epoch, from 1, with the best figure of `stopping.metric`."""
    if recipe.data.train_on_val:
        return len(rows)
    column, sign = ("val_loss", -1) if recipe.stopping.metric == "loss" else ("val_accuracy", 1)
    return max(range(len(rows)), key=lambda i: (sign * rows[i][column], -i)) + 1


def unfinished(run: RunDir) -> tuple[str, ...]:
    """That a run has not done all of its epochs, and did not stop early by itself; nothing where it is complete."""
    rows, recipe = read_history(run), recipes.read(str(run.recipe))
    measured = [row for row in rows if "val_accuracy" in row and "val_loss" in row]
    if not measured or len(rows) >= recipe.train.epochs:
        return ()
    patience = recipe.stopping.patience_epochs
    if patience is not None and len(measured) - best_epoch(recipe, measured) >= patience:
        return ()
    return (f"Epoch {len(rows)} of {recipe.train.epochs}: the training was interrupted, or still goes on.",)


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
