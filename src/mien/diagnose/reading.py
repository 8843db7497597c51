"""The evidence of a run folder: its history, recipe, predictions, and its data where that is at hand."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.diagnose.evidence import Answers, Column, Evidence, Fed, Splits
from mien.evaluate.evaluate import Evaluation

PICTURES = 2000  # of each split, whose brightness and contrast are compared


@dataclass(frozen=True)
class Extra:
    """What is known besides the run folder: fed, predictions just made, an audit's summary."""

    fed: Fed | None = None
    answers: Answers | None = None
    audit: dict[str, Any] | None = None


def read_evidence(run: RunDir, data: Dataset | None, extra: Extra) -> Evidence:
    """Everything the rules look at. Raises MienError when the folder is no run, or a file in it is damaged."""
    history = read_columns(run.require().history) if run.history.is_file() else {}
    diverged = run.read_json(run.diverged) if run.diverged.is_file() else None
    if not history and diverged is None:
        raise MienError(f"{run.path}: no epoch is finished yet", hint=f"mien resume {run.path}")
    return Evidence(
        recipe=recipes.read(str(run.recipe)),
        history=history,
        health=read_columns(run.health) if run.health.is_file() else {},
        counts=run.read_json(run.data).get("counts", {}),
        diverged=diverged,
        answers=extra.answers or stored_answers(run),
        splits=compare_splits(data) if data is not None else None,
        fed=extra.fed,
        audit=extra.audit,
    )


def read_columns(path: Path) -> dict[str, Column]:
    """A CSV file of figures by column (n,), NaN where a cell is empty. Raises MienError when it is damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        names = list(rows[0]) if rows else []
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    except (OSError, ValueError, TypeError) as error:
        raise MienError(f"{path}: damaged ({error})", hint="mien resume writes it again") from None


def stored_answers(run: RunDir) -> Answers | None:
    """The predictions of an earlier `mien eval` on val; None where there are none, or of another split."""
    path = run.evaluation / "predictions.parquet"
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
        heads = json.loads((table.schema.metadata or {})[b"mien"])["heads"]
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise MienError(f"{path}: damaged ({error})", hint="run mien eval again") from None
    name, labels = next(iter(heads.items()))
    table = table.filter(pc.equal(table["split"], "val"))
    right = np.array([labels.index(x) if x in labels else -1 for x in table["label"].to_pylist()], np.int64)
    probabilities = np.stack([table[f"p_{name}_{one}"].to_numpy() for one in labels], axis=1)
    return _labelled(right, probabilities, tuple(labels))


def evaluated_answers(evaluation: Evaluation, data: Dataset) -> Answers | None:
    """The predictions of an evaluation just made."""
    labels = evaluation.answer_labels.names
    names = data.labels.names
    ids = [
        labels.index(names[i]) if i >= 0 and names[i] in labels else -1 for i in data.label[evaluation.rows].tolist()
    ]
    return _labelled(np.array(ids, np.int64), evaluation.answer, labels)


def _labelled(ids: NDArray[np.int64], probabilities: NDArray[Any], labels: tuple[str, ...]) -> Answers | None:
    known = ids >= 0
    return Answers(ids[known], np.asarray(probabilities, np.float64)[known], labels) if known.any() else None


def compare_splits(data: Dataset) -> Splits:
    """How val relates to train by pixels: copies, and brightness and contrast. No val: nothing to compare."""
    train, val = (np.flatnonzero(data.split == split) for split in ("train", "val"))
    if not len(train) or not len(val):
        return Splits(0.0, (0.0, 0.0))
    pixels, group = data.column("sha256").astype(str), data.column("group").astype(np.int64)
    copied = np.isin(pixels[val], pixels[train]) | ((group[val] >= 0) & np.isin(group[val], group[train]))
    a, b = (_light(data, rows) for rows in (train, val))
    shift = (b.mean(0) - a.mean(0)) / np.maximum(a.std(0), 1e-9)
    return Splits(float(copied.mean()), (float(shift[0]), float(shift[1])))


def _light(data: Dataset, rows: NDArray[np.int64]) -> Column:
    """Mean and deviation of the pixels (n, 2) of up to `PICTURES` pictures, evenly taken."""
    chosen = rows[:: max(1, len(rows) // PICTURES)]
    flat = np.asarray(data.images[chosen], np.float32).reshape(len(chosen), -1)
    return np.stack([flat.mean(1), flat.std(1)], axis=1).astype(np.float64)
