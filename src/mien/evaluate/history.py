"""Tables of a run read back, such as its history: one row of figures an epoch."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir


def read_history(run: RunDir) -> list[dict[str, float]]:
    """Rows of history.csv, without the cells that are empty; no rows before the first epoch has ended.

    Raises:
        MienError: a cell is no number; names file, row and column.
    """
    return _rows(run.history) if run.history.is_file() else []


def best_epoch(recipe: Recipe, rows: Sequence[Mapping[str, float]]) -> int:
    """As training chose it: the first epoch, from 1, with the best figure of `stopping.metric`.

    A figure that is no number is worse than any other, and where there are no labels the votes count.
    """
    if recipe.data.train_on_val:
        return len(rows)
    best, chosen = math.nan, 0
    for epoch, row in enumerate(rows, 1):
        figure = row["val_accuracy"] if recipe.stopping.metric == "accuracy" else -row["val_loss"]
        if math.isnan(row["val_accuracy"]):
            figure = row.get("val_ferplus_accuracy", math.nan)
        if math.isnan(best) or figure > best:
            best, chosen = figure, epoch
    return chosen


def unfinished(run: RunDir) -> tuple[str, ...]:
    """That a run has not done all of its epochs, and did not stop early by itself; nothing where it is complete."""
    rows, recipe = read_history(run), recipes.read_own(run.recipe)
    measured = [row for row in rows if "val_accuracy" in row and "val_loss" in row]
    if not measured or len(rows) >= recipe.train.epochs:
        return ()
    noted = _noted_stop(run)
    if _stopped(run, recipe, measured) if noted is None else noted:
        return ()
    return (f"Epoch {len(rows)} of {recipe.train.epochs}: the training was interrupted, or still goes on.",)


def _noted_stop(run: RunDir) -> bool | None:
    """Whether training stopped early, as it has noted with its state; None where no state can be read."""
    try:
        with safe_open(run.resume / "state.safetensors", "numpy") as file:
            return bool(json.loads(file.metadata()["state"])["progress"]["stopped"])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError):
        return None


def _stopped(run: RunDir, recipe: Recipe, rows: Sequence[Mapping[str, float]]) -> bool:
    """Whether patience ended with the last row, counted from the best epoch, or anew from where the run was resumed.

    As training counts: in the last phase alone, and once SWA has something to average.
    """
    environment = run.read_json(run.environment) if run.environment.is_file() else {}
    best, resumed = best_epoch(recipe, rows), [int(one["from_epoch"]) for one in environment.get("resumed", [])]
    first = max(phases(recipe)[-1].first + 1, recipe.average.swa_from_epoch or 0)
    starts = [best, *(epoch for epoch in resumed if epoch > best)]
    waited = [len(rows) - max(start, first - 1) for start in starts]
    return recipe.stopping.patience_epochs in waited


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
